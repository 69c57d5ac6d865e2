//! Which streams there are, and who waits for one.

use crate::inbox::{Command, Inbox};
use crate::status::{Presence, Status, StreamCounters};
use jackfield_bus::Epochs;
use jackfield_events::EndReason;
use jackfield_media::{Epoch, Mono, StreamKey};
use std::collections::HashMap;
use std::fmt;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// What all share of one stream.
pub(crate) struct Entry {
    pub(crate) key: StreamKey,
    pub(crate) inbox: Inbox,
    pub(crate) status: Status,
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry").field("key", &self.key).finish_non_exhaustive()
    }
}

/// All streams by key. A leaf lock: nothing is awaited and no other crate is called under it.
#[derive(Default)]
pub(crate) struct Registry {
    tables: Mutex<Tables>,
    emptied: Notify,
}

#[derive(Default)]
struct Tables {
    streams: HashMap<StreamKey, Arc<Entry>>,
    waiting: HashMap<StreamKey, Waiting>,
    epochs: Epochs,
    /// Of the streams that have ended.
    ended: StreamCounters,
    stopping: Option<EndReason>,
}

/// Players that wait for one key. Kept only as long as there are any.
struct Waiting {
    players: usize,
    came: Arc<Notify>,
}

/// The hub stops and takes in nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stopping;

impl Registry {
    /// Without streams; epochs go on from these.
    pub(crate) fn new(epochs: Epochs) -> Self {
        let tables = Mutex::new(Tables { epochs, ..Tables::default() });
        Self { tables, emptied: Notify::new() }
    }

    pub(crate) fn find(&self, key: &StreamKey) -> Option<Arc<Entry>> {
        self.tables().streams.get(key).map(Arc::clone)
    }

    /// What all streams have counted, those that have ended included.
    pub(crate) fn totals(&self) -> StreamCounters {
        let tables = self.tables();
        let mut totals = tables.ended;
        tables.streams.values().for_each(|entry| totals.add(&entry.status.counters.read()));
        totals
    }

    pub(crate) fn all(&self) -> Vec<Arc<Entry>> {
        self.tables().streams.values().map(Arc::clone).collect()
    }

    /// Hands the command to the stream, or to a new one that `begin` starts.
    pub(crate) fn create(
        &self,
        key: &StreamKey,
        command: Command,
        begin: impl FnOnce(Arc<Entry>),
    ) -> Result<(), Stopping> {
        let mut tables = self.tables();
        if tables.stopping.is_some() {
            return Err(Stopping);
        }
        if let Some(entry) = tables.streams.get(key) {
            // A stream leaves the table and closes its inbox under this lock, so it is open; after a
            // panic of its task the command is dropped, and its caller sees that.
            let _panicked = entry.inbox.command(command);
            return Ok(());
        }
        let entry = Arc::new(Entry { key: key.clone(), inbox: Inbox::default(), status: Status::default() });
        let _new = entry.inbox.command(command);
        tables.streams.insert(key.clone(), Arc::clone(&entry));
        drop(tables);
        begin(entry);
        Ok(())
    }

    /// Takes a stream out of the table unless somebody has just asked it for something.
    pub(crate) fn retire(&self, entry: &Arc<Entry>) -> Retired {
        let mut tables = self.tables();
        let Ok(rest) = entry.inbox.close_unless_wanted() else {
            return Retired::No;
        };
        tables.remove(entry);
        drop(tables);
        drop(rest);
        self.emptied.notify_waiters();
        Retired::Yes
    }

    /// Takes a stream out of the table whose task has ended without retiring it.
    pub(crate) fn bury(&self, entry: &Arc<Entry>) {
        let mut tables = self.tables();
        let rest = entry.inbox.close();
        tables.remove(entry);
        drop(tables);
        drop(rest);
        self.emptied.notify_waiters();
    }

    pub(crate) fn next_epoch(&self, key: &StreamKey) -> Epoch {
        self.tables().epochs.next(key)
    }

    /// Tells those who wait for this key that it can be played.
    pub(crate) fn came(&self, key: &StreamKey) {
        if let Some(waiting) = self.tables().waiting.get(key) {
            waiting.came.notify_waiters();
        }
    }

    /// Waits until the key can be played; `false` when the hub stops.
    pub(crate) async fn wait_live(&self, key: &StreamKey) -> bool {
        let waiting = WaitingPlayer::new(self, key);
        loop {
            let mut came = pin!(waiting.came.notified());
            came.as_mut().enable();
            {
                let tables = self.tables();
                if tables.stopping.is_some() {
                    return false;
                }
                let entry = tables.streams.get(key);
                if entry.is_some_and(|entry| entry.status.presence(Mono::ZERO) != Presence::Absent) {
                    return true;
                }
            }
            came.await;
        }
    }

    /// Takes in nobody any more, and tells all streams to end.
    pub(crate) fn stop(&self, reason: EndReason) {
        let mut tables = self.tables();
        tables.stopping.get_or_insert(reason);
        for entry in tables.streams.values() {
            entry.inbox.stop(reason);
        }
        for waiting in tables.waiting.values() {
            waiting.came.notify_waiters();
        }
    }

    /// Waits until there is no stream.
    pub(crate) async fn empty(&self) {
        loop {
            let mut emptied = pin!(self.emptied.notified());
            emptied.as_mut().enable();
            if self.tables().streams.is_empty() {
                return;
            }
            emptied.await;
        }
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tables {
    fn remove(&mut self, entry: &Arc<Entry>) {
        if self.streams.get(&entry.key).is_some_and(|held| Arc::ptr_eq(held, entry)) {
            self.streams.remove(&entry.key);
            self.ended.add(&entry.status.counters.read());
        }
    }
}

/// Whether a stream has left the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Retired {
    Yes,
    No,
}

/// One player that waits; takes itself out when it is dropped.
struct WaitingPlayer<'a> {
    registry: &'a Registry,
    key: &'a StreamKey,
    came: Arc<Notify>,
}

impl<'a> WaitingPlayer<'a> {
    fn new(registry: &'a Registry, key: &'a StreamKey) -> Self {
        let mut tables = registry.tables();
        let waiting = tables
            .waiting
            .entry(key.clone())
            .or_insert_with(|| Waiting { players: 0, came: Arc::new(Notify::new()) });
        waiting.players += 1;
        Self { registry, key, came: Arc::clone(&waiting.came) }
    }
}

impl Drop for WaitingPlayer<'_> {
    fn drop(&mut self) {
        let mut tables = self.registry.tables();
        if let Some(waiting) = tables.waiting.get_mut(self.key) {
            waiting.players -= 1;
            if waiting.players == 0 {
                tables.waiting.remove(self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_remembered_as_long_as_a_player_waits_for_it() {
        let (registry, key) = (Registry::default(), StreamKey::parse("show").unwrap());
        let remembered = || registry.tables().waiting.len();
        let first = WaitingPlayer::new(&registry, &key);
        let second = WaitingPlayer::new(&registry, &key);
        drop(first);
        assert_eq!(remembered(), 1);
        drop(second);
        assert_eq!(remembered(), 0);
    }
}
