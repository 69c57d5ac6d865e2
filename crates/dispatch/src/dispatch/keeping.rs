//! Notices that survive: the log that hooks are fed from, their cursors, and what is given up.

use super::{Dispatch, Inner, State};
use crate::courier;
use crate::cursor::{CursorFile, Cursors, Saved};
use crate::dead::{DeadLetters, Death, Store};
use jackfield_bus::{Bus, Outbox};
use jackfield_events::notices::HookDisabled;
use jackfield_events::{DisabledReason, Event, Scope};
use jackfield_hooks::{
    Cursor, DeliveryId, DisabledBy, DropCause, Dropped, FeedId, HookSpec, Next, Origin, Outcome,
};
use jackfield_hooks::{Owner, Settled, Start};
use jackfield_journal::JournalError;
use jackfield_media::{Mono, Text, UnixTime};
use jackfield_runtime::{Joining, clock};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::Notify;

/// How long cursors may be older on disk than what was done.
const SAVE_EVERY: Duration = Duration::from_millis(100);
/// With more bytes of cursors they are written less often: so many in that time.
const BYTES_AT_ONCE: u64 = 64 * 1024;
/// How long a disk that takes no cursor is left alone.
const AFTER_AN_ERROR: Duration = Duration::from_secs(1);
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

/// There is no hook of this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no hook `{0}`")]
pub struct UnknownHook(pub Text);

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
    cursors: Cursors,
    retain: Duration,
    /// Cursors that must be written.
    unsaved: BTreeSet<Text>,
    couriers: BTreeMap<FeedId, (Arc<Notify>, Joining<()>)>,
}

impl Dispatch {
    /// From now on hooks are fed from the log, each from where it stood, and what is given up is kept. To be called
    /// at the start, before there are hooks and before anything is told. Blocks while it reads.
    ///
    /// # Errors
    /// [`KeepError`]; then nothing is changed.
    pub fn keep_notices(&self, config: KeepConfig) -> Result<(), KeepError> {
        let KeepConfig { outbox, folder, retain } = config;
        let cursors = Cursors::open(folder.join("cursors"), outbox.last())?;
        let store = Arc::new(Store::open(folder.join("dead"))?);
        let (unsaved, couriers) = (BTreeSet::new(), BTreeMap::new());
        self.0.state().keep = Some(Keep { outbox, store, cursors, retain, unsaved, couriers });
        let saver = save_again_and_again(
            Arc::downgrade(&self.0),
            Arc::clone(&self.0.changed),
            self.0.tasks.stopping(),
        );
        drop(self.0.tasks.spawn("hooks-cursors", saver));
        Ok(())
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

    /// Enables or disables the hook of this name. It stays so over reloads and restarts.
    ///
    /// # Errors
    /// [`UnknownHook`].
    pub fn set_enabled(&self, hook: &str, enabled: Enabled) -> Result<(), UnknownHook> {
        let changed = self.0.input(None, |state, now| {
            let hook_id = state.core.id_of(hook)?;
            let disabled = (enabled == Enabled::No).then_some(DisabledBy::Operator);
            let changes = state.core.disabled(&hook_id) != disabled;
            state.core.set_disabled(now, &hook_id, disabled);
            state.must_save(hook_id);
            Some(changes)
        });
        self.0.changed.notify_one();
        match (changed, enabled) {
            (None, _) => Err(UnknownHook(hook.into())),
            (Some(true), Enabled::No) => {
                self.0.tell_disabled(hook.into(), DisabledBy::Operator);
                Ok(())
            }
            (Some(_), _) => Ok(()),
        }
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
                let _context = inner.runtime.enter();
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

    /// A call of a notice has ended: a letter, if it was the last one.
    pub(super) fn bury(&self, now: Mono, settled: &Settled) {
        let (origin, next) = (settled.origin, settled.next);
        if settled.owner != Owner::Notice || (origin == Origin::Log && next != Next::Lost) {
            return;
        }
        let Some(keep) = &self.keep else { return };
        let at = clock::unix_now();
        let death = Death {
            hook: &settled.hook,
            hook_id: &settled.hook_id,
            event: &settled.event,
            attempts: settled.attempt,
            outcome: settled.outcome,
            detail: &settled.detail,
            first_at: ago(at, settled.first_failed.map_or(Duration::ZERO, |failed| now - failed)),
            at,
            limit: self.letters_of(&settled.hook_id),
        };
        match (origin, next) {
            (Origin::Log | Origin::Again(NOBODYS), Next::Lost) => keep.store.add(&death),
            (Origin::Again(id), Next::Over) => keep.store.delivered(id, at),
            (Origin::Again(id), Next::Lost) => keep.store.died_again(id, &death),
            (Origin::Again(id), Next::Kept) => keep.store.released(id),
            _ => {}
        }
    }

    /// A notice is not delivered: a letter, if it is not in the log either.
    pub(super) fn bury_dropped(&self, now: Mono, dropped: &Dropped) {
        let Some(keep) = self.keep.as_ref().filter(|_| dropped.origin.is_kept()) else { return };
        let given_up = dropped.cause == DropCause::QueueFull;
        let at = clock::unix_now();
        let death = Death {
            hook: &dropped.hook,
            hook_id: &dropped.hook_id,
            event: &dropped.event,
            attempts: dropped.attempts,
            outcome: Outcome::Overload,
            detail: "more of this hook's notices waited for a further try than its queue holds",
            first_at: ago(at, dropped.first_failed.map_or(Duration::ZERO, |failed| now - failed)),
            at,
            limit: self.letters_of(&dropped.hook_id),
        };
        match dropped.origin {
            Origin::Log if given_up => keep.store.add(&death),
            Origin::Again(id) if id != NOBODYS && given_up => keep.store.died_again(id, &death),
            Origin::Again(id) if id != NOBODYS => keep.store.released(id),
            _ => {}
        }
    }

    /// How many dead letters of this hook are kept.
    fn letters_of(&self, hook_id: &Text) -> usize {
        self.core.spec_of(hook_id).map_or(0, |spec| spec.dead_letters)
    }

    /// Where every hook stands whose cursor moved. To be called before a hook goes.
    pub(super) fn remember(&mut self) {
        let at = clock::unix_now();
        let changed = self.core.changed_cursors();
        let Some(keep) = &mut self.keep else { return };
        for (id, cursor) in changed {
            let disabled = keep.cursors.saved(&id).and_then(|saved| saved.disabled);
            let name = self.core.spec_of(&id).map_or_else(|| id.clone(), |spec| spec.name.clone());
            keep.unsaved.insert(id.clone());
            keep.cursors.set(id, Saved { name, cursor, disabled, at });
        }
    }

    /// What has to be written: every cursor that moved.
    fn take_unsaved(&mut self) -> Option<(Arc<Store>, Vec<CursorFile>)> {
        self.remember();
        let at = clock::unix_now();
        let core = &self.core;
        let keep = self.keep.as_mut()?;
        for id in &keep.unsaved {
            let Some(saved) = keep.cursors.saved(id).cloned() else { continue };
            let Some(revision) = core.spec_of(id).map(|spec| spec.revision) else { continue };
            let disabled = core.disabled(id).map(|by| (by, revision));
            keep.cursors.set(id.clone(), Saved { disabled, at, ..saved });
        }
        let files: Vec<CursorFile> =
            std::mem::take(&mut keep.unsaved).iter().filter_map(|id| keep.cursors.file(id)).collect();
        Some((Arc::clone(&keep.store), files))
    }

    /// Something of this hook that is kept has changed.
    pub(super) fn must_save(&mut self, hook_id: Text) {
        if let Some(keep) = &mut self.keep {
            keep.unsaved.insert(hook_id);
        }
    }

    /// They could not be written.
    fn take_back(&mut self, ids: impl IntoIterator<Item = Text>) {
        if let Some(keep) = &mut self.keep {
            keep.unsaved.extend(ids);
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
        let later = self.input(None, |state, now| {
            let later = state.find_places(now, specs);
            state.send_couriers(self);
            later
        });
        for (hook_id, time) in later {
            let inner = Arc::downgrade(self);
            drop(self.tasks.spawn("hooks-place", find_place(inner, hook_id, time)));
        }
        // Before anything is told to a new hook its place is on disk: a crash must not make it new again.
        let unsaved = {
            let mut state = self.state();
            if let Some(keep) = &mut state.keep {
                let ids: Vec<Text> = specs.iter().map(|spec| spec.id.clone()).collect();
                keep.cursors.forget(&ids, ago(clock::unix_now(), keep.retain));
                // Written anew, so that it is seen when each was configured last.
                keep.unsaved.extend(ids);
            }
            state.take_unsaved()
        };
        if let Some((store, files)) = unsaved
            && let Err(error) = write(&store, &files)
        {
            tracing::error!(%error, "The hooks' places in the log cannot be written");
        }
    }

    /// Tells these dead letters once more, one after the other as there is room.
    pub(crate) fn replay(
        self: &Arc<Self>,
        store: Arc<Store>,
        hook_id: Text,
        letters: Vec<crate::DeadLetterId>,
    ) {
        let (inner, stopping) = (Arc::downgrade(self), self.tasks.stopping());
        let _context = self.runtime.enter();
        drop(self.tasks.spawn("hooks-replay", async move {
            for (index, id) in letters.iter().enumerate() {
                let told = tell_again(&inner, &store, &hook_id, *id);
                let told = tokio::select! {
                    told = told => told,
                    () = stopping.cancelled() => false,
                };
                if !told {
                    letters.iter().skip(index).for_each(|id| store.released(id.0));
                    return;
                }
            }
        }));
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

    /// Writes every cursor that moved, and the letters before them.
    /// Returns how many bytes these were.
    pub(super) async fn save(&self) -> u64 {
        let Some((store, files)) = self.state().take_unsaved() else { return 0 };
        if files.is_empty() && store.is_written() {
            return 0;
        }
        let bytes = files.iter().map(CursorFile::bytes).sum();
        let write = move || write(&store, &files).map_err(|error| (error, files));
        match self.tasks.blocking("hooks-cursors", write).join().await {
            Some(Ok(())) | None => {}
            Some(Err((error, files))) => {
                tracing::error!(%error, "The hooks' places in the log cannot be written");
                self.state().take_back(files.into_iter().map(CursorFile::into_id));
            }
        }
        bytes
    }

    /// Whether all of the log was given to the hooks that could take it by then.
    pub(super) fn is_all_given(&self, state: &State, until: Mono) -> bool {
        state.keep.as_ref().is_none_or(|keep| state.core.is_fed_up_to(keep.outbox.last(), until))
    }
}

fn ago(at: UnixTime, since: Duration) -> UnixTime {
    UnixTime(at.0.saturating_sub(i64::try_from(since.as_micros()).unwrap_or(i64::MAX)))
}

fn write(store: &Store, files: &[CursorFile]) -> io::Result<()> {
    store.flush(clock::unix_now())?;
    files.iter().try_for_each(CursorFile::write)
}

/// Saves what has changed, not more often than [`SAVE_EVERY`].
async fn save_again_and_again(
    inner: Weak<Inner>,
    changed: Arc<Notify>,
    stopping: jackfield_runtime::CancellationToken,
) {
    loop {
        tokio::select! {
            () = changed.notified() => {}
            () = stopping.cancelled() => return,
        }
        let Some(strong) = inner.upgrade() else { return };
        let bytes = strong.save().await;
        let failed = strong.state().keep.as_ref().is_some_and(|keep| !keep.unsaved.is_empty());
        drop(strong);
        if failed {
            clock::sleep(AFTER_AN_ERROR).await;
            changed.notify_one();
        } else {
            let times = u32::try_from(1 + bytes / BYTES_AT_ONCE).unwrap_or(u32::MAX);
            clock::sleep(SAVE_EVERY.saturating_mul(times)).await;
        }
    }
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
        state.send_couriers(&inner);
    });
    let _bytes = inner.save().await;
}

/// Tells a hook a dead letter, when there is room. Whether there was; not if the hook is gone or disabled.
async fn tell_again(
    inner: &Weak<Inner>,
    store: &Arc<Store>,
    hook_id: &Text,
    id: crate::DeadLetterId,
) -> bool {
    let event: Option<Arc<Event>> = {
        let (Some(strong), store) = (inner.upgrade(), Arc::clone(store)) else { return false };
        strong.tasks.blocking("dead letter", move || store.event(id)).join().await.flatten()
    };
    let Some(event) = event else {
        // It went meanwhile, or cannot be read: there is nothing to tell.
        store.released(id.0);
        return true;
    };
    loop {
        let Some(strong) = inner.upgrade() else { return false };
        let ended = strong.ended.notified();
        tokio::pin!(ended);
        ended.as_mut().enable();
        let origin = Origin::Again(id.0);
        let told = strong.input(None, |state, now| state.core.notify_hook(now, hook_id, &event, origin));
        if told.is_some() {
            return true;
        }
        if !strong.is_called(hook_id) {
            return false;
        }
        ended.await;
    }
}
