//! Opening the outbox: what the last server left is read, and what must be known of it.

use super::counters::Counters;
use super::losses::Losses;
use super::spare::{self, Kept};
use super::tail::Tail;
use super::writing::Writing;
use super::{Fsync, Inner, Outbox, OutboxConfig, OutboxError};
use crate::ledger::{How, Ledger};
use crate::{Epochs, OpenPair};
use jackfield_events::Event;
use jackfield_journal::{Limit, Opened, Reader, Syncer, Writer};
use jackfield_media::{ConnId, SessionId};
use jackfield_runtime::{Tasks, clock};
use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// Sequence numbers that a server may have given and not stored before it was killed: those of questions, of volatile
/// notices and of what the disk did not take.
const UNSTORED_SEQ: u64 = 1_000_000;
/// The same of connections and of sessions.
const UNSTORED_IDS: u64 = 1000;
/// Writing that does not go on for so long is taken for stuck: readers get what is in memory.
const STUCK: Duration = Duration::from_millis(250);

/// What the last server left.
#[derive(Debug)]
pub struct Recovered {
    /// Pairs that it did not close, in the order in which they are to be closed.
    pub open: Vec<OpenPair>,
    /// The epochs that it gave.
    pub epochs: Epochs,
    /// Numbers of connections go on above this one.
    pub last_conn: ConnId,
    /// Numbers of sessions go on above this one.
    pub last_session: SessionId,
    /// Numbers of events go on above this one.
    pub last_seq: u64,
    /// Notices that were not written when it ended, and are from its spare.
    pub spared: usize,
    /// Bytes of a notice that was being written when it ended.
    pub torn_bytes: u64,
    /// Bytes of the log that hold no notices, as far as the log was read.
    pub corrupt_bytes: u64,
    /// Notices of the log that this version does not know, as far as the log was read.
    pub unreadable: u64,
}

impl Default for Recovered {
    /// Nothing: all numbers begin at 1.
    fn default() -> Self {
        Self {
            open: Vec::new(),
            epochs: Epochs::default(),
            last_conn: ConnId(0),
            last_session: SessionId(0),
            last_seq: 0,
            spared: 0,
            torn_bytes: 0,
            corrupt_bytes: 0,
            unreadable: 0,
        }
    }
}

impl Outbox {
    /// Opens the outbox of a folder, which is made if it is not there, and starts its writer. Blocks on the disk.
    ///
    /// # Errors
    /// [`OutboxError`].
    pub fn open(config: OutboxConfig, tasks: &Tasks) -> Result<(Self, Recovered), OutboxError> {
        let Opened { mut writer, reader, recovery } = Writer::open(config.journal())?;
        let spared = spare::recover(&config.folder, &mut writer, reader.last().unwrap_or(0))?;
        let corrupt_bytes = recovery.corrupt.iter().map(|corrupt| corrupt.bytes).sum();
        let torn_bytes = recovery.torn_bytes;
        let mut recovered = Recovered { torn_bytes, corrupt_bytes, spared, ..Recovered::default() };
        let ledger = recover(&config, &reader, &mut recovered)?;
        recovered.report();
        let inner = Arc::new(Inner {
            tail: Mutex::new(Tail::new(recovered.last_seq)),
            head: watch::Sender::new(recovered.last_seq),
            tasks: tasks.clone(),
            reader,
            work: Condvar::new(),
            pulse: Notify::new(),
            dirty: Notify::new(),
            ledger: Mutex::new(ledger),
            losses: Mutex::new(Losses::default()),
            spare: Mutex::new(Kept::begin(&config.folder, &config.spare)?),
            lost: Notify::new(),
            counters: Counters::default(),
            thread: Mutex::new(None),
            config,
        });
        let syncer = writer.syncer();
        let writing = Writing::new(Arc::clone(&inner), writer);
        let thread = tasks.thread("outbox", move || writing.run())?;
        *inner.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        drop(tasks.spawn("outbox herald", Arc::clone(&inner).herald()));
        if let Fsync::Interval(interval) = inner.config.fsync {
            drop(tasks.spawn("outbox sync", Arc::clone(&inner).sync_every(interval, syncer)));
        }
        Ok((Self(inner), recovered))
    }
}

/// The ledger as the last server had it; it is made void as its last word.
fn recover(config: &OutboxConfig, reader: &Reader, recovered: &mut Recovered) -> Result<Ledger, io::Error> {
    let (mut ledger, how) = match Ledger::load(&config.ledger()) {
        Ok(found) => found.unwrap_or((Ledger::default(), How::Running)),
        Err(error) => {
            tracing::error!(%error, "The ledger of events cannot be used, the log is read instead");
            (Ledger::default(), How::Running)
        }
    };
    let (stored, from) = (reader.last().unwrap_or(0), ledger.seq);
    let is_new = from == 0 && stored == 0;
    let in_order = how == How::InOrder && stored <= from;
    replay(&mut ledger, reader, recovered)?;
    if from == 0 && reader.first().is_some_and(|first| first > 1) {
        // The beginning of the log is gone, and what it said of epochs with it.
        let highest = ledger.epochs.known().map(|(_, epoch)| epoch).max();
        ledger.epochs.raise_floor(highest.unwrap_or(0));
    }
    recovered.open = ledger.open();
    let margin = |margin| if is_new || in_order { 0 } else { margin };
    ledger.seq = ledger.seq.max(stored) + margin(UNSTORED_SEQ);
    ledger.conn += margin(UNSTORED_IDS);
    ledger.session += margin(UNSTORED_IDS);
    recovered.last_seq = ledger.seq;
    (recovered.last_conn, recovered.last_session) = (ConnId(ledger.conn), SessionId(ledger.session));
    recovered.epochs = ledger.epochs.clone();
    if !is_new {
        ledger.store(&config.ledger(), How::Running)?;
    }
    Ok(ledger)
}

/// Shows the ledger what was stored behind it.
fn replay(ledger: &mut Ledger, reader: &Reader, recovered: &mut Recovered) -> io::Result<()> {
    let mut at = ledger.seq;
    loop {
        let batch = reader.read_after(at, Limit::default())?;
        if batch.records.is_empty() {
            return Ok(());
        }
        for record in &batch.records {
            match Event::parse(&record.body) {
                Ok(event) => ledger.follow(&event),
                Err(_unknown) => recovered.unreadable += 1,
            }
        }
        at = batch.up_to;
    }
}

impl Recovered {
    fn report(&self) {
        let Self { spared, torn_bytes, corrupt_bytes, unreadable, .. } = *self;
        if spared > 0 {
            tracing::info!(spared, "Events that the last server had not written yet are stored");
        }
        if torn_bytes > 0 {
            tracing::warn!(torn_bytes, "An event was being written when the last server ended, it is cut");
        }
        if corrupt_bytes > 0 || unreadable > 0 {
            tracing::error!(
                corrupt_bytes,
                unreadable,
                "Parts of the log of events cannot be read, they are skipped"
            );
        }
        if !self.open.is_empty() {
            tracing::warn!(
                open = self.open.len(),
                "The last server did not end in order, its open pairs are closed"
            );
        }
    }
}

impl Inner {
    /// Tells readers what the writer does not: that writing is stuck and they may read what is not written.
    async fn herald(self: Arc<Self>) {
        let stopping = self.tasks.stopping();
        let mut progress = (0, clock::now());
        loop {
            let (written, last, direct, visible) = {
                let tail = self.tail();
                (tail.written, tail.last, tail.direct, tail.visible)
            };
            if direct {
                self.show(visible);
            }
            let now = clock::now();
            if progress.0 != written || written == last {
                progress = (written, now);
            } else if now - progress.1 >= STUCK && !direct {
                self.go_direct();
                continue;
            }
            let watches = written < last && !direct;
            tokio::select! {
                () = stopping.cancelled() => break,
                () = self.pulse.notified() => {}
                () = clock::sleep_until(progress.1.after(STUCK)), if watches => {}
            }
            if !watches {
                // There was nothing to write until now.
                progress.1 = clock::now();
            }
        }
        self.end();
    }

    fn go_direct(&self) {
        if self.counters.cause().is_none() {
            self.counters.stuck(jackfield_events::LossCause::DiskSlow);
            tracing::warn!("The disk takes no events, they are delivered from memory");
        }
        let mut tail = self.tail();
        tail.direct = true;
        tail.visible = tail.last;
    }

    /// Syncs so long after something was written.
    async fn sync_every(self: Arc<Self>, interval: Duration, syncer: Syncer) {
        let stopping = self.tasks.stopping();
        loop {
            tokio::select! {
                () = stopping.cancelled() => return,
                () = self.dirty.notified() => {}
            }
            clock::sleep(interval).await;
            let sync = syncer.clone();
            let result = self.tasks.blocking("outbox sync", move || sync.sync()).join().await;
            self.synced(result.unwrap_or_else(|| Err(io::Error::other("the sync did not end"))));
        }
    }

    pub(super) fn synced(&self, result: io::Result<()>) {
        self.counters.synced(result.is_ok());
        if let Err(error) = result {
            tracing::error!(%error, "The log of events cannot be synced");
        }
    }
}
