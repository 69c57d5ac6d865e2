//! Bodies as the API gets them, and what is made or said of each.

use super::*;
use crate::config::{Config, Flags};
use serde_json::json;

fn config(toml: &str) -> Config {
    let folder = std::env::temp_dir().join(format!("jackfield-api-hook-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file =
        folder.join(format!("{:x}.toml", toml.len() as u64 * 31 + toml.bytes().map(u64::from).sum::<u64>()));
    std::fs::write(&file, toml).unwrap();
    let flags = Flags { config: Some(file), given: vec![] };
    Config::load(&flags, []).unwrap()
}

fn read(toml: &str, body: Value) -> Result<Hook, Vec<FieldProblem>> {
    let Value::Object(body) = body else { panic!("no object") };
    config(toml).read_api_hook(&body)
}

/// The fields that are wrong, and what is said of the first.
fn refused(toml: &str, body: Value) -> (Vec<String>, String) {
    let problems = read(toml, body).unwrap_err();
    let said = problems.first().map(|first| first.problem.clone()).unwrap_or_default();
    (problems.into_iter().map(|problem| problem.field.unwrap_or_default()).collect(), said)
}

#[test]
fn a_webhook_is_read_as_one_of_the_file_and_reaches_only_what_is_public() {
    let hook = read(
        "",
        json!({
            "name": "audit", "on": ["publish_*"], "url": "https://hooks.example/x", "timeout": "3s", "rate": 5,
            "streams": ["live/**"], "headers": {"Authorization": "Bearer x"}, "secret": "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz",
        }),
    )
    .unwrap();
    assert_eq!((hook.name.as_str(), hook.origin), ("audit", HookOrigin::Api));
    let Handler::Url(webhook) = &hook.handler else { panic!("{hook:?}") };
    assert_eq!(webhook.reach, Reach::Public { besides: std::iter::empty().collect() });
    assert_eq!((webhook.headers.len(), webhook.secrets.len(), hook.keys.rate), (1, 1, Some(5)));
    assert!(!format!("{hook:?}").contains("Bearer"), "{hook:?}");
}

#[test]
fn an_address_that_is_not_public_needs_its_network_allowed() {
    let body = json!({"name": "a", "on": "publish_start", "url": "http://0x7f000001:9/"});
    let (fields, said) = refused("", body.clone());
    assert_eq!(fields, ["url"], "{said}");
    assert!(said.contains("allow_networks"), "{said}");
    read("[api]\nallow_networks = [\"127.0.0.0/8\"]\n", body).unwrap();
}

#[test]
fn nothing_of_the_server_is_named() {
    let base = json!({"name": "a", "on": "publish_start", "url": "https://h.example/"});
    for (key, value) in [
        ("ca", json!("/etc/shadow")),
        ("cert", json!("x")),
        ("secret", json!("env:HOME")),
        ("secret", json!(["whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz", "file:/etc/passwd"])),
        ("headers", json!({"X": "file:/etc/passwd"})),
        ("run", json!("true")),
        ("worker", json!(["true"])),
        ("stdio", json!("stdout")),
    ] {
        let mut body = base.clone();
        body[key] = value;
        let (fields, said) = refused("", body);
        assert_eq!(fields, [key], "{said}");
    }
}

#[test]
fn a_program_is_made_where_the_operator_allows_it() {
    let hook =
        read("[api]\nallow_programs = true\n", json!({"name": "a", "on": "publish_start", "run": "true x"}));
    assert!(matches!(hook.unwrap().handler, Handler::Run { .. }));
}

#[test]
fn what_is_wrong_is_said_of_its_field_with_the_nearest_word() {
    let base = json!({"name": "a", "on": "publish_start", "url": "https://h.example/"});
    for (key, value, expect) in [
        ("urll", json!("x"), "did you mean `url`?"),
        ("on", json!(["publish_strat"]), "did you mean `publish_start`?"),
        ("on", json!([]), "`on` is empty"),
        ("name", json!("a b"), "is no name of a hook"),
        ("name", json!(null), "found null"),
        ("timeout", json!(5), "expected a duration"),
        ("rate", json!(1.5), "expected an integer"),
        ("rate", json!(0), "out of range"),
        ("url", json!("ftp://h.example/"), "no URL"),
        ("streams", json!(["a?"]), "a?"),
        ("headers", json!({"a b": "c"}), "no name of a header"),
        ("secret", json!("plain"), "no secret"),
    ] {
        let mut body = base.clone();
        body[key] = value.clone();
        let problems = read("", body).unwrap_err();
        let found = problems.iter().find(|problem| problem.field.as_deref() == Some(key));
        assert!(found.is_some_and(|problem| problem.problem.contains(expect)), "{key} {value}: {problems:?}");
    }
    let (fields, said) = refused("", json!({"on": "publish_start", "url": "https://h.example/"}));
    assert_eq!((fields, said.contains("no name")), (vec![String::new()], true), "{said}");
}

#[test]
fn a_name_of_the_file_is_taken() {
    let toml = "[[hook]]\nname = \"a\"\non = [\"publish_start\"]\nurl = \"https://h.example/\"\n";
    let problems =
        read(toml, json!({"name": "a", "on": "publish_start", "url": "https://h.example/"})).unwrap_err();
    assert!(problems[0].problem.contains("there is a hook `a`"), "{problems:?}");
}
