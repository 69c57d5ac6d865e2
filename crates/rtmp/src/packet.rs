//! Media on its way to players: chunked once, shared by all viewers.
//!
//! A [`Packet`] holds a message body that is already cut into chunks. What differs between viewers, time
//! stamp and message stream, is in a small [`Head`] that each gets for himself. So a write to a viewer is
//! two slices, and no payload is copied for him.
//!
//! From 0xFFFFFF ms (4 h 39 min) on, chunk headers of type 3 repeat the time stamp (RTMP 1.0 §5.3.1.3), so
//! they differ between viewers as well; the slices are then cut at the chunk borders, still without copying.

use crate::chunk::{FullHeader, TYPE3};
use crate::message::{chunk_stream, kind};
use bytes::{BufMut, Bytes, BytesMut};
use jackfield_media::TrackKind;

/// One message for players, cut into chunks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    kind: TrackKind,
    /// Bytes of the body: less than 2²⁴.
    length: u32,
    /// Payload bytes of each chunk but the last.
    chunk: usize,
    /// The body, with a basic header of type 3 before each chunk but the first.
    chunked: Bytes,
}

/// What comes before a packet's payload for one viewer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    bytes: [u8; 16],
    len: u8,
    /// What stands between chunks if the time stamp is extended: basic header and time stamp.
    between: [u8; 5],
}

/// A time on a viewer's time line as heads carry it: modulo 2³².
#[must_use]
pub fn wire_timestamp(ms: i64) -> u32 {
    u32::try_from(ms.rem_euclid(1 << 32)).unwrap_or_default()
}

impl Packet {
    /// Cuts a message body (of an FLV tag; of data in AMF0) into chunks of 128 to 65536 bytes, as the viewer
    /// was told by Set Chunk Size. A body of one chunk is shared, a longer one copied once. `None` if the
    /// body has 2²⁴ bytes or more, which no message can carry.
    #[must_use]
    pub fn new(kind: TrackKind, body: &Bytes, chunk_size: u32) -> Option<Self> {
        let length = u32::try_from(body.len()).ok().filter(|&length| length < 1 << 24)?;
        let chunk = usize::try_from(chunk_size.clamp(128, 65_536)).ok()?;
        let chunked = if body.len() <= chunk {
            body.clone()
        } else {
            let mut chunked = BytesMut::with_capacity(body.len() + body.len() / chunk);
            for (index, piece) in body.chunks(chunk).enumerate() {
                if index > 0 {
                    chunked.put_u8(TYPE3 | chunk_stream_of(kind));
                }
                chunked.put_slice(piece);
            }
            chunked.freeze()
        };
        Some(Self { kind, length, chunk, chunked })
    }

    /// What it carries.
    #[must_use]
    pub fn kind(&self) -> TrackKind {
        self.kind
    }

    /// Bytes of the message body.
    #[must_use]
    pub fn body_len(&self) -> usize {
        usize::try_from(self.length).unwrap_or_default()
    }

    /// The head for a viewer: the time stamp on his time line (see [`wire_timestamp`]) and the message
    /// stream that he plays on.
    #[must_use]
    pub fn head(&self, timestamp: u32, message_stream: u32) -> Head {
        let chunk_stream = chunk_stream_of(self.kind);
        let kind = match self.kind {
            TrackKind::Audio => kind::AUDIO,
            TrackKind::Video => kind::VIDEO,
            TrackKind::Data => kind::DATA_AMF0,
        };
        let header = FullHeader { chunk_stream, timestamp, length: self.length, kind, message_stream };
        let (bytes, len) = header.to_wire();
        let [a, b, c, d] = timestamp.to_be_bytes();
        Head { bytes, len, between: [TYPE3 | chunk_stream, a, b, c, d] }
    }

    /// The payload that follows a head that is not [extended](Head::is_extended), shared by all viewers.
    #[must_use]
    pub fn payload(&self) -> &Bytes {
        &self.chunked
    }

    /// Bytes on the wire after this head, and with it.
    #[must_use]
    pub fn wire_len(&self, head: &Head) -> usize {
        let repeated = if head.is_extended() { 4 * self.borders() } else { 0 };
        usize::from(head.len) + self.chunked.len() + repeated
    }

    /// All that is to be written for a viewer, without the first `skip` bytes, which were written before.
    /// Never yields an empty slice. Two slices, or with an extended time stamp two for each chunk.
    pub fn slices<'a>(&'a self, head: &'a Head, skip: usize) -> impl Iterator<Item = &'a [u8]> {
        let (piece, between): (usize, &[u8]) = if head.is_extended() {
            (self.chunk + 1, &head.between)
        } else {
            // One piece, with the basic headers in it.
            (usize::MAX, &[])
        };
        let mut skip = skip;
        std::iter::once(head.as_slice())
            .chain(self.chunked.chunks(piece.min(self.chunked.len().max(1))).flat_map(move |part| {
                // All pieces but the last end with the basic header of the next chunk, which `between` repeats.
                match part.split_at_checked(piece - 1) {
                    Some((payload, _basic)) if piece == part.len() => [payload, between],
                    _ => [part, &[]],
                }
            }))
            .filter_map(move |slice| {
                let rest = slice.get(skip.min(slice.len())..)?;
                skip -= slice.len() - rest.len();
                (!rest.is_empty()).then_some(rest)
            })
    }

    /// Appends what [`slices`](Self::slices) yields as owned pieces: the head is copied, the payload shared.
    pub fn push_bytes(&self, head: &Head, out: &mut Vec<Bytes>) {
        for slice in self.slices(head, 0) {
            let shared = self.chunked.as_ptr_range().contains(&slice.as_ptr());
            out.push(if shared { self.chunked.slice_ref(slice) } else { Bytes::copy_from_slice(slice) });
        }
    }

    /// How many chunk borders there are.
    fn borders(&self) -> usize {
        self.body_len().saturating_sub(1) / self.chunk
    }
}

impl Head {
    /// Whether the time stamp is extended, so that it stands between chunks too.
    #[must_use]
    pub fn is_extended(&self) -> bool {
        self.len > 12
    }

    /// Its bytes.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }
}

/// Each kind has its chunk stream; their numbers fit in a basic header of one byte.
fn chunk_stream_of(kind: TrackKind) -> u8 {
    match kind {
        TrackKind::Audio => chunk_stream::AUDIO,
        TrackKind::Video => chunk_stream::VIDEO,
        TrackKind::Data => chunk_stream::DATA,
    }
}

#[cfg(test)]
mod tests;
