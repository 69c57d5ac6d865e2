//! The circuit breaker of one hook: a handler that fails most of the time is left alone for a while.
//!
//! It opens when at least half of at least 20 calls within 10 s failed. After 5 s it lets 3 probes
//! through; if all succeed it closes, and if one fails it opens for twice as long, up to 60 s. Each pause
//! is a fifth longer or shorter. Only calls that were sent and ended by the handler count: a cancelled
//! one says nothing of it, nor does one that the chain's budget cut short.

use crate::chance::Chance;
use crate::{Mutation, Outcome};
use jackfield_media::Mono;
use std::collections::VecDeque;
use std::time::Duration;

const WINDOW: Duration = Duration::from_secs(10);
const LEAST_CALLS: usize = 20;
/// Of a busy hook only so many of the newest calls are looked at, which bounds the memory.
const MOST_CALLS: usize = 1000;
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
const PROBES: u32 = 3;

/// Where a hook's breaker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    /// Calls go through.
    Closed,
    /// No call goes through until then.
    Open {
        /// When probes are let through.
        until: Mono,
    },
    /// Probes go through.
    HalfOpen,
}

/// Which time of the breaker's life a call belongs to: what ends later is not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pass(u64);

#[derive(Debug, Clone)]
enum State {
    Closed,
    Open { until: Mono },
    HalfOpen { out: u32, good: u32 },
}

/// What a finished call says of its handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sign {
    Good,
    Bad,
    Nothing,
}

#[derive(Debug, Clone)]
pub(crate) struct Breaker {
    state: State,
    /// Ends of calls while closed, oldest first.
    recent: VecDeque<(Mono, Sign)>,
    bad: usize,
    /// How often it opened since it was last closed by its probes.
    trips: u32,
    time: u64,
    mutation: Option<Mutation>,
}

impl Breaker {
    pub(crate) fn new(mutation: Option<Mutation>) -> Self {
        Self { state: State::Closed, recent: VecDeque::new(), bad: 0, trips: 0, time: 0, mutation }
    }

    fn is(&self, mutation: Mutation) -> bool {
        self.mutation == Some(mutation)
    }

    pub(crate) fn state(&self) -> BreakerState {
        match self.state {
            State::Closed => BreakerState::Closed,
            State::Open { until } => BreakerState::Open { until },
            State::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }

    /// Whether a call would be let through now.
    pub(crate) fn admits(&self, now: Mono) -> bool {
        match self.state {
            State::Closed => true,
            State::Open { until } => now >= until && !self.is(Mutation::BreakerNeverReopens),
            State::HalfOpen { out, good } => out + good < PROBES || self.is(Mutation::BreakerProbesFreely),
        }
    }

    /// A call is sent; it must have been admitted.
    pub(crate) fn enter(&mut self, now: Mono) -> Pass {
        if matches!(self.state, State::Open { until } if now >= until) {
            self.turn(State::HalfOpen { out: 0, good: 0 });
        }
        if let State::HalfOpen { out, .. } = &mut self.state {
            *out += 1;
        }
        Pass(self.time)
    }

    /// A call that was sent has ended.
    pub(crate) fn leave(&mut self, now: Mono, pass: Pass, outcome: Outcome, chance: &mut Chance) {
        if pass.0 != self.time {
            return;
        }
        let sign = self.sign(outcome);
        match &mut self.state {
            State::Closed => self.count(now, sign, chance),
            State::Open { .. } => {}
            State::HalfOpen { out, good } => {
                *out = out.saturating_sub(1);
                match sign {
                    Sign::Nothing => {}
                    Sign::Bad => self.open(now, chance),
                    Sign::Good => {
                        *good += 1;
                        let enough = *good >= PROBES || self.mutation == Some(Mutation::BreakerClosesAtOnce);
                        if enough {
                            self.trips = 0;
                            self.turn(State::Closed);
                        }
                    }
                }
            }
        }
    }

    fn sign(&self, outcome: Outcome) -> Sign {
        match outcome {
            Outcome::Answered => Sign::Good,
            Outcome::Cancelled if self.is(Mutation::BreakerCountsCancels) => Sign::Bad,
            Outcome::Cancelled | Outcome::Budget | Outcome::Overload | Outcome::BreakerOpen => Sign::Nothing,
            Outcome::Timeout
            | Outcome::ConnectError
            | Outcome::TransportError
            | Outcome::ProtocolError
            | Outcome::HandlerError
            | Outcome::Crashed
            | Outcome::Late => Sign::Bad,
        }
    }

    fn count(&mut self, now: Mono, sign: Sign, chance: &mut Chance) {
        if sign == Sign::Nothing {
            return;
        }
        self.recent.push_back((now, sign));
        self.bad += usize::from(sign == Sign::Bad);
        let stale = |at: &Mono| now.since(*at) > WINDOW;
        while self.recent.len() > MOST_CALLS || self.recent.front().is_some_and(|(at, _)| stale(at)) {
            if self.is(Mutation::BreakerNeverForgets) && self.recent.len() <= MOST_CALLS {
                break;
            }
            if let Some((_, Sign::Bad)) = self.recent.pop_front() {
                self.bad -= 1;
            }
        }
        let least = if self.is(Mutation::BreakerOpensEarly) { LEAST_CALLS / 2 } else { LEAST_CALLS };
        let enough = self.recent.len() >= least && self.bad * 2 >= self.recent.len();
        if enough && !self.is(Mutation::BreakerNeverOpens) {
            self.open(now, chance);
        }
    }

    fn open(&mut self, now: Mono, chance: &mut Chance) {
        let doublings = if self.is(Mutation::BreakerNeverDoubles) { 0 } else { self.trips.min(8) };
        let pause = FIRST_PAUSE.saturating_mul(1 << doublings).min(LONGEST_PAUSE);
        self.trips = self.trips.saturating_add(1);
        self.turn(State::Open { until: now.after(chance.jittered(pause)) });
    }

    fn turn(&mut self, state: State) {
        self.time += 1;
        self.recent.clear();
        self.bad = 0;
        self.state = state;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Mono {
        Mono::from_origin(Duration::from_millis(millis))
    }

    fn call(breaker: &mut Breaker, now: Mono, outcome: Outcome) {
        let pass = breaker.enter(now);
        breaker.leave(now, pass, outcome, &mut Chance::new(7));
    }

    #[test]
    fn it_opens_at_half_of_twenty_within_ten_seconds() {
        let mut breaker = Breaker::new(None);
        for _ in 0..10 {
            call(&mut breaker, at(0), Outcome::Timeout);
        }
        for _ in 0..10 {
            call(&mut breaker, at(10_001), Outcome::Answered);
        }
        assert_eq!(breaker.state(), BreakerState::Closed, "the first ten are too old to count");
        for _ in 0..9 {
            call(&mut breaker, at(10_002), Outcome::Crashed);
        }
        assert!(breaker.admits(at(10_002)));
        call(&mut breaker, at(10_002), Outcome::Crashed);
        assert!(!breaker.admits(at(10_002)));
    }

    #[test]
    fn three_good_probes_close_it_and_one_bad_doubles_the_pause() {
        let mut breaker = Breaker::new(None);
        for _ in 0..20 {
            call(&mut breaker, at(0), Outcome::Timeout);
        }
        let BreakerState::Open { until } = breaker.state() else { unreachable!("it is open") };
        assert!(until >= at(4000) && until <= at(6000));
        call(&mut breaker, until, Outcome::Timeout);
        let BreakerState::Open { until: next } = breaker.state() else { unreachable!("it is open") };
        assert!(next.since(until) >= Duration::from_secs(8));
        let passes: Vec<Pass> = (0..3).map(|_| breaker.enter(next)).collect();
        assert!(!breaker.admits(next), "three probes are out");
        for pass in passes {
            breaker.leave(next, pass, Outcome::Answered, &mut Chance::new(1));
        }
        assert_eq!(breaker.state(), BreakerState::Closed);
    }

    #[test]
    fn a_call_that_ended_ten_seconds_ago_still_counts() {
        let mut breaker = Breaker::new(None);
        for now in [at(0), at(10_000)] {
            for _ in 0..10 {
                call(&mut breaker, now, Outcome::Timeout);
            }
        }
        assert!(!breaker.admits(at(10_000)));
    }

    #[test]
    fn of_a_busy_hook_the_newest_thousand_calls_are_kept() {
        let mut breaker = Breaker::new(None);
        for _ in 0..999 {
            call(&mut breaker, at(0), Outcome::Answered);
        }
        assert_eq!(breaker.recent.len(), 999);
        for _ in 0..500 {
            call(&mut breaker, at(0), Outcome::Answered);
        }
        assert_eq!(breaker.recent.len(), MOST_CALLS);
        for _ in 0..499 {
            call(&mut breaker, at(0), Outcome::Crashed);
        }
        assert!(breaker.admits(at(0)), "501 of the newest 1000 were good");
        call(&mut breaker, at(0), Outcome::Crashed);
        assert!(!breaker.admits(at(0)), "half of the newest 1000 failed, of all that were made a quarter");
    }
}
