//! The outbox: every notice in one log on disk, so that no crash loses what a hook has not got yet.
//!
//! [`crate::Bus`] appends; a thread of its own writes. A notice can be read once it is written (not: synced), so that
//! what a hook was told survives the end of the process. A spare in memory keeps what is not written yet over that end.
//!
//! The newest notices stay in memory, where most are read.
//! If the disk is full or slow, what memory does not hold any longer is lost, counted and told by `events_lost`;
//! delivery goes on from memory meanwhile.

mod config;
mod counters;
mod losses;
mod opening;
mod reading;
mod spare;
mod tail;
mod writing;

pub use config::{Fsync, OutboxConfig, OutboxError, SpareFolder};
pub use counters::{OutboxCounters, OutboxState};
pub use opening::Recovered;
pub use reading::Read;

use crate::ledger::Ledger;
use counters::Counters;
use jackfield_events::{Class, Event, LossCause};
use jackfield_journal::{Reader, Spared};
use jackfield_runtime::{Joining, Tasks};
use losses::{Loss, Losses};
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use tail::{Evicted, Tail};

pub(crate) use tail::Given;
use tokio::sync::{Notify, watch};

/// The outbox. Clones are the same one.
#[derive(Clone)]
pub struct Outbox(Arc<Inner>);

struct Inner {
    config: OutboxConfig,
    tasks: Tasks,
    reader: Reader,
    tail: Mutex<Tail>,
    /// Wakes the writer.
    work: Condvar,
    /// Tells that the writer has begun to work, or that there is something to read that it has not written.
    pulse: Notify,
    /// Tells that something was written that is not synced.
    dirty: Notify,
    /// Up to here can be read.
    head: watch::Sender<u64>,
    ledger: Mutex<Ledger>,
    losses: Mutex<Losses>,
    spare: Mutex<Option<spare::Kept>>,
    lost: Notify,
    counters: Counters,
    thread: Mutex<Option<Joining<()>>>,
}

impl Outbox {
    /// Takes a notice: the bus calls it, in the order of `seq`. It pushes and returns.
    pub(crate) fn append(&self, event: &Arc<Event>) {
        let inner = &*self.0;
        inner.spare_it(event);
        let (evicted, begins, direct) = {
            let mut tail = inner.tail();
            tail.push(event);
            let followed = tail.followed;
            let evicted = tail.evict(inner.config.memory_bytes, u64::MAX);
            if !evicted.lost.is_empty() {
                inner.follow_lost(&evicted, followed);
            }
            (evicted, std::mem::take(&mut tail.idle), tail.direct)
        };
        if begins {
            inner.work.notify_one();
        }
        if begins || direct {
            inner.pulse.notify_one();
        }
        if !evicted.lost.is_empty() {
            inner.lose(&evicted);
        }
    }

    /// Waits until something after `seq` can be read. Cancel-safe.
    pub async fn more_than(&self, seq: u64) {
        let mut head = self.0.head.subscribe();
        // The sender lives as long as this does.
        drop(head.wait_for(|head| *head > seq).await);
    }

    /// The `seq` of the last notice that was appended; questions and events that nobody stores have numbers too.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.0.tail().last
    }

    /// The `seq` of the oldest notice that can be read, or of the next one if there is none.
    #[must_use]
    pub fn first(&self) -> u64 {
        let stored = self.0.reader.first();
        let tail = self.0.tail();
        let held = tail.front().map_or(tail.last + 1, |event| event.stamp().seq);
        stored.map_or(held, |stored| stored.min(held))
    }

    /// Numbers of what was done so far.
    #[must_use]
    pub fn counters(&self) -> OutboxCounters {
        let tail = self.0.tail();
        let (events, bytes, last, written) = (tail.len(), tail.bytes, tail.last, tail.written);
        drop(tail);
        self.0.counters.snapshot(events, bytes, self.0.reader.bytes(), (last, written))
    }

    /// Writes and syncs what was appended, keeps the ledger as the last word of this server, and ends. What is appended
    /// from now on is held in memory only.
    pub(crate) async fn close(&self, given: Given) {
        self.0.tail().given = Some(given);
        self.0.end();
        let thread = self.0.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            thread.join().await;
        }
    }

    /// What was lost and not told; waits until there is something. Cancel-safe.
    pub(crate) async fn losses(&self) -> Vec<Loss> {
        loop {
            let losses = self.0.losses.lock().unwrap_or_else(PoisonError::into_inner).take();
            if !losses.is_empty() {
                return losses;
            }
            self.0.lost.notified().await;
        }
    }

    /// The numbers of what comes are above this one.
    pub(crate) fn go_on_above(&self, seq: u64) {
        let mut tail = self.0.tail();
        tail.go_on_above(seq);
        self.0.head.send_replace(tail.visible);
    }
}

impl Inner {
    fn tail(&self) -> MutexGuard<'_, Tail> {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn spare(&self) -> MutexGuard<'_, Option<spare::Kept>> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From when this returns the notice survives the process.
    fn spare_it(&self, event: &Event) {
        if event.spec().class != Class::Durable {
            return;
        }
        let (stamp, line) = (event.stamp(), event.json());
        let mut spare = self.spare();
        let Some(kept) = spare.as_mut() else { return };
        if kept.put(stamp.seq, stamp.time, line) == Spared::Full {
            self.counters.not_spared();
        }
    }

    /// Begins the spare anew if somebody has removed its file: the system does so where its user logs out.
    fn look_for_the_spare(&self) {
        // Whoever appends waits for no disk.
        let place = self.spare().as_ref().map(spare::Kept::place);
        if place.is_none_or(|place| place.is_there()) {
            return;
        }
        tracing::warn!("The spare of the log of events was removed, it is begun anew");
        let anew = spare::Kept::begin(&self.config.folder, &self.config.spare).unwrap_or_else(|error| {
            tracing::error!(%error, "Nothing outlives this server any more but what is written");
            None
        });
        let _former = std::mem::replace(&mut *self.spare(), anew);
    }

    /// The ledger sees what the writer never will.
    fn follow_lost(&self, evicted: &Evicted, followed: u64) {
        let mut ledger = self.ledger();
        for event in evicted.events.iter().filter(|event| event.stamp().seq > followed) {
            ledger.follow(event);
        }
    }

    /// Counts what fell out of memory before it was written.
    fn lose(&self, evicted: &Evicted) {
        let seq = |event: Option<&Arc<Event>>| event.map_or(0, |event| event.stamp().seq);
        self.add_loss(Loss {
            cause: self.counters.cause().unwrap_or(LossCause::DiskSlow),
            count: evicted.lost.len() as u64,
            first: seq(evicted.lost.first()),
            last: seq(evicted.lost.last()),
        });
    }

    fn add_loss(&self, loss: Loss) {
        self.counters.lost(loss.count);
        self.losses.lock().unwrap_or_else(PoisonError::into_inner).add(loss);
        self.lost.notify_one();
    }

    /// Lets readers read up to here.
    fn show(&self, visible: u64) {
        self.head.send_if_modified(|head| {
            let moves = visible > *head;
            *head = visible.max(*head);
            moves
        });
    }

    /// Tells the writer to end.
    fn end(&self) {
        self.tail().closing = true;
        self.work.notify_one();
    }
}

impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbox").field("folder", &self.0.config.folder).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
