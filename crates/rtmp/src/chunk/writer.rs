//! From messages to chunks.

use super::header::to_be24;
use super::{EXTENDED, INITIAL_CHUNK_SIZE, MessageHeader};

/// Which headers a writer chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderForm {
    /// Type 0 for each message: nothing to remember, and nothing that readers disagree about.
    Full,
    /// The shortest that the last message of the same chunk stream allows.
    Shortest,
}

/// Cuts messages into chunks. One per direction of a connection.
#[derive(Debug)]
pub struct ChunkWriter {
    chunk_size: usize,
    form: HeaderForm,
    last: Vec<Last>,
}

/// The last message of a chunk stream.
#[derive(Debug, Clone, Copy)]
struct Last {
    header: MessageHeader,
    length: usize,
    delta: u32,
}

/// How a message's header is written.
#[derive(Debug, Clone, Copy)]
struct Choice {
    format: u8,
    /// Time stamp or delta.
    time: u32,
}

impl ChunkWriter {
    /// A writer with the chunk size that every connection begins with.
    #[must_use]
    pub fn new(form: HeaderForm) -> Self {
        Self { chunk_size: INITIAL_CHUNK_SIZE as usize, form, last: Vec::new() }
    }

    /// From the next message on, chunks have this payload. The caller has told the peer.
    pub fn set_chunk_size(&mut self, size: u32) {
        self.chunk_size = usize::try_from(size.max(1)).unwrap_or(usize::MAX);
    }

    /// Appends a message to `out`. A body of 2²⁴ bytes or more cannot be written and must not be given.
    pub fn write(&mut self, header: MessageHeader, body: &[u8], out: &mut Vec<u8>) {
        debug_assert!(body.len() < 1 << 24, "a message's length has 24 bits");
        let choice = self.choose(header, body.len());
        let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
        out.reserve(18 + body.len() + body.len() / self.chunk_size * 7);
        basic(choice.format, header.chunk_stream, out);
        if choice.format < 3 {
            out.extend_from_slice(&to_be24(choice.time.min(EXTENDED)));
        }
        if choice.format < 2 {
            out.extend_from_slice(&to_be24(length));
            out.push(header.kind);
        }
        if choice.format == 0 {
            out.extend_from_slice(&header.message_stream.to_le_bytes());
        }
        let extended = (choice.time >= EXTENDED).then(|| choice.time.to_be_bytes());
        out.extend_from_slice(extended.as_ref().map_or(&[], |e| e));
        for (index, piece) in body.chunks(self.chunk_size).enumerate() {
            if index > 0 {
                basic(3, header.chunk_stream, out);
                out.extend_from_slice(extended.as_ref().map_or(&[], |e| e));
            }
            out.extend_from_slice(piece);
        }
    }

    fn choose(&mut self, header: MessageHeader, length: usize) -> Choice {
        let full = Choice { format: 0, time: header.timestamp };
        if self.form == HeaderForm::Full {
            return full;
        }
        let Some(last) = self.last.iter_mut().find(|l| l.header.chunk_stream == header.chunk_stream) else {
            self.last.push(Last { header, length, delta: header.timestamp });
            return full;
        };
        let before = *last;
        let delta = header.timestamp.wrapping_sub(before.header.timestamp);
        // A step back or of hours is told in full: readers disagree about what stands in an extended delta.
        let choice = if before.header.message_stream != header.message_stream || delta >= EXTENDED {
            full
        } else if before.length != length || before.header.kind != header.kind {
            Choice { format: 1, time: delta }
        } else if before.delta != delta {
            Choice { format: 2, time: delta }
        } else {
            Choice { format: 3, time: delta }
        };
        *last = Last { header, length, delta: choice.time };
        choice
    }
}

/// Appends a basic header (RTMP 1.0 §5.3.1.1).
fn basic(format: u8, chunk_stream: u32, out: &mut Vec<u8>) {
    let format = format << 6;
    let low = |value: u32| value.to_le_bytes();
    match chunk_stream {
        0..64 => out.push(format | low(chunk_stream)[0]),
        64..320 => out.extend_from_slice(&[format, low(chunk_stream - 64)[0]]),
        _ => {
            let [a, b, ..] = low(chunk_stream - 64);
            out.extend_from_slice(&[format | 1, a, b]);
        }
    }
}
