//! Reading the records of one segment file from an offset on, in pieces.

use crate::frame::{self, Found};
use crate::segment::{HEAD, Segment};
use jackfield_media::UnixTime;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Bytes that are read at once, unless a record is longer.
const PIECE: usize = 128 * 1024;
/// Bytes that are given up where a disk does not read; twice as many each time that it does not read behind them either, up
/// to a [`PIECE`]: a bad place takes a disk seconds.
const BLOCK: u64 = 4096;
/// The error of a disk that cannot read what is there. Others say nothing of the place.
const EIO: i32 = 5;

/// What is made of a place that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// An error.
    Fails,
    /// No record: what follows it is read.
    Skipped,
}

/// Whether the disk could not read the place.
pub(crate) fn is_unreadable(error: &io::Error) -> bool {
    error.raw_os_error() == Some(EIO)
}

/// One record of a segment file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hit {
    pub(crate) position: u64,
    pub(crate) time: UnixTime,
    /// Where it begins in the file.
    pub(crate) offset: u64,
    /// Bytes before it that are no record.
    pub(crate) skipped: u64,
    /// Its body in the buffer of the scan.
    start: usize,
    end: usize,
}

/// Goes through a segment file.
#[derive(Debug)]
pub(crate) struct Scan {
    file: File,
    /// Nothing is read from here on.
    limit: u64,
    /// Offset in the file of the buffer's first byte.
    base: u64,
    buffer: Vec<u8>,
    /// Where in the buffer the search goes on.
    at: usize,
    /// Where the last record ended in the file.
    valid_end: u64,
    /// Position of the last record.
    last: u64,
    /// No record of the segment has this position or a higher one.
    below: u64,
    unreadable: Unreadable,
}

impl Scan {
    /// Reads the records of a segment between the offsets, whose positions are above `after`.
    pub(crate) fn open(segment: &Segment, from: u64, limit: u64, after: u64) -> io::Result<Self> {
        Ok(Self {
            file: File::open(&segment.path)?,
            limit,
            base: from,
            buffer: Vec::new(),
            at: 0,
            valid_end: from,
            last: after,
            below: segment.below,
            unreadable: Unreadable::Fails,
        })
    }

    /// Makes this of places that cannot be read.
    pub(crate) fn with(self, unreadable: Unreadable) -> Self {
        Self { unreadable, ..self }
    }

    /// Reads all records of a segment.
    pub(crate) fn whole(segment: &Segment) -> io::Result<Self> {
        Self::open(segment, HEAD, segment.bytes, segment.first.saturating_sub(1))
    }

    /// The next valid record; `None` at the limit.
    pub(crate) fn next(&mut self) -> io::Result<Option<Hit>> {
        loop {
            match frame::find(&self.buffer, self.at, self.last, self.below) {
                Found::Frame { start, end, position, time } => {
                    let offset = self.base + start as u64;
                    let skipped = offset - self.valid_end;
                    self.valid_end = self.base + end as u64;
                    (self.at, self.last) = (end, position);
                    let start = start + frame::HEAD;
                    return Ok(Some(Hit { position, time, offset, skipped, start, end }));
                }
                Found::Short { start, needed } => {
                    self.at = start;
                    if !self.fill(needed)? {
                        // The file ends before: this is no record, but one may begin within it.
                        if start >= self.buffer.len() {
                            return Ok(None);
                        }
                        self.at = start + 1;
                    }
                }
            }
        }
    }

    /// The body of the record that was found last.
    pub(crate) fn body(&self, hit: &Hit) -> &[u8] {
        self.buffer.get(hit.start..hit.end).unwrap_or_default()
    }

    /// Where in the file the last record ended.
    pub(crate) fn valid_end(&self) -> u64 {
        self.valid_end
    }

    /// Position of the last record, or what it was opened with.
    pub(crate) fn last(&self) -> u64 {
        self.last
    }

    /// Gives up what was searched and reads on, so that `needed` bytes stand from there; `false` if there are not so
    /// many.
    fn fill(&mut self, needed: usize) -> io::Result<bool> {
        if self.buffer.len() - self.at.min(self.buffer.len()) >= needed {
            return Ok(true);
        }
        let read_up_to = self.base + self.buffer.len() as u64;
        let left = usize::try_from(self.limit.saturating_sub(read_up_to)).unwrap_or(usize::MAX);
        let held = self.buffer.len() - self.at;
        if held.saturating_add(left) < needed {
            return Ok(false);
        }
        self.buffer.drain(..self.at);
        self.base += self.at as u64;
        self.at = 0;
        let more = left.min(PIECE.max(needed - held));
        self.buffer.resize(held + more, 0);
        let place = self.buffer.get_mut(held..).unwrap_or_default();
        let (got, end) = match self.unreadable {
            Unreadable::Fails => read_before_fault(&self.file, place, read_up_to, needed - held)?,
            Unreadable::Skipped => read_around_faults(&self.file, place, read_up_to)?,
        };
        self.buffer.truncate(held + got);
        if end == End::OfFile {
            // The file is shorter than it was: there is no more than this.
            self.limit = read_up_to + got as u64;
        }
        Ok(self.buffer.len() >= needed)
    }
}

/// Where a read stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    OfFile,
    OfBuffer,
    /// Before what cannot be read.
    AtFault,
}

impl End {
    fn of(got: usize, wanted: usize) -> Self {
        if got < wanted { Self::OfFile } else { Self::OfBuffer }
    }
}

/// Reads as far as it goes; an error only if that is less than is needed.
fn read_before_fault(file: &File, buffer: &mut [u8], offset: u64, needed: usize) -> io::Result<(usize, End)> {
    let (wanted, mut read) = (buffer.len(), 0);
    while read < wanted {
        let place = buffer.get_mut(read..).unwrap_or_default();
        match read_some(file, place, offset + read as u64) {
            Ok(0) => break,
            Ok(got) => read += got,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if is_unreadable(&error) && read >= needed => return Ok((read, End::AtFault)),
            Err(error) => return Err(error),
        }
    }
    Ok((read, End::of(read, wanted)))
}

/// Reads until the buffer is full or the file ends; what cannot be read is zeros, which are no record.
fn read_around_faults(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<(usize, End)> {
    let wanted = buffer.len();
    let (mut read, mut skip) = (0, BLOCK);
    while read < wanted {
        let at = offset + read as u64;
        let place = buffer.get_mut(read..).unwrap_or_default();
        match read_some(file, place, at) {
            Ok(0) => break,
            Ok(got) => (read, skip) = (read + got, BLOCK),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if is_unreadable(&error) => {
                let skipped = usize::try_from(skip - at % BLOCK).unwrap_or(PIECE).min(place.len());
                place.get_mut(..skipped).unwrap_or_default().fill(0);
                (read, skip) = (read + skipped, (skip * 2).min(PIECE as u64));
            }
            Err(error) => return Err(error),
        }
    }
    Ok((read, End::of(read, wanted)))
}

#[cfg(not(test))]
fn read_some(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    file.read_at(buffer, offset)
}

#[cfg(test)]
thread_local! {
    /// The places of files that the disk of this thread does not read.
    pub(crate) static BAD: std::cell::RefCell<Vec<std::ops::Range<u64>>> = const { std::cell::RefCell::new(Vec::new()) };
}

#[cfg(test)]
fn read_some(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let next = BAD.with_borrow(|bad| bad.iter().filter(|bad| bad.end > offset).map(|bad| bad.start).min());
    let good = next.map_or(u64::MAX, |next| next.saturating_sub(offset));
    if good == 0 {
        return Err(io::Error::from_raw_os_error(EIO));
    }
    let good = usize::try_from(good).unwrap_or(usize::MAX).min(buffer.len());
    file.read_at(buffer.get_mut(..good).unwrap_or_default(), offset)
}

/// Reads until the buffer is full or the file ends.
pub(crate) fn read_at_most(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    read_before_fault(file, buffer, offset, buffer.len()).map(|(read, _)| read)
}
