//! Chunk headers on the wire (RTMP 1.0 §5.3.1): parsing all four types, writing them.

use super::EXTENDED;

/// The longest header: basic 3, message 11, extended time stamp 4.
pub(super) const MAX_HEADER: usize = 18;

/// The two top bits of the basic header of a chunk without a message header.
pub(crate) const TYPE3: u8 = 0xc0;

/// A parsed basic header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Basic {
    /// 0 to 3.
    pub(super) format: u8,
    pub(super) chunk_stream: u32,
    /// Its length on the wire.
    pub(super) len: usize,
}

impl Basic {
    /// Parses the basic header; `None` if bytes are missing.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let (&first, rest) = bytes.split_first()?;
        let (chunk_stream, len) = match first & 0x3f {
            0 => (64 + u32::from(*rest.first()?), 2),
            1 => (64 + u32::from(*rest.first()?) + 256 * u32::from(*rest.get(1)?), 3),
            small => (u32::from(small), 1),
        };
        Some(Self { format: first >> 6, chunk_stream, len })
    }
}

/// The fields that a message header of type 0, 1 or 2 has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fields {
    /// Time stamp (type 0) or delta.
    pub(super) time: u32,
    /// Whether `time` came in the extended field.
    pub(super) extended: Option<u32>,
    /// Message length and type: types 0 and 1.
    pub(super) message: Option<(usize, u8)>,
    /// Message stream: type 0.
    pub(super) message_stream: Option<u32>,
    /// Its length on the wire, extended field included.
    pub(super) len: usize,
}

impl Fields {
    /// Parses the message header of a chunk of type 0, 1 or 2; `None` if bytes are missing.
    pub(super) fn parse(format: u8, bytes: &[u8]) -> Option<Self> {
        let mut len = match format {
            0 => 11,
            1 => 7,
            _ => 3,
        };
        let fixed = bytes.get(..len)?;
        let short = be24(fixed)?;
        let message = match fixed.get(3..7) {
            Some(part) => Some((usize::try_from(be24(part)?).ok()?, *part.get(3)?)),
            None => None,
        };
        let message_stream = match fixed.get(7..11) {
            Some(part) => Some(u32::from_le_bytes(*part.first_chunk()?)),
            None => None,
        };
        let extended = if short == EXTENDED {
            let field = be32(bytes.get(len..)?)?;
            len += 4;
            Some(field)
        } else {
            None
        };
        Some(Self { time: extended.unwrap_or(short), extended, message, message_stream, len })
    }
}

pub(super) fn be24(bytes: &[u8]) -> Option<u32> {
    let &[a, b, c] = bytes.first_chunk()?;
    Some(u32::from_be_bytes([0, a, b, c]))
}

pub(super) fn be32(bytes: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.first_chunk()?))
}

/// The three low bytes.
pub(super) fn to_be24(value: u32) -> [u8; 3] {
    let [_, a, b, c] = value.to_be_bytes();
    [a, b, c]
}

/// A header of type 0 with a basic header of one byte: all that a message needs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FullHeader {
    /// 2 to 63.
    pub(crate) chunk_stream: u8,
    pub(crate) timestamp: u32,
    /// Less than 2²⁴.
    pub(crate) length: u32,
    pub(crate) kind: u8,
    pub(crate) message_stream: u32,
}

impl FullHeader {
    /// The header's bytes and how many of them count: 12, or 16 with an extended time stamp.
    pub(crate) fn to_wire(self) -> ([u8; 16], u8) {
        let [t0, t1, t2] = to_be24(self.timestamp.min(EXTENDED));
        let [l0, l1, l2] = to_be24(self.length);
        let [s0, s1, s2, s3] = self.message_stream.to_le_bytes();
        let [e0, e1, e2, e3] = self.timestamp.to_be_bytes();
        let wire = [self.chunk_stream, t0, t1, t2, l0, l1, l2, self.kind, s0, s1, s2, s3, e0, e1, e2, e3];
        (wire, if self.timestamp >= EXTENDED { 16 } else { 12 })
    }
}
