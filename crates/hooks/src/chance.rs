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

#[cfg(test)]
mod tests {
    use super::*;

    /// The first numbers of the seed 1234567 as the authors' own program prints them.
    #[test]
    fn the_numbers_are_those_of_the_published_generator() {
        let mut chance = Chance::new(1_234_567);
        let drawn: Vec<u64> = (0..5).map(|_| chance.next()).collect();
        let published = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
            4_593_380_528_125_082_431,
            16_408_922_859_458_223_821,
        ];
        assert_eq!(drawn, published);
    }

    #[test]
    fn jitter_takes_or_adds_up_to_a_fifth_and_reaches_both_ends() {
        let mut chance = Chance::new(1);
        let drawn: Vec<Duration> = (0..20_000).map(|_| chance.jittered(Duration::from_secs(1))).collect();
        assert_eq!(drawn.iter().min(), Some(&Duration::from_millis(800)));
        assert_eq!(drawn.iter().max(), Some(&Duration::from_millis(1200)));
    }
}
