//! What is made of the end of a call.

use super::*;
use crate::BreakerState;

/// Asks one hook, ends its call so after so long, and tells what the trace says of it.
fn ended(after: u64, result: Result<Answer, Failure>) -> Settled {
    let mut core = core(vec![hook("a", Mode::Decide)]);
    core.ask(at(0), event(QUESTION, 1, "a"), Duration::from_secs(5));
    let call = calls(&mut core)[0].call;
    core.answer(at(after), call, result);
    settled(&mut core).remove(0)
}

fn failed(outcome: Outcome) -> Result<Answer, Failure> {
    Err(Failure::new(outcome, "why"))
}

#[test]
fn an_end_before_the_deadline_is_what_the_transport_says() {
    for (result, outcome) in [
        (yes(), Outcome::Answered),
        (failed(Outcome::ConnectError), Outcome::ConnectError),
        (failed(Outcome::Crashed), Outcome::Crashed),
    ] {
        let settled = ended(1999, result);
        assert_eq!((settled.outcome, settled.sent, settled.ended), (outcome, Some(at(0)), at(1999)));
    }
}

#[test]
fn a_failure_at_the_deadline_is_a_timeout_whatever_the_transport_calls_it() {
    assert_eq!(ended(2000, failed(Outcome::ConnectError)).outcome, Outcome::Timeout);
    assert_eq!(ended(2000, failed(Outcome::ConnectError)).detail, "why");
    assert_eq!(ended(2000, yes()).outcome, Outcome::Late);
}

#[test]
fn a_failure_cannot_call_itself_answered() {
    assert_eq!(ended(1, failed(Outcome::Answered)).outcome, Outcome::ProtocolError);
}

#[test]
fn a_call_that_nobody_ends_is_stopped_at_its_deadline() {
    let mut core = core(vec![hook("a", Mode::Decide)]);
    core.ask(at(0), event(QUESTION, 1, "a"), Duration::from_secs(5));
    let call = calls(&mut core)[0].call;
    assert_eq!(core.poll_timeout(), Some(at(2000)));
    core.tick(at(1999));
    assert!(outputs(&mut core).is_empty());
    core.tick(at(2000));
    let ends = outputs(&mut core);
    assert!(matches!(ends[0], Output::Cancel { call: stopped, .. } if stopped == call));
    assert!(matches!(&ends[1], Output::Settled(end) if end.outcome == Outcome::Timeout));
    assert!(core.poll_timeout().is_none() && core.status()[0].questions_running == 0);
}

#[test]
fn what_is_counted_of_a_call_is_what_came_of_it() {
    let letting = HookSpec { on_error: Some(OnError::Allow), ..hook("a", Mode::Decide) };
    let mut asked = core(vec![letting]);
    for (seq, result) in [(1, yes()), (2, failed(Outcome::Crashed)), (3, yes())] {
        asked.ask(at(seq), event(QUESTION, seq, "a"), Duration::from_secs(5));
        let call = calls(&mut asked)[0].call;
        asked.answer(at(seq), call, result);
    }
    let tally = &asked.status()[0].tally;
    assert_eq!((tally.outcome(Outcome::Answered), tally.passed), (2, 2));
    assert_eq!((tally.outcome(Outcome::Crashed), tally.failopens), (1, 1));
    assert_eq!((tally.lost, tally.retried), (0, 0));

    let mut told = core(vec![hook("b", Mode::Notify)]);
    told.notify(at(0), &event(NOTICE, 1, "a"));
    let call = calls(&mut told)[0].call;
    told.answer(at(9), call, failed(Outcome::ConnectError));
    let tally = &told.status()[0].tally;
    assert_eq!((tally.retried, tally.lost, tally.failopens), (1, 0, 0));
}

#[test]
fn a_breaker_tells_each_of_its_states_once() {
    let spec = HookSpec { retries: Retries::of_delivery(Some(0)), ..hook("a", Mode::Notify) };
    let mut core = core(vec![spec]);
    let mut told = Vec::new();
    let mut round = |core: &mut Core<()>, now, seq, result| {
        core.notify(now, &event(NOTICE, seq, "a"));
        let mut call = None;
        for output in outputs(core) {
            match output {
                Output::Breaker { state, .. } => told.push(state),
                Output::Call(request) => call = Some(request.call),
                _ => {}
            }
        }
        if let Some(call) = call {
            core.answer(now, call, result);
        }
        told.extend(outputs(core).into_iter().filter_map(|output| match output {
            Output::Breaker { state, .. } => Some(state),
            _ => None,
        }));
    };
    for seq in 1..=20 {
        round(&mut core, at(seq), seq, failed(Outcome::Crashed));
    }
    for seq in 21..=23 {
        round(&mut core, at(10_000), seq, yes());
    }
    let BreakerState::Open { until } = told[0] else { unreachable!("it opened first: {told:?}") };
    assert!((at(4000)..at(6100)).contains(&until));
    assert_eq!(told[1..], [BreakerState::HalfOpen, BreakerState::Closed]);
}
