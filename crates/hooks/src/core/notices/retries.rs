//! Further tries of notices: when, how often, and whether the lane waits for them.

use super::super::slot::Due;
use super::{Core, Place, Stage};
use crate::{DeliveryId, Failure, Mutation, Outcome, Retry, RetryAfter};
use jackfield_media::Mono;
use std::time::Duration;

/// Pauses before each further try.
const SCHEDULE: [Duration; 9] = [
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_secs(2 * 60),
    Duration::from_secs(10 * 60),
    Duration::from_secs(30 * 60),
    Duration::from_secs(2 * 60 * 60),
    Duration::from_secs(5 * 60 * 60),
    Duration::from_secs(10 * 60 * 60),
];
/// How long after its first failure a notice may hold its lane between its tries.
const HOLD: Duration = Duration::from_secs(30);

impl<H: Clone> Core<H> {
    /// When a failed notice is tried again, if it is.
    pub(super) fn pause(&mut self, delivery: DeliveryId, failed: &Failure) -> Option<Mono> {
        let notice = self.notices.get(&delivery)?;
        let retries = self.slots.get(&notice.hook)?.spec().retries;
        let by_us = failed.retry == Retry::No && failed.outcome == Outcome::Timeout;
        let wanted = match retries.after {
            RetryAfter::Any => true,
            RetryAfter::Failure => failed.retry != Retry::No || by_us,
            RetryAfter::Asked => failed.retry != Retry::No || self.is(Mutation::RunRetried),
        };
        let limited = notice.attempt > retries.limit && !self.is(Mutation::RetriesUnlimited);
        if !wanted || limited || failed.retry == Retry::Disable {
            return None;
        }
        let step = usize::try_from(notice.attempt).unwrap_or(usize::MAX).saturating_sub(1);
        let base = SCHEDULE.get(step).or(SCHEDULE.last()).copied().unwrap_or(HOLD);
        let pause = match failed.retry {
            Retry::After(wish) if self.is(Mutation::RetryAfterUnbounded) => wish,
            Retry::After(wish) => wish.clamp(base, base.saturating_mul(2)),
            _ => self.chance.jittered(base),
        };
        Some(self.now.after(pause))
    }

    pub(super) fn pause_until(&mut self, delivery: DeliveryId, at: Mono) {
        let (frees, holds) = (self.is(Mutation::RetryFreesLane), self.is(Mutation::RetryHoldsLane));
        let Some(notice) = self.notices.get_mut(&delivery) else { return };
        notice.stage = Stage::Pausing(at);
        let first_failed = *notice.first_failed.get_or_insert(self.now);
        self.timers.insert((at, Due::Retry(delivery)));
        let (hook, lane) = (notice.hook, notice.lane.clone());
        let too_long = at > first_failed.after(HOLD) && !holds;
        let steps_aside = notice.place == Place::Holding && (too_long || frees);
        if steps_aside {
            notice.place = Place::Aside;
        }
        if let Some(slot) = self.slots.get_mut(&hook) {
            slot.queued.insert(delivery);
        }
        if steps_aside {
            self.release(&lane);
        }
        self.keep_bound(hook);
    }

    /// The pause of a failed notice is over.
    pub(in crate::core) fn try_again(&mut self, delivery: DeliveryId) {
        if let Some(notice) = self.notices.get_mut(&delivery) {
            notice.stage = Stage::Ready;
            let hook = notice.hook;
            self.make_ready(hook, delivery);
        }
    }
}
