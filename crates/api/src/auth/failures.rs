//! How often each address has shown a token that there is not.
//!
//! Each count is kept as the time at which it will have leaked away (the generic cell rate algorithm, ITU-T I.371).

use jackfield_media::Mono;
use jackfield_sessions::Origin;
use std::collections::HashMap;
use std::time::Duration;

/// Failures at once that are told as what they are.
const AT_ONCE: u32 = 10;
/// And one more each time that this has passed.
const PACE: Duration = Duration::from_secs(6);
/// Addresses that are remembered at once; one that finds no room is not counted.
const MAX_ORIGINS: usize = 16_384;
/// How often a full table is searched for what has leaked away: each search looks at all of it.
const SWEEP: Duration = Duration::from_millis(100);

/// The failures of the last minute.
#[derive(Debug, Default)]
pub(super) struct Failures {
    empty_at: HashMap<Origin, Mono>,
    swept: Option<Mono>,
}

impl Failures {
    /// One more. `Some` when there were too many: after that long the next one is heard again.
    pub(super) fn add(&mut self, now: Mono, origin: Origin) -> Option<Duration> {
        if !self.empty_at.contains_key(&origin) && !self.has_room(now) {
            return None;
        }
        let empty_at = self.empty_at.entry(origin).or_insert(now);
        let next = (*empty_at).max(now).after(PACE);
        let over = (next - now).checked_sub(PACE * AT_ONCE).filter(|over| !over.is_zero());
        // What was not heard does not count, so that whoever goes on trying is heard once in a while.
        if over.is_none() {
            *empty_at = next;
        }
        over
    }

    fn has_room(&mut self, now: Mono) -> bool {
        let is_full = self.empty_at.len() >= MAX_ORIGINS;
        if is_full && self.swept.is_none_or(|swept| now - swept >= SWEEP) {
            self.swept = Some(now);
            self.empty_at.retain(|_, empty_at| *empty_at > now);
        }
        self.empty_at.len() < MAX_ORIGINS
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn at(seconds: u64) -> Mono {
        Mono::from_origin(Duration::from_secs(seconds))
    }

    fn origin(number: u32) -> Origin {
        Origin::of(Ipv4Addr::from_bits(number).into())
    }

    #[test]
    fn the_eleventh_failure_waits_and_other_addresses_do_not() {
        let mut failures = Failures::default();
        for _ in 0..AT_ONCE {
            assert_eq!(failures.add(at(0), origin(1)), None);
        }
        assert_eq!(failures.add(at(0), origin(1)), Some(PACE));
        assert_eq!(failures.add(at(2), origin(1)), Some(PACE - Duration::from_secs(2)));
        assert_eq!(failures.add(at(2), origin(2)), None);
        assert_eq!(failures.add(at(6), origin(1)), None);
        assert_eq!(failures.add(at(6), origin(1)), Some(PACE));
        assert_eq!(failures.add(at(600), origin(1)), None);
    }

    #[test]
    fn a_full_table_forgets_what_has_leaked_away_and_counts_nothing_else() {
        let mut failures = Failures::default();
        for number in 0..u32::try_from(MAX_ORIGINS).unwrap() + 9 {
            assert_eq!(failures.add(at(0), origin(number)), None);
        }
        assert_eq!(failures.empty_at.len(), MAX_ORIGINS);
        failures.add(at(7), origin(u32::MAX));
        assert_eq!(failures.empty_at.len(), 1);
    }
}
