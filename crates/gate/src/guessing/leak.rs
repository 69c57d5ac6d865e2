//! Counts that leak away: one for each client or prefix, in a bounded table.
//!
//! A count is kept as one point in time, when it will have leaked away (the generic cell rate algorithm, ITU-T I.371). One
//! that has needs not be kept.

use jackfield_media::Mono;
use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

/// How often a full table is searched for counts to forget: each search looks at all of them.
const SWEEP: Duration = Duration::from_millis(100);

/// How a count behaves.
#[derive(Debug, Clone, Copy)]
pub(super) struct Leak {
    /// After so long it is one less.
    pub(super) step: Duration,
    /// It never gets higher.
    pub(super) most: u32,
}

/// Counts that leak away, with a value beside each.
#[derive(Debug)]
pub(super) struct Leaks<K, V> {
    bound: usize,
    leak: Leak,
    counts: HashMap<K, (Mono, V)>,
    swept: Option<Mono>,
}

impl<K: Eq + Hash, V: Default> Leaks<K, V> {
    /// At most `bound` counts; what finds no room is not counted.
    pub(super) fn new(bound: usize, leak: Leak) -> Self {
        Self { bound, leak, counts: HashMap::new(), swept: None }
    }

    /// One more.
    pub(super) fn add(&mut self, now: Mono, key: K) {
        let Leak { step, most } = self.leak;
        if !self.counts.contains_key(&key) && !self.has_room(now) {
            return;
        }
        let (empty_at, _) = self.counts.entry(key).or_default();
        *empty_at = (*empty_at).max(now).after(step).min(now.after(step * most));
    }

    /// The count now.
    pub(super) fn level<Q: Eq + Hash + ?Sized>(&self, now: Mono, key: &Q) -> u32
    where
        K: Borrow<Q>,
    {
        let Some((empty_at, _)) = self.counts.get(key) else { return 0 };
        let left = empty_at.since(now).as_nanos();
        u32::try_from(left.div_ceil(self.leak.step.as_nanos().max(1))).unwrap_or(u32::MAX)
    }

    /// What stands beside a count, even if it has leaked away just now.
    pub(super) fn value(&mut self, key: &K) -> Option<&mut V> {
        self.counts.get_mut(key).map(|(_, value)| value)
    }

    fn has_room(&mut self, now: Mono) -> bool {
        if self.counts.len() < self.bound {
            return true;
        }
        if self.swept.is_none_or(|swept| now.since(swept) >= SWEEP) {
            self.swept = Some(now);
            self.counts.retain(|_, (empty_at, _)| *empty_at > now);
        }
        self.counts.len() < self.bound
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_that_is_full_counts_nothing_new_until_something_has_leaked_away() {
        let at = |seconds| Mono::from_origin(Duration::from_secs(seconds));
        let mut leaks: Leaks<u32, ()> = Leaks::new(2, Leak { step: Duration::from_secs(10), most: 3 });
        for key in [1, 1, 2, 3] {
            leaks.add(at(0), key);
        }
        assert_eq!([1, 2, 3].map(|key| leaks.level(at(0), &key)), [2, 1, 0]);
        leaks.add(at(10), 3);
        assert_eq!([1, 2, 3].map(|key| leaks.level(at(10), &key)), [1, 0, 1]);
        assert_eq!(leaks.counts.len(), 2);
    }

    #[test]
    fn only_a_table_that_is_full_spends_its_turn_to_look_for_what_has_leaked_away() {
        let at = |millis| Mono::from_origin(Duration::from_millis(millis));
        let mut leaks: Leaks<u32, ()> = Leaks::new(1, Leak { step: SWEEP / 2, most: 3 });
        leaks.add(at(0), 1);
        leaks.add(at(50), 2);
        assert_eq!([1, 2].map(|key| leaks.level(at(50), &key)), [0, 1]);
    }

    #[test]
    fn a_count_has_a_most() {
        let mut leaks: Leaks<u32, ()> = Leaks::new(2, Leak { step: Duration::from_secs(10), most: 3 });
        for _ in 0..100 {
            leaks.add(Mono::ZERO, 1);
        }
        assert_eq!(leaks.level(Mono::ZERO, &1), 3);
    }
}
