//! Questions that wait for room at a hook: in order, bounded, and never beyond their deadline.

use super::super::calls::failure;
use super::super::slot::{Due, HookId};
use super::{Asking, Core, Question, QuestionId, Stage};
use crate::{Failure, Mutation, Outcome};
use jackfield_media::Mono;

/// Whether a hook's call can be sent now.
pub(super) enum Room {
    Now,
    /// When a call ends, or at that time.
    Later(Option<Mono>),
    Refused,
}

impl<H: Clone> Core<H> {
    /// Whether this hook can take a question's call now. Its limits are those of today, whatever plan the
    /// question has.
    pub(super) fn room_for_question(&self, hook: HookId) -> Room {
        let Some(slot) = self.slots.get(&hook) else { return Room::Refused };
        let disabled = slot.disabled.is_some() && !self.is(Mutation::DisabledCalled);
        if disabled || !slot.breaker.admits(self.now) {
            return Room::Refused;
        }
        let most = slot.spec().concurrency.max(1);
        if slot.questions_out >= most && !self.is(Mutation::ConcurrencyIgnored) {
            return Room::Later(None);
        }
        match slot.rate.as_ref().and_then(|rate| rate.wait(self.now)) {
            Some(at) if !self.is(Mutation::RateIgnored) => Room::Later(Some(at)),
            _ => Room::Now,
        }
    }

    pub(super) fn wait_for_room(&mut self, id: QuestionId, asking: Asking<H>) {
        if !self.is(Mutation::WaitingUntimed) {
            self.timers.insert((asking.deadline.at, Due::Asking(id)));
        }
        self.look_at(asking.head.hook);
        if let Some(slot) = self.slots.get_mut(&asking.head.hook) {
            slot.asking.push_back(id);
        }
        if let Some(question) = self.questions.get_mut(&id) {
            question.stage = Stage::Asking(Box::new(asking));
        }
    }

    /// Takes a question that waits out of its hook's queue.
    pub(super) fn stop_waiting(&mut self, id: QuestionId) -> Option<Asking<H>> {
        let question = self.questions.get_mut(&id)?;
        match std::mem::replace(&mut question.stage, Stage::Between) {
            Stage::Asking(asking) => {
                self.timers.remove(&(asking.deadline.at, Due::Asking(id)));
                if let Some(slot) = self.slots.get_mut(&asking.head.hook) {
                    slot.asking.retain(|waiting| *waiting != id);
                }
                Some(*asking)
            }
            other => {
                question.stage = other;
                None
            }
        }
    }

    /// Starts or refuses the questions that wait for this hook, in order, as far as there is room.
    pub(in crate::core) fn serve_questions(&mut self, hook: HookId) {
        while let Some(id) = self.slots.get(&hook).and_then(|slot| slot.asking.front().copied()) {
            match self.room_for_question(hook) {
                Room::Later(Some(at)) => return self.wake_at(hook, at),
                Room::Later(None) => return,
                Room::Now => {
                    if let Some(asking) = self.stop_waiting(id) {
                        self.call(id, asking);
                    }
                }
                Room::Refused => {
                    let open = failure(Outcome::BreakerOpen, "the hook is left alone for a while");
                    self.turn_away(id, &open);
                }
            }
        }
    }

    /// A question waited for room until its deadline.
    pub(in crate::core) fn waited_in_vain(&mut self, id: QuestionId) {
        let Some(Question { stage: Stage::Asking(asking), .. }) = self.questions.get(&id) else { return };
        let outcome = match asking.deadline.outcome {
            Outcome::Budget => Outcome::Budget,
            _ => Outcome::Overload,
        };
        self.turn_away(id, &failure(outcome, "the hook had no room in time"));
    }

    pub(super) fn turn_away(&mut self, id: QuestionId, failed: &Failure) {
        if let Some(Asking { head, configured, .. }) = self.stop_waiting(id) {
            self.refuse(id, head, &configured, failed);
            self.go_on(id);
        }
    }
}
