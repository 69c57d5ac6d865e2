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

/// Where a notice comes from, and so what it means that it is not delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Origin {
    /// It is in memory only: what is not delivered is lost.
    Memory,
    /// The log: it is done with when it is delivered or given up, and else it is still there.
    Log,
    /// It is told once more, on somebody's wish, who knows it by this number and still has it.
    Again(u64),
}

/// Who said that a hook is not called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DisabledBy {
    /// Its handler wants no more events (HTTP 410): it gets none, and to a question it counts as one that fails.
    Handler,
    /// The operator: it gets none, and is not asked.
    Operator,
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
    /// A notice that is not tried again: it is given up.
    Lost,
    /// A notice that is not tried again for now: its hook is disabled or gone, or the server stops, and whoever gave
    /// it still has it.
    Kept,
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
    /// The hook's id.
    pub hook_id: Text,
    /// The event as this hook saw it.
    pub event: Arc<Event>,
    /// Whom it was made for.
    pub owner: Owner,
    /// Where the notice comes from; [`Origin::Memory`] for a question.
    pub origin: Origin,
    /// When the first try of this delivery failed, if one did.
    pub first_failed: Option<Mono>,
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
    /// The hook's queue was full. One that was in memory only is lost, and the hook is told by `num_dropped`; one of the
    /// log is given up.
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
    /// The hook's id.
    pub hook_id: Text,
    /// The event.
    pub event: Arc<Event>,
    /// Where it comes from.
    pub origin: Origin,
    /// Tries that it had.
    pub attempts: u32,
    /// When its first try failed, if one did.
    pub first_failed: Option<Mono>,
    /// Why.
    pub cause: DropCause,
}

/// Why a hook of the configuration was asked a question, or was not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Why {
    /// It decides this question about this stream.
    Asked,
    /// It is not `on` this event.
    OtherEvent,
    /// It is only told of it: its mode is `notify`.
    OnlyTold,
    /// Its `streams` do not select the stream, under the name that it had by then.
    OtherStream,
    /// The operator disabled it.
    Disabled,
    /// The question was over before its turn: a hook before it denied, or nobody waited any more.
    NotReached,
}

impl Why {
    /// All of them.
    pub const ALL: &[Self] =
        &[Self::Asked, Self::OtherEvent, Self::OnlyTold, Self::OtherStream, Self::Disabled, Self::NotReached];

    /// The word in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::OtherEvent => "other_event",
            Self::OnlyTold => "only_told",
            Self::OtherStream => "other_stream",
            Self::Disabled => "disabled",
            Self::NotReached => "not_reached",
        }
    }
}

/// What a question's plan said of one hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Considered {
    /// The hook's name.
    pub hook: Text,
    /// Why it was asked, or was not.
    pub why: Why,
    /// The delivery, if it was asked; its [`Settled`] came before, under the same number.
    pub delivery: Option<DeliveryId>,
}

/// A question that is over.
#[derive(Debug, Clone)]
pub struct Concluded {
    /// The question.
    pub question: QuestionId,
    /// The event as its chain left it.
    pub event: Arc<Event>,
    /// Its verdict; `None` if nobody waited for one any more.
    pub verdict: Option<Verdict>,
    /// Every hook of its plan, in order.
    pub chain: Vec<Considered>,
    /// When it was asked.
    pub asked: Mono,
    /// When it was over.
    pub ended: Mono,
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
    /// For the trace: a question is over, and this is what its plan was.
    Concluded(Concluded),
    /// For the trace: a notice is lost.
    Dropped(Dropped),
    /// For the log: a breaker opened, half-opened or closed.
    Breaker {
        /// The hook's name.
        hook: Text,
        /// Where it stands now.
        state: BreakerState,
    },
    /// The hook's handler said that it wants no more calls.
    Disabled {
        /// The hook's name.
        hook: Text,
        /// The hook's id.
        hook_id: Text,
    },
    /// A feed that had no room has some again, or may have what it passed over: see [`crate::Core::hunger`].
    Hungry(FeedId),
}

impl Origin {
    /// Whether somebody still has it when it is not delivered.
    #[must_use]
    pub const fn is_kept(self) -> bool {
        !matches!(self, Self::Memory)
    }
}

/// Hooks that are fed from the log together: one by itself, or all of one lane group, whose order is one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FeedId {
    /// A hook, by its id.
    Hook(Text),
    /// The hooks of a lane group.
    Group(Text),
}

/// What a feed takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hunger {
    /// Nobody: its hooks are gone, or disabled. A reload or [`crate::Core::set_disabled`] changes that.
    Nobody,
    /// It has no room; [`Output::Hungry`] tells when it has.
    Full,
    /// What the log has after this position.
    After(u64),
    /// What stands at these positions, which this hook (its id) passed over while their lane stood still.
    At(Text, Vec<u64>),
}
