//! Handlers against real programs, a real helper and real sockets.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod log;
mod receiver;
mod run;
mod url;
mod worker;

use jackfield_dispatch::{Call, DeliveryId, Reply};
use jackfield_events::{Decision, Event, EventType, Masker, Scope, Stamp};
use jackfield_hook_transports::{Host, ProgramConfig, RunConfig};
use jackfield_hooks::{Mode, Outcome};
use jackfield_media::{ConnId, Epoch, SessionId, StreamKey, UnixTime};
use jackfield_net::outbound::Outbound;
use jackfield_process::{Launcher, LauncherConfig};
use jackfield_runtime::{Tasks, clock};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use ulid::Ulid;

jackfield_process::helper_in_tests!();

/// Longer than any test may take.
const LONG: Duration = Duration::from_secs(60);

async fn host() -> Host {
    let tasks = Tasks::new();
    let launcher = Launcher::start(LauncherConfig::default(), &tasks).await.unwrap();
    Host { launcher, outbound: Outbound::new(64, "jackfield/test"), tasks, masker: Masker::default() }
}

/// An event of this type with the catalogue's examples in it.
fn event(name: &str) -> Event {
    let event_type = EventType::parse(name).unwrap();
    let data = event_type.spec().fields.iter().map(|field| (field.name, (field.example)())).collect();
    let stamp = Stamp {
        id: Ulid::from_parts(1, 2),
        seq: 7,
        node: "n1".into(),
        time: UnixTime(1_700_000_000_123_456),
    };
    let scope = Scope {
        conn_id: Some(ConnId(1)),
        session_id: Some(SessionId(2)),
        stream_key: Some(StreamKey::parse("live/show").unwrap()),
        epoch: Some(Epoch(3)),
    };
    Event::new(event_type, stamp, scope, data)
}

fn call(name: &str, mode: Mode, timeout: Duration) -> Call {
    Call {
        delivery: DeliveryId(0x2a),
        hook: "test".into(),
        mode,
        event: Arc::new(event(name)),
        attempt: 1,
        num_dropped: 0,
        deadline: clock::now().after(timeout),
    }
}

fn notice() -> Call {
    call("publish_start", Mode::Notify, LONG)
}

fn question() -> Call {
    call("authorize_publish", Mode::Decide, LONG)
}

fn within(call: Call, timeout: Duration) -> Call {
    Call { deadline: clock::now().after(timeout), ..call }
}

/// The decision, or the outcome and detail of the failure.
fn decision(reply: &Reply) -> Result<Decision, (Outcome, &str)> {
    match &reply.result {
        Ok(answer) => Ok(answer.decision.clone()),
        Err(failure) => Err((failure.outcome, &failure.detail)),
    }
}

fn outcome(reply: &Reply) -> Outcome {
    reply.result.as_ref().map_or_else(|failure| failure.outcome, |_| Outcome::Answered)
}

fn sh(script: &str) -> RunConfig {
    program(["sh", "-c", script])
}

fn program<const N: usize>(words: [&str; N]) -> RunConfig {
    let words = words.map(str::to_owned).to_vec();
    RunConfig::new(ProgramConfig::new("test", words, "/".into()))
}

async fn run_once(config: RunConfig, call: Call) -> Reply {
    let host = host().await;
    let transport = jackfield_hook_transports::run(config, &host).unwrap();
    transport.call(call).await
}

/// Waits until no program runs, not even in the background: a group ends a moment after its program.
async fn nothing_runs(host: &Host) {
    while let Some(running) = host.launcher.running().await
        && running.programs + running.background > 0
    {
        clock::sleep(Duration::from_millis(5)).await;
    }
}

fn alive(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit(')').next().and_then(|rest| rest.trim().chars().next());
    !matches!(state, None | Some('Z'))
}

/// A folder for one test, removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let name = format!("jackfield-test-{:016x}", jackfield_runtime::random::number());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn path(&self) -> &Path {
        &self.0
    }

    /// The content of a file, as soon as it is whole: scripts write it elsewhere and rename it.
    async fn file(&self, name: &str) -> String {
        loop {
            if let Ok(text) = std::fs::read_to_string(self.0.join(name)) {
                return text;
            }
            clock::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}
