//! Our ends of a program's pipes.

use crate::output::LoggedLines;
use jackfield_runtime::clock;
use std::future::pending;
use std::io::ErrorKind;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe;

/// A pipe that a program writes to.
#[derive(Debug)]
pub(crate) enum Pipe {
    /// The runtime tells when there is something in it.
    Watched(pipe::Receiver),
    /// It is watched when somebody waits for it, which hardly anybody does when the program has ended.
    Unwatched(OwnedFd),
}

impl AsFd for Pipe {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Watched(pipe) => pipe.as_fd(),
            Self::Unwatched(pipe) => pipe.as_fd(),
        }
    }
}

/// What is read in one go.
const CHUNK_BYTES: usize = 16 * 1024;

/// Between two reads of the background, which may print, but not keep a processor busy with it.
const BACKGROUND_PAUSE: Duration = Duration::from_millis(10);

/// What a program is to read, and how much of it is written.
#[derive(Debug)]
pub(crate) struct Input {
    pipe: pipe::Sender,
    bytes: Vec<u8>,
    written: usize,
}

impl Input {
    pub(crate) fn new(pipe: pipe::Sender, bytes: Vec<u8>) -> Self {
        Self { pipe, bytes, written: 0 }
    }

    /// Writes as much as the pipe takes and closes it after the last byte, or when nobody reads: a program
    /// need not read its input. Waits for ever when there is nothing to write. Cancel-safe.
    pub(crate) async fn write(input: &mut Option<Self>) {
        let Some(Self { pipe, bytes, written }) = input else { return pending().await };
        let rest = bytes.get(*written..).unwrap_or_default();
        let done = match pipe.write(rest).await {
            Ok(0) | Err(_) => true,
            Ok(more) => {
                *written += more;
                *written >= bytes.len()
            }
        };
        if done {
            *input = None;
        }
    }
}

/// What is kept of an output; the rest goes to the log.
#[derive(Debug)]
pub(crate) enum Kept {
    /// Nothing: all goes to the log.
    Nothing,
    /// All of it, and one byte over the limit if there is more; the log gets nothing.
    Answer {
        /// Bytes.
        limit: usize,
    },
    /// The first line; the log gets all.
    FirstLine {
        /// Bytes.
        limit: usize,
    },
}

/// What a program writes.
#[derive(Debug)]
pub(crate) struct Output {
    /// `None` when it is closed.
    pipe: Option<Pipe>,
    flow: Flow,
    lines: LoggedLines,
    keep: Kept,
    kept: Vec<u8>,
}

/// What the last look into a pipe found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    Nothing,
    /// A part: there may be more.
    Something,
}

impl Output {
    pub(crate) fn new(pipe: Option<Pipe>, lines: LoggedLines, keep: Kept) -> Self {
        Self { pipe, flow: Flow::Nothing, lines, keep, kept: Vec::new() }
    }

    /// Whether an answer is longer than its limit.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.keep, Kept::Answer { limit } if self.kept.len() > limit)
    }

    pub(crate) fn kept(&self) -> &[u8] {
        &self.kept
    }

    /// The first line that was kept, without control characters.
    pub(crate) fn kept_line(&self) -> String {
        let line = self.kept.split(|&byte| byte == b'\n').next().unwrap_or_default();
        String::from_utf8_lossy(line).trim().chars().filter(|c| !c.is_control()).collect()
    }

    /// Logs what is printed until nobody holds the other end any more: ours stays open, or the next line of
    /// a program that was left in the background would kill it.
    pub(crate) async fn follow(mut self) {
        self.keep = Kept::Nothing;
        self.kept = Vec::new();
        while self.pipe.is_some() {
            self.read().await;
            if self.pipe.is_some() {
                clock::sleep(BACKGROUND_PAUSE).await;
            }
        }
    }

    /// Reads a part, or waits for one; for ever when it is closed. Cancel-safe.
    ///
    /// Who prints as fast as it is read would never make us wait, and the thread would serve no other task and no
    /// timer, not even the deadline of that very program: so others have their turn between two parts.
    pub(crate) async fn read(&mut self) {
        if self.flow == Flow::Something {
            tokio::task::yield_now().await;
        }
        if let Some(Pipe::Unwatched(pipe)) = self.pipe.take_if(|pipe| matches!(pipe, Pipe::Unwatched(_))) {
            match pipe::Receiver::from_owned_fd(pipe) {
                Ok(pipe) => self.pipe = Some(Pipe::Watched(pipe)),
                Err(_broken) => return self.take(0, &[]),
            }
        }
        loop {
            match &self.pipe {
                Some(Pipe::Watched(pipe)) if pipe.readable().await.is_ok() => {}
                Some(_broken) => return self.take(0, &[]),
                None => return pending().await,
            }
            if self.try_read().is_ok() {
                return;
            }
        }
    }

    /// Reads without waiting; an error if there is nothing.
    fn try_read(&mut self) -> Result<(), ()> {
        let Some(Pipe::Watched(pipe)) = &self.pipe else { return Err(()) };
        let mut chunk = [0; CHUNK_BYTES];
        let read = match pipe.try_read(&mut chunk) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.flow = Flow::Nothing;
                return Err(());
            }
            read => read.unwrap_or_default(),
        };
        self.flow = Flow::Something;
        self.take(read, &chunk);
        Ok(())
    }

    /// Reads what the pipe holds right now, at most what is kept and a pipe's content: it may be filled as
    /// fast as it is read.
    pub(crate) fn read_what_is_there(&mut self) {
        let mut chunk = [0; CHUNK_BYTES];
        for _ in 0..8 {
            // The runtime may not have been told yet that there is something: the kernel is asked.
            let Some(pipe) = &self.pipe else { return };
            match rustix::io::read(pipe, &mut chunk) {
                Ok(read) => self.take(read, &chunk),
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN) => return,
                Err(_broken) => self.take(0, &chunk),
            }
            if self.is_over() {
                return;
            }
        }
    }

    fn take(&mut self, read: usize, chunk: &[u8]) {
        let bytes = chunk.get(..read).unwrap_or_default();
        if bytes.is_empty() {
            self.pipe = None;
            self.lines.finish(clock::now());
            return;
        }
        let (limit, logged) = match self.keep {
            Kept::Nothing => (0, true),
            Kept::Answer { limit } => (limit + 1, false),
            Kept::FirstLine { limit } => (limit, true),
        };
        self.kept.extend(bytes.iter().take(limit.saturating_sub(self.kept.len())));
        if logged {
            self.lines.feed(clock::now(), bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::{OutputLog, Secrets, Source};
    use rustix::pipe::PipeFlags;
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Waker};

    #[tokio::test]
    async fn others_have_their_turn_between_two_parts_of_an_output() {
        let (ours, theirs) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).unwrap();
        rustix::io::write(&theirs, &[b'x'; CHUNK_BYTES + 1]).unwrap();
        let lines = OutputLog::new("h".into()).lines(1, Source::Stdout, Secrets::Untold);
        let mut output = Output::new(Some(Pipe::Unwatched(ours)), lines, Kept::Nothing);
        output.read().await;
        let next = pin!(output.read()).poll(&mut Context::from_waker(Waker::noop()));
        assert!(next.is_pending(), "the second part was read without letting others go on");
        output.read().await;
    }
}
