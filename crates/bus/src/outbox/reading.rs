//! Reading notices: from memory as far as it reaches, else from the log.

use super::tail::GapKind;
use super::{Inner, Outbox};
use jackfield_events::{Event, EventType};
use jackfield_journal::{Batch, Limit, Record};
use jackfield_media::UnixTime;
use jackfield_runtime::clock;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// How long a reader waits after the disk failed to read.
const AFTER_AN_ERROR: Duration = Duration::from_secs(1);

/// What was read.
#[derive(Debug, Clone, Default)]
pub struct Read {
    /// In the order of reading.
    pub events: Vec<Arc<Event>>,
    /// At most so many notices that were stored are missing between these: lost, corrupt, or gone by retention.
    pub skipped: u64,
    /// Volatile notices that are missing between these, by type.
    pub skipped_volatile: Vec<(EventType, u64)>,
    /// Where reading goes on: the `seq` to read after. Reading back: the one to read before; 0 when nothing is left.
    pub up_to: u64,
}

impl Outbox {
    /// The notices after this `seq`, the oldest first, as far as they can be read now. If the disk fails, it waits a
    /// second and gives none. Cancel-safe.
    pub async fn read(&self, after: u64, limit: Limit) -> Read {
        let floor = match self.0.read_memory(after, limit) {
            Ok(read) => return read,
            Err(floor) => floor,
        };
        let reader = self.0.reader.clone();
        match self.disk(move || reader.read_after(after, limit)).await {
            Ok(batch) => self.0.of_disk(after, floor, &batch),
            Err(_told) => Read { up_to: after, ..Read::default() },
        }
    }

    /// The notices before this `seq`, the newest first. If the disk fails, it waits a second and gives none.
    /// Cancel-safe.
    pub async fn read_back(&self, before: u64, limit: Limit) -> Read {
        let (held, floor) = self.0.back_in_memory(before, limit);
        if !held.events.is_empty() {
            return held;
        }
        let reader = self.0.reader.clone();
        let before = before.min(floor.saturating_add(1));
        match self.disk(move || reader.read_before(before, limit)).await {
            Ok(batch) => {
                let mut read = Read { up_to: batch.up_to, ..Read::default() };
                self.0.parse(&batch.records, &mut read);
                read
            }
            Err(_told) => Read { up_to: before, ..Read::default() },
        }
    }

    /// The notice of this `seq`, if it is still there.
    pub async fn event(&self, seq: u64) -> Option<Arc<Event>> {
        {
            let tail = self.0.tail();
            if seq > tail.floor {
                return tail
                    .after(seq.checked_sub(1)?)
                    .next()
                    .filter(|event| event.stamp().seq == seq)
                    .cloned();
            }
        }
        let reader = self.0.reader.clone();
        let record = self.disk(move || reader.one(seq)).await.ok()??;
        let mut read = Read::default();
        self.0.parse(std::slice::from_ref(&record), &mut read);
        read.events.pop()
    }

    /// The `seq` after which to read for all notices since this time.
    pub async fn seq_at(&self, time: UnixTime) -> u64 {
        {
            let tail = self.0.tail();
            let in_memory = tail.front().is_some_and(|event| event.stamp().time < time);
            if in_memory || self.0.reader.last().is_none() {
                let first = tail.all_after(0).find(|event| event.stamp().time >= time);
                return first.map_or(tail.last, |event| event.stamp().seq - 1);
            }
        }
        let reader = self.0.reader.clone();
        self.disk(move || reader.position_before(time)).await.unwrap_or_else(|_told| self.last())
    }

    async fn disk<T: Send + 'static>(
        &self,
        call: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let result = self.0.tasks.blocking("outbox read", call).join().await;
        let result = result.unwrap_or_else(|| Err(io::Error::other("the read did not end")));
        if let Err(error) = &result {
            tracing::error!(%error, "The log of events cannot be read");
            clock::sleep(AFTER_AN_ERROR).await;
        }
        result
    }
}

impl Inner {
    /// What memory holds after this number; if it does not reach so far back, how far it does.
    fn read_memory(&self, after: u64, limit: Limit) -> Result<Read, u64> {
        let tail = self.tail();
        let floor = tail.floor.min(tail.visible);
        if after < floor {
            return Err(floor);
        }
        let mut read = Read { up_to: tail.visible.max(after), ..Read::default() };
        let mut bytes = 0;
        for event in tail.after(after) {
            if read.events.len() >= limit.records.max(1) || bytes >= limit.bytes {
                read.up_to = read.events.last().map_or(after, |event| event.stamp().seq);
                break;
            }
            bytes += event.held_bytes();
            read.events.push(Arc::clone(event));
        }
        Ok(read)
    }

    fn back_in_memory(&self, before: u64, limit: Limit) -> (Read, u64) {
        let tail = self.tail();
        let mut read = Read::default();
        let mut bytes = 0;
        for event in tail.before(before) {
            if read.events.len() >= limit.records.max(1) || bytes >= limit.bytes {
                break;
            }
            bytes += event.held_bytes();
            read.events.push(Arc::clone(event));
        }
        read.up_to = read.events.last().map_or(before, |event| event.stamp().seq);
        (read, tail.floor)
    }

    /// What was read of the log up to where memory begins, and what is missing in it.
    fn of_disk(&self, after: u64, floor: u64, batch: &Batch) -> Read {
        // Above the floor memory has more: what is volatile is not in the log.
        let held = batch.records.partition_point(|record| record.position <= floor);
        let records = batch.records.get(..held).unwrap_or_default();
        let is_all = held < batch.records.len() || records.is_empty() || batch.up_to >= floor;
        let up_to = if is_all { floor } else { batch.up_to };
        let mut read = Read { up_to, ..Read::default() };
        self.parse(records, &mut read);
        for corrupt in &batch.corrupt {
            // What is above the floor is in memory.
            read.skipped += corrupt.before.min(up_to + 1).saturating_sub(corrupt.after + 1);
        }
        if let Some(first) = self.reader.first().filter(|first| *first > after + 1) {
            read.skipped += (first - 1).min(up_to) - after;
        }
        for (kind, count) in self.tail().missing(after, up_to) {
            match kind {
                GapKind::Volatile(event) => read.skipped_volatile.push((event, count)),
                GapKind::Lost => read.skipped += count,
            }
        }
        read
    }

    fn parse(&self, records: &[Record], read: &mut Read) {
        let mut unreadable = 0;
        for record in records {
            match Event::parse(&record.body) {
                Ok(event) => read.events.push(Arc::new(event)),
                Err(error) => {
                    unreadable += 1;
                    tracing::debug!(seq = record.position, %error, "A stored event cannot be read");
                }
            }
        }
        if unreadable > 0 {
            tracing::warn!(unreadable, "Stored events are left out that this version does not know");
            self.counters.unreadable(unreadable);
            read.skipped += unreadable;
        }
    }
}
