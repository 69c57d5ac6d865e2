//! What the core keeps of one hook, over all its calls and over reloads.

use super::feed::Feed;
use super::notices::Place;
use super::{CallId, DisabledBy, Origin, QuestionId};
use crate::breaker::Breaker;
use crate::rate::Rate;
use crate::{BreakerState, DeliveryId, HookSpec, Mutation, Tally};
use jackfield_events::{EventSet, EventType};
use jackfield_media::{ConnId, Mono, StreamKey, Text, UnixTime};
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
    /// Whether it is not called, and who said so.
    pub(super) disabled: Option<DisabledBy>,
    pub(super) breaker: Breaker,
    pub(super) rate: Option<Rate>,
    /// Notices that wait for anything: their turn in the lane, room, their next try. Bounded by `queue`.
    pub(super) queued: BTreeSet<DeliveryId>,
    /// Those of `queued` that are in memory only: the ones that a full queue drops.
    pub(super) passing: BTreeSet<DeliveryId>,
    /// Notices of the log that wait for a try beside their lane. Bounded by `queue`, apart.
    pub(super) aside: BTreeSet<DeliveryId>,
    /// Notices that pause because the receiver was not there, and that its next success brings forward.
    pub(super) away: BTreeSet<DeliveryId>,
    /// Those that a success brought forward in vain: no other one does, until the receiver has been left alone.
    pub(super) missed: BTreeSet<DeliveryId>,
    /// When one of `away` and `missed` is tried to see whether the receiver is back, if nothing else is.
    pub(super) probe: Option<Mono>,
    /// The one that was tried so last: the next time it is another's turn.
    pub(super) probed: DeliveryId,
    /// The newest event that was given up because the receiver was not there, if it took nothing since: when that was, and
    /// when the event had happened.
    pub(super) given_up: Option<(Mono, UnixTime)>,
    /// Those that wait and could start now, in the order in which they came to.
    pub(super) ready: VecDeque<DeliveryId>,
    pub(super) notices_out: usize,
    /// Those of them that count in the limit over all hooks.
    pub(super) shared_out: usize,
    /// Questions that wait for room, in order. Bounded by `queue`.
    pub(super) asking: VecDeque<QuestionId>,
    pub(super) questions_out: usize,
    /// Notices at once after failures that say that there are too many; `None` = as many as it wants.
    pub(super) window: Option<usize>,
    /// The receiver asked for fewer calls: no notice starts before.
    pub(super) rests_until: Option<Mono>,
    /// Where it stands in the log, if it is fed from it.
    pub(super) feed: Option<Feed>,
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
            disabled: None,
            breaker: Breaker::new(mutation),
            queued: BTreeSet::new(),
            passing: BTreeSet::new(),
            aside: BTreeSet::new(),
            away: BTreeSet::new(),
            missed: BTreeSet::new(),
            probe: None,
            probed: DeliveryId(0),
            given_up: None,
            ready: VecDeque::new(),
            notices_out: 0,
            shared_out: 0,
            asking: VecDeque::new(),
            questions_out: 0,
            window: None,
            rests_until: None,
            feed: None,
            untold: 0,
            wake: None,
            tally: Tally::default(),
        }
    }

    pub(super) fn spec(&self) -> &HookSpec {
        &self.configured.spec
    }

    /// Calls of notices at once, now.
    pub(super) fn notices_at_once(&self) -> usize {
        let most = self.spec().concurrency.max(1);
        self.window.map_or(most, |window| window.min(most))
    }

    /// A notice waits.
    pub(super) fn wait(&mut self, delivery: DeliveryId, origin: Origin, place: Place) {
        match (origin, place) {
            (Origin::Memory, _) => drop((self.queued.insert(delivery), self.passing.insert(delivery))),
            (_, Place::Aside) => drop(self.aside.insert(delivery)),
            _ => drop(self.queued.insert(delivery)),
        }
    }

    /// A notice waits no more.
    pub(super) fn leave_queue(&mut self, delivery: DeliveryId) {
        if !self.queued.remove(&delivery) {
            self.aside.remove(&delivery);
        }
        if !self.passing.is_empty() {
            self.passing.remove(&delivery);
        }
    }

    /// When the receiver is looked for, if it is away.
    pub(super) fn next_probe(&self) -> Option<Mono> {
        self.probe.filter(|_| !self.away.is_empty() || !self.missed.is_empty())
    }

    /// A notice waits for the receiver to be there no more.
    pub(super) fn forget_away(&mut self, delivery: DeliveryId) {
        self.away.remove(&delivery);
        self.missed.remove(&delivery);
    }

    /// Whether a call of a notice may start by then.
    pub(super) fn may_call_by(&self, until: Mono) -> bool {
        let opens = match self.breaker.state() {
            BreakerState::Open { until: opens } => opens <= until,
            BreakerState::Closed | BreakerState::HalfOpen => true,
        };
        opens && self.disabled.is_none() && self.rests_until.is_none_or(|rested| rested <= until)
    }

    /// Notices for which the queue has room.
    pub(super) fn room(&self) -> usize {
        self.spec().queue.max(1).saturating_sub(self.queued.len())
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
