//! How a call ended, with its times.

use jackfield_dispatch::Reply;
use jackfield_events::{Answer, Decision};
use jackfield_hooks::{Failure, Outcome, Retry};
use jackfield_media::Mono;
use jackfield_runtime::clock;
use std::time::Duration;

/// The longest detail of a failure, in characters: it is a line in a log.
const MAX_DETAIL_CHARS: usize = 300;

/// What a call's handler said, or how it failed.
pub(crate) type Said = Result<Answer, Failure>;

/// The times of a call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Watch {
    began: Mono,
    reached: Option<Mono>,
}

impl Watch {
    pub(crate) fn start() -> Self {
        Self { began: clock::now(), reached: None }
    }

    /// The handler has been reached: now it is its time.
    pub(crate) fn reached(&mut self) {
        self.reached = Some(clock::now());
    }

    /// The handler has been reached after this part of the time so far.
    pub(crate) fn reached_after(&mut self, connect: Duration) {
        self.reached = Some(self.began.after(connect).min(clock::now()));
    }

    pub(crate) fn reply(self, result: Said, pid: Option<u32>) -> Reply {
        let now = clock::now();
        let reached = self.reached.unwrap_or(now);
        Reply { result, connect: reached - self.began, handler: now - reached, pid }
    }
}

/// What a notice that was delivered counts as.
pub(crate) fn delivered() -> Answer {
    Answer::bare(Decision::Pass)
}

pub(crate) fn failure(outcome: Outcome, retry: Retry, detail: impl Into<String>) -> Failure {
    let detail: String = detail.into();
    let detail = match detail.char_indices().nth(MAX_DETAIL_CHARS) {
        Some((end, _)) => detail.get(..end).unwrap_or_default().to_owned() + "…",
        None => detail,
    };
    Failure { retry, ..Failure::new(outcome, detail) }
}

/// The handler did not end in time.
pub(crate) fn timeout(retry: Retry) -> Failure {
    failure(Outcome::Timeout, retry, "no answer in time")
}
