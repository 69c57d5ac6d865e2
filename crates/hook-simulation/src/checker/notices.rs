//! Law 6 for notices: lanes, retries, queues, and that nothing that could start is left lying.

use super::questions::own_outcome;
use super::{About, Checked, Checker, Hid, Open, Secret, is_told_of, rule};
use crate::input::Input;
use crate::world::FACTS;
use jackfield_hooks::{
    CallId, DropCause, Dropped, Failure, HookSpec, Mode, Next, NoticeShare, Outcome, Request, Retry,
    RetryAfter, Settled,
};
use jackfield_media::{Mono, Text};
use std::rc::Rc;
use std::time::Duration;

/// Seconds before each further try.
const SCHEDULE: [u64; 9] = [1, 5, 30, 120, 600, 1800, 7200, 18_000, 36_000];
const HOLD: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(crate) struct Told {
    about: About,
    order: u64,
    lane: usize,
    stage: Stage,
    started: bool,
    aside: bool,
    attempt: u32,
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

/// What must be told one after the other: those that are not settled and did not step aside.
#[derive(Debug)]
pub(crate) struct Lane {
    name: (Whose, Option<String>),
    line: Vec<(Hid, u64)>,
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

impl Checker {
    /// From now on every hook that wants it must get it.
    pub(super) fn must_tell(&mut self, about: &About, audience: Audience) {
        let config = Rc::clone(&self.config);
        for configured in config.iter() {
            let (hid, spec) = (configured.hid, &configured.spec);
            let listens = audience == Audience::All || spec.mode == Mode::Notify;
            let wanted = spec.on.contains(about.event_type) && spec.streams.matches(about.key.as_ref());
            if !listens || !wanted {
                continue;
            }
            self.order += 1;
            let lane = self.lane_of(hid, spec, about);
            let told = Told {
                about: about.clone(),
                order: self.order,
                lane,
                stage: Stage::Waiting,
                started: false,
                aside: false,
                attempt: 0,
                carries: 0,
                first_failed: None,
            };
            self.told.insert((hid, about.seq), told);
            if let Some(lane) = self.lanes.get_mut(lane) {
                lane.line.push((hid, about.seq));
            }
            if let Some(limits) = self.hooks.get_mut(&hid) {
                limits.queued += 1;
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
            Stage::Pausing(at) => {
                rule!(self.now >= at, "law 6: {} is tried again too early", request.hook);
                self.pausing.remove(&(at, id.0, id.1));
            }
            Stage::Waiting => {
                let first = lane.line.first() == Some(&id) && lane.started == 0;
                rule!(first, "law 6: event {} to {} passes {:?}", id.1, request.hook, lane.line.first());
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
        limits.queued -= 1;
        limits.notices_running += 1;
        let running = limits.notices_running;
        rule!(running <= spec.concurrency, "policies: {running} notices at once to {}", request.hook);
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
        let (outcome, failure) = match &self.current {
            Input::Answer { call, result } if *call == end.call => match result {
                Ok(_) if late => (Outcome::Late, None),
                Ok(_) => (Outcome::Answered, None),
                Err(failure) if late => (Outcome::Timeout, Some(failure.clone())),
                Err(failure) => (own_outcome(failure), Some(failure.clone())),
            },
            _ if self.now >= open.over => {
                (Outcome::Timeout, Some(Failure { retry: Retry::No, ..Failure::new(Outcome::Timeout, "") }))
            }
            _ => return Err(format!("law 5: {:?} ends as {} without a reason", end.call, end.outcome)),
        };
        rule!(end.outcome == outcome, "law 5: {:?} ends as {} instead of {outcome}", end.call, end.outcome);
        let told = self.told.get(&id).ok_or("a notice that is not told")?;
        let expect =
            failure.as_ref().map_or(After::Over, |failure| after(&spec, told.attempt, outcome, failure));
        if failure.is_some_and(|failure| failure.retry == Retry::Disable) && !limits.disabled {
            self.disabling = Some(open.hid);
        }
        self.followed_by(id, end, expect)
    }

    fn followed_by(&mut self, id: (Hid, u64), end: &Settled, expect: After) -> Checked {
        match (end.next, expect) {
            (Next::Over, After::Over) => self.forget(id, 0),
            (Next::Lost, After::Lost) => {
                let carries = self.told.get(&id).map_or(0, |told| told.carries);
                self.forget(id, carries);
            }
            (Next::Again(at), After::Again { least, most }) => {
                let pause = at - self.now;
                rule!(
                    pause >= least && pause <= most,
                    "law 6: {} is tried again after {pause:?} instead of {least:?} to {most:?}",
                    end.hook
                );
                let Some(told) = self.told.get_mut(&id) else { return Ok(()) };
                told.stage = Stage::Pausing(at);
                self.pausing.insert((at, id.0, id.1));
                let first = *told.first_failed.get_or_insert(self.now);
                if at > first.after(HOLD) && !told.aside {
                    told.aside = true;
                    step_out(&mut self.lanes, told.lane, id, told.started);
                }
                if let Some(limits) = self.hooks.get_mut(&id.0) {
                    limits.queued += 1;
                }
            }
            (next, expect) => {
                return Err(format!("policies: after {} comes {next:?}, not {expect:?}", end.outcome));
            }
        }
        Ok(())
    }

    /// A notice is over; what it told of lost ones may have to be told again.
    fn forget(&mut self, id: (Hid, u64), untold: u64) {
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
        let carries = told.carries;
        let limits = self.hooks.get_mut(&id.0).ok_or("a drop of an unknown hook")?;
        match lost.cause {
            DropCause::QueueFull => {
                rule!(!running, "law 5: a notice is dropped while it runs");
                rule!(limits.queued > limits.spec.queue, "policies: a drop although the queue is not full");
                let own = self.told.range((id.0, 0)..=(id.0, u64::MAX));
                let older = own.filter(|(_, told)| !matches!(told.stage, Stage::Running(_)));
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
            limits.queued -= 1;
        }
        // What is left may stand behind another hook's in a lane of their group.
        limits.passed_over = None;
        self.forget(id, carries + u64::from(is_told_of(lost.cause)));
        Ok(())
    }

    /// After each step no notice may wait without a reason.
    pub(super) fn notices_go_on(&mut self) -> Checked {
        let mut could: Vec<Hid> = Vec::new();
        for lane in self.lanes.iter().filter(|lane| lane.started == 0) {
            could.extend(lane.line.first().map(|(hid, _)| *hid));
        }
        let due = self.pausing.iter().take_while(|(at, ..)| *at <= self.now);
        could.extend(due.map(|(_, hid, _)| *hid));
        let crowded: Vec<Hid> = could.iter().copied().filter(|hid| !self.has_shared_room(*hid)).collect();
        for (hid, limits) in &mut self.hooks {
            let spec = &limits.spec;
            rule!(limits.queued <= spec.queue, "policies: {} waits for {}", limits.queued, spec.name);
            let able = could.contains(hid) && limits.could_start(self.now);
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

fn step_out(lanes: &mut [Lane], place: usize, id: (Hid, u64), started: bool) {
    if let Some(lane) = lanes.get_mut(place) {
        lane.line.retain(|waiting| *waiting != id);
        lane.started -= usize::from(started);
    }
}

/// What must follow a call of a notice.
#[derive(Debug, Clone, Copy)]
enum After {
    Over,
    Lost,
    Again { least: Duration, most: Duration },
}

fn after(spec: &HookSpec, attempt: u32, outcome: Outcome, failure: &Failure) -> After {
    let wanted = match (failure.retry, spec.retries.after) {
        (Retry::Disable, _) => false,
        (Retry::Scheduled | Retry::After(_), _) | (Retry::No, RetryAfter::Any) => true,
        (Retry::No, RetryAfter::Asked) => false,
        (Retry::No, RetryAfter::Failure) => outcome == Outcome::Timeout,
    };
    if !wanted || attempt > spec.retries.limit {
        return After::Lost;
    }
    let step = usize::try_from(attempt).unwrap_or(1) - 1;
    let base = Duration::from_secs(SCHEDULE.get(step).copied().unwrap_or(36_000));
    match failure.retry {
        Retry::After(wish) => {
            let pause = wish.max(base).min(base * 2);
            After::Again { least: pause, most: pause }
        }
        _ => After::Again { least: base.mul_f64(0.799), most: base.mul_f64(1.201) },
    }
}
