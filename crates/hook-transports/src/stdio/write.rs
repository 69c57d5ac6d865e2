//! Writing to a standard stream, which is shared with others, may block, and may be closed.

use jackfield_runtime::CancellationToken;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::{Mutex, PoisonError};

/// What a pipe that has room takes without blocking (`PIPE_BUF`): the descriptor's own flags are not ours to
/// change, since other processes share them.
const PIECE: usize = 4096;
/// How long a stream that takes nothing is waited for before it is asked whether somebody still wants that.
const PATIENCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
/// The same when nobody does.
const LITTLE_PATIENCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 10_000_000 };

/// A standard stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StdioTarget {
    /// Standard output, where nothing else is ever printed.
    #[default]
    Stdout,
    /// Standard error, beside the log.
    Stderr,
}

/// Where lines go.
#[derive(Debug, Clone)]
pub(super) enum Target {
    Stdout,
    Stderr,
    #[cfg(test)]
    Other(std::sync::Arc<std::os::fd::OwnedFd>),
}

impl From<StdioTarget> for Target {
    fn from(target: StdioTarget) -> Self {
        match target {
            StdioTarget::Stdout => Self::Stdout,
            StdioTarget::Stderr => Self::Stderr,
        }
    }
}

impl Target {
    fn descriptor(&self) -> BorrowedFd<'_> {
        match self {
            Self::Stdout => rustix::stdio::stdout(),
            Self::Stderr => rustix::stdio::stderr(),
            #[cfg(test)]
            Self::Other(descriptor) => std::os::fd::AsFd::as_fd(descriptor),
        }
    }

    /// Held while lines are written, so that those of two hooks do not mix.
    fn turn(&self) -> &'static Mutex<()> {
        static STDOUT: Mutex<()> = Mutex::new(());
        static STDERR: Mutex<()> = Mutex::new(());
        match self {
            Self::Stdout => &STDOUT,
            _ => &STDERR,
        }
    }
}

/// Writes all of it, waiting for who reads; once `give_up` fires, only for as long as it is read.
///
/// # Errors
/// What the system says (`BrokenPipe`: nobody will ever read it), or `TimedOut` after giving up.
pub(super) fn all(target: &Target, text: &[u8], give_up: &CancellationToken) -> io::Result<()> {
    let _turn = target.turn().lock().unwrap_or_else(PoisonError::into_inner);
    let descriptor = target.descriptor();
    let mut rest = text;
    while !rest.is_empty() {
        let mut ready = [PollFd::new(&descriptor, PollFlags::OUT)];
        let wanted = !give_up.is_cancelled();
        match poll(&mut ready, Some(if wanted { &PATIENCE } else { &LITTLE_PATIENCE })) {
            Ok(0) if !wanted => return Err(io::ErrorKind::TimedOut.into()),
            Ok(0) | Err(Errno::INTR) => continue,
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        let (piece, _) = rest.split_at(rest.len().min(PIECE));
        match rustix::io::write(descriptor, piece) {
            Ok(written) => rest = rest.get(written..).unwrap_or_default(),
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
