//! Media time, local time and the wall clock, each with a type of its own.

use std::ops::Sub;
use std::time::Duration;

/// Ticks per second of a track's time stamps. RTMP's is 1000 (RTMP 1.0 §5.3.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TimeBase(pub u32);

impl TimeBase {
    /// Milliseconds.
    pub const MILLIS: Self = Self(1000);
}

/// A point on a track's time line, unwrapped: it has 64 bits and does not wrap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MediaTime {
    /// Ticks since the time line's origin; may be negative.
    pub ticks: i64,
    /// What a tick is.
    pub base: TimeBase,
}

impl MediaTime {
    /// A time stamp in milliseconds.
    #[must_use]
    pub const fn from_ms(ms: i64) -> Self {
        Self { ticks: ms, base: TimeBase::MILLIS }
    }

    /// Milliseconds, rounded towards minus infinity.
    #[must_use]
    pub fn as_ms(self) -> i64 {
        if self.base == TimeBase::MILLIS {
            return self.ticks;
        }
        let scale = i64::from(self.base.0.max(1));
        let (whole, rest) = (self.ticks.div_euclid(scale), self.ticks.rem_euclid(scale));
        whole.saturating_mul(1000).saturating_add(rest * 1000 / scale)
    }

    /// This time shifted by milliseconds.
    #[must_use]
    pub fn plus_ms(self, ms: i64) -> Self {
        let ticks =
            if self.base == TimeBase::MILLIS { ms } else { ms.saturating_mul(i64::from(self.base.0)) / 1000 };
        Self { ticks: self.ticks.saturating_add(ticks), base: self.base }
    }
}

/// Local time: it only goes forward, and says nothing about the calendar. Deadlines are made of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Mono(Duration);

impl Mono {
    /// The clock's origin.
    pub const ZERO: Self = Self(Duration::ZERO);

    /// A point this long after the origin.
    #[must_use]
    pub const fn from_origin(since: Duration) -> Self {
        Self(since)
    }

    /// How long after the origin this is.
    #[must_use]
    pub const fn since_origin(self) -> Duration {
        self.0
    }

    /// How long ago `earlier` was; zero if it lies ahead.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    /// A point this much later, at most the end of time.
    #[must_use]
    pub fn after(self, by: Duration) -> Self {
        Self(self.0.saturating_add(by))
    }
}

impl Sub for Mono {
    type Output = Duration;

    fn sub(self, earlier: Self) -> Duration {
        self.since(earlier)
    }
}

/// The wall clock, in microseconds since 1970-01-01T00:00:00Z. It may jump; only people read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct UnixTime(pub i64);

impl UnixTime {
    /// Whole seconds since 1970.
    #[must_use]
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// Whole milliseconds since 1970.
    #[must_use]
    pub fn millis(self) -> i64 {
        self.0.div_euclid(1000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_time_converts_without_drift() {
        let t = MediaTime { ticks: 90_000 * 3600 + 45, base: TimeBase(90_000) };
        assert_eq!(t.as_ms(), 3_600_000);
        assert_eq!(t.plus_ms(10).as_ms(), 3_600_010);
        assert_eq!(MediaTime::from_ms(-5).as_ms(), -5);
    }

    #[test]
    fn local_time_never_subtracts_below_zero() {
        let (a, b) = (Mono::ZERO, Mono::ZERO.after(Duration::from_secs(1)));
        assert_eq!(b - a, Duration::from_secs(1));
        assert_eq!(a - b, Duration::ZERO);
    }
}
