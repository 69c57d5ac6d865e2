//! What an answer, or the lack of one, does to its question.

use super::super::calls::failure;
use super::super::notices::copy;
use super::super::slot::Configured;
use super::{Core, QuestionId};
use crate::{Failure, Mutation, Outcome};
use jackfield_events::{Answer, Decision, Denial, DenialCause, Event, Kind, OnError, Reason, Verdict};
use jackfield_media::Text;
use std::sync::Arc;

/// What an answer or failure does to its question.
pub(super) enum Effect {
    Nothing,
    Replaced(Box<Event>),
    /// Let through in spite of a failure, perhaps with a value.
    LetThrough(Box<Event>),
    Denied(DenialCause, Reason),
}

impl<H: Clone> Core<H> {
    /// What an answer does, if it is one to this question.
    pub(super) fn judge(&self, id: QuestionId, answer: &Answer) -> Result<Effect, Failure> {
        let Some(question) = self.questions.get(&id) else { return Ok(Effect::Nothing) };
        match &answer.decision {
            Decision::Deny if self.is(Mutation::DenyOverturned) => Ok(Effect::Nothing),
            Decision::Pass | Decision::Allow => Ok(Effect::Nothing),
            Decision::Deny => Ok(Effect::Denied(DenialCause::Answer, answer.reason.clone())),
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
    pub(super) fn policy(
        &self,
        id: QuestionId,
        configured: &Configured<H>,
        failed: &Failure,
    ) -> (OnError, Effect) {
        let denied = || {
            let code = Some(failed.outcome.as_str().into());
            let text = Some(failed.detail.as_str().into());
            (OnError::Deny, Effect::Denied(DenialCause::Failure, Reason { code, text, public: None }))
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

    pub(super) fn apply(&mut self, id: QuestionId, hook: &Text, effect: Effect) {
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
            Effect::Denied(cause, reason) => {
                self.conclude(id, Verdict::Deny(Denial { hook: hook.clone(), cause, reason }));
            }
        }
    }
}
