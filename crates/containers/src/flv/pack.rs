//! From a frame of any origin to a message body.

use bytes::{BufMut, Bytes, BytesMut};
use jackfield_media::{Codec, Frame, FrameClass, TrackKind};

/// The body of a classic audio, video or data message for a frame that has none of its own: H.264, AAC and
/// data. `None` for other codecs, and for signals.
#[must_use]
pub fn pack(frame: &Frame, codec: Codec) -> Option<Bytes> {
    let head: &[u8] = match (frame.kind, codec, frame.class) {
        (TrackKind::Data, ..) => return Some(frame.payload.clone()),
        (.., FrameClass::Signal) => return None,
        (TrackKind::Video, Codec::H264, FrameClass::Config) => &[0x17, 0, 0, 0, 0],
        (TrackKind::Video, Codec::H264, class) => {
            let first = if class == FrameClass::Keyframe { 0x17 } else { 0x27 };
            &avc_head(first, frame)
        }
        (TrackKind::Audio, Codec::Aac, FrameClass::Config) => &[0xaf, 0],
        (TrackKind::Audio, Codec::Aac, _) => &[0xaf, 1],
        _ => return None,
    };
    let mut body = BytesMut::with_capacity(head.len() + frame.payload.len());
    body.put_slice(head);
    body.put_slice(&frame.payload);
    Some(body.freeze())
}

/// FLV 10.1 §E.4.3.2: the composition time is a signed number of 24 bits.
fn avc_head(first: u8, frame: &Frame) -> [u8; 5] {
    const LIMIT: i64 = 1 << 23;
    let composition = frame.pts.as_ms().saturating_sub(frame.dts.as_ms()).clamp(-LIMIT, LIMIT - 1);
    let [.., a, b, c] = composition.to_be_bytes();
    [first, 1, a, b, c]
}
