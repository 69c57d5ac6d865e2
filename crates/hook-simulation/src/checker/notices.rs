//! Law 6 for notices: lanes, retries, queues, and that nothing that could start is left lying.

mod after;

use super::questions::own_outcome;
use super::{About, Checked, Checker, Hid, Open, Secret, rule};
use crate::input::Input;
use crate::world::FACTS;
use after::{After, after};
use jackfield_hooks::{
    CallId, DropCause, Dropped, Failure, HookSpec, Mode, Next, NoticeShare, Origin, Outcome, Receiver,
    Request, Retry, Settled,
};
use jackfield_media::{Mono, Text};
use std::rc::Rc;
use std::time::Duration;

const HOLD: Duration = Duration::from_secs(30);
/// A receiver that is away is looked for when no call has found it away for so long.
const PROBE: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(crate) struct Told {
    about: About,
    order: u64,
    pub(super) lane: usize,
    stage: Stage,
    started: bool,
    aside: bool,
    /// It is one of the log.
    pub(super) logged: bool,
    attempt: u32,
    /// Pauses of the schedule so far.
    pauses: u32,
    /// It pauses because the receiver was not there: a success brings it forward.
    away: bool,
    /// The same, but a success brought it forward before: another does after the receiver was looked for.
    missed: bool,
    /// Its present try looks for the receiver; when its schedule has the next.
    planned: Option<Mono>,
    /// Its present try was brought forward.
    forward: bool,
    /// It was brought forward, and that try has not begun.
    pulled: bool,
    /// How many lost ones it told of.
    carries: u64,
    first_failed: Option<Mono>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Waiting,
    Running(CallId),
    Pausing(Mono),
}

impl Told {
    pub(super) fn about(&self) -> &About {
        &self.about
    }

    pub(super) fn order(&self) -> u64 {
        self.order
    }

    pub(super) fn carries(&self) -> u64 {
        self.carries
    }
}

/// What must be told one after the other: those that are not settled and did not step aside.
#[derive(Debug)]
pub(crate) struct Lane {
    name: (Whose, Option<String>),
    pub(super) line: Vec<(Hid, u64)>,
    /// How many of them have started.
    started: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Whose {
    Hook(Hid),
    Group(Text),
}

/// Who is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Audience {
    All,
    /// Those that do not decide.
    Listeners,
}

/// Where a notice is until it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    InMemory,
    InTheLog,
}

/// Whether a hook wants to be told of it.
pub(super) fn wants(spec: &HookSpec, about: &About) -> bool {
    spec.on.contains(about.event_type) && spec.streams.matches(about.key.as_ref())
}

impl Checker {
    /// From now on every hook that wants it must get it.
    pub(super) fn must_tell(&mut self, about: &About, audience: Audience) {
        let config = Rc::clone(&self.config);
        for configured in config.iter() {
            let spec = &configured.spec;
            let listens = audience == Audience::All || spec.mode == Mode::Notify;
            if listens && wants(spec, about) {
                self.must_tell_one(configured.hid, spec, about, Kept::InMemory);
            }
        }
    }

    pub(super) fn must_tell_one(&mut self, hid: Hid, spec: &HookSpec, about: &About, kept: Kept) {
        self.order += 1;
        let lane = self.lane_of(hid, spec, about);
        let told = Told {
            about: about.clone(),
            order: self.order,
            lane,
            stage: Stage::Waiting,
            started: false,
            aside: false,
            logged: kept == Kept::InTheLog,
            attempt: 0,
            pauses: 0,
            away: false,
            missed: false,
            planned: None,
            forward: false,
            pulled: false,
            carries: 0,
            first_failed: None,
        };
        self.told.insert((hid, about.seq), told);
        if let Some(lane) = self.lanes.get_mut(lane) {
            lane.line.push((hid, about.seq));
        }
        if let Some(limits) = self.hooks.get_mut(&hid) {
            match kept {
                Kept::InMemory => limits.queued += 1,
                Kept::InTheLog => limits.logged += 1,
            }
        }
    }

    fn lane_of(&mut self, hid: Hid, spec: &HookSpec, about: &About) -> usize {
        let whose = spec.lane_group.clone().map_or(Whose::Hook(hid), Whose::Group);
        let name = (whose, about.orders());
        self.lanes.iter().position(|lane| lane.name == name).unwrap_or_else(|| {
            self.lanes.push(Lane { name, line: Vec::new(), started: 0 });
            self.lanes.len() - 1
        })
    }

    /// After a reload the lanes are those of the new configuration, in the order in which they were told.
    pub(super) fn relane(&mut self) {
        self.lanes.clear();
        let mut all: Vec<(u64, (Hid, u64))> = self.told.iter().map(|(id, told)| (told.order, *id)).collect();
        all.sort_unstable();
        for (_, id) in all {
            let Some(limits) = self.hooks.get(&id.0) else { continue };
            let spec = Rc::clone(&limits.spec);
            let Some(about) = self.told.get(&id).map(|told| told.about.clone()) else { continue };
            let place = self.lane_of(id.0, &spec, &about);
            let Some(told) = self.told.get_mut(&id) else { continue };
            told.lane = place;
            if let Some(lane) = self.lanes.get_mut(place).filter(|_| !told.aside) {
                lane.line.push(id);
                lane.started += usize::from(told.started);
            }
        }
    }

    /// A call of a notice; the hook that gets it, and whether it counts in the limit over all hooks.
    pub(super) fn notice_calls(&mut self, request: &Request<()>) -> Result<(Hid, bool), String> {
        let configured = self.configured(&request.hook)?;
        let (hid, spec) = (configured.hid, configured.spec);
        let id = (hid, request.event.stamp().seq);
        let first = self.is_its_turn(id);
        if let Some(Stage::Pausing(at)) = self.told.get(&id).map(|told| told.stage) {
            self.tried_again(id, at)?;
        }
        let Some(told) = self.told.get_mut(&id) else {
            let text = "which is not to be told it, or not yet";
            return Err(format!("law 2 or policies: event {} to {}, {text}", id.1, request.hook));
        };
        told.about.check_seen(&request.event, Secret::Masked)?;
        let lane = self.lanes.get_mut(told.lane).ok_or("a notice without a lane")?;
        match told.stage {
            Stage::Running(_) => {
                return Err(format!("law 6: event {} to {} twice at once", id.1, request.hook));
            }
            Stage::Pausing(_) => {}
            Stage::Waiting => {
                rule!(
                    first && lane.started == 0,
                    "law 6: event {} to {} passes {:?}",
                    id.1,
                    request.hook,
                    lane.line.first()
                );
                lane.started += 1;
                told.started = true;
                if let (Some(key), Some(epoch)) = (&told.about.key, told.about.epoch) {
                    let newest = self.epochs.entry((hid, key.clone())).or_default();
                    rule!(epoch >= *newest, "epochs: {} hears of {epoch} after {newest}", request.hook);
                    *newest = epoch;
                }
            }
        }
        told.attempt += 1;
        told.stage = Stage::Running(request.call);
        rule!(
            request.attempt == told.attempt,
            "law 6: attempt {} is called {}",
            told.attempt,
            request.attempt
        );
        rule!(request.mode == Mode::Notify, "policies: a notice is asked");
        let deadline = self.now.after(spec.notice_timeout);
        rule!(request.deadline == deadline, "law 1: a notice gets until {:?}", request.deadline);
        let limits = self.hooks.get_mut(&hid).ok_or("a notice to an unknown hook")?;
        if told.attempt == 1 {
            told.carries = std::mem::take(&mut limits.untold);
        }
        rule!(
            request.num_dropped == told.carries,
            "policies: {} is told of {} lost ones, and {} are",
            request.hook,
            request.num_dropped,
            told.carries
        );
        match (told.logged, told.aside) {
            (false, _) => limits.queued -= 1,
            (true, false) => limits.logged -= 1,
            (true, true) => limits.beside -= 1,
        }
        limits.notices_running += 1;
        let (running, most) = (limits.notices_running, limits.at_once());
        rule!(running <= most, "policies: {running} notices at once to {}, and {most} may be", request.hook);
        rule!(limits.rests_until <= self.now, "policies: {} is called while it rests", request.hook);
        let shared = spec.notice_share == NoticeShare::Shared;
        if shared {
            let room = self.has_shared_room(hid);
            self.shared_running += 1;
            rule!(self.shared_running <= self.limit, "policies: {} notices at once", self.shared_running);
            rule!(room, "law 6: {} takes a place that is kept for others", request.hook);
            if let Some(limits) = self.hooks.get_mut(&hid) {
                limits.shared_running += 1;
            }
            self.fair_to_others(hid)?;
        }
        Ok((hid, shared))
    }

    /// A notice that pauses until then is called: then, or before to see whether its receiver is back.
    fn tried_again(&mut self, id: (Hid, u64), at: Mono) -> Checked {
        self.pausing.remove(&(at, id.0, id.1));
        let told = self.told.get_mut(&id).ok_or("a notice that is not told")?;
        let waits = std::mem::take(&mut told.away) | std::mem::take(&mut told.missed);
        told.forward = std::mem::take(&mut told.pulled);
        told.planned = (self.now < at).then_some(at);
        if told.planned.is_some() {
            let limits = self.hooks.get_mut(&id.0).ok_or("a notice to an unknown hook")?;
            let name = &limits.spec.name;
            rule!(waits && limits.looks_out(self.now), "law 6: {name} is tried again too early");
            limits.probe = None;
            for (_, told) in self.told.range_mut((id.0, 0)..=(id.0, u64::MAX)) {
                told.away |= std::mem::take(&mut told.missed);
            }
        }
        Ok(())
    }

    /// Up to half of the places are kept for hooks that have none of them.
    fn has_shared_room(&self, hid: Hid) -> bool {
        let none = |hid: &Hid| self.hooks.get(hid).is_some_and(|limits| limits.shared_running == 0);
        let free = self.limit.saturating_sub(self.shared_running);
        if none(&hid) {
            return free > 0;
        }
        let shares = self.config.iter().filter(|hook| {
            let only_asked =
                hook.spec.mode == Mode::Decide && FACTS.iter().all(|fact| !hook.spec.on.contains(*fact));
            hook.spec.notice_share == NoticeShare::Shared && !only_asked && !hook.spec.on.is_empty()
        });
        let able = shares.map(|hook| hook.hid).filter(|hid| self.hooks.get(hid).is_some_and(|l| !l.disabled));
        free > able.filter(none).count().min(self.limit / 2)
    }

    /// A hook that only the limit over all hooks holds has its turn before any other has two.
    fn fair_to_others(&mut self, starting: Hid) -> Checked {
        let most = self.config.len();
        for (hid, limits) in &mut self.hooks {
            if *hid == starting || !limits.could_start(self.now) {
                limits.passed_over = None;
            } else if let Some(times) = &mut limits.passed_over {
                *times += 1;
                rule!(*times <= most, "law 6: {} is passed over {times} times", limits.spec.name);
            }
        }
        Ok(())
    }

    pub(super) fn notice_settled(&mut self, end: &Settled, open: Option<&Open>) -> Checked {
        let open = open.ok_or("law 5: a notice that was never sent has an outcome")?;
        let id = (open.hid, open.seq);
        if !self.told.contains_key(&id) {
            // It was dropped while it ran, a moment ago: only its call is left to end.
            rule!(end.outcome == Outcome::Cancelled, "law 5: a dropped notice ends as {}", end.outcome);
            return Ok(());
        }
        let limits = self.hooks.get(&open.hid).ok_or("a notice to an unknown hook")?;
        let spec = Rc::clone(&limits.spec);
        let late = self.now >= open.deadline;
        let away = Receiver::Away;
        let (outcome, failure) = match &self.current {
            Input::Answer { call, result } if *call == end.call => match result {
                Ok(_) if late => (Outcome::Late, None),
                Ok(_) => (Outcome::Answered, None),
                Err(failure) if late => {
                    (Outcome::Timeout, Some(Failure { receiver: away, ..failure.clone() }))
                }
                Err(failure) => (own_outcome(failure), Some(failure.clone())),
            },
            _ if self.now >= open.over => {
                (Outcome::Timeout, Some(Failure { retry: Retry::No, ..Failure::new(Outcome::Timeout, "") }))
            }
            _ => return Err(format!("law 5: {:?} ends as {} without a reason", end.call, end.outcome)),
        };
        rule!(end.outcome == outcome, "law 5: {:?} ends as {} instead of {outcome}", end.call, end.outcome);
        let told = self.told.get(&id).ok_or("a notice that is not told")?;
        let waits = told.logged && failure.as_ref().is_some_and(|failure| failure.receiver != Receiver::Here);
        let (time, ends) = (told.about.time, limits.patience(told.about.time).filter(|_| waits));
        let expect = failure.as_ref().map_or(After::Over, |failure| {
            after(&spec, told, outcome, failure, self.now).within(self.now, ends)
        });
        let tired = ends.is_some_and(|ends| ends <= self.now);
        let gives_up = waits && (tired || told.pauses > 0 && told.pauses >= spec.retries.limit);
        let disables = failure.as_ref().is_some_and(|failure| failure.retry == Retry::Disable);
        if disables && !limits.disabled {
            self.disabling = Some(open.hid);
        }
        let asked = failure.as_ref().map(|failure| failure.retry);
        let receiver = failure.map_or(Receiver::Here, |failure| failure.receiver);
        self.followed_by(id, end, expect, receiver)?;
        let limits = self.hooks.get_mut(&open.hid).ok_or("a notice to an unknown hook")?;
        limits.learn(self.now, outcome, receiver, end.next);
        if receiver != Receiver::Here && matches!(end.next, Next::Again(_)) {
            let least = if let Some(Retry::After(wish)) = asked { PROBE.max(wish) } else { PROBE };
            limits.probe = Some(self.now.after(least));
        }
        if gives_up && end.next == Next::Lost && limits.given_up.is_none_or(|(_, newest)| time > newest) {
            limits.given_up = Some((self.now, time));
        }
        if outcome == Outcome::Answered {
            limits.given_up = None;
            self.bring_forward(open.hid);
        }
        Ok(())
    }

    /// The receiver is there: what pauses because it was not is due, unless it was brought forward before.
    fn bring_forward(&mut self, hid: Hid) {
        let own = self.told.range_mut((hid, 0)..=(hid, u64::MAX));
        for (id, told) in own {
            if let Stage::Pausing(at) = told.stage
                && told.away
                && at > self.before
            {
                self.pausing.remove(&(at, id.0, id.1));
                self.pausing.insert((self.now, id.0, id.1));
                (told.stage, told.away, told.pulled) = (Stage::Pausing(self.now), false, true);
            }
        }
    }

    fn followed_by(&mut self, id: (Hid, u64), end: &Settled, expect: After, receiver: Receiver) -> Checked {
        match (end.next, expect) {
            (Next::Over, After::Over) => {
                self.done_with(id);
                self.forget(id, 0);
            }
            (Next::Lost, After::Lost) => {
                let carries = self.told.get(&id).map_or(0, |told| told.carries);
                self.done_with(id);
                self.forget(id, carries);
            }
            (Next::Kept, After::Kept) => self.shelve(id),
            (Next::Again(at), After::Again { least, most }) => {
                let pause = at - self.now;
                rule!(
                    pause >= least && pause <= most,
                    "law 6: {} is tried again after {pause:?} instead of {least:?} to {most:?}",
                    end.hook
                );
                let Some(told) = self.told.get_mut(&id) else { return Ok(()) };
                told.stage = Stage::Pausing(at);
                let planned = told.planned.take().is_some_and(|planned| planned > self.now);
                told.pauses += u32::from(!(planned || told.forward && told.pauses > 0));
                told.away = receiver != Receiver::Here && !told.forward;
                told.missed = receiver != Receiver::Here && told.forward;
                self.pausing.insert((at, id.0, id.1));
                let first = *told.first_failed.get_or_insert(self.now);
                let is_there = receiver == Receiver::Here;
                if at > first.after(HOLD) && is_there && !told.aside {
                    told.aside = true;
                    step_out(&mut self.lanes, told.lane, id, told.started);
                }
                let (logged, aside) = (told.logged, told.aside);
                if let Some(limits) = self.hooks.get_mut(&id.0) {
                    match (logged, aside) {
                        (false, _) => limits.queued += 1,
                        (true, false) => limits.logged += 1,
                        (true, true) => limits.beside += 1,
                    }
                }
            }
            (next, expect) => {
                return Err(format!("policies: after {} comes {next:?}, not {expect:?}", end.outcome));
            }
        }
        Ok(())
    }

    /// A notice is over; what it told of lost ones may have to be told again.
    pub(super) fn forget(&mut self, id: (Hid, u64), untold: u64) {
        let Some(told) = self.told.remove(&id) else { return };
        if !told.aside {
            step_out(&mut self.lanes, told.lane, id, told.started);
        }
        if let Some(limits) = self.hooks.get_mut(&id.0) {
            limits.untold += untold;
        }
    }

    pub(super) fn dropped(&mut self, lost: &Dropped) -> Checked {
        let configured = self.configured(&lost.hook)?;
        let id = (configured.hid, lost.event.stamp().seq);
        let told = self
            .told
            .get(&id)
            .ok_or_else(|| format!("law 6: event {} is dropped, but is not there", id.1))?;
        let running = matches!(told.stage, Stage::Running(_));
        if let Stage::Pausing(at) = told.stage {
            self.pausing.remove(&(at, id.0, id.1));
        }
        let (carries, logged, aside) = (told.carries, told.logged, told.aside);
        rule!(logged == (lost.origin == Origin::Log), "law 7: a drop of another origin");
        let limits = self.hooks.get_mut(&id.0).ok_or("a drop of an unknown hook")?;
        match lost.cause {
            DropCause::QueueFull => {
                rule!(!running, "law 5: a notice is dropped while it runs");
                let full = limits.queued + limits.logged > limits.spec.queue;
                let crowded = limits.beside > limits.spec.queue;
                rule!(aside || !logged, "law 7: {} loses a notice of the log", lost.hook);
                rule!(if logged { crowded } else { full }, "policies: a drop although the queue is not full");
                let own = self.told.range((id.0, 0)..=(id.0, u64::MAX));
                let like = |told: &Told| told.logged == logged && (!logged || told.aside);
                let older = own.filter(|(_, told)| !matches!(told.stage, Stage::Running(_)) && like(told));
                let order = self.told.get(&id).map_or(0, |told| told.order);
                let oldest = older.map(|(_, told)| told.order).min();
                rule!(oldest == Some(order), "policies: {} loses another than its oldest", lost.hook);
            }
            DropCause::HookDisabled => rule!(limits.disabled, "policies: {} is not disabled", lost.hook),
            DropCause::HookRemoved => {
                let gone = self.gone.iter().any(|gone| gone.hid == id.0);
                rule!(gone, "policies: {} was not removed", lost.hook);
            }
            DropCause::Stopping => {
                rule!(matches!(self.current, Input::Stop), "policies: nobody stops");
            }
        }
        if !running {
            match (logged, aside) {
                (false, _) => limits.queued -= 1,
                (true, false) => limits.logged -= 1,
                (true, true) => limits.beside -= 1,
            }
        }
        // What is left may stand behind another hook's in a lane of their group.
        limits.passed_over = None;
        let about = self.told.get(&id).map(|told| told.about.clone());
        let full = lost.cause == DropCause::QueueFull;
        if full {
            self.done_with(id);
        } else if let (true, Some(about)) = (logged, about) {
            self.keep(id.0, about);
        }
        self.forget(id, carries + u64::from(full && !logged));
        Ok(())
    }

    /// After each step no notice may wait without a reason.
    pub(super) fn notices_go_on(&mut self) -> Checked {
        let mut could: Vec<Hid> = Vec::new();
        for lane in self.lanes.iter().filter(|lane| lane.started == 0) {
            // In a lane of a group it may be another's turn, if they were fed at different times.
            let of_one = |hid: &Hid| self.log.is_none() || lane.line.iter().all(|(other, _)| other == hid);
            could.extend(lane.line.first().map(|(hid, _)| *hid).filter(of_one));
        }
        let due = self.pausing.iter().take_while(|(at, ..)| *at <= self.now);
        could.extend(due.map(|(_, hid, _)| *hid));
        let looks_out = |hid: &Hid| self.hooks.get(hid).is_some_and(|limits| limits.looks_out(self.now));
        let sought = self.pausing.iter().filter(|(_, hid, seq)| {
            let told = self.told.get(&(*hid, *seq));
            told.is_some_and(|told| told.away || told.missed) && looks_out(hid)
        });
        could.extend(sought.map(|(_, hid, _)| *hid));
        let crowded: Vec<Hid> = could.iter().copied().filter(|hid| !self.has_shared_room(*hid)).collect();
        // What does not fit is still in the log, for all that are fed together.
        let over = self.hooks.values().filter(|limits| {
            // A group waits until none of its hooks has more than half of what it takes.
            let share = 1 + usize::from(limits.spec.lane_group.is_some());
            (limits.queued + limits.logged) * share > limits.spec.queue
        });
        let behind: Vec<Text> =
            over.filter(|_| self.log.is_some()).map(|limits| with_whom(&limits.spec)).collect();
        for (hid, limits) in &mut self.hooks {
            let spec = &limits.spec;
            rule!(limits.queued <= spec.queue, "policies: {} waits for {}", limits.queued, spec.name);
            rule!(limits.beside <= spec.queue, "policies: {} waits beside for {}", limits.beside, spec.name);
            let fits = !behind.contains(&with_whom(spec));
            let able = could.contains(hid) && limits.could_start(self.now) && fits;
            let shares = spec.notice_share == NoticeShare::Shared;
            rule!(
                !able || (shares && crowded.contains(hid)),
                "law 6: {} is idle although a notice could start",
                spec.name
            );
            limits.passed_over = match limits.passed_over {
                Some(times) if able && limits.shared_running == 0 => Some(times),
                _ => (able && limits.shared_running == 0).then_some(0),
            };
            if limits.disabled || self.gone.iter().any(|gone| gone.hid == *hid) {
                rule!(limits.queued == 0, "policies: {} gets nothing and still has a queue", spec.name);
            }
        }
        Ok(())
    }
}

/// The name under which a hook is fed.
fn with_whom(spec: &HookSpec) -> Text {
    spec.lane_group.clone().unwrap_or_else(|| spec.id.clone())
}

fn step_out(lanes: &mut [Lane], place: usize, id: (Hid, u64), started: bool) {
    if let Some(lane) = lanes.get_mut(place) {
        lane.line.retain(|waiting| *waiting != id);
        lane.started -= usize::from(started);
    }
}
