//! Notices through one worker that takes many at once, and the floor of that: the same lines to the same program with nothing
//! between. Connections that come and go make some 10,000 facts a second; here they are made as fast as they are taken.
//!
//! This one tells times, not instructions: `bench/run` starts it.

use anyhow::{Context, Result, ensure};
use jackfield_bus::Bus;
use jackfield_dispatch::{Dispatch, DispatchConfig};
use jackfield_events::notices::PublishStart;
use jackfield_events::{EventSet, EventType, Masker, Protocol, PublishType, Scope};
use jackfield_hook_transports::{Host, ProgramConfig, WorkerConfig, worker};
use jackfield_hooks::{HookSpec, Mode, NoticeShare, Outcome};
use jackfield_media::{ConnId, SessionId, StreamKey};
use jackfield_net::outbound::Outbound;
use jackfield_process::{Launcher, LauncherConfig};
use jackfield_runtime::{Tasks, clock};
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Notices under way at once: what the worker's hello must say.
const AT_ONCE: usize = 256;
/// The default of the configuration.
const QUEUE: usize = 1000;

/// Delivers so many to this program, and prints how many a second that were, and without a server.
pub async fn deliver(count: usize, command: &[String]) -> Result<()> {
    ensure!(!command.is_empty(), "a worker's command is missing");
    let tasks = Tasks::new();
    let launcher = Launcher::start(LauncherConfig::default(), &tasks).await?;
    let outbound = Outbound::new(1, "bench");
    let host = Host { launcher, outbound, tasks: tasks.clone(), masker: Masker::default() };
    let program = ProgramConfig::new("notices", command.to_vec(), "/".into());
    let transport = worker(WorkerConfig { max: 1, ..WorkerConfig::new(program) }, &host)?;
    let dispatch = Dispatch::new(DispatchConfig::default(), Masker::default(), &tasks);
    let mut spec = HookSpec::new("notices", EventSet::EMPTY.with(EventType::PublishStart), Mode::Notify);
    (spec.concurrency, spec.queue, spec.notice_share) = (AT_ONCE, QUEUE, NoticeShare::Own);
    dispatch.set_hooks(vec![(spec, transport)]);
    let bus = Bus::new("n", Masker::default());
    bus.set_sink("hooks", dispatch.wanted(), Arc::new(dispatch.clone()));
    let facts = Facts::new()?;

    // The program's own start does not count.
    facts.tell(&bus, 0);
    dispatch.idle().await;
    let start = Instant::now();
    let mut told = 0;
    while told < count {
        let queued = dispatch.status().first().context("no hook")?.queued;
        for _ in 0..(QUEUE - queued).min(count - told) {
            facts.tell(&bus, told);
            told += 1;
        }
        clock::sleep(Duration::from_millis(1)).await;
    }
    dispatch.idle().await;
    let ours = start.elapsed();
    let status = dispatch.status().pop().context("no hook")?;
    let answered = status.tally.outcome(Outcome::Answered);
    ensure!(
        answered == 1 + u64::try_from(count)? && status.tally.dropped == 0,
        "{answered} of {count} were delivered: {status:?}"
    );
    dispatch.drain(clock::now().after(Duration::from_secs(10))).await;
    let line = facts.line(&bus)?;
    let floor = floor(count, command, &line)?;
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    let rate = |elapsed: Duration| count as f64 / elapsed.as_secs_f64();
    println!(
        r#"{{"count":{count},"line_bytes":{},"per_s":{:.0},"floor_per_s":{:.0}}}"#,
        line.len(),
        rate(ours),
        rate(floor)
    );
    Ok(())
}

/// The same fact of many streams: those of one stream go one after the other.
struct Facts {
    scopes: Vec<Scope>,
    fact: PublishStart,
}

impl Facts {
    fn new() -> Result<Self> {
        let scope = |number: usize| -> Result<Scope> {
            Ok(Scope {
                conn_id: Some(ConnId(1)),
                session_id: Some(SessionId(2)),
                stream_key: Some(StreamKey::parse(&format!("live/show{number}"))?),
                ..Scope::default()
            })
        };
        let fact = PublishStart {
            app: "live".into(),
            stream_name: "show".into(),
            publish_type: PublishType::Live,
            client_ip: std::net::Ipv4Addr::LOCALHOST.into(),
            client_port: 51234,
            protocol: Protocol::Rtmp,
            tc_url: "rtmp://media.example/live".into(),
            query: "camera=2".into(),
            failopen: Vec::new(),
        };
        Ok(Self { scopes: (0..2 * AT_ONCE).map(scope).collect::<Result<_>>()?, fact })
    }

    fn tell(&self, bus: &Bus, number: usize) {
        if let Some(scope) = self.scopes.get(number % self.scopes.len()) {
            bus.emit(scope, &self.fact);
        }
    }

    /// What a worker that said hello reads of one.
    fn line(&self, bus: &Bus) -> Result<String> {
        let event = bus.question(self.scopes.first().context("no scope")?, &self.fact);
        let json = std::str::from_utf8(event.json())?;
        let head = r#"{"t":"event","d":"dlv_00000001","hook":"notices","mode":"notify","attempt":1,"deadline_ms":29999"#;
        Ok(format!("{head},\"event\":{json}}}\n"))
    }
}

/// How long the program takes for so many lines that are written as fast as it reads.
fn floor(count: usize, command: &[String], line: &str) -> Result<Duration> {
    let (program, arguments) = command.split_first().context("a worker's command is missing")?;
    let mut child =
        Command::new(program).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut to = child.stdin.take().context("no standard input")?;
    let mut from = BufReader::with_capacity(1 << 16, child.stdout.take().context("no standard output")?);
    let mut answer = String::new();
    from.read_line(&mut answer)?; // hello
    let start = Instant::now();
    let block = line.repeat(64);
    let writer = std::thread::spawn(move || -> std::io::Result<()> {
        let mut left = count;
        while left > 0 {
            let lines = left.min(64);
            to.write_all(block.get(..block.len() / 64 * lines).unwrap_or_default().as_bytes())?;
            left -= lines;
        }
        Ok(())
    });
    for answered in 0..count {
        answer.clear();
        ensure!(from.read_line(&mut answer)? > 0, "the program ended after {answered} answers");
    }
    let elapsed = start.elapsed();
    writer.join().ok().context("the writing thread ended")??;
    child.wait()?;
    Ok(elapsed)
}
