//! What becomes of letters, over restarts and replays.

use super::*;
use jackfield_events::{EventType, Scope, Stamp};
use jackfield_media::StreamKey;
use serde_json::Value;

fn event(seq: u64, key: &str) -> Arc<Event> {
    let stamp =
        Stamp { id: ulid::Ulid::from_parts(1, u128::from(seq)), seq, node: "n".into(), time: UnixTime(5) };
    let scope = Scope { stream_key: Some(StreamKey::parse(key).unwrap()), ..Scope::default() };
    let data = vec![("app", Value::from("live")), ("stream_name", Value::from("a"))];
    Arc::new(Event::new(EventType::StreamCreate, stamp, scope, data))
}

/// A notice of this `seq` dies at that time.
fn die(store: &Store, hook: &str, seq: u64, limit: usize) {
    let (hook, event) = (Text::from(hook), event(seq, &format!("live/k{seq}")));
    store.add(&Death {
        hook: &hook,
        hook_id: &hook,
        event: &event,
        attempts: 3,
        outcome: Outcome::Timeout,
        detail: "no answer",
        first_at: UnixTime(1),
        at: UnixTime(i64::try_from(seq).unwrap()),
        limit,
    });
}

fn ids(store: &Store, filter: &DeadLetterFilter) -> Vec<u64> {
    store.list(filter, None, 1000).items.iter().map(|letter| letter.seq).collect()
}

fn open(folder: &tempfile::TempDir) -> Store {
    Store::open(folder.path().join("dead"), Arc::new(Syncs::new(jackfield_bus::Fsync::Off))).unwrap()
}

#[test]
fn letters_are_there_after_a_restart_with_their_events() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    (1..=3).for_each(|seq| die(&store, "a", seq, 10));
    assert!(!store.is_written());
    let id = store.list(&DeadLetterFilter::default(), None, 1).items[0].id;
    assert_eq!(store.event(id).unwrap().stamp().seq, 3, "also before it is written");
    store.flush(UnixTime(9)).unwrap();
    let written = store.list(&DeadLetterFilter::default(), None, 10);
    drop(store);
    let store = open(&folder);
    assert_eq!(store.list(&DeadLetterFilter::default(), None, 10), written);
    let told = store.event(id).unwrap();
    assert_eq!((told.stamp().seq, told.json()), (3, event(3, "live/k3").json()));
}

#[test]
fn what_is_dropped_delivered_or_too_much_is_gone_after_a_restart_too() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    (1..=6).for_each(|seq| die(&store, "a", seq, 4));
    die(&store, "b", 7, 0);
    assert_eq!(ids(&store, &DeadLetterFilter::default()), [6, 5, 4, 3]);
    let counters = store.counters();
    assert_eq!((counters.kept, counters.added, counters.dropped), (4, 7, 3));
    let of = |seq| {
        store.list(&DeadLetterFilter::default(), None, 10).items.iter().find(|l| l.seq == seq).unwrap().id
    };
    let (third, fifth) = (of(3), of(5));
    assert_eq!(store.drop_all(&DeadLetterFilter::one(third)), 1);
    store.delivered(fifth.0, UnixTime(9));
    store.flush(UnixTime(9)).unwrap();
    drop(store);
    assert_eq!(ids(&open(&folder), &DeadLetterFilter::default()), [6, 4]);
}

#[test]
fn a_replay_takes_each_letter_once_in_the_order_of_events_and_what_dies_again_stays() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    for seq in [5, 2, 9] {
        die(&store, "a", seq, 10);
    }
    die(&store, "gone", 1, 10);
    let all = DeadLetterFilter::default();
    let taken = store.take_for_replay(&all, |hook| hook.as_str() == "a");
    assert_eq!(taken.iter().map(|letter| letter.seq).collect::<Vec<_>>(), [2, 5, 9]);
    assert!(store.take_for_replay(&all, |_| true).iter().all(|letter| letter.hook.as_str() == "gone"));
    store.delivered(taken[0].id.0, UnixTime(20));
    let (hook, event) = (Text::from("a"), event(5, "live/k5"));
    let death = Death {
        hook: &hook,
        hook_id: &hook,
        event: &event,
        attempts: 4,
        outcome: Outcome::HandlerError,
        detail: "status 500",
        first_at: UnixTime(19),
        at: UnixTime(21),
        limit: 10,
    };
    store.died_again(taken[1].id.0, &death);
    store.released(taken[2].id.0);
    store.flush(UnixTime(22)).unwrap();
    let check = |store: &Store| {
        let letter = store.letter(taken[1].id).unwrap();
        assert_eq!(
            (letter.attempts, letter.outcome, &*letter.detail),
            (7, Outcome::HandlerError, "status 500")
        );
        assert_eq!((letter.first_at, letter.at), (UnixTime(1), UnixTime(21)));
        assert_eq!(ids(store, &DeadLetterFilter { hook: Some("a".into()), ..all.clone() }), [9, 5]);
    };
    check(&store);
    let again = store.take_for_replay(&all, |hook| hook.as_str() == "a");
    assert_eq!(again.len(), 2, "both may be replayed again");
    drop(store);
    check(&open(&folder));
}

#[test]
fn a_page_begins_where_the_one_before_ended() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    (1..=5).for_each(|seq| die(&store, "a", seq, 10));
    let filter = DeadLetterFilter {
        since: Some(UnixTime(2)),
        until: Some(UnixTime(5)),
        ..DeadLetterFilter::default()
    };
    let first = store.list(&filter, None, 2);
    assert_eq!(first.items.iter().map(|letter| letter.seq).collect::<Vec<_>>(), [4, 3]);
    let second = store.list(&filter, first.next, 2);
    assert_eq!((second.items.len(), second.items[0].seq, second.next), (1, 2, None));
    let key = |key: &str| DeadLetterFilter {
        key: Some(StreamKey::parse(key).unwrap()),
        ..DeadLetterFilter::default()
    };
    assert_eq!(ids(&store, &key("live/k4")), [4]);
    let prefixes = |prefix: &str| DeadLetterFilter {
        key_prefixes: Some(vec![prefix.into()]),
        ..DeadLetterFilter::default()
    };
    assert_eq!((ids(&store, &prefixes("live/k3")), ids(&store, &prefixes("vod/"))), (vec![3], vec![]));
}

#[test]
fn a_damaged_record_costs_that_one_letter() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dead");
    let mut opened = Writer::open(JournalConfig::new(&path)).unwrap();
    opened.writer.append(1, UnixTime(1), b"{\"letter\":{}}").unwrap();
    opened.writer.append(2, UnixTime(1), b"{\"gone\":[7,8]}").unwrap();
    opened
        .writer
        .append(3, UnixTime(1), br#"{"again":{"id":9,"attempts":1,"outcome":"x","detail":""}}"#)
        .unwrap();
    opened.writer.flush().unwrap();
    drop(opened);
    let store = open(&folder);
    die(&store, "a", 1, 10);
    store.flush(UnixTime(2)).unwrap();
    assert_eq!(ids(&open(&folder), &DeadLetterFilter::default()), [1]);
}
