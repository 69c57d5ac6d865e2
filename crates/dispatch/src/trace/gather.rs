//! What the dispatch gathers of calls while it holds its lock: counts at once, the rest for the store.

use super::Deliveries;
use super::delivery::{HookLatency, HookRecord, LastError, held_by_answer};
use crate::Latency;
use crate::record::{Timing, is_failure};
use jackfield_events::Answer;
use jackfield_hooks::{CallId, Concluded, Owner, QuestionId, Settled};
use jackfield_media::{Mono, Text};
use jackfield_runtime::clock;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

/// How long the younger half of what counts as recent gathers.
const RECENT: Duration = Duration::from_secs(300);

/// A call of a question that is not over.
#[derive(Debug)]
pub(crate) struct Called {
    pub(crate) settled: Settled,
    pub(crate) timing: Option<Timing>,
    pub(crate) answer: Option<Answer>,
}

/// What ended, as the engine tells it.
#[derive(Debug)]
pub(crate) enum Raw {
    Notice(Box<Settled>, Option<Timing>),
    Question(Box<Concluded>, Vec<Called>),
}

impl Raw {
    /// About how many bytes of memory it takes. An event is counted with each that holds it.
    pub(super) fn held_bytes(&self) -> usize {
        let settled =
            |settled: &Settled| size_of::<Settled>() + settled.event.held_bytes() + settled.detail.len();
        match self {
            Self::Notice(notice, _) => settled(notice),
            Self::Question(concluded, calls) => {
                let answer = |called: &Called| called.answer.as_ref().map_or(0, held_by_answer);
                let called = calls.iter().map(|called| settled(&called.settled) + answer(called));
                size_of::<Concluded>() + concluded.event.held_bytes() + called.sum::<usize>()
            }
        }
    }
}

/// Held under the lock of the dispatch.
pub(crate) struct Tracing {
    pub(crate) deliveries: Deliveries,
    hooks: BTreeMap<Text, Seen>,
    open: HashMap<QuestionId, Vec<Called>>,
    /// What the call that is being ended was answered.
    answer: Option<(CallId, Answer)>,
}

#[derive(Debug, Default)]
struct Seen {
    total: Latency,
    /// Since `turned`.
    young: Latency,
    /// In the time before that.
    old: Latency,
    turned: Mono,
    last_error: Option<LastError>,
}

impl Tracing {
    pub(crate) fn new(deliveries: Deliveries) -> Self {
        Self { deliveries, hooks: BTreeMap::new(), open: HashMap::new(), answer: None }
    }

    /// A question's call is about to be ended with this answer.
    pub(crate) fn answered(&mut self, call: CallId, answer: &Answer) {
        self.answer = Some((call, answer.clone()));
    }

    /// A call has ended.
    pub(crate) fn settled(&mut self, now: Mono, settled: &Settled, timing: Option<&Timing>) {
        self.seen(now, settled, timing);
        let answer = self.answer.take().filter(|(call, _)| *call == settled.call).map(|(_, answer)| answer);
        if let Owner::Question(question) = settled.owner {
            let called = Called { settled: settled.clone(), timing: timing.copied(), answer };
            self.open.entry(question).or_default().push(called);
        }
    }

    /// A question is over: all its calls were settled before.
    pub(crate) fn concluded(&mut self, concluded: Concluded) -> Raw {
        let calls = self.open.remove(&concluded.question).unwrap_or_default();
        Raw::Question(Box::new(concluded), calls)
    }

    fn seen(&mut self, now: Mono, settled: &Settled, timing: Option<&Timing>) {
        if !self.hooks.contains_key(&settled.hook) {
            self.hooks.insert(settled.hook.clone(), Seen { turned: now, ..Seen::default() });
        }
        let Some(seen) = self.hooks.get_mut(&settled.hook) else { return };
        seen.turn(now);
        for latency in [&mut seen.total, &mut seen.young] {
            // Further attempts pause on purpose.
            if let Some(sent) = settled.sent.filter(|_| settled.attempt == 1) {
                latency.queue.count_in(sent - settled.queued);
            }
            if let Some(timing) = timing {
                latency.connect.count_in(timing.connect);
                latency.handler.count_in(timing.handler);
            }
        }
        if is_failure(settled.outcome) {
            let detail = settled.detail.as_str().into();
            seen.last_error = Some(LastError { at: clock::unix_now(), outcome: settled.outcome, detail });
        }
    }

    /// Forgets hooks that are gone.
    pub(crate) fn keep(&mut self, names: &[Text]) {
        self.hooks.retain(|hook, _| names.contains(hook));
    }

    /// What is known of these hooks.
    pub(crate) fn hooks(&mut self, now: Mono, names: impl Iterator<Item = Text>) -> Vec<HookRecord> {
        let record = |name: Text| match self.hooks.get_mut(&name) {
            None => HookRecord { name, latency: HookLatency::default(), last_error: None },
            Some(seen) => {
                seen.turn(now);
                let mut recent = seen.young.clone();
                recent.add(&seen.old);
                let latency = HookLatency { total: seen.total.clone(), recent };
                HookRecord { name, latency, last_error: seen.last_error.clone() }
            }
        };
        names.map(record).collect()
    }
}

impl Seen {
    /// What is young grows old, and what is old is forgotten.
    fn turn(&mut self, now: Mono) {
        let age = now - self.turned;
        if age >= RECENT {
            let young = std::mem::take(&mut self.young);
            self.old = if age < 2 * RECENT { young } else { Latency::default() };
            self.turned = now;
        }
    }
}
