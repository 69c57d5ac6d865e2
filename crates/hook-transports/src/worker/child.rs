//! One worker: its pipes, what it has been asked, and who waits for which answer.
//!
//! A request is written by who asks, so that it leaves without another task's turn; answers are read by the
//! task that attends the worker. Both do so under one lock that is never held while anything waits.

use super::frame;
use super::line::{Abandon, Form, Heard, Protocol, Violation};
use crate::reply::failure;
use jackfield_dispatch::{Call, DeliveryId};
use jackfield_hooks::{Failure, Outcome, Retry};
use jackfield_process::Child;
use jackfield_runtime::clock;
use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::net::unix::pipe;
use tokio::sync::{Notify, oneshot};

/// What is read in one go.
const CHUNK_BYTES: usize = 16 * 1024;
/// Reads in one go: others wait for the lock.
const MAX_READS: usize = 8;
/// Requests that the worker's pipe did not take. A worker that lets them pile up does not read any more.
const MAX_BACKLOG_BYTES: usize = 1024 * 1024;
/// Framed requests that timed out one after the other without a line in between: such a worker is stuck.
const MAX_SILENT_TIMEOUTS: u32 = 3;

/// A running worker.
pub(super) struct Worker {
    pub(super) pid: u32,
    stdout: pipe::Receiver,
    state: Mutex<State>,
    /// Something changed that the attending task has to see.
    changed: Notify,
}

struct State {
    protocol: Protocol,
    answers: HashMap<DeliveryId, oneshot::Sender<Said>>,
    /// `None` when it has been closed.
    stdin: Option<Arc<pipe::Sender>>,
    backlog: Vec<u8>,
    /// Why it has to be replaced.
    doom: Option<Failure>,
    silent_timeouts: u32,
    chunk: Box<[u8]>,
}

/// An answer's line, or why there will be none.
pub(super) type Said = Result<Vec<u8>, Failure>;

/// How a request was taken.
pub(super) enum Asked {
    /// The answer comes here.
    Sent(oneshot::Receiver<Said>, Greeted),
    /// Nothing was sent: this worker has to be replaced, another can be asked.
    NotSent,
}

/// Whether a hello was read on the occasion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Greeted {
    /// It was, and so many requests at once are welcome.
    Now(usize),
    No,
}

impl Worker {
    /// Takes the pipes that requests and answers go through; standard error stays with the child.
    pub(super) fn new(child: &mut Child) -> Option<Self> {
        let (stdin, stdout) = (child.stdin.take()?, child.stdout.take()?);
        let state = State {
            protocol: Protocol::default(),
            answers: HashMap::new(),
            stdin: Some(Arc::new(stdin)),
            backlog: Vec::new(),
            doom: None,
            silent_timeouts: 0,
            chunk: vec![0; CHUNK_BYTES].into_boxed_slice(),
        };
        Some(Self { pid: child.pid(), stdout, state: Mutex::new(state), changed: Notify::new() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a request.
    pub(super) fn ask(&self, call: &Call) -> Asked {
        let mut state = self.state();
        // What the worker has printed by now is no answer to this request. (It may be the hello.)
        let greeted = state.read(|chunk| Ok(rustix::io::read(&self.stdout, chunk)?));
        let form = state.doom.is_none().then(|| state.protocol.begin(call.delivery)).flatten();
        let Some(form) = form else {
            self.changed.notify_one();
            return Asked::NotSent;
        };
        let (answer, answered) = oneshot::channel();
        state.answers.insert(call.delivery, answer);
        let sent = state.send(&frame::request(form, call, clock::now()));
        if state.doom.is_some() {
            // It has not got the whole line.
            self.changed.notify_one();
            return Asked::NotSent;
        }
        if sent == Sent::Partly {
            self.changed.notify_one();
        }
        Asked::Sent(answered, greeted)
    }

    /// Nobody waits for this answer any more, or will ever look at it, for this reason.
    pub(super) fn abandon(&self, delivery: DeliveryId, why: Failure) {
        let mut state = self.state();
        state.answers.remove(&delivery);
        match state.protocol.abandon(delivery) {
            Abandon::Nothing if state.protocol.form() == Form::Framed => return,
            // In the plain form an answer that nobody looked at may be the first line of several.
            Abandon::Nothing | Abandon::Replace => state.doom(why),
            Abandon::Tell => {
                if why.outcome == Outcome::Timeout {
                    state.silent_timeouts += 1;
                }
                if state.silent_timeouts >= MAX_SILENT_TIMEOUTS {
                    state.doom(failure(
                        Outcome::Timeout,
                        Retry::Scheduled,
                        "the worker has stopped answering",
                    ));
                } else {
                    state.send(&frame::cancel(delivery));
                }
            }
        }
        self.changed.notify_one();
    }

    /// How requests are written to it now.
    pub(super) fn form(&self) -> Form {
        self.state().protocol.form()
    }

    /// Nothing it says can be trusted any more.
    pub(super) fn replace(&self, why: Failure) {
        self.state().doom(why);
        self.changed.notify_one();
    }

    /// Why it has to be replaced, if it has to.
    pub(super) fn doom(&self) -> Option<Failure> {
        self.state().doom.clone()
    }

    /// Wakes the attending task.
    pub(super) fn nudge(&self) {
        self.changed.notify_one();
    }

    /// Waits until there is something for the attending task: answers have been handed out, the worker has
    /// to be replaced, or someone nudged. Cancel-safe.
    pub(super) async fn attend(&self) -> Greeted {
        let stdin = {
            let state = self.state();
            if state.backlog.is_empty() { None } else { state.stdin.clone() }
        };
        let writable = async {
            match &stdin {
                // An error shows at the next write.
                Some(stdin) => drop(stdin.writable().await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            ready = self.stdout.readable() => {
                let mut state = self.state();
                match ready {
                    Ok(()) => state.read(|chunk| self.stdout.try_read(chunk)),
                    Err(error) => state.read(|_| Err(io::Error::from(error.kind()))),
                }
            }
            () = writable => {
                // Through the reactor: while the pipe takes nothing, `writable` must wait, and not only say so once more.
                self.state().flush(pipe::Sender::try_write);
                Greeted::No
            }
            () = self.changed.notified() => Greeted::No,
        }
    }

    /// It has ended: hands out what it said before that, and fails the rest.
    pub(super) fn ended(&self, why: Failure) {
        let mut state = self.state();
        state.read(|chunk| Ok(rustix::io::read(&self.stdout, chunk)?));
        state.doom(why);
    }

    /// Tells it that no request follows, and closes its input.
    pub(super) fn dismiss(&self) {
        let mut state = self.state();
        if state.protocol.form() == Form::Framed {
            state.send(frame::DRAIN);
        }
        state.stdin = None;
        state.backlog.clear();
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sent {
    Wholly,
    Partly,
}

impl State {
    /// Reads all that is there, and hands out the answers in it.
    fn read(&mut self, mut read: impl FnMut(&mut [u8]) -> io::Result<usize>) -> Greeted {
        let mut greeted = Greeted::No;
        for _ in 0..MAX_READS {
            if self.doom.is_some() {
                break;
            }
            let got = match read(&mut self.chunk) {
                Ok(0) => {
                    self.doom(failure(Outcome::Crashed, Retry::Scheduled, "the worker closed its output"));
                    break;
                }
                Ok(got) => got,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => {
                    self.doom(failure(Outcome::TransportError, Retry::Scheduled, error.to_string()));
                    break;
                }
            };
            let mut heard = Vec::new();
            let bytes = self.chunk.get(..got).unwrap_or_default();
            let fed = self.protocol.feed(bytes, &mut heard);
            for heard in heard {
                self.silent_timeouts = 0;
                match heard {
                    Heard::Hello { concurrency } => greeted = Greeted::Now(concurrency),
                    Heard::Answer { delivery, line } => {
                        if let Some(answer) = self.answers.remove(&delivery) {
                            // Who waited may just have gone.
                            answer.send(Ok(line)).ok();
                        }
                    }
                    Heard::Late => tracing::debug!("Late answer of a worker left out"),
                }
            }
            if let Err(violation) = fed {
                self.doom(of_violation(violation));
            }
        }
        greeted
    }

    /// Writes, or keeps for later what the pipe does not take.
    fn send(&mut self, line: &[u8]) -> Sent {
        self.backlog.extend_from_slice(line);
        // At once, whatever the reactor knows of the pipe.
        let sent = self.flush(|stdin, bytes| Ok(rustix::io::write(stdin, bytes)?));
        if self.backlog.len() > MAX_BACKLOG_BYTES {
            self.doom(failure(Outcome::Crashed, Retry::Scheduled, "the worker does not read its input"));
        }
        sent
    }

    fn flush(&mut self, write: impl Fn(&pipe::Sender, &[u8]) -> io::Result<usize>) -> Sent {
        let Some(stdin) = &self.stdin else { return Sent::Wholly };
        while !self.backlog.is_empty() {
            match write(stdin, &self.backlog) {
                Ok(written) => drop(self.backlog.drain(..written.min(self.backlog.len()))),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Sent::Partly,
                Err(_closed) => {
                    self.doom(failure(Outcome::Crashed, Retry::Scheduled, "the worker closed its input"));
                    break;
                }
            }
        }
        Sent::Wholly
    }

    /// The first reason stands. Who waits for an answer gets it too.
    fn doom(&mut self, why: Failure) {
        if self.doom.is_none() {
            for (_, answer) in self.answers.drain() {
                answer.send(Err(why.clone())).ok();
            }
            self.backlog.clear();
            self.doom = Some(why);
        }
    }
}

fn of_violation(violation: Violation) -> Failure {
    failure(Outcome::ProtocolError, Retry::Scheduled, violation.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_pipe_that_is_full_is_waited_for_and_not_asked_again_and_again() {
        let (stdin, reader) = pipe::pipe().expect("a pipe");
        let (_printing, stdout) = pipe::pipe().expect("a pipe");
        stdin.writable().await.expect("the reactor has seen that it takes something");
        let state = State {
            protocol: Protocol::default(),
            answers: HashMap::new(),
            stdin: Some(Arc::new(stdin)),
            backlog: Vec::new(),
            doom: None,
            silent_timeouts: 0,
            chunk: vec![0; CHUNK_BYTES].into_boxed_slice(),
        };
        let worker = Worker { pid: 0, stdout, state: Mutex::new(state), changed: Notify::new() };
        let line = vec![b'x'; MAX_BACKLOG_BYTES];
        assert_eq!(worker.state().send(&line), Sent::Partly);
        let mut turns = 0;
        for _ in 0..1000 {
            tokio::select! {
                biased;
                _greeted = worker.attend() => turns += 1,
                () = tokio::task::yield_now() => {}
            }
        }
        assert!(turns < 10, "{turns} turns for a pipe that takes nothing");

        let mut read = 0;
        while read < line.len() {
            let mut chunk = vec![0; CHUNK_BYTES];
            tokio::select! {
                _greeted = worker.attend() => {}
                ready = reader.readable() => {
                    ready.expect("the pipe is open");
                    read += reader.try_read(&mut chunk).unwrap_or(0);
                }
            }
        }
        assert_eq!(worker.state().backlog.len(), 0);
    }
}
