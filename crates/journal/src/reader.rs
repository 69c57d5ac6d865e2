//! Reading records, onwards from a position or back from it.

use crate::scan::{Scan, is_unreadable};
use crate::segment::{Corrupt, HEAD, MAX_POSITION, Segment, Shared};
use bytes::Bytes;
use jackfield_media::UnixTime;
use std::io;
use std::sync::Arc;

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its place; strictly ascending over the journal.
    pub position: u64,
    /// The time that it was appended with.
    pub time: UnixTime,
    /// What was appended.
    pub body: Bytes,
}

/// How much is read at once: reading stops at what is reached first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// Records at most, at least 1.
    pub records: usize,
    /// Bytes of bodies; one record is read even if it is longer.
    pub bytes: usize,
}

impl Default for Limit {
    /// 1024 records, 1 MiB.
    fn default() -> Self {
        Self { records: 1024, bytes: 1 << 20 }
    }
}

impl Limit {
    /// So many records, and 1 MiB.
    #[must_use]
    pub fn records(records: usize) -> Self {
        Self { records, ..Self::default() }
    }

    fn is_reached(self, batch: &Batch) -> bool {
        batch.records.len() >= self.records.max(1) || batch.bytes >= self.bytes
    }
}

/// What was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// In the order of reading.
    pub records: Vec<Record>,
    /// Where reading goes on: the position to read after, or before. Reading onwards it is the last position there is
    /// when the end was reached; reading back it is 0 when the beginning was.
    pub up_to: u64,
    /// Stretches between these records that are no records, and were skipped.
    pub corrupt: Vec<Corrupt>,
    /// Bytes of the bodies.
    bytes: usize,
}

impl Batch {
    fn push(&mut self, record: Record) {
        self.bytes += record.body.len();
        self.up_to = record.position;
        self.records.push(record);
    }
}

/// Reads a journal while its writer writes. Clones read the same; every call blocks on the disk.
#[derive(Debug, Clone)]
pub struct Reader {
    shared: Arc<Shared>,
}

impl Reader {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// The records after this position, the oldest first. What retention has removed is not there.
    ///
    /// What stands before a place that the disk cannot read is read; then the place is an error, as often as
    /// [`TRIES`](crate::TRIES) says for each segment, and from then on a corrupt stretch.
    ///
    /// # Errors
    /// A file that cannot be read. One that is gone is taken for removed.
    pub fn read_after(&self, position: u64, limit: Limit) -> io::Result<Batch> {
        let (segments, last) = self.segments();
        let mut batch = Batch { up_to: position, ..Batch::default() };
        let from = segments.partition_point(|segment| segment.first <= position.saturating_add(1));
        for segment in segments.get(from.saturating_sub(1)..).unwrap_or_default() {
            match unless_gone(self.onwards(segment, (position, last), limit, &mut batch)) {
                Ok(Some(Done::Yes)) => return Ok(batch),
                Ok(Some(Done::No) | None) => {}
                Err(error) if is_unreadable(&error) => {
                    if !batch.records.is_empty() {
                        return Ok(batch);
                    }
                    self.shared.failed(segment);
                    return Err(error);
                }
                Err(error) => return Err(error),
            }
        }
        batch.up_to = last.max(position);
        Ok(batch)
    }

    fn onwards(
        &self,
        segment: &Segment,
        (position, last): (u64, u64),
        limit: Limit,
        batch: &mut Batch,
    ) -> io::Result<Done> {
        let marks = self.shared.marks(segment)?;
        let at = marks.partition_point(|mark| mark.position <= position.saturating_add(1));
        let mark = at.checked_sub(1).and_then(|at| marks.get(at));
        let (offset, before) =
            mark.map_or((HEAD, segment.first.saturating_sub(1)), |mark| (mark.offset, mark.position - 1));
        let unreadable = self.shared.unreadable(segment);
        let mut scan = Scan::open(segment, offset, segment.bytes, before)?.with(unreadable);
        loop {
            let after = scan.last();
            let Some(hit) = scan.next()? else {
                // What the next segment begins with, or what was written last, says that there were more.
                let bytes = segment.bytes.saturating_sub(scan.valid_end());
                let before = if segment.below <= MAX_POSITION { segment.below } else { last + 1 };
                let after = after.max(position);
                if bytes > 0 && after + 1 < before {
                    batch.corrupt.push(Corrupt { bytes, after, before });
                }
                return Ok(Done::No);
            };
            if hit.position <= position {
                continue;
            }
            if hit.skipped > 0 {
                batch.corrupt.push(Corrupt { bytes: hit.skipped, after, before: hit.position });
            }
            let body = Bytes::copy_from_slice(scan.body(&hit));
            batch.push(Record { position: hit.position, time: hit.time, body });
            if limit.is_reached(batch) {
                return Ok(Done::Yes);
            }
        }
    }

    /// The records before this position, the newest first.
    ///
    /// # Errors
    /// A file that cannot be read. One that is gone is taken for removed.
    pub fn read_before(&self, position: u64, limit: Limit) -> io::Result<Batch> {
        let (segments, _) = self.segments();
        let mut batch = Batch { up_to: position, ..Batch::default() };
        for segment in segments.iter().rev().filter(|segment| segment.first < position) {
            if unless_gone(self.back(segment, position, limit, &mut batch))?
                .is_some_and(|done| done == Done::Yes)
            {
                return Ok(batch);
            }
        }
        batch.up_to = 0;
        Ok(batch)
    }

    fn back(&self, segment: &Segment, position: u64, limit: Limit, batch: &mut Batch) -> io::Result<Done> {
        let marks = self.shared.marks(segment)?;
        let mut end = segment.bytes;
        for mark in marks.iter().rev() {
            if mark.position < position {
                let unreadable = self.shared.unreadable(segment);
                let mut scan = Scan::open(segment, mark.offset, end, mark.position - 1)?.with(unreadable);
                let mut block = Vec::new();
                while let Some(hit) = scan.next()? {
                    if hit.position >= position {
                        break;
                    }
                    let body = Bytes::copy_from_slice(scan.body(&hit));
                    block.push(Record { position: hit.position, time: hit.time, body });
                }
                for record in block.into_iter().rev() {
                    batch.push(record);
                    if limit.is_reached(batch) {
                        return Ok(Done::Yes);
                    }
                }
            }
            end = mark.offset;
        }
        Ok(Done::No)
    }

    /// The record at this position.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn one(&self, position: u64) -> io::Result<Option<Record>> {
        let Some(before) = position.checked_sub(1) else { return Ok(None) };
        let batch = self.read_after(before, Limit::records(1))?;
        Ok(batch.records.into_iter().next().filter(|record| record.position == position))
    }

    /// The position before the first record of this time or later: to be read after. Where the clock was set back, the
    /// answer is that of some moment at which it showed this time.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn position_before(&self, time: UnixTime) -> io::Result<u64> {
        let (segments, last) = self.segments();
        let from = segments.partition_point(|segment| segment.first_time.is_none_or(|first| first < time));
        let Some(segment) = from.checked_sub(1).and_then(|at| segments.get(at)) else {
            return Ok(segments.first().map_or(last, |segment| segment.first.saturating_sub(1)));
        };
        let Some(marks) = unless_gone(self.shared.marks(segment))? else {
            return Ok(segment.first.saturating_sub(1));
        };
        let at = marks.partition_point(|mark| mark.time < time);
        let Some(mark) = at.checked_sub(1).and_then(|at| marks.get(at)) else {
            return Ok(segment.first.saturating_sub(1));
        };
        let unreadable = self.shared.unreadable(segment);
        let mut scan = Scan::open(segment, mark.offset, segment.bytes, mark.position - 1)?.with(unreadable);
        let mut before = mark.position;
        while let Some(hit) = scan.next()? {
            if hit.time >= time {
                return Ok(before);
            }
            before = hit.position;
        }
        Ok(before)
    }

    /// The position that the oldest segment begins with; `None` when there is no record.
    #[must_use]
    pub fn first(&self) -> Option<u64> {
        self.shared.segments().list.first().map(|segment| segment.first)
    }

    /// The last position that was flushed; `None` when there was none yet.
    #[must_use]
    pub fn last(&self) -> Option<u64> {
        Some(self.shared.segments().last).filter(|&last| last > 0)
    }

    /// Bytes of all segments.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.shared.segments().list.iter().map(|segment| segment.bytes).sum()
    }

    fn segments(&self) -> (Vec<Segment>, u64) {
        let segments = self.shared.segments();
        (segments.list.clone(), segments.last)
    }
}

/// Whether as much was read as was wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Done {
    Yes,
    No,
}

/// A segment that is gone was removed by retention, or with its folder.
fn unless_gone<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
