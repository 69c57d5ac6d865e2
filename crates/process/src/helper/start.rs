//! The start of one program: a fork, and what the child does until it is that program.
//!
//! The child tells a failed step over a pipe that closes when it executes the program, so that a folder on a
//! hanging network disk holds up this one start and not the helper.

use crate::error::Step;
use crate::program::{Limits, User};
use crate::sys::{self, Fork};
use crate::wire::{Pipes, Spawn};
use rustix::io::Errno;
use rustix::pipe::PipeFlags;
use rustix::process::{Pid, Resource, Rlimit, Signal};
use std::ffi::{CStr, CString, OsStr};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;

/// Where a program is looked for that is named without a slash and whose environment has no `PATH`.
const DEFAULT_PATH: &[u8] = b"/usr/local/bin:/usr/bin:/bin";

/// The exit code of a child that could not execute its program. Nobody sees it: the step is told instead.
const FAILED: i32 = 127;

/// A step that failed, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) step: Step,
    pub(super) errno: i32,
}

impl Failure {
    fn of(step: Step, error: &io::Error) -> Self {
        Self { step, errno: error.raw_os_error().unwrap_or(libc::EINVAL) }
    }

    fn at(step: Step) -> impl Fn(Errno) -> Self {
        move |errno| Self { step, errno: errno.raw_os_error() }
    }
}

/// What became of a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The child has not got so far.
    Pending,
    /// It is the program now.
    Executed,
    /// It failed, and is ending.
    Failed(Failure),
}

/// The reading end of the pipe over which a child tells a failed step.
#[derive(Debug)]
pub(super) struct Status(OwnedFd);

impl Status {
    pub(super) fn descriptor(&self) -> &OwnedFd {
        &self.0
    }

    /// What the child has told so far. Does not wait.
    pub(super) fn outcome(&self) -> Outcome {
        let mut told = [0; 5];
        loop {
            return match rustix::io::read(&self.0, &mut told) {
                Ok(0) => Outcome::Executed,
                Ok(_) => {
                    let [code, errno @ ..] = told;
                    let step = Step::of_code(code).unwrap_or(Step::Exec);
                    Outcome::Failed(Failure { step, errno: i32::from_le_bytes(errno) })
                }
                Err(Errno::INTR) => continue,
                Err(Errno::AGAIN) => Outcome::Pending,
                Err(errno) => Outcome::Failed(Failure::at(Step::Fork)(errno)),
            };
        }
    }
}

/// Forks the child of this program. `given` are the descriptors of its pipes, which the parent closes.
pub(super) fn start(spawn: &Spawn, given: Vec<OwnedFd>) -> Result<(Pid, Status), Failure> {
    if given.len() != spawn.pipes.0.iter().filter(|piped| **piped).count() {
        return Err(Failure { step: Step::Descriptors, errno: libc::EMFILE });
    }
    let flags = PipeFlags::CLOEXEC | PipeFlags::NONBLOCK;
    let (read, write) = rustix::pipe::pipe_with(flags).map_err(Failure::at(Step::Descriptors))?;
    let files = candidates(spawn);
    let helper = rustix::process::getpid();
    match sys::fork().map_err(|error| Failure::of(Step::Fork, &error))? {
        Fork::Parent(pid) => {
            // The child does the same; whoever comes first, the group exists before anyone signals it.
            // Refused once the child has executed its program, and then it is done.
            rustix::process::setpgid(Some(pid), Some(pid)).ok();
            Ok((pid, Status(read)))
        }
        Fork::Child => {
            let end = EndOnUnwind;
            let failure = become_program(spawn, &given, &write, &files, helper);
            let [a, b, c, d] = failure.errno.to_le_bytes();
            rustix::io::write(&write, &[failure.step.code(), a, b, c, d]).ok();
            drop(end);
            sys::exit_now(FAILED)
        }
    }
}

/// A child that panics must not go on as a second helper.
struct EndOnUnwind;

impl Drop for EndOnUnwind {
    fn drop(&mut self) {
        sys::exit_now(FAILED);
    }
}

/// The files to try, in order.
fn candidates(spawn: &Spawn) -> Vec<CString> {
    let name = spawn.file.as_bytes();
    if name.contains(&b'/') || name.is_empty() {
        return vec![spawn.file.clone()];
    }
    let path = spawn.env.iter().find_map(|variable| variable.as_bytes().strip_prefix(b"PATH="));
    let path = path.unwrap_or(DEFAULT_PATH);
    path.split(|byte| *byte == b':')
        .filter_map(|folder| {
            // An empty part means the working folder (POSIX.1-2017 §8.3).
            let folder = if folder.is_empty() { b"." } else { folder };
            CString::new([folder, b"/", name].concat()).ok()
        })
        .collect()
}

/// All the steps of the child; returns only if one failed.
fn become_program(
    spawn: &Spawn,
    given: &[OwnedFd],
    status: &OwnedFd,
    files: &[CString],
    helper: Pid,
) -> Failure {
    match prepare(spawn, given, status, helper) {
        Ok(()) => execute(spawn, files),
        Err(failure) => failure,
    }
}

fn prepare(spawn: &Spawn, given: &[OwnedFd], status: &OwnedFd, helper: Pid) -> Result<(), Failure> {
    rustix::process::setpgid(None, None).map_err(Failure::at(Step::Group))?;
    put_descriptors(spawn.pipes, given).map_err(Failure::at(Step::Descriptors))?;
    sys::close_all_but(Some(status));
    set_limits(&spawn.limits).map_err(Failure::at(Step::Limits))?;
    if let Some(user) = &spawn.user {
        assume(user).map_err(|error| Failure::of(Step::User, &error))?;
    }
    // After the change of user, which would take it back (prctl(2)).
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).map_err(Failure::at(Step::Guard))?;
    if rustix::process::getppid() != Some(helper) {
        return Err(Failure { step: Step::Guard, errno: libc::ESRCH });
    }
    if let Some(cwd) = &spawn.cwd {
        rustix::process::chdir(cwd.as_c_str()).map_err(Failure::at(Step::Folder))?;
    }
    sys::unblock_signals().map_err(|error| Failure::of(Step::Guard, &error))
}

/// Puts pipes where they belong. Descriptors 0, 1 and 2 of the helper are not among those given, and the first
/// two are the null device, which stays where no pipe comes.
fn put_descriptors(pipes: Pipes, given: &[OwnedFd]) -> Result<(), Errno> {
    let [stdin, stdout, stderr] = pipes.0;
    let mut given = given.iter();
    let mut next = |piped: bool| if piped { given.next() } else { None };
    if let Some(pipe) = next(stdin) {
        rustix::stdio::dup2_stdin(pipe)?;
    }
    // Before stdout is replaced: standard error of the helper is the server's.
    if !stderr {
        rustix::stdio::dup2_stderr(rustix::stdio::stdout())?;
    }
    if let Some(pipe) = next(stdout) {
        rustix::stdio::dup2_stdout(pipe)?;
    }
    if let Some(pipe) = next(stderr) {
        rustix::stdio::dup2_stderr(pipe)?;
    }
    Ok(())
}

fn set_limits(limits: &Limits) -> Result<(), Errno> {
    let seconds = limits.cpu.map(|cpu| cpu.as_secs());
    for (resource, value) in [
        (Resource::Cpu, seconds),
        (Resource::As, limits.memory_bytes),
        (Resource::Fsize, limits.file_bytes),
        (Resource::Nofile, limits.open_files),
        (Resource::Nproc, limits.processes),
    ] {
        if value.is_some() {
            rustix::process::setrlimit(resource, Rlimit { current: value, maximum: value })?;
        }
    }
    Ok(())
}

fn assume(user: &User) -> io::Result<()> {
    let account = match user {
        User::Name(name) => sys::account_by_name(&CString::new(name.as_str())?)?,
        User::Id(id) => sys::account_by_id(*id)?,
    };
    account.assume()
}

/// Tries the candidates as `execvp(3)` does: one that may not be executed counts only if no other is found.
fn execute(spawn: &Spawn, files: &[CString]) -> Failure {
    let argv: Vec<&CStr> = spawn.argv.iter().map(CString::as_c_str).collect();
    let mut failure = Failure { step: Step::Exec, errno: libc::ENOENT };
    for file in files {
        let error = sys::exec(file, &argv, &spawn.env);
        match error.raw_os_error() {
            Some(libc::ENOENT) if exists(file) => return Failure::of(Step::Interpreter, &error),
            Some(libc::ENOENT | libc::ENOTDIR) => {}
            Some(libc::EACCES) => failure = Failure::of(Step::Exec, &error),
            // A script without a first line that names its interpreter: the shell runs it (execvp(3)).
            Some(libc::ENOEXEC) if is_text(file) => return by_shell(spawn, file, &argv),
            _ => return Failure::of(Step::Exec, &error),
        }
    }
    failure
}

fn exists(file: &CStr) -> bool {
    rustix::fs::access(file, rustix::fs::Access::EXISTS).is_ok()
}

/// Whether the file begins like a text and not like a program of another machine.
fn is_text(file: &CStr) -> bool {
    let mut head = [0; 256];
    std::fs::File::open(OsStr::from_bytes(file.to_bytes()))
        .and_then(|mut file| io::Read::read(&mut file, &mut head))
        .is_ok_and(|length| head.get(..length).is_some_and(|head| !head.contains(&0)))
}

fn by_shell(spawn: &Spawn, file: &CStr, argv: &[&CStr]) -> Failure {
    let shell = c"/bin/sh";
    let arguments: Vec<&CStr> = [shell, file].into_iter().chain(argv.iter().skip(1).copied()).collect();
    Failure::of(Step::Interpreter, &sys::exec(shell, &arguments, &spawn.env))
}
