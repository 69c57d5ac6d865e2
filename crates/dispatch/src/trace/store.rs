//! What is kept: what ended and was not looked at yet, the newest records in memory, and the journal behind them.

use super::DeliveriesCounters;
use super::delivery::{Delivery, Entry};
use super::follow::Follower;
use super::gather::Raw;
use super::shown::Shower;
use super::summary::Summaries;
use jackfield_events::Masker;
use jackfield_hooks::{Outcome, Owner};
use jackfield_journal::{Limit, Reader, Recovery};
use jackfield_media::UnixTime;
use jackfield_runtime::Tasks;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, Semaphore, broadcast};

/// Records that stay in memory after they were written, so that what was just made is found without the disk.
const RECENT: usize = 4096;
/// And what these take at most, in bytes: a body that is as long as it may be is kept whole, and fewer records.
const RECENT_BYTES: usize = 16 << 20;
/// Records in memory when the disk does not take them.
const MAX_UNWRITTEN: usize = 32_768;
/// And their bytes.
const MAX_UNWRITTEN_BYTES: usize = 64 << 20;
/// What ended and was not looked at yet.
const MAX_INCOMING: usize = 65_536;
/// And its bytes.
const MAX_INCOMING_BYTES: usize = 32 << 20;
/// The same without a journal, where nobody looks until somebody asks.
const MAX_INCOMING_IN_MEMORY: usize = RECENT;
/// Notices that were delivered, a second.
const MAX_SUCCESSES: u32 = 20_000;
/// What a follower may leave unread.
const FOLLOWED: usize = 1024;
/// Searches on disk at once: each holds a thread and a processor.
const SEARCHES: usize = 2;

/// The journal, as a search sees it.
#[derive(Debug)]
pub(super) struct Disk {
    pub(super) reader: Reader,
    pub(super) tasks: Tasks,
}

/// All that clones of [`super::Deliveries`] share.
#[derive(Debug)]
pub(super) struct Store {
    incoming: Mutex<Incoming>,
    kept: Mutex<Kept>,
    pub(super) disk: Option<Disk>,
    /// Something came in.
    pub(super) woken: Notify,
    pub(super) searches: Semaphore,
    summaries: Mutex<Summaries>,
    followers: broadcast::Sender<Arc<Delivery>>,
    last_number: u64,
    left_out: AtomicU64,
    lost: AtomicU64,
    pub(super) unreadable: AtomicU64,
    pub(super) failing: AtomicBool,
}

#[derive(Debug, Default)]
struct Incoming {
    raw: VecDeque<(UnixTime, Raw)>,
    bytes: usize,
    /// The second that is counted.
    second: i64,
    successes: u32,
}

#[derive(Debug)]
struct Kept {
    shower: Shower,
    next: u64,
    /// By ascending position.
    recent: VecDeque<(u64, Entry)>,
    /// About what these take.
    bytes: usize,
    /// The last position that was written; all of them when there is no journal.
    written: u64,
    count: u64,
}

impl Store {
    pub(super) fn new(masker: Masker, disk: Option<Disk>, recovery: &Recovery) -> Self {
        let last = recovery.last.unwrap_or_default();
        let written = if disk.is_some() { last } else { u64::MAX };
        let recent = VecDeque::new();
        let kept = Kept { shower: Shower::new(masker), next: last + 1, recent, bytes: 0, written, count: 0 };
        let last_number = disk.as_ref().map_or(0, |disk| newest_number(&disk.reader, last));
        Self {
            incoming: Mutex::default(),
            kept: Mutex::new(kept),
            disk,
            woken: Notify::new(),
            searches: Semaphore::new(SEARCHES),
            summaries: Mutex::default(),
            followers: broadcast::Sender::new(FOLLOWED),
            last_number,
            left_out: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            unreadable: AtomicU64::new(0),
            failing: AtomicBool::new(false),
        }
    }

    /// The highest number among the last records that were stored by a server before this one.
    pub(super) fn last_known_number(&self) -> u64 {
        self.last_number
    }

    /// Takes in what ended. Called by whoever ended it: it must be short.
    pub(super) fn push(&self, now: UnixTime, raw: Raw) {
        let mut incoming = self.incoming();
        if is_success(&raw) && !incoming.admits(now) {
            self.left_out.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let bytes = raw.held_bytes();
        if self.disk.is_none() {
            while !incoming.has_room(bytes, MAX_INCOMING_IN_MEMORY) {
                incoming.drop_oldest();
            }
        } else if !incoming.has_room(bytes, MAX_INCOMING) {
            self.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        incoming.raw.push_back((now, raw));
        incoming.bytes += bytes;
        drop(incoming);
        self.woken.notify_one();
        // Without a journal nobody is woken.
        if self.disk.is_none() && self.followers.receiver_count() > 0 {
            self.take_in();
        }
    }

    /// Looks at what came in: afterwards it is among the kept.
    pub(super) fn take_in(&self) {
        let mut kept = self.kept();
        let raw = self.incoming().take();
        let followed = self.followers.receiver_count() > 0;
        for (now, raw) in raw {
            let entry = kept.shower.show(now, raw);
            if followed {
                for delivery in entry.deliveries() {
                    // Nobody follows any more: then nobody misses it.
                    drop(self.followers.send(Arc::clone(delivery)));
                }
            }
            self.lost.fetch_add(kept.keep(entry), Ordering::Relaxed);
        }
    }

    /// The newest entries before this position, newest first, and the position that the journal goes on before.
    pub(super) fn recent(&self, before: u64) -> (Vec<(u64, Entry)>, u64) {
        let kept = self.kept();
        let end = kept.recent.partition_point(|(position, _)| *position < before);
        let entries = kept.recent.range(..end).rev().cloned().collect();
        let oldest = kept.recent.front().map_or(kept.next, |(position, _)| *position);
        (entries, oldest.min(before))
    }

    /// Entries that were not written yet, at most so many, in their order.
    pub(super) fn unwritten(&self, most: usize) -> Vec<(u64, Entry)> {
        let kept = self.kept();
        let from = kept.recent.partition_point(|(position, _)| *position <= kept.written);
        kept.recent.range(from..).take(most).cloned().collect()
    }

    /// All up to this position was written.
    pub(super) fn written(&self, up_to: u64) {
        let mut kept = self.kept();
        kept.written = kept.written.max(up_to);
        kept.forget();
    }

    /// These records cannot be written, ever.
    pub(super) fn unwritable(&self, records: u64) {
        self.lost.fetch_add(records, Ordering::Relaxed);
    }

    pub(super) fn follow(&self) -> Follower {
        Follower(self.followers.subscribe())
    }

    pub(super) fn counters(&self) -> DeliveriesCounters {
        let (incoming, bytes) = {
            let incoming = self.incoming();
            (incoming.raw.len(), incoming.bytes)
        };
        let kept = self.kept();
        let from = kept.recent.partition_point(|(position, _)| *position <= kept.written);
        DeliveriesCounters {
            kept: kept.count + incoming as u64,
            left_out: self.left_out.load(Ordering::Relaxed),
            lost: self.lost.load(Ordering::Relaxed),
            unreadable: self.unreadable.load(Ordering::Relaxed),
            unwritten: if self.disk.is_some() { incoming + kept.recent.len() - from } else { 0 },
            memory_bytes: bytes + kept.bytes,
            failing: self.failing.load(Ordering::Relaxed),
            bytes: self.disk.as_ref().map_or(0, |disk| disk.reader.bytes()),
        }
    }

    /// What is known of blocks of the journal. A leaf lock.
    pub(super) fn summaries(&self) -> MutexGuard<'_, Summaries> {
        self.summaries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn incoming(&self) -> MutexGuard<'_, Incoming> {
        self.incoming.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Incoming {
    /// Whether one more success has room in this second.
    fn admits(&mut self, now: UnixTime) -> bool {
        if now.seconds() != self.second {
            (self.second, self.successes) = (now.seconds(), 0);
        }
        self.successes += 1;
        self.successes <= MAX_SUCCESSES
    }

    /// Whether one more of so many bytes has room. There is always room for one.
    fn has_room(&self, bytes: usize, most: usize) -> bool {
        self.raw.is_empty() || (self.raw.len() < most && self.bytes + bytes <= MAX_INCOMING_BYTES)
    }

    fn drop_oldest(&mut self) {
        if let Some((_, raw)) = self.raw.pop_front() {
            self.bytes = self.bytes.saturating_sub(raw.held_bytes());
        }
    }

    fn take(&mut self) -> VecDeque<(UnixTime, Raw)> {
        self.bytes = 0;
        std::mem::take(&mut self.raw)
    }
}

impl Kept {
    /// Adds an entry; returns how many the disk has lost by it.
    fn keep(&mut self, entry: Entry) -> u64 {
        self.bytes += entry.held_bytes();
        self.recent.push_back((self.next, entry));
        self.next += 1;
        self.count += 1;
        self.forget();
        let mut lost = 0;
        while self.recent.len() > MAX_UNWRITTEN || self.is_over(MAX_UNWRITTEN_BYTES) {
            self.drop_oldest();
            lost += 1;
        }
        lost
    }

    /// Whether they take more than that. The newest stays, however long it is.
    fn is_over(&self, bytes: usize) -> bool {
        self.bytes > bytes && self.recent.len() > 1
    }

    fn drop_oldest(&mut self) {
        if let Some((_, entry)) = self.recent.pop_front() {
            self.bytes = self.bytes.saturating_sub(entry.held_bytes());
        }
    }

    /// Lets go of what was written and is not among the newest.
    fn forget(&mut self) {
        while (self.recent.len() > RECENT || self.is_over(RECENT_BYTES))
            && self.recent.front().is_some_and(|(position, _)| *position <= self.written)
        {
            self.drop_oldest();
        }
    }
}

/// A notice that was delivered at the first try.
fn is_success(raw: &Raw) -> bool {
    let Raw::Notice(settled, _) = raw else { return false };
    settled.outcome == Outcome::Answered && settled.attempt == 1 && settled.owner == Owner::Notice
}

/// The highest number among the newest records. Numbers ascend nearly in the order of records; what this misses the clock
/// makes up for.
fn newest_number(reader: &Reader, last: u64) -> u64 {
    let batch = reader.read_before(last.saturating_add(1), Limit::records(RECENT)).unwrap_or_default();
    let entries = batch.records.iter().filter_map(|record| Entry::parse(&record.body));
    let numbers = entries.map(|entry| entry.deliveries().iter().map(|delivery| delivery.id.0).max());
    numbers.flatten().max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::QuestionTrace;
    use bytes::Bytes;
    use jackfield_events::{Event, EventType, Scope, Stamp};
    use jackfield_hooks::{CallId, DeliveryId, Next, Origin, Settled};
    use jackfield_media::Mono;

    #[test]
    fn successes_above_the_rate_have_no_room_until_the_next_second() {
        let mut incoming = Incoming::default();
        let second = UnixTime(7_000_000);
        let room = (0..MAX_SUCCESSES + 5).filter(|_| incoming.admits(second)).count();
        assert_eq!(room, MAX_SUCCESSES as usize);
        assert!(!incoming.admits(UnixTime(7_999_999)) && incoming.admits(UnixTime(8_000_000)));
    }

    #[test]
    fn what_the_disk_does_not_take_stays_in_memory_until_there_is_too_much_of_it() {
        let mut kept = Kept {
            shower: Shower::new(Masker::default()),
            next: 1,
            recent: VecDeque::new(),
            bytes: 0,
            written: 0,
            count: 0,
        };
        let question = QuestionTrace {
            event_id: ulid::Ulid(1),
            seq: 1,
            event: EventType::AuthorizePlay,
            key: None,
            conn_id: None,
            session_id: None,
            at: UnixTime(0),
            elapsed: std::time::Duration::ZERO,
            verdict: None,
            fallback: None,
            steps: Vec::new(),
        };
        let entry = Entry::Question(Arc::new(question));
        let lost: u64 = (0..MAX_UNWRITTEN + 3).map(|_| kept.keep(entry.clone())).sum();
        assert_eq!((lost, kept.recent.len(), kept.next), (3, MAX_UNWRITTEN, MAX_UNWRITTEN as u64 + 4));
        kept.written = kept.next - 1;
        kept.forget();
        assert_eq!(kept.recent.len(), RECENT);
        assert_eq!(kept.recent.back().map(|(position, _)| *position), Some(kept.next - 1));
    }

    /// An attempt that failed and says so in that many bytes.
    fn long(detail: usize) -> Raw {
        let stamp = Stamp { id: ulid::Ulid(1), seq: 1, node: "n".into(), time: UnixTime(0) };
        let event = Event::new(EventType::StreamCreate, stamp, Scope::default(), Vec::new());
        let settled = Settled {
            call: CallId(1),
            delivery: DeliveryId(1),
            hook: "a".into(),
            hook_id: "a".into(),
            event: Arc::new(event),
            owner: Owner::Notice,
            origin: Origin::Memory,
            first_failed: None,
            attempt: 1,
            outcome: Outcome::HandlerError,
            decision: None,
            policy: None,
            overrides: None,
            detail: "x".repeat(detail),
            queued: Mono::ZERO,
            sent: None,
            ended: Mono::ZERO,
            next: Next::Lost,
        };
        Raw::Notice(Box::new(settled), None)
    }

    /// A record that was asked in that many bytes.
    fn asked(bytes: usize) -> Entry {
        let entry = Shower::new(Masker::default()).show(UnixTime(0), long(0));
        let Entry::Notice(delivery) = entry else { unreachable!("it is a notice") };
        let request = Some(Bytes::from(vec![b'x'; bytes]));
        Entry::Notice(Arc::new(Delivery { request, ..(*delivery).clone() }))
    }

    fn kept() -> Kept {
        let recent = VecDeque::new();
        Kept { shower: Shower::new(Masker::default()), next: 1, recent, bytes: 0, written: 0, count: 0 }
    }

    #[test]
    fn what_is_kept_in_memory_is_bounded_in_bytes_too() {
        const MIB: usize = 1 << 20;
        let mut kept = kept();
        let lost: u64 = (0..100).map(|_| kept.keep(asked(MIB))).sum();
        assert_eq!((lost, kept.recent.len()), (37, 63), "64 MiB, each is a little more than one");
        assert!(kept.bytes <= MAX_UNWRITTEN_BYTES);
        kept.written = kept.next - 1;
        kept.forget();
        assert!(
            kept.recent.len() == 15 && kept.bytes <= RECENT_BYTES,
            "{} of {}",
            kept.recent.len(),
            kept.bytes
        );
        assert_eq!(kept.keep(asked(200 * MIB)), 0, "what was written is not lost");
        assert_eq!(kept.recent.len(), 1, "the newest is there, however long");
        assert_eq!((kept.keep(asked(0)), kept.recent.len()), (1, 1));
        assert_eq!(kept.bytes, kept.recent.iter().map(|(_, entry)| entry.held_bytes()).sum::<usize>());
    }

    #[test]
    fn what_ended_and_was_not_looked_at_is_bounded_in_bytes_too() {
        let store = Store::new(Masker::default(), None, &Recovery::default());
        for _ in 0..100 {
            store.push(UnixTime(0), long(1 << 20));
        }
        let counters = store.counters();
        assert!(
            counters.memory_bytes > MAX_INCOMING_BYTES / 2 && counters.memory_bytes <= MAX_INCOMING_BYTES
        );
        assert_eq!(counters.kept, 31, "without a journal the oldest go");
        store.take_in();
        let counters = store.counters();
        assert!(
            counters.kept == 31 && counters.memory_bytes < 1 << 20,
            "of a text only its beginning is kept"
        );
        assert_eq!(store.incoming().bytes, 0);
    }
}
