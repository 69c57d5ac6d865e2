//! Notices through the outbox to a worker and a webhook, both told of all: told at a steady rate for some seconds,
//! delivered in the end. What is stored in that time counts; delivery may lag.
//!
//! This one tells times, not instructions: `bench/outbox` starts it.

use crate::facts::Facts;
use anyhow::{Context, Result, ensure};
use jackfield_bus::{Bus, Fsync, Outbox, OutboxConfig, OutboxState};
use jackfield_dispatch::{Dispatch, DispatchConfig, KeepConfig};
use jackfield_events::{EventSet, Masker};
use jackfield_hook_transports::{Host, ProgramConfig, UrlConfig, WorkerConfig, url, worker};
use jackfield_hooks::{HookSpec, Mode, NoticeShare, Outcome};
use jackfield_net::outbound::Outbound;
use jackfield_process::{Launcher, LauncherConfig};
use jackfield_runtime::{Tasks, clock};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

/// Notices of each hook under way at once: what the worker's hello must say.
const AT_ONCE: usize = 256;

/// Tells so many a second for so many seconds, delivers them to this worker and a webhook, and prints figures.
pub async fn run(rate: u32, seconds: u64, folder: &Path, command: &[String]) -> Result<()> {
    let tasks = Tasks::new();
    let launcher = Launcher::start(LauncherConfig::default(), &tasks).await?;
    let host = Host {
        launcher,
        outbound: Outbound::new(1024, "bench"),
        tasks: tasks.clone(),
        masker: Masker::default(),
    };
    let config = OutboxConfig {
        fsync: Fsync::Interval(Duration::from_millis(20)),
        ..OutboxConfig::new(folder.join("events"))
    };
    let (outbox, _) = Outbox::open(config.clone(), &tasks)?;
    let bus = Bus::new("n", Masker::default()).with_outbox(outbox.clone(), &tasks);
    let dispatch = Dispatch::new(DispatchConfig::default(), Masker::default(), &tasks);
    dispatch.keep_notices(KeepConfig {
        outbox: outbox.clone(),
        folder: config.folder,
        retain: config.retain,
        fsync: config.fsync,
    })?;
    let program = ProgramConfig::new("worker", command.to_vec(), "/".into());
    let program = worker(WorkerConfig { max: 1, ..WorkerConfig::new(program) }, &host)?;
    let webhook = url(UrlConfig::new(&receiver()?), &host)?;
    let mut specs = Vec::new();
    for (name, transport) in [("worker", program), ("webhook", webhook)] {
        let mut spec = HookSpec::new(name, EventSet::notices(), Mode::Notify);
        (spec.concurrency, spec.notice_share) = (AT_ONCE, NoticeShare::Own);
        specs.push((spec, transport));
    }
    dispatch.set_hooks(specs);

    let facts = Facts::new(&bus)?;
    // What starts first does not count.
    facts.tell(&bus, 0);
    dispatch.idle().await;
    let before = outbox.counters().written;
    let telling = {
        let bus = bus.clone();
        tasks.thread("teller", move || facts.tell_for(&bus, rate, Duration::from_secs(seconds)))?
    };
    let start = Instant::now();
    let told = telling.join().await.context("the teller panicked")?;
    let counters = outbox.counters();
    let stored = counters.written - before;
    ensure!(
        counters.state == OutboxState::Ok && counters.lost == 0,
        "{} were told, at most {} of them not written: {counters:?}",
        told.count,
        told.most_behind
    );
    outbox.more_than(outbox.last() - 1).await;
    dispatch.idle().await;
    let delivered_in = start.elapsed();
    for status in dispatch.status() {
        let answered = status.tally.outcome(Outcome::Answered);
        ensure!(answered == told.count + 1, "{answered} of {} were delivered: {status:?}", told.count + 1);
    }
    for lag in dispatch.lag() {
        ensure!(lag.events == 0, "{lag:?} is not acknowledged");
    }
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    let per_s = |count: u64, elapsed: Duration| count as f64 / elapsed.as_secs_f64();
    println!(
        r#"{{"told":{},"line_bytes":{},"seconds":{:.2},"stored_per_s":{:.0},"tell_p99_us":{:.1},"tell_max_us":{:.1},"most_behind":{},"syncs":{},"delivered_per_s_and_hook":{:.0}}}"#,
        told.count,
        told.line_bytes,
        told.elapsed.as_secs_f64(),
        per_s(stored, told.elapsed),
        told.p99.as_secs_f64() * 1e6,
        told.max.as_secs_f64() * 1e6,
        told.most_behind,
        counters.syncs,
        per_s(told.count, delivered_in),
    );
    dispatch.drain(clock::now().after(Duration::from_secs(10))).await;
    bus.close().await;
    Ok(())
}

/// A webhook that takes everything; its URL.
fn receiver() -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}/", listener.local_addr()?);
    std::thread::spawn(move || {
        for socket in listener.incoming().map_while(Result::ok) {
            // The client ends the connection when it likes.
            std::thread::spawn(move || drop(take_all(&socket)));
        }
    });
    Ok(url)
}

fn take_all(socket: &TcpStream) -> Result<()> {
    socket.set_nodelay(true)?;
    let (mut from, mut to) = (BufReader::new(socket), socket);
    let (mut line, mut body) = (String::new(), Vec::new());
    loop {
        let mut length = 0;
        loop {
            line.clear();
            ensure!(from.read_line(&mut line)? > 0, "the end");
            if line == "\r\n" {
                break;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse()?;
            }
        }
        body.resize(length, 0);
        from.read_exact(&mut body)?;
        to.write_all(b"HTTP/1.1 204 No Content\r\n\r\n")?;
    }
}
