//! Reloads: what goes on, what ends, and who serves which call.

use crate::kit::{Played, Script, authorize, created, dispatch, hook, set};
use jackfield_bus::Sink;
use jackfield_events::{Decision, EventType, Verdict};
use jackfield_hooks::Mode;
use jackfield_runtime::{Tasks, clock};
use std::sync::atomic::Ordering;
use std::time::Duration;

#[tokio::test(start_paused = true)]
async fn a_question_goes_on_under_the_configuration_that_it_started_with() {
    let slow = Played::new(Script::After(Duration::from_secs(1), Decision::Pass));
    let second = Played::new(Script::Answer(Decision::Deny));
    let on = &[EventType::AuthorizePublish];
    let (a, b) = (hook("a", on, Mode::Decide), hook("b", on, Mode::Decide));
    let dispatch = dispatch(vec![(a.clone(), &slow), (b, &second)]);
    let tasks = Tasks::new();
    let asking = dispatch.clone();
    let verdict = tasks.spawn("ask", async move { asking.ask(authorize(1)).await });
    slow.called(1).await;
    let fresh = Played::new(Script::Answer(Decision::Allow));
    set(&dispatch, vec![(a, &fresh)]);
    assert!(matches!(verdict.join().await, Some(Verdict::Deny(denial)) if denial.hook.as_str() == "b"));
    assert_eq!((second.count(), fresh.count()), (1, 0));
    assert!(matches!(dispatch.ask(authorize(2)).await, Verdict::Allow { .. }));
    assert_eq!((second.count(), fresh.count()), (1, 1));
    clock::sleep(Duration::from_secs(6)).await;
    assert_eq!((slow.drained.load(Ordering::SeqCst), fresh.drained.load(Ordering::SeqCst)), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn what_waits_is_delivered_by_the_new_transport_and_dropped_for_a_removed_hook() {
    let (old, gone) = (Played::new(Script::Never), Played::new(Script::Never));
    let on = &[EventType::StreamCreate];
    let dispatch =
        dispatch(vec![(hook("kept", on, Mode::Notify), &old), (hook("gone", on, Mode::Notify), &gone)]);
    for seq in 1..=2 {
        dispatch.accept(&created(seq, "live/a"));
    }
    gone.called(1).await;
    let new = Played::new(Script::Answer(Decision::Pass));
    set(&dispatch, vec![(hook("kept", on, Mode::Notify), &new)]);
    new.called(1).await;
    assert_eq!(new.last().event.stamp().seq, 2);
    assert_eq!((old.count(), gone.count()), (1, 1));
    assert_eq!(gone.dropped.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn what_transports_count_is_told_in_the_order_of_the_hooks() {
    let (a, b) = (Played::new(Script::Never), Played::new(Script::Never));
    b.restarts.store(3, Ordering::SeqCst);
    let on = &[EventType::StreamCreate];
    let spec = |name| hook(name, on, Mode::Notify);
    let dispatch = dispatch(vec![(spec("a"), &a), (spec("b"), &b)]);
    let restarts =
        || -> Vec<u64> { dispatch.transport_counters().iter().map(|counters| counters.restarts).collect() };
    assert_eq!(restarts(), [0, 3]);
    let names = dispatch.status().into_iter().map(|status| status.name);
    assert!(names.eq(["a".into(), "b".into()]));
    set(&dispatch, vec![(spec("b"), &b)]);
    assert_eq!(restarts(), [3]);
}
