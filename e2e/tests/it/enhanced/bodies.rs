//! Message bodies of enhanced RTMP, made byte by byte after the specification, and those of FLV 10.1.

use bytes::Bytes;
use jackfield_e2e::rtmp::{Media, TrackKind};

/// `VideoPacketType`.
pub(super) mod video {
    pub(crate) const SEQUENCE_START: u8 = 0;
    pub(crate) const CODED_FRAMES: u8 = 1;
    pub(crate) const METADATA: u8 = 4;
    pub(crate) const MULTITRACK: u8 = 6;
    pub(crate) const MOD_EX: u8 = 7;
    pub(crate) const KEY_FRAME: u8 = 1;
    pub(crate) const INTER_FRAME: u8 = 2;
    pub(crate) const COMMAND: u8 = 5;
    pub(crate) const FOUR_CCS: [&[u8; 4]; 8] =
        [b"avc1", b"hvc1", b"vvc1", b"av01", b"vp08", b"vp09", b"hev1", b"zzzz"];
}

/// `AudioPacketType`.
pub(super) mod audio {
    pub(crate) const SEQUENCE_START: u8 = 0;
    pub(crate) const CODED_FRAMES: u8 = 1;
    pub(crate) const MULTITRACK: u8 = 5;
    pub(crate) const MOD_EX: u8 = 7;
    pub(crate) const FOUR_CCS: [&[u8; 4]; 7] =
        [b"mp4a", b"Opus", b"fLaC", b"ac-3", b"ec-3", b".mp3", b"zzzz"];
}

/// A message, and what it is for whoever reads that it did not come.
#[derive(Debug, Clone)]
pub(super) struct Tag {
    pub what: String,
    pub kind: TrackKind,
    pub body: Vec<u8>,
}

impl Tag {
    pub(super) fn new(what: impl Into<String>, kind: TrackKind, body: Vec<u8>) -> Self {
        Self { what: what.into(), kind, body }
    }

    pub(super) fn at(&self, timestamp: i64) -> Media {
        Media { kind: self.kind, timestamp, body: Bytes::copy_from_slice(&self.body) }
    }
}

/// The first byte of an extended video tag: `isExVideoHeader`, frame type, packet type.
pub(super) fn video_head(frame: u8, packet: u8) -> u8 {
    0x80 | frame << 4 | packet
}

/// The first byte of an extended audio tag: sound format 9, packet type.
pub(super) fn audio_head(packet: u8) -> u8 {
    9 << 4 | packet
}

/// `parts`, one after the other.
pub(super) fn join(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

/// A video message of one track.
pub(super) fn video_tag(frame: u8, packet: u8, four_cc: &[u8; 4], payload: &[u8]) -> Tag {
    let body = join(&[&[video_head(frame, packet)], four_cc, payload]);
    let name = four_cc.escape_ascii();
    Tag::new(format!("video {name}, frame type {frame}, packet type {packet}"), TrackKind::Video, body)
}

/// An audio message of one track.
pub(super) fn audio_tag(packet: u8, four_cc: &[u8; 4], payload: &[u8]) -> Tag {
    let body = join(&[&[audio_head(packet)], four_cc, payload]);
    Tag::new(format!("audio {}, packet type {packet}", four_cc.escape_ascii()), TrackKind::Audio, body)
}

/// A modifier and what follows it: size less one in one or three bytes, its bytes, its type with the next packet type.
pub(super) fn modifier(kind: u8, next: u8, bytes: &[u8]) -> Vec<u8> {
    let less = bytes.len().saturating_sub(1);
    let mut out = match u8::try_from(less) {
        Ok(short) if short < 255 => vec![short],
        _ => {
            let long = u16::try_from(less).unwrap_or(u16::MAX).to_be_bytes();
            vec![255, long[0], long[1]]
        }
    };
    out.extend_from_slice(bytes);
    out.push(kind << 4 | next);
    out
}

/// A track's FourCC if each has its own, its number, and its payload.
pub(super) type Share<'a> = (Option<&'a [u8; 4]>, u8, &'a [u8]);

/// The parts of a multitrack message of several tracks: FourCC if each has its own, number, size, payload.
pub(super) fn tracks(parts: &[Share<'_>]) -> Vec<u8> {
    let mut out = vec![];
    for (four_cc, number, payload) in parts {
        out.extend_from_slice(four_cc.map_or(&[], |four_cc| &four_cc[..]));
        out.push(*number);
        let size = u32::try_from(payload.len()).unwrap_or(0).to_be_bytes();
        out.extend_from_slice(&size[1..]);
        out.extend_from_slice(payload);
    }
    out
}

/// An AMF0 string.
pub(super) fn text(text: &str) -> Vec<u8> {
    let size = u16::try_from(text.len()).unwrap_or(0).to_be_bytes();
    join(&[&[2], &size, text.as_bytes()])
}

/// An AMF0 object with these properties, each an encoded value.
pub(super) fn object(properties: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut out = vec![3];
    for (name, value) in properties {
        out.extend_from_slice(&text(name)[1..]);
        out.extend_from_slice(value);
    }
    out.extend_from_slice(&[0, 0, 9]);
    out
}

/// An AMF0 number.
pub(super) fn amf_number(value: f64) -> Vec<u8> {
    join(&[&[0], &value.to_be_bytes()])
}
