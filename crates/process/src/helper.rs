//! The helper's side: a process with one thread and a small heap, whose only work is to start, to reap and to end.
//!
//! It owns every process below it. [`setup`] makes the process such a helper, [`table`] knows the unfinished
//! programs, [`start`] starts one, [`sweep`] ends what must not live on, [`descendants`] finds it.

mod descendants;
mod setup;
mod start;
mod sweep;
mod table;

use crate::socket::{self, Received};
use crate::wire::{Ended, MAX_MESSAGE_BYTES, Reply, Request, Scope, Spawn};
use jackfield_media::Mono;
use jackfield_runtime::clock;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, WaitOptions, WaitStatus};
use start::Starter;
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;
use sweep::{Found, Progress, Sweep};
use table::Table;

pub use setup::run_helper_if_asked;
pub(crate) use setup::{MARKER, soft_open_files};

/// How long programs have to end by themselves when the server is gone.
const GRACE_AT_END: Duration = Duration::from_secs(2);

/// The most requests that are taken before ended children are looked after again.
const REQUESTS_AT_ONCE: usize = 16;

/// Whether the server is still there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Server {
    There,
    Gone,
}

struct Helper {
    socket: OwnedFd,
    child_signals: OwnedFd,
    server: Server,
    /// Replies that the socket did not take. While there are some no request is read, so that it holds
    /// no more than a few for each program that runs.
    outbox: VecDeque<Reply>,
    table: Table,
    starter: Starter,
    sweep: Option<Sweep>,
    buffer: Vec<u8>,
}

impl Helper {
    fn new(socket: OwnedFd, child_signals: OwnedFd) -> Self {
        Self {
            socket,
            child_signals,
            server: Server::There,
            outbox: VecDeque::from([Reply::Ready]),
            table: Table::default(),
            starter: Starter::default(),
            sweep: None,
            buffer: vec![0; MAX_MESSAGE_BYTES],
        }
    }

    /// Works until the server is gone and nothing lives below the helper any more.
    fn run(&mut self) -> io::Result<()> {
        loop {
            self.flush();
            if self.server == Server::Gone && self.sweep.is_none() {
                return Ok(());
            }
            let ready = self.wait(clock::now())?;
            if ready.children {
                self.drain_child_signals();
            }
            self.look_after_starts(&ready.starts);
            if ready.socket {
                self.take_requests();
            }
            // Always, and after the requests: one may have been for what has just ended.
            self.reap();
            self.act(clock::now());
        }
    }

    /// Waits for something to do, at most until the next deadline.
    fn wait(&mut self, now: Mono) -> io::Result<Ready> {
        let mut starting = Vec::new();
        let mut polled = vec![PollFd::new(&self.child_signals, PollFlags::IN)];
        let mut next_look = None;
        for (id, start, look_at) in self.table.starting() {
            if look_at <= now {
                starting.push(id);
                polled.push(PollFd::new(start.descriptor(), PollFlags::IN));
            } else {
                next_look = Some(next_look.map_or(look_at, |earlier: Mono| earlier.min(look_at)));
            }
        }
        if self.server == Server::There {
            let wanted = if self.outbox.is_empty() { PollFlags::IN } else { PollFlags::OUT };
            polled.push(PollFd::new(&self.socket, wanted));
        }
        let sweep = self.sweep.as_ref().map(Sweep::next);
        let next = [self.table.next_kill(), self.table.next_hanging(), sweep, next_look];
        let next = next.into_iter().flatten().min();
        let timeout = next.map(|at| at.since(now)).map(|timeout| Timespec {
            tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(timeout.subsec_nanos()),
        });
        match rustix::event::poll(&mut polled, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let fired: Vec<bool> = polled.iter().map(|polled| !polled.revents().is_empty()).collect();
        let (children, rest) = fired.split_first().map_or((false, [].as_slice()), |(c, rest)| (*c, rest));
        Ok(Ready {
            children,
            socket: rest.get(starting.len()).copied().unwrap_or(false),
            starts: starting.into_iter().zip(rest).filter_map(|(id, fired)| fired.then_some(id)).collect(),
        })
    }

    fn drain_child_signals(&self) {
        // One read takes them all: there is one SIGCHLD at most, however many children it is for.
        let mut signals = [0; 1024];
        rustix::io::read(&self.child_signals, &mut signals).ok();
    }

    /// Takes what the server asks for, a few requests at a time.
    fn take_requests(&mut self) {
        for _ in 0..REQUESTS_AT_ONCE {
            if !self.outbox.is_empty() {
                return;
            }
            let decoded = match socket::receive(self.socket.as_fd(), &mut self.buffer) {
                Ok(Received::Nothing) => return,
                Ok(Received::Message(length, descriptors)) => {
                    let message = self.buffer.get(..length).unwrap_or_default();
                    Request::decode(message).map(|request| (request, descriptors)).ok()
                }
                Ok(Received::Closed) | Err(_) => None,
            };
            // A message that makes no sense is as good as none: there is no server to go on with.
            let Some((request, descriptors)) = decoded else {
                return self.server_is_gone();
            };
            self.obey(request, descriptors);
            self.flush();
        }
    }

    fn obey(&mut self, request: Request, descriptors: Vec<OwnedFd>) {
        match request {
            Request::Spawn(spawn) => self.spawn(*spawn, descriptors),
            Request::End { id, grace } => self.table.end(id, grace, clock::now()),
            Request::Sweep { request, grace, scope } => self.begin_sweep(scope, grace, Some(request)),
            Request::Count { request } => {
                let programs = u32::try_from(self.table.len()).unwrap_or(u32::MAX);
                let background = Found::background(&self.table).group_count();
                self.reply(Reply::Counted { request, programs, background });
            }
            Request::Adopt { session, unfinished } => {
                if let Some(session) = Pid::from_raw(session) {
                    self.table.adopt(session, &unfinished);
                }
            }
        }
    }

    fn spawn(&mut self, spawn: Spawn, given: Vec<OwnedFd>) {
        let id = spawn.id;
        match self.starter.start(spawn, given) {
            Ok((pid, starting)) => self.table.add(id, pid, starting, clock::now()),
            Err(failure) => self.reply(Reply::Failed { id, step: failure.step, errno: failure.errno }),
        }
    }

    fn look_after_starts(&mut self, ready: &[u64]) {
        for id in ready {
            if let Some(reply) = self.table.look_after_start(*id, &mut self.starter) {
                self.reply(reply);
            }
        }
    }

    /// Takes the exits of all children that have ended: of programs, and of orphans from below them.
    fn reap(&mut self) {
        let mut reaped = false;
        while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
            let Some(ended) = ended(status) else { continue };
            reaped = true;
            if let Some(reply) = self.table.leader_ended(pid, ended, &mut self.starter) {
                self.reply(reply);
            }
        }
        if reaped {
            self.table.forget_empty_groups();
            if let Some(sweep) = &mut self.sweep {
                sweep.look_again();
            }
        }
    }

    /// Does what is due by now.
    fn act(&mut self, now: Mono) {
        self.table.kill_overdue(now);
        for reply in self.table.take_hanging(now) {
            self.reply(reply);
        }
        let Some(mut sweep) = self.sweep.take() else { return };
        match sweep.act(&self.table, now) {
            Progress::Going => self.sweep = Some(sweep),
            Progress::Done { left } => {
                for request in sweep.into_waiting() {
                    self.reply(Reply::Swept { request, left });
                }
            }
        }
    }

    fn begin_sweep(&mut self, scope: Scope, grace: Duration, request: Option<u64>) {
        let begun = Sweep::new(scope, clock::now(), grace, request);
        self.sweep = Some(match self.sweep.take() {
            Some(earlier) => earlier.joined_by(begun),
            None => begun,
        });
    }

    fn server_is_gone(&mut self) {
        self.server = Server::Gone;
        self.outbox.clear();
        self.begin_sweep(Scope::Everything, GRACE_AT_END, None);
    }

    fn reply(&mut self, reply: Reply) {
        if self.server == Server::There {
            self.outbox.push_back(reply);
        }
    }

    /// Sends what the socket takes.
    fn flush(&mut self) {
        while let Some(reply) = self.outbox.front() {
            match socket::send(self.socket.as_fd(), &reply.encode(), &[]) {
                Ok(()) => drop(self.outbox.pop_front()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => return self.server_is_gone(),
            }
        }
    }
}

/// What a wait found.
struct Ready {
    children: bool,
    socket: bool,
    starts: Vec<u64>,
}

fn ended(status: WaitStatus) -> Option<Ended> {
    status.exit_status().map(Ended::Code).or_else(|| status.terminating_signal().map(Ended::Signal))
}
