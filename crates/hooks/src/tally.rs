//! What is counted of each hook, for metrics.

use crate::Outcome;
use jackfield_events::Decision;

/// Counters of one hook since it was first configured.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    outcomes: [u64; Outcome::ALL.len()],
    /// Answers without an opinion.
    pub passed: u64,
    /// Answers that allow or keep.
    pub allowed: u64,
    /// Answers that deny.
    pub denied: u64,
    /// Answers that replace.
    pub replaced: u64,
    /// Questions that went on in spite of this hook's failure, by its policy.
    pub failopens: u64,
    /// Notices dropped because the queue was full.
    pub dropped: u64,
    /// Notices dropped because the hook was disabled or the server stopped.
    pub abandoned: u64,
    /// Notices that failed and are not tried again.
    pub lost: u64,
    /// Further tries of notices.
    pub retried: u64,
    /// Fields of answers that are not known.
    pub unknown_fields: u64,
}

impl Tally {
    /// How many calls ended so.
    #[must_use]
    pub fn outcome(&self, outcome: Outcome) -> u64 {
        self.outcomes.get(outcome as usize).copied().unwrap_or_default()
    }

    pub(crate) fn count(&mut self, outcome: Outcome) {
        if let Some(count) = self.outcomes.get_mut(outcome as usize) {
            *count += 1;
        }
    }

    pub(crate) fn decided(&mut self, decision: &Decision) {
        let count = match decision {
            Decision::Pass => &mut self.passed,
            Decision::Allow => &mut self.allowed,
            Decision::Deny => &mut self.denied,
            Decision::Replace(_) => &mut self.replaced,
        };
        *count += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_outcome_and_each_decision_is_counted_by_itself() {
        let mut tally = Tally::default();
        for (times, outcome) in Outcome::ALL.iter().enumerate() {
            (0..times).for_each(|_| tally.count(*outcome));
        }
        for (times, outcome) in (0..).zip(Outcome::ALL) {
            assert_eq!(tally.outcome(*outcome), times, "{outcome}");
        }
        let decisions = [Decision::Pass, Decision::Allow, Decision::Deny, Decision::Replace("a".into())];
        for (times, decision) in (1..).zip(&decisions) {
            (0..times).for_each(|_: u32| tally.decided(decision));
        }
        assert_eq!((tally.passed, tally.allowed, tally.denied, tally.replaced), (1, 2, 3, 4));
    }
}
