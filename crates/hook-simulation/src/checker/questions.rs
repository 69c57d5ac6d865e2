//! Laws 1 to 5 for questions: the chain that must be walked, the verdict that must come of it.

use super::notices::Audience;
use super::{About, Checked, Checker, Configured, Hid, Open, Secret, rule};
use crate::input::Input;
use jackfield_events::{Answer, Decision, Denial, DenialCause, Event, Kind, OnError, Reason, Verdict};
use jackfield_hooks::{Failure, HookSpec, Mode, Outcome, Owner, QuestionId, Request, Settled};
use jackfield_media::{Mono, StreamKey, Text};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

#[derive(Debug)]
pub(crate) struct Asked {
    plan: Rc<[Configured]>,
    /// The first step of the plan that has not been looked at.
    cursor: usize,
    about: About,
    deadline: Mono,
    /// When it became the present hook's turn, and in which order among all turns.
    turn: (Mono, u64),
    running: bool,
    key: Option<StreamKey>,
    replaced_by: Option<Text>,
    failopen: Vec<Text>,
    tags: BTreeMap<Text, Text>,
    verdict: Option<Verdict>,
}

impl Asked {
    /// The hook whose turn it is, and the step after it.
    fn next(&self) -> Option<(usize, &Configured)> {
        let steps = self.plan.iter().enumerate().skip(self.cursor);
        let mut deciding = steps.filter(|(_, step)| {
            let spec = &step.spec;
            spec.mode == Mode::Decide && spec.on.contains(self.about.event_type)
        });
        let found = deciding.find(|(_, step)| step.spec.streams.matches(self.about.key.as_ref()));
        found.map(|(index, step)| (index + 1, step))
    }

    /// Until when the present hook may take, and what it is called if it takes longer.
    fn limit(&self, spec: &HookSpec) -> (Mono, Outcome) {
        let own = self.turn.0.after(spec.question_timeout);
        if own < self.deadline { (own, Outcome::Timeout) } else { (self.deadline, Outcome::Budget) }
    }

    fn waits_at(&self, hid: Hid) -> bool {
        !self.running && self.verdict.is_none() && self.next().is_some_and(|(_, step)| step.hid == hid)
    }

    /// Without another hook the verdict is allow.
    fn look_on(&mut self) {
        if self.verdict.is_none() && self.next().is_none() {
            let (key, failopen, tags) = (self.key.clone(), self.failopen.clone(), self.tags.clone());
            self.verdict = Some(Verdict::Allow { key, failopen, tags });
        }
    }
}

impl Checker {
    pub(super) fn asked(&mut self, id: QuestionId, event: &Event, budget: Duration) {
        self.order += 1;
        let mut asked = Asked {
            plan: Rc::clone(&self.config),
            cursor: 0,
            about: About::of(event),
            deadline: self.now.after(budget),
            turn: (self.now, self.order),
            running: false,
            key: None,
            replaced_by: None,
            failopen: Vec::new(),
            tags: BTreeMap::new(),
            verdict: None,
        };
        asked.look_on();
        self.questions.insert(id, asked);
    }

    /// The asker left: no verdict may come, and those who listen are told.
    pub(super) fn left(&mut self, id: QuestionId) {
        // It is forgotten when the step is over: its call must still end.
        if let Some(about) = self.questions.get(&id).map(|asked| asked.about.clone()) {
            self.must_tell(&about, Audience::Listeners);
        }
    }

    /// A call for a question; the hook that gets it.
    pub(super) fn question_calls(&mut self, id: QuestionId, request: &Request<()>) -> Result<Hid, String> {
        let asked =
            self.questions.get(&id).ok_or_else(|| format!("law 5: a call for {id:?}, which is over"))?;
        rule!(asked.verdict.is_none(), "law 3: {id:?} has its verdict and goes on to {}", request.hook);
        rule!(!asked.running, "law 4: {id:?} asks two hooks at once");
        let (_, step) = asked.next().ok_or("law 4: a call without a hook")?;
        let (hid, spec) = (step.hid, Rc::clone(&step.spec));
        rule!(spec.name == request.hook, "law 4: {} is asked in the place of {}", request.hook, spec.name);
        asked.about.check_seen(&request.event, Secret::Whole)?;
        let (deadline, _) = asked.limit(&spec);
        rule!(
            request.deadline == deadline,
            "law 1: {} gets until {:?} instead of {deadline:?}",
            request.hook,
            request.deadline
        );
        rule!(request.attempt == 1 && request.mode == Mode::Decide, "law 4: a question is asked again");
        let turn = asked.turn.1;
        let earlier = self.questions.values().any(|other| other.waits_at(hid) && other.turn.1 < turn);
        rule!(!earlier, "law 6: {id:?} passes a question that waits for {}", request.hook);
        let limits = self.hooks.get_mut(&hid).ok_or("a question to an unknown hook")?;
        limits.questions_running += 1;
        let running = limits.questions_running;
        rule!(
            running <= limits.spec.concurrency,
            "policies: {running} questions at once to {}",
            request.hook
        );
        if let Some(asked) = self.questions.get_mut(&id) {
            asked.running = true;
        }
        Ok(hid)
    }

    pub(super) fn question_settled(&mut self, id: QuestionId, end: &Settled, open: Option<&Open>) -> Checked {
        let asked =
            self.questions.get(&id).ok_or_else(|| format!("law 5: an outcome for {id:?}, which is over"))?;
        rule!(asked.verdict.is_none(), "law 3: {id:?} has its verdict and hears {}", end.hook);
        let (cursor, step) = asked.next().ok_or("law 4: an outcome without a hook")?;
        let (hid, spec) = (step.hid, Rc::clone(&step.spec));
        rule!(spec.name == end.hook, "law 4: {} ends in the place of {}", end.hook, spec.name);
        asked.about.check_seen(&end.event, Secret::Whole)?;
        let answer = match open {
            Some(open) => self.ended_as(asked, open, end)?,
            None => {
                self.refused_as(id, hid, &spec, end)?;
                None
            }
        };
        self.order += 1;
        let turn = (self.now, self.order);
        let Some(asked) = self.questions.get_mut(&id) else { return Ok(()) };
        asked.running = false;
        asked.cursor = cursor;
        asked.turn = turn;
        match answer {
            Some(answer) => asked.hears(answer, end)?,
            None if end.outcome == Outcome::Cancelled => return Ok(()),
            None => asked.suffers(&spec, end)?,
        }
        asked.look_on();
        Ok(())
    }

    /// The outcome of a call that was sent, and the answer if there was one.
    fn ended_as(&self, asked: &Asked, open: &Open, end: &Settled) -> Result<Option<Answer>, String> {
        let late = self.now >= open.deadline;
        let over = if open.deadline < asked.deadline { Outcome::Timeout } else { Outcome::Budget };
        let (expect, answer) = match &self.current {
            Input::Answer { call, result } if *call == end.call => match result {
                Ok(_) if late => (Outcome::Late, None),
                Ok(answer) if asked.takes(answer) => (Outcome::Answered, Some(answer.clone())),
                Ok(_) => (Outcome::ProtocolError, None),
                Err(_) if late => (over, None),
                Err(failure) => (own_outcome(failure), None),
            },
            _ if late => (over, None),
            Input::Cancel(left) if end.owner == Owner::Question(*left) => (Outcome::Cancelled, None),
            _ => return Err(format!("law 5: {:?} ends as {} without a reason", end.call, end.outcome)),
        };
        rule!(end.outcome == expect, "law 5: {:?} ends as {} instead of {expect}", end.call, end.outcome);
        Ok(answer)
    }

    /// The outcome of a call that was not sent.
    fn refused_as(&self, id: QuestionId, hid: Hid, spec: &HookSpec, end: &Settled) -> Checked {
        let Some(asked) = self.questions.get(&id) else { return Ok(()) };
        let limits = self.hooks.get(&hid).ok_or("a question to an unknown hook")?;
        let (until, over) = asked.limit(spec);
        let waiting =
            self.questions.iter().filter(|(other, asked)| **other != id && asked.waits_at(hid)).count();
        let expect = if self.now >= until {
            if over == Outcome::Budget { Outcome::Budget } else { Outcome::Overload }
        } else if matches!(self.current, Input::Cancel(left) if left == id) {
            Outcome::Cancelled
        } else if limits.disabled || !limits.breaker.admits(self.now) {
            Outcome::BreakerOpen
        } else if waiting >= limits.spec.queue {
            Outcome::Overload
        } else {
            return Err(format!("law 5: {} refuses {id:?} as {} without a reason", end.hook, end.outcome));
        };
        rule!(end.outcome == expect, "law 5: {id:?} is refused as {} instead of {expect}", end.outcome);
        Ok(())
    }

    pub(super) fn verdict(&mut self, id: QuestionId, verdict: &Verdict) -> Checked {
        let asked =
            self.questions.remove(&id).ok_or_else(|| format!("law 1: {id:?} gets another verdict"))?;
        let Some(expect) = &asked.verdict else {
            return Err(format!("law 2: a verdict for {id:?} while its chain goes on: {verdict:?}"));
        };
        rule!(same(expect, verdict), "law 4: {id:?} gets {verdict:?} instead of {expect:?}");
        self.must_tell(&asked.about, Audience::Listeners);
        Ok(())
    }

    /// After each step every question must have a verdict, a call that runs, or a reason to wait.
    pub(super) fn questions_go_on(&mut self) -> Checked {
        if let Input::Cancel(left) = self.current {
            self.questions.remove(&left);
        }
        for (id, asked) in &self.questions {
            rule!(asked.verdict.is_none(), "law 1: {id:?} does not get its verdict");
            rule!(self.now < asked.deadline, "law 1: {id:?} is open after its budget");
            if asked.running {
                continue;
            }
            let (_, step) = asked.next().ok_or("law 1: a question without a hook")?;
            let (until, _) = asked.limit(&step.spec);
            rule!(self.now < until, "law 1: {id:?} waits after the deadline");
            let limits = self.hooks.get(&step.hid).ok_or("a question to an unknown hook")?;
            let refused = limits.disabled || !limits.breaker.admits(self.now);
            rule!(!refused, "law 5: {id:?} waits for a hook that refuses it");
            let full = limits.questions_running >= limits.spec.concurrency;
            rule!(full || !limits.has_rate(self.now), "law 1: {id:?} waits although there is room");
        }
        Ok(())
    }
}

impl Asked {
    /// Whether it is an answer to this question at all.
    fn takes(&self, answer: &Answer) -> bool {
        match &answer.decision {
            Decision::Replace(value) => {
                self.about.event_type.spec().kind == Kind::Resolve && self.replaced(value).is_some()
            }
            Decision::Pass | Decision::Allow | Decision::Deny => true,
        }
    }

    fn replaced(&self, value: &str) -> Option<StreamKey> {
        match &self.about.key {
            Some(key) => key.sibling(value).ok(),
            None => StreamKey::parse(value).ok(),
        }
    }

    fn hears(&mut self, answer: Answer, end: &Settled) -> Checked {
        rule!(end.policy.is_none(), "law 3: a policy acts although {} answered", end.hook);
        rule!(end.decision.as_ref() == Some(&answer.decision), "law 4: {:?} was not said", end.decision);
        match &answer.decision {
            Decision::Pass => {}
            Decision::Allow => self.tags.extend(answer.tags),
            Decision::Deny => {
                let (hook, cause) = (end.hook.clone(), DenialCause::Answer);
                self.verdict = Some(Verdict::Deny(Denial { hook, cause, reason: answer.reason }));
            }
            Decision::Replace(value) => {
                self.key = self.replaced(value);
                self.about.key.clone_from(&self.key);
                let former = self.replaced_by.replace(end.hook.clone());
                rule!(end.overrides == former, "law 4: the conflict of {} is not traced", end.hook);
                self.tags.extend(answer.tags);
            }
        }
        Ok(())
    }

    fn suffers(&mut self, spec: &HookSpec, end: &Settled) -> Checked {
        rule!(end.decision.is_none(), "law 3: {} decides although it failed", end.hook);
        let resolves = self.about.event_type.spec().kind == Kind::Resolve;
        let policy = match spec.on_error.clone().unwrap_or(OnError::Deny) {
            OnError::Value(value) if resolves => match self.replaced(&value) {
                Some(key) => {
                    if self.about.key.as_ref() != Some(&key) {
                        self.key = Some(key.clone());
                        self.replaced_by = Some(end.hook.clone());
                    }
                    self.about.key = Some(key);
                    OnError::Value(value)
                }
                None => OnError::Deny,
            },
            OnError::Value(_) => OnError::Deny,
            other => other,
        };
        rule!(
            end.policy.as_ref() == Some(&policy),
            "law 3: the policy {:?} acts instead of {policy:?}",
            end.policy
        );
        if policy == OnError::Deny {
            let code = Some(end.outcome.as_str().into());
            let reason = Reason { code, text: Some(end.detail.as_str().into()), public: None };
            let (hook, cause) = (end.hook.clone(), DenialCause::Failure);
            self.verdict = Some(Verdict::Deny(Denial { hook, cause, reason }));
        } else {
            self.failopen.push(end.hook.clone());
            self.about.failopen.push(end.hook.clone());
        }
        Ok(())
    }
}

/// How a call ends whose transport says this before the deadline.
pub(super) fn own_outcome(failure: &Failure) -> Outcome {
    match failure.outcome {
        Outcome::Answered => Outcome::ProtocolError,
        other => other,
    }
}

fn same(expect: &Verdict, verdict: &Verdict) -> bool {
    expect == verdict
}
