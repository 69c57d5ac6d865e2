//! FLV files (10.1 §E.2, §E.3, §E.4.1): read as they arrive, and written.

use super::FlvError;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use jackfield_media::TrackKind;

/// Bytes of a tag before its body.
const TAG_HEADER_BYTES: usize = 11;
const TAG_HEADER: u32 = 11;
const SIZE_BYTES: usize = 4;
const AUDIO: u8 = 8;
const VIDEO: u8 = 9;
const SCRIPT: u8 = 18;
/// The largest header that is believed; writers use 9.
const MAX_HEADER_BYTES: usize = 1024;

/// One tag of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    /// Audio, video, or data for script data.
    pub kind: TrackKind,
    /// Milliseconds.
    pub timestamp_ms: u32,
    /// The tag's body: what an RTMP message of this kind has as its payload.
    pub body: Bytes,
}

/// Reads a file piece by piece. Memory is bounded by one tag, 16 MiB, and what was pushed.
#[derive(Debug, Default)]
pub struct TagReader {
    input: BytesMut,
    header_read: bool,
}

impl TagReader {
    /// Appends what was read.
    pub fn push(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
    }

    /// The next tag; `None` if more input is needed.
    ///
    /// # Errors
    /// When this is no FLV file, or a broken one: there is no way on.
    pub fn next_tag(&mut self) -> Result<Option<Tag>, FlvError> {
        if !self.header_read {
            let Some(length) = header_length(&self.input)? else {
                return Ok(None);
            };
            self.input.advance(length);
            self.header_read = true;
        }
        let Some(header) = self.input.first_chunk::<TAG_HEADER_BYTES>() else {
            return Ok(None);
        };
        let &[tag_type, s2, s1, s0, t2, t1, t0, t3, ..] = header;
        let kind = match tag_type {
            AUDIO => TrackKind::Audio,
            VIDEO => TrackKind::Video,
            SCRIPT => TrackKind::Data,
            other => return Err(FlvError::TagType(other)),
        };
        let size = u32::from_be_bytes([0, s2, s1, s0]);
        let real = size + TAG_HEADER;
        let whole = real as usize + SIZE_BYTES;
        if self.input.len() < whole {
            return Ok(None);
        }
        let mut tag = self.input.split_to(whole).freeze();
        tag.advance(TAG_HEADER_BYTES);
        let body = tag.split_to(size as usize);
        let told = tag.get_u32();
        // Some writers leave it 0; it is of use to nobody who reads forward.
        if told != real && told != 0 {
            return Err(FlvError::TagSize { told, real });
        }
        Ok(Some(Tag { kind, timestamp_ms: u32::from_be_bytes([t3, t2, t1, t0]), body }))
    }
}

/// Bytes of the header and the size after it; `None` if they are not there yet.
fn header_length(input: &[u8]) -> Result<Option<usize>, FlvError> {
    let magic = input.get(..4.min(input.len())).unwrap_or_default();
    if !b"FLV\x01".starts_with(magic) {
        return Err(FlvError::NotFlv);
    }
    let Some(&[_, _, _, _, _, d, c, b, a]) = input.first_chunk::<9>() else {
        return Ok(None);
    };
    let length = u32::from_be_bytes([d, c, b, a]) as usize;
    if !(9..=MAX_HEADER_BYTES).contains(&length) {
        return Err(FlvError::NotFlv);
    }
    Ok((input.len() >= length + SIZE_BYTES).then_some(length + SIZE_BYTES))
}

/// Appends a file's header; `kinds` are the kinds of tracks that will come.
pub fn write_header(out: &mut BytesMut, kinds: &[TrackKind]) {
    let mut flags = 0;
    if kinds.contains(&TrackKind::Audio) {
        flags |= 0x04;
    }
    if kinds.contains(&TrackKind::Video) {
        flags |= 0x01;
    }
    out.put_slice(&[b'F', b'L', b'V', 1, flags, 0, 0, 0, 9, 0, 0, 0, 0]);
}

/// Appends a tag. A body of more than 16 MiB less one byte has no place in FLV and is left out.
pub fn write_tag(out: &mut BytesMut, tag: &Tag) {
    let Some(size) = u32::try_from(tag.body.len()).ok().filter(|size| *size < 1 << 24) else {
        return;
    };
    let [_, s2, s1, s0] = size.to_be_bytes();
    let [t3, t2, t1, t0] = tag.timestamp_ms.to_be_bytes();
    let tag_type = match tag.kind {
        TrackKind::Audio => AUDIO,
        TrackKind::Video => VIDEO,
        TrackKind::Data => SCRIPT,
    };
    out.put_slice(&[tag_type, s2, s1, s0, t2, t1, t0, t3, 0, 0, 0]);
    out.put_slice(&tag.body);
    out.put_u32(size + TAG_HEADER);
}
