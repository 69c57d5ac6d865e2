//! How fast a publisher's tracks come: for whoever looks at the stream, not for the stream itself.

use crate::status::TrackRate;
use jackfield_media::{Mono, TrackId};
use std::collections::BTreeMap;
use std::time::Duration;

/// How often the rates are told, and over how long they are.
const EVERY: Duration = Duration::from_secs(1);

/// The bytes of each track when the rates were told last.
#[derive(Debug)]
pub(super) struct Pace {
    told_at: Mono,
    told: BTreeMap<TrackId, u64>,
}

impl Pace {
    pub(super) fn new(now: Mono) -> Self {
        Self { told_at: now, told: BTreeMap::new() }
    }

    /// Whether it is time to tell again.
    pub(super) fn is_due(&self, now: Mono) -> bool {
        now - self.told_at >= EVERY
    }

    /// The rates since they were told last, from what each track has come to.
    pub(super) fn rates(
        &mut self,
        now: Mono,
        tracks: impl Iterator<Item = (TrackId, u64)>,
    ) -> Vec<TrackRate> {
        let millis = (now - self.told_at).as_millis().max(1);
        let tracks: BTreeMap<TrackId, u64> = tracks.collect();
        let rate = |(track, bytes): (&TrackId, &u64)| {
            let more = bytes.saturating_sub(self.told.get(track).copied().unwrap_or_default());
            let bits = u64::try_from(u128::from(more) * 8000 / millis).unwrap_or(u64::MAX);
            TrackRate { track: *track, bits_per_second: bits }
        };
        let rates = tracks.iter().map(rate).collect();
        (self.told_at, self.told) = (now, tracks);
        rates
    }
}

/// When the last two key frames of a track came, on its own time line.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct KeyFrames {
    last_ms: Option<i64>,
    distance_ms: Option<u64>,
}

impl KeyFrames {
    /// One of this time. A time line that goes back begins anew.
    pub(super) fn one(&mut self, dts_ms: i64) {
        let distance = self.last_ms.map(|last| dts_ms.saturating_sub(last));
        self.distance_ms = distance.and_then(|distance| u64::try_from(distance).ok());
        self.last_ms = Some(dts_ms);
    }

    /// The time between the last two.
    pub(super) fn distance(self) -> Option<Duration> {
        self.distance_ms.map(Duration::from_millis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_of_the_time_since_they_were_told_last() {
        let at = |millis| Mono::from_origin(Duration::from_millis(millis));
        let mut pace = Pace::new(at(0));
        let rate = |track, bits_per_second| TrackRate { track, bits_per_second };
        assert!(!pace.is_due(at(999)) && pace.is_due(at(1000)));
        let rates = pace.rates(at(2000), [(TrackId::VIDEO, 250_000)].into_iter());
        assert_eq!(rates, [rate(TrackId::VIDEO, 1_000_000)]);
        assert!(!pace.is_due(at(2999)));
        let both = [(TrackId::VIDEO, 250_000), (TrackId::AUDIO, 16_000)];
        let rates = pace.rates(at(3000), both.into_iter());
        assert_eq!(rates, [rate(TrackId::VIDEO, 0), rate(TrackId::AUDIO, 128_000)]);
    }

    #[test]
    fn key_frames_are_as_far_apart_as_their_time_stamps() {
        let mut frames = KeyFrames::default();
        let mut after = |dts| {
            frames.one(dts);
            frames.distance().map(|distance| distance.as_millis())
        };
        assert_eq!([after(0), after(2000), after(4500)], [None, Some(2000), Some(2500)]);
        assert_eq!([after(-3), after(997)], [None, Some(1000)]);
    }
}
