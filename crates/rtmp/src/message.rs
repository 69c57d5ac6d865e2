//! Messages by type (RTMP 1.0 §5.4, §6, §7.1): from a [`RawMessage`] to what it says.

mod aggregate;
mod body;
mod command;
mod control;
mod outbox;

pub use aggregate::Aggregate;
pub use command::Command;
pub use control::{BandwidthLimit, UserControl};

pub(crate) use outbox::{Outbox, chunk_stream};

use crate::amf::AmfLimits;
use crate::chunk::RawMessage;
use crate::{Error, chunk};
use bytes::Bytes;

/// Message type ids.
pub mod kind {
    /// Set Chunk Size (§5.4.1).
    pub const SET_CHUNK_SIZE: u8 = 1;
    /// Abort Message (§5.4.2).
    pub const ABORT: u8 = 2;
    /// Acknowledgement (§5.4.3).
    pub const ACKNOWLEDGEMENT: u8 = 3;
    /// User Control (§6.2).
    pub const USER_CONTROL: u8 = 4;
    /// Window Acknowledgement Size (§5.4.4).
    pub const WINDOW_ACK_SIZE: u8 = 5;
    /// Set Peer Bandwidth (§5.4.5).
    pub const SET_PEER_BANDWIDTH: u8 = 6;
    /// Audio (§7.1.4).
    pub const AUDIO: u8 = 8;
    /// Video (§7.1.5).
    pub const VIDEO: u8 = 9;
    /// Data in AMF3 (§7.1.2).
    pub const DATA_AMF3: u8 = 15;
    /// Shared object in AMF3 (§7.1.3).
    pub const SHARED_OBJECT_AMF3: u8 = 16;
    /// Command in AMF3 (§7.1.1).
    pub const COMMAND_AMF3: u8 = 17;
    /// Data in AMF0 (§7.1.2).
    pub const DATA_AMF0: u8 = 18;
    /// Shared object in AMF0 (§7.1.3).
    pub const SHARED_OBJECT_AMF0: u8 = 19;
    /// Command in AMF0 (§7.1.1).
    pub const COMMAND_AMF0: u8 = 20;
    /// Aggregate (§7.1.6).
    pub const AGGREGATE: u8 = 22;
}

/// What bounds the reading of commands and data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageLimits {
    /// The longest command, and the longest metadata, in bytes.
    pub command_bytes: usize,
    /// What its values may come to.
    pub amf: AmfLimits,
}

impl Default for MessageLimits {
    fn default() -> Self {
        Self { command_bytes: 64 << 10, amf: AmfLimits::default() }
    }
}

/// What a message says.
#[derive(Debug, Clone, PartialEq)]
pub enum Message {
    /// Chunks from now on carry this payload. Whether the size is allowed is for the reader to say.
    SetChunkSize(u32),
    /// Forget the unfinished message of this chunk stream.
    Abort(u32),
    /// So many bytes were received, modulo 2³².
    Acknowledgement(u32),
    /// An event of the connection or a message stream.
    UserControl(UserControl),
    /// Acknowledge every so many bytes.
    WindowAckSize(u32),
    /// Send no more than so many bytes ahead of acknowledgement.
    SetPeerBandwidth {
        /// Bytes.
        window: u32,
        /// How binding it is.
        limit: BandwidthLimit,
    },
    /// The body of an FLV audio tag.
    Audio(Bytes),
    /// The body of an FLV video tag.
    Video(Bytes),
    /// A script message: a name and values. In AMF0, in which values may be in AMF3.
    Data(Bytes),
    /// A command.
    Command(Command),
    /// Several messages in one.
    Aggregate(Aggregate),
    /// Shared objects are not served.
    SharedObject,
    /// A type that nobody has defined.
    Unknown(u8),
}

impl Message {
    /// Reads a message by its type.
    ///
    /// # Errors
    /// A control message that is too short, a command that is too long or malformed, an aggregate that
    /// does not divide.
    pub fn decode(raw: RawMessage, limits: &MessageLimits) -> Result<Self, Error> {
        let RawMessage { header, body } = raw;
        let short = || Error::ShortControl(header.kind);
        let number = |body: &[u8]| body.first_chunk().map(|four| u32::from_be_bytes(*four));
        Ok(match header.kind {
            kind::SET_CHUNK_SIZE => Self::SetChunkSize(number(&body).ok_or_else(short)?),
            kind::ABORT => Self::Abort(number(&body).ok_or_else(short)?),
            kind::ACKNOWLEDGEMENT => Self::Acknowledgement(number(&body).ok_or_else(short)?),
            kind::USER_CONTROL => Self::UserControl(UserControl::decode(&body).ok_or_else(short)?),
            kind::WINDOW_ACK_SIZE => Self::WindowAckSize(number(&body).ok_or_else(short)?),
            kind::SET_PEER_BANDWIDTH => Self::SetPeerBandwidth {
                window: number(&body).ok_or_else(short)?,
                // librtmp and others leave the limit type out at times.
                limit: BandwidthLimit::from_wire(body.get(4).copied()),
            },
            kind::AUDIO => Self::Audio(body),
            kind::VIDEO => Self::Video(body),
            kind::DATA_AMF0 => Self::Data(body),
            kind::COMMAND_AMF0 | kind::COMMAND_AMF3 => {
                Self::Command(Command::decode(header.kind, &body, limits)?)
            }
            kind::DATA_AMF3 => Self::Data(body::data(body, limits.amf)),
            kind::AGGREGATE => Self::Aggregate(Aggregate::new(header, body)),
            kind::SHARED_OBJECT_AMF0 | kind::SHARED_OBJECT_AMF3 => Self::SharedObject,
            other => Self::Unknown(other),
        })
    }
}

/// The header of a message of the connection's own chunk stream for control messages.
pub(crate) fn control_header(kind: u8) -> chunk::MessageHeader {
    chunk::MessageHeader { chunk_stream: chunk_stream::CONTROL, message_stream: 0, kind, timestamp: 0 }
}
