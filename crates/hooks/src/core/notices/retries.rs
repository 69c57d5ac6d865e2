//! Further tries of notices: when, how often, and whether the lane waits for them; and what a hook's receiver
//! is given while it fails.

use super::super::Origin;
use super::super::slot::{Due, HookId};
use super::{Core, Notice, Place, Stage};
use crate::{DeliveryId, Failure, Mutation, Next, Outcome, Receiver, Retry, RetryAfter, SCHEDULE};
use jackfield_media::Mono;
use std::ops::Bound::{Excluded, Unbounded};
use std::time::Duration;

/// How long after its first failure a notice may hold its lane between its tries.
const HOLD: Duration = Duration::from_secs(30);
/// A receiver that is away is tried after so long without a call, whatever the schedules of its notices say: it is
/// back long before the next of theirs, and everybody waits for it.
const PROBE: Duration = Duration::from_secs(30);
/// How long a receiver that asks for fewer calls is left alone at most.
const LONGEST_REST: Duration = Duration::from_secs(60);

impl<H: Clone> Core<H> {
    /// When a failed notice is tried again, if it is.
    pub(super) fn pause(&mut self, delivery: DeliveryId, failed: &Failure) -> Option<Mono> {
        let usual = self.is(Mutation::ScheduleIgnored);
        let counts = self.is(Mutation::BroughtForwardCounts);
        let notice = self.notices.get(&delivery)?;
        let spec = self.slots.get(&notice.hook)?.spec();
        let by_us = failed.retry == Retry::No && failed.outcome == Outcome::Timeout;
        // The transport was taken away, which says nothing of the event.
        let cut_short = failed.outcome == Outcome::Cancelled && notice.origin.is_kept();
        let wanted = cut_short
            || match spec.retries.after {
                RetryAfter::Any => true,
                RetryAfter::Failure => failed.retry != Retry::No || by_us,
                RetryAfter::Asked => failed.retry != Retry::No || self.is(Mutation::RunRetried),
            };
        let planned = notice.planned.filter(|at| *at > self.now);
        let repeats = notice.brought_forward && notice.pauses > 0 && !counts;
        let limited = !repeats
            && planned.is_none()
            && notice.pauses >= spec.retries.limit
            && !self.is(Mutation::RetriesUnlimited);
        let ends = self.patience_ends(notice, failed);
        let over = ends.is_some_and(|ends| ends <= self.now);
        if !wanted || limited || over || failed.retry == Retry::Disable {
            return None;
        }
        let in_time = |at: Mono| ends.map_or(at, |ends| ends.min(at));
        if let Some(planned) = planned {
            return Some(in_time(planned));
        }
        let pauses = if repeats { notice.pauses } else { notice.pauses + 1 };
        let step = usize::try_from(pauses).unwrap_or(usize::MAX).saturating_sub(1);
        let schedule: &[Duration] = if usual { &SCHEDULE } else { &spec.schedule };
        let base = schedule.get(step).or(schedule.last()).copied().unwrap_or(HOLD);
        let pause = match failed.retry {
            Retry::After(wish) if self.is(Mutation::RetryAfterUnbounded) => wish,
            Retry::After(wish) => wish.clamp(base, base.saturating_mul(2)),
            _ => self.chance.jittered(base),
        };
        let at = in_time(self.now.after(pause));
        self.notices.get_mut(&delivery)?.pauses = pauses;
        Some(at)
    }

    /// When a notice of the log is given up whatever its schedule says: where the receiver is away and another event was
    /// given up for that, a later one is not waited for any longer than that one was, and an earlier one was long enough.
    /// Else each of a lane would begin its schedule when the one before it is at its end, and most would be too old for
    /// the log before.
    fn patience_ends(&self, notice: &Notice, failed: &Failure) -> Option<Mono> {
        let slot = self.slots.get(&notice.hook)?;
        let away = failed.receiver != Receiver::Here && notice.origin == Origin::Log;
        let (at, time) = slot.given_up.filter(|_| away && !self.is(Mutation::NeverImpatient))?;
        let later = notice.event.stamp().time.0.saturating_sub(time.0);
        // Of the same moment: nothing is known of which was first.
        (later != 0).then(|| at.after(Duration::from_micros(u64::try_from(later).unwrap_or_default())))
    }

    /// A notice is given up.
    pub(super) fn gave_up(&mut self, delivery: DeliveryId, failed: &Failure) {
        let Some(notice) = self.notices.get(&delivery) else { return };
        let (hook, time) = (notice.hook, notice.event.stamp().time);
        let away = failed.receiver != Receiver::Here && notice.origin == Origin::Log;
        let over = self.patience_ends(notice, failed).is_some_and(|ends| ends <= self.now);
        let pauses = notice.pauses;
        let Some(slot) = self.slots.get_mut(&hook) else { return };
        // Not one that is never tried again, however it failed.
        let used_up = pauses > 0 && pauses >= slot.spec().retries.limit;
        if away && (used_up || over) && slot.given_up.is_none_or(|(_, newest)| time > newest) {
            slot.given_up = Some((self.now, time));
        }
    }

    pub(super) fn pause_until(&mut self, delivery: DeliveryId, at: Mono, receiver: Receiver) {
        let (frees, holds) = (self.is(Mutation::RetryFreesLane), self.is(Mutation::RetryHoldsLane));
        let orderless = self.is(Mutation::AwayFreesLane);
        let Some(notice) = self.notices.get_mut(&delivery) else { return };
        notice.stage = Stage::Pausing(at);
        notice.planned = None;
        let first_failed = *notice.first_failed.get_or_insert(self.now);
        self.timers.insert((at, Due::Retry(delivery)));
        let (hook, lane) = (notice.hook, notice.lane.clone());
        let is_there = receiver == Receiver::Here || orderless;
        let too_long = at > first_failed.after(HOLD) && is_there && !holds;
        let steps_aside = notice.place == Place::Holding && (too_long || frees);
        if steps_aside {
            notice.place = Place::Aside;
        }
        let (origin, place, again) = (notice.origin, notice.place, notice.brought_forward);
        if let Some(slot) = self.slots.get_mut(&hook) {
            slot.wait(delivery, origin, place);
            if receiver != Receiver::Here {
                let waiting = if again { &mut slot.missed } else { &mut slot.away };
                waiting.insert(delivery);
            }
        }
        if steps_aside {
            self.release(&lane);
        } else if place == Place::Holding
            && let Some(lane) = self.lanes.get_mut(&lane)
        {
            lane.pausing += 1;
            self.standing += 1;
        }
        self.keep_bound(hook);
        self.stir(hook);
    }

    /// The pause of a failed notice is over.
    pub(in crate::core) fn try_again(&mut self, delivery: DeliveryId) {
        let Some(notice) = self.notices.get_mut(&delivery) else { return };
        notice.brought_forward = false;
        let hook = notice.hook;
        if let Some(slot) = self.slots.get_mut(&hook) {
            slot.forget_away(delivery);
        }
        self.resume(delivery);
    }

    /// A call has found the receiver away: if no other does before, it is looked for in a while, and not before it said.
    pub(super) fn plan_probe(&mut self, hook: HookId, failed: &Failure) {
        let asked = if let Retry::After(wish) = failed.retry { wish } else { Duration::ZERO };
        if let (Some(slot), true) = (self.slots.get_mut(&hook), failed.receiver != Receiver::Here) {
            slot.probe = Some(self.now.after(PROBE.max(asked)));
        }
    }

    /// Makes one of the notices ready that wait for the receiver, outside of its schedule, each in its turn: one that
    /// nobody could take must not be the only one that is tried.
    pub(super) fn probe(&mut self, hook: HookId) {
        let Some(slot) = self.slots.get_mut(&hook) else { return };
        slot.probe = None;
        slot.away.append(&mut slot.missed);
        let mut later = slot.away.range((Excluded(slot.probed), Unbounded));
        let Some(delivery) = later.next().or(slot.away.first()).copied() else { return };
        slot.probed = delivery;
        slot.away.remove(&delivery);
        let Some(notice) = self.notices.get_mut(&delivery) else { return };
        if let Stage::Pausing(at) = notice.stage {
            (notice.brought_forward, notice.planned) = (false, Some(at));
            self.timers.remove(&(at, Due::Retry(delivery)));
            self.resume(delivery);
        }
    }

    fn resume(&mut self, delivery: DeliveryId) {
        let Some(notice) = self.notices.get_mut(&delivery) else { return };
        notice.stage = Stage::Ready;
        if notice.place == Place::Holding
            && let Some(lane) = self.lanes.get_mut(&notice.lane)
        {
            lane.pausing = lane.pausing.saturating_sub(1);
            self.standing = self.standing.saturating_sub(1);
        }
        let hook = notice.hook;
        self.make_ready(hook, delivery);
    }

    /// The receiver has taken a notice: what waits for it to be there is tried now, once outside of the schedule, and
    /// it may be given more at once.
    pub(super) fn is_there(&mut self, hook: HookId) {
        let Some(slot) = self.slots.get_mut(&hook) else { return };
        slot.given_up = None;
        let most = slot.spec().concurrency.max(1);
        slot.window = slot.window.map(|window| window + 1).filter(|window| *window < most);
        if self.mutation == Some(Mutation::AwayNotBroughtForward) {
            return;
        }
        for delivery in std::mem::take(&mut slot.away) {
            let Some(notice) = self.notices.get_mut(&delivery) else { continue };
            if let Stage::Pausing(at) = notice.stage {
                notice.brought_forward = true;
                self.timers.remove(&(at, Due::Retry(delivery)));
                self.resume(delivery);
            }
        }
    }

    /// After a timeout, and when it says that there are too many, the receiver gets half as many calls at once; in the
    /// second case none at all for a while.
    pub(super) fn slow_down(&mut self, hook: HookId, failed: &Failure, next: Next) {
        let busy = failed.receiver == Receiver::Busy;
        if (!busy && failed.outcome != Outcome::Timeout) || self.is(Mutation::NeverSlowsDown) {
            return;
        }
        let Some(slot) = self.slots.get_mut(&hook) else { return };
        slot.window = Some((slot.notices_at_once() / 2).max(1));
        if let (true, Next::Again(at)) = (busy, next) {
            let rested = at.min(self.now.after(LONGEST_REST));
            slot.rests_until = slot.rests_until.max(Some(rested));
        }
    }
}
