//! The last epoch of each key, in bounded memory.

use jackfield_media::{Epoch, StreamKey};
use std::collections::HashMap;

/// Keys in one generation. Two are kept, so at least this many keys are remembered exactly.
const GENERATION: usize = 32_768;

/// Numbers publish sessions: 1 for a key's first, and never back.
///
/// Whoever may publish may try any number of keys, so not all can be remembered. A key that is forgotten
/// raises the floor: keys that are not known start above the highest epoch ever forgotten. So an epoch
/// never goes back; that a key's first is 1 holds until more than 32,768 keys have been published.
#[derive(Debug, Clone, Default)]
pub struct Epochs {
    young: HashMap<StreamKey, u64>,
    old: HashMap<StreamKey, u64>,
    floor: u64,
}

impl Epochs {
    /// The epoch of a new publish session.
    pub fn next(&mut self, key: &StreamKey) -> Epoch {
        let next = Epoch(self.last(key) + 1);
        self.saw(key, next);
        next
    }

    /// A publish session of this key has this epoch: the next one is above.
    pub fn saw(&mut self, key: &StreamKey, epoch: Epoch) {
        let last = self.last(key).max(epoch.0);
        if self.young.len() >= GENERATION && !self.young.contains_key(key) {
            let forgotten = std::mem::replace(&mut self.old, std::mem::take(&mut self.young));
            self.floor = forgotten.into_values().fold(self.floor, u64::max);
        }
        self.young.insert(key.clone(), last);
    }

    /// Keys that are not known start above this.
    pub(crate) fn floor(&self) -> u64 {
        self.floor
    }

    /// Raises the floor to this, if it is lower.
    pub(crate) fn raise_floor(&mut self, floor: u64) {
        self.floor = self.floor.max(floor);
    }

    /// The keys that are remembered, those that are forgotten first before the others.
    pub(crate) fn known(&self) -> impl Iterator<Item = (&StreamKey, u64)> {
        let old = self.old.iter().filter(|(key, _)| !self.young.contains_key(*key));
        old.chain(&self.young).map(|(key, &epoch)| (key, epoch))
    }

    fn last(&self, key: &StreamKey) -> u64 {
        self.young.get(key).or_else(|| self.old.get(key)).copied().unwrap_or(self.floor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: usize) -> StreamKey {
        StreamKey::parse(&format!("k{n}")).unwrap()
    }

    #[test]
    fn epochs_start_at_one_and_never_go_back_though_keys_are_forgotten() {
        let mut epochs = Epochs::default();
        let first: Vec<Epoch> = (0..3).map(|_| epochs.next(&key(0))).collect();
        assert_eq!(first, [Epoch(1), Epoch(2), Epoch(3)]);
        assert_eq!(epochs.next(&key(1)), Epoch(1));
        epochs.saw(&key(1), Epoch(7));
        epochs.saw(&key(1), Epoch(5));
        assert_eq!(epochs.next(&key(1)), Epoch(8));
        for n in 2..3 * GENERATION {
            epochs.next(&key(n));
        }
        assert!(epochs.young.len() + epochs.old.len() <= 2 * GENERATION);
        assert!(epochs.next(&key(0)) > Epoch(3));
        assert_eq!(epochs.next(&key(3 * GENERATION)), Epoch(9));
    }
}
