//! A program that was started, as its caller holds it.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::unix::pipe;
use tokio::sync::{Notify, oneshot};

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitStatus {
    /// By itself, with this code, 0 to 255.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// With the helper, which ended before it; the program was killed.
    Lost,
}

impl ExitStatus {
    /// Whether it ended with code 0.
    #[must_use]
    pub fn success(self) -> bool {
        self == Self::Code(0)
    }
}

/// Why not all could be ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unswept {
    /// The kernel did not let go of some in time.
    #[error("{groups} process groups could not be ended")]
    Left {
        /// How many process groups.
        groups: u32,
    },
    /// There is no helper that could end them.
    #[error("the process helper is not running")]
    HelperGone,
}

/// A program that was started, and our ends of its pipes, to be taken out by who reads and writes them.
///
/// Dropping it while the program runs kills the program's group, unless [`Child::terminate`] has been called, whose
/// grace then runs on. When the program itself has ended, what it left in the background lives on, and
/// may still hold the pipes: who closes a reading end makes its writes fail.
#[derive(Debug)]
pub struct Child {
    /// Its standard input, if that is a pipe into which something is to be written still.
    pub stdin: Option<pipe::Sender>,
    /// What of [`Stdin::Bytes`](crate::Stdin::Bytes) is to be written still; then the pipe is to be closed.
    pub unwritten: Vec<u8>,
    /// Its standard output, if that is a pipe.
    pub stdout: Option<pipe::Receiver>,
    /// Its standard error, if that is a pipe.
    pub stderr: Option<pipe::Receiver>,
    pub(super) handle: Handle,
}

impl Child {
    /// Its process id, which is its group's too.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.handle.pid
    }

    /// Waits until the program itself has ended; others of its group may live on. Cancel-safe, and may be called
    /// again.
    pub async fn wait(&mut self) -> ExitStatus {
        let handle = &mut self.handle;
        if let Some(status) = handle.ended {
            return status;
        }
        let status = (&mut handle.exit).await.unwrap_or(ExitStatus::Lost);
        handle.ended = Some(status);
        status
    }

    /// Sends SIGTERM to its process group, and SIGKILL when the grace is over; a grace of zero is SIGKILL at once. Does
    /// nothing if the program has ended. A second call can only shorten the grace.
    pub fn terminate(&self, grace: Duration) {
        if self.handle.ended.is_none() {
            self.handle.wishes.wish(self.handle.id, grace);
        }
    }

    /// Sends SIGKILL to its process group. Does nothing if the program has ended.
    pub fn kill(&self) {
        self.terminate(Duration::ZERO);
    }
}

/// A program that has been started.
#[derive(Debug)]
pub enum Begun {
    /// It runs.
    Running(Child),
    /// It has ended already.
    Finished(Finished),
}

/// A program that had ended before anybody looked.
#[derive(Debug)]
pub struct Finished {
    /// What its process id was.
    pub pid: u32,
    /// How it ended.
    pub status: ExitStatus,
    /// What it has written is in here; others may still hold the other end. Reading never waits.
    pub stdout: Option<OwnedFd>,
    /// The same of its standard error.
    pub stderr: Option<OwnedFd>,
}

/// What ties a child to its program.
#[derive(Debug)]
pub(super) struct Handle {
    pub(super) id: u64,
    pub(super) pid: u32,
    pub(super) exit: oneshot::Receiver<ExitStatus>,
    pub(super) ended: Option<ExitStatus>,
    pub(super) wishes: Arc<Wishes>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        if self.ended.is_none() && self.exit.try_recv().is_err() {
            self.wishes.wish_if_none(self.id, Duration::ZERO);
        }
    }
}

/// Whose end is wished for. It never makes anybody wait, so that a child can be dropped anywhere, and it is bounded
/// by the number of running programs: each has at most one wish, the most urgent.
#[derive(Debug, Default)]
pub(super) struct Wishes {
    /// By the program's id; kept until the program has ended.
    wishes: Mutex<HashMap<u64, Wish>>,
    changed: Notify,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    Made(Duration),
    Sent,
}

impl Wishes {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Wish>> {
        self.wishes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wish(&self, id: u64, grace: Duration) {
        let mut wishes = self.lock();
        let wish = match wishes.get(&id) {
            Some(Wish::Made(earlier)) => Wish::Made(grace.min(*earlier)),
            _ => Wish::Made(grace),
        };
        wishes.insert(id, wish);
        drop(wishes);
        self.changed.notify_one();
    }

    fn wish_if_none(&self, id: u64, grace: Duration) {
        if !self.lock().contains_key(&id) {
            self.wish(id, grace);
        }
    }

    /// Waits for new wishes. Cancel-safe.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// The new wishes, which count as sent from now on.
    pub(super) fn take_new(&self) -> Vec<(u64, Duration)> {
        let mut new = Vec::new();
        for (id, wish) in self.lock().iter_mut() {
            if let Wish::Made(grace) = *wish {
                new.push((*id, grace));
                *wish = Wish::Sent;
            }
        }
        new
    }

    /// The program has ended.
    pub(super) fn forget(&self, id: u64) {
        self.lock().remove(&id);
    }
}
