//! What happened in numbers, and the log lines that must stay few.

use jackfield_net::Seldom;
use jackfield_rtmp::Counters as SessionCounters;
use jackfield_runtime::clock;
use std::fmt::Display;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Counters of one service.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    garbage: Count,
    protocol_errors: Count,
    over_limit: Count,
    bad_proxy: Count,
    bad_tls: Count,
    malformed_media: Count,
    /// Of the connections that have ended.
    left_out: Mutex<SessionCounters>,
}

#[derive(Debug, Default)]
struct Count {
    times: AtomicU64,
    seldom: Seldom,
}

impl Count {
    /// Counts; says how often since the last line if another one is due.
    fn one(&self) -> Option<u64> {
        self.times.fetch_add(1, Ordering::Relaxed);
        self.seldom.now(clock::now())
    }

    fn so_far(&self) -> u64 {
        self.times.load(Ordering::Relaxed)
    }
}

/// Counters at one moment, each since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CountersSnapshot {
    /// Peers that did not speak RTMP: HTTP, TLS, random bytes.
    pub garbage: u64,
    /// Peers that spoke RTMP and broke a rule or limit of it.
    pub protocol_errors: u64,
    /// Connections that were closed because there were too many.
    pub over_limit: u64,
    /// Connections from trusted proxies with a bad PROXY header, or half of one.
    pub bad_proxy: u64,
    /// Connections to a TLS listener that could not agree, or spoke something else.
    pub bad_tls: u64,
    /// Media messages that were dropped because their head was cut off.
    pub malformed_media: u64,
    /// Messages that connections left out of account, told when a connection ends: shared objects, data that cannot be
    /// told in AMF0, and so on.
    pub left_out: SessionCounters,
}

impl Counters {
    pub(crate) fn snapshot(&self) -> CountersSnapshot {
        CountersSnapshot {
            garbage: self.garbage.so_far(),
            protocol_errors: self.protocol_errors.so_far(),
            over_limit: self.over_limit.so_far(),
            bad_proxy: self.bad_proxy.so_far(),
            bad_tls: self.bad_tls.so_far(),
            malformed_media: self.malformed_media.so_far(),
            left_out: *self.left_out.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }

    /// A connection has ended that left these out of account.
    pub(crate) fn left_out(&self, session: SessionCounters) {
        let SessionCounters {
            ignored_media,
            unreadable_data,
            shared_objects,
            unknown_messages,
            unknown_commands,
        } = session;
        // Empty media that keeps a connection busy, and commands of Flash, are nothing to tell of.
        if unreadable_data + shared_objects + unknown_messages > 0 {
            tracing::info!(unreadable_data, shared_objects, unknown_messages, "Messages were left out");
        }
        let mut all = self.left_out.lock().unwrap_or_else(PoisonError::into_inner);
        all.ignored_media += ignored_media;
        all.unreadable_data += unreadable_data;
        all.shared_objects += shared_objects;
        all.unknown_messages += unknown_messages;
        all.unknown_commands += unknown_commands;
    }

    pub(crate) fn garbage(&self, peer: SocketAddr, error: &impl Display) {
        if let Some(times) = self.garbage.one() {
            tracing::warn!(%peer, %error, times, "Peer does not speak RTMP");
        }
    }

    pub(crate) fn protocol_error(&self, peer: SocketAddr, error: &impl Display) {
        if let Some(times) = self.protocol_errors.one() {
            tracing::warn!(%peer, %error, times, "Peer broke the protocol");
        }
    }

    pub(crate) fn over_limit(&self, peer: SocketAddr, error: &impl Display) {
        if let Some(times) = self.over_limit.one() {
            tracing::warn!(%peer, %error, times, "Connection refused");
        }
    }

    pub(crate) fn bad_proxy(&self, peer: SocketAddr, error: &impl Display) {
        if let Some(times) = self.bad_proxy.one() {
            tracing::warn!(%peer, %error, times, "Proxy sent a bad header");
        }
    }

    pub(crate) fn bad_tls(&self, peer: SocketAddr, error: &impl Display) {
        if let Some(times) = self.bad_tls.one() {
            tracing::warn!(%peer, %error, times, "TLS handshake failed");
        }
    }

    pub(crate) fn malformed_media(&self, error: &impl Display) {
        if let Some(times) = self.malformed_media.one() {
            tracing::warn!(%error, times, "Malformed media dropped");
        }
    }
}
