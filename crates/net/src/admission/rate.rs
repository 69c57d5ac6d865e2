//! How fast new connections may come from one client.
//!
//! A bucket of tokens for each client, kept as one point in time: when it will be full again (the generic cell rate
//! algorithm, ITU-T I.371). One that is full needs not be kept, so the table holds only who came a moment ago.

use crate::Origin;
use jackfield_media::Mono;
use std::collections::HashMap;
use std::num::NonZeroU32;
use std::time::Duration;

/// Clients that are remembered at once: a flood from all over the world must not fill the memory. Whoever does not
/// find room is let in; the limit on all connections still holds for it.
const MAX_ORIGINS: usize = 65_536;
/// How often a full table is searched for clients to forget: each search looks at all of them.
const SWEEP: Duration = Duration::from_millis(100);

/// How fast new connections may come from one client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionRate {
    /// In the long run.
    pub per_second: NonZeroU32,
    /// At once, after a pause.
    pub burst: NonZeroU32,
}

impl ConnectionRate {
    /// So many a second, twice as many at once.
    #[must_use]
    pub fn per_second(per_second: NonZeroU32) -> Self {
        Self { per_second, burst: per_second.saturating_mul(NonZeroU32::MIN.saturating_add(1)) }
    }
}

/// When the bucket of each client will be full again.
#[derive(Debug, Default)]
pub(crate) struct Buckets {
    full_at: HashMap<Origin, Mono>,
    swept: Option<Mono>,
}

impl Buckets {
    /// Takes a token; says whether there was one.
    pub(crate) fn take(&mut self, now: Mono, origin: Origin, rate: ConnectionRate) -> Taken {
        let token = Duration::from_secs(1) / rate.per_second.get();
        let known = self.full_at.get(&origin).copied();
        let full_at = known.unwrap_or(now).max(now).after(token);
        if full_at.since(now) > token * rate.burst.get() {
            return Taken::No;
        }
        if known.is_some() || self.has_room(now) {
            self.full_at.insert(origin, full_at);
        }
        Taken::Yes
    }

    fn has_room(&mut self, now: Mono) -> bool {
        if self.full_at.len() < MAX_ORIGINS {
            return true;
        }
        if self.swept.is_none_or(|swept| now.since(swept) >= SWEEP) {
            self.swept = Some(now);
            self.full_at.retain(|_, full_at| *full_at > now);
        }
        self.full_at.len() < MAX_ORIGINS
    }
}

/// Whether there was a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    Yes,
    No,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn rate(per_second: u32) -> ConnectionRate {
        ConnectionRate::per_second(NonZeroU32::new(per_second).unwrap())
    }

    fn origin(number: u32) -> Origin {
        Origin::of(Ipv4Addr::from_bits(number).into())
    }

    fn at(millis: u64) -> Mono {
        Mono::from_origin(Duration::from_millis(millis))
    }

    #[test]
    fn a_burst_is_let_in_and_then_so_many_a_second() {
        let mut buckets = Buckets::default();
        let mut taken = |millis| {
            let tries = (0..100).map(|_| buckets.take(at(millis), origin(1), rate(10)));
            tries.filter(|taken| *taken == Taken::Yes).count()
        };
        assert_eq!(taken(0), 20);
        assert_eq!([taken(99), taken(100), taken(1100)], [0, 1, 10]);
        assert_eq!(taken(60_000), 20);
    }

    #[test]
    fn a_client_does_not_use_up_what_is_anothers() {
        let mut buckets = Buckets::default();
        while buckets.take(at(0), origin(1), rate(10)) == Taken::Yes {}
        assert_eq!(buckets.take(at(0), origin(2), rate(10)), Taken::Yes);
    }

    #[test]
    fn clients_beyond_the_table_are_let_in_and_the_table_stays_bounded() {
        let mut buckets = Buckets::default();
        let clients = u32::try_from(MAX_ORIGINS).unwrap() + 10;
        for number in 0..clients {
            assert_eq!(buckets.take(at(0), origin(number), rate(1)), Taken::Yes);
        }
        assert_eq!(buckets.full_at.len(), MAX_ORIGINS);
        // When those are forgotten there is room again.
        for _ in 0..2 {
            assert_eq!(buckets.take(at(1000), origin(clients), rate(1)), Taken::Yes);
        }
        assert_eq!(buckets.take(at(1000), origin(clients), rate(1)), Taken::No);
        assert_eq!(buckets.full_at.len(), 1);
    }

    #[test]
    fn every_rate_that_can_be_set_works() {
        for per_second in [1, 3, 1_000_000, u32::MAX] {
            assert_eq!(Buckets::default().take(at(0), origin(1), rate(per_second)), Taken::Yes);
        }
    }
}
