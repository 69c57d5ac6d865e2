//! No space is left where the server keeps what it must write: the folders of its hooks. (It keeps nothing else yet.)

use super::{allowed, ask, calls_of, told};
use anyhow::{Context, Result, ensure};
use jackfield_e2e::{Broadcast, Program, SOON, Scratch, Server, check_pairs, eventually};
use std::path::PathBuf;

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

/// Starts the server, in whose folder it is called, with its data folder and its temporary one on a file system without
/// space, in a mount namespace of its own.
const FULL: &str = r#"#!/bin/sh
mkdir data
exec UNSHARE sh -c '
    mount -t tmpfs -o size=64k,nr_inodes=8 full data || exit 9
    # Neither blocks nor names are left.
    dd if=/dev/zero of=data/filled bs=1k 2>/dev/null
    for name in 1 2 3 4 5 6 7 8; do mkdir "data/$name" 2>/dev/null; done
    mkdir data/one-more 2>/dev/null && exit 9
    export TMPDIR=$PWD/data
    exec SERVER "$@"
' sh "$@"
"#;

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
fn on_a_full_disk_the_server_starts_and_fails_only_what_needs_space_until_there_is_some() -> Result<()> {
    let Some(how) = unshare()? else {
        println!("left out: no mount namespace can be made here");
        return Ok(());
    };
    let folder = Scratch::new()?;
    let server = jackfield_e2e::server()?.display().to_string();
    let script = folder.script("jackfield", &FULL.replace("UNSHARE", how).replace("SERVER", &server))?;
    let server = Server::builder().binary(script).config(CONFIG).start()?;
    let broadcast = Broadcast::start(server.rtmp(), "show")?;
    allowed(&server, "plain-full")?;
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

    let full: PathBuf = format!("/proc/{}/root{}/data", server.pid(), server.folder().display()).into();
    for name in std::fs::read_dir(&full).context("the full folder")? {
        let path = name?.path();
        if path.is_dir() { std::fs::remove_dir(path)? } else { std::fs::remove_file(path)? }
    }
    allowed(&server, "private-free")?;
    allowed(&server, "worker-free")?;
    broadcast.finish()?;
    // The private folder of the program that has ended goes, that of the worker stays.
    eventually("end of the program's folder", SOON, || {
        Ok((std::fs::read_dir(&full)?.count() == 1).then_some(()))
    })?;
    let ended = server.stop()?;
    let restarts = told(&ended.log, "Worker has to be replaced");
    ensure!(restarts <= 12, "the worker was tried {restarts} times");
    check_pairs(&ended.events.all()?)
}
