//! The server under test: how it is started on free ports, watched and stopped.

use crate::events::Events;
use crate::journal::Journal;
use crate::program::{Program, Running, Stdout};
use crate::{Processes, SOON, Scratch, place, process};
use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

/// Another server to run the tables of clients against: `E2E_PEER=rtmp://host[:port]/app`.
pub fn peer() -> Option<String> {
    std::env::var("E2E_PEER").ok().filter(|url| !url.is_empty())
}

/// What a [`Server`] is started with.
#[derive(Debug)]
pub struct ServerBuilder {
    binary: Option<PathBuf>,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    config: Option<String>,
    format: Option<&'static str>,
    stdout: Stdout,
    log_level: &'static str,
    line: Option<String>,
    data: Option<PathBuf>,
}

impl ServerBuilder {
    /// Starts this binary instead of the one of this build.
    #[must_use]
    pub fn binary(mut self, path: impl Into<PathBuf>) -> Self {
        self.binary = Some(path.into());
        self
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args(mut self, args: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets a variable of the server's environment, which its scripts inherit.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Gives it a configuration file with this content, in [`Server::folder`].
    #[must_use]
    pub fn config(mut self, toml: impl Into<String>) -> Self {
        self.config = Some(toml.into());
        self
    }

    /// The form of the events on standard output; `None` prints none. The kit reads `ndjson` (the default) and `json`.
    #[must_use]
    pub fn stdio_format(mut self, format: Option<&'static str>) -> Self {
        self.format = format;
        self
    }

    /// Does something else with its standard output than reading the events.
    #[must_use]
    pub fn stdout(mut self, stdout: Stdout) -> Self {
        self.stdout = stdout;
        self
    }

    /// Gives it this data folder, of a server before it, instead of a new one.
    #[must_use]
    pub fn data_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.data = Some(folder.into());
        self
    }

    /// How much it logs; `debug`, which traces each hook call, unless told otherwise.
    #[must_use]
    pub fn log_level(mut self, level: &'static str) -> Self {
        self.log_level = level;
        self
    }

    /// Starts it with this line of bash, as a user types it: `jackfield` is the server. What the kit wants stands in the
    /// environment, so that the command line is the line's alone; it prints no events but those that it asks for.
    ///
    /// [`Server::events`] are then the lines that the whole pipeline prints.
    #[must_use]
    pub fn line(mut self, line: impl Into<String>) -> Self {
        self.line = Some(line.into());
        self
    }

    /// Starts it on free ports of the loopback and waits until it listens.
    ///
    /// # Errors
    /// When it is not built, or ends, or does not listen in time; the error has its last words.
    pub fn start(self) -> Result<Server> {
        if self.line.is_some() {
            return self.start_line();
        }
        let folder = Scratch::new()?;
        let binary = self.binary.map_or_else(place::server, Ok)?;
        let mut program = Program::new(binary)
            .args(["--listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0", "--log-format", "json"])
            .args(["--log-level", self.log_level])
            .args([
                OsString::from("--data-dir"),
                self.data.unwrap_or_else(|| folder.path().join("data")).into(),
            ])
            .cwd(folder.path())
            .stdout(self.stdout);
        if let Some(toml) = &self.config {
            program = program.args([OsString::from("--config"), folder.file("jackfield.toml", toml)?.into()]);
        }
        if let Some(format) = self.format {
            program = program.args(["--hook-stdio-format", format]);
        }
        for (name, value) in &self.env {
            program = program.env(name, value);
        }
        let program = program.args(self.args).start()?;
        let pid = program.pid();
        Server::listening(program, pid, folder)
    }

    fn start_line(self) -> Result<Server> {
        let folder = Scratch::new()?;
        let binary = self.binary.map_or_else(place::server, Ok)?;
        let own = binary.parent().context("the server's folder")?.to_path_buf();
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths(std::iter::once(own).chain(std::env::split_paths(&path)))?;
        let mut program = Program::new("bash")
            .args([OsString::from("-c"), self.line.unwrap_or_default().into()])
            .args([OsString::from("jackfield")])
            .args(self.args)
            .env("PATH", path)
            .env("JACKFIELD_LISTEN", "127.0.0.1:0")
            .env("JACKFIELD_HTTP_LISTEN", "127.0.0.1:0")
            .env("JACKFIELD_LOG_FORMAT", "json")
            .env("JACKFIELD_LOG_LEVEL", self.log_level)
            .env("JACKFIELD_DATA_DIR", folder.path().join("data"))
            .cwd(folder.path())
            .stdout(self.stdout);
        for (name, value) in &self.env {
            program = program.env(name, value);
        }
        let program = program.start()?;
        let mut server = Server::listening(program, 0, folder)?;
        // Bash starts the server, or becomes it when there is nothing else to do.
        let (now, bash) = (Processes::now()?, server.program.pid());
        let mut all = std::iter::once(bash).chain(now.below(bash));
        server.pid = all.find(|pid| now.name(*pid) == Some("jackfield")).context("no server below bash")?;
        Ok(server)
    }
}

/// The address that the server logs for one of its listeners; on the loopback where it listens on all.
fn listening(program: &Running, proto: &str) -> Result<SocketAddr> {
    let what = format!("log line `Listening` with proto={proto}");
    program
        .stderr()
        .wait(&what, SOON, |lines| {
            let lines = lines.iter().filter_map(|line| LogLine::parse(line));
            let mut lines =
                lines.filter(|line| line.message() == "Listening" && line.field("proto") == Some(proto));
            lines.find_map(|line| line.field("addr")?.parse::<SocketAddr>().ok())
        })
        .map(
            |address| if address.ip().is_unspecified() { (LOOPBACK, address.port()).into() } else { address },
        )
}

const LOOPBACK: std::net::Ipv4Addr = std::net::Ipv4Addr::LOCALHOST;

/// One line of the server's log (`--log-format json`).
#[derive(Debug, Clone, PartialEq)]
pub struct LogLine(Value);

impl LogLine {
    /// Reads a line; none if it is not of the log, such as a panic's message.
    pub fn parse(line: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(line).ok()?;
        value.is_object().then_some(Self(value))
    }

    /// The sentence.
    pub fn message(&self) -> &str {
        self.field("message").unwrap_or_default()
    }

    /// `ERROR`, `WARN`, `INFO` …
    pub fn level(&self) -> &str {
        self.field("level").unwrap_or_default()
    }

    /// A field that is a string, wherever the format puts the fields.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.value(name)?.as_str()
    }

    /// A field of any type.
    pub fn value(&self, name: &str) -> Option<&Value> {
        self.0.get("fields").and_then(|fields| fields.get(name)).or_else(|| self.0.get(name))
    }
}

/// A running server. It is killed when this value goes; [`Server::stop`] is the way to end it.
#[derive(Debug)]
pub struct Server {
    program: Running,
    pid: u32,
    /// Whether the test went on to its end, or to where the server has ended.
    ended: bool,
    events: Events,
    rtmp: SocketAddr,
    http: SocketAddr,
    // Last, so that it goes after the program that uses it.
    folder: Scratch,
}

/// What is left of a server that has ended.
#[derive(Debug)]
pub struct Ended {
    /// How it ended.
    pub status: ExitStatus,
    /// All events it printed.
    pub events: Events,
    /// Every line of its standard error.
    pub log: Vec<String>,
}

impl Server {
    /// A server with the defaults, free ports, a data folder of its own, and events on standard output.
    pub fn builder() -> ServerBuilder {
        ServerBuilder {
            binary: None,
            args: vec![],
            env: vec![],
            config: None,
            format: Some("ndjson"),
            stdout: Stdout::Lines,
            log_level: "debug",
            line: None,
            data: None,
        }
    }

    /// Waits until it listens.
    fn listening(program: Running, pid: u32, folder: Scratch) -> Result<Self> {
        let rtmp = listening(&program, "rtmp")?;
        let http = listening(&program, "http")?;
        let events = Events::new(program.stdout().clone());
        Ok(Self { program, pid, ended: false, events, rtmp, http, folder })
    }

    /// The URL of a stream: `live/a`.
    pub fn url(&self, key: &str) -> String {
        format!("rtmp://{}/{key}", self.rtmp)
    }

    /// Where it takes RTMP.
    pub fn rtmp(&self) -> SocketAddr {
        self.rtmp
    }

    /// Where it listens for this protocol as its log calls it: `rtmps`, `https`.
    ///
    /// # Errors
    /// When it does not.
    pub fn address(&self, proto: &str) -> Result<SocketAddr> {
        listening(&self.program, proto)
    }

    /// Where it takes HTTP.
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// Its working directory, with its configuration and data.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The events it prints.
    pub fn events(&self) -> &Events {
        &self.events
    }

    /// The lines of its standard error; [`LogLine::parse`] reads one.
    pub fn log(&self) -> &Journal<String> {
        self.program.stderr()
    }

    /// Waits for a log line that `which` picks.
    ///
    /// # Errors
    /// When it has not come `within` that time or before the server ended.
    pub fn wait_log(
        &self,
        what: &str,
        within: Duration,
        which: impl Fn(&LogLine) -> bool,
    ) -> Result<LogLine> {
        self.log().wait(what, within, |lines| {
            lines.iter().filter_map(|line| LogLine::parse(line)).find(|line| which(line))
        })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// How many descriptors it has open.
    ///
    /// # Errors
    /// When it has ended.
    pub fn descriptors(&self) -> Result<usize> {
        process::descriptors(self.pid())
    }

    /// How many threads it has.
    ///
    /// # Errors
    /// When it has ended.
    pub fn threads(&self) -> Result<usize> {
        process::threads(self.pid())
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// When it has ended.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        if self.pid == self.program.pid() {
            return self.program.signal(signal);
        }
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw).context("no process id")?;
        kill_process(pid, signal).context("signalling the server")
    }

    /// Waits until it ends by itself, and checks nothing.
    ///
    /// # Errors
    /// When it still runs after `within`.
    pub fn wait(mut self, within: Duration) -> Result<Ended> {
        let status = self.program.wait(within)?;
        self.ended = true;
        // What a script left behind may hold the pipes, but not for ever: the server ends it.
        self.events.lines().wait_closed("the server's standard output", SOON)?;
        self.log().wait_closed("the server's standard error", SOON)?;
        Ok(Ended { status, events: self.events.clone(), log: self.log().all() })
    }

    /// Stops it with SIGTERM and checks what must hold after every test: exit code 0, no panic, only events printed.
    ///
    /// # Errors
    /// When one of these does not hold.
    pub fn stop(self) -> Result<Ended> {
        self.signal(Signal::TERM)?;
        let ended = self.wait(Duration::from_secs(30))?;
        ensure!(ended.status.code() == Some(0), "the server ended with {}", ended.status);
        let panic = ended.log.iter().find(|line| line.contains("panicked at"));
        ensure!(panic.is_none(), "the server panicked: {}", panic.map(String::as_str).unwrap_or_default());
        ended.events.all().context("the server's standard output")?;
        Ok(ended)
    }
}

/// A server that a test did not wait for belongs to a test that fails: the runner shows then what it said last.
impl Drop for Server {
    #[expect(clippy::print_stderr, reason = "the test runner keeps it, and shows it if the test fails")]
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        for (what, lines) in [("events", self.events.lines()), ("log", self.log())] {
            let last = lines.read(|lines| lines.get(lines.len().saturating_sub(LAST)..).map(<[_]>::to_vec));
            eprintln!("the server's {what}, at most {LAST} lines:");
            last.unwrap_or_default().iter().for_each(|line| eprintln!("  {line}"));
        }
    }
}

/// How many lines of each kind are shown.
const LAST: usize = 150;

#[cfg(test)]
mod tests;
