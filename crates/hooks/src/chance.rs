//! Jitter from a seed: the core draws no lots of its own, so the same inputs give the same outputs.

use std::time::Duration;

/// The generator `SplitMix64` (Steele, Lea, Flood 2014): small, and good enough to spread retries.
#[derive(Debug, Clone)]
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// The duration, up to a fifth longer or shorter.
    pub(crate) fn jittered(&mut self, base: Duration) -> Duration {
        let permille = u32::try_from(800 + self.next() % 401).unwrap_or(1000);
        base.saturating_mul(permille) / 1000
    }
}
