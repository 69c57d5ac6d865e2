//! Bad input against the built server. `docs/bad-input.md` says which test stands for which input.

mod flood;
mod http;
mod impatient;
mod lifeline;
mod names;
mod peers;
mod protocol;
mod scripts;
mod standard_output;
mod tls;
mod webhooks;
mod workers;

use anyhow::{Context, Result, bail};
use jackfield_e2e::rtmp::Client;
use jackfield_e2e::{LogLine, SOON, Server};
use jiff::Timestamp;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};

/// A socket to one of the server's ports, without a client behind it.
struct Raw(TcpStream);

impl Raw {
    /// To its RTMP port.
    fn open(server: &Server) -> Result<Self> {
        Self::to(server.rtmp())
    }

    fn to(address: SocketAddr) -> Result<Self> {
        let socket = TcpStream::connect_timeout(&address, SOON).context("connecting")?;
        socket.set_read_timeout(Some(SOON))?;
        Ok(Self(socket))
    }

    /// Sends as much as the server takes: it may have closed meanwhile.
    fn say(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).unwrap_or_default();
    }

    /// Reads until the server closes.
    fn wait_closed(&mut self) -> Result<()> {
        self.read_to_end().map(drop)
    }

    /// Reads until the server closes, and returns what it said.
    fn read_to_end(&mut self) -> Result<Vec<u8>> {
        let mut said = vec![];
        let mut block = vec![0; 16 * 1024];
        loop {
            match self.0.read(&mut block) {
                Ok(0) => return Ok(said),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(said),
                Ok(count) => said.extend_from_slice(block.get(..count).unwrap_or_default()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => bail!("the server has not closed the connection: {error}"),
            }
        }
    }
}

/// A client like any other publishes and is told that it may.
fn a_client_gets_through(server: &Server, name: &str) -> Result<Client> {
    let mut client = Client::connect(server.rtmp(), "live")?;
    client.publish(name).context("a client like any other")?;
    Ok(client)
}

/// Bytes without pattern.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed | 1;
    let bytes = (0..length).map(|_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    });
    bytes.collect()
}

/// How a call of a hook ended, as the log tells it.
#[derive(Debug, Clone)]
struct HookCall {
    event: String,
    stream: String,
    outcome: String,
    /// From the moment when it was sent to its handler.
    elapsed_ms: u64,
    /// When its handler was asked, in microseconds. Lines of the log follow one another in the order in which those who
    /// asked had their turn, which is another one on a busy machine.
    asked_us: i64,
    pid: Option<u32>,
}

impl HookCall {
    fn read(line: &LogLine) -> Option<Self> {
        let number = |name: &str| line.value(name)?.as_u64();
        let ended: Timestamp = line.field("timestamp")?.parse().ok()?;
        let (elapsed, queued) = (number("elapsed_us")?, number("queued_us")?);
        // For a worker, the time until it had room.
        let connecting = number("connect_us").unwrap_or_default();
        let handled = elapsed.saturating_sub(queued).saturating_sub(connecting);
        Some(Self {
            asked_us: ended.as_microsecond().checked_sub_unsigned(handled)?,
            event: line.field("event")?.to_owned(),
            stream: line.field("stream").unwrap_or_default().to_owned(),
            outcome: line.field("outcome")?.to_owned(),
            elapsed_ms: (elapsed - queued) / 1000,
            pid: line.value("pid").and_then(|pid| u32::try_from(pid.as_u64()?).ok()),
        })
    }
}

/// All calls of a hook that have ended.
fn calls(server: &Server, hook: &str) -> Vec<HookCall> {
    server.log().read(|lines| calls_in(lines, hook))
}

fn calls_in(lines: &[String], hook: &str) -> Vec<HookCall> {
    let lines = lines.iter().filter_map(|line| LogLine::parse(line));
    let lines = lines.filter(|line| line.message() == "Hook called" && line.field("hook") == Some(hook));
    lines.filter_map(|line| HookCall::read(&line)).collect()
}

/// Waits for the end of the first call of a hook.
fn first_call(server: &Server, hook: &str) -> Result<HookCall> {
    server
        .log()
        .wait(&format!("end of a call of `{hook}`"), SOON, |lines| calls_in(lines, hook).into_iter().next())
}
