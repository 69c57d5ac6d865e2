//! Time stamps of 32 bits, which wrap after 49.7 days, as 64 bits, which do not.

/// Time stamps may lie this much before the first one's epoch without being taken for a wrap: 12 days.
const MOST_NEGATIVE: i64 = -(1 << 30);

/// What begins anew within this much of the end of 31 bits has wrapped there. Milliseconds.
const NEAR: u32 = 60_000;

/// Unwraps the time stamps of a message stream. Audio, video and data share one, so that they stay on
/// one time line.
#[derive(Debug, Default)]
pub(crate) struct Unwrap {
    last: Option<i64>,
    range: Range,
}

/// After how many bits a publisher's clock wraps.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Range {
    /// RTMP 1.0 §3.
    #[default]
    Bits32,
    /// The clock of a publisher that counts in signed integers and goes on at 0: after 24.8 days.
    Bits31,
}

impl Unwrap {
    /// The time stamp on the 64-bit time line: the one nearest to the last. The first is taken as it is.
    pub(crate) fn unwrap(&mut self, timestamp: u32) -> i64 {
        let Some(last) = self.last else {
            return *self.last.insert(i64::from(timestamp));
        };
        if self.range == Range::Bits32 && has_wrapped_early(last, timestamp) {
            self.range = Range::Bits31;
        }
        let next = match self.range {
            Range::Bits32 => nearest(last, timestamp, 1 << 32),
            Range::Bits31 => nearest(last, timestamp, 1 << 31),
        };
        // A publisher that sends its headers at 0 and begins its media beyond 2³¹ did not step back:
        // nothing was there to step back to.
        let next = if next < MOST_NEGATIVE { next + (1 << 32) } else { next };
        *self.last.insert(next)
    }
}

/// The value nearest to the last that has these low bits (RTMP 1.0 §3: serial number arithmetic, RFC 1982).
fn nearest(last: i64, timestamp: u32, range: i64) -> i64 {
    let ahead = (i64::from(timestamp) - last).rem_euclid(range);
    if ahead < range / 2 { last + ahead } else { last + ahead - range }
}

/// Whether the clock has gone from just below 2³¹ to just above 0.
fn has_wrapped_early(last: i64, timestamp: u32) -> bool {
    let end = i64::from(1_u32 << 31);
    (end - i64::from(NEAR)..end).contains(&last) && timestamp < NEAR
}

#[cfg(test)]
mod tests {
    use super::Unwrap;

    const DAY: u32 = 86_400_000;

    fn check(wire: &[u32], expect: &[i64]) {
        let mut unwrap = Unwrap::default();
        let got: Vec<i64> = wire.iter().map(|&t| unwrap.unwrap(t)).collect();
        assert_eq!(got, expect);
    }

    #[test]
    fn a_wrap_goes_on_upwards() {
        check(
            &[0xffff_fff0, 0x10, 0xffff_fff8, 0x20],
            &[4_294_967_280, 4_294_967_312, 4_294_967_288, 4_294_967_328],
        );
    }

    #[test]
    fn a_start_at_half_the_range_is_no_step_back() {
        let half = 1i64 << 31;
        check(&[1 << 31, (1 << 31) + 40], &[half, half + 40]);
        check(&[0, (1 << 31) + 1000, (1 << 31) + 1040], &[0, half + 1000, half + 1040]);
    }

    #[test]
    fn a_small_step_back_stays_small() {
        check(&[100, 60, 0xffff_ffff, 5], &[100, 60, -1, 5]);
    }

    #[test]
    fn a_clock_that_crosses_half_the_range_does_not_wrap_there() {
        check(&[0x7fff_fff0, 0x8000_0010, 0x7fff_fff8], &[0x7fff_fff0, 0x8000_0010, 0x7fff_fff8]);
    }

    #[test]
    fn a_clock_of_31_bits_goes_on_upwards_too_audio_before_video() {
        let half = 1i64 << 31;
        check(
            &[0x7fff_fff0, 0x10, 0x7fff_fff8, 0x20, 12 * DAY, 24 * DAY, 0x7fff_ffff, 1],
            &[
                half - 16,
                half + 16,
                half - 8,
                half + 32,
                half + 12 * i64::from(DAY),
                half + 24 * i64::from(DAY),
                2 * half - 1,
                2 * half + 1,
            ],
        );
    }

    #[test]
    fn who_begins_anew_elsewhere_has_stepped_back() {
        check(&[DAY, 0, 40], &[i64::from(DAY), 0, 40]);
        let before = 0x7fff_ffff - 2 * 60_000;
        check(&[before, 0], &[i64::from(before), 0]);
    }

    #[test]
    fn only_within_a_minute_of_both_ends_a_clock_has_wrapped_early() {
        let half = 1i64 << 31;
        check(&[0x7fff_ffff, 59_999], &[half - 1, half + 59_999]);
        check(&[0x7fff_ffff, 60_000], &[half - 1, 60_000]);
        check(&[0x8000_0000 - 60_000, 0], &[half - 60_000, half]);
        check(&[0x8000_0000 - 60_001, 0], &[half - 60_001, 0]);
    }

    #[test]
    fn a_stream_of_many_years_goes_on() {
        let mut unwrap = Unwrap::default();
        let mut wire = 0u32;
        for day in 0..20_000 {
            assert_eq!(unwrap.unwrap(wire), day * i64::from(DAY));
            wire = wire.wrapping_add(DAY);
        }
    }
}
