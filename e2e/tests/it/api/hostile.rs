//! Requests that are not meant well: none takes the server down, and none is answered with what it should not be.

use anyhow::{Context, Result, ensure};
use jackfield_e2e::{Api, SOON, Server, all_cases, eventually};
use serde_json::json;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

#[test]
fn requests_that_are_malformed_are_refused_and_the_server_goes_on() -> Result<()> {
    let server = Server::builder().start()?;
    let api = Api::admin(&server)?;
    let auth = api.authorization();
    let post = |kind: &str, body: &str| {
        api.raw(&format!(
            "POST /api/v1/session HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        ))
    };
    ensure!(post("text/plain", "{}")?.status == 415);
    ensure!(post("application/json", "{\"token\":")?.status == 400);
    ensure!(post("application/json", "{\"token\":1}")?.status == 422);
    ensure!(post("application/json", "{\"token\":\"x\",\"tokn\":1}")?.status == 422);
    ensure!(post("application/json", &"[".repeat(100_000))?.status == 422);
    ensure!(post("application/json", &format!("\"{}\"", "x".repeat(2 << 20)))?.status == 413);
    for path in [
        "../../../etc/passwd",
        "streams/..%2F..%2Fadmin.token",
        "streams/%00",
        "%2e%2e/%2e%2e/data/admin.token",
        "streams//x",
    ] {
        let answer = api.get(path)?;
        ensure!([400, 404].contains(&answer.status), "{path}: {}", answer.status);
        ensure!(answer.header("content-type") == "application/problem+json", "{path}: {}", answer.text);
        ensure!(!answer.text.contains(api.token()), "{path}");
    }
    for method in ["PUT", "PATCH", "TRACE", "CONNECT", "FOO"] {
        let answer = api.raw(&format!(
            "{method} /api/v1/version HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{auth}\r\n"
        ))?;
        ensure!((400..500).contains(&answer.status), "{method}: {}", answer.status);
    }
    // What is no HTTP, heads without end, and a body that is announced and does not come.
    let long =
        format!("GET /api/v1/version HTTP/1.1\r\n{}", format!("x-{}: y\r\n", "a".repeat(500)).repeat(200));
    for bytes in ["\r\n\r\n\r\n", "\0\u{1}\u{2}", "GET /api/v1/health HTTP/9.9\r\n\r\n", long.as_str()] {
        let mut socket = TcpStream::connect(server.http())?;
        // It may close before it has read all.
        let _written = socket.write_all(bytes.as_bytes());
        drop(socket);
    }
    api.get("version")?.expect(200)?;
    Ok(())
}

#[test]
fn bodies_that_never_come_hold_up_nobody_else() -> Result<()> {
    let server = Server::builder().start()?;
    let api = Api::admin(&server)?;
    let mut slow = Vec::new();
    for _ in 0..300 {
        let mut socket = TcpStream::connect(server.http())?;
        socket.write_all(
            b"POST /api/v1/session HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{",
        )?;
        slow.push(socket);
    }
    for _ in 0..20 {
        api.get("version")?.expect(200)?;
        api.with_token("").get("health")?.expect(200)?;
    }
    // They have taken all places of those who log in from their address, and no others.
    let late = eventually("a login that finds no place", SOON, || {
        let answer = api.with_token("").post("session", &json!({ "token": api.token() }))?;
        Ok((answer.status == 503).then_some(answer))
    })?;
    ensure!(late.header("retry-after") == "1", "{late:?}");
    if !all_cases() {
        return Ok(());
    }
    let mut first = slow.into_iter().next().context("a slow client")?;
    first.set_read_timeout(Some(SOON))?;
    let mut answer = [0; 12];
    first.read_exact(&mut answer)?;
    ensure!(&answer == b"HTTP/1.1 408", "{}", String::from_utf8_lossy(&answer));
    Ok(())
}

#[test]
fn guessing_is_slowed_down_and_told_and_locks_out_nobody() -> Result<()> {
    let server = Server::builder().start()?;
    let api = Api::admin(&server)?;
    let guess = |number: usize| api.with_token(&format!("jf_{number:043}")).get("version");
    for number in 0..10 {
        guess(number)?.expect(401)?;
    }
    let slowed = guess(10)?.expect(429)?;
    ensure!(!slowed.header("retry-after").is_empty(), "{slowed:?}");
    api.get("version")?.expect(200)?;
    server.wait_log("a token that there is not", SOON, |line| {
        line.message() == "Somebody shows a token that there is not"
            && line.field("peer") == Some("127.0.0.1")
    })?;
    Ok(())
}

#[test]
fn a_client_that_reads_nothing_is_not_waited_for() -> Result<()> {
    let server = Server::builder().start()?;
    let api = Api::admin(&server)?;
    let mut silent = Vec::new();
    for _ in 0..if all_cases() { 50 } else { 5 } {
        let mut socket = TcpStream::connect(server.http())?;
        socket.set_write_timeout(Some(Duration::from_millis(100)))?;
        let request = format!("GET /api/v1/openapi.json HTTP/1.1\r\nhost: x\r\n{}\r\n", api.authorization());
        for _ in 0..100 {
            match socket.write_all(request.as_bytes()) {
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break,
                result => result?,
            }
        }
        silent.push(socket);
    }
    for _ in 0..20 {
        api.get("streams")?.expect(200)?;
    }
    Ok(())
}
