//! Settings of the outbox, and why it cannot be opened.

use jackfield_journal::{JournalConfig, JournalError};
use std::path::PathBuf;
use std::time::Duration;

/// When what was written is made safe from the end of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fsync {
    /// So long after the first notice that is not; nobody waits for it.
    Interval(Duration),
    /// Before anybody can read it.
    Always,
    /// When the system likes to.
    Off,
}

/// Settings of the outbox.
#[derive(Debug, Clone)]
pub struct OutboxConfig {
    /// Its folder: the log lies in `log` there, the ledger in `ledger.json`.
    pub folder: PathBuf,
    /// When to sync.
    pub fsync: Fsync,
    /// The oldest segments go while the log has more bytes.
    pub retain_bytes: u64,
    /// Segments go when nothing in them is younger.
    pub retain: Duration,
    /// Bytes of a segment.
    pub segment_bytes: u64,
    /// Bytes of notices held in memory at most.
    pub memory_bytes: usize,
    /// Where what is not written yet outlives the process.
    pub spare: SpareFolder,
}

/// The folder of a file system in memory (tmpfs) in which what is not written yet outlives the process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SpareFolder {
    /// None: what is not written goes with the process.
    Off,
    /// The first of these that can be used, or none.
    FirstOf(Vec<PathBuf>),
    /// This one.
    At(PathBuf),
}

impl OutboxConfig {
    /// The defaults: sync every 20 ms; 72 hours and 4 GiB on disk, in segments of 32 MiB; 64 MiB in memory; no spare.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            fsync: Fsync::Interval(Duration::from_millis(20)),
            retain_bytes: 4 << 30,
            retain: Duration::from_secs(72 * 60 * 60),
            segment_bytes: 32 << 20,
            memory_bytes: 64 << 20,
            spare: SpareFolder::Off,
        }
    }

    pub(crate) fn journal(&self) -> JournalConfig {
        JournalConfig {
            folder: self.folder.join("log"),
            segment_bytes: self.segment_bytes,
            retain_bytes: self.retain_bytes,
            retain: self.retain,
        }
    }

    pub(crate) fn ledger(&self) -> PathBuf {
        self.folder.join("ledger.json")
    }
}

/// Why the outbox cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OutboxError {
    /// The log.
    #[error("cannot open the log of events: {0}")]
    Journal(#[from] JournalError),
    /// The spare in memory.
    #[error("cannot keep the newest events in {}: {source}", folder.display())]
    Spare {
        /// Where it should be.
        folder: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// Reading it, or starting the thread that writes it.
    #[error("cannot open the log of events: {0}")]
    Io(#[from] std::io::Error),
}
