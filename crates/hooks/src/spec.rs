//! What the configuration says of one hook.

use crate::Selector;
use jackfield_events::{EventSet, OnError};
use jackfield_media::{Text, UnixTime};
use std::fmt;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

/// Pauses before each further try of a notice, unless the configuration says others.
pub const SCHEDULE: [Duration; 9] = [
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_secs(2 * 60),
    Duration::from_secs(10 * 60),
    Duration::from_secs(30 * 60),
    Duration::from_secs(2 * 60 * 60),
    Duration::from_secs(5 * 60 * 60),
    Duration::from_secs(10 * 60 * 60),
];

/// Whether a hook decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// It is told; nobody waits for it. A question reaches it as a notice, with its secrets masked.
    Notify,
    /// Its answer is part of a question's verdict. (Of a notice it is told.)
    Decide,
}

impl Mode {
    /// The word in configuration, logs and the worker protocol.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Notify => "notify",
            Self::Decide => "decide",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Identifies one delivery of one event to one hook over all its attempts: `dlv_…`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeliveryId(pub u64);

impl DeliveryId {
    /// Reads what [`DeliveryId`] is written as.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let hex = text.strip_prefix("dlv_")?;
        let is_hex =
            (8..=16).contains(&hex.len()) && hex.bytes().all(|byte| b"0123456789abcdef".contains(&byte));
        is_hex.then(|| u64::from_str_radix(hex, 16).ok().map(Self)).flatten()
    }
}

impl fmt::Display for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "dlv_{:08x}", self.0)
    }
}

/// Whether the notice calls of a hook count in the limit over all hooks (`--hook-concurrency`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NoticeShare {
    /// They do: `run` and `url`.
    Shared,
    /// The hook's own `concurrency` is its only limit: `worker` and `stdio`.
    Own,
}

/// After which failures of a notice it is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RetryAfter {
    /// Only after those that the transport marks so: a `run` that ended with 75.
    Asked,
    /// After those, and after a deadline: `url` and `worker`.
    Failure,
    /// After each: a `run` with `retries`.
    Any,
}

/// How often a notice is tried again, by the hook's schedule: each pause up to a fifth longer or shorter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Retries {
    /// Tries after the first. One that a success of the hook brought forward is not counted.
    pub limit: u32,
    /// What they follow.
    pub after: RetryAfter,
}

impl Retries {
    /// The length of the schedule.
    const ALL: u32 = 9;

    /// Of a program that has effects: `retries` of its configuration, else once unless it asks for more.
    #[must_use]
    pub const fn of_run(retries: Option<u32>) -> Self {
        match retries {
            Some(limit) => Self { limit, after: RetryAfter::Any },
            None => Self { limit: Self::ALL, after: RetryAfter::Asked },
        }
    }

    /// Of a webhook or worker: `retries` of its configuration, else the whole schedule.
    #[must_use]
    pub const fn of_delivery(retries: Option<u32>) -> Self {
        let limit = match retries {
            Some(limit) => limit,
            None => Self::ALL,
        };
        Self { limit, after: RetryAfter::Failure }
    }
}

/// Where in the log a hook begins that has no cursor yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// With what happens from now on.
    Now,
    /// With the oldest event that the log still has.
    Beginning,
    /// With the first event at or after that time.
    At(UnixTime),
}

/// One hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookSpec {
    /// What makes it this hook over reloads and restarts, whatever its name; unique in the configuration.
    pub id: Text,
    /// Its name, unique in the configuration.
    pub name: Text,
    /// Stands for all of its configuration that is not in this type. A hook that its handler disabled is enabled
    /// again when this, or anything here, changes.
    pub revision: u64,
    /// The events that it wants.
    pub on: EventSet,
    /// The streams that it is about.
    pub streams: Selector,
    /// Whether it decides the questions among its events. Notices are always told.
    pub mode: Mode,
    /// Longest call of a notice.
    pub notice_timeout: Duration,
    /// How long after its deadline a notice's call may take to end what it started. Until its transport says
    /// that it has, its lane and its place are kept: the program of the next notice of the key does not
    /// start beside one that is still being ended. Zero for handlers that start nothing.
    pub ending: Duration,
    /// Longest call of a question, waiting for room included.
    pub question_timeout: Duration,
    /// What its failure does to a question; by default what the catalogue says.
    pub on_error: Option<OnError>,
    /// Calls at once, at least 1: of notices, and counted apart, of questions.
    pub concurrency: usize,
    /// Calls a second, questions first; `None` = no limit.
    pub rate: Option<u32>,
    /// Notices that wait, at least 1. When it is full, no more are taken from the log, and of those that are in
    /// memory only, the oldest is dropped and counted. Counted apart, those of the log that are tried again beside
    /// their lane; when there are more, the oldest is given up. Counted apart too, questions that wait; when that
    /// is full, the next ends as `overload`.
    pub queue: usize,
    /// How often a notice is tried again.
    pub retries: Retries,
    /// Pauses before each further try; the last one repeats itself. Never empty.
    pub schedule: Arc<[Duration]>,
    /// Where it begins in the log if it has no cursor yet.
    pub start: Start,
    /// Dead letters of it that are kept; the oldest goes first.
    pub dead_letters: usize,
    /// Hooks of one group share one lane for each key: a notice to one starts only after the notice
    /// before it, to whichever of them, has ended.
    pub lane_group: Option<Text>,
    /// Whether its notices count in the limit over all hooks.
    pub notice_share: NoticeShare,
}

impl HookSpec {
    /// A hook with the defaults of the configuration, whose id is its name.
    #[must_use]
    pub fn new(name: &str, on: EventSet, mode: Mode) -> Self {
        static USUAL: LazyLock<Arc<[Duration]>> = LazyLock::new(|| Arc::from(SCHEDULE));
        Self {
            id: name.into(),
            name: name.into(),
            revision: 0,
            on,
            streams: Selector::default(),
            mode,
            notice_timeout: Duration::from_secs(30),
            ending: Duration::ZERO,
            question_timeout: Duration::from_secs(2),
            on_error: None,
            concurrency: 10,
            rate: None,
            queue: 1000,
            retries: Retries::of_delivery(None),
            schedule: Arc::clone(&USUAL),
            start: Start::Now,
            dead_letters: 10_000,
            lane_group: None,
            notice_share: NoticeShare::Shared,
        }
    }

    /// Whether it is told of facts.
    #[must_use]
    pub fn gets_facts(&self) -> bool {
        self.on.iter().any(|event| !event.spec().kind.is_question())
    }

    /// Whether it is ever told anything, and not only asked.
    #[must_use]
    pub fn gets_notices(&self) -> bool {
        self.on.iter().any(|event| self.mode == Mode::Notify || !event.spec().kind.is_question())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jackfield_events::EventType::{PublishStart, ResolvePublish};

    #[test]
    fn words_are_those_of_the_configuration_and_the_worker_protocol() {
        assert_eq!([Mode::Notify, Mode::Decide].map(|mode| mode.to_string()), ["notify", "decide"]);
        assert_eq!(DeliveryId(0x1f).to_string(), "dlv_0000001f");
    }

    #[test]
    fn a_program_is_run_once_unless_told_and_a_delivery_is_tried_by_the_whole_schedule() {
        assert_eq!(Retries::of_run(None), Retries { limit: 9, after: RetryAfter::Asked });
        assert_eq!(Retries::of_run(Some(2)), Retries { limit: 2, after: RetryAfter::Any });
        assert_eq!(Retries::of_delivery(None), Retries { limit: 9, after: RetryAfter::Failure });
        assert_eq!(Retries::of_delivery(Some(0)), Retries { limit: 0, after: RetryAfter::Failure });
    }

    #[test]
    fn only_a_hook_that_decides_and_has_nothing_but_questions_is_never_told() {
        let gets = |on: &[_], mode| HookSpec::new("a", on.iter().copied().collect(), mode).gets_notices();
        assert!(gets(&[ResolvePublish], Mode::Notify));
        assert!(gets(&[PublishStart], Mode::Decide));
        assert!(gets(&[ResolvePublish, PublishStart], Mode::Decide));
        assert!(!gets(&[ResolvePublish], Mode::Decide));
        assert!(!gets(&[], Mode::Notify));
    }
}
