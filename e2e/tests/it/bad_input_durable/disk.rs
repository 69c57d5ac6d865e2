//! The disk under the data folder: full from some moment on, read-only from the start and from some moment on.

use super::{publish, starts, told_of_starts};
use anyhow::{Context, Result, ensure};
use jackfield_e2e::{Program, Receiver, Reply, SOON, Scratch, Server, eventually};
use std::path::PathBuf;

/// Starts the server, in whose folder it is called, with its data folder on a small file system of its own.
const SMALL: &str = r#"#!/bin/sh
mkdir -p data
exec unshare --mount sh -c '
    mount -t tmpfs -o size=256k,mode=700 small data || exit 9
    OPTION
    exec SERVER "$@"
' sh "$@"
"#;

/// Whether this machine lets us mount; else the cases are left out.
#[expect(clippy::print_stderr, reason = "the runner keeps it: what was left out, and why")]
fn may_mount() -> Result<bool> {
    let tried =
        Program::new("unshare").args(["--mount", "mount", "-t", "tmpfs", "none", "/mnt"]).run(SOON)?;
    if tried.code != Some(0) {
        eprintln!("left out: no mount namespace can be made here");
    }
    Ok(tried.code == Some(0))
}

fn small(folder: &Scratch, option: &str) -> Result<PathBuf> {
    let server = jackfield_e2e::server()?.display().to_string();
    folder.script("jackfield", &SMALL.replace("OPTION", option).replace("SERVER", &server))
}

/// A server on a small disk, whose hook was told of a start; none where that cannot be made.
fn on_a_small_disk() -> Result<Option<(Scratch, Receiver, Server)>> {
    if !may_mount()? {
        return Ok(None);
    }
    let folder = Scratch::new()?;
    let receiver = Receiver::start(|_| Reply::status(204))?;
    let server =
        Server::builder().binary(small(&folder, "")?).config(told_of_starts(&receiver, "")).start()?;
    publish(&server, "before")?;
    starts(&receiver, 1, "before")?;
    Ok(Some((folder, receiver, server)))
}

/// Runs a line of shell among the mounts of the server.
fn among(server: &Server, line: &str) -> Result<()> {
    let target = format!("--target={}", server.pid());
    let done = Program::new("nsenter")
        .args([
            target,
            "--mount".into(),
            "--wd".into(),
            "--".into(),
            "sh".into(),
            "-c".into(),
            line.to_owned(),
        ])
        .run(SOON)?;
    ensure!(done.code == Some(0), "{line}: {done:?}");
    Ok(())
}

/// The keys of the starts that the log on disk has, as the API reads them.
fn stored(server: &Server) -> Result<Vec<String>> {
    let data = format!("/proc/{}/root{}/data", server.pid(), server.folder().display());
    let token = std::fs::read_to_string(format!("{data}/admin.token")).context("the admin token")?;
    let api = jackfield_e2e::Api::new(server.http(), token.trim_end());
    let list = api.get("events/log?type=publish_start&order=asc&limit=1000")?.expect(200)?.body;
    let items = list["items"].as_array().context("no items")?;
    Ok(items.iter().filter_map(|event| event["stream_key"].as_str().map(str::to_owned)).collect())
}

#[test]
fn a_disk_that_fills_up_delays_no_event_and_what_memory_held_is_stored_when_there_is_room() -> Result<()> {
    let Some((_folder, receiver, server)) = on_a_small_disk()? else { return Ok(()) };
    among(
        &server,
        "dd if=/dev/zero of=data/filled bs=1k 2>/dev/null; ! echo more >> data/filled 2>/dev/null",
    )?;
    // The last block of a file may have room: it is used up by some events.
    for number in 0..12 {
        publish(&server, &format!("full-{number}"))?;
    }
    starts(&receiver, 13, "full-11")?;
    server.wait_log("that it is full", SOON, |line| {
        line.message() == "The log of events cannot be written, events are held in memory"
    })?;
    among(&server, "rm data/filled")?;
    server.wait_log("that there is room", SOON, |line| {
        line.message() == "The log of events is written again"
    })?;
    publish(&server, "after")?;
    let told = starts(&receiver, 14, "after")?;
    ensure!(told.len() == 14, "told {told:?}");
    eventually("all of them in the log", SOON, || Ok((stored(&server)? == told).then_some(())))?;
    server.stop().map(drop)
}

#[test]
fn a_read_only_data_folder_keeps_the_server_from_starting() -> Result<()> {
    if !may_mount()? {
        return Ok(());
    }
    let folder = Scratch::new()?;
    let ended = Program::new(small(&folder, "mount -o remount,ro data")?)
        .args(["--listen", "127.0.0.1:0", "--http-listen", "off", "--data-dir", "data"])
        .cwd(folder.path())
        .run(SOON)?;
    ensure!(ended.code == Some(1), "{ended:?}");
    ensure!(
        ended.stderr.contains("cannot use the data folder data: Read-only file system"),
        "{}",
        ended.stderr
    );
    Ok(())
}

#[test]
fn a_disk_that_becomes_read_only_delays_no_event() -> Result<()> {
    let Some((_folder, receiver, server)) = on_a_small_disk()? else { return Ok(()) };
    // A file that is open for writing keeps a file system from becoming read-only: it is one of others that covers it.
    among(
        &server,
        "mount -t tmpfs -o ro,size=4k none data/events && mount -t tmpfs -o ro none data/deliveries",
    )?;
    for number in 0..3 {
        publish(&server, &format!("closed-{number}"))?;
    }
    let told = starts(&receiver, 4, "closed-2")?;
    ensure!(told.len() == 4, "told {told:?}");
    server.stop().map(drop)
}
