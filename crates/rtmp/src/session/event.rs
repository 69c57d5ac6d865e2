//! What a server session hands out.

use crate::amf::Object;
use crate::handshake::HandshakeKind;
use crate::{Capabilities, Error, session::Status};
use bytes::Bytes;
use jackfield_media::{StreamKey, Text, TrackKind};
use std::time::Duration;

/// What the owner of the session must do.
#[derive(Debug, Clone, PartialEq)]
pub enum Output<E = Event> {
    /// Write these bytes, in one write if the socket takes them.
    Write(Bytes),
    /// Something happened.
    Event(E),
    /// The session is over and this is its last output: write what came before, then shut the sending
    /// side down in an orderly way, so that the client can read its refusal.
    Closed(Error),
}

/// What a client did. Ids of message streams are those that the client was given. After
/// [`Unpublish`](Self::Unpublish) or [`StopPlay`](Self::StopPlay) an open question of that message stream
/// is void, and its id may come again.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The handshake is complete.
    HandshakeDone(HandshakeKind),
    /// A question: may it connect? Answer with `accept_connect` or `reject_connect`.
    Connect(Box<Connect>),
    /// A question: may it publish? Answer with `accept_publish` or `reject_publish`. Media may come
    /// before the answer.
    Publish(Publish),
    /// A question: may it play? Answer with `accept_play` or `reject_play`.
    Play(Play),
    /// A name was refused before anybody was asked; the client has been told.
    Refused(Refusal),
    /// Audio or video of a publisher.
    Media {
        /// The message stream.
        message_stream: u32,
        /// Audio or video.
        kind: TrackKind,
        /// Milliseconds, unwrapped: may jump as the publisher's clock does, but does not wrap.
        timestamp: i64,
        /// The body of an FLV tag; never empty.
        body: Bytes,
    },
    /// `onMetaData` of a publisher, cleaned. Replaces what came before; empty means none any more.
    Metadata {
        /// The message stream.
        message_stream: u32,
        /// As for media.
        timestamp: i64,
        /// The properties that were kept.
        properties: Object,
        /// `onMetaData` and an ECMA array of these properties: a data message for players.
        body: Bytes,
    },
    /// Any other data message of a publisher, without `@setDataFrame`.
    Data {
        /// The message stream.
        message_stream: u32,
        /// As for media.
        timestamp: i64,
        /// Its values in AMF0.
        body: Bytes,
    },
    /// A publisher stopped, or took its question back: FCUnpublish, closeStream or deleteStream.
    Unpublish {
        /// The message stream.
        message_stream: u32,
    },
    /// A player stopped, or took its question back.
    StopPlay {
        /// The message stream.
        message_stream: u32,
    },
    /// A player paused or went on; it has been told that it did.
    Pause {
        /// The message stream.
        message_stream: u32,
        /// Whether media is to be held back.
        paused: bool,
    },
    /// A player wants one kind of media, or no more of it.
    Receive {
        /// The message stream.
        message_stream: u32,
        /// Audio or video.
        kind: TrackKind,
        /// Whether it wants it.
        wanted: bool,
    },
    /// A player told how much it buffers.
    BufferLength {
        /// The message stream.
        message_stream: u32,
        /// The length.
        length: Duration,
    },
    /// A ping was answered.
    Pong {
        /// How long after it was handed out.
        after: Duration,
    },
}

/// What `connect` says. All texts are free of control characters and at most 8 KiB long; they are not
/// trustworthy otherwise.
#[derive(Debug, Clone, PartialEq)]
pub struct Connect {
    /// The app with its instance, decoded, without query: `live`, `live/instance`.
    pub app: Text,
    /// The URL as the client put it together.
    pub tc_url: Text,
    /// The query of the app, or else that of `tc_url`; not decoded.
    pub query: Text,
    /// The query's parameter `vhost`.
    pub vhost: Option<Text>,
    /// The page that holds the player.
    pub page_url: Text,
    /// The player.
    pub swf_url: Text,
    /// The client's name and version.
    pub flash_ver: Text,
    /// 0 (AMF0) or 3 (AMF3) as asked for. Both are read; what is written is AMF0.
    pub object_encoding: u8,
    /// What it can take; [`Capabilities::has_announced`] says whether it told.
    pub capabilities: Capabilities,
    /// All properties, for what is not listed here.
    pub properties: Object,
}

/// What a publisher asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publish {
    /// The message stream.
    pub message_stream: u32,
    /// App and name, validated.
    pub key: StreamKey,
    /// The name, decoded, without query.
    pub name: Text,
    /// The name's query, and that of `connect` after it; not decoded.
    pub query: Text,
    /// What the publisher wants done with it.
    pub kind: PublishKind,
}

/// RTMP 1.0 §7.2.2.6.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PublishKind {
    /// Without recording.
    Live,
    /// Recorded to a new file.
    Record,
    /// Recorded to the end of a file.
    Append,
}

impl PublishKind {
    /// `live`, `record` or `append`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Record => "record",
            Self::Append => "append",
        }
    }
}

/// What a player asks (RTMP 1.0 §7.2.2.1).
#[derive(Debug, Clone, PartialEq)]
pub struct Play {
    /// The message stream.
    pub message_stream: u32,
    /// App and name, validated.
    pub key: StreamKey,
    /// The name, decoded, without query.
    pub name: Text,
    /// The name's query, and that of `connect` after it; not decoded.
    pub query: Text,
    /// Where to begin: -2 live or recorded, -1 live, from 0 on a position in a recording. In seconds by
    /// the specification, in milliseconds in what most clients send.
    pub start: f64,
    /// For how long, in the same unit; -1 to the end.
    pub duration: f64,
    /// What becomes of an earlier playlist.
    pub reset: Reset,
}

/// What a `play` does to an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reset {
    /// It takes its place.
    Replace,
    /// It follows it.
    Append,
}

/// A request that was refused before the application was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The message stream.
    pub message_stream: u32,
    /// What the client was told.
    pub status: Status,
}

/// What was received and left out of account.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Media and data on message streams that do not publish, and empty media.
    pub ignored_media: u64,
    /// Data messages of a publisher that no player of AMF0 could read: AMF3 that AMF0 cannot tell.
    pub unreadable_data: u64,
    /// Shared object messages.
    pub shared_objects: u64,
    /// Messages of an unknown type.
    pub unknown_messages: u64,
    /// Commands that were not understood.
    pub unknown_commands: u64,
}
