//! Chains: who is asked, in which order, and what the verdict is made of.

use super::*;
use jackfield_events::{Denial, Reason};

fn verdicts(outputs: &[Output<()>]) -> Vec<&Verdict> {
    outputs
        .iter()
        .filter_map(|o| if let Output::Verdict { verdict, .. } = o { Some(verdict) } else { None })
        .collect()
}

/// Asks, has each hook say what `says` maps its name to, and returns the names in order and the verdict.
fn asked(hooks: Vec<HookSpec>, says: impl Fn(&str) -> Result<Answer, Failure>) -> (Vec<String>, Verdict) {
    let mut core = core(hooks);
    core.ask(at(0), event(QUESTION, 1, "a"), Duration::from_secs(5));
    let mut names = Vec::new();
    loop {
        let outputs = outputs(&mut core);
        if let Some(verdict) = verdicts(&outputs).first() {
            assert_eq!(verdicts(&outputs).len(), 1);
            return (names, (*verdict).clone());
        }
        let Some(Output::Call(call)) = outputs.into_iter().find(|o| matches!(o, Output::Call(_))) else {
            unreachable!("neither a call nor a verdict")
        };
        names.push(call.hook.to_string());
        core.answer(at(1), call.call, says(&call.hook));
    }
}

fn says(decision: Decision) -> Result<Answer, Failure> {
    Ok(Answer::bare(decision))
}

fn hooks(names: &[&str]) -> Vec<HookSpec> {
    names.iter().map(|name| hook(name, Mode::Decide)).collect()
}

#[test]
fn hooks_that_decide_the_event_and_the_stream_are_asked_in_their_order() {
    let on = EventSet::EMPTY.with(EventType::AuthorizePublish);
    let mut chain = hooks(&["one", "two"]);
    chain.insert(1, hook("told", Mode::Notify));
    chain.insert(1, HookSpec::new("other", on, Mode::Decide));
    chain.push(HookSpec {
        streams: crate::Selector::parse(&["b"]).unwrap(),
        ..hook("elsewhere", Mode::Decide)
    });
    chain.push(hook("three", Mode::Decide));
    let (names, verdict) = asked(chain, |_| says(Decision::Allow));
    assert_eq!(names, ["one", "two", "three"]);
    assert_eq!(verdict, Verdict::Allow { key: None, failopen: Vec::new(), tags: BTreeMap::new() });
}

#[test]
fn a_deny_ends_the_chain_with_its_reason() {
    let (names, verdict) = asked(hooks(&["one", "two"]), |_| {
        let reason = Reason { code: Some("c".into()), ..Reason::default() };
        Ok(Answer { reason, ..Answer::bare(Decision::Deny) })
    });
    assert_eq!(names, ["one"]);
    let Verdict::Deny(Denial { hook, reason, .. }) = verdict else { unreachable!("it is denied") };
    assert_eq!((&*hook, reason.code.as_deref()), ("one", Some("c")));
}

#[test]
fn tags_come_of_those_that_allow_and_a_later_one_wins() {
    let (_, verdict) = asked(hooks(&["one", "two", "pass"]), |name| {
        let decision = if name == "pass" { Decision::Pass } else { Decision::Allow };
        let tags = [("by".into(), name.into()), (name.into(), "1".into())].into();
        Ok(Answer { tags, ..Answer::bare(decision) })
    });
    let Verdict::Allow { tags, .. } = verdict else { unreachable!("it is allowed") };
    let tags: Vec<(&str, &str)> = tags.iter().map(|(name, value)| (&**name, &**value)).collect();
    assert_eq!(tags, [("by", "two"), ("one", "1"), ("two", "1")]);
}

#[test]
fn a_later_replacement_wins_and_the_trace_says_whose_it_took_the_place_of() {
    let mut core = core(hooks(&["one", "two"]));
    core.ask(at(0), event(QUESTION, 1, "a"), Duration::from_secs(5));
    let first = calls(&mut core).remove(0);
    core.answer(at(1), first.call, says(Decision::Replace("b".into())));
    let second = calls(&mut core).remove(0);
    assert_eq!(second.event.scope().stream_key, Some(StreamKey::parse("b").unwrap()));
    core.answer(at(2), second.call, says(Decision::Replace("c".into())));
    let ends = outputs(&mut core);
    let overrides =
        ends.iter().find_map(|o| if let Output::Settled(end) = o { end.overrides.clone() } else { None });
    assert_eq!(overrides.as_deref(), Some("one"));
    let Verdict::Allow { key, .. } = verdicts(&ends)[0] else { unreachable!("it is allowed") };
    assert_eq!(key.as_ref().map(StreamKey::as_str), Some("live/c"));
}

#[test]
fn a_value_that_is_no_key_and_a_replacement_where_there_is_none_are_failures() {
    let (_, verdict) = asked(hooks(&["one"]), |_| says(Decision::Replace("../x".into())));
    assert!(matches!(verdict, Verdict::Deny(_)));
    let on = EventSet::EMPTY.with(EventType::AuthorizePublish);
    let mut core = core(vec![HookSpec::new("a", on, Mode::Decide)]);
    core.ask(at(0), event(EventType::AuthorizePublish, 1, "a"), Duration::from_secs(5));
    let call = calls(&mut core).remove(0);
    core.answer(at(1), call.call, says(Decision::Replace("b".into())));
    let ends = outputs(&mut core);
    assert!(ends.iter().any(|o| matches!(o, Output::Settled(end) if end.outcome == Outcome::ProtocolError)));
    assert!(matches!(verdicts(&ends)[0], Verdict::Deny(_)));
}

#[test]
fn a_failure_does_what_the_hooks_policy_says_and_leaves_what_was_replaced() {
    let failing = |on_error| HookSpec { on_error: Some(on_error), ..hook("failing", Mode::Decide) };
    let fails_second = |name: &str| match name {
        "failing" => Err(Failure::new(Outcome::Crashed, "signal 9")),
        _ => says(Decision::Replace("b".into())),
    };
    let chain = |policy| vec![hook("one", Mode::Decide), failing(policy)];

    let (_, verdict) = asked(chain(OnError::Allow), fails_second);
    let Verdict::Allow { key, failopen, .. } = verdict else { unreachable!("it is let through") };
    assert_eq!((key.unwrap().as_str(), failopen), ("live/b", vec!["failing".into()]));

    let (_, verdict) = asked(chain(OnError::Deny), fails_second);
    let Verdict::Deny(denial) = verdict else { unreachable!("it is denied") };
    assert_eq!(
        (denial.reason.code.as_deref(), denial.reason.text.as_deref()),
        (Some("crashed"), Some("signal 9"))
    );
    assert_eq!(denial.reason.public, None, "what failed is not for the client");

    let (_, verdict) = asked(chain(OnError::Value("no key\n".into())), fails_second);
    assert!(matches!(verdict, Verdict::Deny(_)), "a value that cannot act denies");
}

#[test]
fn the_budget_ends_what_the_hooks_own_time_does_not() {
    let slow = HookSpec {
        question_timeout: Duration::from_secs(3),
        on_error: Some(OnError::Allow),
        ..hook("a", Mode::Decide)
    };
    let mut core = core(vec![
        slow.clone(),
        HookSpec { id: "b".into(), name: "b".into(), ..slow.clone() },
        HookSpec { id: "c".into(), name: "c".into(), ..slow },
    ]);
    core.ask(at(0), event(QUESTION, 1, "a"), Duration::from_secs(5));
    assert_eq!(calls(&mut core)[0].deadline, at(3000));
    core.tick(at(3000));
    assert_eq!(calls(&mut core)[0].deadline, at(5000));
    core.tick(at(5000));
    let ends = outputs(&mut core);
    let outcomes: Vec<(Outcome, Option<Mono>, Option<OnError>)> = ends
        .iter()
        .filter_map(|o| {
            if let Output::Settled(end) = o {
                Some((end.outcome, end.sent, end.policy.clone()))
            } else {
                None
            }
        })
        .collect();
    let allow = Some(OnError::Allow);
    assert_eq!(outcomes, [(Outcome::Budget, Some(at(3000)), allow.clone()), (Outcome::Budget, None, allow)]);
    assert_eq!(verdicts(&ends).len(), 1);
}

#[test]
fn a_hooks_own_time_that_ends_with_the_budget_is_the_budgets_end() {
    let mut core = core(hooks(&["a"]));
    core.ask(at(0), event(QUESTION, 1, "a"), Duration::from_secs(2));
    core.tick(at(2000));
    assert_eq!(settled(&mut core)[0].outcome, Outcome::Budget);
}

#[test]
fn unknown_fields_are_counted() {
    let mut core = core(hooks(&["a"]));
    for seq in 1..=2 {
        core.ask(at(seq), event(QUESTION, seq, "a"), Duration::from_secs(5));
        let call = calls(&mut core)[0].call;
        core.answer(at(seq), call, Ok(Answer { unknown_fields: 3, ..Answer::bare(Decision::Pass) }));
    }
    assert_eq!(core.status()[0].tally.unknown_fields, 6);
}

#[test]
fn who_leaves_gets_no_verdict_and_what_runs_or_waits_for_him_is_stopped() {
    let mut core =
        core(vec![HookSpec { concurrency: 1, ..hook("a", Mode::Decide) }, hook("told", Mode::Notify)]);
    let running = core.ask(at(0), event(QUESTION, 1, "a"), Duration::from_secs(5));
    let waiting = core.ask(at(0), event(QUESTION, 2, "b"), Duration::from_secs(5));
    let call = calls(&mut core)[0].call;
    core.cancel_question(at(1), waiting);
    let ends = outputs(&mut core);
    assert!(ends.iter().any(
        |o| matches!(o, Output::Settled(end) if end.outcome == Outcome::Cancelled && end.sent.is_none())
    ));
    assert!(
        ends.iter().any(|o| matches!(o, Output::Call(told) if &*told.hook == "told")),
        "it was asked: that is told"
    );
    assert_eq!((core.status()[0].asking, verdicts(&ends).len()), (0, 0));
    core.cancel_question(at(2), running);
    let ends = outputs(&mut core);
    assert!(ends.iter().any(|o| matches!(o, Output::Cancel { call: stopped, .. } if *stopped == call)));
    assert!(ends.iter().any(
        |o| matches!(o, Output::Settled(end) if end.outcome == Outcome::Cancelled && end.next == Next::Over)
    ));
    assert_eq!((core.status()[0].questions_running, verdicts(&ends).len()), (0, 0));
}

#[test]
fn a_question_goes_on_under_the_hooks_that_it_started_with_and_they_are_forgotten_after_it() {
    let mut core = core(hooks(&["one", "two"]));
    core.ask(at(0), event(QUESTION, 1, "a"), Duration::from_secs(5));
    let first = calls(&mut core)[0].call;
    core.replace_hooks(at(1), vec![(hook("new", Mode::Decide), ())]);
    assert_eq!(core.slots.len(), 3);
    core.answer(at(2), first, says(Decision::Pass));
    let second = calls(&mut core).remove(0);
    assert_eq!(&*second.hook, "two");
    core.ask(at(3), event(QUESTION, 2, "b"), Duration::from_secs(5));
    assert_eq!(&*calls(&mut core)[0].hook, "new");
    core.answer(at(4), second.call, says(Decision::Pass));
    assert_eq!((verdicts(&outputs(&mut core)).len(), core.slots.len(), core.removed), (1, 1, 0));
}

#[test]
fn hooks_that_are_taken_out_while_nobody_asks_are_forgotten_at_once() {
    let mut core = core(vec![HookSpec { rate: Some(1), ..hook("a", Mode::Notify) }, hook("b", Mode::Notify)]);
    for seq in 1..=2 {
        core.notify(at(0), &event(NOTICE, seq, &format!("k{seq}")));
    }
    assert!(core.poll_timeout().is_some());
    core.replace_hooks(at(1), Vec::new());
    assert_eq!((core.slots.len(), core.removed, core.poll_timeout()), (0, 0, None));
    assert!(core.wanted().is_empty() && core.lanes.is_empty() && core.calls.is_empty());
    core.replace_hooks(at(2), vec![(hook("a", Mode::Notify), ()), (hook("a", Mode::Decide), ())]);
    assert_eq!(core.status().len(), 1, "of two of one name the first counts");
    assert!(core.wanted().contains(NOTICE) && core.wanted().contains(QUESTION));
}
