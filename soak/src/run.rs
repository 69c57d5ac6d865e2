//! One segment of a run: the server is started, loaded, left alone, counted, and stopped.

mod load;
mod report;
mod started;

use crate::findings::{Check, Findings};
use crate::hooks::{self, GOOD, Which};
use crate::ledger::{Begin, Ledger, Segment, Series};
use crate::plan::{Plan, Wishes};
use crate::receiver;
use crate::watch::{Remains, Watch};
use anyhow::{Context, Result};
use jackfield_media::Mono;
use jackfield_runtime::clock;
use load::Load;
use serde_json::{Value, json};
use started::Started;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// For everything that the load shows to happen once.
const PATIENCE: Duration = Duration::from_secs(30);
/// For the load to leave.
const LEAVING: Duration = Duration::from_secs(30);
/// For the hooks that behave to be done with what they were told.
const DELIVERY: Duration = Duration::from_secs(20);
/// For descriptors, tasks and programs to go. The server keeps workers that are not configured any more for the budget of
/// a question, and ends a program that ignores SIGTERM after 2 s.
const SETTLING: Duration = Duration::from_secs(30);

/// Runs what is left of a run, and reports.
pub(crate) fn run(wishes: &Wishes) -> Result<ExitCode> {
    std::fs::create_dir_all(&wishes.folder).context("the folder of results")?;
    let now: String = jiff::Timestamp::now().to_string().split('.').take(1).collect();
    let name = now.replace([':', '-'], "").replace('T', "-");
    let ledger = Ledger::new(&wishes.folder);
    let begin = if wishes.anew || wishes.short { Begin::Anew } else { Begin::WhereItStopped };
    let fresh = Series::new(name.clone(), wishes.length.0);
    let Plan { publishers, viewers, .. } = Plan::new(wishes, wishes.length.0);
    let series = ledger.series(begin, fresh, (publishers, viewers))?;
    let plan = Plan::new(wishes, series.left());
    // The server runs in it, and reads its configuration by this path.
    let folder = wishes.folder.canonicalize().context("the folder of results")?.join(&name);
    std::fs::create_dir_all(&folder).context("the folder of this segment")?;
    report::begin(&series, &plan, &folder);

    let findings = Arc::new(Findings::default());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let course = Course { plan: plan.clone(), left: series.left(), folder, findings: Arc::clone(&findings) };
    let mut came = Came::default();
    // Whatever ended it is a finding, and stands in the ledger: what failed is not gone on with.
    if let Err(error) = runtime.block_on(course.run(&mut came)) {
        findings.fault(Check::Server, format!("{error:#}"));
    }
    runtime.shutdown_background();
    look_for_gaps(&findings);
    let segment = Segment {
        series: series.name.clone(),
        goal_seconds: series.goal.as_secs(),
        segment: name,
        commit: commit(),
        build: if cfg!(debug_assertions) { "debug" } else { "release" },
        publishers,
        viewers,
        seconds: came.seconds,
        figures: came.figures,
        checks: findings.lines(),
        faults: findings.faults(),
        told: findings.told(),
    };
    ledger.add(&segment)?;
    Ok(report::end(&series, &segment))
}

/// What was never looked at has not been found to be well.
fn look_for_gaps(findings: &Findings) {
    for line in findings.lines() {
        if line.examined == 0 && line.check != Check::Memory {
            findings.fault(line.check, "nothing was looked at");
        }
    }
}

/// The state of the sources, for the record.
fn commit() -> String {
    let git = std::process::Command::new("git").args(["describe", "--always", "--dirty"]).output();
    git.ok().and_then(|git| String::from_utf8(git.stdout).ok()).unwrap_or_default().trim().to_owned()
}

/// What a segment came to, as far as it came.
#[derive(Debug, Default)]
struct Came {
    /// Of load.
    seconds: u64,
    figures: Value,
}

struct Course {
    plan: Plan,
    /// How long the load is to go on.
    left: Duration,
    folder: PathBuf,
    findings: Arc<Findings>,
}

impl Course {
    async fn run(&self, came: &mut Came) -> Result<()> {
        let mut stop = Stop::new()?;
        let receiver = receiver::start()?;
        let config = self.folder.join("server.toml");
        hooks::write(&config, Which::Recorder, receiver, &self.plan)?;
        let mut server = Started::new(&config, &self.folder, &self.plan, &self.findings).await?;
        let start = server.settled().await?;
        hooks::write(&config, Which::All, receiver, &self.plan)?;
        server.reload(|hooks| GOOD.iter().all(|good| hooks.iter().any(|hook| hook.name == *good))).await?;

        let load = Load::start(&self.plan, &self.findings, &mut server).await?;
        let samples = std::fs::File::create(self.folder.join("samples.jsonl"))?;
        let mut watch = Watch::new(server.pid(), server.another_control().await?, samples);
        let ended = self.watch(&mut watch, &load, &mut stop).await;
        came.seconds = watch.age().as_secs();
        let memory = watch.judge_memory(self.plan.warm_up, &self.findings);
        if let Err(error) = ended {
            self.findings.fault(Check::Server, format!("{error:#}"));
        }
        came.figures = load.figures();
        came.figures["memory"] = memory;
        came.figures["load_late_ms"] = watch.latest_ms.into();
        let mut phases = Phases::default();
        if load.end(LEAVING).await > 0 {
            self.findings.fault(Check::Stays, "some of the load did not end");
        }
        phases.end("load_leaves");
        // With this one, the number of connections to the control socket is that of the start.
        drop(watch);
        self.judge_hooks(&mut server).await?;
        phases.end("hooks_finish");
        let end = self.remains(&config, receiver, &mut server, start).await?;
        phases.end("all_is_gone");
        came.figures["remains"] = json!({ "start": start.json(), "end": end.json() });
        server.stop(&self.findings).await?;
        phases.end("server_stops");
        came.figures["milliseconds"] = phases.took.into();
        Ok(())
    }

    async fn watch(&self, watch: &mut Watch, load: &Load, stop: &mut Stop) -> Result<()> {
        let began = clock::now();
        let (end, mut line) = (began.after(self.left), began.after(self.plan.line));
        let mut next = began;
        let mut storm = (!self.plan.warm_up.is_zero()).then(|| began.after(self.plan.warm_up / 2));
        // On a busy machine a short run may have to wait for its first clients.
        while next < end || (next < end.after(PATIENCE) && self.findings.is_load_unseen()) {
            next = next.after(Duration::from_secs(1));
            if clock::until(next, stop.asked()).await.is_some() {
                println!("Stopping.");
                return Ok(());
            }
            watch.sample()?;
            if storm.is_some_and(|storm| next >= storm) {
                storm = None;
                load.board().storm.notify_waiters();
            }
            if next >= line {
                line = line.after(self.plan.line);
                watch.tell(load.board()).await?;
            }
        }
        Ok(())
    }

    /// Hooks that behave have answered each call, and lost nothing.
    async fn judge_hooks(&self, server: &mut Started) -> Result<()> {
        let deadline = clock::now().after(DELIVERY);
        let hooks = loop {
            let mut hooks = server.state().await?.hooks;
            hooks.retain(|hook| GOOD.contains(&hook.name.as_str()));
            if hooks.iter().all(|hook| hook.open == 0) || clock::now() >= deadline {
                break hooks;
            }
            clock::sleep(Duration::from_millis(50)).await;
        };
        for hook in hooks {
            self.findings.examined(Check::Hooks, hook.answered);
            if hook.failed + hook.dropped > 0 || hook.open > 0 || hook.answered == 0 {
                self.findings.fault(Check::Hooks, format!("{hook:?}"));
            }
        }
        Ok(())
    }

    /// Waits until nothing is left, and returns what is.
    async fn remains(
        &self,
        config: &Path,
        receiver: std::net::SocketAddr,
        server: &mut Started,
        start: Remains,
    ) -> Result<Remains> {
        hooks::write(config, Which::Recorder, receiver, &self.plan)?;
        server.reload(|hooks| hooks.iter().all(|hook| !GOOD.contains(&hook.name.as_str()))).await?;
        let deadline = clock::now().after(SETTLING);
        loop {
            let state = server.state().await?;
            let now = server.remains().await?;
            let empty = state.connections == 0 && state.streams == 0;
            if empty && now.is_within(start) {
                self.findings.examined(Check::Remains, 3);
                return Ok(now);
            }
            if clock::now() >= deadline {
                self.findings.examined(Check::Remains, 3);
                let text = format!(
                    "at the start {start:?}, at the end {now:?}, {} connections, {} streams",
                    state.connections, state.streams
                );
                self.findings.fault(Check::Remains, text);
                return Ok(now);
            }
            clock::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// How long each step at the end takes, in milliseconds.
struct Phases {
    began: Mono,
    took: serde_json::Map<String, Value>,
}

impl Default for Phases {
    fn default() -> Self {
        Self { began: clock::now(), took: serde_json::Map::new() }
    }
}

impl Phases {
    fn end(&mut self, phase: &str) {
        let now = clock::now();
        let took = u64::try_from((now - self.began).as_millis()).unwrap_or(u64::MAX);
        self.took.insert(phase.to_owned(), took.into());
        self.began = now;
    }
}

/// Somebody wants it to stop, in order.
struct Stop {
    interrupt: Signal,
    terminate: Signal,
}

impl Stop {
    fn new() -> Result<Self> {
        let listen = |kind| signal(kind).context("signals");
        Ok(Self { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    async fn asked(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
