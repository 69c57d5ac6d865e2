//! Reading the records of one segment file from an offset on, in pieces.

use crate::frame::{self, Found};
use crate::segment::{HEAD, Segment};
use jackfield_media::UnixTime;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Bytes that are read at once, unless a record is longer.
const PIECE: usize = 128 * 1024;

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
}

impl Scan {
    /// Reads the records of a segment between the offsets, whose positions are above `after`.
    pub(crate) fn open(segment: &Segment, from: u64, limit: u64, after: u64) -> io::Result<Self> {
        let (file, below) = (File::open(&segment.path)?, segment.below);
        Ok(Self { file, limit, base: from, buffer: Vec::new(), at: 0, valid_end: from, last: after, below })
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
        let got = read_at_most(&self.file, place, read_up_to)?;
        self.buffer.truncate(held + got);
        if got < more {
            // The file is shorter than it was: there is no more than this.
            self.limit = read_up_to + got as u64;
        }
        Ok(self.buffer.len() >= needed)
    }
}

/// Reads until the buffer is full or the file ends.
pub(crate) fn read_at_most(file: &File, mut buffer: &mut [u8], mut offset: u64) -> io::Result<usize> {
    let mut read = 0;
    while !buffer.is_empty() {
        match file.read_at(buffer, offset) {
            Ok(0) => break,
            Ok(got) => {
                (read, offset) = (read + got, offset + got as u64);
                buffer = buffer.get_mut(got..).unwrap_or_default();
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}
