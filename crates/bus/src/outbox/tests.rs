//! What the outbox keeps and tells, over restarts and on disks that fail.

use super::*;
use crate::{Bus, Limit, Recovered};
use jackfield_events::notices::{
    AuthFailed, ConnectionAccept, ConnectionClose, MediaStart, PublishStart, StreamCreate, StreamDelete,
};
use jackfield_events::{EndReason, EventType, Masker, Protocol, PublishType, Scope};
use jackfield_media::{ConnId, Epoch, SessionId, StreamKey, TrackKind, UnixTime};
use jackfield_runtime::clock;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

/// One life of a server.
struct Life {
    tasks: Tasks,
    bus: Bus,
    outbox: Outbox,
    recovered: Recovered,
}

impl Life {
    fn begin(folder: &Path) -> Self {
        Self::with(OutboxConfig { segment_bytes: 16 << 10, ..OutboxConfig::new(folder) })
    }

    /// With room for so few notices that most are read from disk.
    fn small(folder: &Path) -> Self {
        let memory_bytes = 32 << 10;
        Self::with(OutboxConfig { segment_bytes: 16 << 10, memory_bytes, ..OutboxConfig::new(folder) })
    }

    fn with(config: OutboxConfig) -> Self {
        let tasks = Tasks::new();
        let (outbox, recovered) = Outbox::open(config, &tasks).unwrap();
        let bus = Bus::new("n", Masker::default()).with_outbox(outbox.clone(), &tasks);
        Self { tasks, bus, outbox, recovered }
    }

    fn create(&self, name: &str) {
        let scope = Scope { stream_key: Some(StreamKey::parse(name).unwrap()), ..Scope::default() };
        self.bus.emit(&scope, &StreamCreate { app: "live".into(), stream_name: name.into() });
    }

    /// Notices with the numbers as names, each batch after the writer took the last one.
    async fn create_all(&self, numbers: std::ops::Range<u64>) {
        for number in numbers {
            self.create(&format!("s{number}"));
            if number % 10 == 0 {
                self.outbox.more_than(self.outbox.last() - 1).await;
            }
        }
        self.outbox.more_than(self.outbox.last() - 1).await;
    }

    /// All that can be read after this number, in small steps.
    async fn all(&self, after: u64) -> Vec<Arc<Event>> {
        let (mut at, mut all) = (after, Vec::new());
        while at < self.outbox.last() {
            let read = self.outbox.read(at, Limit::records(7)).await;
            if read.up_to == at {
                self.outbox.more_than(at).await;
                continue;
            }
            assert!(
                read.events.iter().all(|event| event.stamp().seq > at && event.stamp().seq <= read.up_to)
            );
            (at, _) = (read.up_to, all.extend(read.events));
        }
        all
    }

    async fn end(self) {
        self.bus.close().await;
        self.stop().await;
    }

    /// As if it had been killed, but that all that was appended is written.
    async fn stop(self) {
        assert_eq!(self.tasks.stop(clock::now().after(Duration::from_secs(20))).await, 0);
    }
}

fn seqs(events: &[Arc<Event>]) -> Vec<u64> {
    events.iter().map(|event| event.stamp().seq).collect()
}

fn names(events: &[Arc<Event>]) -> Vec<&str> {
    events.iter().map(|event| event.event_type().name()).collect()
}

#[tokio::test]
async fn what_was_told_is_read_in_both_directions_from_memory_and_from_disk_and_by_the_next_server() {
    let folder = tempfile::tempdir().unwrap();
    let life = Life::small(folder.path());
    life.create_all(0..300).await;
    assert!(life.outbox.counters().memory_events < 50);
    let all = life.all(0).await;
    assert_eq!(seqs(&all), (1..=300).collect::<Vec<_>>());
    for after in [0, 150, 299, 300] {
        assert_eq!(seqs(&life.all(after).await), (after + 1..=300).collect::<Vec<_>>());
    }
    let (mut before, mut back) = (u64::MAX, Vec::new());
    while before > 0 {
        let read = life.outbox.read_back(before, Limit::records(7)).await;
        (before, _) = (read.up_to, back.extend(read.events));
    }
    assert_eq!(seqs(&back), (1..=300).rev().collect::<Vec<_>>());
    for event in [&all[0], &all[149], &all[299]] {
        assert_eq!(life.outbox.event(event.stamp().seq).await.unwrap().json(), event.json());
    }
    assert!(life.outbox.event(301).await.is_none());
    assert_eq!(life.outbox.seq_at(UnixTime(0)).await, 0);
    assert_eq!(
        life.outbox.seq_at(all[200].stamp().time).await,
        all.partition_point(|event| { event.stamp().time < all[200].stamp().time }) as u64
    );
    assert_eq!(life.outbox.seq_at(UnixTime(i64::MAX)).await, 300);
    life.end().await;

    let next = Life::begin(folder.path());
    assert_eq!((next.outbox.first(), next.outbox.last()), (1, 300));
    let again = next.all(0).await;
    assert!(again.iter().zip(&all).all(|(one, other)| one.json() == other.json()) && again.len() == 300);
    next.create("more");
    next.outbox.more_than(300).await;
    assert_eq!(seqs(&next.all(298).await), [299, 300, 301]);
    next.end().await;
}

#[tokio::test]
async fn numbers_go_on_after_an_end_in_order_and_leave_room_after_another() {
    let folder = tempfile::tempdir().unwrap();
    let life = Life::begin(folder.path());
    life.create("a");
    let question =
        life.bus.question(&Scope::default(), &StreamCreate { app: "a".into(), stream_name: "b".into() });
    assert_eq!(question.stamp().seq, 2);
    life.end().await;
    let life = Life::begin(folder.path());
    life.create("b");
    assert_eq!(life.outbox.last(), 3);
    life.stop().await;
    let life = Life::begin(folder.path());
    life.create("c");
    assert!(life.outbox.last() > 1000);
    assert_eq!(seqs(&life.all(0).await)[..2], [1, 3]);
    life.end().await;
}

#[tokio::test]
async fn pairs_that_a_killed_server_left_open_are_closed_in_order_with_the_same_ids() {
    let folder = tempfile::tempdir().unwrap();
    let life = Life::begin(folder.path());
    let key = StreamKey::parse("live/show").unwrap();
    let (client_ip, protocol) = ("203.0.113.7".parse().unwrap(), Protocol::Rtmp);
    let server_ip = client_ip;
    let conn = |id| Scope { conn_id: Some(ConnId(id)), ..Scope::default() };
    let stream = Scope { stream_key: Some(key.clone()), ..Scope::default() };
    let publish = Scope {
        conn_id: Some(ConnId(1)),
        session_id: Some(SessionId(9)),
        stream_key: Some(key.clone()),
        epoch: Some(Epoch(4)),
    };
    let accept = ConnectionAccept { client_ip, client_port: 1, server_ip, server_port: 2, protocol };
    life.bus.emit(&conn(1), &accept);
    life.bus.emit(&conn(2), &accept);
    let close = ConnectionClose {
        client_ip,
        protocol,
        reason: EndReason::ClientDisconnect,
        duration_seconds: 0,
        duration_ms: 0,
        bytes_received: 0,
        bytes_sent: 0,
    };
    life.bus.emit(&conn(2), &close);
    life.bus.emit(&stream, &StreamCreate { app: "live".into(), stream_name: "show".into() });
    let start = PublishStart {
        app: "live".into(),
        stream_name: "show".into(),
        publish_type: PublishType::Live,
        client_ip,
        client_port: 1,
        protocol,
        tc_url: "".into(),
        query: "".into(),
        failopen: Vec::new(),
    };
    life.bus.emit(&publish, &start);
    life.bus.emit(&publish, &MediaStart { kind: TrackKind::Video, track: 1, first_ms: -7 });
    life.stop().await;

    let mut life = Life::begin(folder.path());
    life.bus.close_pairs(&life.recovered.open);
    assert_eq!(life.recovered.epochs.next(&key), Epoch(5));
    assert!(life.recovered.last_conn >= ConnId(2) && life.recovered.last_session >= SessionId(9));
    life.outbox.more_than(life.outbox.last() - 1).await;
    let closed = life.all(6).await;
    assert_eq!(names(&closed), ["media_stop", "publish_stop", "stream_delete", "connection_close"]);
    for event in &closed {
        assert_eq!(event.field("reason").unwrap(), "server_restart");
    }
    let expect = [&publish, &publish, &stream, &conn(1)].map(|scope| format!("{scope:?}"));
    assert_eq!(closed.iter().map(|event| format!("{:?}", event.scope())).collect::<Vec<_>>(), expect);
    assert_eq!(closed[0].field("first_ms").unwrap(), -7);
    // Once is enough, however the next one ends.
    life.stop().await;
    let life = Life::begin(folder.path());
    assert!(life.recovered.open.is_empty());
    life.end().await;
}

#[tokio::test]
async fn while_the_disk_fails_notices_are_read_from_memory_and_what_it_does_not_hold_is_told_as_lost() {
    let folder = tempfile::tempdir().unwrap();
    let life = Life::small(folder.path());
    life.create_all(0..5).await;
    // A file where the folder was: nothing can be written.
    let log = folder.path().join("log");
    std::fs::rename(&log, folder.path().join("away")).unwrap();
    std::fs::write(&log, "in the way").unwrap();
    life.create("next");
    life.outbox.more_than(5).await;
    while life.outbox.counters().state == OutboxState::Ok {
        clock::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(seqs(&life.all(5).await)[..1], [6]);
    for number in 0..200 {
        life.create(&format!("x{number}"));
    }
    let (mut at, mut skipped) = (5, 0);
    let lost = loop {
        let read = life.outbox.read(at, Limit::default()).await;
        (at, skipped) = (read.up_to, skipped + read.skipped);
        if let Some(lost) = read.events.iter().find(|event| event.event_type() == EventType::EventsLost) {
            break Arc::clone(lost);
        }
        life.outbox.more_than(at).await;
    };
    let count = lost.field("count").unwrap().as_u64().unwrap();
    assert!(count > 0 && life.outbox.counters().lost >= count);
    // The first five were read before they were lost with the log.
    assert!(skipped + 5 >= count, "{skipped} {count}");
    // The disk is there again: what memory holds is stored.
    std::fs::remove_file(&log).unwrap();
    while life.outbox.counters().state == OutboxState::Failing {
        clock::sleep(Duration::from_millis(10)).await;
    }
    let held = seqs(&life.all(life.outbox.last() - 3).await);
    life.end().await;
    let next = Life::begin(folder.path());
    assert_eq!(seqs(&next.all(held[0] - 1).await), held);
    next.end().await;
}

#[tokio::test]
async fn a_log_that_somebody_removes_is_made_again_with_what_is_in_memory_and_the_rest_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let life = Life::small(folder.path());
    life.create_all(0..100).await;
    std::fs::remove_dir_all(folder.path()).unwrap();
    life.create_all(100..101).await;
    let lost = loop {
        let all = life.all(100).await;
        match all.into_iter().find(|event| event.event_type() == EventType::EventsLost) {
            Some(lost) => break lost,
            None => clock::sleep(Duration::from_millis(1)).await,
        }
    };
    assert_eq!(lost.field("cause").unwrap(), "log_removed");
    let (first, last) = (lost.field("first_seq").unwrap(), lost.field("last_seq").unwrap().as_str().unwrap());
    assert_eq!(first, "1");
    let last: u64 = last.parse().unwrap();
    assert!((50..100).contains(&last), "{last}");
    let all = life.all(0).await;
    assert_eq!(seqs(&all), (last + 1..=life.outbox.last()).collect::<Vec<_>>());
    life.end().await;
    let next = Life::begin(folder.path());
    assert_eq!(seqs(&next.all(0).await), seqs(&all));
    next.end().await;
}

#[tokio::test]
async fn what_a_log_said_that_was_removed_is_known_though_the_server_is_killed_soon_after() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("events");
    let life = Life::small(&data);
    let key = StreamKey::parse("live/show").unwrap();
    let scope = Scope {
        conn_id: Some(ConnId(7)),
        session_id: Some(SessionId(9)),
        stream_key: Some(key.clone()),
        epoch: Some(Epoch(4)),
    };
    let start = PublishStart {
        app: "live".into(),
        stream_name: "show".into(),
        publish_type: PublishType::Live,
        client_ip: "203.0.113.7".parse().unwrap(),
        client_port: 1,
        protocol: Protocol::Rtmp,
        tc_url: "".into(),
        query: "".into(),
        failopen: Vec::new(),
    };
    life.bus.emit(&scope, &start);
    // So many that memory does not hold the start any more.
    life.create_all(0..200).await;
    std::fs::remove_dir_all(&data).unwrap();
    life.create("more");
    let ledger = data.join("ledger.json");
    while !ledger.exists() {
        clock::sleep(Duration::from_millis(1)).await;
    }
    // What the disk has now is what a killed server leaves.
    let left = folder.path().join("left");
    std::fs::create_dir_all(left.join("log")).unwrap();
    std::fs::copy(&ledger, left.join("ledger.json")).unwrap();
    for file in std::fs::read_dir(data.join("log")).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), left.join("log").join(file.file_name())).unwrap();
    }
    life.end().await;
    let mut next = Life::begin(&left);
    assert_eq!(next.recovered.epochs.next(&key), Epoch(5));
    assert!(next.recovered.last_conn >= ConnId(7) && next.recovered.last_session >= SessionId(9));
    assert!(next.recovered.open.iter().any(|pair| pair.scope.epoch == Some(Epoch(4))));
    next.end().await;
}

#[tokio::test]
async fn volatile_notices_are_read_in_their_place_are_never_stored_and_are_counted_when_they_are_gone() {
    let folder = tempfile::tempdir().unwrap();
    let life = Life::small(folder.path());
    let denied = AuthFailed {
        client_ip: "203.0.113.7".parse().unwrap(),
        protocol: Protocol::Rtmp,
        question: "authorize_publish".into(),
        app: "live".into(),
        hook: "auth".into(),
        code: None,
        denials: None,
        delay_ms: 0,
        unasked: 0,
    };
    for number in 0..100 {
        life.create(&format!("s{number}"));
        life.bus.emit(&Scope::default(), &denied);
        life.outbox.more_than(life.outbox.last() - 1).await;
    }
    let read = life.outbox.read(life.outbox.last() - 4, Limit::default()).await;
    assert_eq!(names(&read.events), ["stream_create", "auth_failed", "stream_create", "auth_failed"]);
    let (mut at, mut stored, mut seen, mut missed) = (0, 0, 0, 0);
    while at < life.outbox.last() {
        let read = life.outbox.read(at, Limit::records(7)).await;
        let volatile = names(&read.events).iter().filter(|name| **name == "auth_failed").count() as u64;
        (seen, stored) = (seen + volatile, stored + read.events.len() as u64 - volatile);
        assert_eq!(read.skipped, 0);
        missed += read.skipped_volatile.iter().map(|(_, count)| count).sum::<u64>();
        at = read.up_to;
    }
    assert_eq!((stored, seen + missed), (100, 100));
    assert!(missed > 50, "{missed}");
    life.end().await;
    let next = Life::begin(folder.path());
    assert!(names(&next.all(0).await).iter().all(|name| *name == "stream_create"));
    next.end().await;
}

#[tokio::test]
async fn a_corrupt_stretch_of_the_log_is_skipped_and_counted_and_the_rest_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let life = Life::begin(folder.path());
    life.create_all(0..60).await;
    life.end().await;
    let mut segments: Vec<_> =
        std::fs::read_dir(folder.path().join("log")).unwrap().map(|file| file.unwrap().path()).collect();
    segments.sort();
    let mut bytes = std::fs::read(&segments[0]).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&segments[0], bytes).unwrap();
    let life = Life::begin(folder.path());
    let (mut at, mut read_of, mut skipped) = (0, 0, 0);
    while at < life.outbox.last() {
        let read = life.outbox.read(at, Limit::records(7)).await;
        (at, read_of, skipped) = (read.up_to, read_of + read.events.len(), skipped + read.skipped);
    }
    assert_eq!((read_of, skipped), (59, 1));
    life.end().await;
}

#[tokio::test]
async fn a_test_event_is_stored_and_marked_and_opens_no_pair() {
    let folder = tempfile::tempdir().unwrap();
    let life = Life::begin(folder.path());
    let scope = Scope { stream_key: Some(StreamKey::parse("a").unwrap()), ..Scope::default() };
    let make = |stamp| Ok::<_, ()>(Event::new(EventType::StreamCreate, stamp, scope, Vec::new()));
    let triggered = life.bus.trigger(make).unwrap();
    life.outbox.more_than(0).await;
    let all = life.all(0).await;
    assert!(all[0].is_test() && all[0].json() == triggered.json());
    life.stop().await;
    let life = Life::begin(folder.path());
    assert!(life.recovered.open.is_empty());
    life.end().await;
}

#[tokio::test]
async fn old_notices_go_by_size_and_what_is_missing_at_the_beginning_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let config = OutboxConfig {
        segment_bytes: 4 << 10,
        retain_bytes: 16 << 10,
        memory_bytes: 8 << 10,
        ..OutboxConfig::new(folder.path())
    };
    let life = Life::with(config.clone());
    life.create_all(0..300).await;
    life.end().await;
    // Retention looks every ten seconds, and so not in this test: its own is in the journal.
    std::fs::remove_file(folder.path().join("log").join(format!("{:020}.seg", 1))).unwrap();
    let life = Life::with(config);
    let first = life.outbox.first();
    assert!(first > 1);
    let read = life.outbox.read(0, Limit::records(1)).await;
    assert_eq!((read.skipped, read.events[0].stamp().seq), (first - 1, first));
    let delete = StreamDelete {
        app: "a".into(),
        stream_name: "b".into(),
        duration_seconds: 0,
        duration_ms: 0,
        reason: EndReason::Unpublish,
    };
    life.bus.emit(&Scope::default(), &delete);
    life.end().await;
}

/// A folder in memory, or none on a machine without one.
fn memory() -> Option<tempfile::TempDir> {
    tempfile::tempdir_in("/dev/shm").ok()
}

fn with_spare(folder: &Path, memory: &Path) -> OutboxConfig {
    OutboxConfig { spare: SpareFolder::At(memory.to_owned()), ..OutboxConfig::new(folder) }
}

/// What a killed server leaves on disk: `from` as it is now, in `to`.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let (entry, to) = (entry.unwrap(), to.to_owned());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to.join(entry.file_name()));
        } else {
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

/// The files of a folder in memory.
fn spares(memory: &Path) -> Vec<std::path::PathBuf> {
    std::fs::read_dir(memory).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[tokio::test]
async fn what_was_told_while_the_disk_took_nothing_is_there_though_the_server_was_killed() {
    let (Some(memory), folder) = (memory(), tempfile::tempdir().unwrap()) else { return };
    let (data, left) = (folder.path().join("events"), folder.path().join("left"));
    let life = Life::with(with_spare(&data, memory.path()));
    life.create_all(0..5).await;
    // A file where the log was: nothing can be written.
    let (log, away) = (data.join("log"), folder.path().join("away"));
    std::fs::rename(&log, &away).unwrap();
    std::fs::write(&log, "in the way").unwrap();
    for number in 0..100 {
        life.create(&format!("x{number}"));
    }
    // What a killed server leaves, the log at its place again.
    let leave = || {
        copy(&data, &left);
        std::fs::remove_file(left.join("log")).unwrap();
        copy(&away, &left.join("log"));
    };
    leave();
    // The server runs, and so its spare is not taken from it.
    let other = Life::with(with_spare(&left, memory.path()));
    assert_eq!((other.recovered.spared, seqs(&other.all(0).await)), (0, (1..=5).collect()));
    other.end().await;

    // The end of a process frees its lock, as a copy of the file has none.
    std::fs::remove_dir_all(&left).unwrap();
    leave();
    let spare = memory.path().join("left");
    std::fs::copy(&spares(memory.path())[0], &spare).unwrap();
    std::fs::write(left.join("spare"), spare.to_str().unwrap()).unwrap();
    let next = Life::with(with_spare(&left, memory.path()));
    assert!(next.recovered.spared >= 100 && !spare.exists(), "{:?}", next.recovered);
    assert_eq!(seqs(&next.all(0).await)[..105], (1..=105).collect::<Vec<_>>());
    next.end().await;

    std::fs::remove_file(&log).unwrap();
    life.end().await;
    // Who ends in order leaves nothing.
    assert_eq!((spares(memory.path()), data.join("spare").exists()), (vec![], false));
}

#[tokio::test]
async fn what_is_no_spare_of_ours_is_not_read_and_not_removed() {
    let (Some(memory), folder) = (memory(), tempfile::tempdir().unwrap()) else { return };
    let (target, link) = (memory.path().join("target"), memory.path().join("link"));
    std::fs::write(&target, "of somebody else").unwrap();
    std::os::unix::fs::symlink(&target, &link).unwrap();
    let named = [&target, &link].map(|path| path.as_os_str().as_encoded_bytes());
    let others: [&[u8]; 5] = [b"/dev/null", b"", b"no/such/file", b"\xFF\0x", b"/dev/tty"];
    for note in named.into_iter().chain(others) {
        std::fs::write(folder.path().join("spare"), note).unwrap();
        let life = Life::with(with_spare(folder.path(), memory.path()));
        assert_eq!(life.recovered.spared, 0);
        life.create_all(0..1).await;
        life.end().await;
    }
    assert_eq!(std::fs::read(&target).unwrap(), b"of somebody else");
    assert!(link.is_symlink());
}

#[tokio::test]
async fn a_pipe_in_the_place_of_the_note_is_not_waited_for() {
    let (Some(memory), folder) = (memory(), tempfile::tempdir().unwrap()) else { return };
    let note = folder.path().join("spare");
    rustix::fs::mkfifoat(rustix::fs::CWD, &note, rustix::fs::Mode::RUSR).unwrap();
    let life = Life::with(with_spare(folder.path(), memory.path()));
    assert!(life.recovered.spared == 0 && note.is_file());
    life.end().await;
}

/// The numbers that the only spare of a folder in memory holds.
fn spared(memory: &Path) -> Vec<u64> {
    let [path] = spares(memory).try_into().unwrap();
    let records = jackfield_journal::read_spare(&std::fs::File::open(path).unwrap()).unwrap().unwrap();
    records.iter().map(|record| record.position).collect()
}

#[tokio::test]
async fn a_spare_that_somebody_removes_is_begun_anew() {
    let (Some(memory), folder) = (memory(), tempfile::tempdir().unwrap()) else { return };
    let life = Life::with(with_spare(folder.path(), memory.path()));
    life.create_all(0..3).await;
    life.outbox.0.look_for_the_spare();
    let [former] = spares(memory.path()).try_into().unwrap();
    std::fs::remove_file(&former).unwrap();
    // Another file that has its name is not it.
    std::fs::write(&former, "").unwrap();
    life.outbox.0.look_for_the_spare();
    std::fs::remove_file(&former).unwrap();
    life.create("next");
    assert_eq!(spared(memory.path()), [4]);
    let note = std::fs::read_to_string(folder.path().join("spare")).unwrap();
    assert_eq!(spares(memory.path()), [Path::new(&note)]);
    life.end().await;
    assert!(spares(memory.path()).is_empty());
}

#[tokio::test]
async fn what_has_no_room_in_the_spare_does_not_keep_others_out_of_it() {
    let (Some(memory), folder) = (memory(), tempfile::tempdir().unwrap()) else { return };
    let life = Life::with(with_spare(folder.path(), memory.path()));
    for bytes in [5 << 20, jackfield_journal::MAX_BODY + 1] {
        let long = StreamCreate { app: "x".repeat(bytes).into(), stream_name: "s".into() };
        life.bus.emit(&Scope::default(), &long);
        life.create("next");
        assert_eq!(spared(memory.path()).last(), Some(&life.outbox.last()));
    }
    assert_eq!(life.outbox.counters().not_spared, 2);
    life.end().await;
}

#[tokio::test]
async fn what_is_damaged_up_to_where_memory_begins_is_counted_as_missing() {
    let folder = tempfile::tempdir().unwrap();
    let life = Life::with(OutboxConfig { memory_bytes: 32 << 10, ..OutboxConfig::new(folder.path()) });
    life.create_all(0..300).await;
    let path = folder.path().join("log").read_dir().unwrap().next().unwrap().unwrap().path();
    let mut log = std::fs::read(&path).unwrap();
    let half = log.len() / 2;
    log[half..].fill(0);
    // In its place: the writer's file is this one.
    std::fs::OpenOptions::new().write(true).open(&path).unwrap().write_all_at(&log, 0).unwrap();
    let (mut at, mut events, mut missing) = (0, 0, 0);
    while at < 300 {
        let read = life.outbox.read(at, Limit::records(7)).await;
        (at, events, missing) = (read.up_to, events + read.events.len() as u64, missing + read.skipped);
    }
    assert!((50..200).contains(&missing) && events + missing == 300, "{events} are there, {missing} missing");
    life.end().await;
}

#[test]
fn a_folder_that_does_not_lie_in_memory_is_refused_when_it_is_named() {
    let folder = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
    let refused = Outbox::open(with_spare(folder.path(), folder.path()), &Tasks::new());
    assert!(refused.unwrap_err().to_string().contains("is not on a file system in memory"));
}
