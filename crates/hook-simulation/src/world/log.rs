//! The log that hooks are fed from, its couriers, the cursors on disk, and the end of the process.

use super::{World, new_core};
use crate::input::Input;
use jackfield_events::Event;
use jackfield_hooks::{Cursor, DisabledBy, FeedId, Hunger, Stretch};
use jackfield_media::Text;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Numbers of calls and deliveries of one process.
const NUMBERS: u64 = 1 << 32;

#[derive(Debug, Default)]
pub(super) struct Log {
    events: Vec<Arc<Event>>,
    /// Couriers that have something to look at.
    called: BTreeSet<FeedId>,
    /// Couriers that have read all there is.
    at_the_end: BTreeSet<FeedId>,
    /// Every cursor as it is now.
    cursors: BTreeMap<Text, Cursor>,
    /// And as it is on disk.
    saved: BTreeMap<Text, Cursor>,
    /// How often the process ended.
    ends: u64,
}

impl Log {
    pub(super) fn call(&mut self, feed: FeedId) {
        self.called.insert(feed);
    }

    pub(super) fn newest(&self) -> u64 {
        self.events.last().map_or(0, |event| event.stamp().seq)
    }

    fn after(&self, position: u64, most: usize) -> Vec<Arc<Event>> {
        let first = self.events.partition_point(|event| event.stamp().seq <= position);
        self.events.iter().skip(first).take(most).cloned().collect()
    }

    fn at(&self, position: u64) -> Option<&Arc<Event>> {
        let place = self.events.binary_search_by_key(&position, |event| event.stamp().seq).ok()?;
        self.events.get(place)
    }
}

impl World<'_> {
    pub(super) fn append(&mut self, event: Arc<Event>) -> Result<(), String> {
        self.log.events.push(Arc::clone(&event));
        // Those that had no room are called when they have.
        self.log.called.append(&mut self.log.at_the_end);
        self.observe(&Input::Append(event))
    }

    /// Lets every courier do what it can, and now and then the disk have the cursors.
    pub(super) fn serve(&mut self) -> Result<(), String> {
        if !self.profile.logged {
            return Ok(());
        }
        while let Some(feed) = self.log.called.pop_first() {
            self.serve_one(&feed)?;
        }
        self.checker.all_fed()?;
        self.remember();
        if self.chance.percent(30) {
            self.log.saved.clone_from(&self.log.cursors);
        }
        if self.chance.percent(4) {
            self.look_at_cursors()?;
        }
        Ok(())
    }

    fn serve_one(&mut self, feed: &FeedId) -> Result<(), String> {
        loop {
            match self.core.hunger(feed) {
                Hunger::Nobody | Hunger::Full => return Ok(()),
                Hunger::At(hook, positions) => {
                    let some = 1 + self.chance.below(positions.len());
                    for position in positions.into_iter().take(some) {
                        let event = self.log.at(position).cloned();
                        self.core.fetched(self.now, &hook, position, event.as_ref());
                        self.observe(&Input::Fed)?;
                    }
                }
                Hunger::After(after) => {
                    let events = self.log.after(after, 1 + self.chance.below(5));
                    let up_to = events.last().map_or(self.log.newest(), |event| event.stamp().seq);
                    if up_to <= after {
                        self.log.at_the_end.insert(feed.clone());
                        return Ok(());
                    }
                    let stretch = Stretch { after, events: &events, up_to, lost: 0, lost_by_type: &[] };
                    let taken = self.core.feed(self.now, feed, &stretch);
                    self.observe(&Input::Fed)?;
                    if taken < events.len()
                        && matches!(self.core.hunger(feed), Hunger::After(_) | Hunger::Full)
                    {
                        return Ok(());
                    }
                }
            }
        }
    }

    pub(super) fn remember(&mut self) {
        self.log.cursors.extend(self.core.changed_cursors());
    }

    /// The checker compares the cursors with what it knows.
    pub(super) fn look_at_cursors(&mut self) -> Result<(), String> {
        self.remember();
        self.checker.check_cursors(&self.log.cursors)
    }

    /// Where those hooks begin that are not fed yet. That is on disk before they get anything.
    pub(super) fn find_places(&mut self) -> Vec<(Text, Cursor)> {
        let mut places = Vec::new();
        for hook in &self.hooks {
            if self.core.follows(&hook.id) || !hook.gets_facts() {
                continue;
            }
            let known = self.log.cursors.get(&hook.id).cloned();
            let cursor = known.unwrap_or_else(|| Cursor::at(self.log.newest()));
            self.core.follow(&hook.id, cursor.clone());
            self.log.cursors.insert(hook.id.clone(), cursor.clone());
            self.log.saved.insert(hook.id.clone(), cursor.clone());
            places.push((hook.id.clone(), cursor));
        }
        self.log.at_the_end.clear();
        self.log.called.extend(self.core.feeds());
        places
    }

    /// Disables a hook or enables one again.
    pub(super) fn switch(&mut self) -> Result<(), String> {
        let status = self.core.status();
        let disabled = status.iter().find(|hook| hook.disabled.is_some()).map(|hook| hook.name.clone());
        self.step(Input::Tick)?;
        match disabled.filter(|_| self.chance.percent(70)) {
            Some(hook) => self.step(Input::Disable(hook, None)),
            None => match self.chance.pick(&self.hooks).map(|hook| hook.id.clone()) {
                Some(hook) => self.step(Input::Disable(hook, Some(DisabledBy::Handler))),
                None => Ok(()),
            },
        }
    }

    pub(super) fn enable_all(&mut self) -> Result<(), String> {
        let hooks: Vec<Text> = self.hooks.iter().map(|hook| hook.id.clone()).collect();
        for hook in hooks {
            if self.core.disabled(&hook).is_some() {
                self.step(Input::Disable(hook, None))?;
            }
        }
        Ok(())
    }

    /// The process ends. What begins anew knows what was on disk, and handlers know nobody.
    pub(super) fn crash(&mut self) -> Result<(), String> {
        self.log.ends += 1;
        self.open.clear();
        self.handlers.forget();
        self.core = new_core(&self.profile, self.mutation, &mut self.chance);
        self.core.number_from(self.log.ends * NUMBERS);
        self.core.replace_hooks(self.now, self.hooks.iter().map(|hook| (hook.clone(), ())).collect());
        self.log.called.clear();
        self.log.cursors.clone_from(&self.log.saved);
        let places = self.find_places();
        self.observe(&Input::Crash(places))
    }
}
