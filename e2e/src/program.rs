//! One program of the outside world: how it is started, read, waited for and got rid of.

use crate::journal::Journal;
use anyhow::{Context, Result, bail};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, kill_process_group, pidfd_open};
use std::ffi::{OsStr, OsString};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// What becomes of a program's standard output.
#[derive(Debug, Default)]
pub enum Stdout {
    /// Lines go to [`Running::stdout`].
    #[default]
    Lines,
    /// Blocks of bytes go to this function, on a thread of their own; an empty block at the end.
    Bytes(BytesFn),
    /// A pipe that nobody reads: it fills.
    Unread,
    /// A pipe whose other end is closed: writing fails.
    Closed,
}

/// The function of [`Stdout::Bytes`].
pub struct BytesFn(Box<Call>);

type Call = dyn FnMut(&[u8]) + Send;

impl BytesFn {
    /// Wraps a function.
    pub fn new(call: impl FnMut(&[u8]) + Send + 'static) -> Self {
        Self(Box::new(call))
    }
}

impl std::fmt::Debug for BytesFn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BytesFn")
    }
}

/// A program that is about to be started.
#[derive(Debug)]
pub struct Program {
    command: Command,
    name: String,
    stdin: Stdio,
    stdout: Stdout,
}

impl Program {
    /// The program of this name or path. Its standard input is empty, its output is read by lines.
    ///
    /// It inherits the environment but for `JACKFIELD_…`: what tells the kit where the server is would tell the server
    /// how to run.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        let name = program.as_ref().to_string_lossy();
        let name = name.rsplit('/').next().unwrap_or_default().to_owned();
        let mut command = Command::new(program);
        for (variable, _) in std::env::vars_os() {
            if variable.as_encoded_bytes().starts_with(b"JACKFIELD_") {
                command.env_remove(variable);
            }
        }
        Self { command, name, stdin: Stdio::null(), stdout: Stdout::Lines }
    }

    /// Adds arguments.
    #[must_use]
    pub fn args(mut self, args: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.command.args(args.into_iter().map(Into::into));
        self
    }

    /// Sets a variable of its environment.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Sets its working directory.
    #[must_use]
    pub fn cwd(mut self, folder: impl AsRef<std::path::Path>) -> Self {
        self.command.current_dir(folder);
        self
    }

    /// Gives it a pipe for standard input: [`Running::take_stdin`].
    #[must_use]
    pub fn with_stdin(mut self) -> Self {
        self.stdin = Stdio::piped();
        self
    }

    /// Decides about its standard output.
    #[must_use]
    pub fn stdout(mut self, stdout: Stdout) -> Self {
        self.stdout = stdout;
        self
    }

    /// Starts it as the leader of a process group of its own.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(mut self) -> Result<Running> {
        self.command.process_group(0).stdin(self.stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.command.spawn().with_context(|| format!("starting {}", self.name))?;
        let stdout = Journal::default();
        let mut unread = None;
        if let Some(pipe) = child.stdout.take() {
            match self.stdout {
                Stdout::Lines => read_lines(pipe, stdout.clone()),
                other => {
                    // No line will come.
                    stdout.close();
                    match other {
                        Stdout::Bytes(call) => read_bytes(pipe, call),
                        Stdout::Unread => unread = Some(pipe),
                        _ => drop(pipe),
                    }
                }
            }
        }
        let stderr = Journal::default();
        if let Some(pipe) = child.stderr.take() {
            read_lines(pipe, stderr.clone());
        }
        Ok(Running { name: self.name, child, stdout, stderr, _unread: unread })
    }
}

impl Program {
    /// Runs it to its end.
    ///
    /// # Errors
    /// When it cannot be started, or still runs after `within`.
    pub fn run(self, within: Duration) -> Result<Finished> {
        let mut running = self.start()?;
        let status = running.wait(within)?;
        running.stdout.wait_closed("standard output", within)?;
        running.stderr.wait_closed("standard error", within)?;
        let text = |journal: &Journal<String>| journal.all().join("\n");
        Ok(Finished { code: status.code(), stdout: text(&running.stdout), stderr: text(&running.stderr) })
    }
}

/// What a program that has ended leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// Its exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// All that it printed, without the last newline.
    pub stdout: String,
    /// All that it said on standard error.
    pub stderr: String,
}

// The readers are not joined: a program that the tested one left behind may hold the pipe for as long as it likes.
fn read_lines(pipe: impl Read + Send + 'static, into: Journal<String>) {
    std::thread::spawn(move || {
        let mut pipe = BufReader::new(pipe);
        let mut line = Vec::new();
        while pipe.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
            into.push(String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned());
            line.clear();
        }
        into.close();
    });
}

fn read_bytes(mut pipe: impl Read + Send + 'static, BytesFn(mut call): BytesFn) {
    std::thread::spawn(move || {
        let mut block = vec![0; 64 * 1024];
        loop {
            let count = pipe.read(&mut block).unwrap_or(0);
            call(block.get(..count).unwrap_or_default());
            if count == 0 {
                return;
            }
        }
    });
}

/// A running program. When this value goes, its whole process group is killed.
#[derive(Debug)]
pub struct Running {
    name: String,
    child: Child,
    stdout: Journal<String>,
    stderr: Journal<String>,
    _unread: Option<ChildStdout>,
}

impl Running {
    /// Its process id, which is its group's too.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The lines of its standard output.
    pub fn stdout(&self) -> &Journal<String> {
        &self.stdout
    }

    /// The lines of its standard error.
    pub fn stderr(&self) -> &Journal<String> {
        &self.stderr
    }

    /// The pipe to its standard input, once, if it was started with one.
    pub fn take_stdin(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    /// Sends a signal to the program itself.
    ///
    /// # Errors
    /// When it has ended and was waited for.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        kill_process(self.raw_pid()?, signal).with_context(|| format!("signalling {}", self.name))
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it still runs after `within`; the error shows the end of its standard error.
    pub fn wait(&mut self, within: Duration) -> Result<ExitStatus> {
        let deadline = Instant::now() + within;
        loop {
            if let Some(status) =
                self.child.try_wait().with_context(|| format!("waiting for {}", self.name))?
            {
                return Ok(status);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                bail!("{} did not end within {within:?}; its last words:{}", self.name, self.last_words());
            }
            // pidfd_open(2): the descriptor becomes readable when the process has ended.
            let pidfd = pidfd_open(self.raw_pid()?, PidfdFlags::empty()).context("pidfd_open")?;
            let timeout = Timespec::try_from(left).context("deadline")?;
            poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&timeout))
                .or_else(interrupted)
                .context("poll")?;
        }
    }

    /// Asks it to end (SIGTERM), and kills it if it has not ended after `within`. What it left in its group is killed.
    pub fn end(&mut self, within: Duration) -> Option<ExitStatus> {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.signal(Signal::TERM).unwrap_or_default();
        }
        let status = self.wait(within).ok();
        self.kill_group();
        status
    }

    /// The end of its standard error, for messages.
    pub fn last_words(&self) -> String {
        self.stderr.read(|lines| {
            lines.iter().skip(lines.len().saturating_sub(15)).map(|line| format!("\n  {line}")).collect()
        })
    }

    fn kill_group(&mut self) {
        // While a member lives the number is this group's; when none does, the kernel's counter would have to go round
        // once for it to be another's.
        if let Ok(pid) = self.raw_pid() {
            kill_process_group(pid, Signal::KILL).unwrap_or_default();
        }
        self.child.wait().map(drop).unwrap_or_default();
    }

    fn raw_pid(&self) -> Result<Pid> {
        i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).context("no process id")
    }
}

fn interrupted(error: rustix::io::Errno) -> rustix::io::Result<usize> {
    if error == rustix::io::Errno::INTR { Ok(0) } else { Err(error) }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill_group();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Processes, SOON};

    fn shell(script: &str) -> Program {
        Program::new("/bin/sh").args(["-c", script])
    }

    #[test]
    fn output_and_status_of_a_program_are_seen() {
        let mut program = shell("echo out; echo err >&2; exit 3").start().unwrap();
        assert_eq!(program.wait(SOON).unwrap().code(), Some(3));
        program.stdout().wait_closed("stdout", SOON).unwrap();
        assert_eq!(program.stdout().all(), ["out"]);
        program.stderr().wait("line", SOON, |lines| lines.contains(&"err".to_owned()).then_some(())).unwrap();
    }

    #[test]
    fn a_wait_has_a_deadline() {
        let mut program = shell("sleep 60").start().unwrap();
        let error = program.wait(Duration::from_millis(20)).unwrap_err().to_string();
        assert!(error.contains("sh did not end within 20ms"), "{error}");
    }

    #[test]
    fn the_whole_group_goes_with_the_handle() {
        let program = shell("trap '' TERM; sleep 60 & echo $!; wait").start().unwrap();
        let line = program.stdout().wait("pid", SOON, |lines| lines.first().cloned()).unwrap();
        let grandchild: u32 = line.parse().unwrap();
        assert!(Processes::now().unwrap().lives(grandchild));
        let stdout = program.stdout().clone();
        drop(program);
        // The grandchild held the pipe: its end is the pipe's.
        stdout.wait_closed("grandchild", SOON).unwrap();
    }

    #[test]
    fn bytes_of_a_program_arrive_whole() {
        let total = Journal::default();
        let count = total.clone();
        let call =
            BytesFn::new(move |block| if block.is_empty() { count.close() } else { count.push(block.len()) });
        let _program = shell("head -c 1000000 /dev/zero").stdout(Stdout::Bytes(call)).start().unwrap();
        total.wait_closed("output", SOON).unwrap();
        assert_eq!(total.all().iter().sum::<usize>(), 1_000_000);
    }
}
