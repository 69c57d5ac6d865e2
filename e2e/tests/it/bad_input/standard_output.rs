//! Standard output that is closed, or that nobody reads.

use super::a_client_gets_through;
use super::flood::{PICTURES, flood};
use anyhow::{Context, Result, ensure};
use jackfield_e2e::{
    BytesFn, Journal, PlayerKind, PublisherKind, SOON, Server, Stdout, clip, compare, forget_peak, peak_kib,
    resident_kib,
};
use serde_json::Value;
use std::sync::mpsc::channel;

/// What the queue may take of the server's memory.
const QUEUE_KIB: u64 = 24 * 1024;

/// Floods the server with events while a player plays.
/// What the log of events holds in memory is no leak either: as little of it as can be.
const LITTLE_MEMORY: &str = "[events]\nmemory = \"1MiB\"\n";

fn media_is_unaffected(server: &Server) -> Result<()> {
    let clip = clip::standard()?;
    let _publisher = PublisherKind::Ffmpeg.start(clip.path(), &server.url("live/show"))?;
    let player = PlayerKind::Rtmpdump.start(&server.url("live/show"))?;
    forget_peak(server.pid())?;
    let before = resident_kib(server.pid())?;
    std::thread::scope(|scope| {
        let (stop, stopped) = channel();
        let flooding = scope.spawn(move || flood(server, "flood", &stopped));
        player.wait_video(PICTURES, SOON)?;
        compare(clip.recording(), &player.finish()?, PICTURES)?;
        drop(a_client_gets_through(server, "beside")?);
        drop(stop);
        flooding.join().ok().context("the flood panicked")?
    })?;
    let grown = peak_kib(server.pid())?.saturating_sub(before);
    ensure!(grown < QUEUE_KIB, "the server grew by {grown} KiB");
    Ok(())
}

#[test]
fn a_closed_standard_output_is_told_once_and_stops_nothing() -> Result<()> {
    let server = Server::builder().config(LITTLE_MEMORY).stdout(Stdout::Closed).log_level("info").start()?;
    media_is_unaffected(&server)?;
    let told = "Cannot write events to a standard stream, they are counted and left out";
    server.wait_log("warning", SOON, |line| line.message() == told)?;
    let ended = server.stop()?;
    let warnings = ended.log.iter().filter(|line| line.contains(told)).count();
    ensure!(warnings == 1, "{warnings} warnings");
    Ok(())
}

#[test]
fn a_standard_output_that_nobody_reads_stops_nothing() -> Result<()> {
    let server = Server::builder()
        .config(format!("[server]\ndrain_timeout = \"1s\"\n{LITTLE_MEMORY}"))
        .stdout(Stdout::Unread)
        .log_level("info")
        .start()?;
    media_is_unaffected(&server)?;
    server.stop()?;
    Ok(())
}

#[test]
fn events_that_a_late_reader_has_missed_are_counted_to_the_last() -> Result<()> {
    let (read, may_read) = channel::<()>();
    let (lines, mut text) = (Journal::default(), Vec::new());
    let into = lines.clone();
    let reader = BytesFn::new(move |block: &[u8]| {
        // Until the other end is dropped.
        may_read.recv().unwrap_or_default();
        text.extend_from_slice(block);
        while let Some(end) = text.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = text.drain(..=end).collect();
            into.push(serde_json::from_slice(&line).unwrap_or(Value::Null));
        }
        if block.is_empty() {
            into.close();
        }
    });
    let server =
        Server::builder().config(LITTLE_MEMORY).stdout(Stdout::Bytes(reader)).log_level("info").start()?;
    media_is_unaffected(&server)?;
    drop(read);
    // It comes behind the last of the flood, which may still wait in the kernel when that has ended.
    drop(a_client_gets_through(&server, "last")?);
    lines.wait("the end of the last client", SOON, |lines| {
        lines.iter().find(|line| {
            line.get("type") == Some(&"publish_stop".into())
                && line.get("stream_key") == Some(&"live/last".into())
        })?;
        Some(())
    })?;
    server.stop()?;
    lines.wait_closed("standard output", SOON)?;

    let lines: Vec<Value> = lines.all();
    let number = |line: &Value| line.get("seq")?.as_str()?.parse::<u64>().ok();
    let numbers = lines.iter().map(number).collect::<Option<Vec<_>>>().context("a line is no event")?;
    ensure!(numbers.is_sorted_by(|a, b| a < b), "events came out of order");
    let missing: u64 = numbers.windows(2).map(|pair| pair[1] - pair[0] - 1).sum();
    let told: u64 = lines.iter().filter_map(|line| line.get("num_dropped")?.as_u64()).sum();
    ensure!(missing > 0, "nothing was dropped: the flood was too small");
    ensure!(missing == told, "{missing} are missing, {told} were told");
    Ok(())
}
