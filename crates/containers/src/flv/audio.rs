//! The heads of audio messages: FLV 10.1 §E.4.2 and enhanced RTMP v2, "Enhanced Audio".

use super::codec;
use super::unpack::Head;
use super::video::ExHead;
use jackfield_media::{FrameClass, TrackKind};

/// The sound format that says that a FourCC names the codec.
const EX_HEADER: u8 = 9;
const AAC: u8 = 10;
/// Enhanced packet types.
const SEQUENCE_START: u8 = 0;
const CODED_FRAMES: u8 = 1;
const MULTITRACK: u8 = 5;

/// Reads the head; `None` if the body is too short for it.
pub(super) fn head(body: &[u8]) -> Option<Head> {
    let (&first, rest) = body.split_first()?;
    match first >> 4 {
        EX_HEADER => enhanced(first, rest),
        format => classic(format, first, rest),
    }
}

fn classic(format: u8, first: u8, rest: &[u8]) -> Option<Head> {
    let plain = Head {
        codec: codec::of_audio(format),
        class: FrameClass::Inter,
        track: 0,
        length: 1,
        composition_ms: 0,
        sound: sound(format, first),
    };
    if format != AAC {
        return Some(plain);
    }
    let class = match rest.first()? {
        0 => FrameClass::Config,
        1 => FrameClass::Inter,
        _ => FrameClass::Signal,
    };
    Some(Head { class, length: 2, ..plain })
}

/// Sample rate and channels as the flags tell them. AAC's are fixed and mean nothing.
fn sound(format: u8, flags: u8) -> Option<(u32, u32)> {
    let rate = match flags >> 2 & 0x03 {
        0 => 5_512,
        1 => 11_025,
        2 => 22_050,
        _ => 44_100,
    };
    let channels = u32::from(flags & 0x01) + 1;
    match format {
        AAC => None,
        4 | 11 => Some((16_000, 1)),
        5 => Some((8_000, 1)),
        6 => Some((rate, 1)),
        7 | 8 | 14 => Some((8_000, channels)),
        _ => Some((rate, channels)),
    }
}

fn enhanced(first: u8, rest: &[u8]) -> Option<Head> {
    let ex = ExHead::read(first & 0x0f, rest, MULTITRACK)?;
    let class = match ex.packet_type {
        SEQUENCE_START => FrameClass::Config,
        CODED_FRAMES => FrameClass::Inter,
        // Sequence end, the order of channels, and what is to come.
        _ => FrameClass::Signal,
    };
    Some(Head {
        codec: codec::of_four_cc(TrackKind::Audio, ex.four_cc),
        class,
        track: ex.track,
        length: 1 + ex.length,
        composition_ms: 0,
        sound: None,
    })
}
