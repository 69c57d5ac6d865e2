//! Calls: sent, returned, expired, cancelled. Every call that was sent is closed in [`Core::close`] and
//! nowhere else, and every outcome is told in [`Core::settle`].

use super::slot::{Due, HookId};
use super::{CallId, Core, Next, Origin, Output, Owner, Request, Settled};
use crate::breaker::Pass;
use crate::{DeliveryId, Failure, Mode, Mutation, NoticeShare, Outcome, Receiver, Retry};
use jackfield_events::{Answer, Decision, Event, OnError};
use jackfield_media::{Mono, Text};
use std::sync::Arc;

/// What a call is, whether it was sent or not.
#[derive(Debug)]
pub(super) struct CallHead {
    pub(super) call: CallId,
    pub(super) delivery: DeliveryId,
    pub(super) hook: HookId,
    pub(super) id: Text,
    pub(super) name: Text,
    pub(super) owner: Owner,
    pub(super) origin: Origin,
    pub(super) first_failed: Option<Mono>,
    pub(super) event: Arc<Event>,
    pub(super) attempt: u32,
    pub(super) queued: Mono,
}

/// Until when a call may last, and what it means that it lasts longer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline {
    pub(super) at: Mono,
    /// [`Outcome::Timeout`] or [`Outcome::Budget`].
    pub(super) outcome: Outcome,
    /// When it is over, though its transport has not said so; not before `at`.
    pub(super) over: Mono,
}

/// A call that was sent and has not ended.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) head: CallHead,
    sent: Mono,
    deadline: Deadline,
    pass: Pass,
    share: NoticeShare,
}

/// A call about to be sent.
pub(super) struct Sending<H> {
    pub(super) head: CallHead,
    pub(super) handler: H,
    pub(super) num_dropped: u64,
    pub(super) deadline: Deadline,
    pub(super) share: NoticeShare,
}

/// How a call ended, and what the engine makes of it.
#[derive(Debug)]
pub(super) struct Ending {
    pub(super) outcome: Outcome,
    pub(super) decision: Option<Decision>,
    pub(super) policy: Option<OnError>,
    pub(super) overrides: Option<Text>,
    pub(super) detail: String,
    pub(super) next: Next,
}

impl Ending {
    pub(super) fn answered(decision: Decision) -> Self {
        let outcome = Outcome::Answered;
        let decision = Some(decision);
        Self { outcome, decision, policy: None, overrides: None, detail: String::new(), next: Next::Over }
    }

    pub(super) fn failed(failure: &Failure) -> Self {
        let (outcome, detail) = (failure.outcome, failure.detail.clone());
        Self { outcome, decision: None, policy: None, overrides: None, detail, next: Next::Over }
    }
}

/// A failure that the core makes itself.
pub(super) fn failure(outcome: Outcome, detail: &str) -> Failure {
    Failure { retry: Retry::No, ..Failure::new(outcome, detail) }
}

impl<H: Clone> Core<H> {
    /// Sends a call: takes its room, its rate and its place in the breaker.
    pub(super) fn send(&mut self, sending: Sending<H>) {
        let Sending { head, handler, num_dropped, deadline, share } = sending;
        let Some(slot) = self.slots.get_mut(&head.hook) else { return };
        let before = slot.breaker.state();
        let pass = slot.breaker.enter(self.now);
        let after = slot.breaker.state();
        if before != after {
            self.outputs.push_back(Output::Breaker { hook: head.name.clone(), state: after });
        }
        if let Some(rate) = &mut slot.rate {
            rate.take(self.now);
        }
        let mode = match head.owner {
            Owner::Question(_) => {
                slot.questions_out += 1;
                Mode::Decide
            }
            Owner::Notice => {
                slot.notices_out += 1;
                // It may have been the last probe: then the questions that wait are refused.
                self.asked.insert(head.hook);
                self.shared_out += usize::from(share == NoticeShare::Shared);
                slot.shared_out += usize::from(share == NoticeShare::Shared);
                Mode::Notify
            }
        };
        self.timers.insert((deadline.over, Due::Call(head.call)));
        self.outputs.push_back(Output::Call(Request {
            call: head.call,
            delivery: head.delivery,
            hook: head.name.clone(),
            handler,
            mode,
            event: Arc::clone(&head.event),
            attempt: head.attempt,
            num_dropped,
            deadline: deadline.at,
            owner: head.owner,
        }));
        self.calls.insert(head.call, Running { head, sent: self.now, deadline, pass, share });
    }

    /// The handler's end of a call came back.
    pub(super) fn returned(&mut self, call: CallId, result: Result<Answer, Failure>) {
        let Some(running) = self.calls.get(&call) else { return };
        let in_time = self.now < running.deadline.at || self.is(Mutation::LateAnswerCounts);
        let result = match result {
            Ok(answer) if in_time => Ok(answer),
            Ok(_late) => Err(failure(Outcome::Late, "the answer came after its deadline")),
            // The transport's clock and ours met at the same deadline: that is one timeout.
            Err(failed) if !in_time => {
                let outcome = running.deadline.outcome;
                Err(Failure { outcome, receiver: Receiver::after(outcome), ..failed })
            }
            Err(failed) if failed.outcome == Outcome::Answered => {
                Err(Failure { outcome: Outcome::ProtocolError, ..failed })
            }
            Err(failed) => Err(failed),
        };
        self.conclude_call(call, result);
    }

    /// A call's deadline has passed, and the time to end what it started.
    pub(super) fn expired(&mut self, call: CallId) {
        let Some(running) = self.calls.get(&call) else { return };
        let (owner, outcome) = (running.head.owner, running.deadline.outcome);
        if matches!(owner, Owner::Question(_)) && self.is(Mutation::TimeoutForgotten) {
            return;
        }
        self.outputs.push_back(Output::Cancel { call, owner });
        self.conclude_call(call, Err(failure(outcome, "no answer by the deadline")));
    }

    fn conclude_call(&mut self, call: CallId, result: Result<Answer, Failure>) {
        let Some(running) = self.calls.get(&call) else { return };
        match running.head.owner {
            Owner::Question(question) => self.question_answered(question, call, result),
            Owner::Notice => self.notice_answered(running.head.delivery, call, result),
        }
    }

    /// Stops a call that nobody needs any more.
    pub(super) fn cancel_call(&mut self, call: CallId, next: Next) {
        let Some(running) = self.calls.get(&call) else { return };
        let owner = running.head.owner;
        self.outputs.push_back(Output::Cancel { call, owner });
        let cancelled = failure(Outcome::Cancelled, "nobody waits any more");
        self.close(call, Ending { next, ..Ending::failed(&cancelled) });
    }

    /// Closes a call that was sent: its room is free, its outcome is told.
    pub(super) fn close(&mut self, call: CallId, ending: Ending) {
        let Some(running) = self.calls.remove(&call) else { return };
        let Running { head, sent, deadline, pass, share } = running;
        self.timers.remove(&(deadline.over, Due::Call(call)));
        if let Some(slot) = self.slots.get_mut(&head.hook) {
            let before = slot.breaker.state();
            slot.breaker.leave(self.now, pass, ending.outcome, &mut self.chance);
            let after = slot.breaker.state();
            if before != after {
                self.outputs.push_back(Output::Breaker { hook: head.name.clone(), state: after });
            }
            match head.owner {
                Owner::Question(_) => slot.questions_out -= 1,
                Owner::Notice => {
                    slot.notices_out -= 1;
                    slot.shared_out -= usize::from(share == NoticeShare::Shared);
                }
            }
        }
        let leaks = ending.outcome == Outcome::Timeout && self.is(Mutation::RoomLeaks);
        if head.owner == Owner::Notice && share == NoticeShare::Shared && !leaks {
            self.shared_out -= 1;
        }
        self.look_at(head.hook);
        self.settle(head, Some(sent), ending);
    }

    /// Tells the one outcome of a call, sent or not.
    pub(super) fn settle(&mut self, head: CallHead, sent: Option<Mono>, ending: Ending) {
        if let Some(slot) = self.slots.get_mut(&head.hook) {
            slot.tally.count(ending.outcome);
            if let Some(decision) = &ending.decision {
                slot.tally.decided(decision);
            }
            let open = matches!(ending.policy, Some(OnError::Allow | OnError::Value(_)));
            slot.tally.failopens += u64::from(open);
            slot.tally.lost += u64::from(ending.next == Next::Lost);
            slot.tally.retried += u64::from(matches!(ending.next, Next::Again(_)));
        }
        let settled = Settled {
            call: head.call,
            delivery: head.delivery,
            hook: head.name,
            hook_id: head.id,
            event: head.event,
            owner: head.owner,
            origin: head.origin,
            first_failed: head.first_failed,
            attempt: head.attempt,
            outcome: ending.outcome,
            decision: ending.decision,
            policy: ending.policy,
            overrides: ending.overrides,
            detail: ending.detail,
            queued: head.queued,
            sent,
            ended: self.now,
            next: ending.next,
        };
        let silent = match settled.outcome {
            Outcome::Crashed => self.is(Mutation::CrashUnsettled),
            Outcome::Cancelled => self.is(Mutation::CancelUnsettled),
            _ => false,
        };
        if silent {
            return;
        }
        if settled.outcome == Outcome::TransportError && self.is(Mutation::SettledTwice) {
            self.outputs.push_back(Output::Settled(settled.clone()));
        }
        self.outputs.push_back(Output::Settled(settled));
    }
}
