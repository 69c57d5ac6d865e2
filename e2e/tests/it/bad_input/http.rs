//! Clients of the HTTP listener that are slow, silent or speak something else.

use super::{Raw, a_client_gets_through, noise};
use anyhow::{Context, Result, ensure};
use jackfield_e2e::{SOON, Server, eventually, forget_peak, peak_kib, resident_kib};
use rustix::process::{Resource, getrlimit, setrlimit};
use std::io::Write;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// A third says nothing at all, a third half of a request, a third a byte a second.
const CLIENTS: usize = 1500;
/// What each of them may take of the server's memory: its task and the buffer of a head.
const CLIENT_KIB: u64 = 32;
/// What one client may take that sends as much as it can.
const FLAT_KIB: u64 = 8 * 1024;

/// A client like any other asks and is answered.
fn a_request_is_answered(server: &Server) -> Result<()> {
    let mut client = Raw::to(server.http())?;
    client.say(b"GET /api/v1/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let answer = client.read_to_end()?;
    let answer = String::from_utf8_lossy(&answer);
    ensure!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with(r#"{"status":"ok"}"#), "{answer}");
    Ok(())
}

#[test]
fn fifteen_hundred_half_sent_requests_hold_up_nobody_and_end_at_the_deadline() -> Result<()> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).context("descriptors for the clients")?;
    let server = Server::builder().log_level("info").start()?;
    a_request_is_answered(&server)?;
    let (descriptors, before) = (server.descriptors()?, resident_kib(server.pid())?);
    forget_peak(server.pid())?;

    let mut clients = (0..CLIENTS).map(|_| Raw::to(server.http())).collect::<Result<Vec<_>>>()?;
    for client in clients.iter_mut().skip(1).step_by(3) {
        client.say(b"GET /api/v1/health HTTP/1.1\r\nHost: loc");
    }
    let (end, ended) = channel::<()>();
    std::thread::scope(|scope| {
        let slow = clients.iter().skip(2).step_by(3).map(|client| client.0.try_clone());
        let slow = slow.collect::<Result<Vec<_>, _>>()?;
        scope.spawn(move || {
            let head = b"GET / HTTP/1.1\r\nA: ".iter().chain(std::iter::repeat(&b'a'));
            for byte in head {
                for mut socket in &slow {
                    socket.write_all(&[*byte]).unwrap_or_default();
                }
                if ended.recv_timeout(Duration::from_secs(1)) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
            }
        });
        for _ in 0..20 {
            a_request_is_answered(&server)?;
        }
        drop(a_client_gets_through(&server, "beside")?);
        ensure!(server.descriptors()? > descriptors + CLIENTS / 2, "the clients had gone before");
        for client in &mut clients {
            client.wait_closed()?;
            a_request_is_answered(&server)?;
        }
        drop(end);
        anyhow::Ok(())
    })?;
    eventually("descriptors as before", SOON, || Ok((server.descriptors()? <= descriptors).then_some(())))?;
    let grown = peak_kib(server.pid())?.saturating_sub(before);
    ensure!(grown < CLIENT_KIB * u64::try_from(CLIENTS)?, "the server grew by {grown} KiB");
    server.stop()?;
    Ok(())
}

#[test]
fn who_speaks_no_http_is_closed_and_takes_bounded_memory() -> Result<()> {
    let server = Server::builder().log_level("info").start()?;
    let get = |rest: &str| format!("GET /api/v1/health HTTP/1.1\r\nHost: localhost\r\n{rest}").into_bytes();
    let attacks: [(&str, Vec<u8>); 14] = [
        ("noise", noise(1, 100_000)),
        ("noise with line ends", noise(2, 100_000).iter().flat_map(|byte| [*byte, b'\n']).collect()),
        ("a handshake of TLS", [&b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03"[..], &noise(3, 500)].concat()),
        ("a handshake of RTMP", [&b"\x03\0\0\0\0\0\0\0\0"[..], &noise(4, 1528)].concat()),
        ("a request line of 10 MiB", [&b"GET /"[..], &vec![b'a'; 10 << 20]].concat()),
        ("a header of 10 MiB", [get("A: "), vec![b'a'; 10 << 20]].concat()),
        ("a hundred thousand headers", [get(""), b"A: a\r\n".repeat(100_000), b"\r\n".to_vec()].concat()),
        ("another version", b"GET / HTTP/9.9\r\n\r\n".to_vec()),
        ("a header with a NUL", get("A: \0\r\n\r\n")),
        ("two lengths", get("Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef")),
        ("a length that is none", get("Content-Length: -1\r\n\r\n")),
        ("a length of 2⁶⁴", get("Content-Length: 18446744073709551616\r\n\r\n")),
        (
            "a body longer than declared anywhere",
            [get("Content-Length: 9999999999\r\n\r\n"), vec![0; 10 << 20]].concat(),
        ),
        ("a chunk that is none", get("Transfer-Encoding: chunked\r\n\r\nxyz\r\n")),
    ];
    for (name, bytes) in attacks {
        forget_peak(server.pid())?;
        let before = resident_kib(server.pid())?;
        let mut client = Raw::to(server.http())?;
        // The server may close before it has read all.
        client.say(&bytes);
        client.wait_closed().context(name)?;
        let grown = peak_kib(server.pid())?.saturating_sub(before);
        ensure!(grown < FLAT_KIB, "{name}: the server grew by {grown} KiB");
        a_request_is_answered(&server).context(name)?;
    }
    server.stop()?;
    Ok(())
}
