//! FLV: a file gives the same tags whatever the pieces; a message body comes apart without a copy, and a
//! frame that is packed comes apart again as it was.
#![no_main]

use bytes::Bytes;
use jackfield_containers::flv::{FlvError, Tag, TagReader, Unpacker, pack};
use jackfield_fuzz::pieces;
use jackfield_media::{Codec, Frame, FrameClass, Track, TrackKind};
use libfuzzer_sys::fuzz_target;

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

fn take_apart(unpacker: &mut Unpacker, kind: TrackKind, body: Bytes) {
    let Ok(frames) = unpacker.unpack(kind, 1000, body.clone()) else { return };
    for (frame, track) in frames {
        check(kind, &body, &frame, track);
    }
}

fn check(kind: TrackKind, body: &Bytes, frame: &Frame, track: Option<Track>) {
    let within = body.as_ptr_range();
    assert!(frame.payload.is_empty() || within.contains(&frame.payload.as_ptr()));
    if let Some(track) = track {
        assert_eq!((track.id, track.kind), (frame.track, frame.kind));
        assert!(track.width.is_none_or(|width| width > 0));
    }
    for codec in [Codec::H264, Codec::Aac] {
        let Some(packed) = pack(frame, codec).filter(|_| frame.class != FrameClass::Signal) else {
            continue;
        };
        let mut unpacker = Unpacker::default();
        let (again, _) = unpacker.unpack(kind, 1000, packed).expect("it was made whole").next().unwrap();
        if frame.pts.as_ms() - frame.dts.as_ms() == again.pts.as_ms() - again.dts.as_ms() {
            assert_eq!((again.class, again.payload), (frame.class, frame.payload.clone()));
        } else {
            // Only a codec without composition times loses them.
            assert!(kind != TrackKind::Video || frame.class == FrameClass::Config);
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((&pattern, bytes)) = data.split_first() else { return };
    let whole = read(0, bytes);
    assert_eq!(whole, read(pattern, bytes));
    let mut unpacker = Unpacker::default();
    for tag in whole.0 {
        take_apart(&mut unpacker, tag.kind, tag.body);
    }
    // Short inputs reach the heads by themselves.
    for kind in [TrackKind::Video, TrackKind::Audio] {
        take_apart(&mut unpacker, kind, Bytes::copy_from_slice(bytes));
    }
});
