//! What a server session is set to.

use crate::chunk::ChunkLimits;
use crate::message::MessageLimits;
use std::time::Duration;

/// Settings of a [`ServerSession`](super::ServerSession).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerConfig {
    /// Payload bytes of the chunks that we send: 128 to 65536.
    pub chunk_size: u32,
    /// The window that we announce: the client acknowledges every so many bytes.
    pub window_bytes: u32,
    /// From accepting to a whole `connect`. Bounds what a silent or slow peer holds.
    pub handshake_timeout: Duration,
    /// How long a client that is connected may neither publish nor play, nor ask to. Kept to within the ping's interval.
    pub idle_timeout: Duration,
    /// How long a publisher may send neither audio, video nor data.
    pub publisher_silence: Duration,
    /// A client that does not publish and sends nothing for this long is pinged.
    pub ping_interval: Duration,
    /// How long after a ping a first byte must come.
    pub ping_timeout: Duration,
    /// What the client may declare.
    pub limits: Limits,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            chunk_size: 4096,
            window_bytes: 2_500_000,
            handshake_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            publisher_silence: Duration::from_secs(30),
            ping_interval: Duration::from_secs(30),
            ping_timeout: Duration::from_secs(30),
            limits: Limits::default(),
        }
    }
}

/// Limits on all that a client declares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Of the chunk stream.
    pub chunk: ChunkLimits,
    /// Of commands and metadata.
    pub message: MessageLimits,
    /// Message streams that may be open at once.
    pub message_streams: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { chunk: ChunkLimits::default(), message: MessageLimits::default(), message_streams: 16 }
    }
}
