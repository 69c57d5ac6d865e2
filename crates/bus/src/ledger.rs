//! What the next start must know of this one: which pairs are open, and which numbers were given.
//!
//! The outbox's writer shows it every notice in the order of `seq`. Now and then it is kept in a file; at the next start
//! it is read from there, and the notices that were stored behind it are shown to it again.

mod checkpoint;
mod pairs;

pub(crate) use checkpoint::How;
pub use pairs::OpenPair;

use crate::Epochs;
use jackfield_events::{Event, EventType};
use pairs::{End, PairKey, pair_of};
use std::collections::BTreeMap;

/// Follows all notices.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ledger {
    /// All notices up to this one were seen.
    pub(crate) seq: u64,
    /// The highest number of a connection.
    pub(crate) conn: u64,
    /// The highest number of a publish or play session.
    pub(crate) session: u64,
    pub(crate) epochs: Epochs,
    /// Starts whose stop was not seen.
    open: BTreeMap<PairKey, OpenPair>,
}

impl Ledger {
    /// Sees a notice; one that it saw before changes nothing.
    pub(crate) fn follow(&mut self, event: &Event) {
        let seq = event.stamp().seq;
        if seq <= self.seq {
            return;
        }
        self.seq = seq;
        if event.is_test() {
            return;
        }
        let scope = event.scope();
        self.conn = self.conn.max(scope.conn_id.map_or(0, |id| id.0));
        self.session = self.session.max(scope.session_id.map_or(0, |id| id.0));
        if let (EventType::PublishStart, Some(key), Some(epoch)) =
            (event.event_type(), &scope.stream_key, scope.epoch)
        {
            self.epochs.saw(key, epoch);
        }
        match pair_of(event) {
            Some((key, End::Start(pair))) => drop(self.open.insert(key, pair)),
            Some((key, End::Stop)) => drop(self.open.remove(&key)),
            None => {}
        }
    }

    /// The pairs that are open, in the order in which they are to be closed.
    pub(crate) fn open(&self) -> Vec<OpenPair> {
        self.open.values().cloned().collect()
    }
}

#[cfg(test)]
mod tests;
