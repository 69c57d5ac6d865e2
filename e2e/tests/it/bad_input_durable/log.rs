//! The log of events: a stretch of it that is damaged, all of it gone under the server.

use super::{publish, starts, told_of_starts};
use anyhow::{Context, Result, ensure};
use jackfield_e2e::{Api, Receiver, Reply, SOON, Scratch, Server, eventually};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

const FROM_THE_BEGINNING: &str = "from = \"beginning\"";

/// The files of the log, the oldest first.
fn segments(data: &Path) -> Result<Vec<PathBuf>> {
    let folder = data.join("events/log");
    let entries = std::fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
    let paths: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    let mut found: Vec<PathBuf> =
        paths.into_iter().filter(|path| path.extension().is_some_and(|is| is == "seg")).collect();
    found.sort();
    ensure!(!found.is_empty(), "no segment in {}", folder.display());
    Ok(found)
}

/// Where the start of the publisher of this key stands in a segment.
fn place_of(bytes: &[u8], key: &str) -> Result<usize> {
    let find = |from: usize, what: &str| {
        let rest = bytes.get(from..)?;
        rest.windows(what.len()).position(|window| window == what.as_bytes()).map(|at| from + at)
    };
    let key = format!("\"stream_key\":\"{key}\"");
    let mut from = 0;
    while let Some(start) = find(from, "\"type\":\"publish_start\"") {
        let next = find(start + 1, "\"type\":").unwrap_or(bytes.len());
        if let Some(at) = find(start, &key).filter(|at| *at < next) {
            return Ok(at);
        }
        from = start + 1;
    }
    anyhow::bail!("no start of {key} in the log")
}

#[test]
fn an_event_that_is_damaged_on_disk_is_left_out_and_told_and_the_others_are_delivered() -> Result<()> {
    let folder = Scratch::new()?;
    let data = folder.path().join("data");
    let server = Server::builder().data_dir(&data).start()?;
    for number in 0..6 {
        publish(&server, &format!("s{number}"))?;
    }
    server.stop()?;
    let segment = segments(&data)?.into_iter().next().context("a segment")?;
    let mut bytes = std::fs::read(&segment)?;
    let at = place_of(&bytes, "live/s3")?;
    *bytes.get_mut(at).context("its place")? ^= 0x20;
    std::fs::write(&segment, bytes)?;

    let receiver = Receiver::start(|_| Reply::status(204))?;
    let config = told_of_starts(&receiver, FROM_THE_BEGINNING);
    let server = Server::builder().data_dir(&data).config(config).start()?;
    let line = server.wait_log("what is damaged", SOON, |line| {
        line.message() == "Parts of the log of events cannot be read, they are skipped"
    })?;
    ensure!(line.value("corrupt_bytes").is_some_and(|bytes| bytes.as_u64() > Some(0)), "{line:?}");
    publish(&server, "after")?;
    let told = starts(&receiver, 6, "after")?;
    ensure!(told == ["live/s0", "live/s1", "live/s2", "live/s4", "live/s5", "live/after"], "told {told:?}");
    server.stop().map(drop)
}

/// Files, folders and pipes with the names of segments, in all that is kept as a log.
#[test]
fn segments_that_are_none_do_not_keep_the_server_from_its_work() -> Result<()> {
    let folder = Scratch::new()?;
    let data = folder.path().join("data");
    for kept in ["events/log", "events/dead", "deliveries"] {
        let kept = data.join(kept);
        std::fs::create_dir_all(&kept)?;
        std::fs::write(kept.join("00000000000000000001.seg"), "not ours")?;
        std::fs::write(kept.join("00000000000000000009.seg"), "")?;
        std::fs::write(kept.join("what.seg"), "x")?;
        std::fs::create_dir(kept.join("00000000000000000003.seg"))?;
        let pipe = kept.join("00000000000000000005.seg");
        mknodat(CWD, &pipe, FileType::Fifo, Mode::from_raw_mode(0o600), 0)?;
    }
    // A second start finds what the first has written beside.
    for name in ["first", "second"] {
        let receiver = Receiver::start(|_| Reply::status(204))?;
        let config = told_of_starts(&receiver, FROM_THE_BEGINNING);
        let server = Server::builder().data_dir(&data).config(config).start()?;
        publish(&server, name)?;
        ensure!(starts(&receiver, 1, name)? == [format!("live/{name}")], "it is told more, or less");
        let token = std::fs::read_to_string(data.join("admin.token"))?;
        let api = Api::new(server.http(), token.trim_end());
        let delivered = || api.get(&format!("deliveries?key=live/{name}"))?.expect(200);
        eventually("the delivery", SOON, || {
            Ok(delivered()?.body["items"].as_array().filter(|items| items.len() == 1).map(|_| ()))
        })?;
        api.get("dead-letters")?.expect(200)?;
        server.stop()?;
    }
    Ok(())
}

#[test]
fn hooks_are_told_all_the_same_when_the_log_is_removed_under_the_server() -> Result<()> {
    let receiver = Receiver::start(|_| Reply::status(204))?;
    let server = Server::builder().config(told_of_starts(&receiver, "")).start()?;
    let events = server.folder().join("data/events");
    publish(&server, "before")?;
    starts(&receiver, 1, "before")?;
    // The server may put a file into a folder while it is being emptied.
    eventually("end of the log", SOON, || {
        std::fs::remove_dir_all(&events).or_else(|error| match error.kind() {
            ErrorKind::DirectoryNotEmpty | ErrorKind::NotFound => Ok(()),
            _ => Err(error),
        })?;
        Ok((!events.exists()).then_some(()))
    })?;
    for number in 0..5 {
        publish(&server, &format!("after-{number}"))?;
    }
    let told = starts(&receiver, 6, "after-4")?;
    ensure!(told.len() == 6, "told {told:?}");
    // Its place in the log is kept again too: the next server tells it nothing twice.
    eventually("the hook's place", SOON, || Ok(events.join("cursors/starts.json").is_file().then_some(())))?;
    server.stop().map(drop)
}
