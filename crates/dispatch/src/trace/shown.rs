//! From what the engine tells to what is kept: masked, cut to size, and without a name that was replaced.

use super::delivery::{Delivery, Entry, Fallback, Fate, QuestionStep, QuestionTrace};
use super::gather::{Called, Raw};
use crate::record::Timing;
use jackfield_events::{Answer, Decision, Denial, DenialCause, Event, Kind, Masker, Reason, Verdict};
use jackfield_hooks::{Concluded, Mode, Next, Origin, Owner, Settled, Why};
use jackfield_media::{Mono, SessionId, StreamKey, Text, UnixTime};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// Longest text of a failure that is kept, in bytes.
const MAX_TEXT: usize = 1024;
/// Sessions whose name was replaced, and whose next question is still awaited.
const MAX_RENAMED: usize = 4096;
/// Bytes of a part of a name from which on it can be a secret; shorter ones stand in every other word.
const SECRET: usize = 3;
/// What stands for a secret.
const HIDDEN: &str = "***";

/// Makes entries out of what ended.
#[derive(Debug)]
pub(super) struct Shower {
    masker: Masker,
    renamed: Renamed,
}

/// Sessions whose stream a hook gave another name: the name before it is often the publisher's key, and the questions that
/// follow still carry it in their URLs.
#[derive(Debug, Default)]
struct Renamed {
    /// The parts of the names that are gone.
    gone: HashMap<SessionId, Arc<[String]>>,
    order: VecDeque<SessionId>,
}

impl Renamed {
    fn remember(&mut self, session: SessionId, gone: Arc<[String]>) {
        if self.gone.insert(session, gone).is_none() {
            self.order.push_back(session);
        }
        while self.order.len() > MAX_RENAMED {
            if let Some(oldest) = self.order.pop_front() {
                self.gone.remove(&oldest);
            }
        }
    }

    fn of(&self, session: Option<SessionId>) -> Option<Arc<[String]>> {
        session.and_then(|session| self.gone.get(&session).map(Arc::clone))
    }
}

/// The parts of the names that the calls of a question saw and that its last name does not have.
fn gone(calls: &[Called], left: Option<&StreamKey>) -> Option<Arc<[String]>> {
    let parts = |key: &StreamKey| key.as_str().split('/').map(str::to_owned).collect::<Vec<String>>();
    let kept = left.map(parts).unwrap_or_default();
    let seen = calls.iter().filter_map(|call| call.settled.event.scope().stream_key.as_ref());
    let gone: BTreeSet<String> = seen.flat_map(parts).filter(|part| !kept.contains(part)).collect();
    (!gone.is_empty()).then(|| gone.into_iter().collect())
}

/// What hooks and failures say, as it may be kept: secrets masked as in what programs print, and no name that is gone.
struct Veil<'a> {
    masker: &'a Masker,
    gone: Option<Arc<[String]>>,
}

impl Veil<'_> {
    fn text(&self, text: &Text) -> Text {
        if text.is_empty() {
            return text.clone();
        }
        let mut shown = self.masker.mask_text(cut(text));
        for name in self.gone.iter().flat_map(|gone| gone.iter()).filter(|name| name.len() >= SECRET) {
            shown = shown.replace(name.as_str(), HIDDEN);
        }
        shown.into()
    }

    fn optional(&self, text: Option<Text>) -> Option<Text> {
        text.map(|text| self.text(&text))
    }

    fn reason(&self, reason: Reason) -> Reason {
        let Reason { code, text, public } = reason;
        Reason { code: self.optional(code), text: self.optional(text), public: self.optional(public) }
    }

    fn tags(&self, tags: &BTreeMap<Text, Text>) -> BTreeMap<Text, Text> {
        tags.iter().map(|(name, value)| (self.text(name), self.text(value))).collect()
    }

    fn answer(&self, answer: Answer, key: Option<&StreamKey>) -> Answer {
        Answer {
            decision: known_name(answer.decision, key),
            reason: self.reason(answer.reason),
            tags: self.tags(&answer.tags),
            unknown_fields: answer.unknown_fields,
        }
    }

    fn verdict(&self, verdict: &Verdict) -> Verdict {
        match verdict.clone() {
            Verdict::Allow { key, failopen, tags } => {
                Verdict::Allow { key, failopen, tags: self.tags(&tags) }
            }
            Verdict::Deny(Denial { hook, cause, reason }) => {
                Verdict::Deny(Denial { hook, cause, reason: self.reason(reason) })
            }
        }
    }
}

impl Shower {
    pub(super) fn new(masker: Masker) -> Self {
        Self { masker, renamed: Renamed::default() }
    }

    pub(super) fn show(&mut self, now: UnixTime, raw: Raw) -> Entry {
        match raw {
            Raw::Notice(settled, timing) => Entry::Notice(Arc::new(self.notice(now, &settled, timing))),
            Raw::Question(concluded, calls) => {
                Entry::Question(Arc::new(self.question(now, &concluded, calls)))
            }
        }
    }

    fn notice(&self, at: UnixTime, settled: &Settled, timing: Option<Timing>) -> Delivery {
        let gone = self.renamed.of(settled.event.scope().session_id);
        let renamed = gone.is_some();
        let mut delivery = basics(at, settled, timing);
        delivery.detail = Veil { masker: &self.masker, gone }.text(&settled.detail.as_str().into());
        if settled.event.spec().kind.is_question() || settled.origin == Origin::Memory {
            // What is told has its secrets masked already.
            delivery.request = Some(match renamed {
                true => hide_urls(&settled.event).json().clone(),
                false => settled.event.json().clone(),
            });
        }
        delivery
    }

    fn question(&mut self, at: UnixTime, concluded: &Concluded, calls: Vec<Called>) -> QuestionTrace {
        let (event, scope) = (&concluded.event, concluded.event.scope());
        let gone = match event.spec().kind {
            Kind::Resolve => gone(&calls, scope.stream_key.as_ref()),
            _ => None,
        };
        if let (Some(gone), Some(session)) = (&gone, scope.session_id) {
            self.renamed.remember(session, Arc::clone(gone));
        }
        let gone = gone.or_else(|| self.renamed.of(scope.session_id));
        let veil = Veil { masker: &self.masker, gone };
        let mut calls: BTreeMap<_, _> = calls.into_iter().map(|call| (call.settled.delivery, call)).collect();
        let mut steps = Vec::with_capacity(concluded.chain.len());
        for step in &concluded.chain {
            let call = step.delivery.and_then(|delivery| calls.remove(&delivery));
            let delivery = call.map(|call| {
                // When this call ended, on the clock that showed `at` at the end of all.
                let before =
                    i64::try_from((concluded.ended - call.settled.ended).as_micros()).unwrap_or(i64::MAX);
                let at = UnixTime(at.0.saturating_sub(before));
                Arc::new(of_call(at, concluded, call, &veil))
            });
            steps.push(QuestionStep { hook: step.hook.clone(), why: step.why, delivery });
        }
        QuestionTrace {
            event_id: event.stamp().id,
            seq: event.stamp().seq,
            event: event.event_type(),
            key: scope.stream_key.clone(),
            conn_id: scope.conn_id,
            session_id: scope.session_id,
            at,
            elapsed: whole(concluded.ended - concluded.asked),
            verdict: concluded.verdict.as_ref().map(|verdict| veil.verdict(verdict)),
            fallback: fallback(concluded.verdict.as_ref(), &steps),
            steps,
        }
    }
}

fn of_call(at: UnixTime, concluded: &Concluded, call: Called, veil: &Veil<'_>) -> Delivery {
    let Called { settled, timing, answer } = call;
    let (seen, left) = (&settled.event, &concluded.event);
    let key = &left.scope().stream_key;
    let mut delivery = basics(at, &settled, timing);
    delivery.input_sha256 = Some(Sha256::digest(seen.json()).into());
    // The envelope under the name that the question was left with.
    let request = match veil.gone {
        Some(_) if seen.scope().stream_key != *key => hide_urls(left),
        Some(_) => hide_urls(seen),
        None => seen.masked(veil.masker),
    };
    delivery.request = Some(request.json().clone());
    delivery.key.clone_from(key);
    delivery.detail = veil.text(&settled.detail.as_str().into());
    delivery.decision = delivery.decision.map(|decision| known_name(decision, key.as_ref()));
    delivery.answer = answer.map(|answer| veil.answer(answer, key.as_ref()));
    delivery
}

/// All but what somebody said, and what only questions have.
fn basics(at: UnixTime, settled: &Settled, timing: Option<Timing>) -> Delivery {
    let (stamp, scope) = (settled.event.stamp(), settled.event.scope());
    Delivery {
        id: settled.delivery,
        event_id: stamp.id,
        seq: stamp.seq,
        event: settled.event.event_type(),
        hook: settled.hook.clone(),
        mode: match settled.owner {
            Owner::Question(_) => Mode::Decide,
            Owner::Notice => Mode::Notify,
        },
        key: scope.stream_key.clone(),
        conn_id: scope.conn_id,
        session_id: scope.session_id,
        attempt: settled.attempt,
        outcome: settled.outcome,
        // The answer to a notice is not looked at.
        decision: settled.decision.clone().filter(|_| settled.owner != Owner::Notice),
        policy: settled.policy.clone(),
        overrides: settled.overrides.clone(),
        fate: match settled.next {
            Next::Over => Fate::Over,
            Next::Again(then) => Fate::Again(later(at, settled.ended, then)),
            Next::Lost => Fate::Lost,
            Next::Kept => Fate::Kept,
        },
        queued: whole(settled.sent.unwrap_or(settled.ended) - settled.queued),
        connect: whole(timing.map_or(Duration::ZERO, |timing| timing.connect)),
        // A transport that was given up on tells no times: all of the call counts as the handler's.
        handler: whole(timing.map_or_else(|| since_sent(settled), |timing| timing.handler)),
        at,
        detail: Text::default(),
        pid: timing.and_then(|timing| timing.pid),
        request: None,
        answer: None,
        input_sha256: None,
    }
}

/// In whole microseconds, as it is stored: a record is the same before and after.
fn whole(duration: Duration) -> Duration {
    Duration::from_micros(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX))
}

/// How long a call took; zero for one that never was sent.
fn since_sent(settled: &Settled) -> Duration {
    settled.sent.map_or(Duration::ZERO, |sent| settled.ended - sent)
}

/// What the wall clock shows at a local time that lies ahead.
fn later(at: UnixTime, now: Mono, then: Mono) -> UnixTime {
    UnixTime(at.0.saturating_add(i64::try_from((then - now).as_micros()).unwrap_or(i64::MAX)))
}

/// What decided when no hook's answer did.
fn fallback(verdict: Option<&Verdict>, steps: &[QuestionStep]) -> Option<Fallback> {
    let mut asked = steps.iter().filter_map(|step| step.delivery.as_ref());
    match verdict? {
        _ if steps.iter().all(|step| step.why != Why::Asked) => Some(Fallback::NoHook),
        // Whatever failed before it: a hook's own no is no default.
        Verdict::Deny(denial) if denial.cause == DenialCause::Answer => None,
        _ if asked.clone().any(|call| call.policy.is_some()) => Some(Fallback::OnError),
        Verdict::Allow { .. } if asked.all(|call| call.decision == Some(Decision::Pass)) => {
            Some(Fallback::NoOpinion)
        }
        _ => None,
    }
}

/// The event with every field hidden that a client's name may stand in.
fn hide_urls(event: &Event) -> Event {
    let secret = |name: &str| event.spec().fields.iter().any(|field| field.masked && field.name == name);
    let hidden = |(name, value): &(&'static str, Value)| match value {
        Value::String(text) if secret(name) && !text.is_empty() => (*name, Value::from(HIDDEN)),
        value => (*name, value.clone()),
    };
    let data = event.data().iter().map(hidden).collect();
    Event::new(event.event_type(), event.stamp().clone(), event.scope().clone(), data)
}

/// A replacement that was replaced in its turn is no more to be told than the name before it.
fn known_name(decision: Decision, key: Option<&StreamKey>) -> Decision {
    match decision {
        Decision::Replace(value) if !key.is_some_and(|key| key.as_str().ends_with(value.as_str())) => {
            Decision::Replace(HIDDEN.into())
        }
        decision => decision,
    }
}

fn cut(text: &str) -> &str {
    let end = (0..=MAX_TEXT.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    text.get(..end).unwrap_or_default()
}
