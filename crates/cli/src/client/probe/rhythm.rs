//! Time stamps of one track: steps, gaps, key frames.

/// A step that is longer is a gap, in milliseconds: no picture or sound lasts a second.
const GAP_MS: i64 = 1000;

/// What the time stamps of a track do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Rhythm {
    /// Frames, without configurations and signals.
    pub(super) frames: u64,
    /// The first and the last decoding time, in milliseconds.
    pub(super) first_ms: Option<i64>,
    pub(super) last_ms: Option<i64>,
    /// Steps back in decoding order, and the longest of them.
    pub(super) backward_steps: u64,
    pub(super) longest_backward_ms: i64,
    /// Steps ahead of more than a second, and the longest of them.
    pub(super) gaps: u64,
    pub(super) longest_gap_ms: i64,
    /// The least and the most that a picture is shown after it is decoded.
    pub(super) composition_ms: Option<(i64, i64)>,
    pub(super) keyframes: Keyframes,
}

/// Distances of key frames.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Keyframes {
    pub(super) count: u64,
    /// The least, the most and the sum of distances.
    pub(super) distance_ms: Option<(i64, i64)>,
    sum_ms: i64,
    /// Frames between the first and the last of them.
    frames: u64,
    last: Option<(i64, u64)>,
}

/// Whether decoding can start at a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entry {
    Keyframe,
    Inter,
}

impl Rhythm {
    /// A frame: when it is decoded, and how much later it is shown.
    pub(super) fn frame(&mut self, dts_ms: i64, composition_ms: i64, entry: Entry) {
        if let Some(last) = self.last_ms {
            let step = dts_ms.saturating_sub(last);
            if step < 0 {
                self.backward_steps += 1;
                self.longest_backward_ms = self.longest_backward_ms.max(step.saturating_neg());
            } else if step > GAP_MS {
                self.gaps += 1;
                self.longest_gap_ms = self.longest_gap_ms.max(step);
            }
        }
        self.first_ms.get_or_insert(dts_ms);
        self.last_ms = Some(dts_ms);
        let (least, most) = self.composition_ms.unwrap_or((composition_ms, composition_ms));
        self.composition_ms = Some((least.min(composition_ms), most.max(composition_ms)));
        if entry == Entry::Keyframe {
            self.keyframes.at(dts_ms, self.frames);
        }
        self.frames += 1;
    }

    /// From the first frame to the last.
    pub(super) fn span_ms(&self) -> i64 {
        match (self.first_ms, self.last_ms) {
            (Some(first), Some(last)) => last.saturating_sub(first).max(0),
            _ => 0,
        }
    }

    /// Frames a second.
    #[expect(clippy::cast_precision_loss, reason = "two digits are shown")]
    pub(super) fn rate(&self) -> Option<f64> {
        let span = self.span_ms();
        (span > 0 && self.frames > 1).then(|| (self.frames - 1) as f64 * 1000.0 / span as f64)
    }
}

impl Keyframes {
    fn at(&mut self, dts_ms: i64, frame: u64) {
        self.count += 1;
        if let Some((last, last_frame)) = self.last {
            let distance = dts_ms.saturating_sub(last);
            let (least, most) = self.distance_ms.unwrap_or((distance, distance));
            self.distance_ms = Some((least.min(distance), most.max(distance)));
            self.sum_ms = self.sum_ms.saturating_add(distance);
            self.frames += frame - last_frame;
        }
        self.last = Some((dts_ms, frame));
    }

    /// The average distance in milliseconds and in frames.
    #[expect(clippy::cast_precision_loss, reason = "two digits are shown")]
    pub(super) fn average(&self) -> Option<(f64, f64)> {
        let distances = self.count.checked_sub(1).filter(|count| *count > 0)? as f64;
        Some((self.sum_ms as f64 / distances, self.frames as f64 / distances))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_back_gaps_and_key_frames_are_counted() {
        let mut rhythm = Rhythm::default();
        for (dts, entry) in [
            (0, Entry::Keyframe),
            (40, Entry::Inter),
            (80, Entry::Keyframe),
            (70, Entry::Inter),
            (1070, Entry::Inter),
            (2071, Entry::Keyframe),
        ] {
            rhythm.frame(dts, dts % 3, entry);
        }
        assert_eq!((rhythm.backward_steps, rhythm.longest_backward_ms), (1, 10));
        assert_eq!((rhythm.gaps, rhythm.longest_gap_ms), (1, 1001));
        assert_eq!((rhythm.composition_ms, rhythm.span_ms()), (Some((0, 2)), 2071));
        assert_eq!(rhythm.keyframes.distance_ms, Some((80, 1991)));
        assert_eq!(rhythm.keyframes.average(), Some((1035.5, 2.5)));
    }

    #[test]
    fn hostile_time_stamps_break_nothing() {
        let mut rhythm = Rhythm::default();
        for dts in [i64::MAX, i64::MIN, i64::MAX, 0] {
            rhythm.frame(dts, i64::MIN, Entry::Keyframe);
        }
        assert_eq!(rhythm.frames, 4);
        assert!(Rhythm::default().rate().is_none() && Keyframes::default().average().is_none());
    }
}
