//! Everything that a scrape tells, read once from the parts of the server.

use super::process::Process;
use super::{Fault, Inner};
use jackfield_bus::{Outbox, OutboxCounters, OutboxState};
use jackfield_dispatch::{
    DeadLettersCounters, DeliveriesCounters, Dispatch, HookRecord, HookStatus, KeepCounters,
    TransportCounters,
};
use jackfield_events::Protocol;
use jackfield_hub::{Presence, StreamCounters, StreamSnapshot};
use jackfield_media::{Mono, Text, UnixTime};
use jackfield_runtime::clock;
use jackfield_sessions::ConnectionTotals;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Hooks that have metrics: a configuration with more is a mistake, or an attack by its author.
const MAX_HOOKS: usize = 1000;

/// All figures at one moment.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) node: Text,
    pub(super) uptime: Duration,
    pub(super) live: usize,
    pub(super) resumable: usize,
    pub(super) viewers: usize,
    /// Those that have metrics of their own.
    pub(super) streams: Vec<StreamSnapshot>,
    pub(super) of_streams: StreamCounters,
    pub(super) connections: Vec<(Protocol, usize)>,
    pub(super) of_connections: ConnectionTotals,
    pub(super) hooks: Vec<Hook>,
    pub(super) stray_answers: u64,
    pub(super) deliveries: DeliveriesCounters,
    pub(super) keep: KeepCounters,
    pub(super) dead_letters: DeadLettersCounters,
    pub(super) outbox: Option<OutboxCounters>,
    pub(super) faults: Vec<Fault>,
    /// Of the HTTP API, by the class of their status.
    pub(super) requests: Vec<(&'static str, u64)>,
    pub(super) open_requests: usize,
    pub(super) failed_tokens: u64,
    pub(super) process: Process,
}

/// All that is known of one hook.
#[derive(Debug)]
pub(super) struct Hook {
    pub(super) status: HookStatus,
    pub(super) record: HookRecord,
    pub(super) transport: TransportCounters,
    /// Absent if events are not kept.
    pub(super) lag: Option<Behind>,
}

/// How far a hook is behind the log.
#[derive(Debug, Clone, Copy)]
pub(super) struct Behind {
    pub(super) events: u64,
    /// Age of the oldest of them.
    pub(super) age: Duration,
}

impl Reading {
    pub(super) fn take(metrics: &Inner, now: Mono) -> Self {
        let sources = &metrics.sources;
        let streams = sources.hub.streams();
        let count =
            |wanted: fn(&Presence) -> bool| streams.iter().filter(|stream| wanted(&stream.presence)).count();
        let live = count(|presence| matches!(presence, Presence::Live { .. }));
        let resumable = count(|presence| *presence == Presence::Resumable);
        let open = sources.connections.list();
        let of = |protocol| open.iter().filter(|connection| connection.peer.protocol == protocol).count();
        Self {
            node: sources.node.clone(),
            uptime: now - metrics.started,
            live,
            resumable,
            viewers: streams.iter().map(|stream| stream.viewers).sum(),
            streams: if streams.len() > metrics.config.max_streams { Vec::new() } else { streams },
            of_streams: sources.hub.totals(),
            connections: Protocol::ALL.iter().map(|protocol| (*protocol, of(*protocol))).collect(),
            of_connections: sources.connections.totals(),
            hooks: hooks(&sources.dispatch),
            stray_answers: sources.dispatch.stray_answers(),
            deliveries: sources.dispatch.deliveries().counters(),
            keep: sources.dispatch.keep_counters(),
            dead_letters: sources.dispatch.dead_letters().counters(),
            outbox: sources.bus.outbox().map(Outbox::counters),
            faults: metrics.faults.get().map(|faults| faults()).unwrap_or_default(),
            requests: metrics.requests.answered(),
            open_requests: metrics.requests.open(),
            failed_tokens: metrics.failed_tokens.get().map_or(0, |failed| failed.load(Ordering::Relaxed)),
            process: Process::read(),
        }
    }

    pub(super) fn outbox_fails(&self) -> bool {
        self.outbox.is_some_and(|outbox| outbox.state == OutboxState::Failing)
    }
}

/// The hooks in the configured order. A reload between two of these readings may have changed them: what belongs to
/// another hook is left out.
fn hooks(dispatch: &Dispatch) -> Vec<Hook> {
    let records = dispatch.hook_records();
    let transports = dispatch.transport_counters();
    let (lags, now) = (dispatch.lag(), clock::unix_now());
    let statuses = dispatch.status().into_iter().take(MAX_HOOKS);
    let hook = |(place, status): (usize, HookStatus)| {
        let record = records.get(place).filter(|record| record.name == status.name)?.clone();
        let transport = transports.get(place).copied().unwrap_or_default();
        let lag = lags.iter().find(|lag| lag.hook == status.name);
        let age = |oldest: UnixTime| u64::try_from(now.0.saturating_sub(oldest.0)).unwrap_or_default();
        let lag = lag
            .map(|lag| Behind { events: lag.events, age: Duration::from_micros(lag.oldest.map_or(0, age)) });
        Some(Hook { status, record, transport, lag })
    };
    statuses.enumerate().filter_map(hook).collect()
}
