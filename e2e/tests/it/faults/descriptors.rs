//! No descriptor is left: neither for a client, nor for a program's pipes, nor for a webhook's socket.

#![expect(clippy::disallowed_methods, reason = "how long it took is what is asked here, within wide limits")]

use super::{allowed, answer, calls_of, one_of_each, told};
use anyhow::{Context, Result, ensure};
use jackfield_e2e::rtmp::Client;
use jackfield_e2e::{
    Broadcast, Receiver, Reply, SOON, Scratch, Server, all_cases, cpu_time, eventually, limit_descriptors,
};
use serde_json::json;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

/// Clients that come when there are descriptors for only a few of them.
const CLIENTS: usize = 64;
/// So many descriptors are left when they come.
const LEFT: u64 = 6;

const WORKER: &str = "#!/bin/sh\nwhile read -r line; do echo '{\"decision\":\"allow\"}'; done\n";

/// A question of each kind, by clients that were there before: only the worker's pipes are open already.
fn ask_all(server: &Server, clients: &mut [Client]) -> Result<()> {
    for (client, kind) in clients.iter_mut().zip(["script", "webhook", "worker"]) {
        let name = format!("{kind}-without");
        let refused = answer(client.publish(&name)).context(name)?;
        let expect = (kind != "worker").then_some("Refused.");
        ensure!(refused.as_deref() == expect, "{kind}: {refused:?}");
    }
    for kind in ["script", "webhook"] {
        let calls = calls_of(server, kind, 1)?;
        let outcomes: Vec<&str> = calls.iter().map(|call| call.outcome.as_str()).collect();
        ensure!(outcomes == ["connect_error"], "{kind}: {outcomes:?}");
    }
    Ok(())
}

fn health(server: SocketAddr) -> Result<String> {
    let mut socket = TcpStream::connect(server)?;
    socket.set_read_timeout(Some(SOON))?;
    socket.write_all(b"GET /api/v1/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer).context("the answer of HTTP")?;
    Ok(answer)
}

#[test]
fn without_descriptors_the_server_rests_serves_on_and_accepts_when_there_are_some() -> Result<()> {
    let folder = Scratch::new()?;
    let worker = folder.script("worker.sh", WORKER)?;
    let receiver = Receiver::start(|_| Reply::json(200, &json!({ "decision": "allow" })))?;
    let config = one_of_each("true", &worker.display().to_string(), &receiver.url("/hook"));
    let server = Server::builder().config(config).start()?;
    let broadcast = Broadcast::start(server.rtmp(), "show")?;
    allowed(&server, "worker-before")?;
    let mut clients = (0..3).map(|_| Client::connect(server.rtmp(), "live")).collect::<Result<Vec<_>>>()?;
    let before = server.descriptors()?;

    let limit = limit_descriptors(server.pid(), u64::try_from(before)? + LEFT)?;
    // They connect all the same: the kernel keeps them ready.
    let crowd = (0..CLIENTS).map(|_| TcpStream::connect(server.rtmp())).collect::<Result<Vec<_>, _>>()?;
    let full = "Cannot accept connections";
    server.wait_log(full, SOON, |line| line.message() == full && line.level() == "ERROR")?;
    ask_all(&server, &mut clients)?;

    // While it waits for descriptors it does not burn the processor: a spinning accept would take a whole core.
    let (began, used) = (Instant::now(), cpu_time(server.pid())?);
    broadcast.wait(if all_cases() { 250 } else { 40 })?;
    let (took, used) = (began.elapsed(), cpu_time(server.pid())?.saturating_sub(used));
    ensure!(used * 2 < took, "{used:?} of processor time in {took:?}");

    // Descriptors are free again, by clients that leave and not by a higher limit.
    drop((crowd, clients));
    for kind in ["script", "worker", "webhook"] {
        allowed(&server, &format!("{kind}-after"))?;
    }
    let answer = health(server.http())?;
    ensure!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    limit_descriptors(server.pid(), limit)?;
    eventually("end of what was opened", SOON, || Ok((server.descriptors()? <= before).then_some(())))?;
    broadcast.finish()?;
    let ended = server.stop()?;
    // One in ten seconds for all listeners.
    let lines = told(&ended.log, full);
    ensure!(lines <= 1 + usize::from(all_cases()) * 3, "{lines} lines of the log");
    Ok(())
}
