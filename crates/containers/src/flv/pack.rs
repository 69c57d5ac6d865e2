//! From a frame of any origin to a message body.

use super::codec;
use super::enhanced::{
    CODED_FRAMES, CODED_FRAMES_X, METADATA, MOD_EX, MPEG2_TS_SEQUENCE_START, SEQUENCE_START,
    TIMESTAMP_OFFSET_NANO, multitrack,
};
use super::track::track_number;
use bytes::{BufMut, Bytes, BytesMut};
use jackfield_media::codec::{av1, mp3};
use jackfield_media::{Codec, Frame, FrameClass, TrackKind};

/// The longest head that [`pack`] writes.
const MAX_HEAD_BYTES: usize = 16;

/// The body of an audio, video or data message that holds this frame alone, whatever its origin: a classic
/// one where there is a classic one (H.264, AAC, MP3 and data), else one of enhanced RTMP. Tracks after the
/// first and time stamps finer than a millisecond are always enhanced.
///
/// `None` for signals, for codecs that neither have a FourCC nor are named above, and for tracks whose ids are
/// not those of [`super::track_id`]. What unpacks the body finds track, class, times and payload again, except
/// for `pts - dts` of codecs whose messages have no place for it (all but H.264, HEVC and VVC).
#[must_use]
pub fn pack(frame: &Frame, codec: Codec) -> Option<Bytes> {
    if frame.kind == TrackKind::Data {
        return Some(frame.payload.clone());
    }
    if frame.class == FrameClass::Signal {
        return None;
    }
    let number = track_number(frame.kind, frame.track)?;
    let mut body = BytesMut::with_capacity(MAX_HEAD_BYTES + frame.payload.len());
    let plain = number == 0 && frame.offset_nanos == 0 && frame.class != FrameClass::TrackMetadata;
    match (plain, frame.kind, codec) {
        (true, TrackKind::Video, Codec::H264) => avc_head(&mut body, frame),
        (true, TrackKind::Audio, Codec::Aac) => {
            body.put_slice(&[0xaf, u8::from(frame.class != FrameClass::Config)]);
        }
        (true, TrackKind::Audio, Codec::Mp3) if frame.class != FrameClass::Config => {
            body.put_u8(mp3_flags(&frame.payload));
        }
        _ => enhanced_head(&mut body, frame, codec, number)?,
    }
    body.put_slice(&frame.payload);
    Some(body.freeze())
}

/// FLV 10.1 §E.4.3.
fn avc_head(body: &mut BytesMut, frame: &Frame) {
    match frame.class {
        FrameClass::Config => body.put_slice(&[0x17, 0, 0, 0, 0]),
        class => {
            body.put_slice(&[if class == FrameClass::Keyframe { 0x17 } else { 0x27 }, 1]);
            body.put_slice(&composition(frame));
        }
    }
}

/// FLV 10.1 §E.4.2.1: format, rate, size of a sample and channels in one byte. Rates that have no number go under
/// the highest; players take the real one from the sound itself.
fn mp3_flags(payload: &[u8]) -> u8 {
    const SIXTEEN_BITS: u8 = 0x02;
    let (format, rate, channels) = match mp3::parse(payload) {
        Ok(sound) => {
            let (format, rate) = match sound.sample_rate {
                8_000 => (14, 0),
                11_025 => (2, 1),
                22_050 => (2, 2),
                _ => (2, 3),
            };
            (format, rate, sound.channels)
        }
        Err(_) => (2, 3, 2),
    };
    format << 4 | rate << 2 | SIXTEEN_BITS | u8::from(channels > 1)
}

/// The composition time is a signed number of 24 bits.
fn composition(frame: &Frame) -> [u8; 3] {
    const LIMIT: i64 = 1 << 23;
    let [.., a, b, c] = composition_ms(frame).clamp(-LIMIT, LIMIT - 1).to_be_bytes();
    [a, b, c]
}

fn composition_ms(frame: &Frame) -> i64 {
    frame.pts.as_ms().saturating_sub(frame.dts.as_ms())
}

/// Enhanced RTMP v2: modifier, track and FourCC as far as they are needed.
fn enhanced_head(body: &mut BytesMut, frame: &Frame, codec: Codec, number: u8) -> Option<()> {
    let four_cc = codec::four_cc(frame.kind, codec)?;
    let timed = frame.kind == TrackKind::Video && codec::has_composition_times(codec);
    let packet_type = match frame.class {
        FrameClass::Config if codec == Codec::Av1 && av1::is_descriptor(&frame.payload) => {
            MPEG2_TS_SEQUENCE_START
        }
        FrameClass::Config => SEQUENCE_START,
        FrameClass::TrackMetadata => METADATA,
        _ if timed && composition_ms(frame) == 0 => CODED_FRAMES_X,
        _ => CODED_FRAMES,
    };
    let announced = if number == 0 { packet_type } else { multitrack(frame.kind) };
    let first = first_byte(frame, number);
    if frame.offset_nanos == 0 {
        body.put_u8(first | announced);
    } else {
        let [_, a, b, c] = frame.offset_nanos.to_be_bytes();
        // A size less one, the modifier, its type and the packet type that it modifies.
        body.put_slice(&[first | MOD_EX, 2, a, b, c, TIMESTAMP_OFFSET_NANO << 4 | announced]);
    }
    if number != 0 {
        body.put_u8(packet_type);
    }
    body.put_slice(&four_cc);
    if number != 0 {
        body.put_u8(number);
    }
    if timed && packet_type == CODED_FRAMES {
        body.put_slice(&composition(frame));
    }
    Some(())
}

/// The first byte without its packet type.
fn first_byte(frame: &Frame, number: u8) -> u8 {
    if frame.kind == TrackKind::Audio {
        return 0x90;
    }
    match frame.class {
        // Marked as a command, so that players that know no metadata take it for no picture. In a multitrack
        // message that mark would make it one.
        FrameClass::TrackMetadata if number == 0 => 0xd0,
        FrameClass::Inter => 0xa0,
        _ => 0x90,
    }
}
