//! What the outbox counts.

use jackfield_events::LossCause;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

/// Whether notices are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutboxState {
    /// They are.
    Ok,
    /// The disk does not take them; they are held in memory as long as there is room.
    Failing,
}

/// Numbers of the outbox since it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutboxCounters {
    /// Whether notices are stored.
    pub state: OutboxState,
    /// Notices that were written.
    pub written: u64,
    /// Their bytes.
    pub written_bytes: u64,
    /// Writes that failed.
    pub write_errors: u64,
    /// Syncs that were done.
    pub syncs: u64,
    /// Syncs that failed.
    pub sync_errors: u64,
    /// Notices that are lost.
    pub lost: u64,
    /// Notices for which the spare had no room: they did not outlive the process until they were written.
    pub not_spared: u64,
    /// Stored notices that could not be read back.
    pub unreadable: u64,
    /// Notices in memory.
    pub memory_events: usize,
    /// What they take, in bytes.
    pub memory_bytes: usize,
    /// Bytes of the log on disk.
    pub log_bytes: u64,
    /// Sequence numbers between the last notice and the last that was written.
    pub behind: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    written: AtomicU64,
    written_bytes: AtomicU64,
    write_errors: AtomicU64,
    syncs: AtomicU64,
    sync_errors: AtomicU64,
    lost: AtomicU64,
    not_spared: AtomicU64,
    unreadable: AtomicU64,
    /// 0, or 1 + the place of the cause in [`LossCause::ALL`].
    cause: AtomicU8,
}

impl Counters {
    pub(crate) fn wrote(&self, events: usize, bytes: usize) {
        self.written.fetch_add(events as u64, Ordering::Relaxed);
        self.written_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        self.cause.store(0, Ordering::Relaxed);
    }

    pub(crate) fn failed(&self, cause: LossCause) {
        self.write_errors.fetch_add(1, Ordering::Relaxed);
        self.stuck(cause);
    }

    /// Writing does not go on, for this cause.
    pub(crate) fn stuck(&self, cause: LossCause) {
        let place = LossCause::ALL.iter().position(|other| *other == cause).unwrap_or_default();
        self.cause.store(u8::try_from(place + 1).unwrap_or(u8::MAX), Ordering::Relaxed);
    }

    pub(crate) fn synced(&self, done: bool) {
        let counter = if done { &self.syncs } else { &self.sync_errors };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn lost(&self, events: u64) {
        self.lost.fetch_add(events, Ordering::Relaxed);
    }

    pub(crate) fn not_spared(&self) {
        self.not_spared.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn unreadable(&self, events: u64) {
        self.unreadable.fetch_add(events, Ordering::Relaxed);
    }

    /// Why writing does not go on.
    pub(crate) fn cause(&self) -> Option<LossCause> {
        let place = usize::from(self.cause.load(Ordering::Relaxed)).checked_sub(1)?;
        LossCause::ALL.get(place).copied()
    }

    pub(crate) fn snapshot(
        &self,
        memory_events: usize,
        memory_bytes: usize,
        log_bytes: u64,
        (last, written): (u64, u64),
    ) -> OutboxCounters {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        OutboxCounters {
            state: self.cause().map_or(OutboxState::Ok, |_| OutboxState::Failing),
            written: read(&self.written),
            written_bytes: read(&self.written_bytes),
            write_errors: read(&self.write_errors),
            syncs: read(&self.syncs),
            sync_errors: read(&self.sync_errors),
            lost: read(&self.lost),
            not_spared: read(&self.not_spared),
            unreadable: read(&self.unreadable),
            memory_events,
            memory_bytes,
            log_bytes,
            behind: last.saturating_sub(written),
        }
    }
}
