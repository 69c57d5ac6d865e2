//! The life of a question: its chain of hooks, one after the other, under one budget.
//!
//! ```text
//! open ─► go_on ─► (next hook that decides) ─► ask ──► send ──► question_answered ─┐
//!           ▲                                   ├─► waits for room ─► (serve, waited_in_vain)
//!           │                                   └─► refused: breaker, queue, budget
//!           └───────────── pass, allow, replace, failure let through ──────────────┘
//!         conclude ◄─ no hook left, deny, failure with policy deny
//! ```

use super::calls::{CallHead, Deadline, Ending, Sending, failure};
use super::notices::copy;
use super::slot::{Configured, Due, HookId, Plan};
use super::{CallId, Core, Next, Output, Owner, QuestionId};
use crate::{DeliveryId, Failure, Mode, Mutation, NoticeShare, Outcome};
use jackfield_events::{Answer, Decision, Denial, Event, Kind, OnError, Reason, Verdict};
use jackfield_media::{Mono, StreamKey, Text};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

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

/// Whether a hook's call can be sent now.
enum Room {
    Now,
    /// When a call ends, or at that time.
    Later(Option<Mono>),
    Refused,
}

/// What an answer or failure does to its question.
enum Effect {
    Nothing,
    Replaced(Box<Event>),
    /// Let through in spite of a failure, perhaps with a value.
    LetThrough(Box<Event>),
    Denied(Reason),
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
                Deadline { at: own, outcome: Outcome::Timeout }
            } else {
                Deadline { at: question.deadline, outcome: Outcome::Budget }
            };
            if self.mutation == Some(Mutation::BudgetForgotten) {
                deadline = Deadline { at: own, outcome: Outcome::Timeout };
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
        let found = (question.next..count).find_map(|index| {
            let place = if backwards { count - 1 - index } else { index };
            let (hook, configured) = question.plan.steps.get(place)?;
            let spec = &configured.spec;
            let decides = spec.mode == Mode::Decide && spec.on.contains(event_type);
            let fits = decides && (everywhere || spec.streams.matches(key));
            fits.then(|| (index, *hook, Arc::clone(configured)))
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
        let name = configured.spec.name.clone();
        let owner = Owner::Question(id);
        Some((
            CallHead { call, delivery, hook, name, owner, event, attempt: 1, queued: self.now },
            configured,
        ))
    }

    /// Whether this hook can take a question's call now. Its limits are those of today, whatever plan the
    /// question has.
    fn room_for_question(&self, hook: HookId) -> Room {
        let Some(slot) = self.slots.get(&hook) else { return Room::Refused };
        let disabled = slot.disabled && !self.is(Mutation::DisabledCalled);
        if disabled || !slot.breaker.admits(self.now) {
            return Room::Refused;
        }
        let most = slot.spec().concurrency.max(1);
        if slot.questions_out >= most && !self.is(Mutation::ConcurrencyIgnored) {
            return Room::Later(None);
        }
        match slot.rate.as_ref().and_then(|rate| rate.wait(self.now)) {
            Some(at) if !self.is(Mutation::RateIgnored) => Room::Later(Some(at)),
            _ => Room::Now,
        }
    }

    fn wait_for_room(&mut self, id: QuestionId, asking: Asking<H>) {
        if !self.is(Mutation::WaitingUntimed) {
            self.timers.insert((asking.deadline.at, Due::Asking(id)));
        }
        self.active.insert(asking.head.hook);
        if let Some(slot) = self.slots.get_mut(&asking.head.hook) {
            slot.asking.push_back(id);
        }
        if let Some(question) = self.questions.get_mut(&id) {
            question.stage = Stage::Asking(Box::new(asking));
        }
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

    /// Takes a question that waits out of its hook's queue.
    fn stop_waiting(&mut self, id: QuestionId) -> Option<Asking<H>> {
        let question = self.questions.get_mut(&id)?;
        match std::mem::replace(&mut question.stage, Stage::Between) {
            Stage::Asking(asking) => {
                self.timers.remove(&(asking.deadline.at, Due::Asking(id)));
                if let Some(slot) = self.slots.get_mut(&asking.head.hook) {
                    slot.asking.retain(|waiting| *waiting != id);
                }
                Some(*asking)
            }
            other => {
                question.stage = other;
                None
            }
        }
    }

    /// Starts or refuses the questions that wait for this hook, in order, as far as there is room.
    pub(super) fn serve_questions(&mut self, hook: HookId) {
        while let Some(id) = self.slots.get(&hook).and_then(|slot| slot.asking.front().copied()) {
            match self.room_for_question(hook) {
                Room::Later(Some(at)) => return self.wake_at(hook, at),
                Room::Later(None) => return,
                Room::Now => {
                    if let Some(asking) = self.stop_waiting(id) {
                        self.call(id, asking);
                    }
                }
                Room::Refused => {
                    let open = failure(Outcome::BreakerOpen, "the hook is left alone for a while");
                    self.turn_away(id, &open);
                }
            }
        }
    }

    /// A question waited for room until its deadline.
    pub(super) fn waited_in_vain(&mut self, id: QuestionId) {
        let Some(Question { stage: Stage::Asking(asking), .. }) = self.questions.get(&id) else { return };
        let outcome = match asking.deadline.outcome {
            Outcome::Budget => Outcome::Budget,
            _ => Outcome::Overload,
        };
        self.turn_away(id, &failure(outcome, "the hook had no room in time"));
    }

    fn turn_away(&mut self, id: QuestionId, failed: &Failure) {
        if let Some(Asking { head, configured, .. }) = self.stop_waiting(id) {
            self.refuse(id, head, &configured, failed);
            self.go_on(id);
        }
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

    /// What an answer does, if it is one to this question.
    fn judge(&self, id: QuestionId, answer: &Answer) -> Result<Effect, Failure> {
        let Some(question) = self.questions.get(&id) else { return Ok(Effect::Nothing) };
        match &answer.decision {
            Decision::Deny if self.is(Mutation::DenyOverturned) => Ok(Effect::Nothing),
            Decision::Pass | Decision::Allow => Ok(Effect::Nothing),
            Decision::Deny => Ok(Effect::Denied(answer.reason.clone())),
            Decision::Replace(_) if question.event.spec().kind != Kind::Resolve => {
                Err(failure(Outcome::ProtocolError, "this question has nothing to replace"))
            }
            Decision::Replace(_) if question.key.is_some() && self.is(Mutation::FirstReplacementWins) => {
                Ok(Effect::Nothing)
            }
            Decision::Replace(value) => match question.event.with_key(value) {
                Ok(event) => Ok(Effect::Replaced(Box::new(event))),
                Err(error) => {
                    Err(failure(Outcome::ProtocolError, &format!("the value is no stream key: {error}")))
                }
            },
        }
    }

    /// What the hook's failure does: its own policy, else the catalogue's. A policy that cannot act
    /// (a value for a question that has none, or one that is no key) is deny.
    fn policy(&self, id: QuestionId, configured: &Configured<H>, failed: &Failure) -> (OnError, Effect) {
        let denied = || {
            let code = Some(failed.outcome.as_str().into());
            let text = Some(failed.detail.as_str().into());
            (OnError::Deny, Effect::Denied(Reason { code, text, public: None }))
        };
        let Some(question) = self.questions.get(&id) else { return denied() };
        let (name, spec) = (&configured.spec.name, question.event.spec());
        let policy = configured.spec.on_error.clone().or_else(|| spec.on_error()).unwrap_or(OnError::Deny);
        let marked = |event: &Event| {
            let unmarked = self.is(Mutation::FailopenUnmarked);
            Effect::LetThrough(Box::new(if unmarked { copy(event) } else { event.with_failopen(name) }))
        };
        match policy {
            OnError::Deny if self.is(Mutation::FailureAllows) => (OnError::Allow, marked(&question.event)),
            OnError::Deny => denied(),
            OnError::Allow => (OnError::Allow, marked(&question.event)),
            OnError::Value(value) if spec.kind == Kind::Resolve => match question.event.with_key(&value) {
                Ok(event) => (OnError::Value(value), marked(&event)),
                Err(_no_key) => denied(),
            },
            OnError::Value(_) => denied(),
        }
    }

    fn apply(&mut self, id: QuestionId, hook: &Text, effect: Effect) {
        let keeps = self.mutation != Some(Mutation::FailureForgetsReplacement);
        let Some(question) = self.questions.get_mut(&id) else { return };
        match effect {
            Effect::Nothing => {}
            Effect::Replaced(event) => {
                question.key.clone_from(&event.scope().stream_key);
                question.event = Arc::from(event);
            }
            Effect::LetThrough(event) => {
                if event.scope().stream_key != question.event.scope().stream_key {
                    question.key.clone_from(&event.scope().stream_key);
                    question.replaced_by = Some(hook.clone());
                } else if !keeps {
                    question.key = None;
                }
                question.failopen.push(hook.clone());
                question.event = Arc::from(event);
            }
            Effect::Denied(reason) => {
                self.conclude(id, Verdict::Deny(Denial { hook: hook.clone(), reason }));
            }
        }
    }

    fn conclude(&mut self, id: QuestionId, verdict: Verdict) {
        let Some(question) = self.questions.remove(&id) else { return };
        if self.is(Mutation::VerdictTwice) && !question.failopen.is_empty() {
            self.outputs.push_back(Output::Verdict { question: id, verdict: verdict.clone() });
        }
        self.outputs.push_back(Output::Verdict { question: id, verdict });
        if !self.is(Mutation::ToldBeforeVerdict) {
            self.tell_question(&question.event);
        }
        self.forget_removed();
    }

    /// The asker left: what runs for it is stopped.
    pub(super) fn abandon(&mut self, id: QuestionId) {
        if let Some(Asking { head, .. }) = self.stop_waiting(id) {
            self.active.insert(head.hook);
            let cancelled = failure(Outcome::Cancelled, "nobody waits any more");
            self.settle(head, None, Ending::failed(&cancelled));
        }
        let Some(question) = self.questions.remove(&id) else { return };
        if let Stage::Calling(call) = question.stage {
            self.cancel_call(call, Next::Over);
        }
        self.tell_question(&question.event);
        self.forget_removed();
    }

    /// Whether a question may still ask a hook of a plan up to this one.
    pub(super) fn asks_under(&self, last_plan: u64) -> bool {
        self.questions.values().any(|question| question.plan.generation <= last_plan)
    }
}
