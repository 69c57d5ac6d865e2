//! Law 7: a notice of the log is done with when it is delivered or given up, and not before; and over disabled hooks,
//! hooks that go and come, and the end of the process, each that is not done with is told again.

use super::notices::{Kept, wants};
use super::{About, Checked, Checker, Hid, rule};
use jackfield_hooks::{Cursor, DisabledBy};
use jackfield_media::Text;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Default)]
pub(crate) struct Logged {
    /// All that the log has.
    events: Vec<About>,
    /// Delivered, or given up.
    done: BTreeSet<(Text, u64)>,
    /// What is in the log for a hook that is disabled.
    shelf: BTreeMap<Hid, BTreeMap<u64, About>>,
    /// Hooks of one group may have been fed at different times.
    mixed: bool,
}

impl Checker {
    /// The log has one more: every hook that follows it and wants it must get it.
    pub(super) fn appended(&mut self, about: &About) {
        if let Some(log) = &mut self.log {
            log.events.push(about.clone());
        }
        for configured in std::rc::Rc::clone(&self.config).iter() {
            if !wants(&configured.spec, about) {
                continue;
            }
            if self.hooks.get(&configured.hid).is_some_and(|limits| limits.disabled) {
                self.keep(configured.hid, about.clone());
            } else {
                self.must_tell_one(configured.hid, &configured.spec, about, Kept::InTheLog);
            }
        }
    }

    /// Where hooks begin that are fed from now on: what is not done must be told.
    pub(super) fn follow(&mut self, places: &[(Text, Cursor)]) {
        for configured in std::rc::Rc::clone(&self.config).iter() {
            let Some((_, cursor)) = places.iter().find(|(hook, _)| *hook == configured.spec.id) else {
                continue;
            };
            let events = self.log.as_ref().map(|log| log.events.clone()).unwrap_or_default();
            let open =
                events.iter().filter(|about| !cursor.is_done(about.seq) && wants(&configured.spec, about));
            for about in open {
                self.must_tell_one(configured.hid, &configured.spec, about, Kept::InTheLog);
            }
        }
        self.mix();
    }

    /// Hooks of a group may stand at different places from now on.
    fn mix(&mut self) {
        if let Some(log) = &mut self.log {
            log.mixed = true;
        }
    }

    /// Whether a notice is the next of its lane: of the log, before all later ones of its hook, and of its group as long as
    /// all of it was fed together; in memory only, before all later such.
    pub(super) fn is_its_turn(&self, id: (Hid, u64)) -> bool {
        let Some(told) = self.told.get(&id) else { return false };
        let Some(lane) = self.lanes.get(told.lane) else { return false };
        let Some(log) = &self.log else { return lane.line.first() == Some(&id) };
        let before = lane.line.iter().filter(|other| {
            let Some(earlier) = self.told.get(other).filter(|other| other.logged == told.logged) else {
                return false;
            };
            let together = other.0 == id.0 || !log.mixed;
            if told.logged {
                together && earlier.about().seq < told.about().seq
            } else {
                earlier.order() < told.order()
            }
        });
        before.count() == 0
    }

    /// It is delivered, or given up.
    pub(super) fn done_with(&mut self, id: (Hid, u64)) {
        let logged = self.told.get(&id).is_some_and(|told| told.logged);
        let hook = self.hooks.get(&id.0).map(|limits| limits.spec.id.clone());
        if let (Some(log), Some(hook), true) = (&mut self.log, hook, logged) {
            log.done.insert((hook, id.1));
        }
    }

    /// It is not told for now, and stays in the log.
    pub(super) fn shelve(&mut self, id: (Hid, u64)) {
        let Some(about) = self.told.get(&id).map(|told| told.about().clone()) else { return };
        let carries = self.told.get(&id).map_or(0, super::notices::Told::carries);
        self.keep(id.0, about);
        self.forget(id, carries);
    }

    pub(super) fn keep(&mut self, hid: Hid, about: About) {
        if let Some(log) = &mut self.log {
            log.shelf.entry(hid).or_default().insert(about.seq, about);
        }
    }

    /// What a disabled hook was not given yet is in the log too.
    pub(super) fn shelve_disabled(&mut self) {
        if self.log.is_none() {
            return;
        }
        let gone: Vec<Hid> = self.gone.iter().map(|gone| gone.hid).collect();
        let disabled = self.hooks.iter().filter(|(_, limits)| limits.disabled).map(|(hid, _)| *hid);
        let disabled: Vec<Hid> = disabled.chain(gone.iter().copied()).collect();
        for hid in disabled {
            let own = self.told.range((hid, 0)..=(hid, u64::MAX));
            let waiting: Vec<(Hid, u64)> = own.filter(|(_, told)| told.logged).map(|(id, _)| *id).collect();
            for id in waiting {
                self.shelve(id);
            }
            if let Some(limits) = self.hooks.get_mut(&hid) {
                (limits.logged, limits.beside) = (0, 0);
            }
            // Older ones may be told once more after newer ones.
            self.epochs.retain(|(other, _), _| *other != hid);
            self.mix();
        }
        // One that comes back begins where its cursor stands.
        if let Some(log) = &mut self.log {
            log.shelf.retain(|hid, _| !gone.contains(hid));
        }
    }

    /// A hook that is not disabled any more goes on where it stood.
    pub(super) fn unshelve(&mut self) {
        let Some(log) = &mut self.log else { return };
        let able = |hid: &Hid| self.hooks.get(hid).is_some_and(|limits| !limits.disabled);
        let hids: Vec<Hid> = log.shelf.keys().copied().filter(able).collect();
        for hid in hids {
            let shelf = self.log.as_mut().and_then(|log| log.shelf.remove(&hid)).unwrap_or_default();
            let Some(configured) = self.config.iter().find(|configured| configured.hid == hid).cloned()
            else {
                continue;
            };
            for about in shelf.values() {
                self.must_tell_one(hid, &configured.spec, about, Kept::InTheLog);
            }
        }
    }

    /// Somebody disables a hook or enables it.
    pub(super) fn switched(&mut self, hook: &Text, by: Option<DisabledBy>) {
        let found = self.config.iter().find(|configured| configured.spec.id == *hook).map(|known| known.hid);
        if let Some(limits) = found.and_then(|hid| self.hooks.get_mut(&hid)) {
            limits.disabled = by.is_some();
        }
        self.unshelve();
    }

    /// The process has ended, and another begins with these cursors.
    pub(super) fn crashed(&mut self, places: &[(Text, Cursor)]) -> Checked {
        self.check_done(places.iter().map(|(hook, cursor)| (hook, cursor)), Strictness::MayLag)?;
        self.calls.clear();
        self.questions.clear();
        self.settled.clear();
        self.told.clear();
        self.pausing.clear();
        self.lanes.clear();
        self.epochs.clear();
        self.breakers.clear();
        self.disabling = None;
        self.shared_running = 0;
        for configured in self.config.iter() {
            self.hooks.insert(configured.hid, super::Limits::new(&configured.spec));
        }
        if let Some(log) = &mut self.log {
            log.shelf.clear();
            // What was done and is not said to be on disk is told once more.
            let on_disk =
                |hook: &Text, seq| places.iter().any(|(id, cursor)| id == hook && cursor.is_done(seq));
            log.done.retain(|(hook, seq)| on_disk(hook, *seq));
        }
        self.follow(places);
        Ok(())
    }

    /// What is said to be done is, and what is done is said to be.
    pub(crate) fn check_cursors(&self, cursors: &BTreeMap<Text, Cursor>) -> Checked {
        let own = |hook: &Text| self.config.iter().any(|configured| configured.spec.id == *hook);
        self.check_done(cursors.iter().filter(|(hook, _)| own(hook)), Strictness::IsExact)
    }

    fn check_done<'a>(
        &self,
        cursors: impl Iterator<Item = (&'a Text, &'a Cursor)>,
        strictness: Strictness,
    ) -> Checked {
        let Some(log) = &self.log else { return Ok(()) };
        for (hook, cursor) in cursors {
            for (id, _) in self.told.iter().filter(|(_, told)| told.logged) {
                let own = self.hooks.get(&id.0).is_some_and(|limits| limits.spec.id == *hook);
                rule!(!own || !cursor.is_done(id.1), "law 7: {hook} is said to be done with {}", id.1);
            }
            for (hid, shelf) in &log.shelf {
                let own = self.hooks.get(hid).is_some_and(|limits| limits.spec.id == *hook);
                let lost = shelf.keys().find(|seq| own && cursor.is_done(**seq));
                rule!(lost.is_none(), "law 7: {hook} is disabled and said to be done with {lost:?}");
            }
            if strictness == Strictness::IsExact {
                let own = log.done.iter().filter(|(other, _)| other == hook);
                let lost = own.map(|(_, seq)| *seq).find(|seq| !cursor.is_done(*seq));
                rule!(lost.is_none(), "law 7: {hook} is done with {lost:?}, and its cursor does not say so");
            }
        }
        Ok(())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Strictness {
    IsExact,
    MayLag,
}
