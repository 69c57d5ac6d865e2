//! How a call to a handler ends: in exactly one of these.

use std::fmt;

/// The outcome of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// The handler answered, in time and in form.
    Answered,
    /// Silence, or slow bytes, until the deadline.
    Timeout,
    /// The handler could not be reached: refused, name resolution, TLS; program not found.
    ConnectError,
    /// The way to the handler broke in the middle of the call.
    TransportError,
    /// The handler said something that is no answer.
    ProtocolError,
    /// The handler said that it failed: exit code, HTTP status.
    HandlerError,
    /// The hook's queue, concurrency or rate left no room in time.
    Overload,
    /// The hook's circuit breaker is open: nothing was sent.
    BreakerOpen,
    /// The program died.
    Crashed,
    /// Nobody waits any more: the client left, the hook was removed, the server stops.
    Cancelled,
    /// The chain's budget was used up before or while this hook was asked.
    Budget,
    /// The answer came after the call's deadline.
    Late,
}

impl Outcome {
    /// All of them, in the order of the documentation.
    pub const ALL: &[Self] = &[
        Self::Answered,
        Self::Timeout,
        Self::ConnectError,
        Self::TransportError,
        Self::ProtocolError,
        Self::HandlerError,
        Self::Overload,
        Self::BreakerOpen,
        Self::Crashed,
        Self::Cancelled,
        Self::Budget,
        Self::Late,
    ];

    /// The word in logs, metrics and the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Timeout => "timeout",
            Self::ConnectError => "connect_error",
            Self::TransportError => "transport_error",
            Self::ProtocolError => "protocol_error",
            Self::HandlerError => "handler_error",
            Self::Overload => "overload",
            Self::BreakerOpen => "breaker_open",
            Self::Crashed => "crashed",
            Self::Cancelled => "cancelled",
            Self::Budget => "budget",
            Self::Late => "late",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether a failed notice may be tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Never.
    No,
    /// By the hook's schedule.
    Scheduled,
    /// The handler asked for a pause (`Retry-After`), clamped to [base, 2 × base] of the schedule.
    After(std::time::Duration),
    /// Never, and call this hook no more (HTTP 410).
    Disable,
}

/// What a failure says of its receiver, beyond the event that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Receiver {
    /// It is there, and this event failed: another may go better.
    Here,
    /// It is not there: whatever is sent now would fail. Notices keep their order until it is back.
    Away,
    /// It is there and wants fewer calls (HTTP 429). As if it were away, and the hook slows down.
    Busy,
}

impl Receiver {
    /// What an outcome says when the transport knows no more.
    #[must_use]
    pub const fn after(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Timeout
            | Outcome::ConnectError
            | Outcome::TransportError
            | Outcome::Crashed
            | Outcome::BreakerOpen => Self::Away,
            Outcome::Overload => Self::Busy,
            Outcome::Answered
            | Outcome::ProtocolError
            | Outcome::HandlerError
            | Outcome::Cancelled
            | Outcome::Budget
            | Outcome::Late => Self::Here,
        }
    }
}

/// A call that was not answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// How it ended; never [`Outcome::Answered`].
    pub outcome: Outcome,
    /// What happened, for the log: no secrets, at most a line.
    pub detail: String,
    /// Whether a notice may be tried again.
    pub retry: Retry,
    /// What it says of the receiver.
    pub receiver: Receiver,
}

impl Failure {
    /// A failure after which a notice may be tried again by the hook's schedule.
    #[must_use]
    pub fn new(outcome: Outcome, detail: impl Into<String>) -> Self {
        Self { outcome, detail: detail.into(), retry: Retry::Scheduled, receiver: Receiver::after(outcome) }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.detail.is_empty() {
            self.outcome.fmt(f)
        } else {
            write!(f, "{}: {}", self.outcome, self.detail)
        }
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_reads_as_its_outcome_and_what_happened_if_that_is_known() {
        assert_eq!(Failure::new(Outcome::Timeout, "").to_string(), "timeout");
        assert_eq!(Failure::new(Outcome::Crashed, "signal 9").to_string(), "crashed: signal 9");
    }

    #[test]
    fn words_of_outcomes_differ() {
        let words: std::collections::BTreeSet<String> =
            Outcome::ALL.iter().map(ToString::to_string).collect();
        assert_eq!(words.len(), Outcome::ALL.len());
        assert!(words.contains("connect_error"));
    }
}
