//! The unfinished programs: from the fork until the program has ended and, if its end was asked for, the
//! last of its group has.
//!
//! A group is signalled only while its number is certainly its own. As long as its leader is not reaped that is so:
//! the kernel does not give the number away. After that [`descendants::any_in_group`] vouches for it.

use super::descendants::{self, Relation};
use super::start::{Failure, Outcome, Starter, Starting};
use crate::wire::{Ended, Reply};
use jackfield_media::Mono;
use rustix::process::{Pid, Signal};
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

/// How long after its start a program is looked after for the first time. Most are over by then, or not much later, and a
/// look while they are at work would take two changes of process, and as many again to tell the server.
const FIRST_LOOK: Duration = Duration::from_millis(2);

/// A start that takes longer hangs. The server is told, which has only so many places for those that do not.
const HANGS_AFTER: Duration = Duration::from_secs(1);

/// What is to become of a program's group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It runs; when it ends, what it leaves behind lives on.
    Runs,
    /// It was sent SIGTERM; SIGKILL follows then.
    KillAt(Mono),
    /// It was sent SIGKILL.
    Killed,
}

#[derive(Debug)]
enum Leader {
    /// Not yet the program, as far as is known.
    Starting {
        starting: Starting,
        look_at: Mono,
        /// `None` when that has been told.
        hangs_at: Option<Mono>,
    },
    /// It will not become the program. That is told when it is reaped.
    Failed { starting: Starting, failure: Failure },
    /// It is the program.
    Runs,
    /// Reaped. The entry lives on because others of its group are being ended.
    Reaped,
}

#[derive(Debug)]
struct Entry {
    /// Its own number, and its group's.
    pid: Pid,
    leader: Leader,
    fate: Fate,
}

impl Entry {
    /// Signals the whole group, if it is still there.
    fn signal(&self, signal: Signal) {
        if !matches!(self.leader, Leader::Reaped) || descendants::any_in_group(self.pid) {
            rustix::process::kill_process_group(self.pid, signal).ok();
        }
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Table {
    entries: BTreeMap<u64, Entry>,
    /// Of leaders that are not reaped.
    by_pid: HashMap<Pid, u64>,
    /// Sessions of helpers that died before this one.
    adopted: Vec<Pid>,
}

impl Table {
    pub(super) fn add(&mut self, id: u64, pid: Pid, starting: Starting, now: Mono) {
        let (look_at, hangs_at) = (now.after(FIRST_LOOK), Some(now.after(HANGS_AFTER)));
        let leader = Leader::Starting { starting, look_at, hangs_at };
        self.entries.insert(id, Entry { pid, leader, fate: Fate::Runs });
        self.by_pid.insert(pid, id);
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The programs that have not executed yet, and from when on to look after them.
    pub(super) fn starting(&self) -> impl Iterator<Item = (u64, &Starting, Mono)> {
        self.entries.iter().filter_map(|(id, entry)| match &entry.leader {
            Leader::Starting { starting, look_at, .. } => Some((*id, starting, *look_at)),
            Leader::Failed { .. } | Leader::Runs | Leader::Reaped => None,
        })
    }

    /// Whether the group is that of an unfinished program.
    pub(super) fn has_group(&self, group: Pid) -> bool {
        self.by_pid.contains_key(&group)
            || self.entries.values().any(|entry| matches!(entry.leader, Leader::Reaped) && entry.pid == group)
    }

    /// The groups of all programs whose leader is not reaped: those that may be signalled at any time.
    pub(super) fn led_groups(&self) -> impl Iterator<Item = Pid> {
        self.by_pid.keys().copied()
    }

    /// Takes over what lives in a dead helper's session, and ends what of it was an unfinished program's.
    pub(super) fn adopt(&mut self, session: Pid, unfinished: &[i32]) {
        self.adopted.push(session);
        for living in descendants::living(&[session]) {
            if unfinished.contains(&living.group.as_raw_pid()) && living.relation != Relation::Child {
                descendants::signal_adopted(living.pid, session, Signal::KILL);
            }
        }
    }

    /// The sessions that were taken over.
    pub(super) fn adopted(&self) -> &[Pid] {
        &self.adopted
    }

    /// When the next start counts as hanging.
    pub(super) fn next_hanging(&self) -> Option<Mono> {
        self.entries
            .values()
            .filter_map(|entry| match entry.leader {
                Leader::Starting { hangs_at, .. } => hangs_at,
                Leader::Failed { .. } | Leader::Runs | Leader::Reaped => None,
            })
            .min()
    }

    /// What there is to tell of starts that hang since now.
    pub(super) fn take_hanging(&mut self, now: Mono) -> Vec<Reply> {
        let mut told = Vec::new();
        for (id, entry) in &mut self.entries {
            if let Leader::Starting { hangs_at, .. } = &mut entry.leader
                && hangs_at.take_if(|at| *at <= now).is_some()
            {
                told.push(Reply::Hangs { id: *id });
            }
        }
        told
    }

    /// What there is to tell of a start that is under way.
    pub(super) fn look_after_start(&mut self, id: u64, starter: &mut Starter) -> Option<Reply> {
        let entry = self.entries.get_mut(&id)?;
        let Leader::Starting { starting, .. } = &entry.leader else { return None };
        let outcome = starting.outcome();
        if outcome == Outcome::Pending {
            return None;
        }
        let Leader::Starting { starting, .. } = std::mem::replace(&mut entry.leader, Leader::Runs) else {
            return None;
        };
        match outcome {
            Outcome::Pending => None,
            Outcome::Executed => {
                starter.finish(starting);
                Some(Reply::Started { id, pid: entry.pid.as_raw_pid() })
            }
            Outcome::Failed(failure) => {
                entry.leader = Leader::Failed { starting, failure };
                None
            }
        }
    }

    /// Ends a program's group. One that has ended meanwhile is left alone: its deadline was met.
    pub(super) fn end(&mut self, id: u64, grace: Duration, now: Mono) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        if grace.is_zero() {
            entry.signal(Signal::KILL);
            entry.fate = Fate::Killed;
            return;
        }
        let kill_at = now.after(grace);
        entry.fate = match entry.fate {
            Fate::Runs => {
                entry.signal(Signal::TERM);
                // A stopped process gets no SIGTERM before it goes on.
                entry.signal(Signal::CONT);
                Fate::KillAt(kill_at)
            }
            Fate::KillAt(earlier) => Fate::KillAt(earlier.min(kill_at)),
            Fate::Killed => Fate::Killed,
        };
    }

    /// When the next group is to be killed.
    pub(super) fn next_kill(&self) -> Option<Mono> {
        self.entries
            .values()
            .filter_map(|entry| match entry.fate {
                Fate::KillAt(at) => Some(at),
                Fate::Runs | Fate::Killed => None,
            })
            .min()
    }

    /// Kills the groups whose grace is over.
    pub(super) fn kill_overdue(&mut self, now: Mono) {
        for entry in self.entries.values_mut() {
            if let Fate::KillAt(at) = entry.fate
                && at <= now
            {
                entry.signal(Signal::KILL);
                entry.fate = Fate::Killed;
            }
        }
    }

    /// A child has been reaped: what there is to tell, if it was to be a program.
    pub(super) fn leader_ended(&mut self, pid: Pid, ended: Ended, starter: &mut Starter) -> Option<Reply> {
        let id = self.by_pid.remove(&pid)?;
        let entry = self.entries.get_mut(&id)?;
        let failure = match std::mem::replace(&mut entry.leader, Leader::Reaped) {
            Leader::Starting { starting, .. } => {
                let outcome = starting.outcome();
                starter.finish(starting);
                match outcome {
                    Outcome::Failed(failure) => Some(failure),
                    // It has executed and ended since the last look; or was killed from outside before it could
                    // execute, which to the server is a program that ran and died.
                    Outcome::Executed | Outcome::Pending => None,
                }
            }
            Leader::Failed { starting, failure } => {
                starter.finish(starting);
                Some(failure)
            }
            Leader::Runs | Leader::Reaped => None,
        };
        if entry.fate == Fate::Runs || failure.is_some() {
            // What it left in the background lives on.
            self.entries.remove(&id);
        }
        Some(match failure {
            Some(Failure { step, errno }) => Reply::Failed { id, step, errno },
            None => Reply::Exited { id, pid: pid.as_raw_pid(), ended },
        })
    }

    /// Forgets groups that were being ended and have nobody left. To be called after each reaping, before
    /// the number of an empty group can have come to mean another.
    pub(super) fn forget_empty_groups(&mut self) {
        self.entries.retain(|_, entry| {
            !matches!(entry.leader, Leader::Reaped) || descendants::any_in_group(entry.pid)
        });
    }
}
