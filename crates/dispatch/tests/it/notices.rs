//! Notices: order, room, retries, the end of the server.

use crate::kit::{Played, Script, authorize, created, dispatch, hook};
use jackfield_bus::Sink;
use jackfield_events::{Decision, EventType};
use jackfield_hooks::{HookSpec, Mode, Outcome, Retry};
use jackfield_runtime::clock;
use std::sync::atomic::Ordering;
use std::time::Duration;

const CREATED: &[EventType] = &[EventType::StreamCreate];

#[tokio::test(start_paused = true)]
async fn notices_of_one_stream_follow_each_other_and_streams_run_side_by_side() {
    let slow = Played::new(Script::After(Duration::from_secs(1), Decision::Pass));
    let dispatch = dispatch(vec![(hook("slow", CREATED, Mode::Notify), &slow)]);
    let before = clock::now();
    for seq in 0..6 {
        dispatch.accept(&created(seq, if seq % 2 == 0 { "live/a" } else { "live/b" }));
    }
    dispatch.idle().await;
    assert_eq!(clock::now() - before, Duration::from_secs(3));
    let seqs: Vec<u64> = slow.calls.lock().unwrap().iter().map(|call| call.event.stamp().seq).collect();
    assert_eq!(seqs, [0, 1, 2, 3, 4, 5]);
}

#[tokio::test(start_paused = true)]
async fn a_failed_notice_is_tried_again_by_the_schedule() {
    let flaky = Played::new(Script::Fail(Outcome::ConnectError, Retry::Scheduled));
    let dispatch = dispatch(vec![(hook("flaky", CREATED, Mode::Notify), &flaky)]);
    let before = clock::now();
    dispatch.accept(&created(1, "live/a"));
    flaky.called(2).await;
    let pause = clock::now() - before;
    assert!(pause >= Duration::from_millis(800) && pause <= Duration::from_millis(1201), "{pause:?}");
    flaky.play(Script::Answer(Decision::Pass));
    dispatch.idle().await;
    assert_eq!((flaky.count(), flaky.last().attempt), (3, 3));
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_drops_the_oldest_and_says_so() {
    let slow = Played::new(Script::After(Duration::from_secs(1), Decision::Pass));
    let spec = HookSpec { queue: 2, concurrency: 1, ..hook("slow", CREATED, Mode::Notify) };
    let dispatch = dispatch(vec![(spec, &slow)]);
    for seq in 1..=6 {
        dispatch.accept(&created(seq, "live/a"));
    }
    dispatch.idle().await;
    let told: Vec<(u64, u64)> =
        slow.calls.lock().unwrap().iter().map(|call| (call.event.stamp().seq, call.num_dropped)).collect();
    assert_eq!(told, [(1, 0), (5, 3), (6, 0)]);
    assert_eq!(dispatch.status()[0].tally.dropped, 3);
}

#[tokio::test(start_paused = true)]
async fn a_flood_to_a_slow_hook_delays_no_other_hook_and_no_question() {
    let slow = Played::new(Script::After(Duration::from_secs(1), Decision::Pass));
    let (quick, gate) =
        (Played::new(Script::Answer(Decision::Pass)), Played::new(Script::Answer(Decision::Allow)));
    let dispatch = dispatch(vec![
        (hook("slow", CREATED, Mode::Notify), &slow),
        (hook("quick", CREATED, Mode::Notify), &quick),
        (hook("gate", &[EventType::AuthorizePublish], Mode::Decide), &gate),
    ]);
    for seq in 0..10_000 {
        let before = clock::now();
        dispatch.accept(&created(seq, &format!("live/{}", seq % 50)));
        if seq % 100 == 0 {
            dispatch.ask(authorize(seq)).await;
            // A turn for those that are told.
            quick.called(usize::try_from(seq).unwrap() + 1).await;
            assert_eq!(clock::now(), before, "nobody waited for the slow one");
        }
        tokio::time::advance(Duration::from_micros(100)).await;
    }
    let status = dispatch.status();
    assert_eq!((quick.count(), status[1].tally.dropped), (10_000, 0));
    assert_eq!(status[0].queued, 1000);
    assert!(status[0].tally.dropped > 8000 && status[0].notices_running == 9, "{:?}", status[0]);
    dispatch.drain(clock::now().after(Duration::from_secs(10))).await;
    let told: u64 = slow.calls.lock().unwrap().iter().map(|call| call.num_dropped).sum();
    assert_eq!(told, dispatch.status()[0].tally.dropped);
}

#[tokio::test(start_paused = true)]
async fn facts_may_come_from_any_thread() {
    let told = Played::new(Script::Answer(Decision::Pass));
    let dispatch = dispatch(vec![(hook("told", CREATED, Mode::Notify), &told)]);
    std::thread::scope(|scope| {
        scope.spawn(|| dispatch.accept(&created(1, "live/a")));
    });
    dispatch.idle().await;
    assert_eq!(told.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_panicking_transport_loses_one_notice_and_no_more() {
    let broken = Played::new(Script::Panic);
    let dispatch = dispatch(vec![(hook("broken", CREATED, Mode::Notify), &broken)]);
    dispatch.accept(&created(1, "live/a"));
    dispatch.idle().await;
    broken.play(Script::Answer(Decision::Pass));
    dispatch.accept(&created(2, "live/a"));
    dispatch.idle().await;
    assert_eq!(broken.last().event.stamp().seq, 2);
}

#[tokio::test(start_paused = true)]
async fn draining_delivers_what_waits_and_gives_up_the_rest_at_its_deadline() {
    let slow = Played::new(Script::After(Duration::from_secs(4), Decision::Pass));
    let dispatch = dispatch(vec![(hook("slow", CREATED, Mode::Notify), &slow)]);
    for seq in 0..5 {
        dispatch.accept(&created(seq, "live/a"));
    }
    let before = clock::now();
    dispatch.drain(clock::now().after(Duration::from_secs(10))).await;
    assert_eq!(clock::now() - before, Duration::from_secs(10));
    assert_eq!((slow.count(), slow.dropped.load(Ordering::SeqCst)), (3, 0));
    assert_eq!(slow.drained.load(Ordering::SeqCst), 1);
    clock::sleep(Duration::from_millis(1)).await;
    assert_eq!(slow.dropped.load(Ordering::SeqCst), 1, "the call that ran was cancelled");
}

#[tokio::test(start_paused = true)]
async fn draining_does_not_wait_for_a_try_after_its_deadline() {
    let dead = Played::new(Script::Fail(Outcome::ConnectError, Retry::After(Duration::from_secs(2))));
    let dispatch = dispatch(vec![(hook("dead", CREATED, Mode::Notify), &dead)]);
    dispatch.accept(&created(1, "live/a"));
    dead.called(1).await;
    dispatch.drain(clock::now().after(Duration::from_secs(1))).await;
    assert_eq!(dead.count(), 1);
}
