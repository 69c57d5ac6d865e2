//! Calls a second of one hook.

use jackfield_media::Mono;
use std::time::Duration;

/// What the rate counts over: up to `rate` calls may start at once after a second of rest.
const SPAN: Duration = Duration::from_secs(1);

/// A bucket of `rate` tokens that fills in a second, kept as one point in time (the virtual scheduling
/// of ITU-T I.371): when it would be full again.
#[derive(Debug, Clone)]
pub(crate) struct Rate {
    per_second: u32,
    full_at: Mono,
}

impl Rate {
    pub(crate) fn new(per_second: u32) -> Self {
        Self { per_second: per_second.max(1), full_at: Mono::ZERO }
    }

    pub(crate) fn per_second(&self) -> u32 {
        self.per_second
    }

    fn interval(&self) -> Duration {
        SPAN / self.per_second
    }

    /// When the next call may start, if not now.
    pub(crate) fn wait(&self, now: Mono) -> Option<Mono> {
        let used = self.full_at.since(now);
        let most = SPAN.saturating_sub(self.interval());
        used.checked_sub(most).filter(|wait| !wait.is_zero()).map(|wait| now.after(wait))
    }

    /// A call starts.
    pub(crate) fn take(&mut self, now: Mono) {
        self.full_at = self.full_at.max(now).after(self.interval());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_one_second_of_the_rate_and_then_calls_are_spaced() {
        let start = Mono::from_origin(Duration::from_secs(10));
        let mut rate = Rate::new(4);
        for _ in 0..4 {
            assert_eq!(rate.wait(start), None);
            rate.take(start);
        }
        let next = start.after(Duration::from_millis(250));
        assert_eq!(rate.wait(start), Some(next));
        assert_eq!(rate.wait(next), None);
        rate.take(next);
        assert_eq!(rate.wait(next), Some(start.after(Duration::from_millis(500))));
    }
}
