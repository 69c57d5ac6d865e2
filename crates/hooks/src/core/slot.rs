//! What the core keeps of one hook, over all its calls and over reloads.

use super::{CallId, QuestionId};
use crate::breaker::Breaker;
use crate::rate::Rate;
use crate::{DeliveryId, HookSpec, Mutation, Tally};
use jackfield_events::{EventSet, EventType};
use jackfield_media::{ConnId, Mono, StreamKey, Text};
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

/// A hook's place in the core: never used twice, so that what is left of a removed hook finds no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct HookId(pub(super) u64);

/// A hook as one configuration has it.
#[derive(Debug)]
pub(super) struct Configured<H> {
    pub(super) spec: HookSpec,
    pub(super) handler: H,
}

/// The hooks of one configuration, in its order. A question keeps the plan that it started with.
#[derive(Debug)]
pub(super) struct Plan<H> {
    pub(super) generation: u64,
    pub(super) steps: Vec<(HookId, Arc<Configured<H>>)>,
    pub(super) wants: EventSet,
}

impl<H> Plan<H> {
    pub(super) fn wants(&self, event: EventType) -> bool {
        self.wants.contains(event)
    }
}

/// Whether a hook is in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
    Configured,
    /// It is kept for the questions that started under a plan up to this generation.
    Removed {
        last_plan: u64,
    },
}

#[derive(Debug)]
pub(super) struct Slot<H> {
    pub(super) configured: Arc<Configured<H>>,
    pub(super) life: Life,
    /// It said that it wants no more calls.
    pub(super) disabled: bool,
    pub(super) breaker: Breaker,
    pub(super) rate: Option<Rate>,
    /// Notices that wait for anything: their turn in the lane, room, their next try. Bounded by `queue`.
    pub(super) queued: BTreeSet<DeliveryId>,
    /// Those of `queued` that could start now, in the order in which they came to.
    pub(super) ready: VecDeque<DeliveryId>,
    pub(super) notices_out: usize,
    /// Those of them that count in the limit over all hooks.
    pub(super) shared_out: usize,
    /// Questions that wait for room, in order. Bounded by `queue`.
    pub(super) asking: VecDeque<QuestionId>,
    pub(super) questions_out: usize,
    /// Lost notices that the handler was not told of yet.
    pub(super) untold: u64,
    /// When the hook is looked at again, if a rate or a breaker holds it.
    pub(super) wake: Option<Mono>,
    pub(super) tally: Tally,
}

impl<H> Slot<H> {
    pub(super) fn new(configured: Arc<Configured<H>>, mutation: Option<Mutation>) -> Self {
        Self {
            rate: configured.spec.rate.map(Rate::new),
            configured,
            life: Life::Configured,
            disabled: false,
            breaker: Breaker::new(mutation),
            queued: BTreeSet::new(),
            ready: VecDeque::new(),
            notices_out: 0,
            shared_out: 0,
            asking: VecDeque::new(),
            questions_out: 0,
            untold: 0,
            wake: None,
            tally: Tally::default(),
        }
    }

    pub(super) fn spec(&self) -> &HookSpec {
        &self.configured.spec
    }
}

/// A point in time at which something is due. The order within one instant is that of these lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Due {
    /// A call's deadline.
    Call(CallId),
    /// The deadline of a question that waits for room.
    Asking(QuestionId),
    /// The next try of a notice.
    Retry(DeliveryId),
    /// A hook that a rate or a breaker held.
    Hook(HookId),
}

/// What keeps notices in order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct LaneKey {
    pub(super) whose: Whose,
    pub(super) about: About,
}

/// Whose lane it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Whose {
    Hook(HookId),
    Group(Text),
}

/// What the lane's events are about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum About {
    Connection(ConnId),
    Stream(StreamKey),
    Node,
}
