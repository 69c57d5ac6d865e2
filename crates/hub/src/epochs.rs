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
#[derive(Debug, Default)]
pub(crate) struct Epochs {
    young: HashMap<StreamKey, u64>,
    old: HashMap<StreamKey, u64>,
    floor: u64,
}

impl Epochs {
    /// The epoch of a new publish session.
    pub(crate) fn next(&mut self, key: &StreamKey) -> Epoch {
        let last = self.young.get(key).or_else(|| self.old.get(key)).copied().unwrap_or(self.floor);
        if self.young.len() >= GENERATION && !self.young.contains_key(key) {
            let forgotten = std::mem::replace(&mut self.old, std::mem::take(&mut self.young));
            self.floor = forgotten.into_values().fold(self.floor, u64::max);
        }
        let next = last + 1;
        self.young.insert(key.clone(), next);
        Epoch(next)
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
        for n in 2..3 * GENERATION {
            epochs.next(&key(n));
        }
        assert!(epochs.young.len() + epochs.old.len() <= 2 * GENERATION);
        assert!(epochs.next(&key(0)) > Epoch(3));
        assert_eq!(epochs.next(&key(3 * GENERATION)), Epoch(4));
    }
}
