//! The thread that writes: whatever has come since it last looked goes to the log in one write.

use super::Inner;
use super::losses::Loss;
use super::spare::Kept;
use super::tail::{Gap, GapKind};
use super::{Fsync, Given};
use crate::ledger::How;
use jackfield_events::{Class, Event, LossCause};
use jackfield_journal::Writer;
use jackfield_media::Mono;
use jackfield_runtime::clock;
use std::io;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// Between two writes while notices come, so that one write takes many of them.
const PACE: Duration = Duration::from_millis(1);
/// Between two looks at what else there is to do.
const HOUSEKEEPING: Duration = Duration::from_secs(10);
/// Notices in one write at most.
const BATCH: usize = 4096;
/// First wait after a write that failed; it doubles up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// The longest wait after a write that failed.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// The ledger is kept after at least so many bytes of the log: so much is read again at the next start.
const LEDGER_EVERY: u64 = 8 << 20;
/// Or after so many times its own length, so that keeping it stays cheap beside the log.
const LEDGER_SHARE: u64 = 4;

/// The writer's own state.
pub(super) struct Writing {
    inner: Arc<Inner>,
    writer: Writer,
    /// Whether the last turn wrote something.
    busy: bool,
    /// Whether it ends, and has tried for the last time.
    tried_last: bool,
    /// When a failed write is tried again, and how long that was waited for.
    retry: Option<(Mono, Duration)>,
    tidied_at: Mono,
    /// Bytes written since the ledger was kept.
    since_ledger: u64,
    /// How long it was then.
    ledger_bytes: u64,
}

enum Turn {
    Write(Vec<Arc<Event>>),
    Tidy,
    End,
}

impl Writing {
    pub(super) fn new(inner: Arc<Inner>, writer: Writer) -> Self {
        let tidied_at = clock::now();
        Self {
            inner,
            writer,
            busy: false,
            tried_last: false,
            retry: None,
            tidied_at,
            since_ledger: 0,
            ledger_bytes: 0,
        }
    }

    /// Writes until it must end.
    pub(super) fn run(mut self) {
        loop {
            match self.next_turn() {
                Turn::Write(batch) => self.write(&batch),
                Turn::Tidy => self.busy = false,
                Turn::End => break,
            }
            if clock::now() - self.tidied_at >= HOUSEKEEPING {
                self.tidy();
            }
        }
        self.end();
    }

    /// Waits for something to do.
    fn next_turn(&mut self) -> Turn {
        let inner = &*self.inner;
        let mut tail = inner.tail();
        let wait = match self.retry {
            Some((at, _)) => at - clock::now(),
            None if self.busy => PACE,
            None => Duration::ZERO,
        };
        if !wait.is_zero() && !tail.closing {
            (tail, _) = inner.work.wait_timeout(tail, wait).unwrap_or_else(PoisonError::into_inner);
        }
        loop {
            let fails = self.retry.is_some();
            if tail.closing && (tail.last <= tail.written || (fails && self.tried_last)) {
                return Turn::End;
            }
            if tail.last > tail.written {
                self.tried_last = tail.closing;
                break;
            }
            tail.idle = true;
            let (woken, timeout) =
                inner.work.wait_timeout(tail, HOUSEKEEPING).unwrap_or_else(PoisonError::into_inner);
            tail = woken;
            tail.idle = false;
            if timeout.timed_out() {
                return Turn::Tidy;
            }
        }
        let batch: Vec<Arc<Event>> = tail.all_after(tail.written).take(BATCH).cloned().collect();
        let Some(last) = batch.last() else {
            tail.written = tail.last;
            return Turn::Tidy;
        };
        // The ledger is taken before the tail is let go, so that it sees all in order, also what falls out of memory.
        let followed = tail.followed;
        tail.followed = followed.max(last.stamp().seq);
        tail.in_hand = last.stamp().seq;
        let mut ledger = inner.ledger();
        drop(tail);
        for event in batch.iter().filter(|event| event.stamp().seq > followed) {
            ledger.follow(event);
        }
        Turn::Write(batch)
    }

    fn write(&mut self, batch: &[Arc<Event>]) {
        self.busy = true;
        if self.look_for_the_log(batch) {
            // What is still in memory is written again, and this batch with it.
            return;
        }
        let (mut events, mut bytes) = (0, 0);
        for event in batch.iter().filter(|event| event.spec().class == Class::Durable) {
            let stamp = event.stamp();
            match self.writer.append(stamp.seq, stamp.time, event.json()) {
                Ok(()) => (events, bytes) = (events + 1, bytes + event.json().len()),
                Err(error) => tracing::error!(%error, seq = stamp.seq, "An event cannot be stored"),
            }
        }
        match self.writer.flush() {
            Ok(()) => self.wrote(batch, events, bytes),
            Err(error) => self.failed(batch, &error),
        }
    }

    fn wrote(&mut self, batch: &[Arc<Event>], events: usize, bytes: usize) {
        let inner = &*self.inner;
        match inner.config.fsync {
            Fsync::Always if events > 0 => inner.synced(self.writer.sync()),
            Fsync::Interval(_) if events > 0 => inner.dirty.notify_one(),
            _ => {}
        }
        if self.retry.take().is_some() {
            tracing::info!("The log of events is written again");
        }
        inner.counters.wrote(events, bytes);
        if let (Some(last), Some(spare)) = (batch.last(), inner.spare().as_mut()) {
            spare.settle(last.stamp().seq);
        }
        let (visible, evicted) = {
            let mut tail = inner.tail();
            tail.in_hand = 0;
            tail.written = batch.last().map_or(0, |event| event.stamp().seq).max(tail.written);
            tail.visible = tail.visible.max(tail.written);
            tail.direct = false;
            // Room is made ahead, so that whoever appends seldom has to.
            let (room, written) = (inner.config.memory_bytes / 8 * 7, tail.written);
            (tail.visible, tail.evict(room, written))
        };
        inner.show(visible);
        drop(evicted);
        self.since_ledger = self.since_ledger.saturating_add(bytes as u64);
        if self.since_ledger >= LEDGER_EVERY.max(LEDGER_SHARE * self.ledger_bytes) {
            self.keep_ledger(How::Running);
        }
    }

    /// Readers go on from memory, and it is tried again a little later.
    fn failed(&mut self, batch: &[Arc<Event>], error: &io::Error) {
        let inner = &*self.inner;
        let cause = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => LossCause::DiskFull,
            _ => LossCause::DiskError,
        };
        if self.retry.is_none() {
            tracing::error!(%error, "The log of events cannot be written, events are held in memory");
        }
        inner.counters.failed(cause);
        let waited = self.retry.map_or(FIRST_WAIT, |(_, waited)| (waited * 2).min(LONGEST_WAIT));
        self.retry = Some((clock::now().after(waited), waited));
        let (visible, lost) = {
            let mut tail = inner.tail();
            let lost = tail.let_go(batch);
            tail.direct = true;
            tail.visible = tail.last;
            (tail.visible, lost)
        };
        inner.show(visible);
        if let Some(Gap { first, last, count }) = lost {
            inner.add_loss(Loss { cause, count, first, last });
        }
    }

    /// Whether somebody removed the log: then all that memory holds is to be written again, and the rest is lost.
    fn look_for_the_log(&mut self, batch: &[Arc<Event>]) -> bool {
        let Some(removed) = self.writer.forget_removed() else { return false };
        let inner = &*self.inner;
        tracing::error!(
            first = removed.first,
            last = removed.last,
            "The log of events was removed, it is made again with what is in memory"
        );
        let place = inner.spare().as_ref().map(Kept::place);
        if let Some(Err(error)) = place.map(|place| place.take_note()) {
            tracing::debug!(%error, "The next server will not find the spare");
        }
        // Its file may be gone with the log, and what it knows cannot be read again: it is kept with the next write.
        self.since_ledger = u64::MAX;
        let mut tail = inner.tail();
        let gone = tail.let_go(batch).map_or(0, |gap| gap.last);
        tail.written = inner.reader.last().unwrap_or(0).max(tail.floor);
        let (first, last) = (removed.first, removed.last.min(tail.floor).max(gone));
        if first <= last {
            let count = last - first + 1;
            tail.remember(GapKind::Lost, Gap { first, last, count });
            drop(tail);
            inner.add_loss(Loss { cause: LossCause::LogRemoved, count, first, last });
        }
        true
    }

    fn tidy(&mut self) {
        self.tidied_at = clock::now();
        let _rewritten_next = self.look_for_the_log(&[]);
        self.inner.look_for_the_spare();
        match self.writer.retain(clock::unix_now()) {
            Ok(retired) if retired.segments > 0 => {
                tracing::debug!(
                    segments = retired.segments,
                    bytes = retired.bytes,
                    "Old events were removed"
                );
            }
            Ok(_) => {}
            Err(error) => tracing::error!(%error, "Old events cannot be removed"),
        }
    }

    fn keep_ledger(&mut self, how: How) {
        let ledger = self.inner.ledger().clone();
        self.since_ledger = 0;
        match ledger.store(&self.inner.config.ledger(), how) {
            Ok(bytes) => self.ledger_bytes = bytes,
            Err(error) => tracing::error!(%error, "The ledger of events cannot be kept"),
        }
    }

    /// The last word: all is written or given up.
    fn end(mut self) {
        if self.inner.config.fsync != Fsync::Off {
            self.inner.synced(self.writer.sync());
        }
        if let Some(spare) = self.inner.spare().take() {
            spare.end();
        }
        let (given, visible) = {
            let mut tail = self.inner.tail();
            tail.direct = true;
            tail.visible = tail.last;
            (tail.given, tail.visible)
        };
        self.inner.show(visible);
        if let Some(Given { seq, session }) = given {
            let mut ledger = self.inner.ledger();
            ledger.seq = ledger.seq.max(seq);
            ledger.session = ledger.session.max(session);
        }
        self.keep_ledger(if given.is_some() { How::InOrder } else { How::Running });
    }
}
