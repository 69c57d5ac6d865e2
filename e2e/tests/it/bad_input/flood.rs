//! More events than a hook can take.

use super::a_client_gets_through;
use anyhow::{Context, Result, ensure};
use jackfield_e2e::rtmp::Client;
use jackfield_e2e::{
    PlayerKind, PublisherKind, Receiver, Reply, Request, SOON, Server, clip, compare, forget_peak, peak_kib,
    resident_kib,
};
use serde_json::{Value, json};
use socket2::SockRef;
use std::net::TcpStream;
use std::sync::mpsc::{Receiver as Stopped, RecvTimeoutError};
use std::time::Duration;

/// So many pictures must come through while the flood lasts.
pub(super) const PICTURES: usize = 60;
/// What the queues of the hooks may take of the server's memory.
const QUEUES_KIB: u64 = 32 * 1024;

/// Connections that come and go at once, each of them two events.
const AT_ONCE: usize = 500;

/// Publishes `name`, and lets thousands of connections a second come and go, until the other end of the channel is gone.
pub(super) fn flood(server: &Server, name: &str, stopped: &Stopped<()>) -> Result<()> {
    let mut client = Client::connect(server.rtmp(), "live")?;
    client.publish(name)?;
    while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(Duration::from_millis(50)) {
        for _ in 0..AT_ONCE {
            let peer = TcpStream::connect(server.rtmp()).context("the flood")?;
            // Reset at its end: closed in order, it would hold its port for a minute, and there are not so many.
            SockRef::from(&peer).set_linger(Some(Duration::ZERO))?;
        }
    }
    Ok(())
}

/// How many events the deliveries that came say were left out before them.
fn num_dropped(requests: &[Request]) -> u64 {
    let told = |request: &Request| request.json().get("num_dropped").and_then(Value::as_u64);
    requests.iter().filter_map(told).sum()
}

const CONFIG: &str = r#"
[server]
drain_timeout = "1s"
[events]
memory = "1MiB"
outbox = OUTBOX
[[hook]]
name = "slow"
on = ["connection_accept"]
url = "BASE/slow"
[[hook]]
name = "slow-script"
on = ["connection_accept"]
run = ["sleep", "1"]
[[hook]]
name = "fast"
on = ["publish_start"]
url = "BASE/fast"
[[hook]]
name = "ask"
on = ["authorize_publish"]
url = "BASE/ask"
"#;

/// Where events are until a hook has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kept {
    InMemory,
    InTheLog,
}

#[test]
fn a_flood_of_events_to_a_slow_hook_in_memory_is_dropped_and_told_and_disturbs_nobody_else() -> Result<()> {
    disturbs_nobody_else(Kept::InMemory)
}

#[test]
fn a_flood_of_events_to_a_slow_hook_waits_in_the_log_and_disturbs_nobody_else() -> Result<()> {
    disturbs_nobody_else(Kept::InTheLog)
}

fn disturbs_nobody_else(kept: Kept) -> Result<()> {
    let receiver = Receiver::start(|request| match request.path.as_str() {
        "/slow" => Reply::After(Duration::from_secs(1), Box::new(Reply::status(204))),
        "/ask" => Reply::json(200, &json!({ "decision": "allow" })),
        _ => Reply::status(204),
    })?;
    let config = CONFIG
        .replace("BASE", receiver.url("").trim_end_matches('/'))
        .replace("OUTBOX", if kept == Kept::InTheLog { "true" } else { "false" });
    let server = Server::builder().config(config).log_level("info").stdio_format(None).start()?;
    let clip = clip::standard()?;
    let _publisher = PublisherKind::Ffmpeg.start(clip.path(), &server.url("live/show"))?;
    let told = |key: &str| {
        receiver.wait(&format!("start of {key}"), SOON, |request| {
            request.path == "/fast" && request.json().get("stream_key") == Some(&json!(key))
        })
    };
    told("live/show")?;
    let before = resident_kib(server.pid())?;
    forget_peak(server.pid())?;

    std::thread::scope(|scope| {
        let (stop, stopped) = std::sync::mpsc::channel();
        let flooding = scope.spawn(|| {
            // Moved here, so that it ends when this closure does.
            let stopped = stopped;
            flood(&server, "flood", &stopped)
        });
        told("live/flood")?;
        let player = PlayerKind::Rtmpdump.start(&server.url("live/show"))?;
        if kept == Kept::InMemory {
            receiver.requests().wait("delivery that tells of drops", SOON, |requests| {
                (num_dropped(requests) > 0).then_some(())
            })?;
        }
        // Other hooks, questions and media, while it lasts.
        for number in 0..5 {
            drop(a_client_gets_through(&server, &format!("beside-{number}"))?);
            told(&format!("live/beside-{number}"))?;
        }
        player.wait_video(PICTURES, SOON)?;
        compare(clip.recording(), &player.finish()?, PICTURES)?;
        // It has gone on until now.
        drop(stop);
        flooding.join().ok().context("the flood panicked")?
    })?;
    let grown = peak_kib(server.pid())?.saturating_sub(before);
    ensure!(grown < QUEUES_KIB, "the server grew by {grown} KiB");
    let asked = receiver.requests().all();
    ensure!(asked.iter().filter(|request| request.path == "/ask").count() == 7, "a question was not asked");
    if kept == Kept::InTheLog {
        ensure!(num_dropped(&asked) == 0, "something was dropped");
        server.stop()?;
        return Ok(());
    }
    for hook in ["slow", "slow-script"] {
        server.wait_log("warning of lost events", SOON, |line| {
            line.message() == "Hook loses events" && line.field("hook") == Some(hook)
        })?;
    }
    server.stop()?;
    Ok(())
}
