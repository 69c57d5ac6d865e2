//! Crowds: thousands of connections a second, and thousands that do nothing.

#![expect(clippy::disallowed_methods, reason = "how long it took is what is asked here, within wide limits")]

use super::{Crowd, allowed, told};
use anyhow::{Context, Result, ensure};
use jackfield_e2e::rtmp::Client;
use jackfield_e2e::{
    Broadcast, Event, Server, all_cases, check_pairs, eventually, forget_peak, peak_kib,
    raise_own_descriptors, resident_kib,
};
use rustix::event::{PollFd, Timespec, poll};
use socket2::SockRef;
use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// Connections a second.
const RATE: usize = 5000;
/// What all of them together may take of the server's memory: its events, its log, and tasks that end.
const FLAT_KIB: u64 = 48 * 1024;
/// Thousands take their time on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// What a connection may take that has said nothing, and one that has said `connect`. These are builds for debugging.
const SILENT_KIB: u64 = 12;
const CONNECTED_KIB: u64 = 40;

fn start(config: &str) -> Result<Server> {
    Server::builder().config(config).log_level("info").start()
}

/// Waits until the server has taken in so many more than it had.
fn wait_taken(server: &Server, before: usize, more: usize) -> Result<()> {
    eventually("descriptor for each", PATIENCE, || Ok((server.descriptors()? >= before + more).then_some(())))
}

fn wait_gone(server: &Server, before: usize) -> Result<()> {
    eventually("free descriptors", PATIENCE, || Ok((server.descriptors()? <= before).then_some(())))
}

/// Checks the events, unless there were more than their reader took: then the server says that it has left some out.
fn check_told(events: &[Event]) -> Result<()> {
    let whole = events.iter().all(|event| event.json().get("num_dropped").is_none());
    if whole { check_pairs(events) } else { Ok(()) }
}

/// Lets so many connections come and go at the rate, every fourth with half of a handshake; how long it took.
fn rush(server: &Server, connections: usize) -> Result<Duration> {
    let began = Instant::now();
    for number in 0..connections {
        let mut peer = TcpStream::connect(server.rtmp()).context("the rush")?;
        if number.is_multiple_of(4) {
            peer.write_all(&[3; 700])?;
        }
        // Reset at its end: closed in order, it would hold its port for a minute, and there are not so many.
        SockRef::from(&peer).set_linger(Some(Duration::ZERO))?;
        drop(peer);
        if number.is_multiple_of(50) {
            let due = Duration::from_secs(1) * u32::try_from(number)? / u32::try_from(RATE)?;
            let early = Timespec::try_from(due.saturating_sub(began.elapsed()))?;
            poll(&mut [] as &mut [PollFd<'_>], Some(&early)).context("the pace")?;
        }
    }
    Ok(began.elapsed())
}

#[test]
fn five_thousand_connections_a_second_cost_no_viewer_a_picture() -> Result<()> {
    // What is measured is not the log, which keeps its newest in memory.
    let server = start("[events]\nmemory = \"1MiB\"\n")?;
    let broadcast = Broadcast::start(server.rtmp(), "show")?;
    allowed(&server, "before")?;
    let descriptors = server.descriptors()?;
    forget_peak(server.pid())?;
    let before = resident_kib(server.pid())?;
    let connections = RATE * if all_cases() { 10 } else { 1 };
    let took = std::thread::scope(|scope| {
        let rushing = scope.spawn(|| rush(&server, connections));
        // They come between the others.
        for number in 0..5 {
            allowed(&server, &format!("beside-{number}"))?;
            broadcast.wait(5)?;
        }
        rushing.join().ok().context("the rush panicked")?
    })?;
    let grown = peak_kib(server.pid())?.saturating_sub(before);
    println!("{connections} connections in {took:?}; the server grew by {grown} KiB");
    ensure!(grown < FLAT_KIB, "the server grew by {grown} KiB");
    wait_gone(&server, descriptors)?;
    broadcast.finish()?;
    check_told(&server.stop()?.events.all()?)
}

/// How many there are to be, as far as the descriptors reach.
fn idle() -> Result<usize> {
    let wanted = if all_cases() { 10_000 } else { 1_000 };
    let room = usize::try_from(raise_own_descriptors()?).unwrap_or(usize::MAX);
    // The server keeps some for itself: docs/configuration.md, `max_connections`.
    Ok(wanted.min(room.saturating_sub(room / 4).saturating_sub(100)))
}

#[test]
fn thousands_that_never_begin_cost_little_and_go_at_their_deadline() -> Result<()> {
    let idle = idle()?;
    // On a busy machine the first of them must not be gone before the last has come.
    let timeout = if all_cases() { "10s" } else { "5s" };
    let config = format!("[rtmp]\nhandshake_timeout = \"{timeout}\"\n");
    let server = start(&config)?;
    let broadcast = Broadcast::start(server.rtmp(), "show")?;
    let (descriptors, before) = (server.descriptors()?, resident_kib(server.pid())?);
    let crowd = Crowd::open(server.rtmp(), idle)?;
    wait_taken(&server, descriptors, idle)?;
    let each = resident_kib(server.pid())?.saturating_sub(before) * 1024 / idle as u64;
    println!("{idle} connections that say nothing: {each} bytes of the server's memory each");
    ensure!(each < SILENT_KIB * 1024, "{each} bytes each");
    allowed(&server, "beside")?;

    crowd.wait_closed(idle)?;
    wait_gone(&server, descriptors)?;
    drop(crowd);
    broadcast.finish()?;
    let ended = server.stop()?;
    let events = ended.events.all()?;
    let others =
        |event: &&Event| event.kind() == "connection_close" && event.data("reason") != Some("timeout");
    let others = events.iter().filter(others).count();
    ensure!(others <= 3, "{others} went for other reasons than their deadline");
    check_told(&events)
}

#[test]
fn thousands_that_connect_and_ask_for_nothing_cost_little() -> Result<()> {
    let idle = idle()?;
    let server = start("")?;
    let broadcast = Broadcast::start(server.rtmp(), "show")?;
    let (descriptors, before) = (server.descriptors()?, resident_kib(server.pid())?);
    let crowd = (0..idle).map(|_| Client::connect(server.rtmp(), "live")).collect::<Result<Vec<_>>>()?;
    let each = resident_kib(server.pid())?.saturating_sub(before) * 1024 / idle as u64;
    println!("{idle} connections that are connected: {each} bytes of the server's memory each");
    ensure!(each < CONNECTED_KIB * 1024, "{each} bytes each");
    allowed(&server, "beside")?;
    broadcast.wait(10)?;
    drop(crowd);
    wait_gone(&server, descriptors)?;
    broadcast.finish()?;
    check_told(&server.stop()?.events.all()?)
}

#[test]
fn over_its_limit_of_connections_the_server_turns_away_and_keeps_who_is_there() -> Result<()> {
    let config = "[server]\nmax_connections = 50\n[rtmp]\nhandshake_timeout = \"1s\"\n";
    let server = start(config)?;
    let broadcast = Broadcast::start(server.rtmp(), "show")?;
    let crowd = Crowd::open(server.rtmp(), 200)?;
    // Two of the fifty are the publisher and the viewer.
    crowd.wait_closed(200 - 48)?;
    // The others go at their deadline, and leave room.
    crowd.wait_closed(200)?;
    allowed(&server, "after")?;
    broadcast.finish()?;
    let ended = server.stop()?;
    let events = ended.events.all()?;
    let accepted = events.iter().filter(|event| event.kind() == "connection_accept").count();
    ensure!(accepted == 51, "{accepted} were accepted");
    let warnings = told(&ended.log, "Connection refused");
    ensure!((1..=2).contains(&warnings), "{warnings} warnings");
    check_pairs(&events)
}
