//! Many clients follow events, and do not read: they harm nobody, and are sent away.

use super::{api, publish};
use anyhow::{Result, ensure};
use jackfield_e2e::{SOON, Server, all_cases, eventually, forget_peak, peak_kib, raise_own_descriptors};
use serde_json::json;
use std::net::TcpStream;
use std::time::Duration;

/// Clients that follow and do not read.
fn crowd() -> usize {
    if all_cases() { 10_000 } else { 300 }
}

/// Events of 30 kB: more than a socket's buffers take.
fn events() -> usize {
    if all_cases() { 400 } else { 100 }
}

#[test]
fn clients_that_do_not_read_are_cut_off_and_those_that_do_miss_nothing() -> Result<()> {
    let number = crowd();
    raise_own_descriptors()?;
    let config = format!("[http]\nmax_connections = {}\n", number + 100);
    let server = Server::builder().config(config).log_level("info").stdio_format(None).start()?;
    let api = api(&server)?;
    let before = server.descriptors()?;
    forget_peak(server.pid())?;
    let reader = api.follow("type=publish_start", None)?;
    let mut idle: Vec<TcpStream> = Vec::with_capacity(number);
    while idle.len() < number {
        // As many at once as the API takes in.
        for _ in 0..50.min(number - idle.len()) {
            let socket = api.neglect("")?;
            // A small window: what is sent stays with the server.
            socket2::SockRef::from(&socket).set_recv_buffer_size(2048)?;
            idle.push(socket);
        }
        let expect = before + idle.len() * 9 / 10;
        eventually(
            "the clients at the server",
            SOON,
            || Ok((server.descriptors()? >= expect).then_some(())),
        )?;
    }
    let padding = "x".repeat(30_000);
    for _ in 0..events() {
        let wish = json!({"event": "publish_start", "data": {"tc_url": padding}});
        // While clients come in, the API may have no place for a moment.
        eventually("an event that is sent", SOON, || {
            let sent = api.post("events/trigger", &wish)?;
            ensure!(matches!(sent.status, 202 | 503), "{}", sent.text);
            Ok((sent.status == 202).then_some(()))
        })?;
    }
    reader.frames().wait("every event for the one who reads", Duration::from_secs(60), |frames| {
        let count = frames.iter().filter(|frame| frame.event == "publish_start").count();
        (count >= events()).then_some(())
    })?;
    // They share what they were not sent: each alone would hold more than a megabyte.
    let (peak, most) = (peak_kib(server.pid())?, 128 * 1024 + 64 * u64::try_from(number)?);
    ensure!(peak < most, "the server took {peak} KiB for {number} clients");
    // Media goes on as if nobody was there.
    publish_quietly(&server)?;
    // That takes the ten seconds that each is given.
    if all_cases() {
        eventually("the end of those who do not read", Duration::from_secs(120), || {
            Ok((server.descriptors()? < before + number / 2).then_some(()))
        })?;
    }
    server.stop()?;
    Ok(())
}

fn publish_quietly(server: &Server) -> Result<()> {
    let mut client = jackfield_e2e::rtmp::Client::connect(server.rtmp(), "live")?;
    client.publish("show")?;
    Ok(())
}

#[test]
fn a_client_that_leaves_is_forgotten() -> Result<()> {
    let server = Server::builder().start()?;
    let api = api(&server)?;
    let before = server.descriptors()?;
    for _ in 0..20 {
        drop(api.follow("", None)?);
    }
    let _client = publish(&server, "live/a")?;
    eventually("as few descriptors as before", Duration::from_secs(60), || {
        Ok((server.descriptors()? <= before + 3).then_some(()))
    })?;
    server.stop()?;
    Ok(())
}
