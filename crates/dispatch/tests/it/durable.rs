//! Notices from a log: what a hook did not take it gets later, and what it never takes becomes a dead letter.

use crate::kit::{Played, Script, created, hook};
use jackfield_bus::{Bus, Fsync, Outbox, OutboxConfig};
use jackfield_dispatch::{
    DeadLetterFilter, Dispatch, DispatchConfig, Enabled, KeepConfig, ReplayError, SwitchError, Transport,
};
use jackfield_events::notices::StreamCreate;
use jackfield_events::{Decision, EventType, Masker, Scope};
use jackfield_hooks::{HookSpec, Mode, Outcome, Retries, Retry, Start};
use jackfield_media::StreamKey;
use jackfield_runtime::{Tasks, clock};
use std::sync::Arc;
use std::time::Duration;

const CREATED: &[EventType] = &[EventType::StreamCreate];
const LONG: Duration = Duration::from_secs(60);

/// A server's notices: from the first event to the hooks.
struct Server {
    bus: Bus,
    dispatch: Dispatch,
    tasks: Tasks,
}

impl Server {
    fn start(folder: &tempfile::TempDir, hooks: Vec<(HookSpec, &Arc<Played>)>) -> Self {
        Self::start_with(Fsync::Off, folder, hooks)
    }

    fn start_with(fsync: Fsync, folder: &tempfile::TempDir, hooks: Vec<(HookSpec, &Arc<Played>)>) -> Self {
        let tasks = Tasks::new();
        let config = OutboxConfig { fsync, segment_bytes: 16 << 10, ..OutboxConfig::new(folder.path()) };
        let (outbox, _recovered) = Outbox::open(config, &tasks).unwrap();
        let dispatch = Dispatch::new(DispatchConfig::default(), Masker::default(), &tasks);
        let bus = Bus::new("n", Masker::default()).with_outbox(outbox.clone(), &tasks);
        let keep = KeepConfig { outbox, folder: folder.path().to_owned(), retain: LONG, fsync };
        dispatch.keep_notices(keep).unwrap();
        dispatch.tell_on(&bus);
        let server = Self { bus, dispatch, tasks };
        server.set(hooks);
        server
    }

    fn set(&self, hooks: Vec<(HookSpec, &Arc<Played>)>) {
        let hooks = hooks.into_iter().map(|(spec, played)| (spec, Arc::clone(played) as Arc<dyn Transport>));
        self.dispatch.set_hooks(hooks.collect());
    }

    fn create(&self, name: &str) {
        let key = StreamKey::parse(&format!("live/{name}")).unwrap();
        let scope = Scope { stream_key: Some(key), ..Scope::default() };
        self.bus.emit(&scope, &StreamCreate { app: "live".into(), stream_name: name.into() });
    }

    async fn idle(&self) {
        assert!(
            clock::until(clock::now().after(LONG), self.dispatch.idle()).await.is_some(),
            "{:?}",
            self.dispatch.status()
        );
    }

    async fn stop(self) {
        self.dispatch.drain(clock::now()).await;
        self.bus.close().await;
        self.tasks.stop(clock::now().after(LONG)).await;
    }
}

fn names(played: &Played) -> Vec<String> {
    let calls = played.calls.lock().unwrap();
    calls.iter().map(|call| call.event.scope().stream_key.as_ref().unwrap().name().to_owned()).collect()
}

fn quick() -> HookSpec {
    HookSpec { schedule: [Duration::from_millis(5)].into(), ..hook("a", CREATED, Mode::Notify) }
}

#[tokio::test]
async fn what_was_not_taken_when_the_server_stopped_is_told_by_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let away = Played::new(Script::Fail(Outcome::ConnectError, Retry::Scheduled));
    let server = Server::start(&folder, vec![(hook("a", CREATED, Mode::Notify), &away)]);
    ["one", "two"].into_iter().for_each(|name| server.create(name));
    away.called(2).await;
    server.stop().await;
    let there = Played::new(Script::Answer(Decision::Pass));
    // Under another name it is the same hook.
    let renamed = HookSpec { name: "b".into(), ..hook("a", CREATED, Mode::Notify) };
    let server = Server::start(&folder, vec![(renamed.clone(), &there)]);
    there.called(2).await;
    server.create("three");
    server.idle().await;
    assert_eq!(names(&there), ["one", "two", "three"]);
    let first = away.calls.lock().unwrap()[0].event.stamp().id;
    assert_eq!(there.calls.lock().unwrap()[0].event.stamp().id, first);
    assert_eq!(server.dispatch.lag()[0].events, 0);
    server.stop().await;
    // It was acknowledged.
    let server = Server::start(&folder, vec![(renamed, &there)]);
    server.create("four");
    server.idle().await;
    assert_eq!(names(&there), ["one", "two", "three", "four"]);
    server.stop().await;
}

#[tokio::test]
async fn thousands_wait_in_the_log_and_not_one_is_lost() {
    const EVENTS: usize = 5000;
    let folder = tempfile::tempdir().unwrap();
    let quick = Played::new(Script::Answer(Decision::Pass));
    let stuck = Played::new(Script::Never);
    let small = |name| HookSpec { queue: 10, ..hook(name, CREATED, Mode::Notify) };
    let server = Server::start(&folder, vec![(small("quick"), &quick), (small("stuck"), &stuck)]);
    (0..EVENTS).for_each(|number| server.create(&format!("k{}", number % 50)));
    quick.called(EVENTS).await;
    let status = server.dispatch.status();
    assert_eq!((status[0].tally.dropped, status[1].tally.dropped), (0, 0));
    assert!(status[1].queued <= 10, "{status:?}");
    let lag = server.dispatch.lag();
    assert!(lag[1].events >= 4990 && lag[1].oldest.is_some(), "{lag:?}");
    let mut by_key = std::collections::BTreeMap::<String, Vec<u64>>::new();
    for call in quick.calls.lock().unwrap().iter() {
        let key = call.event.scope().stream_key.as_ref().unwrap().to_string();
        by_key.entry(key).or_default().push(call.event.stamp().seq);
    }
    assert_eq!(by_key.len(), 50);
    assert!(by_key.values().all(|seqs| seqs.len() == EVENTS / 50 && seqs.is_sorted()));
    server.stop().await;
}

#[tokio::test]
async fn what_fails_for_ever_is_a_dead_letter_and_its_replay_keeps_its_id() {
    let folder = tempfile::tempdir().unwrap();
    let broken = Played::new(Script::Fail(Outcome::HandlerError, Retry::Scheduled));
    let spec = || HookSpec { retries: Retries::of_delivery(Some(2)), ..quick() };
    let server = Server::start(&folder, vec![(spec(), &broken)]);
    ["one", "two", "three"].into_iter().for_each(|name| server.create(name));
    server.idle().await;
    let letters = server.dispatch.dead_letters();
    let all = DeadLetterFilter::default();
    let page = letters.list(&all, None, 10);
    assert_eq!((page.items.len(), broken.count()), (3, 9));
    let letter = &page.items[0];
    assert_eq!((letter.hook.as_str(), letter.attempts, letter.outcome), ("a", 3, Outcome::HandlerError));
    assert!(letter.first_at <= letter.at);
    assert_eq!(server.dispatch.lag()[0].events, 0, "they are done with");
    server.stop().await;

    let server = Server::start(&folder, vec![(spec(), &broken)]);
    let letters = server.dispatch.dead_letters();
    let (kept, event) = letters.one(letter.id).await.unwrap();
    assert_eq!((&kept, event.stamp().id), (letter, letter.event_id));
    // Replayed in vain, it is there as before.
    assert_eq!(letters.replay(&DeadLetterFilter::one(letter.id)), 1);
    assert_eq!(letters.replay(&DeadLetterFilter::one(letter.id)), 0, "it is under way");
    broken.called(12).await;
    server.idle().await;
    assert_eq!(
        (letters.list(&all, None, 10).items.len(), letters.list(&all, None, 1).items[0].attempts),
        (3, 6)
    );
    broken.play(Script::Answer(Decision::Pass));
    let (before, last) = (broken.count(), broken.last().delivery);
    assert_eq!(letters.replay(&all), 3);
    broken.called(before + 3).await;
    server.idle().await;
    assert!(letters.list(&all, None, 10).items.is_empty());
    let calls = broken.calls.lock().unwrap()[before..].to_vec();
    let mut ids: Vec<_> = calls.iter().map(|call| call.event.stamp().id).collect();
    ids.sort();
    let mut expect: Vec<_> = page.items.iter().map(|letter| letter.event_id).collect();
    expect.sort();
    assert_eq!(ids, expect);
    assert!(calls.iter().all(|call| call.attempt == 1 && call.delivery > last));
    server.stop().await;
    let server = Server::start(&folder, vec![(spec(), &broken)]);
    assert!(server.dispatch.dead_letters().list(&all, None, 10).items.is_empty());
    server.stop().await;
}

#[tokio::test]
async fn letters_of_a_hook_that_is_not_there_cannot_be_replayed_and_can_be_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let broken = Played::new(Script::Fail(Outcome::ProtocolError, Retry::No));
    let server = Server::start(&folder, vec![(quick(), &broken)]);
    server.create("one");
    server.idle().await;
    let (letters, all) = (server.dispatch.dead_letters(), DeadLetterFilter::default());
    assert_eq!(letters.list(&all, None, 10).items.len(), 1);
    server.dispatch.set_enabled_now("a", Enabled::No).unwrap();
    assert_eq!(letters.replay(&all), 0);
    server.set(Vec::new());
    assert_eq!(letters.replay(&all), 0);
    assert_eq!((letters.drop_all(&all), letters.drop_all(&all)), (1, 0));
    server.stop().await;
}

#[tokio::test]
async fn a_hook_that_the_operator_disables_stays_so_and_then_goes_on_where_it_stood() {
    let folder = tempfile::tempdir().unwrap();
    let told = Played::new(Script::Answer(Decision::Pass));
    let server = Server::start(&folder, vec![(quick(), &told)]);
    server.create("one");
    server.idle().await;
    server.dispatch.set_enabled_now("a", Enabled::No).unwrap();
    assert!(server.dispatch.set_enabled_now("b", Enabled::No).is_err());
    server.create("two");
    server.idle().await;
    server.stop().await;
    let changed = HookSpec { revision: 5, ..quick() };
    let server = Server::start(&folder, vec![(changed, &told)]);
    server.create("three");
    server.idle().await;
    assert!(server.dispatch.status()[0].disabled.is_some() && told.count() == 1);
    server.dispatch.set_enabled_now("a", Enabled::Yes).unwrap();
    told.called(3).await;
    assert_eq!(names(&told), ["one", "two", "three"]);
    server.stop().await;
}

#[tokio::test]
async fn a_delivery_can_be_told_again_while_the_log_has_its_event() {
    let folder = tempfile::tempdir().unwrap();
    let told = Played::new(Script::Answer(Decision::Pass));
    let server = Server::start(&folder, vec![(quick(), &told)]);
    server.create("one");
    server.idle().await;
    let first = told.last();
    let seq = first.event.stamp().seq;
    let delivery = server.dispatch.replay_delivery("a", seq).await.unwrap();
    told.called(2).await;
    let again = told.last();
    assert_eq!((again.delivery, again.event.stamp().id), (delivery, first.event.stamp().id));
    assert_ne!(again.delivery, first.delivery);
    assert_eq!(server.dispatch.replay_delivery("b", seq).await, Err(ReplayError::NoHook));
    assert_eq!(server.dispatch.replay_delivery("a", seq + 1000).await, Err(ReplayError::NoEvent));
    server.stop().await;
    let memory = crate::kit::dispatch(vec![(quick(), &told)]);
    assert_eq!(memory.replay_delivery("a", seq).await, Err(ReplayError::NotKept));
    assert!(
        memory.lag().is_empty()
            && memory.dead_letters().list(&DeadLetterFilter::default(), None, 1).items.is_empty()
    );
    drop(created(1, "live/a"));
}

#[tokio::test]
async fn a_cursor_that_cannot_be_read_means_that_all_is_told_again() {
    let folder = tempfile::tempdir().unwrap();
    let told = Played::new(Script::Answer(Decision::Pass));
    let server = Server::start(&folder, vec![(quick(), &told)]);
    server.create("one");
    server.idle().await;
    server.stop().await;
    std::fs::write(folder.path().join("cursors/a.json"), "{").unwrap();
    let server = Server::start(&folder, vec![(quick(), &told)]);
    server.idle().await;
    assert_eq!(names(&told), ["one", "one"]);
    server.stop().await;
}

/// What the file of this hook's place says is done.
fn done_to(folder: &tempfile::TempDir, id: &str) -> Option<u64> {
    let text = std::fs::read(folder.path().join("cursors").join(format!("{id}.json"))).ok()?;
    serde_json::from_slice::<serde_json::Value>(&text).unwrap()["done_to"].as_u64()
}

#[tokio::test]
async fn a_place_that_cannot_be_written_holds_up_no_other() {
    let folder = tempfile::tempdir().unwrap();
    // Nobody can write a file there.
    std::fs::create_dir_all(folder.path().join("cursors/a.json.new/full")).unwrap();
    let taken = Played::new(Script::Answer(Decision::Pass));
    let hooks = || ["a", "b"].map(|name| (hook(name, CREATED, Mode::Notify), &taken)).to_vec();
    let server = Server::start(&folder, hooks());
    server.create("one");
    taken.called(2).await;
    server.idle().await;
    server.stop().await;
    assert_eq!((done_to(&folder, "a"), done_to(&folder, "b")), (None, Some(1)));
    std::fs::remove_dir_all(folder.path().join("cursors/a.json.new")).unwrap();
    let server = Server::start(&folder, hooks());
    server.create("two");
    server.idle().await;
    server.stop().await;
    assert_eq!((done_to(&folder, "a"), done_to(&folder, "b")), (Some(2), Some(2)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_last_place_of_each_hook_is_the_one_on_disk_when_the_server_has_stopped() {
    const HOOKS: usize = 60;
    let folder = tempfile::tempdir().unwrap();
    let taken = Played::new(Script::Answer(Decision::Pass));
    let all: Vec<String> = (0..HOOKS).map(|number| format!("h{number}")).collect();
    for life in 1..=5 {
        let hooks = all.iter().map(|name| (hook(name, CREATED, Mode::Notify), &taken));
        let server = Server::start(&folder, hooks.collect());
        server.create("one");
        server.idle().await;
        server.stop().await;
        for id in &all {
            assert_eq!(done_to(&folder, id), Some(life), "{id}");
        }
    }
    assert_eq!(taken.count(), HOOKS * 5);
}

#[tokio::test]
async fn what_is_switched_is_on_disk_when_that_is_answered() {
    let folder = tempfile::tempdir().unwrap();
    let told = Played::new(Script::Answer(Decision::Pass));
    let server = Server::start(&folder, vec![(quick(), &told)]);
    let disabled = || {
        let text = std::fs::read(folder.path().join("cursors/a.json")).unwrap();
        serde_json::from_slice::<serde_json::Value>(&text).unwrap()["disabled"]["by"] == "operator"
    };
    for (enabled, expect) in [(Enabled::No, true), (Enabled::Yes, false)].repeat(5) {
        server.dispatch.set_enabled("a", enabled).await.unwrap();
        assert_eq!(disabled(), expect);
        server.dispatch.set_enabled_now("a", enabled).unwrap();
    }
    // Nobody can write a file there.
    std::fs::create_dir_all(folder.path().join("cursors/a.json.new/full")).unwrap();
    assert_eq!(server.dispatch.set_enabled("a", Enabled::No).await, Err(SwitchError::NotKept));
    assert!(server.dispatch.status()[0].disabled.is_some() && !disabled(), "it is in force all the same");
    std::fs::remove_dir_all(folder.path().join("cursors/a.json.new")).unwrap();
    server.stop().await;
}

#[tokio::test]
async fn what_is_always_synced_is_synced_before_anybody_is_told() {
    const EVENTS: u64 = 20;
    let folder = tempfile::tempdir().unwrap();
    let told = Played::new(Script::Answer(Decision::Pass));
    let server = Server::start_with(Fsync::Always, &folder, vec![(quick(), &told)]);
    for number in 1..=EVENTS {
        // The one before was read, so this one is in a write of its own.
        server.create("one");
        told.called(usize::try_from(number).unwrap()).await;
        let counters = server.bus.outbox().unwrap().counters();
        assert!(counters.syncs >= number && counters.sync_errors == 0, "{number}: {counters:?}");
    }
    server.idle().await;
    let before = server.dispatch.keep_counters();
    assert!(before.syncs > 0 && before.sync_errors == 0, "cursors too: {before:?}");
    server.stop().await;
}

/// The segments of the log, in order.
fn segments(folder: &tempfile::TempDir) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder.path().join("log")).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

#[tokio::test(start_paused = true)]
async fn what_the_disk_cannot_read_is_passed_over_in_the_end_and_told_once() {
    const EVENTS: u64 = 600;
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start_with(Fsync::Off, &folder, Vec::new());
    for number in 0..EVENTS {
        server.create(&format!("s{number}"));
        // A segment ends between two writes only.
        while number % 20 == 0 && server.bus.outbox().unwrap().counters().written < number {
            tokio::task::yield_now().await;
        }
    }
    server.stop().await;

    let server = Server::start(&folder, Vec::new());
    let paths = segments(&folder);
    assert!(paths.len() >= 4, "{paths:?}");
    // A file of which nothing can be read: where no memory is.
    std::fs::remove_file(&paths[1]).unwrap();
    std::os::unix::fs::symlink("/proc/self/mem", &paths[1]).unwrap();
    let told = Played::new(Script::Answer(Decision::Pass));
    let lost = Played::new(Script::Answer(Decision::Pass));
    let beginning = |name| HookSpec { start: Start::Beginning, ..hook(name, CREATED, Mode::Notify) };
    let alarm = hook("alarm", &[EventType::EventsLost], Mode::Notify);
    server.set(vec![(beginning("a"), &told), (beginning("b"), &told), (alarm, &lost)]);
    lost.called(1).await;
    server.idle().await;
    let first =
        |path: &std::path::PathBuf| path.file_stem().unwrap().to_str().unwrap().parse::<u64>().unwrap();
    let (from, to) = (first(&paths[1]), first(&paths[2]));
    let data = lost.last().event.data().to_vec();
    let of = |name| data.iter().find(|(field, _)| *field == name).map(|(_, value)| value.clone()).unwrap();
    assert_eq!(of("count"), to - from);
    assert_eq!((of("first_seq"), of("last_seq")), (from.to_string().into(), (to - 1).to_string().into()));
    assert_eq!(of("cause"), "disk_error");
    let delivered = usize::try_from(2 * (EVENTS - (to - from))).unwrap();
    assert_eq!((told.count(), lost.count()), (delivered, 1), "the rest is delivered");
    let status = server.dispatch.status();
    assert_eq!(status[0].tally.dropped, to - from);
    server.stop().await;
}

/// Returns when the notices of a server are all delivered or given up, and how long that took by the hooks' clock.
async fn all_given_up(server: &Server, letters: usize) -> Duration {
    let began = clock::now();
    while server.dispatch.dead_letters().counters().kept < letters {
        clock::sleep(Duration::from_secs(60)).await;
        assert!(clock::now() - began < Duration::from_secs(80 * 3600), "{:?}", server.dispatch.status());
    }
    clock::now() - began
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_never_comes_back_ends_in_dead_letters_and_what_follows_with_it_in_order() {
    // So many that its breaker opens, and each try waits for a probe.
    const LANES: usize = 12;
    const HOUR: u64 = 3600;
    for (script, outcome) in [
        (Script::Fail(Outcome::ConnectError, Retry::Scheduled), Outcome::ConnectError),
        (Script::Never, Outcome::Timeout),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let away = Played::new(script);
        // The whole schedule, as it is if nobody says another: its pauses are 17 h 42 min 36 s, give or take a fifth.
        let server = Server::start(&folder, vec![(hook("a", CREATED, Mode::Notify), &away)]);
        for number in 0..2 * LANES {
            server.create(&format!("k{}", number % LANES));
            clock::sleep(Duration::from_millis(1)).await;
        }
        let heads = all_given_up(&server, LANES).await.as_secs();
        assert!((14 * HOUR..24 * HOUR).contains(&heads), "the first of each lane: {heads} s");
        let others = all_given_up(&server, 2 * LANES).await.as_secs();
        assert!(others < 8 * HOUR, "those behind them, which happened soon after: {others} s");
        let mut letters = server.dispatch.dead_letters().list(&DeadLetterFilter::default(), None, 100).items;
        letters.sort_by_key(|letter| letter.id);
        assert!(
            letters.iter().all(|letter| letter.outcome == outcome && letter.attempts >= 1),
            "{letters:?}"
        );
        for lane in 0..LANES {
            let key = format!("live/k{lane}");
            let own =
                letters.iter().filter(|letter| letter.key.as_ref().is_some_and(|own| own.as_str() == key));
            let seqs: Vec<u64> = own.map(|letter| letter.seq).collect();
            assert!(seqs.len() == 2 && seqs.is_sorted(), "{key}: {seqs:?}");
        }
        let status = &server.dispatch.status()[0];
        assert_eq!((status.tally.lost, status.tally.dropped), (2 * LANES as u64, 0));
        assert_eq!(server.dispatch.lag()[0].events, 0, "all are done with");
        server.stop().await;
    }
}
