//! A hook as it goes over the wire: how it is configured, and how it fares.

use super::control::ConfiguredHook;
use crate::control::Stopping;
use crate::deliveries::view::millis;
use crate::deps::Api;
use crate::query::rfc3339;
use jackfield_dispatch::{HookRecord, HookStatus, Lag, TransportCounters};
use jackfield_hooks::{BreakerState, DisabledBy, Outcome};
use jackfield_media::UnixTime;
use jackfield_runtime::clock;
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::time::Duration;
use utoipa::ToSchema;

/// A hook.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Hook)]
pub(super) struct HookView {
    /// Its name.
    name: String,
    /// What its place among the events is kept by.
    id: String,
    /// The events that it wants.
    on: Vec<&'static str>,
    /// Globs of the streams that it is about; none for all.
    streams: Vec<String>,
    /// `notify` or `decide`.
    mode: &'static str,
    /// What it calls.
    handler: HandlerView,
    /// Where it comes from: `file`, `flag` or `api`.
    origin: &'static str,
    /// Whether it is called.
    enabled: bool,
    /// Who disabled it: `handler`, which wanted no more events (HTTP 410), or `operator`.
    disabled_by: Option<&'static str>,
    /// `ok`, `disabled`, `breaker_open`, `half_open` or `full`.
    state: &'static str,
    /// Notices and questions that wait.
    waiting: usize,
    /// Calls that run.
    running: usize,
    /// Notices that may wait.
    queue: usize,
    /// How far it is behind the events; null if events are not kept.
    lag: Option<LagView>,
    /// How its calls ended, by outcome.
    outcomes: BTreeMap<&'static str, u64>,
    /// What it decided.
    decisions: Decisions,
    /// Questions that went on in spite of its failure, by its policy.
    failopens: u64,
    /// Further tries of notices.
    retried: u64,
    /// Notices that were given up.
    lost: u64,
    /// Notices that a full queue dropped.
    dropped: u64,
    /// Workers that were started in the place of one that failed.
    restarts: u64,
    /// How long its calls take.
    latency: LatencyView,
    /// Its last failure.
    last_error: Option<LastErrorView>,
    /// Every key that it has, secrets masked.
    settings: Map<String, Value>,
}

/// What a hook calls.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Handler)]
struct HandlerView {
    /// `run`, `worker`, `url` or `stdio`.
    r#type: &'static str,
    /// Program and arguments, URL, or stream; secrets masked.
    target: String,
}

/// How far a hook is behind the events.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Lag)]
struct LagView {
    /// Places among the events that it has not done with.
    events: u64,
    /// Age of the oldest of them in seconds, as far as it is known.
    seconds: Option<f64>,
}

/// What a hook decided.
#[derive(Debug, Default, Serialize, ToSchema)]
struct Decisions {
    pass: u64,
    allow: u64,
    deny: u64,
    replace: u64,
}

/// How long calls take.
#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(as = HookLatency)]
struct LatencyView {
    /// Until they are sent.
    queue: Quantiles,
    /// To reach the handler.
    connect: Quantiles,
    /// From then to the end.
    handler: Quantiles,
}

/// Half of all, and all but one of a hundred, take no longer than this; null before there is one.
#[derive(Debug, Default, Serialize, ToSchema)]
struct Quantiles {
    p50_ms: Option<f64>,
    p99_ms: Option<f64>,
}

/// A hook's last failure.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LastError)]
struct LastErrorView {
    /// When.
    at: String,
    /// How the call ended.
    outcome: &'static str,
    /// What the failure says of itself.
    detail: String,
}

/// All hooks in the order of chains.
pub(super) async fn all(api: &Api) -> Result<Vec<HookView>, Stopping> {
    let configured = api.deps.control.hooks().await?;
    let engine = Engine::now(api);
    Ok(configured.into_iter().map(|hook| HookView::of(hook, &engine)).collect())
}

/// What the engine says of its hooks, each list in the same order.
struct Engine {
    status: Vec<HookStatus>,
    records: Vec<HookRecord>,
    counters: Vec<TransportCounters>,
    lag: Vec<Lag>,
    now: UnixTime,
}

impl Engine {
    fn now(api: &Api) -> Self {
        let dispatch = &api.deps.dispatch;
        Self {
            status: dispatch.status(),
            records: dispatch.hook_records(),
            counters: dispatch.transport_counters(),
            lag: dispatch.lag(),
            now: clock::unix_now(),
        }
    }
}

impl HookView {
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    fn of(hook: ConfiguredHook, engine: &Engine) -> Self {
        let place = engine.status.iter().position(|status| *status.name == *hook.name);
        let status = place.and_then(|place| engine.status.get(place));
        let counters = place.and_then(|place| engine.counters.get(place)).copied().unwrap_or_default();
        let record = engine.records.iter().find(|record| *record.name == *hook.name);
        let lag = engine.lag.iter().find(|lag| *lag.hook == *hook.name);
        let tally = status.map(|status| &status.tally);
        let count = |of: fn(&jackfield_hooks::Tally) -> u64| tally.map_or(0, of);
        let outcomes = |tally| {
            Outcome::ALL
                .iter()
                .map(|outcome| (outcome.as_str(), jackfield_hooks::Tally::outcome(tally, *outcome)))
                .collect()
        };
        let disabled = status.and_then(|status| status.disabled);
        Self {
            state: status.map_or("ok", |status| state(status, hook.queue)),
            enabled: disabled.is_none(),
            disabled_by: disabled.map(|by| match by {
                DisabledBy::Handler => "handler",
                DisabledBy::Operator => "operator",
            }),
            waiting: status.map_or(0, |status| status.queued + status.beside + status.asking),
            running: status.map_or(0, |status| status.notices_running + status.questions_running),
            lag: lag.map(|lag| LagView {
                events: lag.events,
                seconds: lag.oldest.map(|oldest| since(oldest, engine.now).as_secs_f64()),
            }),
            outcomes: tally.map(outcomes).unwrap_or_default(),
            decisions: Decisions {
                pass: count(|tally| tally.passed),
                allow: count(|tally| tally.allowed),
                deny: count(|tally| tally.denied),
                replace: count(|tally| tally.replaced),
            },
            failopens: count(|tally| tally.failopens),
            retried: count(|tally| tally.retried),
            lost: count(|tally| tally.lost),
            dropped: count(|tally| tally.dropped),
            restarts: counters.restarts,
            latency: record.map(latency).unwrap_or_default(),
            last_error: record.and_then(|record| record.last_error.as_ref()).map(|error| LastErrorView {
                at: rfc3339(error.at),
                outcome: error.outcome.as_str(),
                detail: error.detail.to_string(),
            }),
            name: hook.name,
            id: hook.id,
            on: hook.on,
            streams: hook.streams,
            mode: hook.mode.as_str(),
            handler: HandlerView { r#type: hook.handler.as_str(), target: hook.target },
            origin: hook.origin.as_str(),
            queue: hook.queue,
            settings: hook.settings,
        }
    }
}

fn state(status: &HookStatus, queue: usize) -> &'static str {
    match status.breaker {
        _ if status.disabled.is_some() => "disabled",
        BreakerState::Open { .. } => "breaker_open",
        BreakerState::HalfOpen => "half_open",
        BreakerState::Closed if status.queued >= queue || status.asking >= queue => "full",
        BreakerState::Closed => "ok",
    }
}

fn latency(record: &HookRecord) -> LatencyView {
    let quantiles = |histogram: &jackfield_dispatch::Histogram| Quantiles {
        p50_ms: histogram.quantile(0.5).map(millis),
        p99_ms: histogram.quantile(0.99).map(millis),
    };
    let latency = &record.latency.recent;
    LatencyView {
        queue: quantiles(&latency.queue),
        connect: quantiles(&latency.connect),
        handler: quantiles(&latency.handler),
    }
}

fn since(then: UnixTime, now: UnixTime) -> Duration {
    Duration::from_micros(u64::try_from(now.0.saturating_sub(then.0)).unwrap_or_default())
}
