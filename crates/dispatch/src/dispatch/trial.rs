//! One call of a hook with an event that did not happen, for its author to look at. It goes through the hook's own
//! transport, beside the engine: neither its queue, breaker and counters nor its deliveries know of it.

use super::driving::make;
use super::{Dispatch, Handler};
use crate::{DeliveryId, Reply};
use bytes::Bytes;
use jackfield_events::{
    Answer, Decision, DeliveryFields, Denial, DenialCause, Event, Masker, OnError, Reason, Verdict,
};
use jackfield_hooks::{CallId, Failure, HookSpec, Mode, Outcome, Owner, Request};
use jackfield_media::Mono;
use jackfield_runtime::{clock, random};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// What a hook made of an event that did not happen.
#[derive(Debug)]
pub struct Trial {
    /// The envelope that it was sent.
    pub request: Bytes,
    /// Whether its answer was looked at.
    pub mode: Mode,
    /// How it ended.
    pub result: Result<Answer, Failure>,
    /// What would have come of the question, had this hook been asked alone; `None` of what it is only told.
    pub verdict: Option<Verdict>,
    /// The policy that acted in the place of an answer.
    pub policy: Option<OnError>,
    /// Time to reach the handler.
    pub connect: Duration,
    /// Time from then to the end.
    pub handler: Duration,
}

/// Why a hook was not tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TrialError {
    /// The engine calls no hook of this name.
    #[error("there is no hook of this name that is called")]
    NoHook,
    /// It is not `on` this event.
    #[error("the hook is not `on` this event")]
    NotOn,
}

impl Dispatch {
    /// Calls this hook once with this event, marked as a test, by the deadline of its own timeout. Cancel-safe:
    /// dropping the future ends the call. A question that the hook is only told is masked.
    ///
    /// # Errors
    /// [`TrialError`].
    pub async fn try_hook(&self, hook: &str, event: Event, masker: &Masker) -> Result<Trial, TrialError> {
        let (spec, handler) = self.find_hook(hook).ok_or(TrialError::NoHook)?;
        if !spec.on.contains(event.event_type()) {
            return Err(TrialError::NotOn);
        }
        let is_question = event.spec().kind.is_question();
        let mode = if is_question { spec.mode } else { Mode::Notify };
        let timeout = if mode == Mode::Decide { spec.question_timeout } else { spec.notice_timeout };
        let now = clock::now();
        let event = event.as_test();
        let event = if is_question && mode == Mode::Notify { event.masked(masker) } else { event };
        let sent = envelope(&spec, &event, mode, now, now.after(timeout));
        let request = Request {
            call: CallId(0),
            // Its own number: an answer that comes late must not be taken for one to a delivery.
            delivery: DeliveryId(random::number() | 1 << 63),
            hook: spec.name.clone(),
            handler,
            mode,
            event: Arc::new(event),
            attempt: 1,
            num_dropped: 0,
            deadline: now.after(timeout),
            owner: Owner::Notice,
        };
        let asked = Arc::clone(&request.event);
        let Reply { result, connect, handler, .. } = make(request).await;
        let result =
            if mode == Mode::Decide { result.and_then(|answer| checked(answer, &asked)) } else { result };
        let (verdict, policy) = match mode {
            Mode::Notify => (None, None),
            Mode::Decide => judged(&spec, &asked, &result),
        };
        Ok(Trial { request: sent, mode, result, verdict, policy, connect, handler })
    }

    fn find_hook(&self, hook: &str) -> Option<(HookSpec, Handler)> {
        let state = self.0.state();
        let place = state.core.status().iter().position(|status| *status.name == *hook)?;
        let transport = Arc::clone(state.transports.get(place)?);
        let id = state.core.id_of(hook)?;
        Some((state.core.spec_of(&id)?.clone(), Handler(transport)))
    }
}

fn envelope(spec: &HookSpec, event: &Event, mode: Mode, now: Mono, deadline: Mono) -> Bytes {
    let deadline_ms = u64::try_from((deadline - now).as_millis()).unwrap_or(u64::MAX);
    let fields = DeliveryFields { hook: &spec.name, attempt: 1, deadline_ms };
    event.json_for(0, (mode == Mode::Decide).then_some(&fields))
}

/// A replacement must be a key.
fn checked(answer: Answer, event: &Event) -> Result<Answer, Failure> {
    match &answer.decision {
        Decision::Replace(value) => match event.with_key(value) {
            Ok(_) => Ok(answer),
            Err(error) => Err(Failure::new(Outcome::ProtocolError, error.to_string())),
        },
        Decision::Pass | Decision::Allow | Decision::Deny => Ok(answer),
    }
}

/// What comes of the answer, or of the failure by the hook's policy.
fn judged(
    spec: &HookSpec,
    event: &Event,
    result: &Result<Answer, Failure>,
) -> (Option<Verdict>, Option<OnError>) {
    let allow = |key: Option<&str>, failopen| {
        let key =
            key.and_then(|key| event.with_key(key).ok()).and_then(|event| event.scope().stream_key.clone());
        Verdict::Allow { key, failopen, tags: BTreeMap::new() }
    };
    let deny = |cause, reason| Verdict::Deny(Denial { hook: spec.name.clone(), cause, reason });
    match result {
        Ok(answer) => {
            let verdict = match &answer.decision {
                Decision::Pass | Decision::Allow => allow(None, Vec::new()),
                Decision::Replace(value) => allow(Some(value), Vec::new()),
                Decision::Deny => deny(DenialCause::Answer, answer.reason.clone()),
            };
            (Some(verdict), None)
        }
        Err(_failure) => {
            let policy = spec.on_error.clone().or_else(|| event.spec().on_error()).unwrap_or(OnError::Deny);
            let failopen = vec![spec.name.clone()];
            let verdict = match &policy {
                OnError::Deny => deny(DenialCause::Failure, Reason::default()),
                OnError::Allow => allow(None, failopen),
                OnError::Value(value) => allow(Some(value), failopen),
            };
            (Some(verdict), Some(policy))
        }
    }
}
