//! One direction of a link: which packets are lost, and when the others arrive. It knows no sockets and no threads.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

/// What waits before a link with a cap; what comes beyond it is lost, as in a router. At 300 kbit/s it is 0.9 s.
const QUEUE_BYTES: u64 = 32 * 1024;
/// How much later than the others a packet comes that is out of order: enough for several to overtake it.
const OVERTAKEN: Duration = Duration::from_millis(30);

/// What a direction of a link does to packets. The default does nothing. Shares are in thousandths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Weather {
    /// Share of the packets that are lost.
    pub loss: u32,
    /// Share of the packets that arrive twice.
    pub duplicates: u32,
    /// Share of the packets that others overtake.
    pub reordered: u32,
    /// How long a packet is on its way.
    pub delay: Duration,
    /// How much shorter or longer it may take. Packets keep their order all the same: that is what `reordered` is for.
    pub jitter: Duration,
    /// Bits per second, of IP packets; 0 is no cap.
    pub cap: u64,
}

impl Weather {
    /// Nothing arrives.
    pub const BLACK_HOLE: Self = Self { loss: 1000, ..Self::CLEAR };

    /// Everything arrives at once.
    pub const CLEAR: Self =
        Self { loss: 0, duplicates: 0, reordered: 0, delay: Duration::ZERO, jitter: Duration::ZERO, cap: 0 };
}

/// What became of the packets of a direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// That came.
    pub packets: u64,
    /// That were lost by chance.
    pub lost: u64,
    /// That were lost because too many waited.
    pub overflowed: u64,
    /// That were sent twice.
    pub doubled: u64,
    /// That were held back for others to overtake them.
    pub reordered: u64,
}

/// Packets on their way.
#[derive(Debug)]
pub(super) struct Emulator {
    chance: Chance,
    /// By the time of arrival; equal ones in the order in which they came.
    flying: BinaryHeap<Reverse<(Instant, u64, Vec<u8>)>>,
    /// Number of the last one.
    flown: u64,
    /// When the link has sent what waits before it.
    busy_until: Instant,
    /// When the last packet that keeps the order arrives.
    newest: Instant,
    counts: Counts,
}

impl Emulator {
    pub(super) fn new(seed: u64, now: Instant) -> Self {
        let (flying, counts) = (BinaryHeap::new(), Counts::default());
        Self { chance: Chance::new(seed), flying, flown: 0, busy_until: now, newest: now, counts }
    }

    pub(super) fn counts(&self) -> Counts {
        self.counts
    }

    /// A packet comes.
    pub(super) fn push(&mut self, now: Instant, weather: &Weather, packet: &[u8]) {
        self.counts.packets += 1;
        if self.chance.hits(weather.loss) {
            self.counts.lost += 1;
            return;
        }
        let Some(sent) = self.transmit(now, weather.cap, packet.len()) else {
            self.counts.overflowed += 1;
            return;
        };
        let arrival = sent + self.chance.around(weather.delay, weather.jitter);
        if self.chance.hits(weather.reordered) {
            self.counts.reordered += 1;
            self.fly(arrival + OVERTAKEN, packet);
        } else {
            self.newest = self.newest.max(arrival);
            self.fly(self.newest, packet);
        }
        if self.chance.hits(weather.duplicates) {
            self.counts.doubled += 1;
            self.fly(arrival + OVERTAKEN / 2, packet);
        }
    }

    /// When the next packet arrives.
    pub(super) fn next(&self) -> Option<Instant> {
        self.flying.peek().map(|Reverse((at, ..))| *at)
    }

    /// A packet that has arrived.
    pub(super) fn pop(&mut self, now: Instant) -> Option<Vec<u8>> {
        self.next().filter(|at| *at <= now)?;
        self.flying.pop().map(|Reverse((_, _, packet))| packet)
    }

    /// When the link has sent a packet; none if too many wait for it.
    fn transmit(&mut self, now: Instant, cap: u64, length: usize) -> Option<Instant> {
        if cap == 0 {
            return Some(now);
        }
        let begin = self.busy_until.max(now);
        let waiting = begin.duration_since(now).as_micros() * u128::from(cap) / 8_000_000;
        if waiting > u128::from(QUEUE_BYTES) {
            return None;
        }
        self.busy_until = begin + Duration::from_micros(length as u64 * 8_000_000 / cap);
        Some(self.busy_until)
    }

    fn fly(&mut self, at: Instant, packet: &[u8]) {
        self.flown += 1;
        self.flying.push(Reverse((at, self.flown, packet.to_vec())));
    }
}

/// xorshift64: any sequence that a seed repeats will do.
#[derive(Debug)]
pub(super) struct Chance(u64);

impl Chance {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// True in so many of a thousand cases.
    fn hits(&mut self, share: u32) -> bool {
        self.next() % 1000 < u64::from(share)
    }

    /// A time that is at most `spread` away from `middle`.
    pub(super) fn around(&mut self, middle: Duration, spread: Duration) -> Duration {
        let spread = spread.min(middle);
        let width = u64::try_from(spread.as_micros()).unwrap_or(u64::MAX).saturating_mul(2);
        (middle - spread) + Duration::from_micros(self.next() % width.saturating_add(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Numbers of the packets that arrive, with the time since the start, when one comes each millisecond.
    fn run(weather: Weather, packets: u32, length: usize) -> (Vec<(u32, Duration)>, Counts) {
        let start = Instant::now();
        let mut link = Emulator::new(7, start);
        let mut arrived = vec![];
        for step in 0..packets + 10_000 {
            let now = start + Duration::from_millis(u64::from(step));
            if step < packets {
                let mut packet = step.to_be_bytes().to_vec();
                packet.resize(length.max(4), 0);
                link.push(now, &weather, &packet);
            }
            while let Some(packet) = link.pop(now) {
                arrived.push((u32::from_be_bytes(packet[..4].try_into().unwrap()), now - start));
            }
        }
        assert_eq!(link.next(), None);
        (arrived, link.counts())
    }

    #[test]
    fn a_clear_link_changes_nothing() {
        let (arrived, counts) = run(Weather::CLEAR, 100, 100);
        let expect = (0..100).map(|at| (at, Duration::from_millis(u64::from(at))));
        assert_eq!(arrived, expect.collect::<Vec<_>>());
        assert_eq!(counts, Counts { packets: 100, ..Counts::default() });
    }

    #[test]
    fn the_shares_are_those_that_were_asked_for_and_a_seed_repeats_them() {
        let weather = Weather { loss: 50, duplicates: 20, reordered: 100, ..Weather::CLEAR };
        let (arrived, counts) = run(weather, 10_000, 100);
        assert!((400..600).contains(&counts.lost), "{counts:?}");
        assert!((130..270).contains(&counts.doubled), "{counts:?}");
        assert!((800..1100).contains(&counts.reordered), "{counts:?}");
        assert_eq!(arrived.len() as u64, counts.packets - counts.lost + counts.doubled);
        assert!(!arrived.is_sorted_by_key(|(number, _)| *number));
        assert_eq!(arrived, run(weather, 10_000, 100).0);
    }

    #[test]
    fn a_black_hole_lets_nothing_through() {
        assert_eq!(run(Weather::BLACK_HOLE, 1000, 100).0, []);
    }

    #[test]
    fn jitter_keeps_the_order_and_its_bounds() {
        let (delay, jitter) = (Duration::from_millis(100), Duration::from_millis(50));
        let (arrived, _) = run(Weather { delay, jitter, ..Weather::CLEAR }, 1000, 100);
        assert!(arrived.is_sorted() && arrived.len() == 1000);
        for (number, at) in arrived {
            let way = at - Duration::from_millis(u64::from(number));
            assert!((delay - jitter..=delay + jitter).contains(&way), "{way:?}");
        }
    }

    #[test]
    fn a_cap_holds_and_what_waits_too_long_is_lost() {
        // 8 Mbit/s come to a link of 800 kbit/s, for ten seconds.
        let (arrived, counts) = run(Weather { cap: 800_000, ..Weather::CLEAR }, 10_000, 1000);
        let within = arrived.iter().filter(|(_, at)| *at < 10 * SECOND).count();
        assert!((980..=1020).contains(&within), "{within}");
        assert_eq!(arrived.len() as u64 + counts.overflowed, 10_000);
    }
}
