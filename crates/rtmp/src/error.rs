//! Why a session ends. Every rule that a peer can break has a variant of its own.

use crate::amf;
use crate::url::NameError;

/// Whose fault an end is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The peer broke a rule of the protocol or one of our limits.
    Peer,
    /// We ended it: a refusal or an orderly stop.
    Us,
}

/// Why a session ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// RTMP 1.0 §5.2.2: only version 3 is spoken here. HTTP and TLS on this port end so.
    #[error("the first byte is {0:#04x}, not RTMP version 3")]
    Version(u8),
    /// The digest of the server's S1 or S2 is wrong (client side only).
    #[error("the server's handshake digest is wrong")]
    Digest,
    /// Handshake and `connect` were not complete within their deadline.
    #[error("handshake and connect were not complete in time")]
    HandshakeTimeout,
    /// A client was connected and used no message stream for the configured time.
    #[error("the peer neither published nor played for too long")]
    Unused,
    /// A publisher sent no media for the configured time.
    #[error("the publisher sent no media for too long")]
    PublisherSilent,
    /// A ping was not answered, nor did any other byte come.
    #[error("the peer did not answer a ping")]
    PingTimeout,

    /// RTMP 1.0 §5.4.1: the chunk size is 1 to our limit.
    #[error("a chunk size of {size} is not between 1 and {limit}")]
    ChunkSize {
        /// What the peer declared.
        size: u32,
        /// The most that we allow.
        limit: u32,
    },
    /// The peer opened one chunk stream more than allowed.
    #[error("more than {0} chunk streams")]
    TooManyChunkStreams(usize),
    /// A message declares more bytes than allowed.
    #[error("a message of {size} bytes is longer than {limit}")]
    MessageTooLong {
        /// What the header declares.
        size: usize,
        /// The most that we allow.
        limit: usize,
    },
    /// All unfinished messages together hold more than allowed.
    #[error("unfinished messages hold more than {0} bytes")]
    TooMuchBuffered(usize),
    /// RTMP 1.0 §5.3.1.2: a chunk refers to a header that was never sent.
    #[error("chunk stream {0} begins with a header that refers to an earlier one")]
    NoEarlierHeader(u32),
    /// RTMP 1.0 §5.3.1.2.4: the chunks of a message after its first are of type 3.
    #[error("chunk stream {0} has a new header inside a message")]
    HeaderInsideMessage(u32),

    /// A protocol or user control message is shorter than its fields.
    #[error("a control message of type {0} is too short")]
    ShortControl(u8),
    /// An aggregate message does not divide into whole messages, or holds another aggregate.
    #[error("an aggregate message is malformed")]
    Aggregate,
    /// A command is larger than allowed.
    #[error("a command of {size} bytes is longer than {limit}")]
    CommandTooLong {
        /// Its size.
        size: usize,
        /// The most that we allow.
        limit: usize,
    },
    /// A command or data message holds malformed AMF.
    #[error("malformed AMF: {0}")]
    Amf(#[from] amf::AmfError),
    /// A command does not begin with its name and a transaction number.
    #[error("a command without name or transaction number")]
    NotACommand,
    /// A command came before `connect`.
    #[error("a command came before connect")]
    NotConnected,
    /// `connect` came twice.
    #[error("connect came twice")]
    ConnectedTwice,
    /// `connect` names an app that cannot be part of a stream key, or has a field that is unfit.
    #[error("connect was refused: {0}")]
    BadConnect(NameError),
    /// More input was handed in while an answer was awaited than may be held.
    #[error("more than {0} bytes of input are held")]
    TooMuchInput(usize),

    /// The application refused the connection.
    #[error("the connection was refused")]
    Refused,
    /// The application closed the session.
    #[error("the session was closed")]
    Closed,
}

impl Error {
    /// Whose fault it is.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Refused | Self::Closed => Fault::Us,
            _ => Fault::Peer,
        }
    }

    /// Whether it is a deadline that passed, and not a rule that was broken.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        matches!(self, Self::HandshakeTimeout | Self::Unused | Self::PublisherSilent | Self::PingTimeout)
    }

    /// Whether the same peer may do better by trying again: true for deadlines only.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.is_timeout()
    }
}
