//! Receivers of webhooks that are not there, are silent, or say what they should not.

use super::first_call;
use anyhow::{Context, Result, ensure};
use jackfield_e2e::receiver::refusing_url;
use jackfield_e2e::rtmp::{Client, Refused};
use jackfield_e2e::tls::Authority;
use jackfield_e2e::{Receiver, Reply, Request, Scratch, Server, forget_peak, peak_kib, resident_kib};
use std::time::Duration;

/// The timeout of the hooks here.
const TIMEOUT_MS: u64 = 1000;
/// What a busy machine may add until the end of a call is noted.
const SLACK_MS: u64 = 1000;
/// What all calls together may take of the server's memory.
const FLAT_KIB: u64 = 16 * 1024;

/// The path of the receiver says how it misbehaves; with the outcome that a question must have.
const CASES: [(&str, &str); 14] = [
    ("silent", "timeout"),
    ("status-500", "handler_error"),
    ("redirect", "handler_error"),
    ("huge", "protocol_error"),
    ("endless", "protocol_error"),
    ("slow-bytes", "timeout"),
    ("slow-body", "timeout"),
    ("not-json", "protocol_error"),
    ("wrong-json", "protocol_error"),
    ("reset", "transport_error"),
    ("closed", "transport_error"),
    ("half", "transport_error"),
    ("no-http", "transport_error"),
    ("huge-head", "transport_error"),
];

fn misbehave(request: &Request, target: &str) -> Reply {
    let body = |body: &[u8]| Reply::Full { status: 200, headers: vec![], body: body.to_vec() };
    let slowly = |reply| Reply::Slowly(Duration::from_millis(100), Box::new(reply));
    match request.path.trim_start_matches('/') {
        "silent" => Reply::Silence,
        "status-500" => Reply::status(500),
        "redirect" => Reply::redirect(301, target),
        "huge" => Reply::Flood { bytes: 64 << 20 },
        "endless" => Reply::Raw([&b"HTTP/1.1 200 OK\r\n\r\n"[..], &[b' '; 1 << 20]].concat()),
        "slow-bytes" => slowly(body(b"{}")),
        "slow-body" => Reply::Stall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{\"deci".to_vec()),
        "not-json" => body(b"<html>Welcome!</html>"),
        "wrong-json" => body(b"[\"allow\"]"),
        "reset" => Reply::Reset,
        "closed" => Reply::Close,
        "half" => Reply::Raw(b"HTTP/1.1 200 OK\r\nContent-Le".to_vec()),
        "no-http" => Reply::Raw(b"220 mail.example ESMTP\r\n".to_vec()),
        "huge-head" => Reply::Raw([&b"HTTP/1.1 200 OK\r\nX: "[..], &[b'x'; 4 << 20]].concat()),
        _ => Reply::status(404),
    }
}

fn hook(name: &str, url: &str, more: &str) -> String {
    format!(
        "[[hook]]\nname = \"{name}\"\non = [\"authorize_publish\"]\nstreams = [\"live/{name}\"]\nurl = \"{url}\"\ntimeout = \"{TIMEOUT_MS}ms\"\n{more}"
    )
}

/// A question whose hook fails is refused, with the right outcome, in time.
fn check(server: &Server, name: &str, outcome: &str) -> Result<()> {
    let answer = Client::connect(server.rtmp(), "live")?.publish(name);
    let refused: Refused = answer.err().context("it was allowed")?.downcast()?;
    ensure!(refused.description == "Refused.", "{refused}");
    let call = first_call(server, name)?;
    ensure!(call.outcome == outcome, "{} instead of {outcome}", call.outcome);
    ensure!(call.elapsed_ms <= TIMEOUT_MS + SLACK_MS, "it took {} ms", call.elapsed_ms);
    Ok(())
}

fn check_all(server: &Server, cases: &[(&'static str, &'static str)]) -> Result<()> {
    std::thread::scope(|scope| {
        let tries = cases.iter().map(|(name, outcome)| (name, scope.spawn(|| check(server, name, outcome))));
        let tries: Vec<_> = tries.collect();
        for (name, tried) in tries {
            tried.join().ok().context("a case panicked")?.with_context(|| (*name).to_owned())?;
        }
        Ok(())
    })
}

#[test]
fn a_misbehaving_webhook_has_the_right_outcome_in_time_and_takes_no_memory() -> Result<()> {
    let target = Receiver::start(|_| Reply::status(204))?;
    let target_url = target.url("/target");
    let receiver = Receiver::start(move |request| misbehave(request, &target_url))?;
    let mut config = hook("refused", &refusing_url()?, "");
    config += &hook("no-such-host", "https://no-such-host.invalid/hook", "");
    for (name, _) in CASES {
        config += &hook(name, &receiver.url(&format!("/{name}")), "");
    }
    let server = Server::builder().config(config).start()?;
    forget_peak(server.pid())?;
    let before = resident_kib(server.pid())?;
    let mut cases = vec![("refused", "connect_error"), ("no-such-host", "connect_error")];
    cases.extend(CASES);
    check_all(&server, &cases)?;
    let grown = peak_kib(server.pid())?.saturating_sub(before);
    ensure!(grown < FLAT_KIB, "the server grew by {grown} KiB");
    ensure!(target.requests().is_empty(), "the redirect was followed");
    server.stop()?;
    Ok(())
}

#[test]
fn a_webhook_that_cannot_prove_who_it_is_is_not_told_anything() -> Result<()> {
    let (ours, foreign, folder) = (Authority::new()?, Authority::new()?, Scratch::new()?);
    let ca = folder.file("ca.pem", &ours.pem())?;
    let trusting = format!("ca = \"{}\"\n", ca.display());
    let allow = |_: &Request| Reply::json(200, &serde_json::json!({ "decision": "allow" }));
    let named = Receiver::start_tls(ours.identity(&["localhost"])?.server(None)?, allow)?;
    let other_host = Receiver::start_tls(ours.identity(&["other.example"])?.server(None)?, allow)?;
    let other_authority = Receiver::start_tls(foreign.identity(&["localhost"])?.server(None)?, allow)?;

    let mut config = hook("named", &named.named_url("/hook"), &trusting);
    config += &hook("by-address", &named.url("/hook"), &trusting);
    config += &hook("other-host", &other_host.named_url("/hook"), &trusting);
    config += &hook("other-authority", &other_authority.named_url("/hook"), &trusting);
    config += &hook("unknown-authority", &named.named_url("/hook"), "");
    let server = Server::builder().config(config).start()?;
    let cases = ["by-address", "other-host", "other-authority", "unknown-authority"];
    check_all(&server, &cases.map(|name| (name, "connect_error")))?;
    ensure!(named.requests().is_empty() && other_host.requests().is_empty(), "an event was sent");
    ensure!(other_authority.requests().is_empty(), "an event was sent to a stranger");
    // With the right name it is asked: the others failed for theirs.
    Client::connect(server.rtmp(), "live")?.publish("named")?;
    server.stop()?;
    Ok(())
}
