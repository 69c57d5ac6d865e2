//! A segment of a journal with any bytes in it: opening and reading end, positions ascend, both directions read the
//! same, and appending goes on. What is stored of an event is that event or none.
#![no_main]

use jackfield_events::Event;
use jackfield_journal::{JournalConfig, Limit, Reader, Writer, read_spare};
use jackfield_media::UnixTime;
use libfuzzer_sys::fuzz_target;
use std::path::PathBuf;
use std::sync::LazyLock;

/// One folder for each process; emptied for each run.
static FOLDER: LazyLock<PathBuf> =
    LazyLock::new(|| std::env::temp_dir().join(format!("jackfield-fuzz-journal-{}", std::process::id())));

fuzz_target!(|data: &[u8]| {
    if let Ok(event) = Event::parse(data) {
        assert_eq!(event.json(), data);
    }
    drop(std::fs::remove_dir_all(&*FOLDER));
    std::fs::create_dir_all(&*FOLDER).expect("a folder can be made");
    // The first byte says how much of the rest is the first of two segments; marks that are right make it get further.
    let (first, rest) = data.split_first().unwrap_or((&0, &[]));
    let (one, two) = rest.split_at(usize::from(*first).min(rest.len()));
    for (position, bytes) in [(1, one), (1000, two)] {
        std::fs::write(FOLDER.join(format!("{position:020}.seg")), bytes).expect("a file can be written");
    }
    spare(data);
    let Ok(mut opened) = Writer::open(JournalConfig::new(&*FOLDER)) else { return };
    let read = onwards(&opened.reader);
    assert!(read.is_sorted_by(|a, b| a < b), "{read:?}");
    let mut back = Vec::new();
    let mut at = u64::MAX;
    while at > 0 {
        let batch = opened.reader.read_before(at, Limit::records(3)).expect("a file can be read");
        back.extend(batch.records.iter().map(|record| record.position));
        at = batch.up_to;
    }
    back.reverse();
    // The last position is not read back before itself.
    assert!(read.iter().filter(|position| **position < u64::MAX).eq(&back), "{read:?} {back:?}");

    let next = opened.reader.last().unwrap_or(0).checked_add(1);
    let Some(next) = next else { return };
    opened.writer.append(next, UnixTime(0), data).expect("the position ascends");
    opened.writer.flush().expect("a file can be written");
    let again = Writer::open(JournalConfig::new(&*FOLDER)).expect("what was opened opens again");
    assert!(onwards(&again.reader).ends_with(&[next]));
});

/// What a spare has in it ascends, whatever its file holds. The head is right, or nothing would be read; areas are short.
fn spare(data: &[u8]) {
    let path = FOLDER.join("spare");
    let mut file = b"JFSPARE\0\x01\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0".to_vec();
    file.extend_from_slice(data);
    std::fs::write(&path, file).expect("a file can be written");
    let file = std::fs::File::open(&path).expect("it is there");
    let records = read_spare(&file).expect("a file can be read").expect("its head is right");
    assert!(records.is_sorted_by(|a, b| a.position < b.position));
    std::fs::remove_file(&path).expect("it is there");
}

fn onwards(reader: &Reader) -> Vec<u64> {
    let (mut at, mut all) = (0, Vec::new());
    loop {
        let batch = reader.read_after(at, Limit::records(3)).expect("a file can be read");
        if batch.records.is_empty() {
            return all;
        }
        all.extend(batch.records.iter().map(|record| record.position));
        assert!(batch.up_to > at || at == u64::MAX);
        at = batch.up_to;
    }
}
