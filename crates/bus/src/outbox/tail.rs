//! The newest notices in memory: all that are not written yet, and as many of the written ones as there is room for.

use jackfield_events::{Class, Event, EventType};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Stretches that are remembered for each kind of gap; then the oldest two become one.
const MAX_GAPS: usize = 1024;

/// Notices that are neither in memory nor in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gap {
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) count: u64,
}

/// The highest numbers that were given, stored or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Given {
    pub(crate) seq: u64,
    pub(crate) session: u64,
}

/// Why notices are neither in memory nor in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum GapKind {
    /// They are held in memory only, and memory was full.
    Volatile(EventType),
    /// They could not be written in time.
    Lost,
}

/// The newest notices, in the order of `seq`. Behind the outbox's lock.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    events: VecDeque<Arc<Event>>,
    /// What they take.
    pub(crate) bytes: usize,
    /// Every notice above this is in `events`.
    pub(crate) floor: u64,
    /// The last one that was appended.
    pub(crate) last: u64,
    /// Up to here the writer has dealt with all.
    pub(crate) written: u64,
    /// Up to here the ledger has seen all.
    pub(crate) followed: u64,
    /// Up to here the writer writes just now: these may go from memory, and are not lost.
    pub(crate) in_hand: u64,
    /// Up to here readers may read.
    pub(crate) visible: u64,
    /// Whether readers may read what is not written, because writing does not go on.
    pub(crate) direct: bool,
    /// Whether the writer waits for something to do.
    pub(crate) idle: bool,
    /// Whether the writer must end.
    pub(crate) closing: bool,
    /// The highest numbers that the bus gave, if it is known to give no more.
    pub(crate) given: Option<Given>,
    gaps: BTreeMap<GapKind, VecDeque<Gap>>,
}

/// What was pushed out of memory.
#[derive(Debug, Default)]
pub(crate) struct Evicted {
    /// To be dropped where it costs nobody anything.
    pub(crate) events: Vec<Arc<Event>>,
    /// Those of them that nobody will see again.
    pub(crate) lost: Vec<Arc<Event>>,
}

impl Tail {
    /// Nothing yet; what was stored up to here is in the log.
    pub(crate) fn new(last: u64) -> Self {
        Self { floor: last, last, written: last, followed: last, visible: last, ..Self::default() }
    }

    /// The next sequence numbers are above this one.
    pub(crate) fn go_on_above(&mut self, seq: u64) {
        if self.events.is_empty() {
            for mark in
                [&mut self.floor, &mut self.last, &mut self.written, &mut self.followed, &mut self.visible]
            {
                *mark = seq.max(*mark);
            }
        }
    }

    pub(crate) fn push(&mut self, event: &Arc<Event>) {
        self.bytes += event.held_bytes();
        self.last = event.stamp().seq;
        self.events.push_back(Arc::clone(event));
        if self.direct {
            self.visible = self.last;
        }
    }

    /// Pushes the oldest out until there are at most so many bytes, but none above `most`.
    pub(crate) fn evict(&mut self, bytes: usize, most: u64) -> Evicted {
        let mut evicted = Evicted::default();
        let mut gaps: BTreeMap<GapKind, Gap> = BTreeMap::new();
        while self.bytes > bytes && self.front().is_some_and(|event| event.stamp().seq <= most) {
            let Some(event) = self.events.pop_front() else { break };
            let seq = event.stamp().seq;
            self.bytes -= event.held_bytes();
            self.floor = seq;
            let kind = if event.spec().class == Class::Volatile {
                Some(GapKind::Volatile(event.event_type()))
            } else if seq > self.written.max(self.in_hand) {
                evicted.lost.push(Arc::clone(&event));
                Some(GapKind::Lost)
            } else {
                None
            };
            if let Some(kind) = kind {
                let gap = gaps.entry(kind).or_insert(Gap { first: seq, last: seq, count: 0 });
                (gap.last, gap.count) = (seq, gap.count + 1);
            }
            evicted.events.push(event);
        }
        self.followed = self.followed.max(self.floor);
        if self.floor > self.in_hand {
            // What is gone is not waited for.
            self.written = self.written.max(self.floor);
            self.visible = self.visible.max(self.floor);
        }
        for (kind, gap) in gaps {
            self.remember(kind, gap);
        }
        evicted
    }

    /// The writer has these in its hands no more, and has not written them: those that memory does not hold any longer
    /// are lost.
    pub(crate) fn let_go(&mut self, batch: &[Arc<Event>]) -> Option<Gap> {
        self.in_hand = 0;
        let mut lost: Option<Gap> = None;
        let gone = |event: &&Arc<Event>| (self.written + 1..=self.floor).contains(&event.stamp().seq);
        for event in batch.iter().filter(|event| event.spec().class == Class::Durable).filter(gone) {
            let seq = event.stamp().seq;
            let gap = lost.get_or_insert(Gap { first: seq, last: seq, count: 0 });
            (gap.last, gap.count) = (seq, gap.count + 1);
        }
        if let Some(gap) = lost {
            self.remember(GapKind::Lost, gap);
        }
        self.written = self.written.max(self.floor);
        lost
    }

    /// Remembers that these are missing.
    pub(crate) fn remember(&mut self, kind: GapKind, gap: Gap) {
        let gaps = self.gaps.entry(kind).or_default();
        gaps.push_back(gap);
        if gaps.len() > MAX_GAPS
            && let (Some(first), Some(second)) = (gaps.pop_front(), gaps.pop_front())
        {
            gaps.push_front(Gap { first: first.first, last: second.last, count: first.count + second.count });
        }
    }

    /// How many of each kind are missing between two sequence numbers, the first excluded.
    pub(crate) fn missing(&self, after: u64, up_to: u64) -> Vec<(GapKind, u64)> {
        let within = |gap: &&Gap| after < gap.last && gap.last <= up_to;
        let count = |gaps: &VecDeque<Gap>| {
            let from = gaps.partition_point(|gap| gap.last <= after);
            gaps.range(from..).take_while(within).map(|gap| gap.count).sum::<u64>()
        };
        self.gaps.iter().map(|(kind, gaps)| (*kind, count(gaps))).filter(|(_, count)| *count > 0).collect()
    }

    /// The oldest that is held.
    pub(crate) fn front(&self) -> Option<&Arc<Event>> {
        self.events.front()
    }

    pub(crate) fn len(&self) -> usize {
        self.events.len()
    }

    /// Those above this number that readers may read, the oldest first.
    pub(crate) fn after(&self, seq: u64) -> impl Iterator<Item = &Arc<Event>> {
        let visible = self.visible;
        self.all_after(seq).take_while(move |event| event.stamp().seq <= visible)
    }

    /// Those above this number.
    pub(crate) fn all_after(&self, seq: u64) -> impl Iterator<Item = &Arc<Event>> {
        self.events.range(self.events.partition_point(|event| event.stamp().seq <= seq)..)
    }

    /// Those below this number that readers may read, the newest first.
    pub(crate) fn before(&self, seq: u64) -> impl Iterator<Item = &Arc<Event>> {
        let end = seq.min(self.visible.saturating_add(1));
        self.events.range(..self.events.partition_point(|event| event.stamp().seq < end)).rev()
    }
}
