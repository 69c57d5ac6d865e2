//! Standard output and error lead nowhere: to a full disk, to a reader that stands still or is gone.
//!
//! What a closed or unread standard output does to the events is tested with the rest of bad input.

use super::{allowed, told};
use anyhow::{Result, ensure};
use jackfield_e2e::rtmp::Client;
use jackfield_e2e::{
    Broadcast, LogLine, Paused, Program, Running, SOON, Scratch, Server, eventually, free_port, server,
};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use socket2::SockRef;
use std::fs::File;
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

#[test]
fn events_that_find_the_disk_full_are_left_out_and_told_once() -> Result<()> {
    let folder = Scratch::new()?;
    let server = server()?;
    let script = format!("#!/bin/sh\nexec {} \"$@\" >/dev/full\n", server.display());
    let script = folder.script("jackfield", &script)?;
    let server = Server::builder().binary(script).log_level("info").start()?;
    let broadcast = Broadcast::start(server.rtmp(), "show")?;
    (0..20).try_for_each(|number| allowed(&server, &format!("beside-{number}")))?;
    broadcast.finish()?;
    let ended = server.stop()?;
    let warnings =
        told(&ended.log, "Cannot write events to a standard stream, they are counted and left out");
    ensure!(warnings == 1, "{warnings} warnings");
    Ok(())
}

/// Connections that come and go, each of some lines: more than a pipe holds and the server keeps for a late reader (8192).
const CONNECTIONS: usize = 6000;

/// A server whose log goes to a named pipe, or wherever else the shell sends it.
struct Logging {
    program: Running,
    rtmp: SocketAddr,
    pipe: PathBuf,
    // Last, so that it goes after the program that uses it.
    _folder: Scratch,
}

impl Logging {
    /// Starts it and waits until it listens, which nobody hears it say. It logs as much as it can.
    fn start(redirect: &str) -> Result<Self> {
        let (folder, port) = (Scratch::new()?, free_port()?);
        let pipe = folder.path().join("log");
        mknodat(CWD, &pipe, FileType::Fifo, Mode::from_raw_mode(0o600), 0)?;
        let rtmp = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let line = format!(
            "exec {} --listen {rtmp} --http-listen off --log-level trace --log-format json {redirect}",
            server()?.display()
        );
        let program = Program::new("bash").args(["-c", &line]).cwd(folder.path()).start()?;
        let logging = Self { program, rtmp, pipe, _folder: folder };
        Ok(logging)
    }

    fn listens(&self) -> Result<()> {
        eventually("listener", SOON, || Ok(TcpStream::connect(self.rtmp).ok().map(drop)))
    }

    /// Streams, and makes more log than a pipe holds and a queue takes.
    fn work(&self) -> Result<()> {
        self.listens()?;
        let broadcast = Broadcast::start(self.rtmp, "show")?;
        for _ in 0..CONNECTIONS {
            let peer = TcpStream::connect(self.rtmp)?;
            // Reset at its end, so that it holds no port.
            SockRef::from(&peer).set_linger(Some(Duration::ZERO))?;
        }
        // It is accepted after all others.
        drop(Client::connect(self.rtmp, "live")?);
        broadcast.wait(10)?;
        broadcast.finish()?;
        Ok(())
    }

    /// Stops it as a user does.
    fn stop(&mut self) -> Result<()> {
        let status = self.program.end(SOON);
        ensure!(status.is_some_and(|status| status.code() == Some(0)), "it ended with {status:?}");
        Ok(())
    }
}

#[test]
fn a_log_that_finds_the_disk_full_stops_nothing() -> Result<()> {
    let mut logging = Logging::start("2>/dev/full")?;
    logging.work()?;
    logging.stop()
}

#[test]
fn a_log_whose_reader_is_gone_stops_nothing() -> Result<()> {
    let mut logging = Logging::start("2>log")?;
    // The open of the one end waits for that of the other; then it goes.
    drop(File::open(&logging.pipe)?);
    logging.work()?;
    logging.stop()
}

#[test]
fn a_log_whose_reader_stands_still_stops_nothing_and_what_was_lost_is_told() -> Result<()> {
    let mut logging = Logging::start("2>log")?;
    let reader = Program::new("cat").args([&logging.pipe]).start()?;
    logging.listens()?;
    let paused = Paused::new(reader.pid())?;
    logging.work()?;
    drop(paused);
    // It reads again, and is told how many it has missed.
    let lost = reader.stdout().wait("a line that tells of lost ones", SOON, |lines: &[String]| {
        let line = lines.iter().find(|line| line.contains("Log lines were dropped"))?;
        LogLine::parse(line)?.value("lost")?.as_u64()
    })?;
    ensure!(lost > 0, "nothing was lost");
    logging.stop()?;
    reader.stdout().wait_closed("the log", SOON)
}

#[test]
fn a_log_that_nobody_reads_holds_up_no_stop() -> Result<()> {
    let mut logging = Logging::start("2>log")?;
    let reader = File::open(&logging.pipe)?;
    logging.work()?;
    logging.stop()?;
    // It was held until now.
    let mut first = [0; 1];
    ensure!((&reader).read(&mut first)? == 1, "nothing was logged");
    Ok(())
}
