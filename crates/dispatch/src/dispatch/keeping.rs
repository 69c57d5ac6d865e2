//! Notices that survive: the log that hooks are fed from, their cursors, and what is given up.

mod letters;
mod saving;
mod trouble;
mod unread;

use super::{Dispatch, Inner, State};
use crate::courier;
use crate::cursor::Cursors;
use crate::dead::{DeadLetters, Store};
use crate::syncs::Syncs;
use jackfield_bus::{Bus, Fsync, Outbox};
use jackfield_events::notices::HookDisabled;
use jackfield_events::{DisabledReason, Scope};
use jackfield_hooks::{Cursor, DeliveryId, DisabledBy, FeedId, HookSpec, Origin, Start};
use jackfield_journal::JournalError;
use jackfield_media::{Mono, Text, UnixTime};
use jackfield_runtime::{Joining, clock};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::Notify;
use trouble::Trouble;
use unread::Unread;

/// The number of a delivery that is told again and that nobody keeps.
const NOBODYS: u64 = 0;

/// What makes notices survive.
#[derive(Debug, Clone)]
pub struct KeepConfig {
    /// The log that hooks are fed from.
    pub outbox: Outbox,
    /// Where cursors and dead letters lie: in `cursors` and `dead` there.
    pub folder: PathBuf,
    /// How long cursors of hooks are kept that are not configured; as long as events.
    pub retain: Duration,
    /// Whether cursors and dead letters are made safe from a power failure: as the log, but each time that they are
    /// written, which is every 100 ms at most. Nobody waits for it.
    pub fsync: Fsync,
}

/// What was done to keep notices since the server started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KeepCounters {
    /// Syncs of cursors, of their folder, and of dead letters.
    pub syncs: u64,
    /// Those that failed, and are tried again.
    pub sync_errors: u64,
}

/// Notices cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// The cursors.
    #[error("cannot read the cursors of hooks: {0}")]
    Cursors(#[from] io::Error),
    /// The dead letters.
    #[error("cannot open the dead letters: {0}")]
    DeadLetters(#[from] JournalError),
}

/// A delivery cannot be told again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// Events are not kept.
    #[error("events are not kept: `[events] outbox` is off")]
    NotKept,
    /// The log has the event no more.
    #[error("the event is not in the log any more")]
    NoEvent,
    /// There is no such hook.
    #[error("there is no such hook")]
    NoHook,
    /// The hook is disabled, or its queue is full.
    #[error("the hook is disabled, or its queue is full")]
    NoRoom,
}

/// A hook is not enabled or disabled, or not for long.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SwitchError {
    /// There is no hook of this name.
    #[error("there is no hook `{0}`")]
    Unknown(Text),
    /// It is switched, but the disk did not take that: it is written as soon as that is possible, and a server that ends
    /// before forgets it.
    #[error("the hook is switched, but that could not be written: a restart may forget it")]
    NotKept,
}

/// Whether a hook is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enabled {
    /// It is.
    Yes,
    /// It is not: it is not asked, and goes on later where it stood in the log.
    No,
}

/// How far a hook is behind the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lag {
    /// The hook's name.
    pub hook: Text,
    /// Positions of the log that it has not done with; events that it does not want are among them until it has passed
    /// them.
    pub events: u64,
    /// When the oldest of them happened, as far as it is known.
    pub oldest: Option<UnixTime>,
}

/// What of it stands behind the lock.
pub(super) struct Keep {
    outbox: Outbox,
    pub(super) store: Arc<Store>,
    syncs: Arc<Syncs>,
    cursors: Cursors,
    retain: Duration,
    /// Cursors that must be written.
    unsaved: BTreeSet<Text>,
    couriers: BTreeMap<FeedId, (Arc<Notify>, Joining<()>)>,
    unread: Unread,
    trouble: Trouble,
}

impl Dispatch {
    /// From now on hooks are fed from the log, each from where it stood, and what is given up is kept. To be called
    /// at the start, before there are hooks and before anything is told. Blocks while it reads.
    ///
    /// # Errors
    /// [`KeepError`]; then nothing is changed.
    pub fn keep_notices(&self, config: KeepConfig) -> Result<(), KeepError> {
        let KeepConfig { outbox, folder, retain, fsync } = config;
        let syncs = Arc::new(Syncs::new(fsync));
        let cursors = Cursors::open(folder.join("cursors"), outbox.last())?;
        let store = Arc::new(Store::open(folder.join("dead"), Arc::clone(&syncs))?);
        // Both folders may be new.
        syncs.names(&folder)?;
        let (unsaved, couriers, unread) = (BTreeSet::new(), BTreeMap::new(), Unread::default());
        let trouble = Trouble::default();
        let keep = Keep { outbox, store, syncs, cursors, retain, unsaved, couriers, unread, trouble };
        self.0.state().keep = Some(keep);
        let saver = saving::save_again_and_again(
            Arc::downgrade(&self.0),
            Arc::clone(&self.0.changed),
            self.0.tasks.stopping(),
        );
        let _context = self.0.notices.enter();
        drop(self.0.tasks.spawn("hooks-cursors", saver));
        Ok(())
    }

    /// What was done to keep notices; zeros if they are not kept.
    #[must_use]
    pub fn keep_counters(&self) -> KeepCounters {
        let counted = self.0.state().keep.as_ref().map(|keep| keep.syncs.counted());
        let (syncs, sync_errors) = counted.unwrap_or_default();
        KeepCounters { syncs, sync_errors }
    }

    /// Where it is told that a hook was disabled.
    pub fn tell_on(&self, bus: &Bus) {
        drop(self.0.bus.set(bus.clone()));
    }

    /// The notices that were given up.
    #[must_use]
    pub fn dead_letters(&self) -> DeadLetters {
        let store = self.0.state().keep.as_ref().map(|keep| Arc::clone(&keep.store));
        DeadLetters { inner: Arc::clone(&self.0), store }
    }

    /// Tells the hook of this name the event of this `seq` once more: the same event under the same id, as a new delivery.
    ///
    /// # Errors
    /// [`ReplayError`].
    pub async fn replay_delivery(&self, hook: &str, seq: u64) -> Result<DeliveryId, ReplayError> {
        let (outbox, hook_id) = {
            let state = self.0.state();
            let outbox = state.keep.as_ref().map(|keep| keep.outbox.clone());
            (outbox.ok_or(ReplayError::NotKept)?, state.core.id_of(hook).ok_or(ReplayError::NoHook)?)
        };
        let event = outbox.event(seq).await.ok_or(ReplayError::NoEvent)?;
        let origin = Origin::Again(NOBODYS);
        let told = self.0.input(None, |state, now| state.core.notify_hook(now, &hook_id, &event, origin));
        told.ok_or(ReplayError::NoRoom)
    }

    /// Enables or disables the hook of this name. It stays so over reloads and restarts: that is on disk when this
    /// returns. Cancel-safe: then it is written all the same, a little later.
    ///
    /// # Errors
    /// [`SwitchError`].
    pub async fn set_enabled(&self, hook: &str, enabled: Enabled) -> Result<(), SwitchError> {
        let hook_id = self.switch(hook, enabled)?;
        let saved = self.0.save().await;
        let is_kept = saved.is_some_and(|saved| !saved.failed.contains(&hook_id));
        if is_kept { Ok(()) } else { Err(SwitchError::NotKept) }
    }

    /// The same, for those that may wait for the disk. Blocks.
    ///
    /// # Errors
    /// [`SwitchError`].
    pub fn set_enabled_now(&self, hook: &str, enabled: Enabled) -> Result<(), SwitchError> {
        let hook_id = self.switch(hook, enabled)?;
        if self.0.save_now().failed.contains(&hook_id) { Err(SwitchError::NotKept) } else { Ok(()) }
    }

    /// Switches it in memory; it is saved soon. Returns its id.
    fn switch(&self, hook: &str, enabled: Enabled) -> Result<Text, SwitchError> {
        let changed = self.0.input(None, |state, now| {
            let hook_id = state.core.id_of(hook)?;
            let disabled = (enabled == Enabled::No).then_some(DisabledBy::Operator);
            let changes = state.core.disabled(&hook_id) != disabled;
            state.core.set_disabled(now, &hook_id, disabled);
            state.must_save(hook_id.clone());
            Some((hook_id, changes))
        });
        self.0.changed.notify_one();
        let (hook_id, changes) = changed.ok_or_else(|| SwitchError::Unknown(hook.into()))?;
        if changes && enabled == Enabled::No {
            self.0.tell_disabled(hook.into(), DisabledBy::Operator);
        }
        Ok(hook_id)
    }

    /// How far each hook is behind the log, in the configured order; empty if events are not kept.
    #[must_use]
    pub fn lag(&self) -> Vec<Lag> {
        let state = self.0.state();
        let Some(last) = state.keep.as_ref().map(|keep| keep.outbox.last()) else { return Vec::new() };
        let hooks = state.core.names().into_iter();
        let lag = hooks.map(|(hook_id, hook)| {
            let behind = state.core.behind(&hook_id, last);
            Lag { hook, events: behind.events, oldest: behind.oldest }
        });
        lag.collect()
    }
}

impl State {
    /// A hook that was not there gets its place in the log: that of its cursor, or where it says that it begins.
    /// Those whose beginning has to be looked up come back.
    pub(super) fn find_places(&mut self, now: Mono, specs: &[HookSpec]) -> Vec<(Text, UnixTime)> {
        let mut later = Vec::new();
        let Some(keep) = &mut self.keep else { return later };
        for spec in specs.iter().filter(|spec| spec.gets_facts()) {
            let fresh = !self.core.follows(&spec.id);
            let saved = keep.cursors.saved(&spec.id).filter(|_| fresh);
            let disabled = saved.and_then(|saved| saved.disabled);
            let cursor = match (saved, spec.start) {
                _ if !fresh => continue,
                (Some(saved), _) => saved.cursor.clone(),
                (None, _) if keep.cursors.is_unreadable(&spec.id) => {
                    Cursor::at(keep.outbox.first().saturating_sub(1))
                }
                (None, Start::Now) => Cursor::at(keep.outbox.last()),
                (None, Start::Beginning) => Cursor::at(keep.outbox.first().saturating_sub(1)),
                (None, Start::At(time)) => {
                    later.push((spec.id.clone(), time));
                    continue;
                }
            };
            self.core.follow(&spec.id, cursor);
            // A handler that wanted no more may want more under another configuration.
            let disabled =
                disabled.filter(|(by, revision)| *by == DisabledBy::Operator || *revision == spec.revision);
            if let Some((by, _)) = disabled {
                self.core.set_disabled(now, &spec.id, Some(by));
            }
        }
        later
    }

    /// Sees to it that each feed has its courier, and nobody else one.
    fn send_couriers(&mut self, inner: &Arc<Inner>) {
        let feeds = self.core.feeds();
        let Some(keep) = &mut self.keep else { return };
        keep.couriers.retain(|feed, (_, courier)| {
            let stays = feeds.contains(feed);
            if !stays {
                courier.abort();
            }
            stays
        });
        for feed in feeds {
            let outbox = keep.outbox.clone();
            let (called, _) = keep.couriers.entry(feed).or_insert_with_key(|feed| {
                let called = Arc::new(Notify::new());
                let courier =
                    courier::serve(Arc::downgrade(inner), feed.clone(), Arc::clone(&called), outbox);
                let _context = inner.notices.enter();
                (called, inner.tasks.spawn("hooks-courier", courier))
            });
            called.notify_one();
        }
    }

    /// A feed may take something again.
    pub(super) fn call_courier(&self, feed: &FeedId) {
        if let Some((called, _)) = self.keep.as_ref().and_then(|keep| keep.couriers.get(feed)) {
            called.notify_one();
        }
    }
}

impl Inner {
    /// Whether notices can be given to the hook of this id.
    pub(crate) fn is_called(&self, hook_id: &Text) -> bool {
        let state = self.state();
        state.core.spec_of(hook_id).is_some() && state.core.disabled(hook_id).is_none()
    }

    /// Something of the log was taken or passed over.
    pub(crate) fn moved(&self) {
        self.changed.notify_one();
        self.ended.notify_waiters();
    }

    /// The hooks have been replaced: places for new ones, and couriers.
    pub(super) fn feed_hooks(self: &Arc<Self>, specs: &[HookSpec]) {
        let later = self.input(None, |state, now| state.find_places(now, specs));
        for (hook_id, time) in later {
            let inner = Arc::downgrade(self);
            drop(self.tasks.spawn("hooks-place", find_place(inner, hook_id, time)));
        }
        // Before anything is told to a new hook its place is on disk: a crash must not make it new again.
        if let Some(keep) = &mut self.state().keep {
            let ids: Vec<Text> = specs.iter().map(|spec| spec.id.clone()).collect();
            keep.cursors.forget(&ids, ago(clock::unix_now(), keep.retain));
            // Written anew, so that it is seen when each was configured last.
            keep.unsaved.extend(ids);
        }
        let _tried_again = self.save_now();
        // What could not be written is tried again.
        self.changed.notify_one();
        self.input(None, |state, _now| state.send_couriers(self));
    }

    /// Tells the world that a hook is disabled.
    pub(super) fn tell_disabled(&self, hook: Text, by: DisabledBy) {
        let reason = match by {
            DisabledBy::Handler => DisabledReason::Gone,
            DisabledBy::Operator => DisabledReason::Operator,
        };
        if let Some(bus) = self.bus.get() {
            bus.emit(&Scope::default(), &HookDisabled { hook, reason });
        }
    }

    /// No more is taken from the log.
    pub(super) fn recall_couriers(&self) {
        if let Some(keep) = &mut self.state().keep {
            for (_, courier) in std::mem::take(&mut keep.couriers).into_values() {
                courier.abort();
            }
        }
    }

    /// Whether all of the log was given to the hooks that could take it by then.
    pub(super) fn is_all_given(&self, state: &State, until: Mono) -> bool {
        state.keep.as_ref().is_none_or(|keep| state.core.is_fed_up_to(keep.outbox.last(), until))
    }
}

fn ago(at: UnixTime, since: Duration) -> UnixTime {
    UnixTime(at.0.saturating_sub(i64::try_from(since.as_micros()).unwrap_or(i64::MAX)))
}

/// Looks up where a hook begins that begins at a time.
async fn find_place(inner: Weak<Inner>, hook_id: Text, time: UnixTime) {
    let outbox = |inner: &Inner| inner.state().keep.as_ref().map(|keep| keep.outbox.clone());
    let Some(outbox) = inner.upgrade().and_then(|inner| outbox(&inner)) else { return };
    let place = outbox.seq_at(time).await;
    let Some(inner) = inner.upgrade() else { return };
    inner.input(None, |state, _now| {
        if !state.core.follows(&hook_id) {
            state.core.follow(&hook_id, Cursor::at(place));
        }
    });
    let _tried_again = inner.save().await;
    inner.input(None, |state, _now| state.send_couriers(&inner));
}
