//! The end of what must not live on: what finished programs left in the background, when the server stops;
//! everything, when the server is gone.
//!
//! Whoever dies may leave orphans that the helper adopts, so a sweep looks again after each death until
//! nobody is left: SIGTERM to each group once, SIGKILL to those still there when the grace is over.

use super::descendants;
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
    /// Groups that were sent SIGTERM.
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
        let groups = match self.scope {
            Scope::Background => background_groups(table),
            Scope::Everything => all_groups(table),
        };
        let left = u32::try_from(groups.len()).unwrap_or(u32::MAX);
        if groups.is_empty() && (self.scope == Scope::Background || !descendants::any()) {
            return Progress::Done { left: 0 };
        }
        if now >= self.give_up_at {
            return Progress::Done { left: left.max(1) };
        }
        for group in groups {
            self.signal(group, now);
        }
        Progress::Going
    }

    /// The group has a child of the helper among its members, or a leader that is not reaped; nothing has
    /// been reaped since that was found, so that the number means this group.
    fn signal(&mut self, group: Pid, now: Mono) {
        if now >= self.kill_at {
            rustix::process::kill_process_group(group, Signal::KILL).ok();
        } else if self.told.insert(group) {
            rustix::process::kill_process_group(group, Signal::TERM).ok();
            rustix::process::kill_process_group(group, Signal::CONT).ok();
        }
    }
}

/// The groups of the living that belong to no unfinished program.
pub(super) fn background_groups(table: &Table) -> HashSet<Pid> {
    living_groups().filter(|group| !table.has_group(*group)).collect()
}

/// The groups of all the living. Those of programs are known even if `/proc` is not to be had.
fn all_groups(table: &Table) -> HashSet<Pid> {
    living_groups().chain(table.led_groups()).collect()
}

fn living_groups() -> impl Iterator<Item = Pid> {
    let own = rustix::process::getpgrp();
    // A child between its fork and its own group is still in the helper's: never signal that.
    descendants::living().into_iter().map(|child| child.group).filter(move |group| *group != own)
}
