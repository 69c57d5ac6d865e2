//! The client of RTMP and RTMPS: publishing and playing over sockets.
//!
//! [`Publication`] sends a stream, [`Playback`] receives one. Both open as many connections as redirects and
//! logins need, and give what the protocol carries: bodies of FLV tags, as they are.
//!
//! ```no_run
//! use jackfield_rtmp_client::{Connector, Options, Playback, RtmpUrl, Trust};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let connector = Connector::new(&Trust::System)?;
//! let url = RtmpUrl::parse("rtmps://example.org/live/show")?;
//! let mut playback = Playback::open(&connector, url, Options::default()).await?;
//! while let Some(message) = playback.next().await? {
//!     println!("{} at {} ms: {} bytes", message.kind, message.timestamp_ms, message.body.len());
//! }
//! # Ok(())
//! # }
//! ```
//!
//! The contract:
//! - No tasks: a stream lives in the calls to it. Whoever sends in real time waits in
//!   [`Publication::tend`], so that the server's pings are answered.
//! - Every wait has a deadline: [`Timeouts`]. Losses are mended as [`Reconnect`] says.
//! - Memory is bounded: what a server may declare by `jackfield_rtmp::Limits`, what waits to be sent by 256 KiB and a
//!   message.
//!
//! | specification | version |
//! |---|---|
//! | Adobe's Real Time Messaging Protocol | 1.0, 2012 |
//! | Enhanced RTMP | v2: capabilities are announced, bodies pass untouched |
//! | TLS | 1.2 and 1.3, by rustls |
//!
//! What it does not do: decode, RTMPT, RTMPE.

mod connect;
mod course;
mod error;
mod link;
mod opening;
mod playback;
mod publication;
mod reconnect;
mod socket;
mod tls;

pub use connect::{Connector, Timeouts};
pub use error::ClientError;
pub use jackfield_rtmp::{HandshakeChoice, RtmpUrl, UrlError};
pub use playback::{Message, Playback};
pub use publication::Publication;
pub use reconnect::Reconnect;
pub use tls::{Trust, TrustError};

/// How a stream is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Options {
    /// Which handshake to begin with.
    pub handshake: HandshakeChoice,
    /// When to try again after a loss.
    pub reconnect: Reconnect,
}

/// What a stream has carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Statistics {
    /// Messages of the stream.
    pub messages: u64,
    /// Messages that were left out around a new connection: without a key frame, or come before.
    pub left_out: u64,
    /// How often the stream went on over a new connection.
    pub reconnects: u64,
    /// Bytes from the server, on all connections, without TLS.
    pub received_bytes: u64,
    /// Bytes to the server, likewise.
    pub sent_bytes: u64,
}

impl Statistics {
    /// Adds what a connection has carried.
    fn add(&mut self, link: &link::Link) {
        let (received, sent) = link.bytes();
        self.received_bytes += received;
        self.sent_bytes += sent;
    }
}
