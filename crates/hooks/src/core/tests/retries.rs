//! Further tries, and the lanes that wait for them.

use super::*;
use crate::RetryAfter;

/// How many tries a notice gets whose handler fails so every time.
fn tries(retries: Retries, outcome: Outcome, retry: Retry) -> usize {
    let mut core = core(vec![HookSpec { retries, ..hook("a", Mode::Notify) }]);
    core.notify(at(0), &event(NOTICE, 1, "a"));
    let mut count = 0;
    loop {
        for call in calls(&mut core) {
            count += 1;
            let now = core.now;
            core.answer(now, call.call, Err(Failure { retry, ..Failure::new(outcome, "") }));
        }
        match core.poll_timeout() {
            Some(next) => core.tick(next),
            None => return count,
        }
    }
}

#[test]
fn what_is_tried_again_is_said_by_the_failure_and_the_kind_of_hook() {
    let of = |after| Retries { limit: 2, after };
    let error = Outcome::HandlerError;
    for (after, outcome, retry, expect) in [
        (RetryAfter::Asked, error, Retry::No, 1),
        (RetryAfter::Asked, error, Retry::Scheduled, 3),
        (RetryAfter::Asked, Outcome::Timeout, Retry::No, 1),
        (RetryAfter::Failure, error, Retry::No, 1),
        (RetryAfter::Failure, error, Retry::Scheduled, 3),
        (RetryAfter::Failure, Outcome::Timeout, Retry::No, 3),
        (RetryAfter::Any, error, Retry::No, 3),
        (RetryAfter::Any, error, Retry::Disable, 1),
        (RetryAfter::Any, Outcome::Late, Retry::Scheduled, 1),
    ] {
        assert_eq!(tries(of(after), outcome, retry), expect, "{after:?} {outcome} {retry:?}");
    }
    assert_eq!(tries(Retries { limit: 0, after: RetryAfter::Any }, error, Retry::Scheduled), 1);
}

#[test]
fn the_schedule_is_that_of_the_documentation() {
    let mut core = core(vec![hook("a", Mode::Notify)]);
    core.notify(at(0), &event(NOTICE, 1, "a"));
    let mut pauses = Vec::new();
    loop {
        let now = core.now;
        let call = calls(&mut core).remove(0);
        // A wish for less than the schedule gives exactly the schedule, without its jitter.
        let retry = Retry::After(Duration::ZERO);
        core.answer(now, call.call, Err(Failure { retry, ..Failure::new(Outcome::HandlerError, "") }));
        let Some(next) = core.poll_timeout() else { break };
        pauses.push((next - now).as_secs());
        core.tick(next);
    }
    assert_eq!(pauses, [1, 5, 30, 120, 600, 1800, 7200, 18_000, 36_000]);
}

#[test]
fn thirty_seconds_after_its_first_failure_a_notice_may_still_hold_its_lane() {
    for (pause_ends, expect) in [(30_000, [1, 1, 1]), (30_001, [1, 1, 2])] {
        let mut core = core(vec![HookSpec { concurrency: 1, ..hook("a", Mode::Notify) }]);
        core.notify(at(0), &event(NOTICE, 1, "a"));
        core.notify(at(0), &event(NOTICE, 2, "a"));
        let failed = |retry| Err(Failure { retry, ..Failure::new(Outcome::HandlerError, "") });
        let mut seen = Vec::new();
        // The second try fails so late that its pause of five seconds ends there.
        for fails_at in [0, pause_ends - 5000, pause_ends] {
            if let Some(next) = core.poll_timeout().filter(|next| *next <= at(fails_at)) {
                core.tick(next);
            }
            let Some(call) = calls(&mut core).pop() else { break };
            seen.push(call.event.stamp().seq);
            core.answer(at(fails_at), call.call, failed(Retry::After(Duration::ZERO)));
        }
        assert_eq!(seen, expect, "{pause_ends}");
    }
}

#[test]
fn a_reload_keeps_notices_in_order_and_what_runs_in_front() {
    let mut core = core(vec![hook("a", Mode::Notify)]);
    for seq in 1..=3 {
        core.notify(at(0), &event(NOTICE, seq, "a"));
    }
    let first = calls(&mut core).remove(0);
    core.replace_hooks(at(1), vec![(hook("a", Mode::Notify), ())]);
    assert!(calls(&mut core).is_empty(), "the first still runs");
    core.answer(at(2), first.call, yes());
    let second = calls(&mut core);
    assert_eq!((second.len(), second[0].event.stamp().seq), (1, 2));
    core.replace_hooks(at(3), vec![(hook("a", Mode::Notify), ())]);
    core.answer(at(4), second[0].call, yes());
    let third = calls(&mut core);
    assert_eq!((third.len(), third[0].event.stamp().seq), (1, 3));
    core.answer(at(5), third[0].call, yes());
    assert!(core.is_quiet(at(5)) && core.lanes.is_empty());
}

#[test]
fn a_reload_that_puts_two_lanes_into_one_waits_for_both_that_run() {
    let mut core = core(vec![hook("a", Mode::Notify), hook("b", Mode::Notify)]);
    core.notify(at(0), &event(NOTICE, 1, "k"));
    let running = calls(&mut core);
    assert_eq!(running.len(), 2);
    let grouped = |name| HookSpec { lane_group: Some("g".into()), ..hook(name, Mode::Notify) };
    core.replace_hooks(at(1), vec![(grouped("a"), ()), (grouped("b"), ())]);
    core.notify(at(2), &event(NOTICE, 2, "k"));
    core.answer(at(3), running[0].call, yes());
    assert!(calls(&mut core).is_empty(), "one of the two still runs");
    core.answer(at(4), running[1].call, yes());
    assert_eq!(calls(&mut core).len(), 1);
}

#[test]
fn a_notice_that_waits_for_room_waits_for_it_under_the_new_hooks_too() {
    let narrow = |queue| HookSpec { concurrency: 1, queue, ..hook("a", Mode::Notify) };
    let mut core = core(vec![narrow(10)]);
    for seq in 1..=3 {
        core.notify(at(0), &event(NOTICE, seq, &format!("k{seq}")));
    }
    let first = calls(&mut core).remove(0);
    core.replace_hooks(at(1), vec![(narrow(9), ())]);
    assert_eq!(core.status()[0].queued, 2);
    core.answer(at(2), first.call, yes());
    let second = calls(&mut core).remove(0);
    core.answer(at(3), second.call, yes());
    let third = calls(&mut core).remove(0);
    assert_eq!([second.event.stamp().seq, third.event.stamp().seq], [2, 3]);
    core.answer(at(4), third.call, yes());
    assert!(calls(&mut core).is_empty() && core.is_quiet(at(4)), "each is told once");
}

fn away(retry: Retry) -> Result<Answer, Failure> {
    Err(Failure { retry, receiver: Receiver::Away, ..Failure::new(Outcome::HandlerError, "status 503") })
}

/// Fails every call of the core until then; returns when each came, in seconds, and of what.
fn fail_until(core: &mut Core<()>, until: u64, with: Retry) -> Vec<(u64, u64)> {
    let mut seen = Vec::new();
    loop {
        for call in calls(core) {
            let now = core.now;
            seen.push(((now - Mono::ZERO).as_secs(), call.event.stamp().seq));
            core.answer(now, call.call, away(with));
        }
        match core.poll_timeout().filter(|next| *next <= at(until * 1000)) {
            Some(next) => core.tick(next),
            None => return seen,
        }
    }
}

#[test]
fn a_receiver_that_is_away_is_looked_for_every_thirty_seconds_each_time_with_another_notice() {
    let schedule = [Duration::from_secs(1000)].into();
    let mut core = core(vec![HookSpec { schedule, ..hook("a", Mode::Notify) }]);
    for (seq, key) in [(1, "a"), (2, "b"), (3, "c"), (4, "a")] {
        core.notify(at(0), &event(NOTICE, seq, key));
    }
    let seen = fail_until(&mut core, 150, Retry::Scheduled);
    assert_eq!(seen, [(0, 1), (0, 2), (0, 3), (30, 1), (60, 2), (90, 3), (120, 1), (150, 2)]);
    core.tick(at(179_999));
    assert!(calls(&mut core).is_empty());
    core.tick(at(180_000));
    let back = calls(&mut core);
    assert_eq!((back.len(), back[0].event.stamp().seq), (1, 3));
    core.answer(at(180_000), back[0].call, yes());
    let rest = calls(&mut core);
    assert_eq!(rest.iter().map(|call| call.event.stamp().seq).collect::<Vec<_>>(), [1, 2]);
    for call in rest {
        core.answer(at(180_001), call.call, yes());
    }
    let last = calls(&mut core);
    assert_eq!((last.len(), last[0].event.stamp().seq), (1, 4));
    core.answer(at(180_002), last[0].call, yes());
    assert!(core.is_quiet(at(999_000)));
}

#[test]
fn looking_for_a_receiver_takes_none_of_the_schedule_and_moves_none_of_it() {
    let schedule = [100, 200].map(Duration::from_secs).into();
    let retries = Retries { limit: 2, after: RetryAfter::Asked };
    let mut core = core(vec![HookSpec { schedule, retries, ..hook("a", Mode::Notify) }]);
    core.notify(at(0), &event(NOTICE, 1, "a"));
    // A wish for less than the schedule gives exactly the schedule, without its jitter.
    let seen = fail_until(&mut core, 1000, Retry::After(Duration::ZERO));
    let times: Vec<u64> = seen.into_iter().map(|(at, _)| at).collect();
    assert_eq!(times, [0, 30, 60, 90, 100, 130, 160, 190, 220, 250, 280, 300]);
    assert_eq!(core.status()[0].tally.lost, 1);
    assert!(core.poll_timeout().is_none());
}

#[test]
fn a_receiver_that_says_when_it_is_back_is_not_looked_for_before() {
    let schedule = [Duration::from_secs(100)].into();
    let mut core = core(vec![HookSpec { schedule, ..hook("a", Mode::Notify) }]);
    core.notify(at(0), &event(NOTICE, 1, "a"));
    let seen = fail_until(&mut core, 400, Retry::After(Duration::from_secs(80)));
    let times: Vec<u64> = seen.into_iter().map(|(at, _)| at).collect();
    assert_eq!(times, [0, 80, 100, 180, 200, 280, 300, 380, 400]);
}

#[test]
fn what_a_success_brought_forward_in_vain_is_brought_forward_again_once_the_receiver_was_looked_for() {
    let schedule = [Duration::from_secs(1000)].into();
    let mut core = core(vec![HookSpec { schedule, ..hook("a", Mode::Notify) }]);
    for (seq, key) in [(1, "a"), (2, "b"), (3, "c")] {
        core.notify(at(0), &event(NOTICE, seq, key));
    }
    let mut first = calls(&mut core);
    let good = first.remove(2);
    for call in first {
        core.answer(at(0), call.call, away(Retry::Scheduled));
    }
    core.answer(at(1000), good.call, yes());
    for call in calls(&mut core) {
        core.answer(at(1000), call.call, away(Retry::Scheduled));
    }
    core.notify(at(2000), &event(NOTICE, 4, "d"));
    let other = calls(&mut core).remove(0);
    core.answer(at(2000), other.call, yes());
    assert!(calls(&mut core).is_empty(), "once for each failure");
    core.tick(at(31_000));
    let probe = calls(&mut core).remove(0);
    core.answer(at(31_000), probe.call, yes());
    assert_eq!(calls(&mut core).len(), 1);
}
