//! Files of the data folder that the server has not written: tokens, hooks of the API, places of hooks in the log.

use super::{publish, starts, told_of_starts};
use anyhow::{Context, Result, ensure};
use jackfield_e2e::{Api, Program, Receiver, Reply, SOON, Scratch, Server, all_cases, eventually, server};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use std::path::Path;

/// What must not be in any message.
const SECRET: &str = "gnarfl-5e6a";

/// What stands where a file should.
#[derive(Debug, Clone, Copy)]
enum Hostile {
    Text(&'static str),
    /// So many bytes of one kind.
    Many(u8, usize),
    Folder,
    /// Opening it waits until somebody writes.
    Fifo,
    /// A link to something without an end.
    Endless,
}

const HOSTILE: [Hostile; 13] = [
    Hostile::Text(""),
    Hostile::Text("gnarfl-5e6a"),
    Hostile::Text("{\"gnarfl-5e6a\":"),
    Hostile::Text("{}"),
    Hostile::Text("[[\"gnarfl-5e6a\"]]"),
    Hostile::Text("{\"version\":99,\"v\":99,\"tokens\":[],\"hooks\":[],\"gnarfl-5e6a\":1}"),
    Hostile::Text("{\"version\":1,\"v\":1,\"hooks\":[{\"gnarfl-5e6a\":[]}],\"tokens\":[{\"name\":7}]}"),
    Hostile::Text("\0\u{feff}\u{202e}gnarfl-5e6a"),
    Hostile::Many(b'[', 100_000),
    Hostile::Many(0xff, 100_000),
    Hostile::Folder,
    Hostile::Fifo,
    Hostile::Endless,
];

impl Hostile {
    /// Puts it there, in the place of what is.
    fn put(self, path: &Path) -> Result<()> {
        if path.symlink_metadata().is_ok() {
            if path.is_dir() { std::fs::remove_dir(path)? } else { std::fs::remove_file(path)? }
        }
        match self {
            Self::Text(text) => std::fs::write(path, text)?,
            Self::Many(byte, count) => std::fs::write(path, vec![byte; count])?,
            Self::Folder => std::fs::create_dir(path)?,
            Self::Fifo => mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o600), 0)?,
            Self::Endless => std::os::unix::fs::symlink("/dev/zero", path)?,
        }
        Ok(())
    }
}

/// Neither a panic nor the file's words.
fn is_proper(text: &str) -> Result<()> {
    ensure!(!text.contains("panicked at"), "{text}");
    ensure!(!text.contains(SECRET), "what the file holds is shown: {text}");
    Ok(())
}

/// The server starts only with a file that it understands: guessing what tokens and hooks there were would be worse.
fn refuses_to_start_with(file: &str, but: impl Fn(Hostile) -> bool) -> Result<()> {
    let folder = Scratch::new()?;
    let data = folder.path().join("data");
    std::fs::create_dir(&data)?;
    for hostile in HOSTILE.into_iter().filter(|hostile| !but(*hostile)) {
        hostile.put(&data.join(file))?;
        let ended = Program::new(server()?)
            .args(["--listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0", "--data-dir"])
            .args([&data])
            .cwd(folder.path())
            .run(SOON)
            .with_context(|| format!("{file}: {hostile:?}"))?;
        ensure!(ended.code == Some(1), "{file}: {hostile:?}: {ended:?}");
        ensure!(
            ended.stderr.contains(file),
            "{hostile:?}: the message does not name {file}: {}",
            ended.stderr
        );
        is_proper(&ended.stderr).with_context(|| format!("{file}: {hostile:?}"))?;
    }
    Ok(())
}

#[test]
fn hooks_of_the_api_that_cannot_be_read_keep_the_server_from_starting() -> Result<()> {
    // A hook that is not allowed is told, and the others are called.
    refuses_to_start_with(
        "hooks.json",
        |file| matches!(file, Hostile::Text(text) if text.contains("\"version\":1,")),
    )
}

#[test]
fn tokens_that_cannot_be_read_keep_the_server_from_starting() -> Result<()> {
    refuses_to_start_with("tokens.json", |_| false)
}

#[test]
fn an_administrators_token_that_may_be_guessed_keeps_the_server_from_starting() -> Result<()> {
    // In the place of what has no length the server makes a token; a long word is one, whoever wrote it.
    refuses_to_start_with("admin.token", |file| match file {
        Hostile::Text(text) => text.is_empty() || (text.len() >= 32 && text.is_ascii()),
        Hostile::Many(byte, _) => byte.is_ascii(),
        Hostile::Fifo | Hostile::Endless => true,
        Hostile::Folder => false,
    })
}

#[test]
fn tokens_that_become_unreadable_under_the_server_allow_nothing_and_that_of_the_administrator_goes_on()
-> Result<()> {
    let server = Server::builder().start()?;
    let data = server.folder().join("data");
    let made = Program::new(jackfield_e2e::server()?)
        .args(["token", "create", "--name", "reader", "--scope", "read", "--data-dir"])
        .args([&data])
        .run(SOON)?;
    ensure!(made.code == Some(0), "{made:?}");
    let token = made.stdout.lines().last().unwrap_or_default().trim().to_owned();
    let admin = Api::admin(&server)?;
    let reader = admin.with_token(&token);
    reader.get("streams")?.expect(200)?;
    let file = data.join("tokens.json");
    let whole = std::fs::read(&file)?;
    for hostile in HOSTILE {
        hostile.put(&file)?;
        let answer = reader.get("streams").with_context(|| format!("{hostile:?}"))?;
        // After some wrong tokens an address has to wait, with wrong ones.
        ensure!([401, 429].contains(&answer.status), "{hostile:?}: {answer:?}");
        admin.get("streams")?.expect(200).with_context(|| format!("{hostile:?}"))?;
    }
    Hostile::Text("").put(&file)?;
    std::fs::write(&file, whole)?;
    eventually("the token's return", SOON, || Ok((reader.get("streams")?.status == 200).then_some(())))?;
    let ended = server.stop()?;
    is_proper(&ended.log.join("\n"))
}

#[test]
fn a_hook_whose_place_in_the_log_cannot_be_read_is_told_all_that_the_log_has() -> Result<()> {
    let folder = Scratch::new()?;
    let data = folder.path().join("data");
    let first = Server::builder().data_dir(&data).start()?;
    publish(&first, "kept")?;
    first.stop()?;
    // Each is a start of the server: all of them take their time.
    let cases = if all_cases() { &HOSTILE[..] } else { &HOSTILE[8..] };
    for hostile in cases.iter().copied() {
        let receiver = Receiver::start(|_| Reply::status(204))?;
        // Without `from` a new hook would begin with what comes now.
        let config = told_of_starts(&receiver, "");
        let cursors = data.join("events/cursors");
        std::fs::create_dir_all(&cursors)?;
        hostile.put(&cursors.join("starts.json"))?;
        let server = Server::builder().data_dir(&data).config(config).start();
        let server = server.with_context(|| format!("{hostile:?}"))?;
        server.wait_log("that it cannot be read", SOON, |line| {
            line.message().starts_with("A hook's place in the log cannot be read")
        })?;
        starts(&receiver, 1, "kept").with_context(|| format!("{hostile:?}"))?;
        let ended = server.stop()?;
        is_proper(&ended.log.join("\n"))?;
    }
    Ok(())
}

/// Names of files mean nothing but that they end in `.json`; no place is beyond the end of the log.
#[test]
fn places_in_the_log_that_belong_to_no_hook_are_left_alone() -> Result<()> {
    let folder = Scratch::new()?;
    let data = folder.path().join("data");
    let cursors = data.join("events/cursors");
    std::fs::create_dir_all(&cursors)?;
    let forged = |id: &str| {
        let (far, at) = (u64::MAX, i64::MAX);
        format!(
            r#"{{"v":1,"id":"{id}","name":"starts","done_to":{far},"done":[[{far},{far}],[9,1]],"at":{at}}}"#
        )
    };
    std::fs::write(cursors.join("starts.json"), forged("../../../starts"))?;
    std::fs::write(cursors.join("other.json"), forged("starts"))?;
    let receiver = Receiver::start(|_| Reply::status(204))?;
    let server = Server::builder().data_dir(&data).config(told_of_starts(&receiver, "")).start()?;
    publish(&server, "now")?;
    starts(&receiver, 1, "now")?;
    let ended = server.stop()?;
    is_proper(&ended.log.join("\n"))?;
    ensure!(!folder.path().join("starts.json").exists() && !data.join("starts.json").exists(), "it got out");
    Ok(())
}
