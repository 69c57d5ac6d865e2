//! The heads of video messages: FLV 10.1 §E.4.3 and enhanced RTMP v2, "Enhanced Video".

use super::codec;
use super::unpack::Head;
use jackfield_media::{Codec, FrameClass, TrackKind};

/// The bit of the first byte that says that a FourCC names the codec.
const EX_HEADER: u8 = 0x80;
/// Frame types.
const KEY_FRAME: u8 = 1;
const GENERATED_KEY_FRAME: u8 = 4;
const COMMAND: u8 = 5;
/// AVC packet types.
const AVC_SEQUENCE_HEADER: u8 = 0;
const AVC_NAL_UNITS: u8 = 1;
/// Enhanced packet types.
const SEQUENCE_START: u8 = 0;
const CODED_FRAMES: u8 = 1;
const CODED_FRAMES_X: u8 = 3;
const MULTITRACK: u8 = 6;
const MOD_EX: u8 = 7;

/// Reads the head; `None` if the body is too short for it.
pub(super) fn head(body: &[u8]) -> Option<Head> {
    let (&first, rest) = body.split_first()?;
    if first & EX_HEADER != 0 { enhanced(first, rest) } else { classic(first, rest) }
}

fn class(frame_type: u8) -> FrameClass {
    match frame_type {
        KEY_FRAME | GENERATED_KEY_FRAME => FrameClass::Keyframe,
        COMMAND => FrameClass::Signal,
        _ => FrameClass::Inter,
    }
}

fn classic(first: u8, rest: &[u8]) -> Option<Head> {
    let (frame_type, id) = (first >> 4, first & 0x0f);
    let codec = codec::of_video(id);
    let plain = Head { codec, class: class(frame_type), track: 0, length: 1, composition_ms: 0, sound: None };
    let packaged_like_avc = matches!(codec, Codec::H264 | Codec::Hevc);
    if !packaged_like_avc || frame_type == COMMAND {
        return Some(plain);
    }
    let (&packet_type, rest) = rest.split_first()?;
    Some(match packet_type {
        AVC_SEQUENCE_HEADER => Head { class: FrameClass::Config, length: after(rest, 5)?, ..plain },
        AVC_NAL_UNITS => Head { composition_ms: signed_24(rest)?, length: 5, ..plain },
        // End of sequence, with or without the unused composition time.
        _ => Head { class: FrameClass::Signal, length: 2 + rest.len().min(3), ..plain },
    })
}

/// The head's length, if the three bytes of the composition time are there.
fn after(rest: &[u8], length: usize) -> Option<usize> {
    rest.first_chunk::<3>().map(|_| length)
}

fn enhanced(first: u8, rest: &[u8]) -> Option<Head> {
    let frame_type = first >> 4 & 0x07;
    let ex = ExHead::read(first & 0x0f, rest, MULTITRACK)?;
    let codec = codec::of_four_cc(TrackKind::Video, ex.four_cc);
    let plain = Head {
        codec,
        class: class(frame_type),
        track: ex.track,
        length: 1 + ex.length,
        composition_ms: 0,
        sound: None,
    };
    Some(match ex.packet_type {
        SEQUENCE_START if frame_type != COMMAND => Head { class: FrameClass::Config, ..plain },
        CODED_FRAMES if matches!(&ex.four_cc, b"avc1" | b"hvc1" | b"vvc1") => {
            let composition_ms = signed_24(rest.get(ex.length..)?)?;
            Head { composition_ms, length: plain.length + 3, ..plain }
        }
        CODED_FRAMES | CODED_FRAMES_X => plain,
        // Sequence end, colour metadata, MPEG-2 sequence start, and what is to come.
        _ => Head { class: FrameClass::Signal, ..plain },
    })
}

/// What the heads of enhanced video and audio have in common.
pub(super) struct ExHead {
    pub(super) packet_type: u8,
    pub(super) four_cc: [u8; 4],
    pub(super) track: u8,
    /// Bytes after the first.
    pub(super) length: usize,
}

impl ExHead {
    /// Reads modifiers, the multitrack head and the FourCC. `multitrack` is the packet type that
    /// announces several tracks.
    pub(super) fn read(packet_type: u8, body: &[u8], multitrack: u8) -> Option<Self> {
        let (mut packet_type, mut rest) = (packet_type, body);
        while packet_type == MOD_EX {
            // A size less one, in 8 or 16 bits; the modifier; then its type and the next packet type.
            let (&short, after) = rest.split_first()?;
            let (size, after) = if short == u8::MAX {
                let (long, after) = after.split_first_chunk::<2>()?;
                (usize::from(u16::from_be_bytes(*long)) + 1, after)
            } else {
                (usize::from(short) + 1, after)
            };
            let (&next, after) = after.get(size..)?.split_first()?;
            packet_type = next & 0x0f;
            rest = after;
        }
        let mut ex = Self { packet_type, four_cc: *b"    ", track: 0, length: 0 };
        let mut has_four_cc = true;
        let mut has_track = false;
        if packet_type == multitrack {
            let (&many, after) = rest.split_first()?;
            ex.packet_type = many & 0x0f;
            rest = after;
            // 0: one track; 1: several of one codec; 2: several, each with its codec.
            has_four_cc = many >> 4 != 2;
            has_track = many >> 4 == 0;
        }
        if has_four_cc {
            let (four_cc, after) = rest.split_first_chunk::<4>()?;
            ex.four_cc = *four_cc;
            rest = after;
        }
        if has_track {
            let (&track, after) = rest.split_first()?;
            ex.track = track;
            rest = after;
        }
        ex.length = body.len() - rest.len();
        Some(ex)
    }
}

/// SI24, big endian.
fn signed_24(bytes: &[u8]) -> Option<i32> {
    let &[high, middle, low] = bytes.first_chunk::<3>()?;
    Some(i32::from_be_bytes([high, middle, low, 0]) >> 8)
}
