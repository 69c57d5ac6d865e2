//! What is kept of a delivery and of a question: the shapes that the API, the console and `explain` read.

use super::form;
use crate::Latency;
use bytes::Bytes;
use jackfield_events::{Answer, Decision, EventType, OnError, Reason, Verdict};
use jackfield_hooks::{DeliveryId, Mode, Outcome, Why};
use jackfield_media::{ConnId, SessionId, StreamKey, Text, UnixTime};
use std::sync::Arc;
use std::time::Duration;
use ulid::Ulid;

/// One record of what is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// An attempt to deliver a notice, or a question that is told as one.
    Notice(Arc<Delivery>),
    /// A question with all that it asked.
    Question(Arc<QuestionTrace>),
}

impl Entry {
    /// Reads a record of the journal; `None` for what is none, or speaks of what this version does not know.
    #[must_use]
    pub fn parse(body: &[u8]) -> Option<Self> {
        form::decode(body)
    }

    /// The record as it stands in the journal.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        form::encode(self)
    }

    /// When it was over.
    #[must_use]
    pub fn at(&self) -> UnixTime {
        match self {
            Self::Notice(delivery) => delivery.at,
            Self::Question(question) => question.at,
        }
    }

    /// About how many bytes of memory it takes.
    pub(super) fn held_bytes(&self) -> usize {
        match self {
            Self::Notice(delivery) => delivery.held_bytes(),
            Self::Question(question) => {
                let deliveries = question.steps.iter().filter_map(|step| step.delivery.as_deref());
                size_of::<QuestionTrace>()
                    + question.steps.len() * size_of::<QuestionStep>()
                    + deliveries.map(Delivery::held_bytes).sum::<usize>()
            }
        }
    }

    /// The deliveries in it, in their order.
    #[must_use]
    pub fn deliveries(&self) -> Vec<&Arc<Delivery>> {
        match self {
            Self::Notice(delivery) => vec![delivery],
            Self::Question(question) => {
                question.steps.iter().filter_map(|step| step.delivery.as_ref()).collect()
            }
        }
    }
}

/// One attempt to deliver one event to one hook, as it ended. Secrets read `***`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The delivery; the same over its attempts, and never used again, over restarts too.
    pub id: DeliveryId,
    /// The event's id.
    pub event_id: Ulid,
    /// The event's place in the order of this node.
    pub seq: u64,
    /// What the event is.
    pub event: EventType,
    /// The hook's name.
    pub hook: Text,
    /// [`Mode::Decide`] if its answer was looked at.
    pub mode: Mode,
    /// The stream; of a question that was renamed: its last name, never the one before.
    pub key: Option<StreamKey>,
    /// The connection.
    pub conn_id: Option<ConnId>,
    /// The publish or play session.
    pub session_id: Option<SessionId>,
    /// Number of the try, from 1.
    pub attempt: u32,
    /// How it ended.
    pub outcome: Outcome,
    /// What the handler decided, if it was asked and answered.
    pub decision: Option<Decision>,
    /// The policy that acted in the place of an answer.
    pub policy: Option<OnError>,
    /// The hook whose replacement this one's replaced.
    pub overrides: Option<Text>,
    /// What becomes of the delivery.
    pub fate: Fate,
    /// From when it was queued, or it was this hook's turn, until it was sent; until it ended if it never was.
    /// Of a further attempt: since the first was queued.
    pub queued: Duration,
    /// Time to reach the handler: connection, pool slot, program start.
    pub connect: Duration,
    /// Time from then to the end.
    pub handler: Duration,
    /// When it ended.
    pub at: UnixTime,
    /// What the failure says of itself; empty if there is none.
    pub detail: Text,
    /// Process of a `run` or `worker`.
    pub pid: Option<u32>,
    /// The envelope, masked. Kept of questions, in whichever mode they were told, and of notices when there is no
    /// outbox; else a notice stands there under its [`Delivery::seq`] and is not stored twice.
    pub request: Option<Bytes>,
    /// The parsed answer to a question.
    pub answer: Option<Answer>,
    /// SHA-256 of a question's envelope as this hook saw it, secrets included and without the fields that each delivery
    /// has of its own.
    pub input_sha256: Option<[u8; 32]>,
}

impl Delivery {
    fn held_bytes(&self) -> usize {
        let request = self.request.as_ref().map_or(0, Bytes::len);
        let answer = self.answer.as_ref().map_or(0, held_by_answer);
        size_of::<Self>() + self.detail.len() + request + answer
    }
}

/// About how many bytes of memory an answer takes besides itself.
pub(super) fn held_by_answer(answer: &Answer) -> usize {
    let tags: usize = answer.tags.iter().map(|(name, value)| name.len() + value.len()).sum();
    let Reason { code, text, public } = &answer.reason;
    tags + [code, text, public].into_iter().flatten().map(|text| text.len()).sum::<usize>()
}

/// What becomes of a delivery after one of its attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is over; a notice: delivered.
    Over,
    /// It is tried again then.
    Again(UnixTime),
    /// A notice that is not tried again: it is given up.
    Lost,
    /// A notice that is not tried again for now: the hook is disabled or gone, or the server stops, and the log still has
    /// it.
    Kept,
}

/// One question: every hook of the configuration, in its order, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuestionTrace {
    /// The event's id.
    pub event_id: Ulid,
    /// Its place in the order of this node.
    pub seq: u64,
    /// What was asked.
    pub event: EventType,
    /// The stream under the name that the verdict left it.
    pub key: Option<StreamKey>,
    /// The connection.
    pub conn_id: Option<ConnId>,
    /// The publish or play session.
    pub session_id: Option<SessionId>,
    /// When the verdict stood, or nobody waited for one any more.
    pub at: UnixTime,
    /// From the question to then.
    pub elapsed: Duration,
    /// `None`: the client left before there was one.
    pub verdict: Option<Verdict>,
    /// What decided in the place of a hook's answer, if something did.
    pub fallback: Option<Fallback>,
    /// The hooks, in the order of the chain.
    pub steps: Vec<QuestionStep>,
}

/// What decided in the place of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fallback {
    /// No hook decides this question: allowed.
    NoHook,
    /// Every hook that was asked had no opinion: allowed.
    NoOpinion,
    /// A hook failed, and its own `on_error` acted or the catalogue's; the step's `policy` says how.
    OnError,
}

impl Fallback {
    /// All of them.
    pub const ALL: &[Self] = &[Self::NoHook, Self::NoOpinion, Self::OnError];

    /// The word in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoHook => "no_hook",
            Self::NoOpinion => "no_opinion",
            Self::OnError => "on_error",
        }
    }
}

/// One hook of a question's chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuestionStep {
    /// The hook's name.
    pub hook: Text,
    /// Why it was asked, or was not.
    pub why: Why,
    /// How it ended, if it was asked.
    pub delivery: Option<Arc<Delivery>>,
}

/// What is known of how a hook fares, since the server started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookRecord {
    /// The hook's name.
    pub name: Text,
    /// How long its calls take.
    pub latency: HookLatency,
    /// Its last failure.
    pub last_error: Option<LastError>,
}

/// How long a hook's calls take.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HookLatency {
    /// Since the hook was first configured.
    pub total: Latency,
    /// In the last 5 to 10 minutes.
    pub recent: Latency,
}

/// A hook's last failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastError {
    /// When.
    pub at: UnixTime,
    /// How the call ended.
    pub outcome: Outcome,
    /// What the failure says of itself; may be empty.
    pub detail: Text,
}
