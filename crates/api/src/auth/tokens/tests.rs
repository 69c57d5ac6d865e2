//! The files, and what they allow.

use super::*;
use jackfield_media::{StreamKey, UnixTime};
use std::os::unix::fs::PermissionsExt;
use tempfile::TempDir;

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn admin(folder: &TempDir) -> String {
    fs::read_to_string(folder.path().join("admin.token")).unwrap()
}

fn new(name: &str) -> NewToken {
    NewToken { name: name.to_owned(), scopes: vec![Scope::Read], stream_prefixes: Vec::new() }
}

fn may(known: Option<Known>, scope: Scope, key: &str) -> bool {
    let key = StreamKey::parse(key).unwrap();
    known.is_some_and(|known| known.caller().can(scope, Some(&key)))
}

#[test]
fn the_admin_token_is_made_once_and_nobody_else_may_read_it() {
    let folder = folder();
    let data = folder.path().join("deep/data");
    let store = TokenStore::open(&data).unwrap();
    let text = fs::read_to_string(data.join("admin.token")).unwrap();
    assert!(text.starts_with(MARK) && text.ends_with('\n') && text.len() == MARK.len() + 44, "{text}");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&data), mode(&data.join("admin.token"))), (0o700, 0o600));
    assert!(may(store.find(text.trim()), Scope::Hooks, "a"));
    assert!(store.find("").is_none() && store.find(&text).is_none() && store.find("x").is_none());
    drop(TokenStore::open(&data).unwrap());
    assert_eq!(fs::read_to_string(data.join("admin.token")).unwrap(), text);
}

#[test]
fn an_admin_token_that_may_be_guessed_is_refused_and_a_good_one_is_read_anew() {
    let folder = folder();
    for weak in ["secret\n", &"x".repeat(31), &"x x".repeat(20), &"ü".repeat(40)] {
        fs::write(folder.path().join("admin.token"), weak).unwrap();
        assert!(matches!(TokenStore::open(folder.path()), Err(TokenError::Weak(_))), "{weak}");
    }
    // As a crash between making and writing leaves it.
    fs::write(folder.path().join("admin.token"), "").unwrap();
    let store = TokenStore::open(folder.path()).unwrap();
    let former = admin(&folder);
    fs::write(folder.path().join("admin.token"), "x".repeat(40)).unwrap();
    assert!(store.find(&"x".repeat(40)).is_some() && store.find(former.trim()).is_none());
    fs::remove_file(folder.path().join("admin.token")).unwrap();
    assert!(store.find(&"x".repeat(40)).is_none());
}

#[test]
fn a_token_may_what_it_was_made_for_until_it_is_revoked() {
    let folder = folder();
    let store = TokenStore::open(folder.path()).unwrap();
    let file = TokenFile::of(folder.path());
    assert_eq!(file.read().unwrap(), []);
    let prefixes = ["live/a", "vod"].map(|text| text.parse().unwrap());
    let wish = NewToken {
        scopes: vec![Scope::Operate, Scope::Read, Scope::Read],
        stream_prefixes: prefixes.to_vec(),
        ..new("ci")
    };
    let made = file.create(wish, UnixTime(0)).unwrap();
    assert_eq!(
        (made.entry.scopes.as_slice(), made.entry.created_at.as_str()),
        (&[Scope::Read, Scope::Operate][..], "1970-01-01T00:00:00.000000Z")
    );
    let find = || store.find(made.token.reveal());
    assert!(may(find(), Scope::Operate, "live/a/b") && may(find(), Scope::Read, "vod/x"));
    assert!(!may(find(), Scope::Operate, "live/b") && !may(find(), Scope::Hooks, "live/a"));
    assert!(matches!(file.create(new("ci"), UnixTime(0)), Err(TokenError::Taken(_))));

    let text = fs::read_to_string(file.path()).unwrap();
    assert!(!text.contains(made.token.reveal()) && !format!("{made:?}").contains(made.token.reveal()));
    let other = file.create(new("other"), UnixTime(0)).unwrap();
    assert_eq!(file.revoke(&made.entry.id).unwrap().name, "ci");
    assert!(find().is_none() && store.find(other.token.reveal()).is_some());
    assert!(matches!(file.revoke("ci"), Err(TokenError::Unknown(_))));
    assert_eq!(file.revoke("other").unwrap().id, other.entry.id);
    assert!(store.find(other.token.reveal()).is_none() && store.find(admin(&folder).trim()).is_some());
}

#[test]
fn a_file_that_is_not_ours_allows_nothing() {
    let folder = folder();
    let store = TokenStore::open(folder.path()).unwrap();
    let file = TokenFile::of(folder.path());
    let made = file.create(new("a"), UnixTime(0)).unwrap();
    assert!(store.find(made.token.reveal()).is_some());
    let good = fs::read_to_string(file.path()).unwrap();
    for bad in [
        "",
        "[]",
        "{\"tokens\":1}",
        &good.replace("\"read\"", "\"all\""),
        &good.replace("sha256\": \"", "sha256\": \"z"),
    ] {
        fs::write(file.path(), bad).unwrap();
        assert!(store.find(made.token.reveal()).is_none(), "{bad}");
        assert!(matches!(TokenStore::open(folder.path()), Err(TokenError::Corrupt { .. })), "{bad}");
    }
    fs::write(file.path(), "x".repeat(1024 * 1024 + 1)).unwrap();
    assert!(matches!(file.read(), Err(TokenError::Io { .. })));
}

#[test]
fn names_are_plain_and_a_token_has_a_scope() {
    let folder = folder();
    let file = TokenFile::of(folder.path());
    for name in ["", "-x", "a b", "ü", "a\nb", &"x".repeat(65)] {
        assert!(matches!(file.create(new(name), UnixTime(0)), Err(TokenError::BadName)), "{name:?}");
    }
    let none = NewToken { scopes: Vec::new(), ..new("x") };
    assert!(matches!(file.create(none, UnixTime(0)), Err(TokenError::NoScope)));
    let held = file.create(new("x"), UnixTime(0)).and_then(|_| file.lock()).unwrap();
    assert!(matches!(file.create(new("y"), UnixTime(0)), Err(TokenError::Locked)));
    drop(held);
}
