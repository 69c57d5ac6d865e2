//! Which worker takes which request: places, who waits for one, and when another worker is started.
//!
//! Nothing here waits while it holds the lock; it is taken before a worker's own lock, never after.

use super::child::Worker;
use super::keeper;
use crate::Host;
use crate::flights::Flights;
use crate::output::OutputLog;
use crate::program::Prepared;
use crate::reply::failure;
use jackfield_hooks::{Failure, Outcome, Retry};
use jackfield_media::Mono;
use jackfield_runtime::{CancellationToken, clock, random};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, oneshot};

/// The wait before a worker that failed is followed by another: doubled each time, up to the last.
const FIRST_BACK_OFF: Duration = Duration::from_millis(100);
const LAST_BACK_OFF: Duration = Duration::from_secs(30);
/// A worker that lived this long was sound: the next failure counts as the first.
const SOUND_LIFE: Duration = Duration::from_secs(10);
/// A worker beyond `min` that was not asked for so long ends.
pub(super) const IDLE: Duration = Duration::from_secs(60);

/// Processes that a pool may have for each of its workers: itself, and former ones that are being ended.
const PROCESSES_PER_PLACE: usize = 4;

/// The workers of one hook.
pub(super) struct Pool {
    pub(super) program: Prepared,
    pub(super) log: Arc<OutputLog>,
    pub(super) host: Host,
    pub(super) hook: jackfield_media::Text,
    pub(super) limits: Limits,
    /// Workers that have not ended.
    pub(super) lives: Arc<Flights>,
    /// One for each process until it has ended. Without a bound, clients that ask a plain worker and leave at once would pile
    /// up workers that are being replaced for as long as those take to end.
    pub(super) places: Arc<Semaphore>,
    /// All workers are to end.
    pub(super) closing: CancellationToken,
    state: Mutex<State>,
}

/// How many of what.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) min: usize,
    pub(super) max: usize,
    pub(super) queue: usize,
    pub(super) max_requests: u64,
}

struct State {
    slots: Vec<Slot>,
    waiting: VecDeque<oneshot::Sender<Lease>>,
    /// The last failure of a worker, for callers that meet none.
    trouble: Option<Failure>,
    /// Workers that were started in the place of one that failed.
    restarts: u64,
    /// When workers that end in good order have to have ended, once the hook is drained.
    end_by: Option<Mono>,
}

/// The place of one worker.
#[derive(Clone)]
enum Slot {
    /// Nobody needs it. It failed so often in a row, and is not to be started before.
    Down {
        failures: u32,
        not_before: Mono,
    },
    /// It starts, or will at this time.
    Starting {
        failures: u32,
        at: Mono,
    },
    Up(Up),
}

#[derive(Clone)]
struct Up {
    worker: Arc<Worker>,
    since: Mono,
    failures: u32,
    in_use: usize,
    capacity: usize,
    served: u64,
    last_used: Mono,
    calling: Calling,
}

/// Whether requests go to a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Calling {
    Open,
    /// It gets no more and ends when what it has is answered.
    Closed,
}

/// A place at a worker for one request.
pub(super) struct Lease {
    pool: Arc<Pool>,
    pub(super) worker: Arc<Worker>,
}

/// How a worker's life ended.
pub(super) enum Death {
    /// As planned: it had enough requests, or was not needed any more.
    Planned,
    /// It has to be followed by another, later each time.
    Failed(Failure),
}

impl Pool {
    pub(super) fn start(
        program: Prepared,
        log: Arc<OutputLog>,
        hook: jackfield_media::Text,
        limits: Limits,
        host: Host,
    ) -> Arc<Self> {
        let slots = vec![Slot::Down { failures: 0, not_before: Mono::ZERO }; limits.max];
        let state = State { slots, waiting: VecDeque::new(), trouble: None, restarts: 0, end_by: None };
        let pool = Arc::new(Self {
            program,
            log,
            host,
            hook,
            limits,
            lives: Arc::default(),
            places: Arc::new(Semaphore::new(
                limits.max.saturating_mul(PROCESSES_PER_PLACE).min(Semaphore::MAX_PERMITS),
            )),
            closing: CancellationToken::new(),
            state: Mutex::new(state),
        });
        (0..limits.min).for_each(|slot| pool.start_slot(&mut pool.state(), slot));
        pool
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place at a worker, waiting for one if need be.
    pub(super) async fn lease(self: &Arc<Self>, deadline: Mono) -> Result<Lease, Failure> {
        let waiting = {
            let mut state = self.state();
            if let Some(lease) = self.take(&mut state) {
                return Ok(lease);
            }
            state.waiting.retain(|waiting| !waiting.is_closed());
            if state.waiting.len() >= self.limits.queue {
                return Err(overload("too many requests wait for a worker"));
            }
            let (place, waiting) = oneshot::channel();
            state.waiting.push_back(place);
            self.grow(&mut state);
            if !state.slots.iter().any(|slot| slot.may_serve_by(deadline)) {
                return Err(state.no_worker());
            }
            waiting
        };
        if let Some(Ok(lease)) = clock::until(deadline, waiting).await {
            return Ok(lease);
        }
        let state = self.state();
        let all_down = !state.slots.iter().any(|slot| matches!(slot, Slot::Up(_)));
        Err(if all_down { state.no_worker() } else { overload("no worker was free in time") })
    }

    /// The free place of the worker that has least to do, and was asked longest ago.
    fn take(self: &Arc<Self>, state: &mut State) -> Option<Lease> {
        let free = state.slots.iter_mut().filter_map(|slot| match slot {
            Slot::Up(up) if up.calling == Calling::Open && up.in_use < up.capacity => Some(up),
            _ => None,
        });
        let up = free.min_by_key(|up| (up.in_use, up.last_used))?;
        up.in_use += 1;
        up.served += 1;
        up.last_used = clock::now();
        if up.served >= self.limits.max_requests {
            up.calling = Calling::Closed;
        }
        Some(Lease { pool: Arc::clone(self), worker: Arc::clone(&up.worker) })
    }

    /// Gives free places to who waits.
    fn serve(self: &Arc<Self>) {
        loop {
            let mut state = self.state();
            while state.waiting.front().is_some_and(oneshot::Sender::is_closed) {
                state.waiting.pop_front();
            }
            if state.waiting.is_empty() {
                return;
            }
            let Some(lease) = self.take(&mut state) else {
                self.grow(&mut state);
                return;
            };
            let waiting = state.waiting.pop_front();
            drop(state);
            // Without a receiver the lease comes back and is given to the next.
            drop(waiting.map(|waiting| waiting.send(lease)));
        }
    }

    /// Starts as many workers as there are requests that wait, as far as there may be so many.
    fn grow(self: &Arc<Self>, state: &mut State) {
        let starting = state.slots.iter().filter(|slot| matches!(slot, Slot::Starting { .. })).count();
        for _ in starting..state.waiting.len() {
            let down = state.slots.iter().enumerate().filter_map(|(slot, state)| match state {
                Slot::Down { not_before, .. } => Some((*not_before, slot)),
                _ => None,
            });
            let Some((_, slot)) = down.min() else { return };
            self.start_slot(state, slot);
        }
    }

    fn start_slot(self: &Arc<Self>, state: &mut State, slot: usize) {
        let Some(place) = state.slots.get_mut(slot) else { return };
        let Slot::Down { failures, not_before } = *place else { return };
        let at = not_before.max(clock::now());
        *place = Slot::Starting { failures, at };
        self.host.tasks.spawn("hook.worker", keeper::keep(Arc::clone(self), slot, at));
    }

    /// The slot's worker runs.
    pub(super) fn up(self: &Arc<Self>, slot: usize, worker: &Arc<Worker>) {
        let mut guard = self.state();
        let state = &mut *guard;
        state.trouble = None;
        if let Some(place) = state.slots.get_mut(slot) {
            let failures = place.failures();
            state.restarts += u64::from(failures > 0);
            let now = clock::now();
            *place = Slot::Up(Up {
                worker: Arc::clone(worker),
                since: now,
                failures,
                in_use: 0,
                capacity: 1,
                served: 0,
                last_used: now,
                calling: Calling::Open,
            });
        }
        drop(guard);
        self.serve();
    }

    /// The slot's worker is over. When it is to be followed by another, and if it is at all.
    pub(super) fn down(self: &Arc<Self>, slot: usize, death: &Death) -> Option<Mono> {
        let mut state = self.state();
        let now = clock::now();
        let place = state.slots.get(slot)?;
        let failures = match (death, place) {
            (Death::Planned, _) => 0,
            // Who asked went away: that is no fault of the worker.
            (Death::Failed(why), _) if why.outcome == Outcome::Cancelled => 0,
            (Death::Failed(_), Slot::Up(up)) if now - up.since >= SOUND_LIFE => 1,
            (Death::Failed(_), place) => place.failures().saturating_add(1),
        };
        let not_before = now.after(back_off(failures));
        if let Death::Failed(failure) = death {
            state.trouble = Some(failure.clone());
        }
        let needed = slot < self.limits.min || state.waiting.iter().any(|waiting| !waiting.is_closed());
        let next = (needed && !self.closing.is_cancelled()).then_some(not_before);
        if let Some(place) = state.slots.get_mut(slot) {
            *place = match next {
                Some(at) => Slot::Starting { failures, at },
                None => Slot::Down { failures, not_before },
            };
        }
        next
    }

    /// The worker has said hello.
    pub(super) fn welcome(self: &Arc<Self>, worker: &Arc<Worker>, concurrency: usize) {
        if let Some(up) = self.state().of(worker) {
            up.capacity = concurrency;
        }
        self.serve();
    }

    /// No more requests go to this worker.
    pub(super) fn close(&self, worker: &Arc<Worker>) {
        if let Some(up) = self.state().of(worker) {
            up.calling = Calling::Closed;
        }
        worker.nudge();
    }

    /// No more requests go to any worker.
    pub(super) fn close_all(&self, end_by: Mono) {
        let mut state = self.state();
        state.end_by = Some(end_by);
        for slot in &mut state.slots {
            if let Slot::Up(up) = slot {
                up.calling = Calling::Closed;
            }
        }
        drop(state);
        self.closing.cancel();
    }

    /// Whether it may end: it gets no more requests and has none.
    pub(super) fn is_spent(&self, worker: &Arc<Worker>) -> bool {
        self.state().of(worker).is_none_or(|up| up.calling == Calling::Closed && up.in_use == 0)
    }

    /// When a worker beyond `min` has been idle for so long that it ends; closes it if that is now.
    pub(super) fn idle_at(&self, slot: usize, worker: &Arc<Worker>) -> Mono {
        let mut state = self.state();
        match state.of(worker) {
            Some(up) if slot >= self.limits.min && up.in_use == 0 => {
                let at = up.last_used.after(IDLE);
                if clock::now() >= at {
                    up.calling = Calling::Closed;
                }
                at
            }
            _ => clock::now().after(IDLE),
        }
    }

    /// When a worker that is told to end has to have ended.
    pub(super) fn end_by(&self) -> Option<Mono> {
        self.state().end_by
    }

    /// Workers that were started in the place of one that failed.
    pub(super) fn restarts(&self) -> u64 {
        self.state().restarts
    }

    fn give_back(self: &Arc<Self>, worker: &Arc<Worker>) {
        if let Some(up) = self.state().of(worker) {
            up.in_use = up.in_use.saturating_sub(1);
            if up.calling == Calling::Closed {
                worker.nudge();
            }
        }
        self.serve();
    }
}

impl State {
    fn of(&mut self, worker: &Arc<Worker>) -> Option<&mut Up> {
        self.slots.iter_mut().find_map(|slot| match slot {
            Slot::Up(up) if Arc::ptr_eq(&up.worker, worker) => Some(up),
            _ => None,
        })
    }

    fn no_worker(&self) -> Failure {
        let starting = || failure(Outcome::ConnectError, Retry::Scheduled, "no worker has started in time");
        self.trouble.clone().unwrap_or_else(starting)
    }
}

impl Slot {
    fn failures(&self) -> u32 {
        match self {
            Self::Down { failures, .. } | Self::Starting { failures, .. } => *failures,
            Self::Up(up) => up.failures,
        }
    }

    fn may_serve_by(&self, deadline: Mono) -> bool {
        match self {
            Self::Up(_) => true,
            Self::Starting { at, .. } => *at < deadline,
            Self::Down { .. } => false,
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.pool.give_back(&self.worker);
    }
}

fn overload(detail: &str) -> Failure {
    failure(Outcome::Overload, Retry::Scheduled, detail)
}

fn back_off(failures: u32) -> Duration {
    match failures.checked_sub(1) {
        None => Duration::ZERO,
        Some(doublings) => {
            let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
            random::jittered(FIRST_BACK_OFF.saturating_mul(factor).min(LAST_BACK_OFF))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_back_off_doubles_up_to_its_bound() {
        let within = |failures, base: u64| {
            let took = back_off(failures).as_millis();
            assert!(
                (u128::from(base) * 8 / 10..=u128::from(base) * 12 / 10).contains(&took),
                "{failures}: {took}"
            );
        };
        within(0, 0);
        within(1, 100);
        within(2, 200);
        within(9, 25_600);
        within(10, 30_000);
        within(u32::MAX, 30_000);
    }
}
