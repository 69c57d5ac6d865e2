//! Hooks that are fed from the log: where each stands in it, what it takes next, and what it has done with.
//!
//! A full queue is back-pressure: nothing is taken from the log until there is room. But a lane that stands still,
//! because its first notice waits for its next try, would soon fill the queue and hold up all others; of such a
//! lane only the positions are kept once some of its notices wait, and read again when it moves on.

mod known;
mod parking;

use super::slot::{About, Configured, HookId};
use super::{Core, DisabledBy, DropCause, FeedId, Hunger, Origin, Output};
use crate::{Cursor, DeliveryId, HookSpec, Mutation};
use jackfield_events::{Event, EventType};
use jackfield_media::{Mono, Text, UnixTime};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Positions that are kept for one hook; eight bytes each. With more, nothing is taken from the log.
const MOST_PARKED: usize = 100_000;

/// Where a hook stands in the log.
#[derive(Debug)]
pub(super) struct Feed {
    cursor: Cursor,
    /// It was given, or passes over, everything up to here.
    fed_to: u64,
    /// Positions that wait for their lane.
    parked: BTreeMap<About, VecDeque<u64>>,
    parked_count: usize,
    /// It had no room for what came.
    starved: bool,
    /// [`Output::Hungry`] is out.
    called: bool,
    /// Its cursor has moved since it was last asked for.
    changed: bool,
    /// When the newest event happened that it was given or passed over.
    newest: Option<UnixTime>,
}

impl Feed {
    fn at(cursor: Cursor) -> Self {
        Self {
            fed_to: cursor.done_to(),
            cursor,
            parked: BTreeMap::new(),
            parked_count: 0,
            starved: false,
            called: false,
            changed: true,
            newest: None,
        }
    }

    pub(super) fn done(&mut self, from: u64, to: u64) {
        self.cursor.done(from, to);
        self.changed = true;
    }

    /// What was given and is not done is given again.
    pub(super) fn rewind(&mut self) {
        self.fed_to = self.cursor.done_to();
        self.parked.clear();
        self.parked_count = 0;
    }

    /// Whether it still has to be given what stands there, all before it having been seen.
    fn needs(&self, after: u64, position: u64) -> bool {
        self.fed_to >= after && position > self.fed_to
    }
}

/// A stretch of the log.
#[derive(Debug, Clone, Copy)]
pub struct Stretch<'a> {
    /// It begins after this position.
    pub after: u64,
    /// Its events, in order.
    pub events: &'a [Arc<Event>],
    /// It ends with this position: between its events, and from the last one to here, the log has nothing.
    pub up_to: u64,
    /// At most so many of its events are gone, and nobody knows which.
    pub lost: u64,
    /// Events that are gone, and of which type they were.
    pub lost_by_type: &'a [(EventType, u64)],
}

/// How far a hook is behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Behind {
    /// Positions of the log that it has not done with; some of them may not be for it.
    pub events: u64,
    /// When the oldest of its events happened that it has not done with, as far as it is known.
    pub oldest: Option<UnixTime>,
}

impl<H: Clone> Core<H> {
    /// From now on this hook is fed from the log, beginning where this cursor stands.
    pub fn follow(&mut self, hook_id: &str, cursor: Cursor) {
        if let Some(slot) = self.hook_of(hook_id).and_then(|hook| self.slots.get_mut(&hook)) {
            slot.feed = Some(Feed::at(cursor));
        }
    }

    /// Whether this hook is fed from the log.
    #[must_use]
    pub fn follows(&self, hook_id: &str) -> bool {
        self.hook_of(hook_id).and_then(|hook| self.slots.get(&hook)).is_some_and(|slot| slot.feed.is_some())
    }

    /// All feeds, each once.
    #[must_use]
    pub fn feeds(&self) -> Vec<FeedId> {
        let mut feeds: Vec<FeedId> = Vec::new();
        for (hook, configured) in &self.plan.steps {
            let feed = feed_of(&configured.spec);
            if self.slots.get(hook).is_some_and(|slot| slot.feed.is_some()) && !feeds.contains(&feed) {
                feeds.push(feed);
            }
        }
        feeds
    }

    /// What this feed takes next.
    pub fn hunger(&mut self, feed: &FeedId) -> Hunger {
        let members: Vec<HookId> = self.members(feed).into_iter().map(|(hook, _)| hook).collect();
        let mut after: Option<u64> = None;
        let mut full = false;
        for hook in members {
            let positions = self.parked_that_may_go(hook);
            let Some(slot) = self.slots.get_mut(&hook) else { continue };
            let (room, id, disabled) = (slot.room(), slot.spec().id.clone(), slot.disabled.is_some());
            let Some(feed) = &mut slot.feed else { continue };
            feed.called = false;
            if disabled {
                continue;
            }
            if !positions.is_empty() {
                return Hunger::At(id, positions);
            }
            if room == 0 || feed.parked_count >= MOST_PARKED {
                feed.starved = true;
                full = true;
            }
            after = Some(after.map_or(feed.fed_to, |after| after.min(feed.fed_to)));
        }
        match after {
            None => Hunger::Nobody,
            Some(_) if full => Hunger::Full,
            Some(after) => Hunger::After(after),
        }
    }

    /// Gives a feed a stretch of the log, which must begin where its [`Hunger::After`] said, or after the last event
    /// of it that was taken. Returns how many of the events were taken; when that is all of them, so is the rest of
    /// the stretch. What was not taken is to be given again when [`Output::Hungry`] comes.
    pub fn feed(&mut self, now: Mono, feed: &FeedId, stretch: &Stretch<'_>) -> usize {
        self.advance(now);
        let members = self.members(feed);
        for (hook, configured) in &members {
            if let Some(feed) = self.slots.get_mut(hook).and_then(|slot| slot.feed.as_mut()) {
                feed.called = false;
            }
            let by_type =
                stretch.lost_by_type.iter().filter(|(event, _)| configured.spec.on.contains(*event));
            let lost = stretch.lost + by_type.map(|(_, count)| count).sum::<u64>();
            self.tell_of_lost(*hook, stretch.after, lost);
        }
        let (mut taken, mut before) = (0, stretch.after);
        for event in stretch.events {
            if !self.has_room(&members, before, event) {
                self.take_turns();
                if !self.has_room(&members, before, event) {
                    break;
                }
            }
            for (hook, configured) in &members {
                self.give(*hook, configured, before, event);
            }
            before = event.stamp().seq;
            taken += 1;
        }
        if taken == stretch.events.len() {
            for (hook, _) in &members {
                self.pass_over(*hook, before, stretch.up_to);
            }
        }
        self.take_turns();
        taken
    }

    /// What stands at a position that [`Hunger::At`] asked for; `None` if the log has it no more.
    pub fn fetched(&mut self, now: Mono, hook_id: &str, position: u64, event: Option<&Arc<Event>>) {
        self.advance(now);
        if let Some(hook) = self.hook_of(hook_id) {
            self.unpark(hook, position, event);
            self.take_turns();
        }
    }

    /// Tells one hook an event once more, or for the first time, if it wants it and has room. `origin` says what it means
    /// that it is not delivered. The delivery, or `None` if it was not queued.
    pub fn notify_hook(
        &mut self,
        now: Mono,
        hook_id: &str,
        event: &Arc<Event>,
        origin: Origin,
    ) -> Option<DeliveryId> {
        self.advance(now);
        let hook = self.hook_of(hook_id)?;
        let slot = self.slots.get(&hook).filter(|slot| slot.disabled.is_none() && slot.room() > 0)?;
        let configured = Arc::clone(&slot.configured);
        let delivery = self.queue(hook, &configured.spec, event, origin);
        self.take_turns();
        delivery
    }

    /// Notices for which this hook's queue has room; none if it is disabled.
    #[must_use]
    pub fn room(&self, hook_id: &str) -> usize {
        let slot = self.hook_of(hook_id).and_then(|hook| self.slots.get(&hook));
        slot.filter(|slot| slot.disabled.is_none()).map_or(0, super::slot::Slot::room)
    }

    /// Whether this hook is called. One that is not loses nothing of the log: it goes on where it stood.
    pub fn set_disabled(&mut self, now: Mono, hook_id: &str, disabled: Option<DisabledBy>) {
        self.advance(now);
        let Some(hook) = self.hook_of(hook_id) else { return };
        let Some(slot) = self.slots.get_mut(&hook) else { return };
        slot.disabled = disabled;
        match disabled {
            Some(_) => self.rest_of_disabling(hook),
            None => self.call_for_food(hook),
        }
        self.look_at(hook);
        self.take_turns();
    }

    /// The cursors that have moved since this was last asked, with the ids of their hooks.
    pub fn changed_cursors(&mut self) -> Vec<(Text, Cursor)> {
        let mut changed = Vec::new();
        for slot in self.slots.values_mut() {
            let id = slot.spec().id.clone();
            if let Some(feed) = slot.feed.as_mut().filter(|feed| feed.changed) {
                feed.changed = false;
                changed.push((id, feed.cursor.clone()));
            }
        }
        changed
    }

    /// How far this hook is behind the last position of the log.
    #[must_use]
    pub fn behind(&self, hook_id: &str, last: u64) -> Behind {
        let Some(hook) = self.hook_of(hook_id) else { return Behind::default() };
        let Some(slot) = self.slots.get(&hook) else { return Behind::default() };
        let Some(feed) = slot.feed.as_ref() else { return Behind::default() };
        let events = feed.cursor.open_up_to(last);
        // Those of this hook alone: all hooks are asked, and each may have thousands that wait.
        let running = self.calls.values().filter(|running| running.head.hook == hook);
        let held = running.map(|running| &running.head.delivery).chain(&slot.queued).chain(&slot.aside);
        let held = held.filter_map(|delivery| self.notices.get(delivery)?.happened()).min();
        let unread = feed.newest.filter(|_| feed.fed_to < last || feed.parked_count > 0);
        Behind { events, oldest: [held, unread].into_iter().flatten().min().filter(|_| events > 0) }
    }

    /// Whether every feed has taken all up to this position that it could take by that time.
    #[must_use]
    pub fn is_fed_up_to(&self, last: u64, until: Mono) -> bool {
        self.slots.iter().all(|(hook, slot)| {
            let Some(feed) = slot.feed.as_ref().filter(|_| slot.disabled.is_none()) else { return true };
            let moves = || self.notices.values().any(|notice| self.can_move(notice, until));
            let has_all = feed.fed_to >= last || (slot.room() == 0 && !moves());
            has_all && self.parked_that_may_go(*hook).is_empty()
        })
    }

    pub(super) fn hook_of(&self, hook_id: &str) -> Option<HookId> {
        let step = self.plan.steps.iter().find(|(_, configured)| configured.spec.id.as_str() == hook_id);
        step.map(|(hook, _)| *hook)
    }

    fn members(&self, feed: &FeedId) -> Vec<(HookId, Arc<Configured<H>>)> {
        let own = self.plan.steps.iter().filter(|(hook, configured)| {
            feed_of(&configured.spec) == *feed && self.slots.get(hook).is_some_and(|slot| slot.feed.is_some())
        });
        own.map(|(hook, configured)| (*hook, Arc::clone(configured))).collect()
    }

    /// Whether every member that needs this event has room for it.
    fn has_room(
        &mut self,
        members: &[(HookId, Arc<Configured<H>>)],
        before: u64,
        event: &Arc<Event>,
    ) -> bool {
        let position = event.stamp().seq;
        let mut room = true;
        for (hook, configured) in members {
            let Some(slot) = self.slots.get(hook).filter(|slot| slot.disabled.is_none()) else { continue };
            let Some(feed) = slot.feed.as_ref().filter(|feed| feed.needs(before, position)) else { continue };
            if feed.cursor.is_done(position) || !self.is_for(&configured.spec, event) {
                continue;
            }
            let (may_park, may_queue) = (feed.parked_count < MOST_PARKED, slot.room() > 0);
            let fits = match (may_park, may_queue || self.is(Mutation::FullIsPassedOver)) {
                (true, true) => true,
                (false, false) => false,
                (may_park, _) => self.must_park(*hook, &configured.spec, event) == may_park,
            };
            if !fits {
                room = false;
                if let Some(feed) = self.slots.get_mut(hook).and_then(|slot| slot.feed.as_mut()) {
                    feed.starved = true;
                }
            }
        }
        room
    }

    fn is_for(&self, spec: &HookSpec, event: &Event) -> bool {
        let selected = spec.streams.matches(event.scope().stream_key.as_ref());
        spec.on.contains(event.event_type()) && (selected || self.is(Mutation::StreamsIgnored))
    }

    fn give(&mut self, hook: HookId, configured: &Configured<H>, before: u64, event: &Arc<Event>) {
        let (spec, position) = (&configured.spec, event.stamp().seq);
        let wanted = self.is_for(spec, event);
        let parks = wanted && self.must_park(hook, spec, event);
        let lane = parks.then(|| self.lane_of(hook, spec, event));
        let full_is_passed = self.is(Mutation::FullIsPassedOver);
        let Some(slot) = self.slots.get_mut(&hook).filter(|slot| slot.disabled.is_none()) else { return };
        let room = slot.room();
        let Some(feed) = slot.feed.as_mut().filter(|feed| feed.needs(before, position)) else { return };
        let from = feed.fed_to + 1;
        feed.fed_to = position;
        feed.newest = Some(event.stamp().time);
        let passed_over = full_is_passed && room == 0;
        if !wanted || passed_over || feed.cursor.is_done(position) {
            return feed.done(from, position);
        }
        if position > from {
            feed.done(from, position - 1);
        }
        match lane {
            Some(key) => {
                feed.parked.entry(key.about).or_default().push_back(position);
                feed.parked_count += 1;
            }
            None => {
                self.queue(hook, spec, event, Origin::Log);
            }
        }
    }

    /// There is nothing for anybody up to here.
    fn pass_over(&mut self, hook: HookId, before: u64, up_to: u64) {
        let slot = self.slots.get_mut(&hook).filter(|slot| slot.disabled.is_none());
        if let Some(feed) = slot.and_then(|slot| slot.feed.as_mut())
            && feed.needs(before, up_to)
        {
            feed.done(feed.fed_to + 1, up_to);
            feed.fed_to = up_to;
        }
    }

    fn tell_of_lost(&mut self, hook: HookId, after: u64, lost: u64) {
        let Some(slot) = self.slots.get_mut(&hook).filter(|slot| slot.disabled.is_none()) else { return };
        if slot.feed.as_ref().is_some_and(|feed| feed.fed_to == after) {
            slot.untold += lost;
            slot.tally.dropped += lost;
        }
    }

    /// A notice of the log is delivered or given up.
    pub(super) fn acknowledge(&mut self, hook: HookId, position: u64) {
        if let Some(feed) = self.slots.get_mut(&hook).and_then(|slot| slot.feed.as_mut()) {
            feed.done(position, position);
        }
    }

    /// All that is under way to a hook that was just disabled stays in the log.
    pub(super) fn rest_of_disabling(&mut self, hook: HookId) {
        self.give_up_all(hook, DropCause::HookDisabled);
        let acknowledged = self.is(Mutation::DisabledAcknowledged);
        if let Some(feed) = self.slots.get_mut(&hook).and_then(|slot| slot.feed.as_mut()) {
            if acknowledged {
                feed.done(0, feed.fed_to);
            }
            feed.rewind();
        }
    }

    /// A hook that had no room is called for when its queue is half empty, or when there is room and all that it has
    /// waits for something: not for every notice, and never too late.
    pub(super) fn stir(&mut self, hook: HookId) {
        let Some(slot) = self.slots.get_mut(&hook) else { return };
        let (waiting, queue) = (slot.queued.len(), slot.spec().queue.max(1));
        let enough = waiting.saturating_mul(2) <= queue || (waiting < queue && slot.ready.is_empty());
        if let Some(feed) = slot.feed.as_mut().filter(|feed| feed.starved)
            && enough
            && feed.parked_count < MOST_PARKED
        {
            feed.starved = false;
            self.call_for_food(hook);
        }
    }

    pub(super) fn call_for_food(&mut self, hook: HookId) {
        let Some(slot) = self.slots.get_mut(&hook) else { return };
        let id = feed_of(slot.spec());
        if let Some(feed) = slot.feed.as_mut().filter(|feed| !feed.called) {
            feed.called = true;
            self.outputs.push_back(Output::Hungry(id));
        }
    }
}

/// With whom a hook is fed.
pub(super) fn feed_of(spec: &HookSpec) -> FeedId {
    spec.lane_group.clone().map_or_else(|| FeedId::Hook(spec.id.clone()), FeedId::Group)
}
