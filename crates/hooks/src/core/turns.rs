//! Whose turn it is: questions first, then one notice of each hook in rotation, so that none takes all.

use super::Core;
use super::slot::{Due, HookId, Life, Slot};
use crate::{Mutation, NoticeShare};
use jackfield_media::Mono;
use std::ops::Bound::{Excluded, Unbounded};

/// Why a hook starts no notice.
enum Idle {
    /// The limit over all hooks: it stays in the rotation.
    SharedLimit,
    /// Something of its own: an end of a call or a timer brings it back.
    Own,
}

impl<H: Clone> Core<H> {
    /// Starts all that can start.
    pub(super) fn take_turns(&mut self) {
        loop {
            // A question that one hook refuses may come to wait at another.
            while let Some(hook) = self.asked.pop_first() {
                self.serve_questions(hook);
            }
            if !self.serve_one_notice() {
                return;
            }
        }
    }

    /// Starts one notice of the hook whose turn it is.
    fn serve_one_notice(&mut self) -> bool {
        let after = self.active.range((Excluded(self.last_turn), Unbounded));
        let order: Vec<HookId> = after.chain(self.active.range(..=self.last_turn)).copied().collect();
        for hook in order {
            match self.may_start_notice(hook) {
                Ok(share) => {
                    // Hooks with room of their own take none of the others' and so no turn.
                    if share == NoticeShare::Shared && !self.is(Mutation::TurnsUnfair) {
                        self.last_turn = hook;
                    }
                    self.start_notice(hook);
                    return true;
                }
                Err(Idle::SharedLimit) => {}
                Err(Idle::Own) => {
                    self.active.remove(&hook);
                }
            }
        }
        false
    }

    fn may_start_notice(&mut self, hook: HookId) -> Result<NoticeShare, Idle> {
        let ignored = |mutation| self.mutation == Some(mutation);
        let slot = self.slots.get(&hook).ok_or(Idle::Own)?;
        let full = slot.notices_out >= slot.notices_at_once() && !ignored(Mutation::ConcurrencyIgnored);
        let dead = slot.disabled.is_some() && !ignored(Mutation::DisabledCalled);
        let probe = slot.next_probe().filter(|_| !ignored(Mutation::NeverProbed));
        if full || dead || (slot.ready.is_empty() && probe.is_none()) {
            return Err(Idle::Own);
        }
        if let Some(at) = probe.filter(|at| slot.ready.is_empty() && *at > self.now) {
            self.wake_at(hook, at);
            return Err(Idle::Own);
        }
        if let Some(rested) = slot.rests_until.filter(|rested| *rested > self.now) {
            self.wake_at(hook, rested);
            return Err(Idle::Own);
        }
        let share = slot.spec().notice_share;
        if share == NoticeShare::Shared && !self.shared_room(hook, slot) {
            return Err(Idle::SharedLimit);
        }
        if !slot.breaker.admits(self.now) {
            if let crate::BreakerState::Open { until } = slot.breaker.state() {
                self.wake_at(hook, until);
            }
            return Err(Idle::Own);
        }
        match slot.rate.as_ref().and_then(|rate| rate.wait(self.now)) {
            Some(at) if !ignored(Mutation::RateIgnored) => {
                self.wake_at(hook, at);
                Err(Idle::Own)
            }
            _ => Ok(share),
        }
    }

    /// Whether the limit over all hooks leaves room for another call of this one. A slow hook would
    /// take all of it and delay the others; so up to half of it is kept for hooks that use none now.
    fn shared_room(&self, hook: HookId, slot: &Slot<H>) -> bool {
        let ignored = |mutation| self.mutation == Some(mutation);
        let free = self.notice_concurrency.saturating_sub(self.shared_out);
        if slot.shared_out == 0 || ignored(Mutation::OneTakesAll) {
            return free > 0 || ignored(Mutation::SharedLimitIgnored);
        }
        let idle = |(other, slot): &(&HookId, &Slot<H>)| {
            let spec = slot.spec();
            let shares = spec.notice_share == NoticeShare::Shared && spec.gets_notices();
            let lives = slot.life == Life::Configured && slot.disabled.is_none();
            **other != hook && slot.shared_out == 0 && lives && shares
        };
        let kept = self.slots.iter().filter(idle).count().min(self.notice_concurrency / 2);
        free > kept || ignored(Mutation::SharedLimitIgnored)
    }

    /// Has the hook looked at again then.
    pub(super) fn wake_at(&mut self, hook: HookId, at: Mono) {
        let Some(slot) = self.slots.get_mut(&hook) else { return };
        if slot.wake.is_some_and(|wake| wake <= at && wake > self.now) {
            return;
        }
        if let Some(former) = slot.wake.replace(at) {
            self.timers.remove(&(former, Due::Hook(hook)));
        }
        self.timers.insert((at, Due::Hook(hook)));
    }
}
