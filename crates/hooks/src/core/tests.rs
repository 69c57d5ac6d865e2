//! The rules that a reader looks for; the simulation knows them all.

mod calls;
mod feeding;
mod notices;
mod questions;
mod retries;
mod turns;

use super::*;
use crate::{HookSpec, Mode, NoticeShare, Outcome, Receiver, Retries, Retry};
use jackfield_events::{Decision, OnError, Scope, Stamp, Verdict};
use jackfield_media::{ConnId, StreamKey, UnixTime};
use ulid::Ulid;

const NOTICE: EventType = EventType::StreamCreate;
const QUESTION: EventType = EventType::ResolvePublish;

fn at(millis: u64) -> Mono {
    Mono::from_origin(Duration::from_millis(millis))
}

fn event(event_type: EventType, seq: u64, key: &str) -> Arc<Event> {
    let stamp = Stamp { id: Ulid(u128::from(seq)), seq, node: "n".into(), time: UnixTime(0) };
    let stream_key = (!key.is_empty()).then(|| StreamKey::parse(key).unwrap());
    let scope = Scope { conn_id: Some(ConnId(1)), stream_key, ..Scope::default() };
    Arc::new(Event::new(event_type, stamp, scope, Vec::new()))
}

fn hook(name: &str, mode: Mode) -> HookSpec {
    HookSpec::new(name, [NOTICE, QUESTION].into_iter().collect(), mode)
}

fn core(hooks: Vec<HookSpec>) -> Core<()> {
    let mut core = Core::new(&CoreConfig { notice_concurrency: 10, seed: 3 }, Masker::default());
    core.replace_hooks(Mono::ZERO, hooks.into_iter().map(|hook| (hook, ())).collect());
    core
}

fn outputs(core: &mut Core<()>) -> Vec<Output<()>> {
    std::iter::from_fn(|| core.poll_output()).collect()
}

fn calls(core: &mut Core<()>) -> Vec<Request<()>> {
    let calls = outputs(core).into_iter().filter_map(|output| match output {
        Output::Call(request) => Some(request),
        _ => None,
    });
    calls.collect()
}

fn settled(core: &mut Core<()>) -> Vec<Settled> {
    let ends = outputs(core).into_iter().filter_map(|output| match output {
        Output::Settled(end) => Some(end),
        _ => None,
    });
    ends.collect()
}

fn yes() -> Result<Answer, Failure> {
    Ok(Answer::bare(Decision::Pass))
}

#[test]
fn nobody_wants_what_no_hook_wants() {
    let mut core = core(vec![hook("a", Mode::Notify)]);
    assert!(core.wants(NOTICE) && !core.wants(EventType::PlayStart));
    core.notify(at(0), &event(EventType::PlayStart, 1, "a"));
    assert!(outputs(&mut core).is_empty() && core.poll_timeout().is_none());
}

#[test]
fn hooks_of_a_group_share_one_lane_for_each_key() {
    let grouped = |name| HookSpec { lane_group: Some("flags".into()), ..hook(name, Mode::Notify) };
    let mut core = core(vec![grouped("start"), grouped("stop")]);
    core.notify(at(0), &event(NOTICE, 1, "a"));
    core.notify(at(0), &event(NOTICE, 2, "b"));
    let first = calls(&mut core);
    let names: Vec<(&str, u64)> = first.iter().map(|call| (&*call.hook, call.event.stamp().seq)).collect();
    assert_eq!(names, [("start", 1), ("start", 2)]);
    core.answer(at(5), first[0].call, yes());
    assert_eq!(&*calls(&mut core)[0].hook, "stop");
}

#[test]
fn a_notice_that_pauses_too_long_steps_aside() {
    let mut core = core(vec![hook("a", Mode::Notify)]);
    core.notify(at(0), &event(NOTICE, 1, "a"));
    core.notify(at(0), &event(NOTICE, 2, "a"));
    let mut now = at(0);
    let mut seen = Vec::new();
    while seen.last() != Some(&2) {
        if let Some(call) = calls(&mut core).first() {
            seen.push(call.event.stamp().seq);
            core.answer(now, call.call, Err(Failure::new(Outcome::HandlerError, "")));
        } else {
            now = core.poll_timeout().unwrap();
            core.tick(now);
        }
    }
    // 1 s and 5 s hold the lane; 30 s more would be too long, so the second goes first.
    assert_eq!(seen, [1, 1, 1, 2]);
    assert!(now < at(30_000));
}

#[test]
fn a_run_is_tried_once_unless_it_asks_for_more() {
    let run = HookSpec { retries: Retries::of_run(None), ..hook("a", Mode::Notify) };
    let mut core = core(vec![run]);
    let failed = |retry| Err(Failure { retry, ..Failure::new(Outcome::HandlerError, "") });
    core.notify(at(0), &event(NOTICE, 1, "a"));
    let call = calls(&mut core)[0].call;
    core.answer(at(1), call, failed(Retry::No));
    assert!(core.is_quiet(at(1)));
    core.notify(at(2), &event(NOTICE, 2, "a"));
    let call = calls(&mut core)[0].call;
    core.answer(at(3), call, failed(Retry::Scheduled));
    assert!(!core.is_quiet(at(60_000)) && core.is_quiet(at(4)));
}

#[test]
fn a_handlers_wish_for_a_pause_is_kept_within_the_schedule() {
    let mut core = core(vec![hook("a", Mode::Notify)]);
    core.notify(at(0), &event(NOTICE, 1, "a"));
    for (wish, pause) in [(3600, 2000), (0, 5000)] {
        let now = core.now;
        let call = calls(&mut core)[0].call;
        let retry = Retry::After(Duration::from_secs(wish));
        core.answer(now, call, Err(Failure { retry, ..Failure::new(Outcome::HandlerError, "") }));
        let next = core.poll_timeout().unwrap();
        assert_eq!(next - now, Duration::from_millis(pause));
        core.tick(next);
    }
}

#[test]
fn a_hook_that_is_gone_for_good_gets_no_more_until_its_configuration_changes() {
    let mut core = core(vec![hook("a", Mode::Notify)]);
    core.notify(at(0), &event(NOTICE, 1, "a"));
    core.notify(at(0), &event(NOTICE, 2, "a"));
    let call = calls(&mut core)[0].call;
    let gone = Failure { retry: Retry::Disable, ..Failure::new(Outcome::HandlerError, "") };
    core.answer(at(1), call, Err(gone));
    core.notify(at(2), &event(NOTICE, 3, "a"));
    assert!(calls(&mut core).is_empty() && core.status()[0].disabled.is_some());
    core.replace_hooks(at(3), vec![(hook("a", Mode::Notify), ())]);
    core.notify(at(4), &event(NOTICE, 4, "a"));
    assert!(calls(&mut core).is_empty(), "it is the same hook");
    core.replace_hooks(at(5), vec![(HookSpec { revision: 1, ..hook("a", Mode::Notify) }, ())]);
    core.notify(at(6), &event(NOTICE, 5, "a"));
    assert_eq!(calls(&mut core)[0].event.stamp().seq, 5);
}

#[test]
fn an_answer_after_its_deadline_is_late_and_a_second_one_is_stray() {
    let mut core = core(vec![hook("a", Mode::Decide)]);
    core.ask(at(0), event(QUESTION, 1, "a"), Duration::from_secs(5));
    let call = calls(&mut core)[0].call;
    core.answer(at(2000), call, yes());
    core.answer(at(2001), call, yes());
    let outcomes: Vec<Outcome> = outputs(&mut core)
        .into_iter()
        .filter_map(|output| match output {
            Output::Settled(settled) => Some(settled.outcome),
            _ => None,
        })
        .collect();
    assert_eq!((outcomes.as_slice(), core.stray_answers()), ([Outcome::Late].as_slice(), 1));
}

#[test]
fn a_value_as_policy_replaces_and_is_marked() {
    let spec = HookSpec { on_error: Some(OnError::Value("spare".into())), ..hook("a", Mode::Decide) };
    let mut core = core(vec![spec]);
    core.ask(at(0), event(QUESTION, 1, "app/a"), Duration::from_secs(5));
    core.tick(at(2000));
    let verdict = outputs(&mut core).into_iter().find_map(|output| match output {
        Output::Verdict { verdict, .. } => Some(verdict),
        _ => None,
    });
    let Some(Verdict::Allow { key, failopen, .. }) = verdict else { unreachable!("it is let through") };
    assert_eq!((key.unwrap().as_str(), &*failopen[0]), ("app/spare", "a"));
}

#[test]
fn events_of_connections_reach_hooks_that_name_no_stream() {
    let on = EventSet::EMPTY.with(EventType::ConnectionAccept);
    let named =
        HookSpec { streams: crate::Selector::parse(&["a"]).unwrap(), ..HookSpec::new("n", on, Mode::Notify) };
    let mut core = core(vec![named, HookSpec::new("all", on, Mode::Notify)]);
    core.notify(at(0), &event(EventType::ConnectionAccept, 1, ""));
    let names: Vec<Text> = calls(&mut core).into_iter().map(|call| call.hook).collect();
    assert_eq!(names, ["all".into()]);
}

#[test]
fn stopping_gives_up_what_waits_and_cancels_what_runs() {
    let mut core = core(vec![hook("a", Mode::Notify)]);
    core.notify(at(0), &event(NOTICE, 1, "a"));
    core.notify(at(0), &event(NOTICE, 2, "a"));
    assert_eq!(calls(&mut core).len(), 1);
    core.stop_notices(at(1));
    let ends = outputs(&mut core);
    let count = |wanted: fn(&Output<()>) -> bool| ends.iter().filter(|output| wanted(output)).count();
    assert_eq!(count(|output| matches!(output, Output::Dropped(_))), 2);
    assert_eq!(count(|output| matches!(output, Output::Cancel { .. })), 1);
    assert!(core.is_quiet(Mono::from_origin(Duration::MAX)) && core.poll_timeout().is_none());
}
