//! Signs of life: acknowledgements both ways, pings, and the deadlines of a connection.

use super::config::ServerConfig;
use crate::message::{BandwidthLimit, Outbox, UserControl};
use jackfield_media::Mono;
use std::time::Duration;

/// A client may ask for an acknowledgement every so many bytes, but not more often. Bounds how much a
/// hostile window makes us write.
const MIN_WINDOW: u32 = 16 << 10;

/// What became of a deadline of the ping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ping {
    /// A ping was written.
    Sent,
    /// The last one was not answered in time.
    Unanswered,
}

#[derive(Debug)]
pub(super) struct Pulse {
    setup_deadline: Mono,
    idle_timeout: Duration,
    publisher_silence: Duration,
    ping_interval: Duration,
    ping_timeout: Duration,
    /// When the last byte came.
    last_input: Mono,
    /// When it was last seen that a message stream is used; before any was, when `connect` was accepted.
    last_use: Mono,
    /// When the unanswered ping was written.
    pinged: Option<Mono>,
    /// When the last ping was written, for the round trip.
    last_ping: Option<(u32, Mono)>,
    received: u64,
    /// `received` at our last acknowledgement.
    acknowledged: u64,
    /// How many bytes the client sends ahead of our acknowledgement.
    their_window: u32,
    our_window: u32,
    their_acknowledgement: Option<u32>,
}

impl Pulse {
    pub(super) fn new(config: &ServerConfig, now: Mono) -> Self {
        Self {
            setup_deadline: now.after(config.handshake_timeout),
            idle_timeout: config.idle_timeout,
            publisher_silence: config.publisher_silence,
            ping_interval: config.ping_interval,
            ping_timeout: config.ping_timeout,
            last_input: now,
            last_use: now,
            pinged: None,
            last_ping: None,
            received: 0,
            acknowledged: 0,
            their_window: config.window_bytes.max(MIN_WINDOW),
            our_window: config.window_bytes,
            their_acknowledgement: None,
        }
    }

    pub(super) fn received(&mut self, now: Mono, bytes: usize) {
        self.last_input = now;
        self.pinged = None;
        self.received += bytes as u64;
    }

    /// The moment of the last input.
    pub(super) fn now(&self) -> Mono {
        self.last_input
    }

    /// Acknowledges what was received, once it fills the client's window (RTMP 1.0 §5.4.3).
    pub(super) fn acknowledge(&mut self, outbox: &mut Outbox) {
        if self.received - self.acknowledged >= u64::from(self.their_window) {
            self.acknowledged = self.received;
            let sequence = u32::try_from(self.received & u64::from(u32::MAX)).unwrap_or_default();
            outbox.acknowledgement(sequence);
        }
    }

    pub(super) fn on_acknowledgement(&mut self, bytes: u32) {
        self.their_acknowledgement = Some(bytes);
    }

    pub(super) fn acknowledged(&self) -> Option<u32> {
        self.their_acknowledgement
    }

    pub(super) fn on_window(&mut self, window: u32) {
        self.their_window = window.max(MIN_WINDOW);
    }

    /// Obeys Set Peer Bandwidth (§5.4.5): a window of ours that changes is announced.
    pub(super) fn on_peer_bandwidth(&mut self, window: u32, limit: BandwidthLimit, outbox: &mut Outbox) {
        let window = match limit {
            BandwidthLimit::Hard => window,
            BandwidthLimit::Soft => window.min(self.our_window),
            BandwidthLimit::Dynamic => return,
        };
        if window != self.our_window {
            self.our_window = window;
            outbox.window_ack_size(window);
        }
    }

    pub(super) fn setup_deadline(&self) -> Mono {
        self.setup_deadline
    }

    /// A message stream is used, or `connect` was accepted.
    pub(super) fn used(&mut self, now: Mono) {
        self.last_use = now;
    }

    pub(super) fn idle_deadline(&self) -> Mono {
        self.last_use.after(self.idle_timeout)
    }

    pub(super) fn silence_deadline(&self, last_media: Mono) -> Mono {
        last_media.after(self.publisher_silence)
    }

    pub(super) fn ping_deadline(&self) -> Mono {
        match self.pinged {
            Some(at) => at.after(self.ping_timeout),
            None => self.last_input.after(self.ping_interval),
        }
    }

    /// Writes a ping, or finds the last one unanswered.
    pub(super) fn ping(&mut self, now: Mono, outbox: &mut Outbox) -> Ping {
        if self.pinged.is_some() {
            return Ping::Unanswered;
        }
        let stamp = u32::try_from(now.since_origin().as_millis() & u128::from(u32::MAX)).unwrap_or_default();
        self.pinged = Some(now);
        self.last_ping = Some((stamp, now));
        outbox.user_control(UserControl::PingRequest(stamp));
        Ping::Sent
    }

    /// How long the answer to the last ping took; `None` for an answer that nobody asked for.
    pub(super) fn on_pong(&mut self, stamp: u32) -> Option<Duration> {
        let (asked, at) = self.last_ping?;
        if asked != stamp {
            return None;
        }
        self.last_ping = None;
        Some(self.last_input.since(at))
    }
}
