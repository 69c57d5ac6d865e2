//! What is given up, and what is told again.

use super::super::{Inner, State};
use super::{NOBODYS, ago};
use crate::DeadLetterId;
use crate::dead::{Death, Store};
use jackfield_events::Event;
use jackfield_hooks::{DropCause, Dropped, Next, Origin, Outcome, Owner, Settled};
use jackfield_media::{Mono, Text};
use jackfield_runtime::clock;
use std::sync::{Arc, Weak};
use std::time::Duration;

impl State {
    /// A call of a notice has ended: a letter, if it was the last one.
    pub(in crate::dispatch) fn bury(&self, now: Mono, settled: &Settled) {
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
    pub(in crate::dispatch) fn bury_dropped(&self, now: Mono, dropped: &Dropped) {
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
}

impl Inner {
    /// Tells these dead letters once more, one after the other as there is room.
    pub(crate) fn replay(self: &Arc<Self>, store: Arc<Store>, hook_id: Text, letters: Vec<DeadLetterId>) {
        let (inner, stopping) = (Arc::downgrade(self), self.tasks.stopping());
        let _context = self.notices.enter();
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
}

/// Tells a hook a dead letter, when there is room. Whether there was; not if the hook is gone or disabled.
async fn tell_again(inner: &Weak<Inner>, store: &Arc<Store>, hook_id: &Text, id: DeadLetterId) -> bool {
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
