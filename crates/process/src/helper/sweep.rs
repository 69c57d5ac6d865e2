//! The end of what must not live on: what finished programs left in the background, when the server stops;
//! everything, when the server is gone.
//!
//! Whoever dies may leave orphans that the helper adopts, so a sweep looks again after each death until
//! nobody is left: SIGTERM to each group once, SIGKILL to those still there when the grace is over.

use super::descendants::{self, Relation};
use super::table::Table;
use crate::wire::Scope;
use jackfield_media::Mono;
use rustix::process::{Pid, Signal};
use std::collections::HashSet;
use std::time::Duration;

/// How long after SIGKILL a sweep waits for processes that the kernel does not let go.
const PATIENCE_AFTER_KILL: Duration = Duration::from_secs(2);

/// How often a sweep looks when nobody dies: a look through `/proc` may miss who was just forking.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How far a sweep has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    Going,
    /// Nobody is left, or so many that even SIGKILL did not end in time.
    Done {
        left: u32,
    },
}

/// See the module.
#[derive(Debug)]
pub(super) struct Sweep {
    scope: Scope,
    kill_at: Mono,
    give_up_at: Mono,
    /// Groups, and adopted processes, that were sent SIGTERM.
    told: HashSet<Pid>,
    /// When to look next; long ago when somebody has died.
    next: Mono,
    /// The requests that wait for its end.
    waiting: Vec<u64>,
}

impl Sweep {
    pub(super) fn new(scope: Scope, now: Mono, grace: Duration, request: Option<u64>) -> Self {
        let kill_at = now.after(grace);
        Self {
            scope,
            kill_at,
            give_up_at: kill_at.after(PATIENCE_AFTER_KILL),
            told: HashSet::new(),
            next: now,
            waiting: request.into_iter().collect(),
        }
    }

    /// One sweep that does the work of both: the wider scope, the shorter grace.
    pub(super) fn joined_by(mut self, other: Self) -> Self {
        if other.scope == Scope::Everything {
            self.scope = Scope::Everything;
        }
        self.kill_at = self.kill_at.min(other.kill_at);
        self.give_up_at = self.give_up_at.min(other.give_up_at);
        self.waiting.extend(other.waiting);
        self.next = Mono::ZERO;
        self
    }

    /// The requests that wait for its end.
    pub(super) fn into_waiting(self) -> Vec<u64> {
        self.waiting
    }

    /// Somebody has died.
    pub(super) fn look_again(&mut self) {
        self.next = Mono::ZERO;
    }

    /// When to look even if nobody dies.
    pub(super) fn next(&self) -> Mono {
        self.next
    }

    /// Signals whom it finds.
    pub(super) fn act(&mut self, table: &Table, now: Mono) -> Progress {
        if now < self.next {
            return Progress::Going;
        }
        let deadline = if now < self.kill_at { self.kill_at } else { self.give_up_at };
        self.next = deadline.min(now.after(LOOK_EVERY));
        let found = match self.scope {
            Scope::Background => Found::background(table),
            Scope::Everything => Found::everything(table),
        };
        let left = found.group_count();
        if left == 0 && (self.scope == Scope::Background || !descendants::any()) {
            return Progress::Done { left };
        }
        if now >= self.give_up_at {
            return Progress::Done { left: left.max(1) };
        }
        self.signal(&found, now);
        Progress::Going
    }

    /// A group that was found has a child of the helper among its members, or a leader that is not reaped; nothing
    /// has been reaped since, so that its number means this group.
    fn signal(&mut self, found: &Found, now: Mono) {
        for group in &found.groups {
            for signal in self.signals(*group, now) {
                rustix::process::kill_process_group(*group, *signal).ok();
            }
        }
        for (pid, _, session) in &found.adopted {
            for signal in self.signals(*pid, now) {
                descendants::signal_adopted(*pid, *session, *signal);
            }
        }
    }

    fn signals(&mut self, number: Pid, now: Mono) -> &'static [Signal] {
        if now >= self.kill_at {
            &[Signal::KILL]
        } else if self.told.insert(number) {
            // A stopped process gets no SIGTERM before it goes on.
            &[Signal::TERM, Signal::CONT]
        } else {
            &[]
        }
    }
}

/// Who is found.
#[derive(Debug, Default)]
pub(super) struct Found {
    groups: HashSet<Pid>,
    /// Processes with their group and session, from under a helper that died.
    adopted: Vec<(Pid, Pid, Pid)>,
}

impl Found {
    /// The living that belong to no unfinished program.
    pub(super) fn background(table: &Table) -> Self {
        let mut found = Self::living(table);
        found.groups.retain(|group| !table.has_group(*group));
        found
    }

    /// All the living. The groups of programs are known even if `/proc` is not to be had.
    fn everything(table: &Table) -> Self {
        let mut found = Self::living(table);
        found.groups.extend(table.led_groups());
        found
    }

    fn living(table: &Table) -> Self {
        let own = rustix::process::getpgrp();
        let mut found = Self::default();
        for living in descendants::living(table.adopted()) {
            match living.relation {
                // A child between its fork and its own group is still in the helper's: never signal that.
                Relation::Child if living.group == own => {}
                Relation::Child => drop(found.groups.insert(living.group)),
                Relation::Adopted { session } => found.adopted.push((living.pid, living.group, session)),
            }
        }
        found
    }

    pub(super) fn group_count(&self) -> u32 {
        let adopted: HashSet<Pid> = self.adopted.iter().map(|(_, group, _)| *group).collect();
        u32::try_from(self.groups.len() + adopted.len()).unwrap_or(u32::MAX)
    }
}
