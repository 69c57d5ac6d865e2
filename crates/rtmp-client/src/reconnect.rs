//! When to try again.

use jackfield_runtime::random;
use std::time::Duration;

/// When to try again after a loss. Waiting times double from the first to the longest, each a fifth longer or
/// shorter by chance, so that many clients of one server do not come back in step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reconnect {
    /// The first wait.
    pub first: Duration,
    /// The longest wait.
    pub longest: Duration,
    /// Tries in a row without success before giving up; 0 never tries.
    pub tries: u32,
}

impl Reconnect {
    /// No try after a loss. Requests to reconnect are heeded all the same.
    pub const NEVER: Self = Self::times(0);

    /// From half a second to 15 s, as often as that.
    #[must_use]
    pub const fn times(tries: u32) -> Self {
        Self { first: Duration::from_millis(500), longest: Duration::from_secs(15), tries }
    }
}

impl Default for Reconnect {
    fn default() -> Self {
        Self::NEVER
    }
}

/// Tries after a server's request, whatever the policy: it promised to be back, and knows for how long.
const TRIES_WHEN_ASKED: u32 = 8;

/// Where in a row of tries one is.
#[derive(Debug)]
pub(crate) struct Backoff {
    policy: Reconnect,
    /// Tries in a row that failed.
    failed: u32,
    /// How often the wait has doubled. A stream that begins and is lost at once does not make the next wait short.
    doubled: u32,
    /// Tries in this row.
    tries: u32,
}

impl Backoff {
    pub(crate) fn new(policy: Reconnect) -> Self {
        Self { policy, failed: 0, doubled: 0, tries: policy.tries }
    }

    /// The server asked to come again: how long to wait before. At once, unless it has asked a short while ago.
    pub(crate) fn asked(&mut self) -> Duration {
        self.tries = self.policy.tries.max(TRIES_WHEN_ASKED);
        if self.doubled == 0 {
            self.doubled = 1;
            return Duration::ZERO;
        }
        self.wait()
    }

    /// The stream runs again.
    pub(crate) fn succeeded(&mut self) {
        self.failed = 0;
        self.tries = self.policy.tries;
    }

    /// A stream that ran for so long has come to an end.
    pub(crate) fn ended(&mut self, ran: Duration) {
        if ran >= self.policy.longest {
            self.doubled = 0;
        }
    }

    /// How long to wait before the next try; `None` to give up.
    pub(crate) fn next_wait(&mut self) -> Option<Duration> {
        if self.failed >= self.tries {
            return None;
        }
        self.failed += 1;
        Some(self.wait())
    }

    fn wait(&mut self) -> Duration {
        let wait = self.policy.first.saturating_mul(1 << self.doubled.min(16));
        self.doubled = self.doubled.saturating_add(1);
        random::jittered(wait.min(self.policy.longest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_end_after_the_last_try() {
        let mut backoff = Backoff::new(Reconnect::times(7));
        let waits: Vec<_> = std::iter::from_fn(|| backoff.next_wait()).collect();
        assert_eq!(waits.len(), 7);
        for (wait, base) in waits.iter().zip([500, 1000, 2000, 4000, 8000, 15_000, 15_000]) {
            let base = Duration::from_millis(base);
            assert!((base * 4 / 5..=base * 6 / 5).contains(wait), "{wait:?}");
        }
        backoff.succeeded();
        assert!(backoff.next_wait().is_some());
        let mut never = Backoff::new(Reconnect::NEVER);
        assert_eq!(never.next_wait(), None);
        assert_eq!(never.asked(), Duration::ZERO);
        assert_eq!(std::iter::from_fn(|| never.next_wait()).count(), 8);
        never.succeeded();
        assert_eq!(never.next_wait(), None);
    }

    #[test]
    fn a_stream_that_is_lost_as_soon_as_it_runs_is_not_tried_without_pause() {
        let mut backoff = Backoff::new(Reconnect::times(3));
        let mut waits = Vec::new();
        for _ in 0..8 {
            backoff.ended(Duration::from_secs(1));
            waits.push(backoff.next_wait().unwrap());
            backoff.succeeded();
        }
        assert!(waits.iter().skip(5).all(|wait| *wait >= Duration::from_secs(12)), "{waits:?}");
        backoff.ended(Duration::from_secs(15));
        assert!(backoff.next_wait().unwrap() < Duration::from_secs(1));
    }

    #[test]
    fn a_server_that_asks_again_and_again_is_not_met_without_pause() {
        let mut backoff = Backoff::new(Reconnect::NEVER);
        let mut waits = Vec::new();
        for _ in 0..7 {
            backoff.ended(Duration::ZERO);
            waits.push(backoff.asked());
            backoff.succeeded();
        }
        assert_eq!(waits.first(), Some(&Duration::ZERO));
        assert!(waits.last().is_some_and(|wait| *wait >= Duration::from_secs(12)), "{waits:?}");
        backoff.ended(Duration::from_secs(60));
        assert_eq!(backoff.asked(), Duration::ZERO);
    }
}
