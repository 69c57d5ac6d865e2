//! Questions, from the asker's side.

use crate::kit::{Played, Script, authorize, dispatch, hook, resolve};
use jackfield_events::{Decision, EventType, OnError, Verdict};
use jackfield_hooks::{HookSpec, Mode, Outcome, Retry};
use jackfield_runtime::{Tasks, clock};
use std::sync::atomic::Ordering;
use std::time::Duration;

const AUTHORIZE: &[EventType] = &[EventType::AuthorizePublish];
const RESOLVE: &[EventType] = &[EventType::ResolvePublish];

fn denied_by(verdict: &Verdict) -> Option<&str> {
    match verdict {
        Verdict::Deny(denial) => Some(denial.hook.as_str()),
        Verdict::Allow { .. } => None,
    }
}

#[tokio::test(start_paused = true)]
async fn a_question_without_hooks_is_allowed_at_once() {
    let dispatch = dispatch(Vec::new());
    assert!(!dispatch.wants(EventType::AuthorizePublish));
    assert_eq!(dispatch.ask(authorize(1)).await, Verdict::unasked());
}

#[tokio::test(start_paused = true)]
async fn hooks_are_asked_in_order_until_one_denies() {
    let (yes, no, never) = (
        Played::new(Script::Answer(Decision::Allow)),
        Played::new(Script::Answer(Decision::Deny)),
        Played::new(Script::Answer(Decision::Allow)),
    );
    let decide = |name| hook(name, AUTHORIZE, Mode::Decide);
    let dispatch = dispatch(vec![(decide("yes"), &yes), (decide("no"), &no), (decide("never"), &never)]);
    assert_eq!(denied_by(&dispatch.ask(authorize(1)).await), Some("no"));
    assert_eq!((yes.count(), no.count(), never.count()), (1, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_replacement_reaches_the_next_hook_and_the_asker() {
    let (rename, look) = (
        Played::new(Script::Answer(Decision::Replace("shown".into()))),
        Played::new(Script::Answer(Decision::Pass)),
    );
    let told = Played::new(Script::Answer(Decision::Pass));
    let dispatch = dispatch(vec![
        (hook("rename", RESOLVE, Mode::Decide), &rename),
        (hook("look", RESOLVE, Mode::Decide), &look),
        (hook("told", RESOLVE, Mode::Notify), &told),
    ]);
    let Verdict::Allow { key, .. } = dispatch.ask(resolve(1)).await else { unreachable!("nobody denies") };
    assert_eq!(key.unwrap().as_str(), "live/shown");
    assert_eq!(look.last().event.scope().stream_key.as_ref().unwrap().as_str(), "live/shown");
    dispatch.idle().await;
    let line = String::from_utf8(told.last().event.json().to_vec()).unwrap();
    assert!(line.contains("live/shown") && line.contains("token=***"), "{line}");
    assert!(!line.contains("secret") && !line.contains("abc"), "{line}");
}

#[tokio::test(start_paused = true)]
async fn a_silent_hook_costs_its_timeout_and_denies_by_default() {
    let silent = Played::new(Script::Never);
    let dispatch = dispatch(vec![(hook("silent", AUTHORIZE, Mode::Decide), &silent)]);
    let before = clock::now();
    assert_eq!(denied_by(&dispatch.ask(authorize(1)).await), Some("silent"));
    assert_eq!(clock::now() - before, Duration::from_secs(2));
    assert_eq!(silent.dropped.load(Ordering::SeqCst), 1, "the call was cancelled");
    assert_eq!(dispatch.status()[0].tally.outcome(Outcome::Timeout), 1);
}

#[tokio::test(start_paused = true)]
async fn one_budget_covers_the_chain() {
    let silent = Played::new(Script::Never);
    let open = |name| HookSpec { on_error: Some(OnError::Allow), ..hook(name, AUTHORIZE, Mode::Decide) };
    let hooks = ["a", "b", "c", "d"].map(|name| (open(name), &silent));
    let dispatch = dispatch(hooks.into());
    let before = clock::now();
    let Verdict::Allow { failopen, .. } = dispatch.ask(authorize(1)).await else {
        unreachable!("all let through")
    };
    assert_eq!(clock::now() - before, Duration::from_secs(5));
    assert_eq!(failopen.len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_transport_that_panics_has_crashed() {
    let broken = Played::new(Script::Panic);
    let dispatch = dispatch(vec![(hook("broken", AUTHORIZE, Mode::Decide), &broken)]);
    assert_eq!(denied_by(&dispatch.ask(authorize(1)).await), Some("broken"));
    assert_eq!(dispatch.status()[0].tally.outcome(Outcome::Crashed), 1);
}

#[tokio::test(start_paused = true)]
async fn an_asker_that_leaves_cancels_its_call() {
    let silent = Played::new(Script::Never);
    let dispatch = dispatch(vec![(hook("silent", AUTHORIZE, Mode::Decide), &silent)]);
    let soon = clock::now().after(Duration::from_millis(10));
    assert!(clock::until(soon, dispatch.ask(authorize(1))).await.is_none());
    dispatch.idle().await;
    assert_eq!(silent.dropped.load(Ordering::SeqCst), 1);
    assert_eq!(dispatch.status()[0].tally.outcome(Outcome::Cancelled), 1);
}

#[tokio::test(start_paused = true)]
async fn questions_wait_for_room_and_each_gets_its_own_answer() {
    let slow = Played::new(Script::After(Duration::from_millis(100), Decision::Allow));
    let spec = HookSpec { concurrency: 1, ..hook("slow", AUTHORIZE, Mode::Decide) };
    let dispatch = dispatch(vec![(spec, &slow)]);
    let tasks = Tasks::new();
    let asks: Vec<_> = (0..5)
        .map(|n| {
            let dispatch = dispatch.clone();
            tasks.spawn("ask", async move { dispatch.ask(authorize(n)).await })
        })
        .collect();
    let before = clock::now();
    for ask in asks {
        assert_eq!(denied_by(&ask.join().await.unwrap()), None);
    }
    assert_eq!(clock::now() - before, Duration::from_millis(500));
}

#[tokio::test(start_paused = true)]
async fn a_dead_hook_is_left_alone_and_comes_back() {
    let played = Played::new(Script::Fail(Outcome::ConnectError, Retry::Scheduled));
    let dispatch = dispatch(vec![(hook("dead", AUTHORIZE, Mode::Decide), &played)]);
    for n in 0..25 {
        assert_eq!(denied_by(&dispatch.ask(authorize(n)).await), Some("dead"));
    }
    assert_eq!(played.count(), 20);
    played.play(Script::Answer(Decision::Allow));
    clock::sleep(Duration::from_secs(6)).await;
    for n in 0..5 {
        assert_eq!(denied_by(&dispatch.ask(authorize(n)).await), None);
    }
}
