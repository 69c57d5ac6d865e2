//! What became of every delivery and every question: kept, found again, and followed as it happens.
//!
//! One record for each attempt to deliver a notice, and one for each question with all its hooks. A record is made when
//! the call, or the question, is over ([`gather`]); it waits in memory ([`store`]) until a task of its own has written it
//! to a journal ([`form`], [`writing`]), so that neither a question nor the media ever waits for the disk. Lists are read
//! from the newest on, memory first ([`search`]).
//!
//! | what | bound | over it |
//! |---|---|---|
//! | notices that were delivered | 20,000 records a second | left out, counted; failures and questions never |
//! | records that wait to be written | 32,768, and 64 MiB | the oldest is lost to the disk, counted |
//! | records that wait to be looked at | 65,536, and 32 MiB | the newest is lost, counted |
//! | the newest records, in memory | 4,096, and 16 MiB | the oldest are read from disk |
//! | texts of failures | 1 KiB | the rest is cut off |
//! | bodies: requests are events, answers at most 64 KiB | kept whole | |
//! | what is on disk | [`DeliveriesConfig::retain_bytes`], [`DeliveriesConfig::retain`] | the oldest segments go |
//! | a page of a list | 20,000 records looked at | it is short, and has a next one |
//! | the search for a delivery or a session | 2,000,000 records looked at | what is older is not found |
//! | searches on disk at once | 2 | they wait |
//! | summaries of what was read ([`summary`]) | 1,024 blocks of 4,096 records | the oldest are read again |
//! | a follower that does not read | 1,024 records | it misses the oldest, and is told how many |
//!
//! What it does not do: decide anything. Without it the engine does the same.

mod delivery;
mod filter;
mod follow;
mod form;
mod gather;
mod search;
mod shown;
mod store;
mod summary;
mod writing;

pub use delivery::{
    Delivery, Entry, Fallback, Fate, HookLatency, HookRecord, LastError, QuestionStep, QuestionTrace,
};
pub use filter::{BadCursor, DeliveryCursor, DeliveryFilter, DeliveryPage, Explanation, PageOf, Subject};
pub use follow::{Followed, Follower};
pub(crate) use gather::{Raw, Tracing};

use jackfield_events::Masker;
use jackfield_hooks::DeliveryId;
use jackfield_journal::{JournalConfig, JournalError, Recovery, Writer};
use jackfield_runtime::{Tasks, clock};
use search::Wanted;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use store::Store;

/// Where deliveries are kept, and how long.
#[derive(Debug, Clone)]
pub struct DeliveriesConfig {
    /// The folder of their journal.
    pub folder: PathBuf,
    /// The oldest go when all take more than this.
    pub retain_bytes: u64,
    /// And when they are older than this.
    pub retain: Duration,
}

impl DeliveriesConfig {
    /// The defaults: 1 GiB, 72 h.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), retain_bytes: 1 << 30, retain: Duration::from_secs(72 * 3600) }
    }
}

/// What is known of the keeping itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DeliveriesCounters {
    /// Records that were kept.
    pub kept: u64,
    /// Deliveries that succeeded and were left out because there were too many in that second.
    pub left_out: u64,
    /// Records that were lost: the disk was full or too slow.
    pub lost: u64,
    /// Records of the journal that could not be read.
    pub unreadable: u64,
    /// Records that wait to be written.
    pub unwritten: usize,
    /// Whether the disk takes none at the moment.
    pub failing: bool,
    /// About how many bytes of memory take those that wait to be looked at or written, and the newest that were.
    pub memory_bytes: usize,
    /// Bytes on disk.
    pub bytes: u64,
}

/// All deliveries and questions that are kept. Clones are the same.
#[derive(Clone)]
pub struct Deliveries(Arc<Store>);

impl Deliveries {
    /// Keeps the newest 4,096 records in memory and nothing on disk.
    #[must_use]
    pub fn in_memory(masker: Masker) -> Self {
        Self(Arc::new(Store::new(masker, None, &Recovery::default())))
    }

    /// Keeps them in a journal; a task of this group writes it.
    ///
    /// # Errors
    /// [`JournalError`]: the folder cannot be made or read.
    pub fn open(config: DeliveriesConfig, masker: Masker, tasks: &Tasks) -> Result<Self, JournalError> {
        let DeliveriesConfig { folder, retain_bytes, retain } = config;
        let journal = JournalConfig { retain_bytes, retain, ..JournalConfig::new(folder) };
        let opened = Writer::open(journal)?;
        let disk = store::Disk { reader: opened.reader, tasks: tasks.clone() };
        let store = Arc::new(Store::new(masker, Some(disk), &opened.recovery));
        let writing = writing::write(Arc::clone(&store), opened.writer, tasks.clone());
        drop(tasks.spawn("deliveries", writing));
        Ok(Self(store))
    }

    /// The deliveries that fit, newest first: each item is one attempt. Cancel-safe.
    pub async fn list(&self, filter: &DeliveryFilter, page: PageOf) -> DeliveryPage {
        search::list(&self.0, filter, page).await
    }

    /// All attempts of a delivery that are kept, in their order; none if it is unknown. Cancel-safe.
    pub async fn one(&self, id: DeliveryId) -> Vec<Arc<Delivery>> {
        let found = search::all(&self.0, Wanted::Delivery(id)).await;
        let mut attempts = found.deliveries;
        attempts.sort_by_key(|delivery| delivery.attempt);
        attempts
    }

    /// All questions of a session or connection that are kept, in their order. Cancel-safe.
    pub async fn explain(&self, subject: Subject) -> Explanation {
        let found = search::all(&self.0, Wanted::Questions(subject)).await;
        let mut questions = found.questions;
        questions.sort_by_key(|question| question.seq);
        Explanation { conn_id: found.conn_id, questions, complete_since: found.searched_back_to }
    }

    /// Every delivery from now on, as it ends.
    #[must_use]
    pub fn follow(&self) -> Follower {
        self.0.follow()
    }

    /// What is known of the keeping itself.
    #[must_use]
    pub fn counters(&self) -> DeliveriesCounters {
        self.0.counters()
    }

    /// Takes in what ended, without waiting for anything.
    pub(crate) fn push(&self, raw: Raw) {
        self.0.push(clock::unix_now(), raw);
    }

    /// A number above those of all deliveries before: microseconds since 1970, which no server uses up.
    pub(crate) fn first_number(&self) -> u64 {
        let micros = u64::try_from(clock::unix_now().0).unwrap_or_default();
        micros.max(self.0.last_known_number().saturating_add(1))
    }
}

impl fmt::Debug for Deliveries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deliveries").field("counters", &self.counters()).finish_non_exhaustive()
    }
}
