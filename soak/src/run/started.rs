//! The server under test as a process of ours.

use crate::board::Board;
use crate::control::{Control, Hook, State};
use crate::findings::{Check, Findings};
use crate::plan::Plan;
use crate::recorder::{LogReader, Recorder};
use crate::watch::Remains;
use anyhow::{Context, Result, bail};
use jackfield_runtime::clock;
use rustix::process::{Pid, Signal, kill_process};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

/// For it to start, and to read its configuration again.
const SOON: Duration = Duration::from_secs(30);
/// For it to stop: farewells, drains, programs.
const STOP: Duration = Duration::from_secs(40);
/// Readings that must agree before the start counts as over.
const CALM: usize = 5;

/// It runs. Dropping it kills it.
pub(crate) struct Started {
    child: Child,
    /// Kept open to its end: when it is closed, the server ends itself.
    control: Control,
    socket: PathBuf,
    readers: Vec<JoinHandle<()>>,
    pub(super) board: Arc<OnceLock<Arc<Board>>>,
}

impl Started {
    pub(super) async fn new(
        config: &Path,
        folder: &Path,
        plan: &Plan,
        findings: &Arc<Findings>,
    ) -> Result<Self> {
        // The path of a socket may have 107 bytes (unix(7)), which a folder of results may exceed.
        let socket = std::env::temp_dir().join(format!("jackfield-soak-{}.sock", std::process::id()));
        // One of a run that was killed, under a number that is ours now.
        drop(std::fs::remove_file(&socket));
        let mut command = Command::new(std::env::current_exe()?);
        // What is set here for others would be the server's configuration.
        for (variable, _) in std::env::vars_os() {
            if variable.as_encoded_bytes().starts_with(b"JACKFIELD_") {
                command.env_remove(variable);
            }
        }
        let mut child = command
            .arg("server")
            .args([config, &socket])
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("the server under test")?;
        let board = Arc::new(OnceLock::new());
        let stdout = child.stdout.take().context("invariant: it is piped")?;
        let stderr = child.stderr.take().context("invariant: it is piped")?;
        let recorder = Recorder::new(Arc::clone(findings), Arc::clone(&board));
        let log =
            LogReader::new(Arc::clone(findings), std::fs::File::create(folder.join("server.log"))?, plan);
        let readers =
            vec![std::thread::spawn(|| recorder.read(stdout)), std::thread::spawn(|| log.read(stderr))];
        let control = Control::connect(&socket, SOON).await;
        if control.is_err() {
            // Its last words are in its log.
            drop(child.kill());
        }
        Ok(Self { child, control: control?, socket, readers, board })
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(super) async fn state(&mut self) -> Result<State> {
        self.control.state().await
    }

    pub(super) async fn remains(&mut self) -> Result<Remains> {
        Remains::count(self.child.id(), &mut self.control).await
    }

    /// A connection of its own for somebody else who asks.
    pub(super) async fn another_control(&self) -> Result<Control> {
        Control::connect(&self.socket, SOON).await
    }

    /// What there is before the first client, once that does not change any more.
    pub(super) async fn settled(&mut self) -> Result<Remains> {
        let deadline = clock::now().after(SOON);
        let (mut last, mut equal) = (self.remains().await?, 0);
        while equal < CALM {
            if clock::now() >= deadline {
                bail!("the server does not come to rest: {last:?}");
            }
            clock::sleep(Duration::from_millis(50)).await;
            let now = self.remains().await?;
            equal = if now == last { equal + 1 } else { 0 };
            last = now;
        }
        Ok(last)
    }

    /// Has it read its configuration again.
    pub(super) async fn reload(&mut self, done: impl Fn(&[Hook]) -> bool) -> Result<()> {
        self.signal(Signal::HUP)?;
        let deadline = clock::now().after(SOON);
        while !done(&self.state().await?.hooks) {
            if clock::now() >= deadline {
                bail!("the server did not take its new configuration");
            }
            clock::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Stops it in order, and reads its last words.
    pub(super) async fn stop(mut self, findings: &Findings) -> Result<()> {
        findings.examined(Check::Server, 1);
        self.signal(Signal::TERM)?;
        let deadline = clock::now().after(STOP);
        match self.ended(deadline).await? {
            Some(status) if status.success() => {}
            Some(status) => findings.fault(Check::Server, format!("it ended with {status}")),
            None => {
                findings.fault(Check::Server, format!("it did not stop within {STOP:?}"));
                self.child.kill().context("the server under test")?;
                self.child.wait()?;
            }
        }
        // Programs that hold its standard streams would keep them open.
        while self.readers.iter().any(|reader| !reader.is_finished()) {
            if clock::now() >= deadline.after(STOP) {
                findings.fault(Check::Server, "its standard streams are still open");
                return Ok(());
            }
            clock::sleep(Duration::from_millis(20)).await;
        }
        for reader in self.readers.drain(..) {
            if reader.join().is_err() {
                findings.fault(Check::Events, "a reader has panicked");
            }
        }
        Ok(())
    }

    async fn ended(&mut self, deadline: jackfield_media::Mono) -> Result<Option<ExitStatus>> {
        while clock::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                return Ok(Some(status));
            }
            clock::sleep(Duration::from_millis(20)).await;
        }
        Ok(None)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).context("no process id")?;
        kill_process(pid, signal).context("the server under test has ended")
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // Neither can fail in a way that could be mended here.
        drop(self.child.kill());
        drop(self.child.wait());
        drop(std::fs::remove_file(&self.socket));
    }
}
