//! The life of a question: its chain of hooks, one after the other, under one budget.
//!
//! ```text
//! open ─► go_on ─► (next hook that decides) ─► ask ──► send ──► question_answered ─┐
//!           ▲                                   ├─► waits for room ─► (serve, waited_in_vain)
//!           │                                   └─► refused: breaker, queue, budget
//!           └───────────── pass, allow, replace, failure let through ──────────────┘
//!         conclude ◄─ no hook left, deny, failure with policy deny
//! ```

mod effects;
mod waiting;

use super::calls::{CallHead, Deadline, Ending, Sending, failure};
use super::slot::{Configured, Plan};
use super::{CallId, Concluded, Considered, Core, DisabledBy, Next, Origin, Output, Owner, QuestionId, Why};
use crate::{DeliveryId, Failure, HookSpec, Mode, Mutation, NoticeShare, Outcome};
use effects::Effect;
use jackfield_events::{Answer, Decision, Event, EventType, Verdict};
use jackfield_media::{Mono, StreamKey, Text};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use waiting::Room;

#[derive(Debug)]
pub(super) struct Question<H> {
    plan: Arc<Plan<H>>,
    /// The step of the plan that comes next.
    next: usize,
    original: Arc<Event>,
    /// As the last hook left it.
    event: Arc<Event>,
    deadline: Mono,
    stage: Stage<H>,
    key: Option<StreamKey>,
    replaced_by: Option<Text>,
    failopen: Vec<Text>,
    tags: BTreeMap<Text, Text>,
    asked: Mono,
    /// What the plan said of the hooks so far, for the trace.
    considered: Vec<Considered>,
}

#[derive(Debug)]
enum Stage<H> {
    /// Only while the core itself works on it.
    Between,
    /// In the hook's queue.
    Asking(Box<Asking<H>>),
    Calling(CallId),
}

#[derive(Debug)]
struct Asking<H> {
    head: CallHead,
    configured: Arc<Configured<H>>,
    deadline: Deadline,
}

impl<H: Clone> Core<H> {
    pub(super) fn open(&mut self, id: QuestionId, event: Arc<Event>, budget: Duration) {
        if self.is(Mutation::ToldBeforeVerdict) {
            self.tell_question(&event);
        }
        let question = Question {
            plan: Arc::clone(&self.plan),
            next: 0,
            original: Arc::clone(&event),
            event,
            deadline: self.now.after(budget),
            stage: Stage::Between,
            key: None,
            replaced_by: None,
            failopen: Vec::new(),
            tags: BTreeMap::new(),
            asked: self.now,
            considered: Vec::new(),
        };
        self.questions.insert(id, question);
        self.go_on(id);
    }

    /// Walks the chain until a hook is called, waits for room, or the verdict stands.
    fn go_on(&mut self, id: QuestionId) {
        while let Some((head, configured)) = self.next_step(id) {
            let Some(question) = self.questions.get_mut(&id) else { return };
            let own = self.now.after(configured.spec.question_timeout);
            let mut deadline = if own < question.deadline {
                Deadline { at: own, outcome: Outcome::Timeout, over: own }
            } else {
                Deadline { at: question.deadline, outcome: Outcome::Budget, over: question.deadline }
            };
            if self.mutation == Some(Mutation::BudgetForgotten) {
                deadline = Deadline { at: own, outcome: Outcome::Timeout, over: own };
            }
            if question.deadline <= self.now && self.mutation != Some(Mutation::BudgetForgotten) {
                let spent = failure(Outcome::Budget, "the budget was used up before this hook was asked");
                self.refuse(id, head, &configured, &spent);
                continue;
            }
            let hook = head.hook;
            let (waiting, most) =
                self.slots.get(&hook).map_or((0, 1), |slot| (slot.asking.len(), slot.spec().queue.max(1)));
            match self.room_for_question(hook) {
                Room::Refused => {
                    let open = failure(Outcome::BreakerOpen, "the hook is left alone for a while");
                    self.refuse(id, head, &configured, &open);
                }
                Room::Now if waiting == 0 => return self.call(id, Asking { head, configured, deadline }),
                _ if self.is(Mutation::BusyMeansAllow) => {
                    let full = failure(Outcome::Overload, "");
                    self.settle(head, None, Ending::failed(&full));
                }
                _ if waiting >= most => {
                    let full = failure(Outcome::Overload, "the hook's queue is full");
                    self.refuse(id, head, &configured, &full);
                }
                _ => return self.wait_for_room(id, Asking { head, configured, deadline }),
            }
        }
    }

    /// The next hook of the chain that decides this event; without one the verdict is allow.
    fn next_step(&mut self, id: QuestionId) -> Option<(CallHead, Arc<Configured<H>>)> {
        let reload = self.is(Mutation::ReloadReachesQuestions).then(|| Arc::clone(&self.plan));
        let (everywhere, backwards) = (self.is(Mutation::StreamsIgnored), self.is(Mutation::ChainReversed));
        let question = self.questions.get_mut(&id)?;
        if let Some(plan) = reload {
            question.plan = plan;
        }
        let event_type = question.event.event_type();
        let key = question.event.scope().stream_key.as_ref();
        let count = question.plan.steps.len();
        let considered = &mut question.considered;
        let slots = &self.slots;
        let is_off = |hook| slots.get(hook).is_some_and(|slot| slot.disabled == Some(DisabledBy::Operator));
        let found = (question.next..count).find_map(|index| {
            let place = if backwards { count - 1 - index } else { index };
            let (hook, configured) = question.plan.steps.get(place)?;
            let spec = &configured.spec;
            let why = match passed_over(spec, event_type) {
                None if is_off(hook) => Why::Disabled,
                None if everywhere || spec.streams.matches(key) => {
                    return Some((index, *hook, Arc::clone(configured)));
                }
                None => Why::OtherStream,
                Some(why) => why,
            };
            considered.push(Considered { hook: spec.name.clone(), why, delivery: None });
            None
        });
        let Some((index, hook, configured)) = found else {
            let key = question.key.take();
            let failopen = std::mem::take(&mut question.failopen);
            let tags = std::mem::take(&mut question.tags);
            self.conclude(id, Verdict::Allow { key, failopen, tags });
            return None;
        };
        question.next = index + 1;
        let stale = self.mutation == Some(Mutation::OriginalSeen);
        let event = Arc::clone(if stale { &question.original } else { &question.event });
        let (call, delivery) = (CallId(self.fresh_id()), DeliveryId(self.fresh_id()));
        let (hook_id, name) = (configured.spec.id.clone(), configured.spec.name.clone());
        let owner = Owner::Question(id);
        let asked = Considered { hook: name.clone(), why: Why::Asked, delivery: Some(delivery) };
        self.questions.get_mut(&id)?.considered.push(asked);
        let head = CallHead {
            call,
            delivery,
            hook,
            id: hook_id,
            name,
            owner,
            origin: Origin::Memory,
            first_failed: None,
            event,
            attempt: 1,
            queued: self.now,
        };
        Some((head, configured))
    }

    fn call(&mut self, id: QuestionId, asking: Asking<H>) {
        let Asking { head, configured, deadline } = asking;
        if let Some(question) = self.questions.get_mut(&id) {
            question.stage = Stage::Calling(head.call);
        }
        let handler = configured.handler.clone();
        let share = NoticeShare::Own;
        self.send(Sending { head, handler, num_dropped: 0, deadline, share });
    }

    /// Ends a call that was never sent, by the hook's policy.
    fn refuse(&mut self, id: QuestionId, head: CallHead, configured: &Configured<H>, failed: &Failure) {
        let (policy, effect) = self.policy(id, configured, failed);
        let name = head.name.clone();
        self.settle(head, None, Ending { policy: Some(policy), ..Ending::failed(failed) });
        self.apply(id, &name, effect);
    }

    /// A call of this question has ended.
    pub(super) fn question_answered(
        &mut self,
        id: QuestionId,
        call: CallId,
        result: Result<Answer, Failure>,
    ) {
        let Some(question) = self.questions.get_mut(&id) else { return };
        question.stage = Stage::Between;
        let Some((hook, configured)) = self.calls.get(&call).and_then(|running| {
            let step = question.plan.steps.iter().find(|(hook, _)| *hook == running.head.hook)?;
            Some((step.0, Arc::clone(&step.1)))
        }) else {
            return;
        };
        let name = configured.spec.name.clone();
        let result = result.and_then(|answer| Ok((self.judge(id, &answer)?, answer)));
        let (ending, effect) = match result {
            Ok((effect, answer)) => {
                if let Some(slot) = self.slots.get_mut(&hook) {
                    slot.tally.unknown_fields += u64::from(answer.unknown_fields);
                }
                let mut ending = Ending::answered(answer.decision.clone());
                if let (Effect::Replaced(_), Some(question)) = (&effect, self.questions.get_mut(&id)) {
                    ending.overrides = question.replaced_by.replace(name.clone());
                }
                if matches!(answer.decision, Decision::Allow | Decision::Replace(_))
                    && let Some(question) = self.questions.get_mut(&id)
                {
                    question.tags.extend(answer.tags);
                }
                (ending, effect)
            }
            Err(failed) => {
                let (policy, effect) = self.policy(id, &configured, &failed);
                (Ending { policy: Some(policy), ..Ending::failed(&failed) }, effect)
            }
        };
        let allowed = ending.decision == Some(Decision::Allow);
        self.close(call, ending);
        self.apply(id, &name, effect);
        if allowed && self.is(Mutation::AllowEndsChain) && self.questions.contains_key(&id) {
            return self.conclude(id, Verdict::unasked());
        }
        self.go_on(id);
    }

    fn conclude(&mut self, id: QuestionId, verdict: Verdict) {
        let Some(question) = self.questions.remove(&id) else { return };
        if self.is(Mutation::VerdictTwice) && !question.failopen.is_empty() {
            self.outputs.push_back(Output::Verdict { question: id, verdict: verdict.clone() });
        }
        self.outputs.push_back(Output::Verdict { question: id, verdict: verdict.clone() });
        if !self.is(Mutation::ToldBeforeVerdict) {
            self.tell_question(&question.event);
        }
        self.trace(id, question, Some(verdict));
        self.forget_removed();
    }

    /// Tells the trace what became of a question.
    fn trace(&mut self, id: QuestionId, question: Question<H>, verdict: Option<Verdict>) {
        let Question { plan, event, mut considered, asked, .. } = question;
        for (_, configured) in plan.steps.iter().skip(considered.len()) {
            let spec = &configured.spec;
            let why = passed_over(spec, event.event_type()).unwrap_or(Why::NotReached);
            considered.push(Considered { hook: spec.name.clone(), why, delivery: None });
        }
        let concluded = Concluded { question: id, event, verdict, chain: considered, asked, ended: self.now };
        self.outputs.push_back(Output::Concluded(concluded));
    }

    /// The asker left: what runs for it is stopped.
    pub(super) fn abandon(&mut self, id: QuestionId) {
        if let Some(Asking { head, .. }) = self.stop_waiting(id) {
            self.look_at(head.hook);
            let cancelled = failure(Outcome::Cancelled, "nobody waits any more");
            self.settle(head, None, Ending::failed(&cancelled));
        }
        let Some(question) = self.questions.remove(&id) else { return };
        if let Stage::Calling(call) = question.stage {
            self.cancel_call(call, Next::Over);
        }
        self.tell_question(&question.event);
        self.trace(id, question, None);
        self.forget_removed();
    }

    /// Whether a question may still ask a hook of a plan up to this one.
    pub(super) fn asks_under(&self, last_plan: u64) -> bool {
        self.questions.values().any(|question| question.plan.generation <= last_plan)
    }
}

/// Why a hook has no say in questions of this type, whatever the stream.
fn passed_over(spec: &HookSpec, event_type: EventType) -> Option<Why> {
    match spec.mode {
        _ if !spec.on.contains(event_type) => Some(Why::OtherEvent),
        Mode::Notify => Some(Why::OnlyTold),
        Mode::Decide => None,
    }
}
