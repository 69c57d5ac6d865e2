//! Deliveries and answers as they go over the wire.

use crate::query::rfc3339;
use jackfield_dispatch::{Delivery, Fate};
use jackfield_events::{Answer, Decision, OnError, Reason};
use jackfield_media::Text;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;
use utoipa::ToSchema;

/// One attempt to deliver one event to one hook. Secrets read `***`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Delivery)]
pub(crate) struct DeliveryView {
    /// The delivery, the same over its attempts.
    #[schema(example = "dlv_651f3a2b1c4d5")]
    id: String,
    /// The event's id.
    event_id: String,
    /// The event's place in the order of this node, digits.
    seq: String,
    /// What the event is.
    #[schema(example = "publish_start")]
    event: &'static str,
    /// The hook's name.
    hook: String,
    /// `notify` or `decide`.
    mode: &'static str,
    /// The stream, if the event is about one.
    key: Option<String>,
    /// The connection, if there is one.
    conn_id: Option<String>,
    /// The publish or play session, if there is one.
    session_id: Option<String>,
    /// Number of the try, from 1.
    attempt: u32,
    /// How it ended.
    #[schema(example = "answered")]
    outcome: &'static str,
    /// What the hook decided: `pass`, `allow`, `deny` or `replace`; null if it was not asked or did not answer.
    decision: Option<&'static str>,
    /// The policy that acted in the place of an answer: `deny`, `allow` or `value:KEY`.
    policy: Option<String>,
    /// The hook whose replacement this one's replaced.
    overrides: Option<String>,
    /// What becomes of the delivery: `over`, `again`, `lost` or `kept`.
    next: &'static str,
    /// When it is tried again.
    again_at: Option<String>,
    /// Milliseconds until it was sent.
    queued_ms: f64,
    /// Milliseconds to reach the handler.
    connect_ms: f64,
    /// Milliseconds from then to the end.
    handler_ms: f64,
    /// When it ended.
    at: String,
    /// What the failure says of itself; empty if there is none.
    detail: String,
    /// Process of a `run` or `worker`.
    pid: Option<u32>,
}

impl DeliveryView {
    pub(crate) fn of(delivery: &Delivery) -> Self {
        let (next, again_at) = fate(delivery.fate);
        Self {
            id: delivery.id.to_string(),
            event_id: delivery.event_id.to_string(),
            seq: delivery.seq.to_string(),
            event: delivery.event.name(),
            hook: delivery.hook.to_string(),
            mode: delivery.mode.as_str(),
            key: delivery.key.as_ref().map(ToString::to_string),
            conn_id: delivery.conn_id.map(|id| id.to_string()),
            session_id: delivery.session_id.map(|id| id.to_string()),
            attempt: delivery.attempt,
            outcome: delivery.outcome.as_str(),
            decision: delivery.decision.as_ref().map(decision_word),
            policy: delivery.policy.as_ref().map(OnError::word),
            overrides: delivery.overrides.as_ref().map(ToString::to_string),
            next,
            again_at,
            queued_ms: millis(delivery.queued),
            connect_ms: millis(delivery.connect),
            handler_ms: millis(delivery.handler),
            at: rfc3339(delivery.at),
            detail: delivery.detail.to_string(),
            pid: delivery.pid,
        }
    }
}

/// One of the tries of a delivery.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Attempt {
    /// Its number, from 1.
    attempt: u32,
    /// When it ended.
    at: String,
    /// How it ended.
    outcome: &'static str,
    /// Milliseconds until it was sent.
    queued_ms: f64,
    /// Milliseconds to reach the handler.
    connect_ms: f64,
    /// Milliseconds from then to the end.
    handler_ms: f64,
    /// What the failure says of itself; empty if there is none.
    detail: String,
}

impl Attempt {
    pub(crate) fn of(delivery: &Delivery) -> Self {
        Self {
            attempt: delivery.attempt,
            at: rfc3339(delivery.at),
            outcome: delivery.outcome.as_str(),
            queued_ms: millis(delivery.queued),
            connect_ms: millis(delivery.connect),
            handler_ms: millis(delivery.handler),
            detail: delivery.detail.to_string(),
        }
    }
}

/// What a hook answered.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Answer)]
pub(crate) struct AnswerView {
    /// `pass`, `allow`, `deny` or `replace`.
    decision: &'static str,
    /// The key that it wants instead, of a `replace`.
    value: Option<String>,
    /// Why.
    reason: Option<ReasonView>,
    /// Labels for the session.
    tags: BTreeMap<String, String>,
}

/// Why a hook decided so.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Reason)]
pub(crate) struct ReasonView {
    /// For machines.
    code: Option<String>,
    /// For the operator.
    text: Option<String>,
    /// For the client.
    public: Option<String>,
}

impl AnswerView {
    pub(crate) fn of(answer: &Answer) -> Self {
        let value = match &answer.decision {
            Decision::Replace(value) => Some(value.to_string()),
            Decision::Pass | Decision::Allow | Decision::Deny => None,
        };
        let tags = answer.tags.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        Self {
            decision: decision_word(&answer.decision),
            value,
            reason: ReasonView::of(&answer.reason),
            tags,
        }
    }
}

impl ReasonView {
    /// `None` of a reason that says nothing.
    pub(crate) fn of(reason: &Reason) -> Option<Self> {
        let text = |text: &Option<Text>| text.as_ref().map(ToString::to_string);
        let shown = Self { code: text(&reason.code), text: text(&reason.text), public: text(&reason.public) };
        let says = shown.code.is_some() || shown.text.is_some() || shown.public.is_some();
        says.then_some(shown)
    }
}

/// The word that a handler writes for it.
pub(crate) fn decision_word(decision: &Decision) -> &'static str {
    match decision {
        Decision::Pass => "pass",
        Decision::Allow => "allow",
        Decision::Deny => "deny",
        Decision::Replace(_) => "replace",
    }
}

/// Milliseconds with their fraction, to the microsecond.
pub(crate) fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

fn fate(fate: Fate) -> (&'static str, Option<String>) {
    match fate {
        Fate::Over => ("over", None),
        Fate::Again(at) => ("again", Some(rfc3339(at))),
        Fate::Lost => ("lost", None),
        Fate::Kept => ("kept", None),
    }
}
