//! A new configuration takes the place of the old one.

use super::slot::{Configured, HookId, Life, Plan, Slot};
use super::{Core, DisabledBy, DropCause};
use crate::HookSpec;
use crate::rate::Rate;
use jackfield_events::EventSet;
use jackfield_media::{Mono, Text};
use std::collections::BTreeMap;
use std::sync::Arc;

impl<H: Clone> Core<H> {
    /// Puts these hooks in the place of the former ones; their order is the order of chains. `H` is what
    /// comes back with each of their calls.
    ///
    /// A hook of the same id goes on with its queue, breaker, counters and place in the log; one that its handler
    /// disabled is enabled again if anything of it has changed. One that is gone loses its notices, counted, unless
    /// they are in the log, and its calls of notices are cancelled. A question goes on under the configuration that
    /// it started with: its chain, timeouts, policies and handlers; what a hook may be given at once is today's.
    /// Of two hooks of one name or one id the first counts: the configuration refuses such.
    pub fn replace_hooks(&mut self, now: Mono, hooks: Vec<(HookSpec, H)>) {
        self.advance(now);
        let former: BTreeMap<Text, HookId> =
            self.plan.steps.iter().map(|(id, configured)| (configured.spec.id.clone(), *id)).collect();
        let mut steps: Vec<(HookId, Arc<Configured<H>>)> = Vec::new();
        let mut wants = EventSet::EMPTY;
        for (spec, handler) in hooks {
            let same = |other: &HookSpec| other.name == spec.name || other.id == spec.id;
            if steps.iter().any(|(_, configured)| same(&configured.spec)) {
                continue;
            }
            wants = wants.union(spec.on);
            let known = former.get(&spec.id).copied();
            let configured = Arc::new(Configured { spec, handler });
            let id = self.configure(known, &configured);
            steps.push((id, configured));
        }
        let generation = self.plan.generation;
        let gone: Vec<HookId> =
            former.into_values().filter(|id| steps.iter().all(|(kept, _)| kept != id)).collect();
        self.plan = Arc::new(Plan { generation: generation + 1, steps, wants });
        self.sort_into_lanes();
        for hook in gone {
            self.remove(hook, generation);
        }
        let kept: Vec<HookId> = self.plan.steps.iter().map(|(id, _)| *id).collect();
        for hook in kept {
            self.keep_bound(hook);
            self.call_for_food(hook);
        }
        self.forget_removed();
        self.wake_all();
        self.take_turns();
    }

    fn configure(&mut self, known: Option<HookId>, configured: &Arc<Configured<H>>) -> HookId {
        if let Some((id, slot)) = known.and_then(|id| Some((id, self.slots.get_mut(&id)?))) {
            let rate = configured.spec.rate;
            if slot.rate.as_ref().map(Rate::per_second) != rate.map(|rate| rate.max(1)) {
                slot.rate = rate.map(Rate::new);
            }
            let changed = *slot.spec() != configured.spec;
            slot.configured = Arc::clone(configured);
            slot.disabled = slot.disabled.filter(|by| *by == DisabledBy::Operator || !changed);
            return id;
        }
        let id = HookId(self.fresh_id());
        self.slots.insert(id, Slot::new(Arc::clone(configured), self.mutation));
        id
    }

    fn remove(&mut self, hook: HookId, last_plan: u64) {
        self.give_up_all(hook, DropCause::HookRemoved);
        if let Some(slot) = self.slots.get_mut(&hook) {
            slot.feed = None;
            slot.life = Life::Removed { last_plan };
            self.removed += 1;
        }
    }

    /// Forgets removed hooks that no question can reach any more.
    pub(super) fn forget_removed(&mut self) {
        if self.removed == 0 {
            return;
        }
        let over: Vec<HookId> = self
            .slots
            .iter()
            .filter(
                |(_, slot)| matches!(slot.life, Life::Removed { last_plan } if !self.asks_under(last_plan)),
            )
            .map(|(id, _)| *id)
            .collect();
        for hook in over {
            self.removed -= 1;
            self.active.remove(&hook);
            self.asked.remove(&hook);
            if let Some(slot) = self.slots.remove(&hook)
                && let Some(at) = slot.wake
            {
                self.timers.remove(&(at, super::slot::Due::Hook(hook)));
            }
        }
    }
}
