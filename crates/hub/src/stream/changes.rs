//! Which changes of tracks are to be told. A publisher may change its codecs with every message: what is told of it has a
//! pace of its own, so that it floods neither hooks nor the log, and the newest state is always told in the end.

use jackfield_media::{Mono, TrackId};
use std::collections::VecDeque;
use std::time::Duration;

/// So many changes are told at once: each of 64 tracks as it is found, configured, and changed once or twice.
const AT_ONCE: u32 = 256;
/// And one more each time that this has passed.
const PACE: Duration = Duration::from_millis(50);

/// The tracks of a publish session whose newest state was not told yet: at most all that it has.
#[derive(Debug)]
pub(super) struct Changes {
    waiting: VecDeque<TrackId>,
    /// How many may be told, as of `counted_at`.
    left: u32,
    counted_at: Mono,
}

impl Changes {
    pub(super) fn new(now: Mono) -> Self {
        Self { waiting: VecDeque::new(), left: AT_ONCE, counted_at: now }
    }

    /// A track is another than was told.
    pub(super) fn add(&mut self, track: TrackId) {
        if !self.waiting.contains(&track) {
            self.waiting.push_back(track);
        }
    }

    /// The next one that may be told now.
    pub(super) fn next(&mut self, now: Mono) -> Option<TrackId> {
        if self.waiting.is_empty() {
            return None;
        }
        let earned = (now - self.counted_at).as_millis() / PACE.as_millis();
        if earned > 0 {
            self.left = AT_ONCE.min(self.left.saturating_add(u32::try_from(earned).unwrap_or(AT_ONCE)));
            self.counted_at = now;
        }
        self.left = self.left.checked_sub(1)?;
        self.waiting.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_told_at_the_pace_and_each_track_once() {
        let began = Mono::from_origin(Duration::ZERO);
        let mut changes = Changes::new(began);
        let mut told = 0;
        for round in 0..1000 {
            changes.add(TrackId(round % 3));
            told += u32::from(changes.next(began).is_some());
        }
        assert_eq!(told, AT_ONCE);
        assert_eq!(changes.waiting.len(), 3);
        let mut later =
            |ms| std::iter::from_fn(|| changes.next(began.after(Duration::from_millis(ms)))).count();
        assert_eq!((later(49), later(50), later(99), later(1000), later(60_000)), (0, 1, 0, 2, 0));
    }
}
