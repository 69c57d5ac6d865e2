//! Lanes: what is told to one hook, or to one group of hooks, about one key, one after the other.

use super::super::slot::{About, HookId, LaneKey, Whose};
use super::{Core, Place, Stage};
use crate::{DeliveryId, HookSpec, Mutation};
use jackfield_events::{Event, OrderedBy};
use std::sync::Arc;

impl<H: Clone> Core<H> {
    pub(in crate::core) fn lane_of(&self, hook: HookId, spec: &HookSpec, event: &Event) -> LaneKey {
        let scope = event.scope();
        let connection = scope.conn_id.map(About::Connection);
        let by_connection = self.is(Mutation::LanePerConnection);
        let about = match event.spec().ordered_by {
            OrderedBy::Stream if by_connection => connection,
            OrderedBy::Connection => connection,
            OrderedBy::Stream => scope.stream_key.clone().map(About::Stream),
        };
        let about = match about {
            Some(_) if self.is(Mutation::LanesMerged) => About::Node,
            about => about.unwrap_or(About::Node),
        };
        self.lane_key(hook, spec, about)
    }

    pub(in crate::core) fn lane_key(&self, hook: HookId, spec: &HookSpec, about: About) -> LaneKey {
        let group = spec.lane_group.clone().filter(|_| !self.is(Mutation::GroupIgnored));
        LaneKey { whose: group.map_or(Whose::Hook(hook), Whose::Group), about }
    }

    /// Makes the first of a lane ready, if nothing holds the lane.
    pub(super) fn move_lane(&mut self, key: &LaneKey) {
        let Some(lane) = self.lanes.get(key) else { return };
        let Some(first) = lane.waiting.front().copied() else {
            if lane.holding == 0 {
                self.lanes.remove(key);
            }
            return;
        };
        if lane.holding > 0 && !self.is(Mutation::LaneIgnored) {
            return;
        }
        if let Some(notice) = self.notices.get_mut(&first).filter(|notice| notice.stage == Stage::Behind) {
            notice.stage = Stage::Ready;
            let hook = notice.hook;
            self.make_ready(hook, first);
        }
    }

    pub(super) fn make_ready(&mut self, hook: HookId, delivery: DeliveryId) {
        if let Some(slot) = self.slots.get_mut(&hook) {
            slot.ready.push_back(delivery);
            self.active.insert(hook);
        }
    }

    /// One that held the lane has settled or stepped aside.
    pub(super) fn release(&mut self, key: &LaneKey) {
        if let Some(lane) = self.lanes.get_mut(key) {
            lane.holding = lane.holding.saturating_sub(1);
            self.move_lane(key);
        }
        self.stir_lane(key);
    }

    /// Puts all notices into the lanes that the configuration now gives them, in the order in which they
    /// were queued.
    pub(in crate::core) fn sort_into_lanes(&mut self) {
        self.lanes.clear();
        self.standing = 0;
        let all: Vec<DeliveryId> = self.notices.keys().copied().collect();
        for delivery in all {
            let Some(notice) = self.notices.get(&delivery) else { continue };
            let Some(slot) = self.slots.get(&notice.hook) else { continue };
            let configured = Arc::clone(&slot.configured);
            let key = self.lane_of(notice.hook, &configured.spec, &notice.event);
            let Some(notice) = self.notices.get_mut(&delivery) else { continue };
            let lane = self.lanes.entry(key.clone()).or_default();
            notice.lane = key;
            match notice.place {
                Place::Holding => {
                    lane.holding += 1;
                    let pauses = usize::from(matches!(notice.stage, Stage::Pausing(_)));
                    lane.pausing += pauses;
                    self.standing += pauses;
                }
                Place::Waiting => lane.waiting.push_back(delivery),
                Place::Aside => {}
            }
            if notice.place == Place::Waiting && notice.stage == Stage::Ready {
                notice.stage = Stage::Behind;
                let hook = notice.hook;
                if let Some(slot) = self.slots.get_mut(&hook) {
                    slot.ready.retain(|ready| *ready != delivery);
                }
            }
        }
        let keys: Vec<LaneKey> = self.lanes.keys().cloned().collect();
        for key in keys {
            self.move_lane(&key);
        }
    }
}
