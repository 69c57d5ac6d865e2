//! Room: of one hook, of all that share, and who gets what becomes free.

use super::*;

fn names(calls: &[Request<()>]) -> Vec<&str> {
    calls.iter().map(|call| &*call.hook).collect()
}

fn shared(limit: usize, hooks: Vec<HookSpec>) -> Core<()> {
    let mut core = Core::new(&CoreConfig { notice_concurrency: limit, seed: 3 }, Masker::default());
    core.replace_hooks(Mono::ZERO, hooks.into_iter().map(|hook| (hook, ())).collect());
    core
}

#[test]
fn a_call_that_ends_makes_room_for_the_next_key() {
    let mut core = core(vec![HookSpec { concurrency: 1, ..hook("a", Mode::Notify) }]);
    core.notify(at(0), &event(NOTICE, 1, "a"));
    core.notify(at(0), &event(NOTICE, 2, "b"));
    let first = calls(&mut core);
    assert_eq!((first.len(), core.status()[0].queued, core.status()[0].notices_running), (1, 1, 1));
    core.answer(at(1), first[0].call, yes());
    assert_eq!(calls(&mut core)[0].event.stamp().seq, 2);
}

#[test]
fn a_greater_limit_over_all_hooks_starts_what_waits_at_once() {
    let mut core = shared(1, vec![hook("a", Mode::Notify), hook("b", Mode::Notify)]);
    core.notify(at(0), &event(NOTICE, 1, "a"));
    assert_eq!(calls(&mut core).len(), 1);
    core.set_notice_concurrency(at(1), 2);
    assert_eq!(calls(&mut core).len(), 1);
    core.set_notice_concurrency(at(2), 0);
    core.notify(at(2), &event(NOTICE, 2, "b"));
    assert!(calls(&mut core).is_empty(), "two run, and one is allowed");
}

#[test]
fn hooks_take_turns_at_the_limit_over_all() {
    let specs = ["a", "b", "c"].map(|name| hook(name, Mode::Notify)).to_vec();
    let mut core = shared(1, specs);
    for seq in 1..=2 {
        core.notify(at(0), &event(NOTICE, seq, &format!("k{seq}")));
    }
    let mut order = Vec::new();
    while let Some(call) = calls(&mut core).pop() {
        order.push(call.hook.to_string());
        core.answer(at(1), call.call, yes());
    }
    assert_eq!(order, ["a", "b", "c", "a", "b", "c"]);
}

#[test]
fn a_slow_hook_leaves_half_of_the_common_room_to_hooks_that_use_none() {
    let others = ["b", "c", "d"]
        .map(|name| HookSpec { on: EventSet::EMPTY.with(EventType::PlayStart), ..hook(name, Mode::Notify) });
    let mut core = shared(4, [vec![hook("slow", Mode::Notify)], others.to_vec()].concat());
    for seq in 1..=4 {
        core.notify(at(0), &event(NOTICE, seq, &format!("k{seq}")));
    }
    assert_eq!(names(&calls(&mut core)), ["slow", "slow"]);
    core.notify(at(1), &event(EventType::PlayStart, 5, "p"));
    assert_eq!(names(&calls(&mut core)), ["b", "c"]);
}

#[test]
fn hooks_with_room_of_their_own_count_in_no_common_limit() {
    let own = |name| HookSpec { notice_share: NoticeShare::Own, ..hook(name, Mode::Notify) };
    let mut core = shared(1, vec![own("a"), own("b"), hook("c", Mode::Notify)]);
    core.notify(at(0), &event(NOTICE, 1, "a"));
    assert_eq!(names(&calls(&mut core)), ["a", "b", "c"]);
    assert_eq!(core.status().iter().map(|hook| hook.notices_running).sum::<usize>(), 3);
}

#[test]
fn a_rate_holds_a_hook_until_its_time_and_a_reload_of_the_same_rate_gives_no_new_burst() {
    let limited = || HookSpec { rate: Some(2), ..hook("a", Mode::Notify) };
    let mut core = core(vec![limited()]);
    for seq in 1..=4 {
        core.notify(at(0), &event(NOTICE, seq, &format!("k{seq}")));
    }
    assert_eq!(calls(&mut core).len(), 2);
    assert_eq!(core.poll_timeout(), Some(at(500)));
    core.replace_hooks(at(1), vec![(limited(), ())]);
    assert!(calls(&mut core).is_empty(), "the burst was used");
    core.tick(at(500));
    assert_eq!(calls(&mut core).len(), 1);
    core.replace_hooks(at(501), vec![(HookSpec { rate: Some(9), ..hook("a", Mode::Notify) }, ())]);
    assert_eq!(calls(&mut core).len(), 1, "another rate begins anew");
}

#[test]
fn questions_wait_for_room_in_their_order_and_not_beyond_their_time() {
    let spec = HookSpec { concurrency: 1, queue: 2, ..hook("a", Mode::Decide) };
    let mut core = core(vec![spec]);
    for seq in 1..=4 {
        core.ask(at(seq), event(QUESTION, seq, "a"), Duration::from_secs(5));
    }
    let outputs_now = outputs(&mut core);
    let full = outputs_now.iter().find_map(|output| match output {
        Output::Settled(end) => Some((end.event.stamp().seq, end.outcome, end.sent)),
        _ => None,
    });
    assert_eq!(
        full,
        Some((4, Outcome::Overload, None)),
        "one is asked, two wait, and the fourth is too many"
    );
    assert_eq!((core.status()[0].asking, core.status()[0].questions_running), (2, 1));
    let Some(Output::Call(first)) = outputs_now.into_iter().next() else {
        unreachable!("the first is asked")
    };
    core.answer(at(1500), first.call, yes());
    assert_eq!(calls(&mut core)[0].event.stamp().seq, 2);
    core.tick(at(2003));
    let ends = settled(&mut core);
    let ends: Vec<_> = ends.iter().map(|end| (end.event.stamp().seq, end.outcome)).collect();
    assert_eq!(ends, [(2, Outcome::Timeout), (3, Outcome::Overload)]);
    assert!(core.is_quiet(at(2003)));
}

#[test]
fn a_hook_that_is_left_alone_is_not_asked_and_its_policy_acts() {
    let mut core = core(vec![HookSpec { on_error: Some(OnError::Allow), ..hook("a", Mode::Decide) }]);
    for seq in 1..=20 {
        core.ask(at(seq), event(QUESTION, seq, "a"), Duration::from_secs(5));
        let call = calls(&mut core)[0].call;
        core.answer(at(seq), call, Err(Failure::new(Outcome::Crashed, "")));
    }
    outputs(&mut core);
    core.ask(at(21), event(QUESTION, 21, "a"), Duration::from_secs(5));
    let ends = outputs(&mut core);
    let refused = ends.iter().find_map(|output| match output {
        Output::Settled(end) => Some((end.outcome, end.sent)),
        _ => None,
    });
    assert_eq!(refused, Some((Outcome::BreakerOpen, None)));
    assert!(
        ends.iter().any(|output| matches!(output, Output::Verdict { verdict: Verdict::Allow { .. }, .. }))
    );
    assert_eq!(core.status()[0].asking, 0);
}

#[test]
fn a_hook_whose_calls_have_ended_is_one_that_uses_none_of_the_common_room() {
    let other = HookSpec { on: EventSet::EMPTY.with(EventType::PlayStart), ..hook("b", Mode::Notify) };
    let mut core = shared(2, vec![hook("a", Mode::Notify), other]);
    core.notify(at(0), &event(NOTICE, 1, "k1"));
    let first = calls(&mut core).remove(0);
    core.answer(at(1), first.call, yes());
    // It may take one, as at the beginning, and leaves the other for the hook that uses none.
    for seq in 2..=3 {
        core.notify(at(2), &event(NOTICE, seq, &format!("k{seq}")));
    }
    assert_eq!(names(&calls(&mut core)), ["a"]);
    core.notify(at(3), &event(EventType::PlayStart, 4, "p"));
    assert_eq!(names(&calls(&mut core)), ["b"]);
}

/// How many of five notices the hook `a` may have on their way when its common limit is four.
fn taken_beside(others: Vec<HookSpec>, before: impl FnOnce(&mut Core<()>)) -> usize {
    let mut core = shared(4, [vec![hook("a", Mode::Notify)], others].concat());
    before(&mut core);
    outputs(&mut core);
    for seq in 11..=15 {
        core.notify(at(1), &event(NOTICE, seq, &format!("k{seq}")));
    }
    names(&calls(&mut core)).iter().filter(|name| **name == "a").count()
}

#[test]
fn room_is_kept_only_for_others_that_use_none_and_may_need_it() {
    let play = || EventSet::EMPTY.with(EventType::PlayStart);
    let other = |mode| HookSpec { on: play(), ..hook("b", mode) };
    let nothing = |_: &mut Core<()>| {};
    assert_eq!(taken_beside(Vec::new(), nothing), 4, "alone it takes all");
    assert_eq!(taken_beside(vec![other(Mode::Notify)], nothing), 3);
    let own = HookSpec { notice_share: NoticeShare::Own, ..other(Mode::Notify) };
    assert_eq!(taken_beside(vec![own], nothing), 4, "the other has room of its own");
    let decides =
        HookSpec { on: EventSet::EMPTY.with(EventType::AuthorizePublish), ..hook("b", Mode::Decide) };
    assert_eq!(taken_beside(vec![decides], nothing), 4, "the other is only asked");
    let in_use = |core: &mut Core<()>| core.notify(at(0), &event(EventType::PlayStart, 1, "p"));
    assert_eq!(taken_beside(vec![other(Mode::Notify)], in_use), 3, "the other uses one of the four");
    let disabled = |core: &mut Core<()>| {
        core.notify(at(0), &event(EventType::PlayStart, 1, "p"));
        let call = calls(core)[0].call;
        let gone = Failure { retry: Retry::Disable, ..Failure::new(Outcome::HandlerError, "") };
        core.answer(at(0), call, Err(gone));
    };
    assert_eq!(taken_beside(vec![other(Mode::Notify)], disabled), 4, "the other wants no more");
}

#[test]
fn a_hook_whose_calls_ended_may_take_the_last_common_room() {
    let on = |name, event| HookSpec { on: EventSet::EMPTY.with(event), ..hook(name, Mode::Notify) };
    let idle = on("idle", EventType::PlayStop);
    let mut core = shared(2, vec![hook("a", Mode::Notify), on("b", EventType::PlayStart), idle]);
    core.notify(at(0), &event(NOTICE, 1, "a"));
    let ended = calls(&mut core).remove(0);
    core.answer(at(1), ended.call, yes());
    core.notify(at(2), &event(EventType::PlayStart, 2, "b"));
    core.notify(at(2), &event(NOTICE, 3, "a"));
    assert_eq!(names(&calls(&mut core)), ["b", "a"]);
}

#[test]
fn a_reload_that_gives_more_room_serves_the_questions_that_wait() {
    let spec = |concurrency| HookSpec { concurrency, ..hook("a", Mode::Decide) };
    let mut core = core(vec![spec(1)]);
    for seq in 1..=2 {
        core.ask(at(0), event(QUESTION, seq, "a"), Duration::from_secs(5));
    }
    assert_eq!(calls(&mut core).len(), 1);
    core.replace_hooks(at(1), vec![(spec(2), ())]);
    assert_eq!(calls(&mut core)[0].event.stamp().seq, 2);
}

#[test]
fn a_hook_that_may_start_earlier_than_it_was_to_be_looked_at_is_looked_at_earlier() {
    let limited = |rate| HookSpec { rate: Some(rate), ..hook("a", Mode::Notify) };
    let mut core = core(vec![limited(1)]);
    for seq in 1..=5 {
        core.notify(at(0), &event(NOTICE, seq, &format!("k{seq}")));
    }
    outputs(&mut core);
    core.replace_hooks(at(1), vec![(limited(2), ())]);
    assert_eq!(calls(&mut core).len(), 2);
    core.tick(at(501));
    assert_eq!(calls(&mut core).len(), 1, "not only when the former rate would have let it");
}
