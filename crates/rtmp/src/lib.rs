//! RTMP as a state machine without sockets, clocks or randomness.
//!
//! [`ServerSession`] is one connection. Its owner feeds it bytes and the time, and does what it says:
//!
//! ```
//! # use jackfield_media::Mono;
//! # use jackfield_rtmp::{Event, Output, ServerConfig, ServerSession};
//! # let now = Mono::ZERO;
//! # let read = || bytes::Bytes::from_static(b"GET / HTTP/1.1\r\n");
//! # let write = |_bytes: bytes::Bytes| {};
//! let mut session = ServerSession::new(ServerConfig::default(), 42, now);
//! session.handle_input(now, read());
//! while let Some(output) = session.poll_output() {
//!     match output {
//!         Output::Write(bytes) => write(bytes),
//!         Output::Event(Event::Connect(_)) => session.accept_connect().expect("it has just asked"),
//!         Output::Event(_) => {}
//!         Output::Closed(error) => {
//!             assert_eq!(error.to_string(), "the first byte is 0x47, not RTMP version 3");
//!         }
//!     }
//! }
//! // Then wait for input or for `poll_timeout()`, whichever comes first.
//! assert_eq!(session.poll_timeout(), None);
//! ```
//!
//! The contract:
//! - Call [`poll_output`](ServerSession::poll_output) until it is `None` after each other call. Replies that
//!   belong together come as one [`Output::Write`].
//! - `connect`, `publish` and `play` are questions. Nothing that tells success is written before the
//!   application's answer, and nothing at all of an answer that comes after the client has left.
//! - After [`Output::Closed`] nothing comes any more. No input panics; memory stays within
//!   [`Limits`].
//! - Media to players does not pass through the session: [`Packet`] cuts a message into chunks once for
//!   all viewers, and makes each viewer's head.
//!
//! [`ClientSession`] is the other side, driven in the same way; [`StreamSession`] publishes or plays one stream with
//! it, with deadlines, and [`Approach`] knows which connections it takes to get there.
//!
//! | specification | version |
//! |---|---|
//! | Adobe's Real Time Messaging Protocol | 1.0, 2012 |
//! | Action Message Format AMF0 | 2007 |
//! | Action Message Format AMF3, reading | 2013 |
//! | Enhanced RTMP, as far as `connect` and the request to reconnect go | v2, 2025 |
//! | Video File Format Specification (FLV), as far as aggregates go | 10.1, 2010 |
//! | digest handshake | as Flash Player 9 and later speak it |
//!
//! What it does not do: writing AMF3, RTMPE, RTMPT, shared objects, recorded streams; it looks into no codec.

pub mod amf;
mod amf3;
mod capabilities;
pub mod chunk;
mod client;
mod error;
pub mod handshake;
mod input;
pub mod message;
mod packet;
mod session;
pub mod url;

pub use capabilities::Capabilities;
pub use client::{
    Announce, Approach, ApproachError, Awaited, ClientConfig, ClientEvent, ClientSession, Credentials,
    HandshakeChoice, LoginError, Next, Purpose, RtmpUrl, Scheme, StreamConfig, StreamEnd, StreamEvent,
    StreamOutput, StreamSession, UrlError,
};
pub use error::{Error, Fault};
pub use input::Input;
pub use packet::{Head, Packet, wire_timestamp};
pub use session::{
    Connect, Counters, Event, Level, Limits, Output, Play, PlayEnd, Publish, PublishKind, Refusal, Reset,
    ServerConfig, ServerSession, Status, Withdrawn, status,
};
