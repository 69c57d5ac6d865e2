//! The state machine: what goes in, what comes out, and when it wants to be called again.
//!
//! A question's life is in [`questions`], a notice's in [`notices`], and who may start next in [`turns`].
//! Everything ends up in one queue of outputs, in the order in which it was decided.

mod calls;
mod feed;
mod io;
mod notices;
mod questions;
mod reload;
mod slot;
mod turns;

pub use feed::{Behind, Stretch};
pub use io::{
    CallId, Concluded, Considered, DisabledBy, DropCause, Dropped, FeedId, Hunger, Next, Origin, Output,
};
pub use io::{Owner, QuestionId, Request, Settled, Why};

use crate::chance::Chance;
use crate::{BreakerState, DeliveryId, Failure, Mutation, Tally};
use calls::Running;
use jackfield_events::{Answer, Event, EventSet, EventType, Masker};
use jackfield_media::{Mono, Text};
use notices::{Audience, Lane, Notice};
use questions::Question;
use slot::{Due, HookId, LaneKey, Plan, Slot};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// What the core is made with.
#[derive(Debug, Clone)]
pub struct CoreConfig {
    /// Calls of notices at once, over all hooks that share the limit; at least 1.
    pub notice_concurrency: usize,
    /// Where jitter comes from: the same seed gives the same pauses.
    pub seed: u64,
}

/// A hook as it stands.
#[derive(Debug, Clone)]
pub struct HookStatus {
    /// Its name.
    pub name: Text,
    /// Its breaker.
    pub breaker: BreakerState,
    /// Whether it is not called, and who said so.
    pub disabled: Option<DisabledBy>,
    /// Notices that wait.
    pub queued: usize,
    /// Notices of the log that wait for a try beside their lane; not among `queued`.
    pub beside: usize,
    /// Calls of notices that run.
    pub notices_running: usize,
    /// Questions that wait for room.
    pub asking: usize,
    /// Calls of questions that run.
    pub questions_running: usize,
    /// Its counters.
    pub tally: Tally,
}

/// The engine's core. See the crate's head for the contract.
#[derive(Debug)]
pub struct Core<H> {
    notice_concurrency: usize,
    masker: Masker,
    chance: Chance,
    mutation: Option<Mutation>,
    now: Mono,
    plan: Arc<Plan<H>>,
    slots: BTreeMap<HookId, Slot<H>>,
    removed: usize,
    questions: BTreeMap<QuestionId, Question<H>>,
    notices: BTreeMap<DeliveryId, Notice>,
    lanes: BTreeMap<LaneKey, Lane>,
    /// Notices that hold a lane which stands still.
    standing: usize,
    calls: BTreeMap<CallId, Running>,
    /// Calls of notices that count in the limit over all hooks.
    shared_out: usize,
    timers: BTreeSet<(Mono, Due)>,
    /// Hooks whose waiting questions are looked at before anything else.
    asked: BTreeSet<HookId>,
    /// Hooks that may have a notice to start.
    active: BTreeSet<HookId>,
    /// The hook after which the next turn begins.
    last_turn: HookId,
    next_id: u64,
    stray_answers: u64,
    outputs: VecDeque<Output<H>>,
}

impl<H: Clone> Core<H> {
    /// A core without hooks. `masker` masks the secrets of questions that are told as notices.
    #[must_use]
    pub fn new(config: &CoreConfig, masker: Masker) -> Self {
        Self {
            notice_concurrency: config.notice_concurrency.max(1),
            masker,
            chance: Chance::new(config.seed),
            mutation: None,
            now: Mono::ZERO,
            plan: Arc::new(Plan { generation: 0, steps: Vec::new(), wants: EventSet::EMPTY }),
            slots: BTreeMap::new(),
            removed: 0,
            questions: BTreeMap::new(),
            notices: BTreeMap::new(),
            lanes: BTreeMap::new(),
            standing: 0,
            calls: BTreeMap::new(),
            shared_out: 0,
            timers: BTreeSet::new(),
            asked: BTreeSet::new(),
            active: BTreeSet::new(),
            last_turn: HookId(0),
            next_id: 1,
            stray_answers: 0,
            outputs: VecDeque::new(),
        }
    }

    /// A core with a defect, to prove that the simulation finds it. Never used by the server.
    #[must_use]
    pub fn with_mutation(mut self, mutation: Mutation) -> Self {
        self.mutation = Some(mutation);
        self
    }

    /// Deliveries, calls and questions are numbered from here on, or from where they are if that is higher; so a driver
    /// that keeps what became of them can tell those of one start from those of another. At first they begin at 1.
    pub fn number_from(&mut self, first: u64) {
        self.next_id = self.next_id.max(first);
    }

    /// Which events some hook wants.
    #[must_use]
    pub fn wanted(&self) -> EventSet {
        self.plan.wants
    }

    /// Whether some hook wants events of this type.
    #[must_use]
    pub fn wants(&self, event: EventType) -> bool {
        self.plan.wants(event)
    }

    /// A fact that is kept nowhere else. Every hook that wants it gets it in its time.
    pub fn notify(&mut self, now: Mono, event: &Arc<Event>) {
        self.advance(now);
        if self.wants(event.event_type()) {
            self.tell(event, Audience::All);
        }
        self.take_turns();
    }

    /// A question. Its verdict comes as an output, at the latest with the first input at or after
    /// `now + budget`; unless it is cancelled, exactly once.
    pub fn ask(&mut self, now: Mono, event: Arc<Event>, budget: Duration) -> QuestionId {
        self.advance(now);
        let question = QuestionId(self.fresh_id());
        self.open(question, event, budget);
        self.take_turns();
        question
    }

    /// A call has ended. What comes for a call that is closed already is counted and changes nothing.
    pub fn answer(&mut self, now: Mono, call: CallId, result: Result<Answer, Failure>) {
        let now = self.now.max(now);
        if self.calls.contains_key(&call) {
            // Before the timers: an answer after its deadline is `late`, not a second outcome.
            self.now = now;
            self.returned(call, result);
        } else {
            self.stray_answers += 1;
        }
        self.advance(now);
        self.take_turns();
    }

    /// Nobody waits for the question any more: no verdict comes.
    pub fn cancel_question(&mut self, now: Mono, question: QuestionId) {
        self.advance(now);
        self.abandon(question);
        self.take_turns();
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Mono) {
        self.advance(now);
        self.take_turns();
    }

    /// The next output; to be asked after each input until there is none.
    pub fn poll_output(&mut self) -> Option<Output<H>> {
        self.outputs.pop_front()
    }

    /// When [`Core::tick`] is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Mono> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// Changes the limit over all hooks' notices.
    pub fn set_notice_concurrency(&mut self, now: Mono, limit: usize) {
        self.advance(now);
        self.notice_concurrency = limit.max(1);
        self.wake_all();
        self.take_turns();
    }

    /// Gives up all notices, those that run included: the server stops. Those of the log are still there.
    pub fn stop_notices(&mut self, now: Mono) {
        self.advance(now);
        let all: Vec<DeliveryId> = self.notices.keys().copied().collect();
        for delivery in all {
            self.give_up(delivery, DropCause::Stopping);
        }
        self.take_turns();
    }

    /// Whether nothing runs, and nothing that waits could start by then: notices whose next try lies later, and those
    /// behind them, may be there.
    #[must_use]
    pub fn is_quiet(&self, until: Mono) -> bool {
        self.questions.is_empty() && !self.notices.values().any(|notice| self.can_move(notice, until))
    }

    /// Answers that came for calls which were closed already: late ones and duplicates.
    #[must_use]
    pub fn stray_answers(&self) -> u64 {
        self.stray_answers
    }

    /// How every configured hook stands, in the configured order.
    #[must_use]
    pub fn status(&self) -> Vec<HookStatus> {
        let slots = self.plan.steps.iter().filter_map(|(id, _)| self.slots.get(id));
        slots
            .map(|slot| HookStatus {
                name: slot.spec().name.clone(),
                breaker: slot.breaker.state(),
                disabled: slot.disabled,
                queued: slot.queued.len(),
                beside: slot.aside.len(),
                notices_running: slot.notices_out,
                asking: slot.asking.len(),
                questions_running: slot.questions_out,
                tally: slot.tally.clone(),
            })
            .collect()
    }

    /// Lets everything happen that is due by now. Time that goes back stands still.
    fn advance(&mut self, now: Mono) {
        self.now = self.now.max(now);
        while let Some((at, due)) = self.timers.first().copied() {
            if at > self.now {
                break;
            }
            self.timers.pop_first();
            match due {
                Due::Call(call) => self.expired(call),
                Due::Asking(question) => self.waited_in_vain(question),
                Due::Retry(delivery) => self.try_again(delivery),
                Due::Hook(hook) => {
                    if let Some(slot) = self.slots.get_mut(&hook) {
                        slot.wake = None;
                    }
                    self.look_at(hook);
                }
            }
        }
    }

    fn wake_all(&mut self) {
        self.asked.extend(self.slots.keys());
        self.active.extend(self.slots.keys());
    }

    /// Has this hook's turn considered again: it may have room, or work.
    fn look_at(&mut self, hook: HookId) {
        self.asked.insert(hook);
        self.active.insert(hook);
    }

    fn fresh_id(&mut self) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        id
    }

    fn is(&self, mutation: Mutation) -> bool {
        self.mutation == Some(mutation)
    }
}

#[cfg(test)]
mod tests;
