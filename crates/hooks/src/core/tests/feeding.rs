//! Notices of the log: back-pressure, what is done with and when, and a receiver that is away.

use super::*;
use crate::Cursor;

fn wide() -> HookSpec {
    HookSpec { concurrency: 100, ..hook("a", Mode::Notify) }
}

fn fed(hooks: Vec<HookSpec>, at: u64) -> Core<()> {
    let ids: Vec<_> = hooks.iter().map(|hook| hook.id.clone()).collect();
    let mut core = core(hooks);
    for id in ids {
        core.follow(&id, Cursor::at(at));
    }
    core
}

fn log(range: std::ops::RangeInclusive<u64>, key: impl Fn(u64) -> String) -> Vec<Arc<Event>> {
    range.map(|seq| event(NOTICE, seq, &key(seq))).collect()
}

fn give(core: &mut Core<()>, now: u64, events: &[Arc<Event>]) -> usize {
    let feed = core.feeds().remove(0);
    let first = events.first().map_or(0, |event| event.stamp().seq - 1);
    let up_to = events.last().map_or(first, |event| event.stamp().seq);
    core.feed(at(now), &feed, &Stretch { after: first, events, up_to, lost: 0, lost_by_type: &[] })
}

fn cursor(core: &mut Core<()>) -> Cursor {
    core.changed_cursors().pop().map(|(_, cursor)| cursor).unwrap()
}

fn fail(outcome: Outcome) -> Result<Answer, Failure> {
    Err(Failure::new(outcome, ""))
}

#[test]
fn a_full_queue_takes_no_more_and_calls_when_half_of_it_is_free() {
    let mut core = fed(vec![HookSpec { queue: 4, concurrency: 1, ..hook("a", Mode::Notify) }], 0);
    let events = log(1..=20, |seq| format!("k{seq}"));
    assert_eq!(give(&mut core, 0, &events), 5, "one runs and four wait");
    let feed = FeedId::Hook("a".into());
    assert_eq!(core.hunger(&feed), Hunger::Full);
    for (nth, hungry) in [(1, false), (2, true)] {
        let running = calls(&mut core).remove(0).call;
        core.answer(at(nth), running, yes());
        let hungers = |output: &Output<()>| matches!(output, Output::Hungry(_));
        let out = outputs(&mut core);
        assert_eq!(out.iter().any(hungers), hungry, "{nth}: {out:?}");
        core.outputs.extend(out);
    }
    assert_eq!(core.hunger(&feed), Hunger::After(5));
    assert_eq!(core.status()[0].tally.dropped, 0);
}

#[test]
fn what_is_not_for_the_hook_is_done_with_at_once_and_what_is_when_it_is_taken() {
    let mut core = fed(vec![wide()], 4);
    let mut events = log(5..=7, |seq| format!("k{seq}"));
    events[1] = event(EventType::PlayStart, 6, "a");
    assert_eq!(give(&mut core, 0, &events), 3);
    let running = calls(&mut core);
    assert_eq!(running.len(), 2);
    let so_far = cursor(&mut core);
    assert_eq!((so_far.done_to(), so_far.is_done(6)), (4, true));
    core.answer(at(1), running[1].call, yes());
    core.answer(at(2), running[0].call, fail(Outcome::ProtocolError));
    let so_far = cursor(&mut core);
    assert_eq!((so_far.done_to(), so_far.open_up_to(7)), (4, 1), "the first is tried again");
    let next = core.poll_timeout().unwrap();
    core.tick(next);
    let again = calls(&mut core).remove(0);
    assert_eq!((again.event.stamp().seq, again.attempt), (5, 2));
    core.answer(next, again.call, yes());
    assert_eq!(cursor(&mut core), Cursor::at(7));
}

#[test]
fn a_lane_that_stands_still_leaves_the_queue_to_others() {
    let spec = HookSpec { queue: 8, schedule: [Duration::from_secs(20)].into(), ..wide() };
    let mut core = fed(vec![spec], 0);
    // One of four is of a key whose receiver is away.
    let bad = |seq: u64| seq % 4 == 1;
    let events = log(1..=400, |seq| if bad(seq) { "bad".to_owned() } else { format!("k{seq}") });
    let (mut taken, mut told) = (0, Vec::new());
    for round in 0..400 {
        taken += give(&mut core, round, &events[taken..]);
        for call in calls(&mut core) {
            let seq = call.event.stamp().seq;
            told.push(seq);
            let end = if bad(seq) { fail(Outcome::HandlerError) } else { yes() };
            core.answer(at(round), call.call, end);
        }
    }
    assert_eq!(taken, 400, "nothing of the others waits");
    assert_eq!(told.iter().filter(|seq| !bad(**seq)).count(), 300);
    let behind = core.behind("a", 400);
    assert_eq!(behind.events, 100);
    // The receiver is back: everything comes, in its order.
    let mut order = Vec::new();
    let mut now = core.poll_timeout().unwrap();
    while order.len() < 100 {
        core.tick(now);
        if let Hunger::At(hook, positions) = core.hunger(&FeedId::Hook("a".into())) {
            for position in positions {
                core.fetched(now, &hook, position, Some(&event(NOTICE, position, "bad")));
            }
        }
        for call in calls(&mut core) {
            order.push(call.event.stamp().seq);
            core.answer(now, call.call, yes());
        }
        now = now.after(Duration::from_millis(1));
    }
    assert!(order.is_sorted() && order[0] == 1, "{order:?}");
    assert_eq!(cursor(&mut core), Cursor::at(400));
}

#[test]
fn while_the_receiver_is_away_the_order_is_kept_and_its_first_success_brings_all_forward() {
    let mut core = fed(vec![wide()], 0);
    let events = log(1..=6, |seq| format!("k{}", seq % 2));
    give(&mut core, 0, &events);
    let mut now = at(0);
    let mut tried: Vec<u64> = Vec::new();
    // Away for an hour: only the first of each key is tried.
    while now < at(3_600_000) {
        for call in calls(&mut core) {
            tried.push(call.event.stamp().seq);
            core.answer(now, call.call, fail(Outcome::ConnectError));
        }
        now = core.poll_timeout().unwrap();
        if now < at(3_600_000) {
            core.tick(now);
        }
    }
    assert!(tried.iter().all(|seq| *seq <= 2), "{tried:?}");
    // Something else arrives.
    let other = log(7..=7, |_| "other".to_owned());
    give(&mut core, 3_600_000, &other);
    let (mut told, now) = (Vec::new(), at(3_600_001));
    loop {
        let running = calls(&mut core);
        if running.is_empty() {
            break;
        }
        for call in running {
            told.push(call.event.stamp().seq);
            core.answer(now, call.call, yes());
        }
    }
    let of = |odd: u64| told.iter().copied().filter(|seq| *seq < 7 && seq % 2 == odd).collect::<Vec<_>>();
    assert_eq!((of(1), of(0)), (vec![1, 3, 5], vec![2, 4, 6]), "at once, and in order: {told:?}");
    assert_eq!(cursor(&mut core), Cursor::at(7));
}

#[test]
fn a_try_that_was_brought_forward_takes_none_of_the_schedule() {
    let spec = HookSpec { retries: Retries::of_delivery(Some(1)), ..wide() };
    let mut core = fed(vec![spec], 0);
    give(&mut core, 0, &log(1..=2, |seq| format!("k{seq}")));
    let running = calls(&mut core);
    core.answer(at(1), running[0].call, fail(Outcome::Timeout));
    core.answer(at(2), running[1].call, yes());
    let forward = calls(&mut core).remove(0);
    assert_eq!(forward.attempt, 2);
    core.answer(at(3), forward.call, fail(Outcome::Timeout));
    let due = core.poll_timeout().unwrap();
    core.tick(due);
    let last = calls(&mut core).remove(0);
    assert_eq!(last.attempt, 3);
    core.answer(due, last.call, fail(Outcome::Timeout));
    let end = settled(&mut core).pop().unwrap();
    assert_eq!((end.next, end.origin, end.attempt), (Next::Lost, Origin::Log, 3));
    assert_eq!(cursor(&mut core), Cursor::at(2), "given up is done with");
}

#[test]
fn a_disabled_hook_loses_nothing_of_the_log() {
    let mut core = fed(vec![hook("a", Mode::Notify)], 0);
    give(&mut core, 0, &log(1..=3, |seq| format!("k{seq}")));
    let running = calls(&mut core);
    core.answer(at(1), running[1].call, yes());
    let gone = Failure { retry: Retry::Disable, ..Failure::new(Outcome::HandlerError, "") };
    core.answer(at(2), running[0].call, Err(gone));
    let ends = outputs(&mut core);
    let kept = |output: &Output<()>| matches!(output, Output::Settled(end) if end.next == Next::Kept);
    assert_eq!(ends.iter().filter(|output| kept(output)).count(), 2, "{ends:?}");
    let feed = FeedId::Hook("a".into());
    assert_eq!((core.hunger(&feed), cursor(&mut core).open_up_to(3)), (Hunger::Nobody, 2));
    assert_eq!(core.notify_hook(at(3), "a", &event(NOTICE, 1, "a"), Origin::Again(1)), None);
    core.set_disabled(at(4), "a", None);
    assert!(outputs(&mut core).iter().any(|output| matches!(output, Output::Hungry(_))));
    assert_eq!(core.hunger(&feed), Hunger::After(0));
    give(&mut core, 5, &log(1..=3, |seq| format!("k{seq}")));
    let again: Vec<u64> = calls(&mut core).iter().map(|call| call.event.stamp().seq).collect();
    assert_eq!(again, [1, 3], "the second was taken");
}

#[test]
fn hooks_of_a_group_are_fed_together_in_one_order() {
    let grouped = |name, on| HookSpec {
        lane_group: Some("flags".into()),
        on: EventSet::EMPTY.with(on),
        ..hook(name, Mode::Notify)
    };
    let mut core = fed(vec![grouped("stop", EventType::StreamDelete), grouped("start", NOTICE)], 0);
    assert_eq!(core.feeds(), [FeedId::Group("flags".into())]);
    let events = [event(NOTICE, 1, "a"), event(EventType::StreamDelete, 2, "a"), event(NOTICE, 3, "a")];
    assert_eq!(give(&mut core, 0, &events), 3);
    let mut told = Vec::new();
    while let Some(call) = calls(&mut core).pop() {
        told.push((call.hook.to_string(), call.event.stamp().seq));
        core.answer(at(1), call.call, yes());
    }
    assert_eq!(told, [("start".to_owned(), 1), ("stop".to_owned(), 2), ("start".to_owned(), 3)]);
}

#[test]
fn what_the_log_has_no_more_is_told_by_its_number() {
    let mut core = fed(vec![wide()], 0);
    let feed = FeedId::Hook("a".into());
    let events = log(10..=10, |_| "a".to_owned());
    let volatile = [(NOTICE, 2), (EventType::AuthFailed, 50)];
    let stretch = Stretch { after: 0, events: &events, up_to: 10, lost: 4, lost_by_type: &volatile };
    core.feed(at(0), &feed, &stretch);
    assert_eq!(calls(&mut core)[0].num_dropped, 6, "what it does not want is not among them");
    assert_eq!(core.status()[0].tally.dropped, 6);
}

#[test]
fn a_question_that_is_told_pushes_nothing_of_the_log_out() {
    let mut core = fed(vec![HookSpec { queue: 2, concurrency: 1, ..hook("a", Mode::Notify) }], 0);
    assert_eq!(give(&mut core, 0, &log(1..=5, |seq| format!("k{seq}"))), 3);
    outputs(&mut core);
    core.ask(at(1), event(QUESTION, 9, "a"), Duration::from_secs(5));
    let drops: Vec<u64> = outputs(&mut core)
        .into_iter()
        .filter_map(|output| match output {
            Output::Dropped(drop) => Some(drop.event.stamp().seq),
            _ => None,
        })
        .collect();
    assert_eq!(drops, [9]);
}

#[test]
fn a_receiver_that_asks_for_fewer_calls_gets_fewer_and_then_again_more() {
    let mut core = fed(vec![HookSpec { concurrency: 4, ..hook("a", Mode::Notify) }], 0);
    let events = log(1..=40, |seq| format!("k{seq}"));
    give(&mut core, 0, &events);
    let running = calls(&mut core);
    assert_eq!(running.len(), 4);
    let busy = |wait| {
        let retry = Retry::After(Duration::from_secs(wait));
        Err(Failure { retry, receiver: Receiver::Busy, ..Failure::new(Outcome::HandlerError, "status 429") })
    };
    for call in &running {
        core.answer(at(1), call.call, busy(2));
    }
    assert!(calls(&mut core).is_empty(), "it rests");
    core.tick(at(1999));
    assert!(calls(&mut core).is_empty());
    core.tick(at(2001));
    let mut at_once = Vec::new();
    let mut running = calls(&mut core);
    while at_once.len() < 6 {
        at_once.push(running.len());
        let call = running.remove(0);
        core.answer(at(2002), call.call, yes());
        running.extend(calls(&mut core));
    }
    assert_eq!(at_once, [1, 2, 3, 4, 4, 4]);
}

/// Events of one key that happened at these seconds.
fn happened(seconds: &[u64]) -> Vec<Arc<Event>> {
    let timed = |(index, second): (usize, &u64)| {
        let seq = index as u64 + 1;
        let time = UnixTime(i64::try_from(second * 1_000_000).unwrap());
        let stamp = Stamp { id: Ulid(u128::from(seq)), seq, node: "n".into(), time };
        let scope = Scope { stream_key: Some(StreamKey::parse("k").unwrap()), ..Scope::default() };
        Arc::new(Event::new(NOTICE, stamp, scope, Vec::new()))
    };
    seconds.iter().enumerate().map(timed).collect()
}

/// Answers every call so until nothing is left; when each event was over, in seconds, and whether it was given up.
fn play(
    core: &mut Core<()>,
    answer: impl Fn(&Request<()>, u64) -> Result<Answer, Failure>,
) -> Vec<(u64, u64, bool)> {
    let mut over = Vec::new();
    loop {
        let now = core.now;
        let second = (now - Mono::ZERO).as_secs();
        let mut came = Vec::new();
        for output in outputs(core) {
            match output {
                Output::Call(call) => came.push(call),
                Output::Settled(end) if matches!(end.next, Next::Lost | Next::Over) => {
                    over.push((end.event.stamp().seq, second, end.next == Next::Lost));
                }
                _ => {}
            }
        }
        if !came.is_empty() {
            for call in came {
                core.answer(now, call.call, answer(&call, second));
            }
            continue;
        }
        match core.poll_timeout() {
            Some(next) => core.tick(next),
            None => return over,
        }
    }
}

fn patient() -> HookSpec {
    let schedule = [100, 200].map(Duration::from_secs).into();
    HookSpec {
        schedule,
        retries: Retries { limit: 2, ..Retries::of_delivery(None) },
        ..hook("a", Mode::Notify)
    }
}

/// Exactly the schedule, without its jitter.
fn gone() -> Result<Answer, Failure> {
    Err(Failure { retry: Retry::After(Duration::ZERO), ..Failure::new(Outcome::ConnectError, "") })
}

#[test]
fn what_follows_an_event_that_was_given_up_is_waited_for_no_longer_than_that_was() {
    let mut core = fed(vec![patient()], 0);
    give(&mut core, 0, &happened(&[0, 10, 50, 1000]));
    // The first has its schedule, 300 s; the others as long, counted from when they happened; the last one's ends before.
    let over = play(&mut core, |_, _| gone());
    assert_eq!(over, [(1, 300, true), (2, 310, true), (3, 350, true), (4, 650, true)]);
    assert_eq!(cursor(&mut core), Cursor::at(4), "all are done with");
}

#[test]
fn what_is_older_than_an_event_that_was_given_up_is_not_waited_for_either() {
    let mut core = fed(vec![patient()], 0);
    let events = happened(&[0, 20, 10]);
    give(&mut core, 0, &events);
    let over = play(&mut core, |_, _| gone());
    assert_eq!(over, [(1, 300, true), (2, 320, true), (3, 320, true)]);
}

#[test]
fn once_the_receiver_has_taken_something_each_event_has_its_whole_schedule_again() {
    let mut core = fed(vec![patient()], 0);
    give(&mut core, 0, &happened(&[0, 10, 20]));
    let over = play(&mut core, |call, _| if call.event.stamp().seq == 2 { yes() } else { gone() });
    assert_eq!(over, [(1, 300, true), (2, 300, false), (3, 600, true)]);
}

#[test]
fn an_event_that_the_receiver_refuses_takes_nothing_from_others() {
    let mut core = fed(vec![patient()], 0);
    give(&mut core, 0, &happened(&[0, 10]));
    let refused =
        || Err(Failure { retry: Retry::After(Duration::ZERO), ..Failure::new(Outcome::HandlerError, "") });
    let over = play(&mut core, |call, _| if call.event.stamp().seq == 1 { refused() } else { gone() });
    // It stepped aside at once: the second begins with it.
    assert_eq!(over, [(1, 300, true), (2, 300, true)]);
}
