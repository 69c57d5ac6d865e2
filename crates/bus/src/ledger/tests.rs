//! What the ledger must know after any number of notices, and after reading its file.

use super::checkpoint::CheckpointError;
use super::*;
use jackfield_events::{Scope, Stamp};
use jackfield_media::{ConnId, Epoch, SessionId, StreamKey, UnixTime};
use serde_json::{Value, json};

fn event(seq: u64, name: &str, scope: &Scope, data: Value) -> Event {
    let event_type = EventType::parse(name).unwrap();
    let stamp = Stamp {
        id: ulid::Ulid::from_parts(1, seq.into()),
        seq,
        node: "n".into(),
        time: UnixTime(i64::try_from(seq).unwrap() * 1_000_000),
    };
    let fields = event_type.spec().fields.iter();
    let data = fields.filter_map(|field| Some((field.name, data.get(field.name)?.clone()))).collect();
    Event::new(event_type, stamp, scope.clone(), data)
}

fn session(conn: u64, session: u64, key: &str, epoch: u64) -> Scope {
    Scope {
        conn_id: Some(ConnId(conn)),
        session_id: Some(SessionId(session)),
        stream_key: Some(StreamKey::parse(key).unwrap()),
        epoch: Some(Epoch(epoch)),
    }
}

/// A publisher and a player of one stream, each on a connection of its own.
fn story() -> Vec<Event> {
    let client = json!({"client_ip": "203.0.113.7", "protocol": "rtmp"});
    let of_conn = |conn| Scope { conn_id: Some(ConnId(conn)), ..Scope::default() };
    let (publish, play) = (session(1, 1, "live/a", 4), session(2, 2, "live/a", 4));
    let stream = Scope { stream_key: publish.stream_key.clone(), ..Scope::default() };
    let media = json!({"kind": "video", "track": 1, "first_ms": -40});
    let none = json!({});
    vec![
        event(1, "connection_accept", &of_conn(1), client.clone()),
        event(2, "stream_create", &stream, none.clone()),
        event(3, "publish_start", &publish, client.clone()),
        event(5, "media_start", &publish, media.clone()),
        event(7, "connection_accept", &of_conn(2), client.clone()),
        event(8, "play_start", &play, client),
        event(9, "play_stop", &play, none.clone()),
        event(10, "connection_close", &of_conn(2), none.clone()),
        event(11, "media_stop", &publish, media),
        event(12, "publish_stop", &publish, none.clone()),
        event(13, "stream_delete", &stream, none.clone()),
        event(14, "connection_close", &of_conn(1), none),
    ]
}

fn words(ledger: &Ledger) -> Vec<&'static str> {
    let word = |pair: OpenPair| match pair.opened {
        pairs::Opened::Media { .. } => "media",
        pairs::Opened::Publish { .. } => "publish",
        pairs::Opened::Play { .. } => "play",
        pairs::Opened::Stream => "stream",
        pairs::Opened::Connection { .. } => "connection",
    };
    ledger.open().into_iter().map(word).collect()
}

#[test]
fn what_was_started_and_not_stopped_is_open_in_the_order_in_which_it_ends() {
    let story = story();
    let mut ledger = Ledger::default();
    for (told, open) in [
        (0, &[][..]),
        (4, &["media", "publish", "stream", "connection"]),
        (6, &["media", "publish", "play", "stream", "connection", "connection"]),
        (9, &["publish", "stream", "connection"]),
        (12, &[]),
    ] {
        for event in &story[..told] {
            ledger.follow(event);
        }
        assert_eq!(words(&ledger), open, "after {told}");
    }
    assert_eq!((ledger.seq, ledger.conn, ledger.session), (14, 2, 2));
    assert_eq!(ledger.epochs.next(&StreamKey::parse("live/a").unwrap()), Epoch(5));
}

#[test]
fn a_test_opens_no_pair_and_nothing_counts_twice() {
    let mut ledger = Ledger::default();
    let [start, stop] = [0, 11].map(|index| story().swap_remove(index));
    ledger.follow(&story().swap_remove(0).as_test());
    assert_eq!((words(&ledger), ledger.conn, ledger.seq), (vec![], 0, 1));
    ledger.follow(&stop);
    ledger.follow(&start);
    assert!(words(&ledger).is_empty());
}

#[test]
fn a_ledger_that_was_stored_is_the_same_when_it_is_read_and_a_damaged_file_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.json");
    assert!(Ledger::load(&path).unwrap().is_none());
    let mut ledger = Ledger::default();
    for event in &story()[..6] {
        ledger.follow(event);
    }
    ledger.epochs.raise_floor(3);
    ledger.store(&path, How::InOrder).unwrap();
    let (mut read, how) = Ledger::load(&path).unwrap().unwrap();
    assert_eq!(how, How::InOrder);
    assert_eq!(words(&read), words(&ledger));
    assert_eq!((read.seq, read.conn, read.session), (ledger.seq, ledger.conn, ledger.session));
    for key in ["live/a", "live/other"] {
        let key = StreamKey::parse(key).unwrap();
        assert_eq!(read.epochs.next(&key), ledger.epochs.next(&key));
    }
    for event in &story()[6..] {
        read.follow(event);
    }
    assert!(words(&read).is_empty());
    let whole = std::fs::read(&path).unwrap();
    for cut in (0..whole.len()).step_by(7) {
        std::fs::write(&path, &whole[..cut]).unwrap();
        assert!(matches!(Ledger::load(&path), Err(CheckpointError::Damaged)), "{cut}");
    }
}

#[test]
fn numbers_that_nobody_can_have_given_are_damage() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.json");
    let file = |seq: u64, conn: u64, floor: u64, epoch: u64| {
        json!({"v": 1, "in_order": true, "seq": seq, "conn": conn, "session": 1, "floor": floor,
            "epochs": [["live/a", epoch]], "open": []})
    };
    let load = |file: &Value| {
        std::fs::write(&path, file.to_string()).unwrap();
        Ledger::load(&path)
    };
    assert!(load(&file(1, 1, 1, 1)).unwrap().is_some());
    let far = u64::MAX;
    for bad in [file(far, 1, 1, 1), file(1, far - 1, 1, 1), file(1, 1, far, 1), file(1, 1, 1, far)] {
        assert!(matches!(load(&bad), Err(CheckpointError::Damaged)), "{bad}");
    }
}
