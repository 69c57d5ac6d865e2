//! The heads of video messages: FLV 10.1 §E.4.3 and enhanced RTMP v2, "Enhanced Video".

use super::codec;
use super::enhanced::{METADATA, Modified};
use super::head::{Message, Share, signed_24};
use jackfield_media::{Codec, FrameClass, TrackKind};

/// The bit of the first byte that says that a FourCC names the codec.
pub(super) const EX_HEADER: u8 = 0x80;
/// Frame types.
const KEY_FRAME: u8 = 1;
const GENERATED_KEY_FRAME: u8 = 4;
const COMMAND: u8 = 5;
/// AVC packet types.
const AVC_SEQUENCE_HEADER: u8 = 0;
const AVC_NAL_UNITS: u8 = 1;

/// Reads the head; `None` if the body is too short for it.
pub(super) fn read(body: &[u8]) -> Option<Message> {
    let &first = body.first()?;
    if first & EX_HEADER != 0 {
        return enhanced(first, body);
    }
    classic(first, body).map(|share| Message::Sole(share.settled()))
}

fn class(frame_type: u8) -> FrameClass {
    match frame_type {
        KEY_FRAME | GENERATED_KEY_FRAME => FrameClass::Keyframe,
        COMMAND => FrameClass::Signal,
        _ => FrameClass::Inter,
    }
}

fn classic(first: u8, body: &[u8]) -> Option<Share> {
    let (frame_type, id) = (first >> 4, first & 0x0f);
    let codec = codec::of_video(id);
    let plain = Share { codec, class: class(frame_type), ..Share::signal(1, body) };
    let packaged_like_avc = matches!(codec, Codec::H264 | Codec::Hevc);
    if !packaged_like_avc || frame_type == COMMAND {
        return Some(plain);
    }
    let times = body.get(2..).unwrap_or_default();
    let payload = body.len().min(5)..body.len();
    Some(match *body.get(1)? {
        AVC_SEQUENCE_HEADER => {
            signed_24(times)?;
            Share { class: FrameClass::Config, payload, ..plain }
        }
        AVC_NAL_UNITS => Share { composition_ms: signed_24(times)?, payload, ..plain },
        // End of sequence, with or without the unused composition time.
        _ => Share { class: FrameClass::Signal, payload, ..plain },
    })
}

fn enhanced(first: u8, body: &[u8]) -> Option<Message> {
    let frame_type = first >> 4 & 0x07;
    let head = Modified::read(first, body)?;
    if frame_type == COMMAND && head.packet_type != METADATA {
        // The command stands where the codec would.
        body.get(head.at)?;
        return Some(Message::Sole(Share::signal(head.at, body)));
    }
    head.message(TrackKind::Video, class(frame_type), body)
}
