//! The segments of a journal, as its writer and its readers share them.

use crate::scan::{Scan, Unreadable, is_unreadable, read_at_most};
use jackfield_media::UnixTime;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// First bytes of a segment file.
const MAGIC: [u8; 8] = *b"JFJOURNL";
/// The version of the form on disk.
const VERSION: u32 = 1;
/// Bytes before the first record.
pub(crate) const HEAD: u64 = 16;
/// The highest position: so far from the end of the numbers that whoever counts on from it never gets there.
pub const MAX_POSITION: u64 = 1 << 62;
/// Bytes between the records whose place is remembered.
const MARK_EVERY: u64 = 64 * 1024;

/// How often reading onwards fails at what the disk cannot read of one segment, before such places are skipped: a disk may
/// come back. Whoever reads waits between two tries, so that this takes a while.
pub const TRIES: u32 = 60;

/// Where a journal lies and how much of it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalConfig {
    /// Its folder; made if it is not there. Nothing else may lie in it.
    pub folder: PathBuf,
    /// A segment of so many bytes is followed by a new one; it is longer by what was flushed at once.
    pub segment_bytes: u64,
    /// Segments are removed, the oldest first, while all are more bytes than this.
    pub retain_bytes: u64,
    /// Segments with nothing younger are removed.
    pub retain: Duration,
}

impl JournalConfig {
    /// The defaults: segments of 16 MiB, 1 GiB in all, 72 hours.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            segment_bytes: 16 << 20,
            retain_bytes: 1 << 30,
            retain: Duration::from_secs(72 * 60 * 60),
        }
    }
}

/// Why a journal cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The folder or a file in it cannot be used.
    #[error("{}: {source}", path.display())]
    Io {
        /// The folder or file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A segment was written by a newer server.
    #[error("{}: written in version {version} of its form, and this is version 1", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        version: u32,
    },
}

impl JournalError {
    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }
}

/// Bytes within a segment that are no record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Corrupt {
    /// How many.
    pub bytes: u64,
    /// Position of the valid record before them, 0 if there is none.
    pub after: u64,
    /// Position of the valid record behind them.
    pub before: u64,
}

/// No position is so high.
pub(crate) const NO_POSITION: u64 = MAX_POSITION + 1;

/// A record whose place is remembered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark {
    pub(crate) position: u64,
    pub(crate) time: UnixTime,
    pub(crate) offset: u64,
}

/// One segment file.
#[derive(Debug, Clone)]
pub(crate) struct Segment {
    /// The position that its name says: nothing in it is below.
    pub(crate) first: u64,
    /// What the next segment begins with, or what no position is: nothing in it is as high.
    pub(crate) below: u64,
    pub(crate) path: PathBuf,
    /// Bytes that readers may read.
    pub(crate) bytes: u64,
    /// Time of its first record.
    pub(crate) first_time: Option<UnixTime>,
    /// Ascending; `None` as long as nobody has read it.
    pub(crate) marks: Option<Arc<[Mark]>>,
}

/// What the writer and the readers share. A leaf lock: no file is touched under it.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: JournalConfig,
    state: Mutex<Segments>,
    /// How often the disk did not read a segment, by its first position. A leaf lock.
    faults: Mutex<BTreeMap<u64, u32>>,
}

/// The segments, in the order of their positions.
#[derive(Debug, Default)]
pub(crate) struct Segments {
    pub(crate) list: Vec<Segment>,
    /// The last position that was flushed, ever.
    pub(crate) last: u64,
}

impl Shared {
    pub(crate) fn new(config: JournalConfig, segments: Segments) -> Self {
        Self { config, state: Mutex::new(segments), faults: Mutex::default() }
    }

    pub(crate) fn segments(&self) -> MutexGuard<'_, Segments> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is made of places of this segment that cannot be read.
    pub(crate) fn unreadable(&self, segment: &Segment) -> Unreadable {
        let faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        let tries = faults.get(&segment.first).copied().unwrap_or_default();
        if tries >= TRIES { Unreadable::Skipped } else { Unreadable::Fails }
    }

    /// The disk did not read it.
    pub(crate) fn failed(&self, segment: &Segment) {
        let first = self.segments().list.first().map_or(0, |segment| segment.first);
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        faults.retain(|segment, _| *segment >= first);
        let tries = faults.entry(segment.first).or_default();
        *tries = tries.saturating_add(1);
        if *tries == TRIES {
            tracing::error!(
                file = %segment.path.display(),
                "The disk cannot read a place of a journal: what is there is lost, the rest is read"
            );
        }
    }

    /// Which records of a segment lie where; read from its file when nobody has before.
    pub(crate) fn marks(&self, segment: &Segment) -> io::Result<Arc<[Mark]>> {
        if let Some(marks) = &segment.marks {
            return Ok(Arc::clone(marks));
        }
        let mut scan = Scan::whole(segment)?.with(self.unreadable(segment));
        let mut marks = Vec::new();
        loop {
            match scan.next() {
                Ok(Some(hit)) => {
                    add_mark(&mut marks, Mark { position: hit.position, time: hit.time, offset: hit.offset });
                }
                Ok(None) => break,
                // What stands before it can be read.
                Err(error) if is_unreadable(&error) => return Ok(marks.into()),
                Err(error) => return Err(error),
            }
        }
        let marks: Arc<[Mark]> = marks.into();
        let mut segments = self.segments();
        if let Some(held) = segments.list.iter_mut().find(|held| held.first == segment.first) {
            held.marks.get_or_insert_with(|| Arc::clone(&marks));
        }
        Ok(marks)
    }
}

/// Remembers the record if the last one that is remembered is far enough.
pub(crate) fn add_mark(marks: &mut Vec<Mark>, mark: Mark) {
    if marks.last().is_none_or(|last| mark.offset >= last.offset + MARK_EVERY) {
        marks.push(mark);
    }
}

/// The name of the segment that begins with this position.
pub(crate) fn file_name(first: u64) -> String {
    format!("{first:020}.seg")
}

/// The first position that the name of a file says; `None` if it is no segment of ours.
pub(crate) fn parse_name(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".seg")?;
    let all_digits = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    all_digits.then(|| digits.parse().ok()).flatten().filter(|first| *first <= MAX_POSITION)
}

/// The bytes before the first record.
pub(crate) fn head() -> [u8; 16] {
    let mut head = [0; 16];
    head[..8].copy_from_slice(&MAGIC);
    head[8..12].copy_from_slice(&VERSION.to_le_bytes());
    head
}

/// Refuses a segment that a newer server wrote. A head that is damaged is none of ours, and its records are still read.
pub(crate) fn check_version(path: &Path) -> Result<(), JournalError> {
    let mut head = [0; 12];
    let file = File::open(path).map_err(JournalError::io(path))?;
    let got = match read_at_most(&file, &mut head, 0) {
        // Whoever reads its records is told.
        Err(error) if is_unreadable(&error) => return Ok(()),
        read => read.map_err(JournalError::io(path))?,
    };
    let version = u32::from_le_bytes([head[8], head[9], head[10], head[11]]);
    if got == head.len() && head[..8] == MAGIC && version > VERSION {
        return Err(JournalError::Version { path: path.to_owned(), version });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_twenty_digits_are_segments() {
        assert_eq!(parse_name(&file_name(42)), Some(42));
        assert_eq!(parse_name(&file_name(MAX_POSITION)), Some(MAX_POSITION));
        for name in [
            "42.seg",
            "00000000000000000042.tmp",
            "-0000000000000000042.seg",
            "99999999999999999999.seg",
            "18446744073709551615.seg",
            &file_name(MAX_POSITION + 1),
        ] {
            assert_eq!(parse_name(name), None, "{name}");
        }
    }
}
