//! The chunk stream (RTMP 1.0 §5.3): messages are cut into chunks, so that several can be under way
//! at once. [`ChunkReader`] puts them together again, [`ChunkWriter`] cuts them.

mod header;
mod reader;
mod writer;

pub use reader::ChunkReader;
pub use writer::{ChunkWriter, HeaderForm};

pub(crate) use header::{FullHeader, TYPE3};

use bytes::Bytes;

/// The chunk size before anything is negotiated (RTMP 1.0 §5.4.1).
pub const INITIAL_CHUNK_SIZE: u32 = 128;

/// Time stamps from here on stand in the extended field (RTMP 1.0 §5.3.1.3).
pub(crate) const EXTENDED: u32 = 0xff_ffff;

/// What a message carries besides its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageHeader {
    /// The chunk stream that it came on or goes out on: 2 to 65599.
    pub chunk_stream: u32,
    /// The message stream that it belongs to; 0 is the connection.
    pub message_stream: u32,
    /// The message type (RTMP 1.0 §5.4 and §7.1).
    pub kind: u8,
    /// Milliseconds, modulo 2³².
    pub timestamp: u32,
}

/// A whole message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawMessage {
    /// Its header.
    pub header: MessageHeader,
    /// Its body.
    pub body: Bytes,
}

/// What the reader bears from its peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkLimits {
    /// The largest chunk size that the peer may set, in bytes. Bounds nothing by itself, but no
    /// encoder needs more.
    pub chunk_size: u32,
    /// The longest message, in bytes.
    pub message_bytes: usize,
    /// The number of chunk streams. Bounds the state that one-byte chunks can make us keep.
    pub chunk_streams: usize,
    /// Bytes that all unfinished messages together may hold. Must exceed `message_bytes`, or a message
    /// of that length cannot be received.
    pub buffered_bytes: usize,
}

impl Default for ChunkLimits {
    fn default() -> Self {
        Self { chunk_size: 1 << 20, message_bytes: 16 << 20, chunk_streams: 64, buffered_bytes: 20 << 20 }
    }
}

#[cfg(test)]
mod tests;
