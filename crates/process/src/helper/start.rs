//! The start of one program: a child, and what is heard of it until it is that program.
//!
//! The child tells a failed step over a pipe that closes when it executes the program, so that a folder on a
//! hanging network disk holds up this one start and not the helper. It shares the helper's memory until then
//! ([`sys::Shared`]): with a fork, a static program's answer took 0.58 ms over that of no program; without one, and
//! without the ways between server and helper that could be spared, 0.40 ms. Who is to run as another user is forked,
//! because looking that one up allocates.

mod child;

use crate::error::Step;
use crate::sys::{self, Arguments, Environment, Fork, Shared, Stack};
use crate::wire::Spawn;
use child::Plan;
use rustix::io::Errno;
use rustix::pipe::PipeFlags;
use rustix::process::Pid;
use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

/// Where a program is looked for that is named without a slash and whose environment has no `PATH`.
const DEFAULT_PATH: &[u8] = b"/usr/local/bin:/usr/bin:/bin";

/// The most stacks that are kept for the next children.
const MAX_STACKS: usize = 4;

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

/// A child that is not yet its program.
#[derive(Debug)]
pub(super) struct Starting {
    /// The reading end of the pipe over which it tells a failed step.
    status: OwnedFd,
    /// What it works with, unless it was forked.
    shared: Option<Shared<Plan>>,
}

impl Starting {
    pub(super) fn descriptor(&self) -> &OwnedFd {
        &self.status
    }

    /// What the child has told so far. Does not wait.
    pub(super) fn outcome(&self) -> Outcome {
        let mut told = [0; 5];
        loop {
            return match rustix::io::read(&self.status, &mut told) {
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

/// Starts children.
#[derive(Debug, Default)]
pub(super) struct Starter {
    /// Stacks that no child runs on.
    stacks: Vec<Stack>,
}

impl Starter {
    /// Makes the child of this program. `given` are the descriptors of its pipes, which the helper closes.
    pub(super) fn start(&mut self, spawn: Spawn, given: Vec<OwnedFd>) -> Result<(Pid, Starting), Failure> {
        if given.len() != spawn.pipes.0.iter().filter(|piped| **piped).count() {
            return Err(Failure { step: Step::Descriptors, errno: libc::EMFILE });
        }
        let flags = PipeFlags::CLOEXEC | PipeFlags::NONBLOCK;
        let (status, write) = rustix::pipe::pipe_with(flags).map_err(Failure::at(Step::Descriptors))?;
        let plan = plan(spawn, &given, &write);
        let (pid, shared) = self.child(plan)?;
        // The child does the same; whoever comes first, the group exists before anyone signals it.
        // Refused once the child has executed its program, and then it is done.
        rustix::process::setpgid(Some(pid), Some(pid)).ok();
        Ok((pid, Starting { status, shared }))
    }

    fn child(&mut self, plan: Plan) -> Result<(Pid, Option<Shared<Plan>>), Failure> {
        let plan = if plan.user.is_none()
            && let Some(stack) = self.stacks.pop().or_else(|| Stack::new().ok())
        {
            match Shared::start(stack, plan, Plan::carry_out) {
                Ok((pid, shared)) => return Ok((pid, Some(shared))),
                Err(refused) => {
                    self.keep(refused.stack);
                    match refused.errno {
                        // Not on this machine, or not by what emulates it.
                        Errno::NOSYS | Errno::INVAL | Errno::PERM => refused.argument,
                        errno => return Err(Failure::at(Step::Fork)(errno)),
                    }
                }
            }
        } else {
            plan
        };
        match sys::fork().map_err(|error| Failure::of(Step::Fork, &error))? {
            Fork::Parent(pid) => Ok((pid, None)),
            Fork::Child => {
                let _end = EndOnUnwind;
                sys::exit_now(plan.carry_out())
            }
        }
    }

    /// The child has executed its program or has been reaped: what it worked with can be used again.
    pub(super) fn finish(&mut self, starting: Starting) {
        if let Some(stack) = starting.shared.and_then(Shared::into_stack) {
            self.keep(stack);
        }
    }

    fn keep(&mut self, stack: Stack) {
        if self.stacks.len() < MAX_STACKS {
            self.stacks.push(stack);
        }
    }
}

/// A forked child that panics must not go on as a second helper.
struct EndOnUnwind;

impl Drop for EndOnUnwind {
    fn drop(&mut self) {
        sys::exit_now(127);
    }
}

fn plan(spawn: Spawn, given: &[OwnedFd], status: &OwnedFd) -> Plan {
    let mut numbers = [-1; 3];
    for (number, given) in numbers.iter_mut().zip(given) {
        *number = given.as_raw_fd();
    }
    Plan {
        files: candidates(&spawn),
        arguments: Arguments::new(spawn.argv),
        environment: Environment::new(spawn.env),
        cwd: spawn.cwd,
        user: spawn.user,
        limits: spawn.limits,
        pipes: spawn.pipes,
        given: numbers,
        status: status.as_raw_fd(),
        helper: rustix::process::getpid(),
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
