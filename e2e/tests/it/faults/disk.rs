//! No space is left where the server keeps what it must write: the log of events, and the folders of its hooks.

use super::{allowed, ask, calls_of, told};
use anyhow::{Context, Result, ensure};
use jackfield_e2e::{Broadcast, Program, Receiver, Reply, SOON, Scratch, Server, check_pairs, eventually};
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

const CONFIG: &str = r#"
[[hook]]
name = "plain"
on = ["authorize_publish"]
streams = ["live/plain-*"]
run = ["true"]
[[hook]]
name = "private"
on = ["authorize_publish"]
streams = ["live/private-*"]
run = ["touch", "kept"]
cwd = "private"
[[hook]]
name = "worker"
on = ["authorize_publish"]
streams = ["live/worker-*"]
worker = ["sh", "-c", "while read -r line; do echo '{\"decision\":\"allow\"}'; done"]
cwd = "private"
timeout = "10s"
[hooks]
question_budget = "10s"
"#;

/// Starts the server, in whose folder it is called, with its temporary folder on a file system without space and its data
/// folder on a small one, in a mount namespace of its own.
const FULL: &str = r#"#!/bin/sh
mkdir temporary data
exec UNSHARE sh -c '
    mount -t tmpfs -o size=64k,nr_inodes=8 full temporary && mount -t tmpfs -o size=1m,nr_inodes=200 small data || exit 9
    # Neither blocks nor names are left.
    dd if=/dev/zero of=temporary/filled bs=1k 2>/dev/null
    for name in 1 2 3 4 5 6 7 8; do mkdir "temporary/$name" 2>/dev/null; done
    mkdir temporary/one-more 2>/dev/null && exit 9
    export TMPDIR=$PWD/temporary
    exec SERVER "$@"
' sh "$@"
"#;

/// Leaves neither blocks nor names on the file system of this folder.
fn fill(folder: &Path) -> Result<()> {
    let is_full = |error: &io::Error| error.kind() == io::ErrorKind::StorageFull;
    let mut file = File::create(folder.join("filled")).context("the file that fills")?;
    loop {
        match file.write_all(&[0; 512]) {
            Err(error) if is_full(&error) => break,
            written => written.context("the file that fills")?,
        }
    }
    for number in 0..300 {
        match std::fs::create_dir(folder.join(format!("filled-{number}"))) {
            Err(error) if is_full(&error) => return Ok(()),
            made => made.context("a folder that fills")?,
        }
    }
    anyhow::bail!("the file system is not full")
}

/// Removes what has such a name.
fn empty(folder: &Path, which: impl Fn(&str) -> bool) -> Result<()> {
    for name in std::fs::read_dir(folder).context("the full folder")? {
        let path = name?.path();
        if path.file_name().and_then(|name| name.to_str()).is_some_and(&which) {
            if path.is_dir() { std::fs::remove_dir(path)? } else { std::fs::remove_file(path)? }
        }
    }
    Ok(())
}

/// How a mount namespace is made here; none where it cannot be.
fn unshare() -> Result<Option<&'static str>> {
    for how in ["unshare -m", "unshare -rm"] {
        let script = format!("{how} mount -t tmpfs none /mnt");
        if Program::new("sh").args(["-c", &script]).run(SOON)?.code == Some(0) {
            return Ok(Some(how));
        }
    }
    Ok(None)
}

#[test]
fn on_a_full_disk_only_what_needs_space_fails_until_there_is_some_and_events_are_told_from_memory()
-> Result<()> {
    let Some(how) = unshare()? else {
        println!("left out: no mount namespace can be made here");
        return Ok(());
    };
    let folder = Scratch::new()?;
    let server = jackfield_e2e::server()?.display().to_string();
    let script = folder.script("jackfield", &FULL.replace("UNSHARE", how).replace("SERVER", &server))?;
    let receiver = Receiver::start(|_| Reply::status(204))?;
    let told_of = |name: &str| {
        let key = format!("live/{name}");
        receiver.wait(&format!("connections after {name}"), SOON, |request| {
            request.json()["stream_key"] == key.as_str()
        })
    };
    let hook =
        format!("[[hook]]\nname = \"told\"\non = [\"publish_start\"]\nurl = \"{}\"\n", receiver.url("/"));
    let server = Server::builder().binary(script).config(format!("{hook}{CONFIG}")).start()?;
    let root: PathBuf = format!("/proc/{}/root{}", server.pid(), server.folder().display()).into();
    fill(&root.join("data"))?;
    let broadcast = Broadcast::start(server.rtmp(), "show")?;
    allowed(&server, "plain-full")?;
    // It cannot be stored, and is told all the same.
    told_of("plain-full")?;
    let refused = ask(&server, "private-full")?;
    ensure!(refused.as_deref() == Some("Refused."), "a program without its folder: {refused:?}");
    let calls = calls_of(&server, "private", 1)?;
    ensure!(calls.iter().all(|call| call.outcome == "connect_error"), "{calls:?}");
    let why = |hook: &'static str| {
        server.wait_log("the reason", SOON, move |line| {
            line.field("hook") == Some(hook)
                && line.field("error").is_some_and(|why| why.contains("No space left"))
        })
    };
    why("private")?;
    why("worker")?;
    broadcast.wait(10)?;

    empty(&root.join("data"), |name| name.starts_with("filled"))?;
    empty(&root.join("temporary"), |_| true)?;
    server.wait_log("that events are stored again", SOON, |line| {
        line.message() == "The log of events is written again"
    })?;
    allowed(&server, "private-free")?;
    allowed(&server, "worker-free")?;
    told_of("worker-free")?;
    broadcast.finish()?;
    // The private folder of the program that has ended goes, that of the worker stays.
    eventually("end of the program's folder", SOON, || {
        Ok((std::fs::read_dir(root.join("temporary"))?.count() == 1).then_some(()))
    })?;
    let ended = server.stop()?;
    // It is tried each second, and told once in a minute.
    let cursors = told(&ended.log, "The hooks' places in the log cannot be written");
    ensure!((1..=3).contains(&cursors), "that cursors cannot be written was told {cursors} times");
    ensure!(told(&ended.log, "The hooks' places in the log are written again") == cursors);
    let restarts = told(&ended.log, "Worker has to be replaced");
    ensure!(restarts <= 12, "the worker was tried {restarts} times");
    check_pairs(&ended.events.all()?)
}
