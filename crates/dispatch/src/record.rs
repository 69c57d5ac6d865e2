//! What the log says of hooks: each call at `debug`, failures at `warn`, not more than one line for each
//! hook in ten seconds.

use crate::Reply;
use crate::trace::Raw;
use jackfield_events::Kind;
use jackfield_hooks::{BreakerState, CallId, DropCause, Dropped, Next, Outcome, Owner, Settled};
use jackfield_media::{Mono, Text};
use std::collections::BTreeMap;
use std::time::Duration;

/// One line for each hook in this time; a dead webhook on a busy server would fill a disk.
const QUIET: Duration = Duration::from_secs(10);

/// What a transport told of a call beside its result.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timing {
    pub(crate) call: CallId,
    pub(crate) connect: Duration,
    pub(crate) handler: Duration,
    pub(crate) pid: Option<u32>,
}

impl Timing {
    pub(crate) fn of(call: CallId, reply: &Reply) -> Self {
        Self { call, connect: reply.connect, handler: reply.handler, pid: reply.pid }
    }
}

/// Something to be logged and kept, once the core's lock is released.
#[derive(Debug)]
pub(crate) enum Record {
    Settled(Box<Settled>, Option<Timing>, Heard),
    Concluded(Raw),
    Dropped(Dropped, Heard),
    Breaker(Text, BreakerState),
    Disabled(Text),
}

/// Whether a failure is written at `warn`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard {
    Quiet,
    /// So many before it were not written.
    Loud {
        unheard: u64,
    },
}

/// Who was written of lately.
#[derive(Debug, Default)]
pub(crate) struct Loudness(BTreeMap<Text, (Mono, u64)>);

impl Loudness {
    /// A failure of this hook: is it written?
    pub(crate) fn hear(&mut self, now: Mono, hook: &Text) -> Heard {
        match self.0.get_mut(hook) {
            Some((until, unheard)) if now < *until => {
                *unheard += 1;
                Heard::Quiet
            }
            Some((until, unheard)) => {
                *until = now.after(QUIET);
                Heard::Loud { unheard: std::mem::take(unheard) }
            }
            None => {
                self.0.insert(hook.clone(), (now.after(QUIET), 0));
                Heard::Loud { unheard: 0 }
            }
        }
    }

    /// Forgets hooks that are gone.
    pub(crate) fn keep(&mut self, names: &[Text]) {
        self.0.retain(|hook, _| names.contains(hook));
    }
}

/// Whether the operator should know of it.
pub(crate) fn is_failure(outcome: Outcome) -> bool {
    !matches!(outcome, Outcome::Answered | Outcome::Cancelled)
}

impl Record {
    pub(crate) fn write(&self) {
        match self {
            Self::Settled(settled, timing, heard) => write_settled(settled, *timing, *heard),
            Self::Concluded(_) => {}
            Self::Dropped(dropped, heard) => write_dropped(dropped, *heard),
            Self::Breaker(hook, BreakerState::Open { .. }) => {
                tracing::warn!(hook = %hook, "Hook fails too often and is left alone for a while");
            }
            Self::Breaker(hook, BreakerState::HalfOpen) => tracing::debug!(hook = %hook, "Hook is probed"),
            Self::Breaker(hook, BreakerState::Closed) => tracing::info!(hook = %hook, "Hook works again"),
            Self::Disabled(hook) => {
                tracing::warn!(hook = %hook, "Hook wants no more events and is disabled until the next reload");
            }
        }
    }
}

impl Record {
    /// What of it is kept. The calls of a question are kept with it, when it is over.
    pub(crate) fn into_raw(self) -> Option<Raw> {
        match self {
            Self::Settled(settled, timing, _) if settled.owner == Owner::Notice => {
                Some(Raw::Notice(settled, timing))
            }
            Self::Concluded(raw) => Some(raw),
            _ => None,
        }
    }
}

fn write_settled(settled: &Settled, timing: Option<Timing>, heard: Heard) {
    let (scope, spec) = (settled.event.scope(), settled.event.spec());
    // The name that a publisher asks to have renamed is often its key: a secret.
    let stream = scope.stream_key.as_ref().filter(|_| spec.kind != Kind::Resolve);
    let (next, again_ms) = what_follows(settled);
    tracing::debug!(
        hook = %settled.hook,
        event = spec.name,
        id = %settled.event.stamp().id,
        stream = stream.map(tracing::field::display),
        conn = scope.conn_id.map(tracing::field::display),
        delivery = %settled.delivery,
        attempt = settled.attempt,
        outcome = %settled.outcome,
        decision = settled.decision.as_ref().map(tracing::field::debug),
        policy = settled.policy.as_ref().map(tracing::field::debug),
        overrides = settled.overrides.as_ref().map(tracing::field::display),
        pid = timing.and_then(|timing| timing.pid),
        queued_us = micros(settled.sent.unwrap_or(settled.ended) - settled.queued),
        connect_us = timing.map(|timing| micros(timing.connect)),
        handler_us = timing.map(|timing| micros(timing.handler)),
        elapsed_us = micros(settled.ended - settled.queued),
        next,
        again_ms,
        error = settled.detail,
        "Hook called"
    );
    if let Heard::Loud { unheard } = heard {
        tracing::warn!(
            hook = %settled.hook,
            event = settled.event.event_type().name(),
            outcome = %settled.outcome,
            policy = settled.policy.as_ref().map(tracing::field::debug),
            error = settled.detail,
            unheard,
            "Hook failed"
        );
    }
}

/// What becomes of the delivery, and in how many milliseconds it is tried again.
fn what_follows(settled: &Settled) -> (&'static str, Option<u64>) {
    match settled.next {
        Next::Over => ("over", None),
        Next::Again(at) => ("again", u64::try_from((at - settled.ended).as_millis()).ok()),
        Next::Lost => ("lost", None),
        Next::Kept => ("kept", None),
    }
}

fn write_dropped(dropped: &Dropped, heard: Heard) {
    let cause = match dropped.cause {
        DropCause::QueueFull => "its queue is full",
        DropCause::HookRemoved => "it was removed",
        DropCause::HookDisabled => "it is disabled",
        DropCause::Stopping => "the server stops",
    };
    let event = dropped.event.event_type().name();
    tracing::debug!(hook = %dropped.hook, event, delivery = %dropped.delivery, cause, "Notice dropped");
    if let Heard::Loud { unheard } = heard {
        tracing::warn!(hook = %dropped.hook, event, cause, unheard, "Hook loses events");
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
