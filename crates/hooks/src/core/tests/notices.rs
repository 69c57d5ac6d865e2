//! Notices that wait, are lost, and are told of.

use super::*;
use jackfield_events::questions::ResolvePublish;
use jackfield_events::{Exposure, Fact};

fn dropped(core: &mut Core<()>) -> Vec<(u64, DropCause)> {
    let drops = outputs(core).into_iter().filter_map(|output| match output {
        Output::Dropped(drop) => Some((drop.event.stamp().seq, drop.cause)),
        _ => None,
    });
    drops.collect()
}

/// One hook whose queue holds two, with one call that runs.
fn full() -> (Core<()>, CallId) {
    let mut core = core(vec![HookSpec { queue: 2, ..hook("a", Mode::Notify) }]);
    core.notify(at(0), &event(NOTICE, 1, "a"));
    let running = calls(&mut core)[0].call;
    for seq in 2..=3 {
        core.notify(at(0), &event(NOTICE, seq, "a"));
    }
    assert!(outputs(&mut core).is_empty() && core.status()[0].queued == 2);
    (core, running)
}

#[test]
fn a_full_queue_drops_its_oldest_and_the_next_call_tells_how_many() {
    let (mut core, running) = full();
    for seq in 4..=6 {
        core.notify(at(0), &event(NOTICE, seq, "a"));
    }
    let full = |seq| (seq, DropCause::QueueFull);
    assert_eq!(dropped(&mut core), [2, 3, 4].map(full));
    assert_eq!((core.status()[0].queued, core.status()[0].tally.dropped), (2, 3));
    core.answer(at(1), running, yes());
    let next = calls(&mut core).remove(0);
    assert_eq!((next.event.stamp().seq, next.num_dropped), (5, 3));
    core.answer(at(2), next.call, yes());
    let last = calls(&mut core).remove(0);
    assert_eq!((last.event.stamp().seq, last.num_dropped), (6, 0), "it was told");
}

#[test]
fn what_a_lost_notice_would_have_told_the_next_one_tells() {
    let spec = HookSpec { queue: 1, retries: Retries::of_delivery(Some(0)), ..hook("a", Mode::Notify) };
    let mut core = core(vec![spec]);
    for seq in 1..=4 {
        core.notify(at(0), &event(NOTICE, seq, "a"));
    }
    let running = calls(&mut core)[0].call;
    core.answer(at(1), running, yes());
    let second = calls(&mut core).remove(0);
    assert_eq!((second.event.stamp().seq, second.num_dropped), (4, 2));
    core.answer(at(2), second.call, Err(Failure::new(Outcome::ConnectError, "")));
    assert_eq!(core.status()[0].tally.lost, 1);
    core.notify(at(3), &event(NOTICE, 5, "a"));
    assert_eq!(calls(&mut core)[0].num_dropped, 2);
}

#[test]
fn a_further_try_tells_the_same_number_again() {
    let (mut core, running) = full();
    core.notify(at(0), &event(NOTICE, 4, "a"));
    core.answer(at(1), running, yes());
    let first = calls(&mut core).remove(0);
    assert_eq!((first.attempt, first.num_dropped), (1, 1));
    core.answer(at(2), first.call, Err(Failure::new(Outcome::ConnectError, "")));
    let next = core.poll_timeout().unwrap();
    core.tick(next);
    let second = calls(&mut core).remove(0);
    assert_eq!((second.delivery, second.attempt, second.num_dropped), (first.delivery, 2, 1));
}

#[test]
fn a_notice_that_pauses_counts_in_the_queue_and_may_be_dropped_from_it() {
    let mut core = core(vec![HookSpec { queue: 1, ..hook("a", Mode::Notify) }]);
    core.notify(at(0), &event(NOTICE, 1, "a"));
    let call = calls(&mut core)[0].call;
    core.answer(at(1), call, Err(Failure::new(Outcome::HandlerError, "")));
    core.notify(at(2), &event(NOTICE, 2, "b"));
    assert_eq!(core.status()[0].tally.dropped, 1);
    let next = calls(&mut core).remove(0);
    assert_eq!((next.event.stamp().seq, next.num_dropped), (2, 1));
    core.answer(at(3), next.call, yes());
    assert!(core.poll_timeout().is_none() && core.is_quiet(at(3)), "the timer of the first went with it");
}

#[test]
fn a_smaller_queue_drops_what_is_too_much_for_it() {
    let (mut core, _running) = full();
    core.replace_hooks(at(1), vec![(HookSpec { queue: 1, ..hook("a", Mode::Notify) }, ())]);
    assert_eq!(dropped(&mut core), [(2, DropCause::QueueFull)]);
}

#[test]
fn a_hook_that_is_taken_out_loses_its_notices_and_its_call_is_stopped() {
    let (mut core, running) = full();
    core.replace_hooks(at(1), Vec::new());
    let ends = outputs(&mut core);
    let stopped = ends.iter().any(|output| matches!(output, Output::Cancel { call, .. } if *call == running));
    let drops = ends
        .iter()
        .filter(|output| matches!(output, Output::Dropped(d) if d.cause == DropCause::HookRemoved));
    let over = ends.iter().find_map(|output| match output {
        Output::Settled(end) => Some((end.outcome, end.next)),
        _ => None,
    });
    assert_eq!((stopped, drops.count(), over), (true, 3, Some((Outcome::Cancelled, Next::Lost))));
    assert!(core.is_quiet(at(1)) && core.poll_timeout().is_none() && core.status().is_empty());
    assert_eq!(core.stray_answers(), 0);
    core.answer(at(2), running, yes());
    core.answer(at(3), running, yes());
    assert_eq!(core.stray_answers(), 2);
}

#[test]
fn notices_to_a_disabled_hook_are_counted_as_abandoned() {
    let mut core = core(vec![hook("a", Mode::Notify)]);
    for seq in 1..=2 {
        core.notify(at(0), &event(NOTICE, seq, "a"));
    }
    let call = calls(&mut core)[0].call;
    let gone = Failure { retry: Retry::Disable, ..Failure::new(Outcome::HandlerError, "") };
    core.answer(at(1), call, Err(gone));
    for seq in 3..=4 {
        core.notify(at(2), &event(NOTICE, seq, "a"));
    }
    assert_eq!(dropped(&mut core), [2, 3, 4].map(|seq| (seq, DropCause::HookDisabled)));
    let tally = &core.status()[0].tally;
    assert_eq!((tally.abandoned, tally.lost, tally.dropped), (3, 1, 0));
}

#[test]
fn a_question_is_told_after_its_verdict_to_those_that_do_not_decide_it_and_to_no_others() {
    let on = EventSet::EMPTY.with(QUESTION);
    let elsewhere =
        HookSpec { streams: crate::Selector::parse(&["b"]).unwrap(), ..hook("elsewhere", Mode::Notify) };
    let other = HookSpec::new("other", EventSet::EMPTY.with(NOTICE), Mode::Notify);
    let mut core =
        core(vec![HookSpec::new("decides", on, Mode::Decide), hook("told", Mode::Notify), elsewhere, other]);
    core.ask(at(0), event(QUESTION, 1, "a"), Duration::from_secs(5));
    let asked = calls(&mut core);
    assert_eq!((asked.len(), &*asked[0].hook, asked[0].mode), (1, "decides", Mode::Decide));
    core.answer(at(1), asked[0].call, Ok(Answer::bare(Decision::Replace("renamed".into()))));
    let after = outputs(&mut core);
    let verdict = after.iter().position(|output| matches!(output, Output::Verdict { .. }));
    let told: Vec<(usize, &Request<()>)> = after
        .iter()
        .enumerate()
        .filter_map(|(at, output)| if let Output::Call(call) = output { Some((at, call)) } else { None })
        .collect();
    assert_eq!((told.len(), &*told[0].1.hook, told[0].1.mode), (1, "told", Mode::Notify));
    assert!(verdict.unwrap() < told[0].0);
    assert_eq!(told[0].1.event.scope().stream_key, Some(StreamKey::parse("live/renamed").unwrap()));
}

#[test]
fn secrets_of_a_question_are_for_those_that_decide_it() {
    let question = ResolvePublish {
        app: "live".into(),
        stream_name: "a".into(),
        publish_type: jackfield_events::PublishType::Live,
        client_ip: "203.0.113.7".parse().unwrap(),
        client_port: 1,
        protocol: jackfield_events::Protocol::Rtmp,
        tc_url: "rtmp://h/live".into(),
        page_url: "".into(),
        flash_ver: None,
        query: "token=abc".into(),
        failopen: Vec::new(),
    };
    let bare = event(QUESTION, 1, "a");
    let asked =
        Event::new(QUESTION, bare.stamp().clone(), bare.scope().clone(), question.data(Exposure::Whole));
    let mut core = core(vec![hook("decides", Mode::Decide), hook("told", Mode::Notify)]);
    core.ask(at(0), Arc::new(asked), Duration::from_secs(5));
    let query =
        |call: &Request<()>| call.event.field("query").and_then(|value| Some(value.as_str()?.to_owned()));
    let first = calls(&mut core).remove(0);
    assert_eq!(query(&first).as_deref(), Some("token=abc"));
    core.answer(at(1), first.call, yes());
    assert_eq!(query(&calls(&mut core)[0]).as_deref(), Some("token=***"));
}
