//! How long calls take: histograms with fixed bounds, so that they can be added up and exported as they are.

use std::time::Duration;

/// Upper bounds of the buckets in microseconds, each included; what takes longer is in one more bucket.
const BOUNDS_US: [u64; 48] = [
    1,
    2,
    3,
    5,
    7,
    10,
    15,
    20,
    30,
    50,
    70,
    100,
    150,
    200,
    300,
    500,
    700,
    1_000,
    1_500,
    2_000,
    3_000,
    5_000,
    7_000,
    10_000,
    15_000,
    20_000,
    30_000,
    50_000,
    70_000,
    100_000,
    150_000,
    200_000,
    300_000,
    500_000,
    700_000,
    1_000_000,
    1_500_000,
    2_000_000,
    3_000_000,
    5_000_000,
    7_000_000,
    10_000_000,
    15_000_000,
    20_000_000,
    30_000_000,
    60_000_000,
    120_000_000,
    300_000_000,
];
const BUCKETS: usize = BOUNDS_US.len() + 1;

/// Durations, counted by size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Histogram {
    counts: [u64; BUCKETS],
    sum: Duration,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: [0; BUCKETS], sum: Duration::ZERO }
    }
}

impl Histogram {
    pub(crate) fn count_in(&mut self, duration: Duration) {
        let micros = u64::try_from(duration.as_nanos().div_ceil(1000)).unwrap_or(u64::MAX);
        let place = BOUNDS_US.partition_point(|bound| *bound < micros);
        if let Some(count) = self.counts.get_mut(place) {
            *count += 1;
        }
        self.sum = self.sum.saturating_add(duration);
    }

    /// How many were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// All of them together.
    #[must_use]
    pub fn sum(&self) -> Duration {
        self.sum
    }

    /// How many took at most this long, for a bound that is one of the buckets'; else for the next smaller one.
    #[must_use]
    pub fn at_most(&self, bound: Duration) -> u64 {
        let micros = u64::try_from(bound.as_micros()).unwrap_or(u64::MAX);
        let buckets = BOUNDS_US.partition_point(|upper| *upper <= micros);
        self.counts.iter().take(buckets).sum()
    }

    /// The duration that this share of all stays within, such as 0.99; interpolated in its bucket, so it is off by
    /// less than the bucket's width. `None` if nothing was counted.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let count = self.count();
        if count == 0 {
            return None;
        }
        let rank = share.clamp(0.0, 1.0) * to_f64(count);
        let mut below = 0;
        for (place, inside) in self.counts.iter().enumerate() {
            if *inside > 0 && to_f64(below + inside) >= rank {
                let lower = place.checked_sub(1).and_then(|place| BOUNDS_US.get(place)).copied().unwrap_or(0);
                // Of what is longer than every bound only the bound is known.
                let upper = BOUNDS_US.get(place).copied().unwrap_or(lower);
                let part = (rank - to_f64(below)).max(0.0) / to_f64(*inside);
                return Some(Duration::from_secs_f64((to_f64(lower) + to_f64(upper - lower) * part) / 1e6));
            }
            below += inside;
        }
        None
    }

    fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine += theirs;
        }
        self.sum = self.sum.saturating_add(other.sum);
    }
}

/// Counts and microseconds of a day are far below the 2^53 at which this would round.
#[expect(clippy::cast_precision_loss, reason = "a share of a count is an estimate")]
fn to_f64(number: u64) -> f64 {
    number as f64
}

/// How long a hook's calls take, in three parts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Latency {
    /// From when it was queued, or it was the hook's turn, until it was sent. Of first attempts only: a further one
    /// pauses on purpose.
    pub queue: Histogram,
    /// To reach the handler.
    pub connect: Histogram,
    /// In the handler.
    pub handler: Histogram,
}

impl Latency {
    /// Adds another one to this.
    pub fn add(&mut self, other: &Self) {
        self.queue.add(&other.queue);
        self.connect.add(&other.connect);
        self.handler.add(&other.handler);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn us(micros: u64) -> Duration {
        Duration::from_micros(micros)
    }

    #[test]
    fn bounds_ascend_and_a_duration_is_in_the_first_bucket_that_holds_it() {
        assert!(BOUNDS_US.is_sorted_by(|a, b| a < b));
        let mut histogram = Histogram::default();
        for duration in [Duration::ZERO, us(1), Duration::from_nanos(1001), us(10), us(11), us(400_000_000)] {
            histogram.count_in(duration);
        }
        let at_most = [1, 2, 9, 10, 15, 300_000_000].map(|bound| histogram.at_most(us(bound)));
        assert_eq!((at_most, histogram.count()), ([2, 3, 3, 4, 5, 5], 6));
        assert_eq!(histogram.sum(), us(400_000_022) + Duration::from_nanos(1001));
    }

    #[test]
    fn a_quantile_lies_in_the_bucket_of_its_rank() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile(0.5), None);
        (0..90).for_each(|_| histogram.count_in(us(120)));
        (0..10).for_each(|_| histogram.count_in(us(6_000)));
        for (share, within) in [(0.0, 100..=150), (0.5, 100..=150), (0.9, 100..=150), (0.99, 5_000..=7_000)] {
            let found = histogram.quantile(share).unwrap().as_micros();
            assert!(within.contains(&found), "{share}: {found}");
        }
        let mut long = Histogram::default();
        long.count_in(Duration::MAX);
        assert_eq!(long.quantile(0.99), Some(us(300_000_000)), "the last bound is all that is known");
        long.add(&histogram);
        assert_eq!(long.count(), 101);
    }
}
