//! Tests of disks that cannot read what was written.

use crate::scan::BAD;
use crate::{JournalConfig, JournalError, Limit, Opened, Reader, TRIES, Writer};
use jackfield_media::UnixTime;
use std::path::Path;

/// Records of 1000 bytes, 28 more for their heads.
const BODY: usize = 1000;
const RECORDS: u64 = 1000;

fn open(folder: &Path) -> Opened {
    Writer::open(JournalConfig { segment_bytes: 400_000, ..JournalConfig::new(folder) }).unwrap()
}

fn written(folder: &Path) -> Opened {
    let mut opened = open(folder);
    for position in 1..=RECORDS {
        opened.writer.append(position, UnixTime(0), &[b'a'; BODY]).unwrap();
        opened.writer.flush().unwrap();
    }
    opened
}

/// Reads all from there on: the positions, those that were told to be missing, and how often it failed.
fn read(reader: &Reader, mut after: u64) -> (Vec<u64>, u64, u32) {
    let (mut positions, mut missing, mut failed) = (Vec::new(), 0, 0);
    while after < RECORDS {
        match reader.read_after(after, Limit::records(100)) {
            Ok(batch) => {
                assert!(batch.up_to > after, "it goes on");
                after = batch.up_to;
                missing += batch.corrupt.iter().map(|gap| gap.before - gap.after - 1).sum::<u64>();
                positions.extend(batch.records.iter().map(|record| record.position));
            }
            Err(_unreadable) => failed += 1,
        }
        assert!(failed <= 10 * TRIES, "it comes to an end");
    }
    (positions, missing, failed)
}

#[test]
fn a_place_that_cannot_be_read_is_skipped_in_the_end_and_the_rest_is_read() {
    for is_known in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let mut opened = written(folder.path());
        if !is_known {
            drop(opened);
            opened = open(folder.path());
        }
        // In each of the three segments; the last does not reach to the second place.
        BAD.set(vec![100_000..104_096, 350_000..350_001]);
        let before = opened.reader.read_after(0, Limit::default()).unwrap();
        assert!(before.corrupt.is_empty() && before.up_to > 90, "what stands before it: {}", before.up_to);
        let (positions, missing, failed) = read(&opened.reader, 0);
        assert_eq!((positions.len() as u64 + missing, failed), (RECORDS, 3 * TRIES));
        assert!(positions.is_sorted() && (1..=60).contains(&missing), "{missing} of {RECORDS}");
        // Once it was given up, nobody else waits for it.
        assert_eq!(read(&opened.reader, 0), (positions.clone(), missing, 0));
        let back = opened.reader.read_before(RECORDS + 1, Limit::records(2000)).unwrap();
        assert_eq!(back.records.len(), positions.len());
        BAD.set(Vec::new());
        assert_eq!(read(&opened.reader, 0).0.len() as u64, RECORDS, "the disk has come back");
    }
}

#[test]
fn a_disk_that_comes_back_in_time_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let opened = written(folder.path());
    BAD.set(vec![0..500_000, 500_000..1_000_000]);
    for _ in 1..TRIES {
        opened.reader.read_after(0, Limit::default()).unwrap_err();
    }
    BAD.set(Vec::new());
    assert_eq!(read(&opened.reader, 0), ((1..=RECORDS).collect(), 0, 0));
}

#[test]
fn a_segment_of_which_nothing_can_be_read_is_missing_as_a_whole() {
    let folder = tempfile::tempdir().unwrap();
    let opened = written(folder.path());
    BAD.set(vec![0..500_000, 500_000..1_000_000]);
    assert_eq!(read(&opened.reader, 0), (Vec::new(), RECORDS, 3 * TRIES));
}

#[test]
fn what_the_disk_cannot_read_of_older_segments_keeps_no_journal_closed() {
    let folder = tempfile::tempdir().unwrap();
    drop(written(folder.path()));
    BAD.set(vec![0..1, 8..9]);
    let opened = open(folder.path());
    assert_eq!(read(&opened.reader, 0), ((1..=RECORDS).collect(), 0, 0), "of the heads nothing is needed");
    drop(opened);
    // In the last segment it says where writing goes on: nothing is written over what may come back.
    BAD.set(vec![16..17, 20..21]);
    let refused = Writer::open(JournalConfig { segment_bytes: 400_000, ..JournalConfig::new(folder.path()) })
        .unwrap_err();
    let mut segments: Vec<_> = folder.path().read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    segments.sort();
    assert!(matches!(&refused, JournalError::Io { path, .. } if Some(path) == segments.last()), "{refused}");
    BAD.set(Vec::new());
    assert_eq!(read(&open(folder.path()).reader, 0).0.len() as u64, RECORDS);
}
