//! FLV: a file gives the same tags whatever the pieces; a message body comes apart without a copy, and a
//! frame that is packed comes apart again as it was. Messages of enhanced RTMP are built from choices, so that
//! they come apart as they were put together; then bytes of them are changed.
#![no_main]

use bytes::Bytes;
use jackfield_containers::flv::{FlvError, Tag, TagReader, Unpacker, pack, track_id, track_number};
use jackfield_fuzz::messages::{Choices, Message};
use jackfield_fuzz::pieces;
use jackfield_media::{Codec, Frame, FrameClass, Part, Track, TrackKind};
use libfuzzer_sys::fuzz_target;

/// Inputs that begin with more than this are choices.
const LAST_PATTERN: u8 = 0x7f;
/// Frames are packed as one of these.
const VIDEO: [Codec; 5] = [Codec::H264, Codec::Hevc, Codec::Av1, Codec::Vp8, Codec::FourCc(*b"new1")];
const AUDIO: [Codec; 5] = [Codec::Aac, Codec::Mp3, Codec::Opus, Codec::Eac3, Codec::FourCc(*b"new2")];

fn read(pattern: u8, file: &[u8]) -> (Vec<Tag>, Option<FlvError>) {
    let mut reader = TagReader::default();
    let mut tags = Vec::new();
    for piece in pieces(pattern, file) {
        reader.push(piece);
        loop {
            match reader.next_tag() {
                Ok(Some(tag)) => tags.push(tag),
                Ok(None) => break,
                Err(error) => return (tags, Some(error)),
            }
        }
    }
    (tags, None)
}

/// Takes a message apart and checks what must be true of any.
fn take_apart(unpacker: &mut Unpacker, kind: TrackKind, body: &Bytes) -> Result<Vec<Frame>, FlvError> {
    let mut frames = Vec::new();
    for (frame, track) in unpacker.unpack(kind, 1000, body.clone())? {
        if let Some(track) = &track {
            assert_eq!((track.id, track.kind), (frame.track, frame.kind));
        }
        check(&frame, track.as_ref());
        frames.push(frame);
    }
    let mut end = body.as_ptr();
    for (at, frame) in frames.iter().enumerate() {
        let origin = frame.origin.as_ref().expect("it came from a message");
        assert_eq!((origin.body.as_ptr(), origin.body.len()), (body.as_ptr(), body.len()));
        let part = match (at, frames.len()) {
            (0, 1) => Part::Sole,
            (0, _) => Part::First,
            _ => Part::Rest,
        };
        assert_eq!(origin.part, part);
        if !frame.payload.is_empty() {
            let within = frame.payload.as_ptr_range();
            assert!(
                within.start >= end && within.end <= body.as_ptr_range().end,
                "parts lie one after the other"
            );
            end = within.end;
        }
    }
    assert!(!frames.is_empty() && frames.len() <= 256);
    let held: usize = frames.iter().map(Frame::held_bytes).sum();
    assert_eq!(held, body.len());
    Ok(frames)
}

fn check(frame: &Frame, track: Option<&Track>) {
    let listed = if frame.kind == TrackKind::Video { VIDEO } else { AUDIO };
    // One of them, by what is at hand.
    let one = listed.into_iter().skip(frame.payload.len() % listed.len()).take(1);
    for codec in one.chain(track.map(|track| track.codec)) {
        let Some(packed) = pack(frame, codec) else {
            let is_packable = frame.class != FrameClass::Signal && listed.contains(&codec);
            assert!(!is_packable, "{codec:?} {frame:?}");
            continue;
        };
        let mut unpacker = Unpacker::default();
        let (again, _) =
            unpacker.unpack(frame.kind, 1000, packed.clone()).expect("it was made whole").next().unwrap();
        assert_eq!((again.track, again.class), (frame.track, frame.class), "{codec:?}");
        assert_eq!((&again.payload, again.offset_nanos), (&frame.payload, frame.offset_nanos), "{codec:?}");
        // Only some codecs have a place for it.
        let is_media = matches!(frame.class, FrameClass::Keyframe | FrameClass::Inter);
        if is_media && matches!(codec, Codec::H264 | Codec::Hevc) {
            assert_eq!(again.pts, frame.pts);
        }
        assert_eq!(pack(&again, codec), Some(packed), "packing has one answer");
    }
}

/// What was put together comes apart the same.
fn check_model(unpacker: &mut Unpacker, message: &Message) {
    let body = message.body();
    let frames = take_apart(unpacker, message.kind, &body).expect("it is well-formed");
    let Some(expect) = message.frames() else { return };
    assert_eq!(frames.len(), expect.len().max(1), "{message:?}");
    for (frame, (number, payload)) in frames.iter().zip(expect) {
        assert_eq!(frame.payload, payload, "{message:?}");
        // Without a number it may be of another track that has its codec.
        if frame.class != FrameClass::TrackMetadata || message.is_numbered() {
            assert_eq!(frame.track, track_id(message.kind, number));
        }
        assert!(track_number(message.kind, frame.track).is_some());
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((&pattern, bytes)) = data.split_first() else { return };
    let mut unpacker = Unpacker::default();
    if pattern > LAST_PATTERN {
        let mut choices = Choices::new(bytes);
        for _ in 0..8 {
            let Some(message) = Message::choose(&mut choices) else { return };
            check_model(&mut unpacker, &message);
            let damaged = choices.damage(&message.body());
            // It may be anything now, but nothing of what must be true of any.
            let _refused = take_apart(&mut unpacker, message.kind, &damaged);
        }
        return;
    }
    let whole = read(0, bytes);
    assert_eq!(whole, read(pattern, bytes));
    for tag in whole.0 {
        let _refused = take_apart(&mut unpacker, tag.kind, &tag.body);
    }
    // Short inputs reach the heads by themselves.
    for kind in [TrackKind::Video, TrackKind::Audio] {
        let _refused = take_apart(&mut unpacker, kind, &Bytes::copy_from_slice(bytes));
    }
});
