//! How records stand in the journal: JSON, one object each, so that later versions may add fields and read these.
//!
//! What is read comes from a file that somebody may have changed: whatever is wrong with it, the record is skipped.

use super::delivery::{Delivery, Entry, Fallback, Fate, QuestionStep, QuestionTrace};
use bytes::Bytes;
use jackfield_events::{Answer, Decision, Denial, DenialCause, EventType, OnError, Reason, Verdict};
use jackfield_hooks::{DeliveryId, Mode, Outcome, Why};
use jackfield_media::{ConnId, SessionId, StreamKey, Text, UnixTime};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use ulid::Ulid;

#[derive(Serialize, Deserialize)]
struct StoredEntry<'a> {
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    notice: Option<StoredDelivery<'a>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    question: Option<StoredQuestion<'a>>,
}

/// A word, and the value that goes with some.
type Word = (String, Option<String>);

#[derive(Serialize, Deserialize)]
struct StoredDelivery<'a> {
    id: u64,
    #[serde(borrow)]
    event_id: Cow<'a, str>,
    seq: u64,
    #[serde(borrow)]
    event: Cow<'a, str>,
    #[serde(borrow)]
    hook: Cow<'a, str>,
    #[serde(borrow)]
    mode: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    conn: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<u64>,
    attempt: u32,
    #[serde(borrow)]
    outcome: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    decision: Option<Word>,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<Word>,
    #[serde(skip_serializing_if = "Option::is_none")]
    overrides: Option<String>,
    #[serde(borrow)]
    fate: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    again_at: Option<i64>,
    queued_us: u64,
    connect_us: u64,
    handler_us: u64,
    at: i64,
    #[serde(borrow, default, skip_serializing_if = "str::is_empty")]
    detail: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<u32>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    request: Option<Cow<'a, RawValue>>,
    /// The request is that of the step before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    same_request: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<StoredAnswer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    input_sha256: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct StoredAnswer {
    decision: Word,
    #[serde(default)]
    reason: StoredReason,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    tags: BTreeMap<String, String>,
    #[serde(default)]
    unknown_fields: u32,
}

#[derive(Serialize, Deserialize, Default)]
struct StoredReason {
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    public: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct StoredQuestion<'a> {
    #[serde(borrow)]
    event_id: Cow<'a, str>,
    seq: u64,
    #[serde(borrow)]
    event: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    conn: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<u64>,
    at: i64,
    elapsed_us: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    verdict: Option<StoredVerdict>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fallback: Option<String>,
    #[serde(borrow)]
    steps: Vec<StoredStep<'a>>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StoredVerdict {
    Allow {
        #[serde(skip_serializing_if = "Option::is_none")]
        key: Option<String>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        failopen: Vec<String>,
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        tags: BTreeMap<String, String>,
    },
    Deny {
        hook: String,
        cause: StoredCause,
        #[serde(default)]
        reason: StoredReason,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StoredCause {
    Answer,
    Failure,
}

#[derive(Serialize, Deserialize)]
struct StoredStep<'a> {
    #[serde(borrow)]
    hook: Cow<'a, str>,
    #[serde(borrow)]
    why: Cow<'a, str>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    delivery: Option<StoredDelivery<'a>>,
}

/// The entry as the journal's body.
pub(super) fn encode(entry: &Entry) -> Vec<u8> {
    let stored = match entry {
        Entry::Notice(delivery) => StoredEntry { notice: Some(store(delivery, None)), question: None },
        Entry::Question(question) => StoredEntry { notice: None, question: Some(store_question(question)) },
    };
    // Strings and numbers under names that are strings: there is nothing that could fail.
    serde_json::to_vec(&stored).unwrap_or_default()
}

/// The entry of a journal's body; `None` for what is none, or speaks of what this version does not know.
pub(super) fn decode(body: &[u8]) -> Option<Entry> {
    let stored: StoredEntry<'_> = serde_json::from_slice(body).ok()?;
    match stored {
        StoredEntry { notice: Some(delivery), .. } => Some(Entry::Notice(Arc::new(load(delivery, None)?))),
        StoredEntry { question: Some(question), .. } => {
            Some(Entry::Question(Arc::new(load_question(question)?)))
        }
        _ => None,
    }
}

fn store<'a>(delivery: &'a Delivery, before: Option<&Bytes>) -> StoredDelivery<'a> {
    let request = delivery.request.as_ref();
    let same_request = request.is_some() && request == before;
    let raw = |bytes: &'a Bytes| serde_json::from_slice::<&'a RawValue>(bytes).ok().map(Cow::Borrowed);
    StoredDelivery {
        id: delivery.id.0,
        event_id: delivery.event_id.to_string().into(),
        seq: delivery.seq,
        event: delivery.event.name().into(),
        hook: delivery.hook.as_str().into(),
        mode: delivery.mode.as_str().into(),
        key: delivery.key.as_ref().map(ToString::to_string),
        conn: delivery.conn_id.map(|id| id.0),
        session: delivery.session_id.map(|id| id.0),
        attempt: delivery.attempt,
        outcome: delivery.outcome.as_str().into(),
        decision: delivery.decision.as_ref().map(decision_word),
        policy: delivery.policy.as_ref().map(policy_word),
        overrides: delivery.overrides.as_ref().map(ToString::to_string),
        fate: fate_word(delivery.fate).into(),
        again_at: match delivery.fate {
            Fate::Again(at) => Some(at.0),
            Fate::Over | Fate::Lost | Fate::Kept => None,
        },
        queued_us: micros(delivery.queued),
        connect_us: micros(delivery.connect),
        handler_us: micros(delivery.handler),
        at: delivery.at.0,
        detail: delivery.detail.as_str().into(),
        pid: delivery.pid,
        request: request.filter(|_| !same_request).and_then(raw),
        same_request,
        answer: delivery.answer.as_ref().map(store_answer),
        input_sha256: delivery.input_sha256.as_ref().map(hex),
    }
}

fn load(stored: StoredDelivery<'_>, before: Option<&Bytes>) -> Option<Delivery> {
    let request = stored.request.map(|raw| Bytes::copy_from_slice(raw.get().as_bytes()));
    Some(Delivery {
        id: DeliveryId(stored.id),
        event_id: Ulid::from_string(&stored.event_id).ok()?,
        seq: stored.seq,
        event: EventType::parse(&stored.event)?,
        hook: text(&stored.hook),
        mode: [Mode::Notify, Mode::Decide].into_iter().find(|mode| mode.as_str() == stored.mode)?,
        key: key(stored.key)?,
        conn_id: stored.conn.map(ConnId),
        session_id: stored.session.map(SessionId),
        attempt: stored.attempt,
        outcome: Outcome::ALL.iter().copied().find(|outcome| outcome.as_str() == stored.outcome)?,
        decision: optional(stored.decision, load_decision)?,
        policy: optional(stored.policy, load_policy)?,
        overrides: stored.overrides.map(Text::from),
        fate: match (&*stored.fate, stored.again_at) {
            ("again", Some(at)) => Fate::Again(UnixTime(at)),
            ("over", None) => Fate::Over,
            ("lost", None) => Fate::Lost,
            ("kept", None) => Fate::Kept,
            _ => return None,
        },
        queued: Duration::from_micros(stored.queued_us),
        connect: Duration::from_micros(stored.connect_us),
        handler: Duration::from_micros(stored.handler_us),
        at: UnixTime(stored.at),
        detail: text(&stored.detail),
        pid: stored.pid,
        request: if stored.same_request { before.cloned() } else { request },
        answer: optional(stored.answer, load_answer)?,
        input_sha256: optional(stored.input_sha256, |hex| unhex(&hex))?,
    })
}

fn store_question(question: &QuestionTrace) -> StoredQuestion<'_> {
    let mut before = None;
    let mut steps = Vec::with_capacity(question.steps.len());
    for step in &question.steps {
        let delivery = step.delivery.as_ref().map(|delivery| {
            let stored = store(delivery, before);
            before = delivery.request.as_ref();
            stored
        });
        steps.push(StoredStep { hook: step.hook.as_str().into(), why: step.why.as_str().into(), delivery });
    }
    StoredQuestion {
        event_id: question.event_id.to_string().into(),
        seq: question.seq,
        event: question.event.name().into(),
        key: question.key.as_ref().map(ToString::to_string),
        conn: question.conn_id.map(|id| id.0),
        session: question.session_id.map(|id| id.0),
        at: question.at.0,
        elapsed_us: micros(question.elapsed),
        verdict: question.verdict.as_ref().map(store_verdict),
        fallback: question.fallback.map(|fallback| fallback.as_str().to_owned()),
        steps,
    }
}

fn load_question(stored: StoredQuestion<'_>) -> Option<QuestionTrace> {
    let mut before: Option<Bytes> = None;
    let mut steps = Vec::with_capacity(stored.steps.len());
    for step in stored.steps {
        let delivery = match step.delivery {
            None => None,
            Some(stored) => {
                let delivery = load(stored, before.as_ref())?;
                before.clone_from(&delivery.request);
                Some(Arc::new(delivery))
            }
        };
        let why = Why::ALL.iter().copied().find(|why| why.as_str() == step.why)?;
        steps.push(QuestionStep { hook: text(&step.hook), why, delivery });
    }
    let fallback = |word: String| Fallback::ALL.iter().copied().find(|fallback| fallback.as_str() == word);
    Some(QuestionTrace {
        event_id: Ulid::from_string(&stored.event_id).ok()?,
        seq: stored.seq,
        event: EventType::parse(&stored.event)?,
        key: key(stored.key)?,
        conn_id: stored.conn.map(ConnId),
        session_id: stored.session.map(SessionId),
        at: UnixTime(stored.at),
        elapsed: Duration::from_micros(stored.elapsed_us),
        verdict: optional(stored.verdict, load_verdict)?,
        fallback: optional(stored.fallback, fallback)?,
        steps,
    })
}

fn store_answer(answer: &Answer) -> StoredAnswer {
    StoredAnswer {
        decision: decision_word(&answer.decision),
        reason: store_reason(&answer.reason),
        tags: strings(&answer.tags),
        unknown_fields: answer.unknown_fields,
    }
}

fn load_answer(stored: StoredAnswer) -> Option<Answer> {
    let StoredAnswer { decision, reason, tags, unknown_fields } = stored;
    Some(Answer {
        decision: load_decision(decision)?,
        reason: load_reason(reason),
        tags: texts(tags),
        unknown_fields,
    })
}

fn store_verdict(verdict: &Verdict) -> StoredVerdict {
    match verdict {
        Verdict::Allow { key, failopen, tags } => StoredVerdict::Allow {
            key: key.as_ref().map(ToString::to_string),
            failopen: failopen.iter().map(ToString::to_string).collect(),
            tags: strings(tags),
        },
        Verdict::Deny(denial) => StoredVerdict::Deny {
            hook: denial.hook.to_string(),
            cause: match denial.cause {
                DenialCause::Answer => StoredCause::Answer,
                DenialCause::Failure => StoredCause::Failure,
            },
            reason: store_reason(&denial.reason),
        },
    }
}

fn load_verdict(stored: StoredVerdict) -> Option<Verdict> {
    Some(match stored {
        StoredVerdict::Allow { key: name, failopen, tags } => Verdict::Allow {
            key: key(name)?,
            failopen: failopen.into_iter().map(Text::from).collect(),
            tags: texts(tags),
        },
        StoredVerdict::Deny { hook, cause, reason } => Verdict::Deny(Denial {
            hook: hook.into(),
            cause: match cause {
                StoredCause::Answer => DenialCause::Answer,
                StoredCause::Failure => DenialCause::Failure,
            },
            reason: load_reason(reason),
        }),
    })
}

fn store_reason(reason: &Reason) -> StoredReason {
    let string = |text: &Option<Text>| text.as_ref().map(ToString::to_string);
    StoredReason { code: string(&reason.code), text: string(&reason.text), public: string(&reason.public) }
}

fn load_reason(stored: StoredReason) -> Reason {
    let StoredReason { code, text, public } = stored;
    Reason { code: code.map(Text::from), text: text.map(Text::from), public: public.map(Text::from) }
}

fn decision_word(decision: &Decision) -> Word {
    match decision {
        Decision::Pass => ("pass".to_owned(), None),
        Decision::Allow => ("allow".to_owned(), None),
        Decision::Deny => ("deny".to_owned(), None),
        Decision::Replace(value) => ("replace".to_owned(), Some(value.to_string())),
    }
}

fn load_decision((word, value): Word) -> Option<Decision> {
    match (word.as_str(), value) {
        ("pass", None) => Some(Decision::Pass),
        ("allow", None) => Some(Decision::Allow),
        ("deny", None) => Some(Decision::Deny),
        ("replace", Some(value)) => Some(Decision::Replace(value.into())),
        _ => None,
    }
}

fn policy_word(policy: &OnError) -> Word {
    match policy {
        OnError::Deny => ("deny".to_owned(), None),
        OnError::Allow => ("allow".to_owned(), None),
        OnError::Value(value) => ("value".to_owned(), Some(value.to_string())),
    }
}

fn load_policy((word, value): Word) -> Option<OnError> {
    match (word.as_str(), value) {
        ("deny", None) => Some(OnError::Deny),
        ("allow", None) => Some(OnError::Allow),
        ("value", Some(value)) => Some(OnError::Value(value.into())),
        _ => None,
    }
}

const fn fate_word(fate: Fate) -> &'static str {
    match fate {
        Fate::Over => "over",
        Fate::Again(_) => "again",
        Fate::Lost => "lost",
        Fate::Kept => "kept",
    }
}

/// What may be absent, but must be good if it is there.
fn optional<T, U>(stored: Option<T>, load: impl FnOnce(T) -> Option<U>) -> Option<Option<U>> {
    stored.map_or(Some(None), |stored| load(stored).map(Some))
}

fn key(name: Option<String>) -> Option<Option<StreamKey>> {
    optional(name, |name| StreamKey::parse(&name).ok())
}

fn text(text: &str) -> Text {
    text.into()
}

fn strings(texts: &BTreeMap<Text, Text>) -> BTreeMap<String, String> {
    texts.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
}

fn texts(strings: BTreeMap<String, String>) -> BTreeMap<Text, Text> {
    strings.into_iter().map(|(name, value)| (name.into(), value.into())).collect()
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn hex(digest: &[u8; 32]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut digest = [0; 32];
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
    if pairs.len() != digest.len() {
        return None;
    }
    for (byte, [high, low]) in digest.iter_mut().zip(pairs) {
        let value = char::from(*high).to_digit(16)? * 16 + char::from(*low).to_digit(16)?;
        *byte = u8::try_from(value).ok()?;
    }
    Some(digest)
}
