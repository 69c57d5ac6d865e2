//! Places that everybody needs, and of which one alone has a share.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The places. Who holds some is known by `K`.
#[derive(Debug)]
pub(crate) struct Shares<K> {
    held: Held<K>,
    of_one: usize,
    of_all: usize,
}

type Held<K> = Arc<Mutex<HashMap<K, usize>>>;

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Full {
    /// Who asks holds as many as one may.
    One,
    /// All are held.
    All,
}

impl<K: Copy + Eq + Hash> Shares<K> {
    /// So many places, and so many of them for one.
    pub(crate) fn new(of_all: usize, of_one: usize) -> Self {
        Self { held: Held::default(), of_one, of_all }
    }

    /// Takes a place.
    ///
    /// # Errors
    /// [`Full`].
    pub(crate) fn take(&self, who: K) -> Result<Share<K>, Full> {
        let mut held = locked(&self.held);
        if held.values().sum::<usize>() >= self.of_all {
            return Err(Full::All);
        }
        let own = held.entry(who).or_default();
        if *own >= self.of_one {
            return Err(Full::One);
        }
        *own += 1;
        Ok(Share { held: Arc::clone(&self.held), who })
    }
}

/// A place that is held until this is dropped.
#[derive(Debug)]
pub(crate) struct Share<K: Copy + Eq + Hash> {
    held: Held<K>,
    who: K,
}

impl<K: Copy + Eq + Hash> Drop for Share<K> {
    fn drop(&mut self) {
        let mut held = locked(&self.held);
        if let Some(own) = held.get_mut(&self.who) {
            *own -= 1;
            if *own == 0 {
                held.remove(&self.who);
            }
        }
    }
}

fn locked<K>(held: &Held<K>) -> MutexGuard<'_, HashMap<K, usize>> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_has_a_share_and_all_together_have_a_bound_and_what_ends_makes_room() {
        let shares = Shares::new(10, 4);
        let of = |who: u32, many: usize| -> Vec<_> { (0..many).map(|_| shares.take(who)).collect() };
        let held = |some: &[Result<Share<u32>, Full>]| some.iter().filter(|one| one.is_ok()).count();
        let first = of(1, 6);
        assert_eq!((held(&first), first.get(4).and_then(|one| one.as_ref().err())), (4, Some(&Full::One)));
        let others: Vec<_> = (2..10).flat_map(|who| of(who, 1)).collect();
        assert_eq!((held(&others), others.get(6).and_then(|one| one.as_ref().err())), (6, Some(&Full::All)));
        drop(first);
        assert_eq!(held(&of(1, 6)), 4);
        drop(others);
        assert!(locked(&shares.held).is_empty());
    }
}
