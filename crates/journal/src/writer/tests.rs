//! What a journal must keep, whatever happens to its files.

use super::*;
use crate::{Limit, Record};
use proptest::prelude::*;
use std::collections::BTreeMap;

fn config(folder: &Path) -> JournalConfig {
    JournalConfig { segment_bytes: 4096, ..JournalConfig::new(folder) }
}

fn open(folder: &Path) -> Opened {
    Writer::open(config(folder)).unwrap()
}

fn body(position: u64) -> Vec<u8> {
    format!("record {position} ").repeat(1 + (position % 9) as usize).into_bytes()
}

/// Appends these positions, each flushed with the next two.
fn fill(writer: &mut Writer, positions: impl IntoIterator<Item = u64>) {
    for (index, position) in positions.into_iter().enumerate() {
        writer.append(position, UnixTime(position as i64 * 1000), &body(position)).unwrap();
        if index % 3 == 2 {
            writer.flush().unwrap();
        }
    }
    writer.flush().unwrap();
}

fn positions(records: &[Record]) -> Vec<u64> {
    for record in records {
        assert_eq!(record.body, body(record.position));
    }
    records.iter().map(|record| record.position).collect()
}

/// All that can be read, in small steps.
fn onwards(reader: &Reader, from: u64) -> Vec<u64> {
    let (mut at, mut all) = (from, Vec::new());
    loop {
        let batch = reader.read_after(at, Limit::records(7)).unwrap();
        all.extend(positions(&batch.records));
        if batch.records.is_empty() {
            return all;
        }
        at = batch.up_to;
    }
}

fn back(reader: &Reader, from: u64) -> Vec<u64> {
    let (mut at, mut all) = (from, Vec::new());
    while at > 0 {
        let batch = reader.read_before(at, Limit::records(7)).unwrap();
        all.extend(positions(&batch.records));
        at = batch.up_to;
    }
    all
}

fn segments(folder: &Path) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    all.sort();
    all
}

#[test]
fn what_was_flushed_is_read_in_both_directions_from_any_position_and_after_a_new_open() {
    let folder = tempfile::tempdir().unwrap();
    let mut opened = open(folder.path());
    let all: Vec<u64> = (1..1000).map(|n| n * 3).collect();
    fill(&mut opened.writer, all.iter().copied());
    assert!(segments(folder.path()).len() > 10);
    let again = open(folder.path());
    assert_eq!(again.recovery.last, Some(2997));
    assert_eq!((again.recovery.torn_bytes, again.recovery.corrupt.len()), (0, 0));
    for reader in [&opened.reader, &again.reader] {
        assert_eq!((reader.first(), reader.last()), (Some(3), Some(2997)));
        for from in [0, 1, 3, 4, 1500, 1501, 2996, 2997, 5000] {
            let expect: Vec<u64> = all.iter().copied().filter(|&n| n > from).collect();
            assert_eq!(onwards(reader, from), expect, "after {from}");
            let mut expect: Vec<u64> = all.iter().copied().filter(|&n| n < from).collect();
            expect.reverse();
            assert_eq!(back(reader, from), expect, "before {from}");
        }
        assert_eq!(reader.one(1500).unwrap().map(|record| record.position), Some(1500));
        assert_eq!(reader.one(1501).unwrap(), None);
        for (ms, expect) in [(0, 2), (3, 2), (4, 3), (1500, 1497), (9999, 2997)] {
            assert_eq!(reader.position_before(UnixTime(ms * 1000)).unwrap(), expect, "{ms} ms");
        }
    }
}

#[test]
fn what_was_not_flushed_is_not_there_and_positions_ascend() {
    let folder = tempfile::tempdir().unwrap();
    let mut opened = open(folder.path());
    opened.writer.append(5, UnixTime(0), &body(5)).unwrap();
    assert!(onwards(&opened.reader, 0).is_empty());
    assert!(opened.writer.append(5, UnixTime(0), b"").is_err());
    opened.writer.sync().unwrap();
    assert!(opened.writer.append(4, UnixTime(0), b"").is_err());
    assert_eq!(onwards(&opened.reader, 0), [5]);
    assert!(opened.writer.append(6, UnixTime(0), &vec![0; crate::MAX_BODY + 1]).is_err());
    opened.writer.append(6, UnixTime(0), &body(6)).unwrap();
}

#[test]
fn a_torn_tail_is_cut_wherever_it_was_torn_and_appending_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    fill(&mut open(folder.path()).writer, 1..=5);
    let path = segments(folder.path()).pop().unwrap();
    let whole = fs::read(&path).unwrap();
    let mut seen = BTreeMap::new();
    for cut in 0..whole.len() {
        fs::write(&path, &whole[..cut]).unwrap();
        let mut opened = open(folder.path());
        let mut left = onwards(&opened.reader, 0);
        assert_eq!(left, (1..=left.len() as u64).collect::<Vec<_>>(), "{cut}");
        seen.insert(left.len(), opened.recovery.torn_bytes);
        fill(&mut opened.writer, [100]);
        left.push(100);
        assert_eq!(onwards(&opened.reader, 0), left);
        assert_eq!(onwards(&open(folder.path()).reader, 0), left);
        for file in segments(folder.path()) {
            fs::remove_file(file).unwrap();
        }
    }
    assert_eq!(seen.keys().copied().collect::<Vec<_>>(), (0..5).collect::<Vec<_>>());
}

#[test]
fn a_corrupt_stretch_is_skipped_and_told_and_the_rest_is_read() {
    let folder = tempfile::tempdir().unwrap();
    fill(&mut open(folder.path()).writer, 1..=400);
    let files = segments(folder.path());
    for (number, path) in [(0, &files[0]), (1, files.last().unwrap())] {
        let mut bytes = fs::read(path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle..middle + 40].fill(0xF5);
        fs::write(path, bytes).unwrap();
        let opened = open(folder.path());
        assert_eq!(opened.recovery.corrupt.len(), number);
        let left = onwards(&opened.reader, 0);
        let lost: Vec<u64> = (1..=400).filter(|n| !left.contains(n)).collect();
        assert!((1 + number..=4 + 4 * number).contains(&lost.len()), "{lost:?}");
        let mut reversed = left.clone();
        reversed.reverse();
        assert_eq!(back(&opened.reader, 401), reversed);
        let batch = opened.reader.read_after(0, Limit { records: 1000, bytes: usize::MAX }).unwrap();
        assert_eq!(batch.corrupt.len(), number + 1);
        let corrupt = batch.corrupt[0];
        assert!(
            corrupt.bytes >= 40 && lost.contains(&(corrupt.after + 1)) && !lost.contains(&corrupt.before)
        );
    }
}

#[test]
fn what_is_damaged_at_the_end_of_an_older_segment_is_told_too_and_so_is_a_whole_one() {
    let folder = tempfile::tempdir().unwrap();
    fill(&mut open(folder.path()).writer, 1..=400);
    let files = segments(folder.path());
    let first_of = |path: &PathBuf| segment::parse_name(path.file_name().unwrap().to_str().unwrap()).unwrap();
    let mut bytes = fs::read(&files[0]).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&files[0], bytes).unwrap();
    let length = fs::metadata(&files[2]).unwrap().len();
    fs::write(&files[2], vec![0; usize::try_from(length).unwrap()]).unwrap();
    let reader = open(folder.path()).reader;
    let (mut at, mut missing, mut read) = (0, Vec::new(), Vec::new());
    loop {
        let batch = reader.read_after(at, Limit::records(7)).unwrap();
        for corrupt in &batch.corrupt {
            missing.extend(corrupt.after + 1..corrupt.before);
        }
        read.extend(positions(&batch.records));
        if batch.records.is_empty() {
            break;
        }
        at = batch.up_to;
    }
    let lost: Vec<u64> = (1..=400).filter(|position| !read.contains(position)).collect();
    assert_eq!(missing, lost);
    assert_eq!(lost[0], first_of(&files[1]) - 1);
    assert_eq!(lost[1..], (first_of(&files[2])..first_of(&files[3])).collect::<Vec<_>>());
}

#[test]
fn positions_end_long_before_the_numbers_do() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("18446744073709551614.seg"), "not ours").unwrap();
    let mut opened = open(folder.path());
    assert_eq!(opened.recovery.last, None);
    assert!(opened.writer.append(MAX_POSITION + 1, UnixTime(0), b"").is_err());
    for position in [1, MAX_POSITION] {
        opened.writer.append(position, UnixTime(0), &body(position)).unwrap();
    }
    opened.writer.flush().unwrap();
    assert_eq!(onwards(&open(folder.path()).reader, 0), [1, MAX_POSITION]);
}

#[test]
fn a_segment_whose_head_is_damaged_is_read_and_one_of_a_newer_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    fill(&mut open(folder.path()).writer, 1..=3);
    let path = segments(folder.path()).pop().unwrap();
    let bytes = fs::read(&path).unwrap();
    let with = |place: usize, byte: u8| {
        let mut bytes = bytes.clone();
        bytes[place] = byte;
        fs::write(&path, bytes).unwrap();
    };
    with(0, 0);
    assert_eq!(onwards(&open(folder.path()).reader, 0), [1, 2, 3]);
    with(8, 2);
    assert!(matches!(Writer::open(config(folder.path())), Err(JournalError::Version { version: 2, .. })));
}

#[test]
fn retention_removes_whole_old_segments_by_bytes_and_by_age_and_positions_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let config = JournalConfig {
        retain_bytes: 20_000,
        retain: std::time::Duration::from_millis(300),
        ..config(folder.path())
    };
    let mut opened = Writer::open(config.clone()).unwrap();
    fill(&mut opened.writer, 1..=1000);
    let before = segments(folder.path()).len();
    let retired = opened.writer.retain(UnixTime(0)).unwrap();
    assert_eq!(before - segments(folder.path()).len(), retired.segments);
    assert!(opened.reader.bytes() <= 20_000);
    let left = onwards(&opened.reader, 0);
    assert_eq!((left.last(), left[0]), (Some(&1000), opened.reader.first().unwrap()));
    // Everything is older than 300 ms, then.
    opened.writer.retain(UnixTime(1_300_001)).unwrap();
    assert!(segments(folder.path()).is_empty());
    assert_eq!((opened.reader.first(), opened.reader.last()), (None, Some(1000)));
    assert!(opened.writer.append(1000, UnixTime(0), b"").is_err());
    fill(&mut opened.writer, [1001]);
    assert_eq!(onwards(&opened.reader, 3), [1001]);
}

#[test]
fn a_folder_that_is_removed_is_made_again_and_what_is_gone_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("log");
    let mut opened = open(&folder);
    fill(&mut opened.writer, 1..=300);
    assert_eq!(opened.writer.forget_removed(), None);
    fs::remove_dir_all(&folder).unwrap();
    assert_eq!(opened.writer.forget_removed(), Some(Removed { first: 1, last: 300 }));
    // What somebody else still holds can be written again.
    fill(&mut opened.writer, 290..=310);
    assert_eq!(onwards(&opened.reader, 0), (290..=310).collect::<Vec<_>>());
    fs::remove_dir_all(&folder).unwrap();
    fill(&mut opened.writer, [311]);
    assert_eq!(onwards(&opened.reader, 0), [311]);
}

#[test]
fn a_flush_that_fails_leaves_nothing_and_its_positions_may_come_again() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("log");
    let mut opened = open(&folder);
    fs::remove_dir_all(&folder).unwrap();
    fs::write(&folder, "in the way").unwrap();
    opened.writer.append(1, UnixTime(0), &body(1)).unwrap();
    assert!(opened.writer.flush().is_err());
    assert!(onwards(&opened.reader, 0).is_empty());
    fs::remove_file(&folder).unwrap();
    fill(&mut opened.writer, 1..=3);
    assert_eq!(onwards(&opened.reader, 0), [1, 2, 3]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is written over a segment: reading ends, ascends, and gives only what was appended.
    #[test]
    fn damage_never_invents_a_record(at in 0_usize..4000, noise in proptest::collection::vec(any::<u8>(), 1..200)) {
        let folder = tempfile::tempdir().unwrap();
        fill(&mut open(folder.path()).writer, 1..=60);
        let path = segments(folder.path()).swap_remove(0);
        let mut bytes = fs::read(&path).unwrap();
        let at = at.min(bytes.len());
        bytes.truncate(bytes.len().max(at + noise.len()));
        bytes.splice(at..(at + noise.len()).min(bytes.len()), noise);
        fs::write(&path, bytes).unwrap();
        if let Ok(opened) = Writer::open(config(folder.path())) {
            let left = onwards(&opened.reader, 0);
            prop_assert!(left.is_sorted());
            let mut reversed = back(&opened.reader, u64::MAX);
            reversed.reverse();
            prop_assert_eq!(left, reversed);
        }
    }
}

#[test]
fn a_file_system_that_syncs_no_folders_holds_up_no_sync() {
    let (syncer, folder) = (Syncer::default(), Arc::new(File::open("/proc").unwrap()));
    assert_eq!(folder.sync_data().unwrap_err().kind(), io::ErrorKind::InvalidInput);
    syncer.add(&folder);
    syncer.sync().unwrap();
}
