//! Where dead letters are kept: an index in memory, and a journal.
//!
//! What happens to letters waits in memory for [`Store::flush`], which a task calls that may block; cursors are
//! saved after it, so that no notice is done with before its letter is on disk.

use super::form::{Form, outcome};
use super::letter::{DeadLetter, DeadLetterFilter, DeadLetterId, DeadLetterPage, DeadLettersCounters};
use crate::syncs::{Syncs, What};
use jackfield_events::Event;
use jackfield_hooks::Outcome;
use jackfield_journal::{JournalConfig, JournalError, Limit, Reader, Writer};
use jackfield_media::{Text, UnixTime};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Bytes that all of them take on disk, and how long they are kept: beyond that the oldest go.
const MOST_BYTES: u64 = 256 << 20;
const LONGEST: Duration = Duration::from_secs(30 * 24 * 60 * 60);
const SEGMENT_BYTES: u64 = 4 << 20;
/// Records that wait for a disk that does not take them; beyond that the oldest are never written.
const MOST_UNWRITTEN: usize = 20_000;
/// Records that are read at once when the journal is opened.
const AT_ONCE: usize = 1000;

/// A notice is given up.
#[derive(Debug)]
pub(crate) struct Death<'a> {
    pub(crate) hook: &'a Text,
    pub(crate) hook_id: &'a Text,
    pub(crate) event: &'a Arc<Event>,
    pub(crate) attempts: u32,
    pub(crate) outcome: Outcome,
    pub(crate) detail: &'a str,
    pub(crate) first_at: UnixTime,
    pub(crate) at: UnixTime,
    /// How many letters of the hook are kept.
    pub(crate) limit: usize,
}

#[derive(Debug)]
pub(crate) struct Store {
    shelf: Mutex<Shelf>,
    writer: Mutex<Writer>,
    reader: Reader,
    syncs: Arc<Syncs>,
    /// Something was written, and not synced.
    unsynced: AtomicBool,
}

#[derive(Debug, Default)]
struct Shelf {
    letters: BTreeMap<u64, Arc<DeadLetter>>,
    by_hook: HashMap<Text, BTreeSet<u64>>,
    replaying: BTreeSet<u64>,
    /// Records that are not in the journal yet, by position.
    unwritten: BTreeMap<u64, Unwritten>,
    last: u64,
    added: u64,
    dropped: u64,
}

#[derive(Debug)]
struct Unwritten {
    at: UnixTime,
    body: Vec<u8>,
    /// The event of a letter.
    event: Option<Arc<Event>>,
}

impl Store {
    /// Reads what is there. Blocks.
    pub(crate) fn open(folder: PathBuf, syncs: Arc<Syncs>) -> Result<Self, JournalError> {
        let config =
            JournalConfig { folder, segment_bytes: SEGMENT_BYTES, retain_bytes: MOST_BYTES, retain: LONGEST };
        let opened = Writer::open(config.clone())?;
        let mut shelf = Shelf { last: opened.recovery.last.unwrap_or_default(), ..Shelf::default() };
        let failed = |source: io::Error| JournalError::Io { path: config.folder.clone(), source };
        let mut after = 0;
        loop {
            let limit = Limit { records: AT_ONCE, ..Limit::default() };
            let batch = opened.reader.read_after(after, limit).map_err(failed)?;
            for record in &batch.records {
                shelf.replay_record(record.position, record.time, &record.body);
            }
            if batch.records.is_empty() || batch.up_to <= after {
                break;
            }
            after = batch.up_to;
        }
        let (shelf, writer) = (Mutex::new(shelf), Mutex::new(opened.writer));
        Ok(Self { shelf, writer, reader: opened.reader, syncs, unsynced: AtomicBool::new(false) })
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a notice that was given up.
    pub(crate) fn add(&self, death: &Death<'_>) {
        let mut shelf = self.shelf();
        shelf.added += 1;
        if death.limit == 0 {
            shelf.dropped += 1;
            return;
        }
        let (scope, stamp) = (death.event.scope(), death.event.stamp());
        let id = shelf.last + 1;
        let letter = DeadLetter {
            id: DeadLetterId(id),
            hook: death.hook.clone(),
            hook_id: death.hook_id.clone(),
            event: death.event.event_type(),
            event_id: stamp.id,
            seq: stamp.seq,
            key: scope.stream_key.clone(),
            conn_id: scope.conn_id,
            session_id: scope.session_id,
            attempts: death.attempts,
            outcome: death.outcome,
            detail: death.detail.into(),
            first_at: death.first_at,
            at: death.at,
        };
        let Some(form) = Form::letter(&letter, death.event) else { return };
        shelf.write(death.at, &form, Some(Arc::clone(death.event)));
        shelf.put(letter);
        let own = shelf.by_hook.get(death.hook_id);
        let too_many = own.map_or(0, BTreeSet::len).saturating_sub(death.limit);
        let oldest: Vec<u64> = own.into_iter().flatten().take(too_many).copied().collect();
        shelf.dropped += u64::try_from(oldest.len()).unwrap_or_default();
        shelf.remove(death.at, oldest);
    }

    /// A letter that was replayed is delivered.
    pub(crate) fn delivered(&self, id: u64, at: UnixTime) {
        let mut shelf = self.shelf();
        shelf.replaying.remove(&id);
        shelf.remove(at, vec![id]);
    }

    /// A letter that was replayed is given up again.
    pub(crate) fn died_again(&self, id: u64, death: &Death<'_>) {
        let mut shelf = self.shelf();
        shelf.replaying.remove(&id);
        let Some(letter) = shelf.letters.get_mut(&id) else { return };
        let letter = Arc::make_mut(letter);
        letter.attempts = letter.attempts.saturating_add(death.attempts);
        (letter.outcome, letter.detail, letter.at) = (death.outcome, death.detail.into(), death.at);
        let form = Form::again(letter);
        shelf.write(death.at, &form, None);
    }

    /// A letter is not replayed any more; it stays.
    pub(crate) fn released(&self, id: u64) {
        self.shelf().replaying.remove(&id);
    }

    pub(super) fn letter(&self, id: DeadLetterId) -> Option<Arc<DeadLetter>> {
        self.shelf().letters.get(&id.0).cloned()
    }

    /// The event of a letter. Blocks.
    pub(crate) fn event(&self, id: DeadLetterId) -> Option<Arc<Event>> {
        if let Some(unwritten) = self.shelf().unwritten.get(&id.0) {
            return unwritten.event.clone();
        }
        let record = self.reader.one(id.0).ok()??;
        match Form::read(&record.body)? {
            Form::Letter(letter) => letter.open(id.0, record.time).map(|(_, event)| Arc::new(event)),
            Form::Again(_) | Form::Gone(_) => None,
        }
    }

    pub(super) fn list(
        &self,
        filter: &DeadLetterFilter,
        before: Option<DeadLetterId>,
        limit: usize,
    ) -> DeadLetterPage {
        let shelf = self.shelf();
        let older = shelf.letters.range(..before.map_or(u64::MAX, |before| before.0)).rev();
        let mut items: Vec<Arc<DeadLetter>> = Vec::new();
        let mut next = None;
        for (_, letter) in older.filter(|(_, letter)| filter.matches(letter)) {
            if items.len() >= limit.max(1) {
                next = items.last().map(|last| last.id);
                break;
            }
            items.push(Arc::clone(letter));
        }
        DeadLetterPage { items, next }
    }

    /// Marks those that fit, whose hook can be called, and that are not being replayed.
    pub(super) fn take_for_replay(
        &self,
        filter: &DeadLetterFilter,
        able: impl Fn(&Text) -> bool,
    ) -> Vec<Arc<DeadLetter>> {
        // Asked before the lock: the hooks are behind another.
        let hooks: Vec<Text> = self.shelf().by_hook.keys().cloned().collect();
        let hooks: BTreeSet<String> =
            hooks.iter().filter(|hook| able(hook)).map(ToString::to_string).collect();
        let mut shelf = self.shelf();
        let fit = shelf.letters.values().filter(|letter| {
            filter.matches(letter)
                && hooks.contains(letter.hook_id.as_str())
                && !shelf.replaying.contains(&letter.id.0)
        });
        let mut letters: Vec<Arc<DeadLetter>> = fit.cloned().collect();
        letters.sort_by_key(|letter| letter.seq);
        shelf.replaying.extend(letters.iter().map(|letter| letter.id.0));
        letters
    }

    pub(super) fn drop_all(&self, filter: &DeadLetterFilter) -> usize {
        let mut shelf = self.shelf();
        let fit: Vec<u64> = shelf
            .letters
            .values()
            .filter(|letter| filter.matches(letter))
            .map(|letter| letter.id.0)
            .collect();
        let count = fit.len();
        shelf.remove(jackfield_runtime::clock::unix_now(), fit);
        count
    }

    pub(super) fn counters(&self) -> DeadLettersCounters {
        let shelf = self.shelf();
        DeadLettersCounters {
            kept: shelf.letters.len(),
            added: shelf.added,
            dropped: shelf.dropped,
            unwritten: shelf.unwritten.len(),
        }
    }

    /// Whether nothing waits to be written, or synced.
    pub(crate) fn is_written(&self) -> bool {
        self.shelf().unwritten.is_empty() && !self.unsynced.load(Ordering::Relaxed)
    }

    /// Writes what waits, syncs it, and lets the oldest go. Blocks.
    ///
    /// # Errors
    /// That of the disk: nothing of it is written, and it waits on; or it is not synced, which the next call tries again.
    pub(crate) fn flush(&self, now: UnixTime) -> io::Result<()> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let upto = {
            let shelf = self.shelf();
            for (position, record) in &shelf.unwritten {
                // Only a record that is too long is refused, and it would be for ever.
                if let Err(error) = writer.append(*position, record.at, &record.body) {
                    tracing::error!(%error, "A dead letter cannot be kept");
                }
            }
            shelf.unwritten.last_key_value().map(|(position, _)| *position)
        };
        if let Some(upto) = upto {
            writer.flush()?;
            self.unsynced.store(true, Ordering::Relaxed);
            self.shelf().unwritten.retain(|position, _| *position > upto);
        }
        if self.unsynced.load(Ordering::Relaxed) {
            self.syncs.sync(What::Letters, || writer.sync())?;
            self.unsynced.store(false, Ordering::Relaxed);
        }
        if upto.is_none() {
            return Ok(());
        }
        writer.retain(now)?;
        let first = self.reader.first().unwrap_or_default();
        let mut shelf = self.shelf();
        let retired: Vec<u64> = shelf.letters.range(..first).map(|(id, _)| *id).collect();
        for id in retired {
            shelf.forget(id);
            shelf.dropped += 1;
        }
        Ok(())
    }
}

impl Shelf {
    /// What a record of the journal says.
    fn replay_record(&mut self, position: u64, at: UnixTime, body: &[u8]) {
        match Form::read(body) {
            Some(Form::Letter(letter)) => {
                if let Some((letter, _event)) = letter.open(position, at) {
                    self.put(letter);
                }
            }
            Some(Form::Again(again)) => {
                if let (Some(letter), Some(outcome)) =
                    (self.letters.get_mut(&again.id), outcome(&again.outcome))
                {
                    let letter = Arc::make_mut(letter);
                    letter.attempts = again.attempts;
                    (letter.outcome, letter.detail, letter.at) = (outcome, again.detail.into(), at);
                }
            }
            Some(Form::Gone(ids)) => ids.into_iter().for_each(|id| self.forget(id)),
            None => tracing::warn!(position, "A dead letter cannot be read and is left out"),
        }
    }

    fn put(&mut self, letter: DeadLetter) {
        self.by_hook.entry(letter.hook_id.clone()).or_default().insert(letter.id.0);
        self.letters.insert(letter.id.0, Arc::new(letter));
    }

    fn forget(&mut self, id: u64) {
        let Some(letter) = self.letters.remove(&id) else { return };
        if let Some(own) = self.by_hook.get_mut(&letter.hook_id) {
            own.remove(&id);
            if own.is_empty() {
                self.by_hook.remove(&letter.hook_id);
            }
        }
    }

    fn remove(&mut self, at: UnixTime, ids: Vec<u64>) {
        let there: Vec<u64> = ids.into_iter().filter(|id| self.letters.contains_key(id)).collect();
        there.iter().for_each(|id| self.forget(*id));
        if !there.is_empty() {
            self.write(at, &Form::Gone(there), None);
        }
    }

    fn write(&mut self, at: UnixTime, form: &Form, event: Option<Arc<Event>>) {
        self.last += 1;
        self.unwritten.insert(self.last, Unwritten { at, body: form.bytes(), event });
        if self.unwritten.len() > MOST_UNWRITTEN {
            // A letter that was never written is there until the end of the process, but not its event.
            if let Some((id, _)) = self.unwritten.pop_first() {
                self.forget(id);
                self.dropped += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests;
