//! What the service is set to.

use jackfield_net::ListenAddr;
use jackfield_net::proxy::Networks;
use jackfield_net::tls::ServerTls;
use jackfield_rtmp::ServerConfig;
use std::time::Duration;

/// Settings of an [`RtmpServer`](crate::RtmpServer).
#[derive(Debug, Clone)]
pub struct RtmpConfig {
    /// Where to listen for clear text.
    pub listen: Vec<ListenAddr>,
    /// Where to listen for TLS, and the settings of each listener.
    pub listen_tls: Vec<(ListenAddr, ServerTls)>,
    /// Chunk size, deadlines and limits of each session.
    pub session: ServerConfig,
    /// Peers whose PROXY header is believed.
    pub trusted_proxies: Networks,
    /// What may be held of a publisher while it is asked about.
    pub hold: HoldLimits,
    /// How long a client has to read its refusal or farewell before the socket is closed.
    pub linger: Duration,
    /// Where the time stamps of players begin.
    pub play_clock: PlayClock,
}

impl Default for RtmpConfig {
    fn default() -> Self {
        Self {
            listen: Vec::new(),
            listen_tls: Vec::new(),
            session: ServerConfig::default(),
            trusted_proxies: Networks::default(),
            hold: HoldLimits::default(),
            linger: Duration::from_secs(1),
            play_clock: PlayClock::default(),
        }
    }
}

/// Bounds on what is held of a publisher before the gate has answered. The group of pictures that begins
/// first is held, and no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HoldLimits {
    /// Bytes in memory.
    pub bytes: usize,
    /// Media time.
    pub span: Duration,
}

impl Default for HoldLimits {
    fn default() -> Self {
        Self { bytes: 4 << 20, span: Duration::from_secs(3) }
    }
}

/// Where the time stamps of players begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PlayClock {
    /// At 0, with the first frame that each gets.
    #[default]
    Own,
    /// Wherever the stream is.
    Stream,
}
