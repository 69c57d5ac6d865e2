//! The receiving side of a socket: one buffer that grows with what comes.

use bytes::{Bytes, BytesMut};
use std::io;
use tokio::net::TcpStream;

/// What a buffer begins with: room for a handshake. Most connections are players, who send little.
const LEAST: usize = 4 << 10;
/// What it grows to: a read of a publisher's key frame.
const MOST: usize = 64 << 10;

/// What a read gave.
#[derive(Debug)]
pub(crate) enum Read {
    /// Bytes; slices of them may be kept.
    Some(Bytes),
    /// Nothing waits.
    Nothing,
    /// The peer sends no more.
    End,
}

/// One connection's buffer.
#[derive(Debug)]
pub(crate) struct ReadBuffer {
    buffer: BytesMut,
    size: usize,
}

impl ReadBuffer {
    pub(crate) fn new() -> Self {
        Self { buffer: BytesMut::new(), size: LEAST }
    }

    /// Reads once, without waiting.
    pub(crate) fn read(&mut self, stream: &TcpStream) -> io::Result<Read> {
        if self.buffer.capacity() - self.buffer.len() < LEAST / 4 {
            self.buffer.reserve(self.size);
        }
        let room = self.buffer.capacity() - self.buffer.len();
        match stream.try_read_buf(&mut self.buffer) {
            Ok(0) => Ok(Read::End),
            Ok(count) => {
                let bytes = self.buffer.split().freeze();
                if count >= room {
                    self.size = (self.size * 2).min(MOST);
                } else if self.size == LEAST {
                    // Players say little and seldom: what is left of the buffer would only be held.
                    self.buffer = BytesMut::new();
                }
                Ok(Read::Some(bytes))
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                Ok(Read::Nothing)
            }
            Err(error) => Err(error),
        }
    }
}
