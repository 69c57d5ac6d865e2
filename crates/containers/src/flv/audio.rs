//! The heads of audio messages: FLV 10.1 §E.4.2 and enhanced RTMP v2, "Enhanced Audio".

use super::codec;
use super::enhanced::Modified;
use super::head::{Message, Share};
use jackfield_media::{FrameClass, TrackKind};

/// The sound format that says that a FourCC names the codec.
pub(super) const EX_HEADER: u8 = 9;
const AAC: u8 = 10;

/// Reads the head; `None` if the body is too short for it.
pub(super) fn read(body: &[u8]) -> Option<Message> {
    let &first = body.first()?;
    match first >> 4 {
        EX_HEADER => Modified::read(first, body)?.message(TrackKind::Audio, FrameClass::Inter, body),
        format => classic(format, first, body).map(|share| Message::Sole(share.settled())),
    }
}

fn classic(format: u8, first: u8, body: &[u8]) -> Option<Share> {
    let (codec, sound) = (codec::of_audio(format), sound(format, first));
    let plain = Share { codec, class: FrameClass::Inter, sound, ..Share::signal(1, body) };
    if format != AAC {
        return Some(plain);
    }
    let class = match *body.get(1)? {
        0 => FrameClass::Config,
        1 => FrameClass::Inter,
        _ => FrameClass::Signal,
    };
    Some(Share { class, payload: 2..body.len(), ..plain })
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
