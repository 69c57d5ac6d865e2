//! What stands in a stretch of the journal that was read once, so that the next search can pass over it.
//!
//! A search for one delivery or one session would else read everything, again and again. After the first one each block of
//! 4,096 positions has a Bloom filter of what is looked for: one in a hundred is read in vain.

use super::delivery::{Delivery, Entry};
use jackfield_events::EventType;
use jackfield_hooks::{DeliveryId, Outcome};
use jackfield_media::{ConnId, SessionId};
use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use ulid::Ulid;

/// Positions of a block.
const BLOCK: u64 = 4096;
/// Blocks whose summaries are kept, each of at most 32 KiB; with more the oldest are read again.
const MAX_BLOCKS: usize = 1024;
/// Bits of a filter for each thing in it.
const BITS_EACH: usize = 10;
/// Bits that are set for each.
const PROBES: u64 = 5;

/// Something that is looked for.
#[derive(Debug, Clone, Copy, Hash)]
pub(super) enum Term<'a> {
    Delivery(DeliveryId),
    EventId(Ulid),
    Conn(ConnId),
    Session(SessionId),
    Hook(&'a str),
    Key(&'a str),
    Event(EventType),
    Outcome(Outcome),
}

impl Term<'_> {
    fn hashed(self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        hasher.finish()
    }
}

/// What stands in one block.
#[derive(Debug)]
pub(super) struct Summary {
    bits: Vec<u64>,
}

impl Summary {
    fn of(terms: &HashSet<u64>) -> Self {
        let words = (terms.len() * BITS_EACH).div_ceil(64).next_power_of_two();
        let mut summary = Self { bits: vec![0; words] };
        for term in terms {
            for (word, mask) in summary.places(*term) {
                if let Some(bits) = summary.bits.get_mut(word) {
                    *bits |= mask;
                }
            }
        }
        summary
    }

    /// Whether it may stand there; `false` is certain.
    pub(super) fn may_hold(&self, term: Term<'_>) -> bool {
        let is_set = |(word, mask): (usize, u64)| self.bits.get(word).is_some_and(|bits| bits & mask != 0);
        self.places(term.hashed()).into_iter().all(is_set)
    }

    /// The word and the bit of each probe; the number of words is a power of two.
    fn places(&self, hash: u64) -> Vec<(usize, u64)> {
        let (step, last) = (hash.rotate_left(32) | 1, self.bits.len() as u64 * 64 - 1);
        let place = |probe: u64| {
            let bit = hash.wrapping_add(step.wrapping_mul(probe)) & last;
            (usize::try_from(bit / 64).unwrap_or_default(), 1 << (bit % 64))
        };
        (0..PROBES).map(place).collect()
    }
}

/// The summaries of the blocks that were read.
#[derive(Debug, Default)]
pub(super) struct Summaries(BTreeMap<u64, Arc<Summary>>);

impl Summaries {
    /// The summary of the block that the position before this one is in, and where the block begins.
    pub(super) fn before(&self, position: u64) -> Option<(Arc<Summary>, u64)> {
        let block = position.checked_sub(1)? / BLOCK;
        self.0.get(&block).map(|summary| (Arc::clone(summary), block * BLOCK))
    }

    pub(super) fn keep(&mut self, (block, summary): (u64, Summary)) {
        self.0.insert(block, Arc::new(summary));
        while self.0.len() > MAX_BLOCKS {
            self.0.pop_first();
        }
    }
}

/// Gathers summaries while the journal is read back.
#[derive(Debug, Default)]
pub(super) struct Gathering {
    reading: Reading,
    terms: HashSet<u64>,
}

/// The block that is read.
#[derive(Debug, Clone, Copy, Default)]
enum Reading {
    /// The next record is the last of its block.
    #[default]
    AtAnEnd,
    /// From its middle on: of no use.
    Part(u64),
    /// From its end on.
    Whole(u64),
}

impl Gathering {
    /// Reading goes on before this position.
    pub(super) fn jump(&mut self, position: u64) {
        self.terms.clear();
        self.reading = match position.is_multiple_of(BLOCK) {
            true => Reading::AtAnEnd,
            false => Reading::Part(position / BLOCK),
        };
    }

    /// This record comes next; positions descend. Returns the summary of the block before it, if that was read whole.
    pub(super) fn record(&mut self, position: u64, entry: Option<&Entry>) -> Option<(u64, Summary)> {
        let block = position / BLOCK;
        let finished = match self.reading {
            Reading::Whole(current) if current != block => self.finish(),
            _ => None,
        };
        self.reading = match self.reading {
            Reading::Part(current) if current == block => return None,
            _ => Reading::Whole(block),
        };
        for delivery in entry.iter().flat_map(|entry| entry.deliveries()) {
            self.terms.extend(terms(delivery).map(Term::hashed));
        }
        if let Some(Entry::Question(question)) = entry {
            let ids = [question.conn_id.map(Term::Conn), question.session_id.map(Term::Session)];
            self.terms.extend(ids.into_iter().flatten().map(Term::hashed));
        }
        finished
    }

    /// There is nothing before: the summary of the last block, if it was read whole.
    pub(super) fn finish(&mut self) -> Option<(u64, Summary)> {
        let Reading::Whole(block) = std::mem::take(&mut self.reading) else { return None };
        let summary = Summary::of(&self.terms);
        self.terms.clear();
        Some((block, summary))
    }
}

fn terms(delivery: &Delivery) -> impl Iterator<Item = Term<'_>> {
    let known = [
        Term::Delivery(delivery.id),
        Term::EventId(delivery.event_id),
        Term::Hook(delivery.hook.as_str()),
        Term::Event(delivery.event),
        Term::Outcome(delivery.outcome),
    ];
    let key = delivery.key.as_ref().map(|key| Term::Key(key.as_str()));
    let optional = [key, delivery.conn_id.map(Term::Conn), delivery.session_id.map(Term::Session)];
    known.into_iter().chain(optional.into_iter().flatten())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_a_block_is_found_and_hardly_anything_else() {
        let hashed = |ids: std::ops::Range<u64>| ids.map(|id| Term::Delivery(DeliveryId(id)).hashed());
        for count in [0, 1, 7, 20_000] {
            let summary = Summary::of(&hashed(0..count).collect());
            let found = |ids: std::ops::Range<u64>| {
                ids.filter(|id| summary.may_hold(Term::Delivery(DeliveryId(*id)))).count()
            };
            assert_eq!(found(0..count), usize::try_from(count).unwrap());
            let false_ones = found(1_000_000..1_010_000);
            assert!(false_ones < 300, "{false_ones} of 10,000 with {count} inside");
            assert!(!summary.may_hold(Term::Conn(ConnId(u64::MAX))), "the kind of a number counts");
        }
    }

    #[test]
    fn only_a_block_that_was_read_from_its_end_on_has_a_summary() {
        let mut gathering = Gathering::default();
        gathering.jump(3 * BLOCK + 5);
        let blocks = |positions: &[u64], gathering: &mut Gathering| -> Vec<u64> {
            positions.iter().filter_map(|position| Some(gathering.record(*position, None)?.0)).collect()
        };
        assert_eq!(
            blocks(&[3 * BLOCK + 4, 3 * BLOCK, 3 * BLOCK - 1, 2 * BLOCK, BLOCK + 9], &mut gathering),
            [2]
        );
        assert_eq!(gathering.finish().map(|(block, _)| block), Some(1));
        gathering.jump(2 * BLOCK);
        assert_eq!(blocks(&[BLOCK + 1, 5], &mut gathering), [1]);
        gathering.jump(9);
        assert!(blocks(&[8, 2], &mut gathering).is_empty());
        assert!(gathering.finish().is_none());
    }
}
