//! The newest records once more, in memory that outlives the process: what was appended and not yet written by a flush
//! survives the end of the process too.
//!
//! A spare is a file on a file system that lies in memory (tmpfs), so a record is in it when [`Spare::put`] returns,
//! without a disk and without another thread. It has two areas. One is filled; when it is full, the other is begun, if
//! all that it holds is settled: written elsewhere. An area whose records are all settled is begun anew at once, so
//! that most of the time the first pages of one area are all that is touched.
//!
//! The form: a head of [`HEAD`] bytes (`JFSPARE\0`, version u32, zero u32, bytes of an area u64), then both areas, each
//! the frames of the journal one behind the other. What does not ascend, or is no frame, ends an area: there the
//! records of an earlier use begin.

use crate::frame::{self, Found};
use crate::reader::Record;
use crate::scan::read_at_most;
use crate::segment::{MAX_POSITION, NO_POSITION};
use bytes::Bytes;
use jackfield_media::UnixTime;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

const MAGIC: [u8; 8] = *b"JFSPARE\0";
const VERSION: u32 = 1;
/// Bytes before the first area.
const HEAD: usize = 24;
/// The longest area: what claims to be longer is none.
const MAX_AREA: u64 = 1 << 30;

/// Whether a record is in the spare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spared {
    /// It survives the process.
    Yes,
    /// There was no room: too much is not settled.
    Full,
}

/// Keeps records until they are settled. One process writes it.
#[derive(Debug)]
pub struct Spare {
    file: File,
    area_bytes: u64,
    areas: [Area; 2],
    /// The area that is filled.
    now: usize,
    settled: u64,
    frame: Vec<u8>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Area {
    used: u64,
    /// The last position in it.
    last: u64,
}

impl Spare {
    /// Begins one in a file, whose content is given up. Each of its areas takes so many bytes, at most 1 GiB.
    ///
    /// # Errors
    /// That of the file.
    pub fn begin(file: File, area_bytes: u64) -> io::Result<Self> {
        let area_bytes = area_bytes.min(MAX_AREA);
        file.set_len(0)?;
        let mut head = [0; HEAD];
        head[..8].copy_from_slice(&MAGIC);
        head[8..12].copy_from_slice(&VERSION.to_le_bytes());
        head[16..].copy_from_slice(&area_bytes.to_le_bytes());
        file.write_all_at(&head, 0)?;
        Ok(Self { file, area_bytes, areas: [Area::default(); 2], now: 0, settled: 0, frame: Vec::new() })
    }

    /// Takes a record, whose position must be above that of the last one.
    ///
    /// # Errors
    /// `InvalidInput` for what [`crate::Writer::append`] does not take, else that of the file; it is not in the spare.
    pub fn put(&mut self, position: u64, time: UnixTime, body: &[u8]) -> io::Result<Spared> {
        if position <= self.last() || position > MAX_POSITION || body.len() > frame::MAX_BODY {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let bytes = (frame::HEAD + body.len()) as u64;
        let Some(offset) = self.room(bytes) else { return Ok(Spared::Full) };
        self.frame.clear();
        frame::put(&mut self.frame, position, time, body);
        self.file.write_all_at(&self.frame, offset)?;
        self.frame.shrink_to(64 << 10);
        if let Some(area) = self.areas.get_mut(self.now) {
            *area = Area { used: area.used + bytes, last: position };
        }
        Ok(Spared::Yes)
    }

    /// All up to this position is written elsewhere.
    pub fn settle(&mut self, position: u64) {
        self.settled = self.settled.max(position);
    }

    /// Whether all that was put is settled.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.last() <= self.settled
    }

    fn last(&self) -> u64 {
        self.areas.iter().map(|area| area.last).max().unwrap_or(0)
    }

    /// Where so many bytes may be written.
    fn room(&mut self, bytes: u64) -> Option<u64> {
        let (settled, area_bytes) = (self.settled, self.area_bytes);
        let is_free = |area: &Area| area.last <= settled;
        for place in [self.now, 1 - self.now] {
            let area = self.areas.get_mut(place)?;
            if is_free(area) {
                area.used = 0;
            } else if place != self.now {
                return None;
            }
            if area.used + bytes <= area_bytes {
                self.now = place;
                return Some(HEAD as u64 + place as u64 * area_bytes + area.used);
            }
        }
        None
    }
}

/// The records that a spare was left with, ascending; of a damaged one, what can be read. `None` for a file that is no
/// spare, or is one of another version.
///
/// # Errors
/// That of the file.
pub fn read_spare(file: &File) -> io::Result<Option<Vec<Record>>> {
    let mut head = [0; HEAD];
    let got = read_at_most(file, &mut head, 0)?;
    let area_bytes = u64::from_le_bytes(head[16..].try_into().unwrap_or_default());
    if got < head.len() || head[..8] != MAGIC || head[8..12] != VERSION.to_le_bytes() || area_bytes > MAX_AREA
    {
        return Ok(None);
    }
    let (length, mut areas) = (file.metadata()?.len(), Vec::new());
    for from in [HEAD as u64, HEAD as u64 + area_bytes] {
        let bytes = length.saturating_sub(from).min(area_bytes);
        let mut area = vec![0; usize::try_from(bytes).unwrap_or(0)];
        let got = read_at_most(file, &mut area, from)?;
        area.truncate(got);
        areas.push(records(&area));
    }
    areas.sort_by_key(|records| records.first().map(|record| record.position));
    let mut all: Vec<Record> = Vec::new();
    for record in areas.into_iter().flatten() {
        if all.last().is_none_or(|last| last.position < record.position) {
            all.push(record);
        }
    }
    Ok(Some(all))
}

/// The records that stand one behind the other from the beginning on.
fn records(area: &[u8]) -> Vec<Record> {
    let (mut records, mut at, mut last) = (Vec::new(), 0, 0);
    loop {
        match frame::find(area, at, last, NO_POSITION) {
            Found::Frame { start, end, position, time } if start == at => {
                let body = Bytes::copy_from_slice(area.get(start + frame::HEAD..end).unwrap_or_default());
                records.push(Record { position, time, body });
                (at, last) = (end, position);
            }
            _ => return records,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn begin(area_bytes: u64) -> (Spare, File) {
        let file = tempfile::tempfile().unwrap();
        (Spare::begin(file.try_clone().unwrap(), area_bytes).unwrap(), file)
    }

    fn positions(file: &File) -> Vec<u64> {
        let records = read_spare(file).unwrap().unwrap_or_default();
        for record in &records {
            assert_eq!(record.body, body(record.position));
        }
        records.iter().map(|record| record.position).collect()
    }

    fn body(position: u64) -> Vec<u8> {
        let length = usize::try_from(position % 90).unwrap();
        vec![position.to_le_bytes()[0]; length]
    }

    proptest! {
        /// Whatever is put and settled when: what was put and not settled is there, whole and in order.
        #[test]
        fn what_is_not_settled_is_there(steps in prop::collection::vec((1..4u64, 0..3u8, any::<bool>()), 1..200)) {
            let (mut spare, file) = begin(400);
            let (mut position, mut must) = (0, Vec::new());
            for (step, settle, all) in steps {
                position += step;
                if spare.put(position, UnixTime(-1), &body(position)).unwrap() == Spared::Yes {
                    must.push(position);
                }
                if settle == 0 {
                    let up_to = if all { position } else { position.saturating_sub(5) };
                    spare.settle(up_to);
                    must.retain(|position| *position > up_to);
                }
                prop_assert_eq!(spare.is_settled(), must.is_empty() && spare.last() <= spare.settled);
                let found = positions(&file);
                prop_assert!(must.iter().all(|position| found.contains(position)), "{:?} {:?}", must, found);
                prop_assert!(found.is_sorted_by(|a, b| a < b));
            }
        }

        #[test]
        fn damage_anywhere_is_no_record_that_was_not_put(at in 0..900u64, byte in any::<u8>(), length in 0..900u64) {
            let (mut spare, file) = begin(400);
            for position in 1..12 {
                spare.put(position, UnixTime(0), &body(position)).unwrap();
            }
            file.write_all_at(&[byte], at).unwrap();
            positions(&file);
            file.set_len(length).unwrap();
            positions(&file);
        }
    }

    #[test]
    fn a_full_spare_takes_again_when_the_older_half_is_settled() {
        let (mut spare, file) = begin(frame::HEAD as u64 * 2);
        for position in [90, 180, 270, 360] {
            assert_eq!(spare.put(position, UnixTime(0), b"").unwrap(), Spared::Yes);
        }
        assert_eq!(spare.put(450, UnixTime(0), b"").unwrap(), Spared::Full);
        assert_eq!(positions(&file), [90, 180, 270, 360]);
        spare.settle(179);
        assert_eq!(spare.put(450, UnixTime(0), b"").unwrap(), Spared::Full);
        spare.settle(180);
        assert_eq!(spare.put(450, UnixTime(0), b"").unwrap(), Spared::Yes);
        assert_eq!(positions(&file), [270, 360, 450]);
        // What is longer than an area never is in it.
        spare.settle(450);
        assert_eq!(spare.put(540, UnixTime(0), &[0; 80]).unwrap(), Spared::Full);
    }

    #[test]
    fn what_does_not_begin_as_a_spare_is_none() {
        let (mut spare, file) = begin(400);
        spare.put(1, UnixTime(0), &body(1)).unwrap();
        for (at, byte) in [(0, b'j'), (8, 2), (23, 1)] {
            let mut right = [0];
            file.read_exact_at(&mut right, at).unwrap();
            file.write_all_at(&[byte], at).unwrap();
            assert_eq!(read_spare(&file).unwrap(), None, "byte {at}");
            file.write_all_at(&right, at).unwrap();
        }
        assert_eq!(positions(&file), [1]);
        file.set_len(HEAD as u64).unwrap();
        assert_eq!(read_spare(&file).unwrap(), Some(Vec::new()));
        file.set_len(HEAD as u64 - 1).unwrap();
        assert_eq!(read_spare(&file).unwrap(), None);
    }

    #[test]
    fn a_position_that_does_not_ascend_is_refused() {
        let (mut spare, file) = begin(400);
        spare.put(90, UnixTime(0), b"").unwrap();
        for wrong in [0, 89, 90, MAX_POSITION + 1] {
            assert_eq!(spare.put(wrong, UnixTime(0), b"").unwrap_err().kind(), io::ErrorKind::InvalidInput);
        }
        assert_eq!(positions(&file), [90]);
    }
}
