//! What is packed comes apart again as it was, for every codec, class and track.

use super::*;
use jackfield_media::MediaTime;

const VIDEO_CODECS: [Codec; 7] =
    [Codec::H264, Codec::Hevc, Codec::Vvc, Codec::Av1, Codec::Vp8, Codec::Vp9, Codec::FourCc(*b"new1")];
const AUDIO_CODECS: [Codec; 7] =
    [Codec::Aac, Codec::Opus, Codec::Flac, Codec::Ac3, Codec::Eac3, Codec::Mp3, Codec::FourCc(*b"new2")];
/// How colour metadata begins.
const COLOR_INFO: &[u8] = b"\x02\0\x09colorInfo\x05";

/// Frames of all shapes.
struct Shapes(u32);

impl Shapes {
    fn next(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 >> 8) as usize % bound
    }

    fn frame(&mut self) -> (Frame, Codec) {
        let kind = [TrackKind::Video, TrackKind::Audio][self.next(2)];
        let codec = if kind == TrackKind::Video { VIDEO_CODECS } else { AUDIO_CODECS }[self.next(7)];
        let class = match (self.next(5), kind) {
            (0, _) => FrameClass::Config,
            (1, _) => FrameClass::TrackMetadata,
            (2, TrackKind::Video) => FrameClass::Keyframe,
            _ => FrameClass::Inter,
        };
        let is_media = matches!(class, FrameClass::Keyframe | FrameClass::Inter);
        let reorders = matches!(codec, Codec::H264 | Codec::Hevc | Codec::Vvc);
        let composition =
            if is_media && reorders { [0, 0, 40, -40, 8_388_607, -8_388_608][self.next(6)] } else { 0 };
        let mut payload: Vec<u8> =
            (0..=self.next(20)).map(|_| u8::try_from(self.next(256)).unwrap()).collect();
        if class == FrameClass::TrackMetadata && kind == TrackKind::Video {
            payload = COLOR_INFO.to_vec();
        }
        let number = [0, 0, 1, 7, 255][self.next(5)];
        let frame = Frame {
            track: track_id(kind, number),
            kind,
            class,
            dts: MediaTime::from_ms(1000),
            pts: MediaTime::from_ms(1000 + composition),
            offset_nanos: [0, 0, 1, 999_999][self.next(4)],
            payload: payload.into(),
            origin: None,
        };
        (frame, codec)
    }
}

fn assert_same(got: &Frame, expect: &Frame) {
    assert_eq!((got.track, got.kind, got.class), (expect.track, expect.kind, expect.class));
    assert_eq!((got.dts, got.pts, got.offset_nanos), (expect.dts, expect.pts, expect.offset_nanos));
    assert_eq!(got.payload, expect.payload);
}

#[test]
fn every_frame_comes_apart_again_as_it_was() {
    let mut shapes = Shapes(5);
    for _ in 0..50_000 {
        let (frame, codec) = shapes.frame();
        let body = pack(&frame, codec).unwrap();
        let mut unpacker = Unpacker::default();
        let (again, track) = sole(&mut unpacker, frame.kind, 1000, body.clone()).unwrap();
        assert_same(&again, &frame);
        if let Some(track) = track {
            assert_eq!((track.id, track.codec), (frame.track, codec));
        }
        assert_eq!(pack(&again, codec), Some(body), "packing has one answer");
    }
}

#[test]
fn frames_that_came_in_one_message_are_packed_each_alone() {
    let body = bytes("96 21 68766331 00 000005 000028 aabb 61763031 01 000002 ccdd");
    let mut unpacker = Unpacker::default();
    let frames: Vec<_> = unpacker.unpack(TrackKind::Video, 1000, body).unwrap().collect();
    let packed: Vec<_> =
        frames.iter().map(|(frame, track)| pack(frame, track.as_ref().unwrap().codec).unwrap()).collect();
    assert_eq!(packed, [bytes("91 68766331 000028 aabb"), bytes("96 01 61763031 01 ccdd")]);
    for ((frame, _), body) in frames.iter().zip(packed) {
        let (again, _) = sole(&mut Unpacker::default(), TrackKind::Video, 1000, body).unwrap();
        assert_same(&again, frame);
    }
}

#[test]
fn the_first_tracks_of_old_codecs_are_packed_as_ever() {
    let packed = |hex: &str, kind, codec| {
        let (frame, _) = sole(&mut Unpacker::default(), kind, 0, bytes(hex)).unwrap();
        pack(&frame, codec).unwrap()
    };
    let (video, audio) = (TrackKind::Video, TrackKind::Audio);
    assert_eq!(packed("91 61766331 000028 aa", video, Codec::H264), bytes("17 01 000028 aa"));
    assert_eq!(packed("90 6d703461 1210", audio, Codec::Aac), bytes("af 00 1210"));
    // 48 and 24 kHz have no number of their own; 8 kHz is a format of its own.
    for (header, flags) in
        [("fffb9064", "2f"), ("fffb9464", "2f"), ("fff344c4", "2e"), ("fff340c4", "2a"), ("ffe318c4", "e2")]
    {
        let body = format!("91 2e6d7033 {header} aa");
        assert_eq!(packed(&body, audio, Codec::Mp3), bytes(&format!("{flags} {header} aa")));
    }
    // The old way to send H.265 becomes the new one; a descriptor stays one.
    assert_eq!(packed("1c 01 000028 aa", video, Codec::Hevc), bytes("91 68766331 000028 aa"));
    let descriptor = "95 61763031 800481000c00";
    assert_eq!(packed(descriptor, video, Codec::Av1), bytes(descriptor));
}

#[test]
fn what_has_no_form_is_not_packed() {
    let (frame, _) = sole(&mut Unpacker::default(), TrackKind::Video, 0, bytes("14 aa")).unwrap();
    assert_eq!(pack(&frame, Codec::Other("vp6")), None);
    assert_eq!(pack(&frame, Codec::Opus), None, "sound is no picture");
    let signal = Frame { class: FrameClass::Signal, ..frame.clone() };
    assert_eq!(pack(&signal, Codec::Hevc), None);
    let foreign = Frame { track: TrackId(7), ..frame };
    assert_eq!(pack(&foreign, Codec::Hevc), None);
}

#[test]
fn ids_and_numbers_of_tracks_stand_for_each_other() {
    for kind in [TrackKind::Video, TrackKind::Audio] {
        for number in 0..=255 {
            assert_eq!(track_number(kind, track_id(kind, number)), Some(number));
        }
        for other in
            [TrackId::DATA, TrackId(0), TrackId(0x100), TrackId(0x200), TrackId(0x301), TrackId(u16::MAX)]
        {
            assert_eq!(track_number(kind, other), None, "{kind} {other}");
        }
    }
    assert_eq!(track_number(TrackKind::Video, TrackId::AUDIO), None);
    assert_eq!(track_number(TrackKind::Audio, TrackId(0x101)), None);
    assert_eq!(track_number(TrackKind::Data, TrackId::DATA), Some(0));
}

#[test]
fn a_file_carries_enhanced_tags_as_any_other() {
    let mut shapes = Shapes(9);
    let tags: Vec<Tag> = (0..200u32)
        .map(|n| {
            let (frame, codec) = shapes.frame();
            let body = pack(&frame, codec).unwrap();
            Tag { kind: frame.kind, timestamp_ms: n.wrapping_mul(0x0a00_0001), body }
        })
        .collect();
    let mut file = BytesMut::new();
    write_header(&mut file, &[TrackKind::Audio, TrackKind::Video]);
    tags.iter().for_each(|tag| write_tag(&mut file, tag));
    let mut reader = TagReader::default();
    reader.push(&file);
    let read: Vec<Tag> = std::iter::from_fn(|| reader.next_tag().unwrap()).collect();
    assert_eq!(read, tags);
}
