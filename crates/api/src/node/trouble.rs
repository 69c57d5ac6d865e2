//! What is wrong with the server, in a word for each: of its hooks, and of the log of events.

use crate::deps::Api;
use jackfield_bus::OutboxState;
use jackfield_dispatch::{HookRecord, Lag};
use jackfield_hooks::{BreakerState, HookStatus, Outcome};
use jackfield_media::UnixTime;
use jackfield_runtime::clock;
use serde::Serialize;
use std::time::Duration;
use utoipa::ToSchema;

/// How long the loop that knows the queues may take: health is asked when things are not well.
const PATIENCE: Duration = Duration::from_millis(500);
/// A hook that is so far behind is lagging.
const LAGGING: Duration = Duration::from_secs(60);
/// Workers that failed so often, and lately, loop.
const CRASHES: u64 = 3;
/// What is lately.
const LATELY: Duration = Duration::from_secs(60);

/// A hook that something is wrong with.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct HookProblem {
    /// The hook's name.
    name: String,
    /// What is wrong with it.
    problem: HookTrouble,
}

/// What can be wrong with a hook, the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum HookTrouble {
    /// It is not called: it wanted no more events, or an operator has switched it off.
    Disabled,
    /// It fails too often and is left alone for a while.
    BreakerOpen,
    /// Its workers fail again and again.
    CrashLoop,
    /// As many events or questions wait for it as may.
    QueueFull,
    /// The oldest event that waits for it is older than a minute.
    Lagging,
}

/// Whether notices are kept on disk.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct OutboxHealth {
    /// Whether they are.
    state: OutboxWord,
    /// Notices that were lost.
    lost: u64,
}

/// Whether notices are kept on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum OutboxWord {
    /// They are.
    Ok,
    /// The disk does not take them.
    Failing,
    /// The configuration says that they are not.
    Off,
}

/// The hooks with a problem.
pub(super) async fn of_hooks(api: &Api) -> Vec<HookProblem> {
    let configured = clock::until(clock::now().after(PATIENCE), api.deps.control.hooks()).await;
    let configured = configured.and_then(Result::ok).unwrap_or_default();
    let dispatch = &api.deps.dispatch;
    let (records, lags, counters) = (dispatch.hook_records(), dispatch.lag(), dispatch.transport_counters());
    let now = clock::unix_now();
    let mut problems = Vec::new();
    for (index, status) in dispatch.status().iter().enumerate() {
        let seen = Seen {
            status,
            record: records.iter().find(|record| record.name == status.name),
            lag: lags.iter().find(|lag| lag.hook == status.name),
            queue: configured.iter().find(|hook| *hook.name == *status.name).map(|hook| hook.queue),
            restarts: counters.get(index).map_or(0, |counters| counters.restarts),
        };
        let name = status.name.to_string();
        problems.extend(seen.trouble(now).map(|problem| HookProblem { name, problem }));
    }
    problems
}

/// What is known of a hook.
struct Seen<'a> {
    status: &'a HookStatus,
    record: Option<&'a HookRecord>,
    lag: Option<&'a Lag>,
    queue: Option<usize>,
    restarts: u64,
}

impl Seen<'_> {
    fn trouble(&self, now: UnixTime) -> Option<HookTrouble> {
        let status = self.status;
        let is_full = self.queue.is_some_and(|queue| status.queued >= queue || status.asking >= queue);
        let behind = self.lag.and_then(|lag| lag.oldest).map(|oldest| age(oldest, now));
        if status.disabled.is_some() {
            Some(HookTrouble::Disabled)
        } else if status.breaker != BreakerState::Closed {
            Some(HookTrouble::BreakerOpen)
        } else if self.crashes(now) {
            Some(HookTrouble::CrashLoop)
        } else if is_full {
            Some(HookTrouble::QueueFull)
        } else if behind.is_some_and(|age| age > LAGGING) {
            Some(HookTrouble::Lagging)
        } else {
            None
        }
    }

    fn crashes(&self, now: UnixTime) -> bool {
        let last = self.record.and_then(|record| record.last_error.as_ref());
        let crashed =
            last.is_some_and(|error| error.outcome == Outcome::Crashed && age(error.at, now) < LATELY);
        crashed && self.restarts >= CRASHES
    }
}

fn age(then: UnixTime, now: UnixTime) -> Duration {
    Duration::from_micros(u64::try_from(now.0.saturating_sub(then.0)).unwrap_or_default())
}

/// Whether notices are kept.
pub(super) fn of_outbox(api: &Api) -> OutboxHealth {
    let counters = api.deps.bus.outbox().map(jackfield_bus::Outbox::counters);
    OutboxHealth {
        state: match counters.map(|counters| counters.state) {
            None => OutboxWord::Off,
            Some(OutboxState::Ok) => OutboxWord::Ok,
            Some(OutboxState::Failing) => OutboxWord::Failing,
        },
        lost: counters.map_or(0, |counters| counters.lost),
    }
}
