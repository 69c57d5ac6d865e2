//! Notices that are lost, until that is told.

use jackfield_events::LossCause;

/// What was lost for one cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Loss {
    pub(crate) cause: LossCause,
    pub(crate) count: u64,
    pub(crate) first: u64,
    pub(crate) last: u64,
}

/// Losses that were not told yet: one for each cause.
#[derive(Debug, Default)]
pub(crate) struct Losses(Vec<Loss>);

impl Losses {
    pub(crate) fn add(&mut self, loss: Loss) {
        match self.0.iter_mut().find(|held| held.cause == loss.cause) {
            Some(held) => {
                held.count += loss.count;
                (held.first, held.last) = (held.first.min(loss.first), held.last.max(loss.last));
            }
            None => self.0.push(loss),
        }
    }

    pub(crate) fn take(&mut self) -> Vec<Loss> {
        std::mem::take(&mut self.0)
    }
}
