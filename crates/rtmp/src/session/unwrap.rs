//! Time stamps of 32 bits, which wrap after 49.7 days, as 64 bits, which do not.

/// Time stamps may lie this much before the first one's epoch without being taken for a wrap: 12 days.
const MOST_NEGATIVE: i64 = -(1 << 30);

/// Unwraps the time stamps of a message stream. Audio, video and data share one, so that they stay on
/// one time line.
#[derive(Debug, Default)]
pub(crate) struct Unwrap {
    last: Option<i64>,
}

impl Unwrap {
    /// The time stamp on the 64-bit time line: the one nearest to the last. The first is taken as it is.
    pub(crate) fn unwrap(&mut self, timestamp: u32) -> i64 {
        let next = match self.last {
            None => i64::from(timestamp),
            Some(last) => {
                // RTMP 1.0 §3: serial number arithmetic (RFC 1982).
                let low = u32::try_from(last.rem_euclid(1 << 32)).unwrap_or_default();
                let next = last + i64::from(timestamp.wrapping_sub(low).cast_signed());
                // A publisher that sends its headers at 0 and begins its media beyond 2³¹ did not step
                // back: nothing was there to step back to.
                if next < MOST_NEGATIVE { next + (1 << 32) } else { next }
            }
        };
        self.last = Some(next);
        next
    }
}

#[cfg(test)]
mod tests {
    use super::Unwrap;

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
}
