//! Lanes that stand still: of what comes for them only positions are kept, until they move again.

use super::super::slot::{HookId, LaneKey, Whose};
use super::super::{Core, Origin};
use crate::{HookSpec, Mutation};
use jackfield_events::Event;
use std::sync::Arc;

/// Notices that wait in a lane that stands still, before only their positions are kept.
const LANE_SHARE: usize = 16;
/// Positions that are asked for at once.
const ASKED_AT_ONCE: usize = 64;

impl<H: Clone> Core<H> {
    /// Positions of lanes that move again, as many as there is room for.
    pub(super) fn parked_that_may_go(&self, hook: HookId) -> Vec<u64> {
        let Some((slot, feed)) = self.slots.get(&hook).and_then(|slot| Some((slot, slot.feed.as_ref()?)))
        else {
            return Vec::new();
        };
        let mut positions: Vec<u64> = Vec::new();
        let most = slot.room().min(ASKED_AT_ONCE);
        if feed.parked_count == 0 || self.is(Mutation::ParkedForgotten) {
            return positions;
        }
        for (about, parked) in &feed.parked {
            let share = self.share_left(&self.lane_key(hook, slot.spec(), about.clone()));
            positions.extend(parked.iter().take(share.min(most.saturating_sub(positions.len()))));
        }
        positions
    }

    /// How many more notices a lane takes: none while it stands still with its share.
    fn share_left(&self, key: &LaneKey) -> usize {
        match self.lanes.get(key) {
            Some(lane) if lane.stands_still() => 0,
            Some(lane) => LANE_SHARE.saturating_sub(lane.waiting_count()),
            None => LANE_SHARE,
        }
    }

    /// Whether only the position of this event is kept: its lane stands still and has its share, or others of the
    /// lane wait so already.
    pub(super) fn must_park(&self, hook: HookId, spec: &HookSpec, event: &Event) -> bool {
        let feed = self.slots.get(&hook).and_then(|slot| slot.feed.as_ref());
        if self.standing == 0 && feed.is_none_or(|feed| feed.parked_count == 0) {
            return false;
        }
        let key = self.lane_of(hook, spec, event);
        let others = feed.is_some_and(|feed| feed.parked_count > 0 && feed.parked.contains_key(&key.about));
        let share = LANE_SHARE.min((spec.queue / 4).max(1));
        let still =
            || self.lanes.get(&key).is_some_and(|lane| lane.stands_still() && lane.waiting_count() >= share);
        others || still()
    }

    pub(super) fn unpark(&mut self, hook: HookId, position: u64, event: Option<&Arc<Event>>) {
        let Some(slot) = self.slots.get_mut(&hook) else { return };
        let configured = Arc::clone(&slot.configured);
        let room = slot.room();
        let Some(feed) = slot.feed.as_mut() else { return };
        let lane = feed.parked.iter_mut().find(|(_, parked)| parked.front() == Some(&position));
        let Some((about, parked)) = lane else { return };
        if event.is_some() && room == 0 {
            feed.starved = true;
            return;
        }
        parked.pop_front();
        feed.parked_count -= 1;
        if parked.is_empty() {
            let about = about.clone();
            feed.parked.remove(&about);
        }
        match event {
            Some(event) if self.is_for(&configured.spec, event) => {
                self.queue(hook, &configured.spec, event, Origin::Log);
            }
            Some(_) => self.acknowledge(hook, position),
            None => {
                self.acknowledge(hook, position);
                if let Some(slot) = self.slots.get_mut(&hook) {
                    slot.untold += 1;
                    slot.tally.dropped += 1;
                }
            }
        }
        self.stir(hook);
    }

    /// A lane has moved: what was passed over because it stood still may be had now.
    pub(in crate::core) fn stir_lane(&mut self, key: &LaneKey) {
        let hooks: Vec<HookId> = match &key.whose {
            Whose::Hook(hook) => vec![*hook],
            Whose::Group(group) => {
                let own = self.plan.steps.iter();
                let own = own.filter(|(_, configured)| configured.spec.lane_group.as_ref() == Some(group));
                own.map(|(hook, _)| *hook).collect()
            }
        };
        for hook in hooks {
            let feed = self.slots.get(&hook).and_then(|slot| slot.feed.as_ref());
            let waits =
                feed.is_some_and(|feed| feed.parked_count > 0 && feed.parked.contains_key(&key.about));
            if waits && self.share_left(key) > LANE_SHARE / 2 {
                self.call_for_food(hook);
            }
        }
    }
}
