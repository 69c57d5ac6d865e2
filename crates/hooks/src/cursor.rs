//! What a hook has done with, as positions of the log.

use std::collections::BTreeMap;

/// Everything up to a position, and some ranges beyond it: a hook's notices are not settled in the order of the log.
///
/// ```
/// use jackfield_hooks::Cursor;
/// let mut cursor = Cursor::at(10);
/// cursor.done(12, 13);
/// assert_eq!((cursor.done_to(), cursor.is_done(12), cursor.open_up_to(14)), (10, true, 2));
/// cursor.done(11, 11);
/// assert_eq!((cursor.done_to(), cursor.open_up_to(14)), (13, 1));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cursor {
    done_to: u64,
    /// First and last position of each range; none touches another, nor `done_to`.
    beyond: BTreeMap<u64, u64>,
}

impl Cursor {
    /// Everything up to this position is done, and nothing after it.
    #[must_use]
    pub fn at(position: u64) -> Self {
        Self { done_to: position, beyond: BTreeMap::new() }
    }

    /// The position up to which everything is done.
    #[must_use]
    pub fn done_to(&self) -> u64 {
        self.done_to
    }

    /// What is done beyond that: first and last position of each range, ascending.
    pub fn beyond(&self) -> impl Iterator<Item = (u64, u64)> {
        self.beyond.iter().map(|(from, to)| (*from, *to))
    }

    /// Whether this position is done.
    #[must_use]
    pub fn is_done(&self, position: u64) -> bool {
        let range = || self.beyond.range(..=position).next_back();
        position <= self.done_to || range().is_some_and(|(_, to)| position <= *to)
    }

    /// These positions are done, both ends included.
    pub fn done(&mut self, from: u64, to: u64) {
        let (mut from, mut to) = (from.max(self.done_to.saturating_add(1)), to);
        if to < from {
            return;
        }
        if let Some((first, last)) =
            self.beyond.range(..=from).next_back().map(|(first, last)| (*first, *last))
            && last.saturating_add(1) >= from
        {
            from = first;
            to = to.max(last);
        }
        while let Some((first, last)) =
            self.beyond.range(from..=to.saturating_add(1)).next().map(|(first, last)| (*first, *last))
        {
            self.beyond.remove(&first);
            to = to.max(last);
        }
        if from <= self.done_to.saturating_add(1) {
            self.done_to = to;
        } else {
            self.beyond.insert(from, to);
        }
    }

    /// Nothing after this position is done: the log was shorter than what was said to be done with.
    pub fn cut(&mut self, last: u64) {
        self.done_to = self.done_to.min(last);
        drop(self.beyond.split_off(&last.saturating_add(1)));
        if let Some(mut end) = self.beyond.last_entry() {
            let kept = (*end.get()).min(last);
            *end.get_mut() = kept;
        }
    }

    /// How many positions up to this one are not done.
    #[must_use]
    pub fn open_up_to(&self, last: u64) -> u64 {
        let beyond: u64 =
            self.beyond().map(|(from, to)| to.min(last).saturating_add(1).saturating_sub(from)).sum();
        last.saturating_sub(self.done_to).saturating_sub(beyond)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn ranges_that_meet_become_one_and_those_at_the_mark_move_it() {
        let mut cursor = Cursor::at(5);
        for (from, to) in [(10, 12), (20, 22), (14, 15), (13, 13), (1, 3), (21, 25)] {
            cursor.done(from, to);
        }
        assert_eq!(cursor.beyond().collect::<Vec<_>>(), [(10, 15), (20, 25)]);
        cursor.done(6, 9);
        assert_eq!((cursor.done_to(), cursor.beyond().collect::<Vec<_>>()), (15, vec![(20, 25)]));
        cursor.done(3, 30);
        assert_eq!((cursor.done_to(), cursor.beyond().count()), (30, 0));
        cursor.done(9, 8);
        assert_eq!(cursor.done_to(), 30);
    }

    #[test]
    fn it_says_what_a_plain_set_of_positions_says() {
        let mut number = 7_u64;
        let mut next = |most: u64| {
            number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (number >> 33) % most
        };
        for _ in 0..300 {
            let (mut cursor, mut plain) = (Cursor::at(3), (0..=3).collect::<BTreeSet<u64>>());
            for _ in 0..12 {
                let from = next(30);
                let to = from + next(4);
                cursor.done(from, to);
                plain.extend(from..=to);
                if next(10) == 0 {
                    let last = next(30);
                    cursor.cut(last);
                    plain.retain(|position| *position <= last);
                }
                for position in 0..40 {
                    assert_eq!(cursor.is_done(position), plain.contains(&position), "{position} {cursor:?}");
                }
                let done: BTreeSet<u64> = (0..=35).filter(|position| !plain.contains(position)).collect();
                assert_eq!(cursor.open_up_to(35), done.len() as u64, "{cursor:?}");
            }
        }
    }

    #[test]
    fn the_ends_of_the_numbers_are_no_special_places() {
        let mut cursor = Cursor::at(0);
        cursor.done(u64::MAX - 1, u64::MAX);
        assert!(cursor.is_done(u64::MAX) && !cursor.is_done(5));
        cursor.done(0, u64::MAX);
        assert_eq!((cursor.done_to(), cursor.open_up_to(u64::MAX)), (u64::MAX, 0));
        cursor.done(5, 6);
        cursor.cut(u64::MAX);
        assert!(cursor.is_done(7));
    }
}
