//! What is kept of deliveries and questions, and found again.

use crate::kit::{Played, Script, authorize, created, dispatch, hook, resolve, set};
use jackfield_bus::Sink;
use jackfield_dispatch::{
    Deliveries, DeliveriesConfig, DeliveriesCounters, Delivery, DeliveryCursor, DeliveryEntry,
    DeliveryFilter, DeliveryPage, Dispatch, DispatchConfig, Fallback, Fate, Followed, PageOf, Subject, Why,
};
use jackfield_events::{Answer, Decision, Event, EventType, Masker, OnError, Reason, Scope, Verdict};
use jackfield_hooks::{HookSpec, Mode, Outcome, Retries, Retry, Selector};
use jackfield_journal::{JournalConfig, Writer};
use jackfield_media::{ConnId, SessionId, UnixTime};
use jackfield_runtime::{Tasks, clock};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const AUTHORIZE: &[EventType] = &[EventType::AuthorizePublish];
const RESOLVE: &[EventType] = &[EventType::ResolvePublish];
const CREATE: &[EventType] = &[EventType::StreamCreate];

fn decide(name: &str, on: &[EventType]) -> HookSpec {
    hook(name, on, Mode::Decide)
}

fn notify(name: &str, on: &[EventType]) -> HookSpec {
    hook(name, on, Mode::Notify)
}

/// The event as one of this connection and session.
fn of(event: Event, conn: u64, session: Option<u64>) -> Event {
    let scope =
        Scope { conn_id: Some(ConnId(conn)), session_id: session.map(SessionId), ..event.scope().clone() };
    Event::new(event.event_type(), event.stamp().clone(), scope, event.data().to_vec())
}

async fn list(deliveries: &Deliveries, filter: DeliveryFilter) -> Vec<Arc<Delivery>> {
    let page = deliveries.list(&filter, PageOf { before: None, limit: 1000 }).await;
    page.items
}

/// A dispatch whose deliveries are kept in this folder, until the tasks are stopped.
fn stored(folder: &Path) -> (Dispatch, Tasks) {
    let tasks = Tasks::new();
    let dispatch = Dispatch::new(DispatchConfig::default(), Masker::default(), &tasks);
    let config = DeliveriesConfig::new(folder);
    dispatch.keep_deliveries(Deliveries::open(config, Masker::default(), &tasks).unwrap());
    (dispatch, tasks)
}

async fn stop(tasks: Tasks) {
    assert_eq!(tasks.stop(clock::now().after(Duration::from_secs(10))).await, 0);
}

#[tokio::test(start_paused = true)]
async fn every_hook_of_a_question_is_explained_and_its_default_named() {
    let (pass, deny, never) = (
        Played::new(Script::Answer(Decision::Pass)),
        Played::new(Script::Answer(Decision::Deny)),
        Played::new(Script::Answer(Decision::Allow)),
    );
    let elsewhere =
        HookSpec { streams: Selector::parse(&["vod/*"]).unwrap(), ..decide("elsewhere", AUTHORIZE) };
    let dispatch = dispatch(vec![
        (decide("pass", AUTHORIZE), &pass),
        (decide("other", RESOLVE), &never),
        (notify("told", AUTHORIZE), &never),
        (elsewhere, &never),
        (decide("deny", AUTHORIZE), &deny),
        (decide("after", AUTHORIZE), &never),
    ]);
    dispatch.ask(of(authorize(1), 7, Some(3))).await;
    dispatch.idle().await;
    let explained = dispatch.deliveries().explain(Subject::Session(SessionId(3))).await;
    assert_eq!((explained.conn_id, explained.complete_since), (Some(ConnId(7)), None));
    let [question] = explained.questions.as_slice() else { panic!("{explained:#?}") };
    let why: Vec<(&str, Why)> = question.steps.iter().map(|step| (step.hook.as_str(), step.why)).collect();
    let expect = [
        ("pass", Why::Asked),
        ("other", Why::OtherEvent),
        ("told", Why::OnlyTold),
        ("elsewhere", Why::OtherStream),
        ("deny", Why::Asked),
        ("after", Why::NotReached),
    ];
    assert_eq!(why, expect);
    assert!(matches!(&question.verdict, Some(Verdict::Deny(denial)) if denial.hook.as_str() == "deny"));
    assert_eq!((question.fallback, question.seq, question.event.name()), (None, 1, "authorize_publish"));
    let call = question.steps.first().and_then(|step| step.delivery.as_ref()).unwrap();
    assert_eq!((call.outcome, &call.decision), (Outcome::Answered, &Some(Decision::Pass)));
    assert_eq!(call.answer.as_ref().map(|answer| &answer.decision), Some(&Decision::Pass));
    let request = String::from_utf8(call.request.as_ref().unwrap().to_vec()).unwrap();
    assert!(request.contains("token=***") && !request.contains("abc"), "{request}");
    // Secrets are in the digest: it is of what the hook saw.
    assert_ne!(call.input_sha256, None);
    assert_eq!(dispatch.deliveries().explain(Subject::Connection(ConnId(8))).await.questions.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_decided_without_an_answer_is_named() {
    let (hook, other) =
        (Played::new(Script::Answer(Decision::Allow)), Played::new(Script::Answer(Decision::Pass)));
    let elsewhere =
        HookSpec { streams: Selector::parse(&["vod/*"]).unwrap(), ..decide("elsewhere", AUTHORIZE) };
    let dispatch = dispatch(vec![(elsewhere, &other)]);
    dispatch.ask(of(authorize(1), 1, None)).await;
    set(&dispatch, vec![(decide("hook", AUTHORIZE), &hook)]);
    for (seq, script) in [
        (2, Script::Answer(Decision::Allow)),
        (3, Script::Answer(Decision::Pass)),
        (4, Script::Fail(Outcome::HandlerError, Retry::No)),
    ] {
        hook.play(script);
        dispatch.ask(of(authorize(seq), 1, None)).await;
    }
    // A no after a failure that was let through is nobody's default.
    let open = HookSpec { on_error: Some(OnError::Allow), ..decide("silent", AUTHORIZE) };
    let silent = Played::new(Script::Never);
    set(&dispatch, vec![(open, &silent), (decide("hook", AUTHORIZE), &hook)]);
    hook.play(Script::Answer(Decision::Deny));
    dispatch.ask(of(authorize(5), 1, None)).await;
    let explained = dispatch.deliveries().explain(Subject::Connection(ConnId(1))).await;
    let fallbacks: Vec<_> = explained.questions.iter().map(|question| question.fallback).collect();
    let expect = [Some(Fallback::NoHook), None, Some(Fallback::NoOpinion), Some(Fallback::OnError), None];
    assert_eq!(fallbacks, expect);
    let last = explained.questions.last().and_then(|question| question.steps.first());
    let timed_out = last.and_then(|step| step.delivery.as_ref()).unwrap();
    assert_eq!((timed_out.outcome, timed_out.handler), (Outcome::Timeout, Duration::from_secs(2)));
    let hooks = dispatch.hook_records();
    let error = hooks.last().and_then(|record| record.last_error.clone()).unwrap();
    assert_eq!((error.outcome, error.detail.as_str()), (Outcome::HandlerError, "played"));
}

#[tokio::test(start_paused = true)]
async fn a_name_that_was_replaced_is_nowhere_in_what_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    // A careless handler repeats what it was asked.
    let careless = Answer {
        reason: Reason { text: Some("was live/secret, token=abc".into()), ..Reason::default() },
        tags: [("was".into(), "secret".into())].into(),
        ..Answer::bare(Decision::Replace("between".into()))
    };
    let (rename, again) = (
        Played::new(Script::Say(Box::new(careless))),
        Played::new(Script::Answer(Decision::Replace("shown".into()))),
    );
    let told = Played::new(Script::Answer(Decision::Pass));
    let (dispatch, tasks) = stored(folder.path());
    set(
        &dispatch,
        vec![
            (decide("rename", RESOLVE), &rename),
            (decide("again", RESOLVE), &again),
            (notify("told", RESOLVE), &told),
        ],
    );
    dispatch.ask(of(resolve(1), 1, Some(1))).await;
    dispatch.idle().await;
    let kept = list(&dispatch.deliveries(), DeliveryFilter::default()).await;
    assert_eq!(kept.len(), 3);
    let explained = dispatch.deliveries().explain(Subject::Session(SessionId(1))).await;
    let said = format!("{kept:?} {explained:?}");
    assert!(said.contains("live/shown"), "{said}");
    assert!(!said.contains("secret") && !said.contains("between") && !said.contains("abc"), "{said}");
    stop(tasks).await;
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        let has = |word: &[u8]| bytes.windows(word.len()).any(|window| window == word);
        assert!(has(b"live/shown") && !has(b"secret") && !has(b"between") && !has(b"token=abc"));
    }
}

#[tokio::test(start_paused = true)]
async fn each_try_of_a_notice_is_an_item_and_all_are_found_by_their_delivery() {
    let played = Played::new(Script::Fail(Outcome::ConnectError, Retry::Scheduled));
    let spec = HookSpec { retries: Retries::of_delivery(Some(2)), ..notify("hook", CREATE) };
    let dispatch = dispatch(vec![(spec, &played)]);
    let mut follower = dispatch.deliveries().follow();
    dispatch.accept(&created(5, "live/a"));
    dispatch.idle().await;
    let kept = list(&dispatch.deliveries(), DeliveryFilter::default()).await;
    let tries: Vec<u32> = kept.iter().map(|delivery| delivery.attempt).collect();
    assert_eq!(tries, [3, 2, 1]);
    let id = kept.first().unwrap().id;
    let one = dispatch.deliveries().one(id).await;
    let fates: Vec<bool> = one.iter().map(|delivery| matches!(delivery.fate, Fate::Again(_))).collect();
    assert_eq!((fates.as_slice(), one.last().unwrap().fate), (&[true, true, false][..], Fate::Lost));
    for attempt in 1..=3 {
        let Some(Followed::Delivery(delivery)) = follower.next().await else { panic!("nothing was missed") };
        assert_eq!((delivery.attempt, delivery.id, delivery.decision.is_none()), (attempt, id, true));
    }
    let [record] = dispatch.hook_records().try_into().unwrap();
    assert_eq!((record.latency.total.queue.count(), record.latency.total.handler.count()), (1, 3));
    assert_eq!(record.latency.recent.handler.count(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_filter_leaves_out_what_differs_in_anything() {
    let (ok, bad) = (
        Played::new(Script::Answer(Decision::Pass)),
        Played::new(Script::Fail(Outcome::HandlerError, Retry::No)),
    );
    let dispatch = dispatch(vec![(notify("ok", CREATE), &ok), (notify("bad", CREATE), &bad)]);
    for (seq, key) in [(1, "live/a"), (2, "live/b"), (3, "vod/a")] {
        dispatch.accept(&created(seq, key));
        dispatch.idle().await;
    }
    let deliveries = dispatch.deliveries();
    let all = list(&deliveries, DeliveryFilter::default()).await;
    let newest = all.first().unwrap();
    let none = DeliveryFilter::default;
    let now = clock::unix_now();
    for (filter, expect) in [
        (none(), 6),
        (DeliveryFilter { hook: Some("ok".into()), ..none() }, 3),
        (DeliveryFilter { outcome: Some(Outcome::HandlerError), ..none() }, 3),
        (DeliveryFilter { key: all.last().unwrap().key.clone(), ..none() }, 2),
        (DeliveryFilter { key_prefixes: Some(vec!["live/".into()]), ..none() }, 4),
        (DeliveryFilter { key_prefixes: Some(vec!["vod/".into(), "live/b".into()]), ..none() }, 4),
        (DeliveryFilter { event_id: Some(newest.event_id), ..none() }, 2),
        (DeliveryFilter { event: Some(EventType::StreamDelete), ..none() }, 0),
        (DeliveryFilter { session_id: Some(SessionId(1)), ..none() }, 0),
        (DeliveryFilter { conn_id: Some(ConnId(1)), ..none() }, 0),
        (DeliveryFilter { since: Some(UnixTime(now.0 + 1_000_000)), ..none() }, 0),
        (DeliveryFilter { until: Some(all.last().unwrap().at), ..none() }, 0),
    ] {
        assert_eq!(list(&deliveries, filter.clone()).await.len(), expect, "{filter:?}");
    }
}

/// All pages of so many, until there is no next one.
async fn pages(deliveries: &Deliveries, limit: usize) -> Vec<DeliveryPage> {
    let mut pages: Vec<DeliveryPage> = Vec::new();
    let mut before: Option<DeliveryCursor> = None;
    loop {
        let page = deliveries.list(&DeliveryFilter::default(), PageOf { before, limit }).await;
        before = page.next;
        pages.push(page);
        if before.is_none() {
            return pages;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn pages_join_without_a_gap_over_memory_disk_and_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (pass, allow) =
        (Played::new(Script::Answer(Decision::Pass)), Played::new(Script::Answer(Decision::Allow)));
    let mut ids = BTreeSet::new();
    for start in 0..3 {
        let (dispatch, tasks) = stored(folder.path());
        set(
            &dispatch,
            vec![
                (decide("a", AUTHORIZE), &pass),
                (decide("b", AUTHORIZE), &allow),
                (notify("c", CREATE), &pass),
            ],
        );
        for seq in 0..10 {
            dispatch.ask(of(authorize(seq), 1, Some(1))).await;
            dispatch.accept(&created(seq, "live/a"));
            dispatch.idle().await;
        }
        for limit in [1, 2, 7, 1000] {
            let pages = pages(&dispatch.deliveries(), limit).await;
            assert!(pages.iter().all(|page| page.items.len() <= limit));
            let items: Vec<_> = pages.into_iter().flat_map(|page| page.items).collect();
            assert_eq!(items.len(), 30 * (start + 1), "pages of {limit}");
            assert!(items.is_sorted_by(|newer, older| newer.at >= older.at));
            ids.extend(items.iter().map(|delivery| delivery.id));
        }
        assert_eq!(ids.len(), 30 * (start + 1), "a restart begins with numbers that no delivery had");
        let questions = dispatch.deliveries().explain(Subject::Session(SessionId(1))).await.questions;
        assert_eq!(questions.len(), 10 * (start + 1));
        let counters = dispatch.deliveries().counters();
        assert_eq!((counters.lost, counters.left_out, counters.unreadable), (0, 0, 0));
        stop(tasks).await;
    }
}

#[tokio::test]
async fn a_page_looks_at_a_bounded_number_of_records_however_many_there_are() {
    let folder = tempfile::tempdir().unwrap();
    let tasks = Tasks::new();
    // One real record, again and again: `make test-all` has a million of them.
    let records = if std::env::var_os("E2E_ALL").is_some() { 1_000_000 } else { 45_000 };
    let played = Played::new(Script::Answer(Decision::Pass));
    let dispatch = dispatch(vec![(notify("hook", CREATE), &played)]);
    dispatch.accept(&created(1, "live/a"));
    dispatch.idle().await;
    let kept = list(&dispatch.deliveries(), DeliveryFilter::default()).await;
    let body = DeliveryEntry::Notice(Arc::clone(kept.first().unwrap())).to_bytes();
    let mut writer = Writer::open(JournalConfig::new(folder.path())).unwrap().writer;
    for position in 1..=records {
        writer.append(position, UnixTime(i64::try_from(position).unwrap()), &body).unwrap();
        if position % 4096 == 0 {
            writer.flush().unwrap();
        }
    }
    writer.flush().unwrap();
    drop(writer);
    let deliveries =
        Deliveries::open(DeliveriesConfig::new(folder.path()), Masker::default(), &tasks).unwrap();
    let nobody = DeliveryFilter { hook: Some("nobody".into()), ..DeliveryFilter::default() };
    let (mut before, mut looked_at, mut empty) = (None, 0, 0);
    // Two pages, of which none finds anything; the others would be like them.
    for _ in 0..2 {
        let page = deliveries.list(&nobody, PageOf { before, limit: 100 }).await;
        assert!(page.items.is_empty() && page.looked_at <= 20_000 && page.next.is_some(), "{page:?}");
        assert!(before.is_none_or(|before| page.next.unwrap() < before), "each page goes on");
        (before, looked_at, empty) = (page.next, looked_at + page.looked_at, empty + 1);
    }
    assert_eq!((looked_at, empty), (40_000, 2));
    let page = deliveries.list(&DeliveryFilter::default(), PageOf { before, limit: 100 }).await;
    assert_eq!((page.items.len(), page.looked_at), (100, 100));
    // What was read once is passed over: as many pages reach further now, or to the end.
    let (first, mut before) = (before.unwrap(), None);
    for _ in 0..2 {
        let page = deliveries.list(&nobody, PageOf { before, limit: 100 }).await;
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    assert!(before.is_none_or(|second| second < first), "{before:?} {first:?}");
    stop(tasks).await;
}

#[tokio::test]
async fn records_that_are_none_are_skipped_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let tasks = Tasks::new();
    let mut writer = Writer::open(JournalConfig::new(folder.path())).unwrap().writer;
    let bodies: [&[u8]; 6] =
        [b"", b"null", b"{}", b"{\"notice\":{}}", &[0xff; 100], b"{\"question\":{\"steps\":[]}}"];
    for (position, body) in (1..).zip(bodies) {
        writer.append(position, UnixTime(0), body).unwrap();
    }
    writer.flush().unwrap();
    drop(writer);
    let deliveries =
        Deliveries::open(DeliveriesConfig::new(folder.path()), Masker::default(), &tasks).unwrap();
    assert!(list(&deliveries, DeliveryFilter::default()).await.is_empty());
    assert_eq!(deliveries.counters().unreadable, 6);
    stop(tasks).await;
}

#[test]
fn what_is_stored_reads_back_as_it_was() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/delivery");
    let mut seen = 0;
    for file in std::fs::read_dir(corpus).unwrap() {
        let body = std::fs::read(file.unwrap().path()).unwrap();
        let Some(entry) = DeliveryEntry::parse(&body) else { panic!("{}", String::from_utf8_lossy(&body)) };
        assert_eq!(DeliveryEntry::parse(&entry.to_bytes()), Some(entry.clone()));
        // Nothing of it is lost on the way.
        let values = |body: &[u8]| serde_json::from_slice::<serde_json::Value>(body).unwrap();
        assert_eq!(values(&entry.to_bytes()), values(&body));
        seen += 1;
    }
    assert!(seen >= 4, "{seen} records");
}

/// Waits until it is so; time passes as soon as nothing else does.
async fn until(deliveries: &Deliveries, is: impl Fn(&DeliveriesCounters) -> bool) -> DeliveriesCounters {
    for _ in 0..10_000 {
        let counters = deliveries.counters();
        if is(&counters) {
            return counters;
        }
        clock::sleep(Duration::from_millis(100)).await;
    }
    panic!("it never was: {:?}", deliveries.counters());
}

#[tokio::test(start_paused = true)]
async fn what_the_disk_does_not_take_is_in_memory_until_it_does() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("deliveries");
    let played = Played::new(Script::Answer(Decision::Pass));
    let (dispatch, tasks) = stored(&folder);
    set(&dispatch, vec![(notify("hook", CREATE), &played)]);
    let deliveries = dispatch.deliveries();
    dispatch.accept(&created(1, "live/a"));
    until(&deliveries, |counters| counters.kept == 1 && counters.unwritten == 0).await;

    // Where the folder was is a file now: nothing can be written.
    std::fs::remove_dir_all(&folder).unwrap();
    std::fs::write(&folder, b"").unwrap();
    dispatch.accept(&created(2, "live/b"));
    let counters = until(&deliveries, |counters| counters.failing).await;
    assert_eq!((counters.kept, counters.unwritten, counters.lost), (2, 1, 0));
    assert_eq!(list(&deliveries, DeliveryFilter::default()).await.len(), 2);

    std::fs::remove_file(&folder).unwrap();
    until(&deliveries, |counters| !counters.failing && counters.unwritten == 0).await;
    stop(tasks).await;
    let (again, tasks) = stored(&folder);
    let kept = list(&again.deliveries(), DeliveryFilter::default()).await;
    let keys: Vec<_> = kept.iter().map(|delivery| delivery.key.as_ref().unwrap().as_str()).collect();
    assert_eq!(keys, ["live/b"], "the first went with its folder");
    stop(tasks).await;
}
