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
    tried: u32,
    /// Tries in this row.
    tries: u32,
}

impl Backoff {
    pub(crate) fn new(policy: Reconnect) -> Self {
        Self { policy, tried: 0, tries: policy.tries }
    }

    /// The server asked to come again.
    pub(crate) fn asked(&mut self) {
        self.tries = self.policy.tries.max(TRIES_WHEN_ASKED);
    }

    /// Media flows again.
    pub(crate) fn succeeded(&mut self) {
        self.tried = 0;
        self.tries = self.policy.tries;
    }

    /// How long to wait before the next try; `None` to give up.
    pub(crate) fn next_wait(&mut self) -> Option<Duration> {
        if self.tried >= self.tries {
            return None;
        }
        let doubled = self.policy.first.saturating_mul(1 << self.tried.min(16));
        self.tried += 1;
        Some(random::jittered(doubled.min(self.policy.longest)))
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
        never.asked();
        assert_eq!(std::iter::from_fn(|| never.next_wait()).count(), 8);
        never.succeeded();
        assert_eq!(never.next_wait(), None);
    }
}
