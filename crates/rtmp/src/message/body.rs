//! Where the values of commands and data begin, and in which form (RTMP 1.0 §7.1.1, §7.1.2).
//!
//! The types 17 and 15 are called AMF3, but Flash begins them with a byte 0 and goes on in AMF0, with a marker
//! before each value that is in AMF3. Some clients leave the byte out, and some write AMF3 from the first
//! byte on; the first byte tells, since the first value is always a string.

use super::kind;
use crate::amf::{AmfLimits, AmfReader};
use bytes::{Buf, Bytes};

/// The format that Flash writes first: AMF0.
const FORMAT_AMF0: u8 = 0;
/// The marker of a string in AMF3.
const STRING_AMF3: u8 = 0x06;
/// AMF0's marker before a value in AMF3.
const AVMPLUS: u8 = 0x11;

/// A reader at the first value of a command.
pub(super) fn values(kind: u8, body: &[u8], limits: AmfLimits) -> AmfReader<'_> {
    match body {
        [FORMAT_AMF0, values @ ..] if kind == kind::COMMAND_AMF3 => AmfReader::new(values, limits),
        [STRING_AMF3, ..] if kind == kind::COMMAND_AMF3 => AmfReader::amf3(body, limits),
        _ => AmfReader::new(body, limits),
    }
}

/// The values of a data message of the AMF3 type in the form of the other: AMF0 that may switch to AMF3.
pub(super) fn data(mut body: Bytes, limits: AmfLimits) -> Bytes {
    match body.first() {
        Some(&FORMAT_AMF0) => {
            body.advance(1);
            body
        }
        Some(&STRING_AMF3) => mark(&body, limits),
        _ => body,
    }
}

/// Puts AMF0's marker before each value. What cannot be read is left for the reader to meet again.
fn mark(body: &[u8], limits: AmfLimits) -> Bytes {
    let mut marked = Vec::with_capacity(body.len() + 4);
    let mut reader = AmfReader::amf3(body, limits);
    loop {
        let before = reader.rest();
        if before.is_empty() {
            return marked.into();
        }
        marked.push(AVMPLUS);
        if reader.next_value().is_err() {
            marked.extend_from_slice(before);
            return marked.into();
        }
        marked.extend_from_slice(before.get(..before.len() - reader.rest().len()).unwrap_or_default());
    }
}
