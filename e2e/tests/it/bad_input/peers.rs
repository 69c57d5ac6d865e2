//! Who connects and does not speak RTMP, or hardly at all.

use super::{Raw, a_client_gets_through, noise};
use anyhow::{Context, Result, ensure};
use jackfield_e2e::{LogLine, Receiver, Reply, SOON, Server};
use rustix::process::{Resource, getrlimit, setrlimit};
use std::io::Write;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

#[test]
fn who_speaks_no_rtmp_is_closed_warned_of_once_and_no_hook_is_asked() -> Result<()> {
    let receiver = Receiver::start(|_| Reply::status(204))?;
    let url = receiver.url("/all");
    let server = Server::builder()
        .config(format!(
            "[rtmp]\nhandshake_timeout = \"1s\"\n[[hook]]\nname = \"all\"\non = [\"*\"]\nurl = \"{url}\"\n"
        ))
        .start()?;
    let foreign: [Vec<u8>; 5] = [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
        [&b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03"[..], &noise(1, 500)].concat(),
        [&b"\xff"[..], &noise(2, 20_000)].concat(),
        b"\0".to_vec(),
        b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(),
    ];
    // These begin as RTMP does; the last even ends its handshake.
    let akin: [Vec<u8>; 2] =
        [[&b"\x03"[..], &noise(3, 700)].concat(), [&b"\x03"[..], &noise(4, 40_000)].concat()];
    for bytes in foreign.iter().chain(&akin) {
        let mut peer = Raw::open(&server)?;
        peer.say(bytes);
        peer.wait_closed()?;
    }
    server.events().lines().wait("end of every connection", SOON, |lines| {
        let ends = lines.iter().filter(|line| line.contains("\"connection_close\"")).count();
        (ends == foreign.len() + akin.len()).then_some(())
    })?;
    drop(a_client_gets_through(&server, "after")?);
    let ended = server.stop()?;

    let warnings = ended.log.iter().filter_map(|line| LogLine::parse(line));
    let warnings = warnings.filter(|line| line.message() == "Peer does not speak RTMP");
    ensure!(warnings.count() == 1, "one line for all of them");
    // Only the client after them was asked about.
    let asked = receiver.requests().all();
    let asked = asked
        .iter()
        .filter_map(jackfield_e2e::Request::event)
        .filter(|event| event.starts_with("authorize_") || event.starts_with("resolve_"));
    let asked: Vec<String> = asked.collect();
    ensure!(asked == ["authorize_connection", "resolve_publish", "authorize_publish"], "{asked:?}");
    Ok(())
}

/// Half say nothing at all, half a byte a second.
const PEERS: usize = 1000;

#[test]
fn a_thousand_peers_that_say_nearly_nothing_hold_up_nobody_and_end_at_the_deadline() -> Result<()> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).context("descriptors for the peers")?;
    let server = Server::builder().log_level("info").start()?;

    let mut peers = (0..PEERS).map(|_| Raw::open(&server)).collect::<Result<Vec<_>>>()?;
    let (end, ended) = channel::<()>();
    std::thread::scope(|scope| {
        let slow = peers.iter().step_by(2).map(|peer| peer.0.try_clone()).collect::<Result<Vec<_>, _>>()?;
        scope.spawn(move || {
            // RTMP 1.0 §5.2.2: the version. The rest is whatever the client likes.
            while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(Duration::from_secs(1)) {
                for mut socket in &slow {
                    socket.write_all(b"\x03").unwrap_or_default();
                }
            }
        });
        let client = a_client_gets_through(&server, "beside")?;
        let closed = server.events().kinds(|event| event.data("reason") == Some("timeout"))?;
        ensure!(closed.len() < PEERS, "the client came after all peers had gone");
        for peer in &mut peers {
            peer.wait_closed()?;
        }
        drop((client, end));
        anyhow::Ok(())
    })?;
    server.events().lines().wait("timeout of every peer", SOON, |lines| {
        let timeout = |line: &&String| line.contains("\"connection_close\"") && line.contains("\"timeout\"");
        (lines.iter().filter(timeout).count() == PEERS).then_some(())
    })?;
    server.stop()?;
    Ok(())
}
