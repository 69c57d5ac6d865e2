//! The server's side: a handle to the helper, through which programs are started.

mod child;
mod link;
mod owner;
mod starts;

use crate::error::{SpawnError, StartError};
use crate::program::{Output, Program, Stdin};
use crate::wire::{self, MAX_MESSAGE_BYTES, Pipes, Scope};
use child::Handle;
pub use child::{Begun, Child, ExitStatus, Finished, Unswept};
use jackfield_runtime::Tasks;
use jackfield_runtime::queue::{self, Full};
use link::Link;
use owner::{Command, Owner, Start};
use rustix::io::Errno;
use rustix::pipe::PipeFlags;
use starts::Place;
use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::net::unix::pipe;
use tokio::sync::oneshot;

/// The most requests that wait for the helper; over it callers wait for their turn.
const MAX_WAITING_REQUESTS: usize = 64;

/// How the helper is started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LauncherConfig {
    /// The executable, whose `main` begins with [`run_helper_if_asked`](crate::run_helper_if_asked); `None` is the
    /// one that runs, even if its file has been replaced or removed since.
    pub executable: Option<PathBuf>,
}

/// Starts programs through the helper. Clones are the same launcher.
///
/// When the last clone and the last [`Child`] are gone, or the server dies in any way, the helper ends all that
/// it started: SIGTERM, and SIGKILL 2 s later.
#[derive(Debug, Clone)]
pub struct Launcher {
    commands: queue::Sender<Command>,
    next_id: Arc<AtomicU64>,
}

/// How much there is below the helper.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Running {
    /// Unfinished programs, those included whose group is still being ended.
    pub programs: u32,
    /// Process groups that finished programs left behind.
    pub background: u32,
    /// The helper's process id.
    pub helper: u32,
}

impl Launcher {
    /// Starts the helper and waits until it is ready.
    ///
    /// The launcher's own task is one of `tasks`. It ends after [`Launcher::stop`], or with the last handle; it
    /// does not heed `tasks` being told to stop, because the hooks of the stop events still need programs then.
    ///
    /// # Errors
    /// [`StartError`] if it cannot be started or is not ready within 10 s.
    pub async fn start(config: LauncherConfig, tasks: &Tasks) -> Result<Self, StartError> {
        let link = Link::start(&config).await?;
        let (commands, received) = queue::bounded("process.commands", MAX_WAITING_REQUESTS, Full::Block);
        tasks.spawn("process.launcher", Owner::new(config, link, received).run());
        Ok(Self { commands, next_id: Arc::default() })
    }

    /// Starts a program. Returns when it executes, or a little later.
    ///
    /// Cancel-safe: a program that was started for a call that nobody waits for any more is killed.
    ///
    /// # Errors
    /// [`SpawnError`] says which step failed and why.
    pub async fn spawn(&self, program: Program) -> Result<Child, SpawnError> {
        let (handle, ends) = self.start_one(program).await?;
        ends.watched(handle).map_err(SpawnError::Unwatched)
    }

    /// As [`Launcher::spawn`], for a program that may have ended by then: its pipes are not watched in vain, which
    /// spares a dozen system calls and as many wake-ups as it has pipes.
    ///
    /// # Errors
    /// [`SpawnError`] says which step failed and why.
    pub async fn begin(&self, program: Program) -> Result<Begun, SpawnError> {
        let (handle, ends) = self.start_one(program).await?;
        Ok(match handle.ended {
            None => Begun::Running(ends.watched(handle).map_err(SpawnError::Unwatched)?),
            Some(status) => {
                let Ends { stdout, stderr, .. } = ends;
                Begun::Finished(Finished { pid: handle.pid, status, stdout, stderr })
            }
        })
    }

    async fn start_one(&self, program: Program) -> Result<(Handle, Ends), SpawnError> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let message = check_and_encode(id, &program)?;
        let (ends, given) = Ends::make(&program).map_err(SpawnError::Pipes)?;
        let (answer, answered) = oneshot::channel();
        let place = Place { file: program.path().unwrap_or_default().to_owned(), cwd: program.cwd.clone() };
        let start = Start { id, message, given, place, answer };
        self.commands.send(Command::Start(start)).await.map_err(|_gone| SpawnError::Stopped)?;
        match answered.await {
            Ok(Ok(handle)) => Ok((handle, ends)),
            Ok(Err(refusal)) => Err(refusal.explain(program)),
            Err(_gone) => Err(SpawnError::Stopped),
        }
    }

    /// Ends what finished programs have left in the background, whatever it did to get away: SIGTERM to each
    /// of their groups, SIGKILL when the grace is over. Unfinished programs run on. Returns when all have
    /// ended.
    ///
    /// # Errors
    /// [`Unswept`] if some outlived even SIGKILL by 2 s, or the helper is gone.
    pub async fn end_background(&self, grace: Duration) -> Result<(), Unswept> {
        self.sweep(grace, Scope::Background).await
    }

    /// Ends all programs and what they left behind, as [`Launcher::end_background`] does, then the helper.
    /// After this every [`Launcher::spawn`] fails with [`SpawnError::Stopped`].
    ///
    /// # Errors
    /// [`Unswept`] if some outlived even SIGKILL by 2 s, or the helper is gone.
    pub async fn stop(&self, grace: Duration) -> Result<(), Unswept> {
        self.sweep(grace, Scope::Everything).await
    }

    async fn sweep(&self, grace: Duration, scope: Scope) -> Result<(), Unswept> {
        let (answer, answered) = oneshot::channel();
        let command = Command::Sweep { grace, scope, answer };
        self.commands.send(command).await.map_err(|_gone| Unswept::HelperGone)?;
        match answered.await {
            Ok(0) => Ok(()),
            Ok(groups) => Err(Unswept::Left { groups }),
            Err(_gone) => Err(Unswept::HelperGone),
        }
    }

    /// Counts what is below the helper; `None` while there is no helper.
    pub async fn running(&self) -> Option<Running> {
        let (answer, answered) = oneshot::channel();
        self.commands.send(Command::Count { answer }).await.ok()?;
        answered.await.ok()
    }
}

/// Our ends of the pipes, which never block and which nobody watches yet.
struct Ends {
    stdin: Option<OwnedFd>,
    unwritten: Vec<u8>,
    stdout: Option<OwnedFd>,
    stderr: Option<OwnedFd>,
}

impl Ends {
    /// Makes the pipes; beside them the program's ends. A short input is written here, before anybody reads: that spares
    /// the way back to us when the program has started.
    fn make(program: &Program) -> io::Result<(Self, Vec<OwnedFd>)> {
        let mut given = Vec::with_capacity(3);
        let (mut stdin, mut unwritten) = (None, Vec::new());
        if program.stdin != Stdin::Null {
            let (read, write) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
            rustix::io::ioctl_fionbio(&write, true)?;
            given.push(read);
            stdin = Some(write);
        }
        if let (Stdin::Bytes(bytes), Some(pipe)) = (&program.stdin, &stdin) {
            let written = match rustix::io::write(pipe, bytes) {
                Err(Errno::AGAIN | Errno::INTR) => 0,
                written => written?,
            };
            unwritten = bytes.get(written..).unwrap_or_default().to_vec();
            if unwritten.is_empty() {
                stdin = None;
            }
        }
        let mut output = |output: Output| {
            if output == Output::Null {
                return Ok::<_, io::Error>(None);
            }
            let (read, write) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
            rustix::io::ioctl_fionbio(&read, true)?;
            given.push(write);
            Ok(Some(read))
        };
        let (stdout, stderr) = (output(program.stdout)?, output(program.stderr)?);
        Ok((Self { stdin, unwritten, stdout, stderr }, given))
    }

    fn watched(self, handle: Handle) -> io::Result<Child> {
        let Self { stdin, unwritten, stdout, stderr } = self;
        Ok(Child {
            stdin: stdin.map(pipe::Sender::from_owned_fd).transpose()?,
            unwritten,
            stdout: stdout.map(pipe::Receiver::from_owned_fd).transpose()?,
            stderr: stderr.map(pipe::Receiver::from_owned_fd).transpose()?,
            handle,
        })
    }
}

fn check_and_encode(id: u64, program: &Program) -> Result<Vec<u8>, SpawnError> {
    let file = program.path().filter(|file| !file.is_empty()).ok_or(SpawnError::Empty)?;
    if program.argv.is_empty() {
        return Err(SpawnError::Empty);
    }
    let passable = |text: &OsStr| {
        if text.as_bytes().contains(&0) {
            return Err(SpawnError::Unpassable(text.to_string_lossy().into_owned()));
        }
        Ok(())
    };
    let texts = program.argv.iter().map(|argument| argument.as_os_str());
    texts.chain([file]).chain(program.cwd.as_ref().map(|cwd| cwd.as_os_str())).try_for_each(passable)?;
    for (name, value) in program.env.iter() {
        if name.is_empty() || name.as_bytes().contains(&b'=') {
            return Err(SpawnError::Unpassable(name.to_string_lossy().into_owned()));
        }
        passable(name)?;
        passable(value)?;
    }
    let pipes =
        Pipes([program.stdin != Stdin::Null, program.stdout == Output::Pipe, program.stderr == Output::Pipe]);
    let message = wire::encode_spawn(id, pipes, file, program);
    if message.len() > MAX_MESSAGE_BYTES {
        return Err(SpawnError::TooBig { bytes: message.len(), limit: MAX_MESSAGE_BYTES });
    }
    Ok(message)
}
