//! What a client session hands out.

use crate::amf::Object;
use crate::handshake::HandshakeKind;
use crate::message::{Command, UserControl};
use crate::session::Status;
use bytes::Bytes;
use jackfield_media::TrackKind;

/// What a server did.
#[derive(Debug, Clone, PartialEq)]
pub enum ClientEvent {
    /// The handshake is complete, in this form; `connect` is on its way.
    HandshakeDone(HandshakeKind),
    /// `connect` was accepted.
    Connected {
        /// What the server says about itself.
        properties: Object,
    },
    /// `connect` was refused.
    Rejected(Status),
    /// `connect` was refused, and another place told: code 302 in `ex`.
    Redirected {
        /// A `tcUrl`, which may be relative. At most 8 KiB, and not looked at otherwise.
        tc_url: String,
    },
    /// The server is about to stop and asks to come again (enhanced RTMP v2, "Reconnect Request").
    ReconnectRequested {
        /// As for a redirect; absent for the same place.
        tc_url: Option<String>,
        /// For people.
        description: String,
    },
    /// `createStream` was answered.
    StreamCreated {
        /// The id of the new message stream.
        message_stream: u32,
    },
    /// An answer to [`call`](super::ClientSession::call), or to publish if the server sends one.
    Answer(Command),
    /// A call other than `connect` failed.
    Failed(Status),
    /// `onStatus`: how publishing or playing fares.
    Status {
        /// The message stream.
        message_stream: u32,
        /// What it says.
        status: Status,
    },
    /// Media of a stream that is played.
    Media {
        /// The message stream.
        message_stream: u32,
        /// Audio, video or data.
        kind: TrackKind,
        /// Milliseconds, unwrapped.
        timestamp: i64,
        /// The body of an FLV tag.
        body: Bytes,
    },
    /// A user control event other than a ping, which was answered.
    UserControl(UserControl),
    /// Any other command.
    Command {
        /// The message stream.
        message_stream: u32,
        /// The command.
        command: Command,
    },
}
