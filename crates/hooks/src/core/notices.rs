//! The life of a notice: queued, in its lane, called, tried again, over.
//!
//! A *lane* holds what is told to one hook (or one group of hooks) about one key. The first of a lane
//! starts only when the one before it is settled: answered, lost, dropped, or stepped *aside* because its
//! next try lies further ahead than a lane may be held. While the receiver is not there, none steps aside:
//! the ones behind it would fare no better, and the order would be lost for nothing.

mod lanes;
mod retries;

use super::calls::{CallHead, Deadline, Ending, Sending};
use super::slot::{Due, HookId, LaneKey};
use super::{CallId, Core, DisabledBy, DropCause, Dropped, Next, Origin, Output, Owner};
use crate::{DeliveryId, Failure, HookSpec, Mode, Mutation, Outcome, Retry};
use jackfield_events::{Answer, Event};
use jackfield_media::{Mono, UnixTime};
use std::collections::VecDeque;
use std::sync::Arc;

#[derive(Debug)]
pub(super) struct Notice {
    pub(super) hook: HookId,
    event: Arc<Event>,
    lane: LaneKey,
    stage: Stage,
    place: Place,
    origin: Origin,
    /// Tries so far.
    attempt: u32,
    /// Pauses of the schedule so far.
    pauses: u32,
    /// A success of the hook brought its present try forward: that one takes none of the schedule.
    brought_forward: bool,
    /// Its present try is to see whether the receiver is back, and this is when it is tried by the schedule.
    planned: Option<Mono>,
    /// What this delivery tells of lost ones, once it was sent.
    num_dropped: Option<u64>,
    first_failed: Option<Mono>,
    queued: Mono,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Behind others in its lane.
    Behind,
    /// Could start: in the hook's `ready`.
    Ready,
    Running(CallId),
    Pausing(Mono),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// In the lane's queue.
    Waiting,
    /// Taken from the queue; the lane waits for it.
    Holding,
    /// The lane goes on without it.
    Aside,
}

impl Notice {
    /// When it happened, if it is one of the log.
    pub(super) fn happened(&self) -> Option<UnixTime> {
        (self.origin == Origin::Log).then(|| self.event.stamp().time)
    }
}

/// What is told to one hook or group about one key.
#[derive(Debug, Default)]
pub(super) struct Lane {
    waiting: VecDeque<DeliveryId>,
    /// How many were taken from the queue and must settle first: one, or more after a reload has put two
    /// lanes into one.
    holding: usize,
    /// How many of these pause until their next try.
    pausing: usize,
}

impl Lane {
    /// Whether those that wait wait for the next try of one before them.
    pub(super) fn stands_still(&self) -> bool {
        self.pausing > 0
    }

    pub(super) fn waiting_count(&self) -> usize {
        self.waiting.len()
    }

    /// Takes one out of the queue; it is mostly the first.
    fn take(&mut self, delivery: DeliveryId) {
        if let Some(at) = self.waiting.iter().position(|waiting| *waiting == delivery) {
            self.waiting.remove(at);
        }
    }
}

/// To whom an event goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Audience {
    /// All that want it: it is a fact.
    All,
    /// Those that do not decide it: it is a question.
    Tellers,
}

impl<H: Clone> Core<H> {
    /// Queues an event for every hook of this audience that wants it.
    pub(super) fn tell(&mut self, event: &Arc<Event>, audience: Audience) {
        let plan = Arc::clone(&self.plan);
        for (hook, configured) in &plan.steps {
            if self.is_told(&configured.spec, event, audience) {
                self.queue(*hook, &configured.spec, event, Origin::Memory);
            }
        }
    }

    /// Tells a question to those that do not decide it, with its secrets masked and as its chain left
    /// it: after a rename nobody else learns the old name.
    pub(super) fn tell_question(&mut self, event: &Event) {
        let told = self
            .plan
            .steps
            .iter()
            .any(|(_, configured)| self.is_told(&configured.spec, event, Audience::Tellers));
        if told {
            let masked = match &self.masker {
                _ if self.is(Mutation::SecretsTold) => copy(event),
                masker => event.masked(masker),
            };
            self.tell(&Arc::new(masked), Audience::Tellers);
        }
    }

    fn is_told(&self, spec: &HookSpec, event: &Event, audience: Audience) -> bool {
        let wanted = spec.on.contains(event.event_type());
        let audience = audience == Audience::All || spec.mode == Mode::Notify;
        let key = event.scope().stream_key.as_ref();
        wanted && audience && (spec.streams.matches(key) || self.is(Mutation::StreamsIgnored))
    }

    pub(super) fn queue(
        &mut self,
        hook: HookId,
        spec: &HookSpec,
        event: &Arc<Event>,
        origin: Origin,
    ) -> Option<DeliveryId> {
        let delivery = DeliveryId(self.fresh_id());
        let lane = self.lane_of(hook, spec, event);
        let (reversed, newest) = (self.is(Mutation::LaneReversed), self.is(Mutation::NewEpochFirst));
        let slot = self.slots.get_mut(&hook)?;
        if slot.disabled.is_some() && self.mutation != Some(Mutation::DisabledCalled) {
            slot.tally.abandoned += 1;
            self.outputs.push_back(Output::Dropped(Dropped {
                delivery,
                hook: spec.name.clone(),
                hook_id: spec.id.clone(),
                event: Arc::clone(event),
                origin,
                attempts: 0,
                first_failed: None,
                cause: DropCause::HookDisabled,
            }));
            return None;
        }
        slot.wait(delivery, origin, Place::Waiting);
        let waiting = &mut self.lanes.entry(lane.clone()).or_default().waiting;
        let epoch = event.scope().epoch;
        let jumps = newest && epoch.is_some_and(|epoch| epoch.0 > 1) && waiting.len() > 1;
        if reversed || jumps {
            let place = waiting.len().min(1);
            waiting.insert(place, delivery);
        } else {
            waiting.push_back(delivery);
        }
        let notice = Notice {
            hook,
            event: Arc::clone(event),
            lane: lane.clone(),
            stage: Stage::Behind,
            place: Place::Waiting,
            origin,
            attempt: 0,
            pauses: 0,
            brought_forward: false,
            planned: None,
            num_dropped: None,
            first_failed: None,
            queued: self.now,
        };
        self.notices.insert(delivery, notice);
        self.keep_bound(hook);
        self.move_lane(&lane);
        Some(delivery)
    }

    /// Drops the hook's oldest notices until its queue is within its bound: of those that wait in it, only such as
    /// are in memory only; the others were taken because there was room, and wait until there is again.
    pub(super) fn keep_bound(&mut self, hook: HookId) {
        while let Some(slot) = self.slots.get(&hook) {
            let most = slot.spec().queue.max(1);
            let (newest, any) = (self.is(Mutation::DropsNewest), self.is(Mutation::LogIsDropped));
            let droppable = if any { &slot.queued } else { &slot.passing };
            let first = if newest { droppable.last() } else { droppable.first() };
            let victim = first.filter(|_| slot.queued.len() > most);
            let beside = slot.aside.first().filter(|_| slot.aside.len() > most);
            let Some(victim) = victim.or(beside).copied() else { return };
            self.give_up(victim, DropCause::QueueFull);
        }
    }

    /// Takes a notice out, wherever it is.
    pub(super) fn give_up(&mut self, delivery: DeliveryId, cause: DropCause) {
        let Some(notice) = self.notices.remove(&delivery) else { return };
        let keeps = notice.origin.is_kept() && cause != DropCause::QueueFull;
        if let Some(slot) = self.slots.get_mut(&notice.hook) {
            slot.leave_queue(delivery);
            slot.forget_away(delivery);
            if notice.stage == Stage::Ready
                && let Some(at) = slot.ready.iter().position(|ready| *ready == delivery)
            {
                slot.ready.remove(at);
            }
            let carried = notice.num_dropped.unwrap_or_default();
            slot.untold += carried;
            match cause {
                DropCause::QueueFull if notice.origin == Origin::Memory => {
                    slot.tally.dropped += 1;
                    let uncounted = self.mutation == Some(Mutation::DropsUncounted);
                    slot.untold += u64::from(!uncounted || slot.untold < 2);
                }
                DropCause::QueueFull => slot.tally.lost += 1,
                _ if keeps => {}
                _ => slot.tally.abandoned += 1,
            }
            self.outputs.push_back(Output::Dropped(Dropped {
                delivery,
                hook: slot.spec().name.clone(),
                hook_id: slot.spec().id.clone(),
                event: Arc::clone(&notice.event),
                origin: notice.origin,
                attempts: notice.attempt,
                first_failed: notice.first_failed,
                cause,
            }));
        }
        if notice.origin == Origin::Log && !keeps {
            self.acknowledge(notice.hook, notice.event.stamp().seq);
        }
        match notice.stage {
            Stage::Running(call) => self.cancel_call(call, if keeps { Next::Kept } else { Next::Lost }),
            Stage::Pausing(at) => {
                self.timers.remove(&(at, Due::Retry(delivery)));
            }
            Stage::Behind | Stage::Ready => {}
        }
        if matches!((notice.stage, notice.place), (Stage::Pausing(_), Place::Holding))
            && let Some(lane) = self.lanes.get_mut(&notice.lane)
        {
            lane.pausing = lane.pausing.saturating_sub(1);
            self.standing = self.standing.saturating_sub(1);
        }
        match notice.place {
            Place::Holding => self.release(&notice.lane),
            Place::Waiting => {
                if let Some(lane) = self.lanes.get_mut(&notice.lane) {
                    lane.take(delivery);
                }
                self.move_lane(&notice.lane);
            }
            Place::Aside => {}
        }
        self.stir(notice.hook);
        self.stir_lane(&notice.lane);
    }

    /// Starts the hook's first ready notice, or one that looks for its receiver; there is room for it.
    pub(super) fn start_notice(&mut self, hook: HookId) {
        if self.slots.get(&hook).is_some_and(|slot| slot.ready.is_empty()) {
            self.probe(hook);
        }
        let call = CallId(self.fresh_id());
        let twice = self.is(Mutation::DropsToldTwice);
        let Some(slot) = self.slots.get_mut(&hook) else { return };
        let Some(delivery) = slot.ready.pop_front() else { return };
        slot.leave_queue(delivery);
        let Some(notice) = self.notices.get_mut(&delivery) else { return };
        notice.stage = Stage::Running(call);
        notice.attempt += 1;
        let num_dropped = *notice.num_dropped.get_or_insert(slot.untold);
        if notice.attempt == 1 && !twice {
            slot.untold = 0;
        }
        let configured = Arc::clone(&slot.configured);
        if notice.place == Place::Waiting {
            notice.place = Place::Holding;
            if let Some(lane) = self.lanes.get_mut(&notice.lane) {
                lane.take(delivery);
                lane.holding += 1;
            }
        }
        let spec = &configured.spec;
        let head = CallHead {
            call,
            delivery,
            hook,
            id: spec.id.clone(),
            name: spec.name.clone(),
            owner: Owner::Notice,
            origin: notice.origin,
            first_failed: notice.first_failed,
            event: Arc::clone(&notice.event),
            attempt: notice.attempt,
            queued: notice.queued,
        };
        let lane = notice.lane.clone();
        let at = self.now.after(spec.notice_timeout);
        let deadline = Deadline { at, outcome: Outcome::Timeout, over: at.after(spec.ending) };
        let (handler, share) = (configured.handler.clone(), spec.notice_share);
        let (position, log) = (notice.event.stamp().seq, notice.origin == Origin::Log);
        self.send(Sending { head, handler, num_dropped, deadline, share });
        if log && self.is(Mutation::AcknowledgedWhenSent) {
            self.acknowledge(hook, position);
        }
        if self.is(Mutation::LaneIgnored) {
            self.move_lane(&lane);
        }
        self.stir(hook);
        self.stir_lane(&lane);
    }

    /// A call of a notice has ended.
    pub(super) fn notice_answered(
        &mut self,
        delivery: DeliveryId,
        call: CallId,
        result: Result<Answer, Failure>,
    ) {
        let Some(notice) = self.notices.get(&delivery) else { return };
        let hook = notice.hook;
        let failed = match result {
            Ok(_ack) => {
                self.close(call, Ending::answered(jackfield_events::Decision::Pass));
                self.over(delivery, Next::Over);
                return self.is_there(hook);
            }
            Err(failed) => failed,
        };
        let kept = notice.origin.is_kept();
        let disable = failed.retry == Retry::Disable;
        let next = match failed.outcome {
            // It was received; to send it once more would only double it.
            Outcome::Late => Next::Over,
            // When its hook is enabled again, it is told.
            _ if disable && kept => Next::Kept,
            _ => self.pause(delivery, &failed).map_or(Next::Lost, Next::Again),
        };
        self.close(call, Ending { next, ..Ending::failed(&failed) });
        self.slow_down(hook, &failed, next);
        if next == Next::Lost {
            self.gave_up(delivery, &failed);
        }
        match next {
            Next::Again(at) => {
                self.plan_probe(hook, &failed);
                self.pause_until(delivery, at, failed.receiver);
            }
            next => self.over(delivery, next),
        }
        if disable {
            self.disable(hook);
        }
    }

    fn over(&mut self, delivery: DeliveryId, next: Next) {
        let Some(notice) = self.notices.remove(&delivery) else { return };
        if matches!(next, Next::Lost | Next::Kept)
            && let Some(slot) = self.slots.get_mut(&notice.hook)
        {
            // The handler may not have read what this one told: the next one tells it.
            slot.untold += notice.num_dropped.unwrap_or_default();
        }
        if notice.origin == Origin::Log && next != Next::Kept {
            self.acknowledge(notice.hook, notice.event.stamp().seq);
        }
        if notice.place == Place::Holding {
            self.release(&notice.lane);
        }
    }

    fn disable(&mut self, hook: HookId) {
        let Some(slot) = self.slots.get_mut(&hook) else { return };
        if slot.disabled.is_some() {
            return;
        }
        slot.disabled = Some(DisabledBy::Handler);
        let (hook_id, name) = (slot.spec().id.clone(), slot.spec().name.clone());
        self.outputs.push_back(Output::Disabled { hook: name, hook_id });
        self.look_at(hook);
        self.rest_of_disabling(hook);
    }

    /// Whether a notice may start or end by then.
    pub(super) fn can_move(&self, notice: &Notice, until: Mono) -> bool {
        match notice.stage {
            Stage::Running(_) => true,
            Stage::Pausing(at) => at <= until,
            Stage::Behind => false,
            Stage::Ready => self.slots.get(&notice.hook).is_some_and(|slot| slot.may_call_by(until)),
        }
    }

    /// Gives up all notices of a hook.
    pub(super) fn give_up_all(&mut self, hook: HookId, cause: DropCause) {
        let own = self.notices.iter().filter(|(_, notice)| notice.hook == hook).map(|(id, _)| *id);
        for delivery in own.collect::<Vec<_>>() {
            self.give_up(delivery, cause);
        }
    }
}

/// The event as it is, secrets included.
pub(super) fn copy(event: &Event) -> Event {
    Event::new(event.event_type(), event.stamp().clone(), event.scope().clone(), event.data().to_vec())
}
