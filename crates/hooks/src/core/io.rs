//! What goes out of the core.

use crate::{BreakerState, DeliveryId, Mode, Outcome};
use jackfield_events::{Decision, Event, OnError, Verdict};
use jackfield_media::{Mono, Text};
use std::sync::Arc;

/// A question that somebody waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QuestionId(pub u64);

/// One call: one attempt of one delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallId(pub u64);

/// Whom a call is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Owner {
    /// A question's chain, which waits for it.
    Question(QuestionId),
    /// Nobody waits.
    Notice,
}

/// A call to be made. `H` is whatever the driver gave with the hook, such as its transport.
#[derive(Debug, Clone)]
pub struct Request<H> {
    /// The call, for [`crate::Core::answer`].
    pub call: CallId,
    /// The delivery that it is an attempt of.
    pub delivery: DeliveryId,
    /// The hook's name.
    pub hook: Text,
    /// The hook's handler.
    pub handler: H,
    /// [`Mode::Decide`] if its answer is looked at.
    pub mode: Mode,
    /// The event, as the former hook of the chain left it.
    pub event: Arc<Event>,
    /// Number of the try, from 1.
    pub attempt: u32,
    /// Notices that this hook lost before this one because its queue was full, and was not told yet.
    pub num_dropped: u64,
    /// The call must be over by then.
    pub deadline: Mono,
    /// Whom it is made for.
    pub owner: Owner,
}

/// What becomes of a delivery after one of its calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// It is over; for a notice: delivered.
    Over,
    /// It is tried again then.
    Again(Mono),
    /// A notice that is not tried again.
    Lost,
}

/// How one call ended: exactly one of these for each call, also for those that were never sent.
#[derive(Debug, Clone)]
pub struct Settled {
    /// The call.
    pub call: CallId,
    /// Its delivery.
    pub delivery: DeliveryId,
    /// The hook's name.
    pub hook: Text,
    /// The event as this hook saw it.
    pub event: Arc<Event>,
    /// Whom it was made for.
    pub owner: Owner,
    /// Number of the try, from 1.
    pub attempt: u32,
    /// How it ended.
    pub outcome: Outcome,
    /// What the handler decided, if it was asked and answered.
    pub decision: Option<Decision>,
    /// The policy that acted in the place of an answer.
    pub policy: Option<OnError>,
    /// The hook whose replacement this one's replaced.
    pub overrides: Option<Text>,
    /// What the failure says of itself; empty if there is none.
    pub detail: String,
    /// When it was this hook's turn, or the notice was queued.
    pub queued: Mono,
    /// When the call was sent; `None` if it never was.
    pub sent: Option<Mono>,
    /// When it ended.
    pub ended: Mono,
    /// What follows.
    pub next: Next,
}

/// Why a notice is not delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DropCause {
    /// The hook's queue was full; the hook is told by `num_dropped`.
    QueueFull,
    /// A reload removed the hook.
    HookRemoved,
    /// The hook said that it wants no more (HTTP 410).
    HookDisabled,
    /// The server stops.
    Stopping,
}

/// A notice that is not delivered.
#[derive(Debug, Clone)]
pub struct Dropped {
    /// Its delivery.
    pub delivery: DeliveryId,
    /// The hook's name.
    pub hook: Text,
    /// The event.
    pub event: Arc<Event>,
    /// Why.
    pub cause: DropCause,
}

/// What the driver does next.
#[derive(Debug, Clone)]
pub enum Output<H> {
    /// Make this call, and report its end by [`crate::Core::answer`].
    Call(Request<H>),
    /// Stop this call: its end is not waited for any more.
    Cancel {
        /// The call.
        call: CallId,
        /// Whom it was made for.
        owner: Owner,
    },
    /// Tell the asker.
    Verdict {
        /// The question.
        question: QuestionId,
        /// Its verdict.
        verdict: Verdict,
    },
    /// For the trace: a call ended.
    Settled(Settled),
    /// For the trace: a notice is lost.
    Dropped(Dropped),
    /// For the log: a breaker opened, half-opened or closed.
    Breaker {
        /// The hook's name.
        hook: Text,
        /// Where it stands now.
        state: BreakerState,
    },
    /// For the log: the hook said that it wants no more calls. A reload enables it again.
    Disabled {
        /// The hook's name.
        hook: Text,
    },
}
