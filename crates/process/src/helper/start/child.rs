//! What a child does until it is the program.
//!
//! It may share the helper's memory: nothing in here allocates, but for a change of user, for which the child is forked.

use super::Failure;
use crate::error::Step;
use crate::program::{Limits, User};
use crate::sys::{self, Arguments, Environment};
use crate::wire::Pipes;
use rustix::fs::{Access, Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Pid, Resource, Rlimit, Signal};
use std::ffi::{CStr, CString, c_int};
use std::io;
use std::os::fd::RawFd;

/// The exit code of a child that could not execute its program. Nobody sees it: the step is told instead.
const FAILED: c_int = 127;

/// All that the child needs, made before it is.
#[derive(Debug)]
pub(super) struct Plan {
    /// The files to try, in order.
    pub(super) files: Vec<CString>,
    pub(super) arguments: Arguments,
    pub(super) environment: Environment,
    pub(super) cwd: Option<CString>,
    pub(super) user: Option<User>,
    pub(super) limits: Limits,
    pub(super) pipes: Pipes,
    /// The numbers of the pipes that there are, in that order.
    pub(super) given: [RawFd; 3],
    /// The writing end of the pipe over which a failed step is told.
    pub(super) status: RawFd,
    pub(super) helper: Pid,
}

impl Plan {
    /// Becomes the program. Returns an exit code if a step failed, which has been told.
    pub(super) fn carry_out(&self) -> c_int {
        let failure = match self.prepare() {
            Ok(()) => self.execute(),
            Err(failure) => failure,
        };
        let [a, b, c, d] = failure.errno.to_le_bytes();
        rustix::io::write(sys::inherited(self.status), &[failure.step.code(), a, b, c, d]).ok();
        FAILED
    }

    fn prepare(&self) -> Result<(), Failure> {
        rustix::process::setpgid(None, None).map_err(Failure::at(Step::Group))?;
        self.put_descriptors().map_err(Failure::at(Step::Descriptors))?;
        sys::close_all_but(Some(self.status));
        set_limits(&self.limits).map_err(Failure::at(Step::Limits))?;
        if let Some(user) = &self.user {
            assume(user).map_err(|error| Failure::of(Step::User, &error))?;
        }
        // After the change of user, which would take it back (prctl(2)).
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
            .map_err(Failure::at(Step::Guard))?;
        if rustix::process::getppid() != Some(self.helper) {
            return Err(Failure { step: Step::Guard, errno: libc::ESRCH });
        }
        if let Some(cwd) = &self.cwd {
            rustix::process::chdir(cwd.as_c_str()).map_err(Failure::at(Step::Folder))?;
        }
        sys::unblock_signals().map_err(|error| Failure::of(Step::Guard, &error))
    }

    /// Puts pipes where they belong. Descriptors 0, 1 and 2 of the helper are not among those given, and the first
    /// two are the null device, which stays where no pipe comes.
    fn put_descriptors(&self) -> Result<(), Errno> {
        let [stdin, stdout, stderr] = self.pipes.0;
        let mut given = self.given.iter();
        let mut next =
            |piped: bool| if piped { given.next().map(|number| sys::inherited(*number)) } else { None };
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

    /// Tries the files as `execvp(3)` does: one that may not be executed counts only if no other is found.
    fn execute(&self) -> Failure {
        let failed = |step: Step, errno: Errno| Failure::at(step)(errno);
        let mut failure = failed(Step::Exec, Errno::NOENT);
        for file in &self.files {
            match sys::exec(file, &self.arguments, &self.environment) {
                Errno::NOENT if exists(file) => return failed(Step::Interpreter, Errno::NOENT),
                Errno::NOENT | Errno::NOTDIR => {}
                errno @ Errno::ACCESS => failure = failed(Step::Exec, errno),
                // A script without a first line that names its interpreter: the shell runs it (execvp(3)).
                Errno::NOEXEC if is_text(file) => {
                    let errno = sys::exec_by_shell(file, &self.arguments, &self.environment);
                    return failed(Step::Interpreter, errno);
                }
                errno => return failed(Step::Exec, errno),
            }
        }
        failure
    }
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

fn exists(file: &CStr) -> bool {
    rustix::fs::access(file, Access::EXISTS).is_ok()
}

/// Whether the file begins like a text and not like a program of another machine.
fn is_text(file: &CStr) -> bool {
    let mut head = [0; 256];
    rustix::fs::open(file, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .and_then(|file| rustix::io::read(&file, &mut head))
        .is_ok_and(|length| head.get(..length).is_some_and(|head| !head.contains(&0)))
}
