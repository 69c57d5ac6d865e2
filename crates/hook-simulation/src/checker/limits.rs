//! What one hook may be given: calls at once, calls a second, and its breaker, each written down a second
//! time from its definition.

use super::{Checked, rule};
use jackfield_hooks::{BreakerState, HookSpec, Next, Outcome, Owner, Receiver};
use jackfield_media::{Mono, UnixTime};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

#[derive(Debug)]
pub(crate) struct Limits {
    pub(super) spec: Rc<HookSpec>,
    pub(super) disabled: bool,
    pub(super) breaker: Breaker,
    pub(super) notices_running: usize,
    /// Those of them that count in the limit over all hooks.
    pub(super) shared_running: usize,
    pub(super) questions_running: usize,
    /// Calls of notices at once, after failures that say that there are too many.
    window: Option<usize>,
    /// The receiver asked for a rest.
    pub(super) rests_until: Mono,
    /// When its receiver, which is away, is looked for.
    pub(super) probe: Option<Mono>,
    /// The newest notice of the log that was given up because its receiver was away, if it took nothing since: when that
    /// was, and when it happened.
    pub(super) given_up: Option<(Mono, UnixTime)>,
    /// Notices that are in memory only and wait for anything.
    pub(super) queued: usize,
    /// Notices of the log that wait for anything, those included that were not taken from it yet.
    pub(super) logged: usize,
    /// Notices of the log that wait for a try beside their lane.
    pub(super) beside: usize,
    /// Lost notices that the hook was not told of.
    pub(super) untold: u64,
    /// Starts of other hooks since only the limit over all hooks has held this one.
    pub(super) passed_over: Option<usize>,
    /// Time's worth of calls that may start at once, at most a second.
    credit: Duration,
    credited: Mono,
}

const SECOND: Duration = Duration::from_secs(1);

impl Limits {
    pub(super) fn new(spec: &Rc<HookSpec>) -> Self {
        Self {
            spec: Rc::clone(spec),
            disabled: false,
            breaker: Breaker::default(),
            notices_running: 0,
            shared_running: 0,
            questions_running: 0,
            window: None,
            rests_until: Mono::ZERO,
            probe: None,
            given_up: None,
            queued: 0,
            logged: 0,
            beside: 0,
            untold: 0,
            passed_over: None,
            credit: SECOND,
            credited: Mono::ZERO,
        }
    }

    pub(super) fn configure(&mut self, spec: &Rc<HookSpec>) {
        if self.spec.rate != spec.rate {
            self.credit = SECOND;
        }
        self.disabled &= self.spec == *spec;
        self.spec = Rc::clone(spec);
    }

    /// Whether one that waits for the receiver may be tried to see whether that is back.
    pub(super) fn looks_out(&self, now: Mono) -> bool {
        self.probe.is_some_and(|probe| probe <= now)
    }

    /// Until when a receiver that is away is waited for with a notice of that time: as long as with the newest that was
    /// given up. Of one of the very same time nothing is said.
    pub(super) fn patience(&self, time: UnixTime) -> Option<Mono> {
        let (at, newest) = self.given_up?;
        let later = Duration::from_micros(u64::try_from(time.0 - newest.0).unwrap_or_default());
        (time != newest).then(|| at.after(later))
    }

    fn credit(&self, now: Mono) -> Duration {
        (self.credit + now.since(self.credited)).min(SECOND)
    }

    /// Whether its rate lets a call start now.
    pub(super) fn has_rate(&self, now: Mono) -> bool {
        self.spec.rate.is_none_or(|rate| self.credit(now) >= SECOND / rate)
    }

    /// Whether a notice could start, but for the limit over all hooks and its lane.
    pub(super) fn could_start(&self, now: Mono) -> bool {
        let room = self.queued + self.logged + self.beside > 0
            && self.notices_running < self.at_once()
            && self.rests_until <= now;
        room && !self.disabled && self.breaker.admits(now) && self.has_rate(now)
    }

    /// Calls of notices at once, now.
    pub(super) fn at_once(&self) -> usize {
        self.spec.concurrency.min(self.window.unwrap_or(usize::MAX))
    }

    /// What the end of a notice's call says of how much its receiver can bear.
    pub(super) fn learn(&mut self, now: Mono, outcome: Outcome, receiver: Receiver, next: Next) {
        if outcome == Outcome::Answered {
            self.window =
                self.window.map(|window| window + 1).filter(|window| *window < self.spec.concurrency);
        } else if outcome == Outcome::Timeout || receiver == Receiver::Busy {
            self.window = Some(1.max(self.at_once() / 2));
        }
        if let (Receiver::Busy, Next::Again(at)) = (receiver, next) {
            self.rests_until = self.rests_until.max(at.min(now.after(60 * SECOND)));
        }
    }

    /// A call starts.
    pub(super) fn start(&mut self, now: Mono) -> Checked {
        if let Some(rate) = self.spec.rate {
            rule!(self.has_rate(now), "policies: more than {rate} calls a second");
            self.credit = self.credit(now).saturating_sub(SECOND / rate);
            self.credited = now;
        }
        Ok(())
    }

    pub(super) fn end(&mut self, owner: Owner) {
        match owner {
            Owner::Question(_) => self.questions_running -= 1,
            Owner::Notice => self.notices_running -= 1,
        }
    }
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Closed,
    Open {
        until: Mono,
    },
    HalfOpen {
        out: usize,
        good: usize,
    },
}

/// Opens at half of at least 20 calls within 10 s; 5 s doubling to 60 s ± 20 %; 3 probes.
#[derive(Debug, Default)]
pub(crate) struct Breaker {
    state: State,
    era: u64,
    trips: u32,
    ends: VecDeque<(Mono, Sign)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sign {
    Good,
    Bad,
}

impl Breaker {
    pub(super) fn admits(&self, now: Mono) -> bool {
        match self.state {
            State::Closed => true,
            State::Open { until } => now >= until,
            State::HalfOpen { out, good } => out + good < 3,
        }
    }

    /// It is said to be half-open, just before a call.
    pub(super) fn reopens(&mut self, now: Mono, said: BreakerState) -> Checked {
        let due = matches!(self.state, State::Open { until } if now >= until);
        rule!(
            due && said == BreakerState::HalfOpen,
            "breaker: became {said:?} at a call, was {:?}",
            self.state
        );
        self.turn(State::HalfOpen { out: 0, good: 0 });
        Ok(())
    }

    /// A call starts.
    pub(super) fn enter(&mut self) -> Result<u64, String> {
        match &mut self.state {
            State::Closed => {}
            State::Open { .. } => return Err("breaker: a call goes through while it is open".to_owned()),
            State::HalfOpen { out, good } => {
                *out += 1;
                rule!(*out + *good <= 3, "breaker: more than three probes");
            }
        }
        Ok(self.era)
    }

    /// A call has ended, and the breaker is said to have become something by it.
    pub(super) fn leave(
        &mut self,
        now: Mono,
        era: u64,
        outcome: Outcome,
        said: Option<BreakerState>,
    ) -> Checked {
        let opens = era == self.era && self.ended(now, outcome);
        let closes = era == self.era && matches!(self.state, State::HalfOpen { good: 3, .. });
        match said {
            Some(BreakerState::Open { until }) => {
                rule!(opens, "breaker: opened for no reason, was {:?}", self.state);
                let base = Duration::from_secs(60).min(Duration::from_secs(5 << self.trips.min(8)));
                let pause = until - now;
                let near = pause >= base.mul_f64(0.799) && pause <= base.mul_f64(1.201);
                rule!(near, "breaker: a pause of {pause:?} instead of about {base:?}");
                self.trips += 1;
                self.turn(State::Open { until });
            }
            Some(BreakerState::Closed) => {
                rule!(closes, "breaker: closed for no reason, was {:?}", self.state);
                self.trips = 0;
                self.turn(State::Closed);
            }
            Some(BreakerState::HalfOpen) => return Err("breaker: half-open after a call".to_owned()),
            None => {
                rule!(!opens, "breaker: stays closed although most calls fail");
                rule!(!closes, "breaker: stays half-open after three good probes");
            }
        }
        Ok(())
    }

    /// Whether this end opens it.
    fn ended(&mut self, now: Mono, outcome: Outcome) -> bool {
        let sign = match outcome {
            Outcome::Answered => Some(Sign::Good),
            Outcome::Cancelled | Outcome::Budget | Outcome::Overload | Outcome::BreakerOpen => None,
            _ => Some(Sign::Bad),
        };
        match &mut self.state {
            State::Closed => {
                let Some(sign) = sign else { return false };
                self.ends.push_back((now, sign));
                self.ends.retain(|(at, _)| now.since(*at) <= Duration::from_secs(10));
                let bad = self.ends.iter().filter(|(_, sign)| *sign == Sign::Bad).count();
                self.ends.len() >= 20 && bad * 2 >= self.ends.len()
            }
            State::Open { .. } => false,
            State::HalfOpen { out, good } => {
                *out = out.saturating_sub(1);
                *good += usize::from(sign == Some(Sign::Good));
                sign == Some(Sign::Bad)
            }
        }
    }

    fn turn(&mut self, state: State) {
        self.state = state;
        self.era += 1;
        self.ends.clear();
    }
}
