//! Bodies taken apart and put together, files read and refused.

mod enhanced;
mod packing;

use super::*;
use bytes::{Bytes, BytesMut};
use jackfield_media::{Codec, Frame, FrameClass, Part, Track, TrackId, TrackKind};

const AVC: &str = "0142c01effe100186742c01ed90141fb011000000300100000030320f162e48001000568cb83cb20";

fn bytes(hex: &str) -> Bytes {
    let hex: String = hex.split_whitespace().collect();
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(hex.get(at..at + 2).unwrap(), 16).unwrap())
        .collect()
}

/// Class, track number, `pts - dts` and payload length of one body.
fn check(kind: TrackKind, hex: &str, expect: Result<(FrameClass, u16, i64, usize), FlvError>) {
    let got = sole(&mut Unpacker::default(), kind, 1000, bytes(hex)).map(|(frame, _)| {
        let origin = frame.origin.as_ref().unwrap();
        assert_eq!(origin.body, bytes(hex));
        (frame.class, frame.track.0, frame.pts.as_ms() - frame.dts.as_ms(), frame.payload.len())
    });
    assert_eq!(got, expect, "{hex}");
}

fn track(unpacker: &mut Unpacker, kind: TrackKind, hex: &str) -> Option<Track> {
    sole(unpacker, kind, 0, bytes(hex)).unwrap().1
}

/// The only frame of a message.
fn sole(
    unpacker: &mut Unpacker,
    kind: TrackKind,
    dts_ms: i64,
    body: Bytes,
) -> Result<(Frame, Option<Track>), FlvError> {
    let mut frames = unpacker.unpack(kind, dts_ms, body)?;
    let only = frames.next().expect("a message has a frame");
    assert_eq!(only.0.origin.as_ref().unwrap().part, Part::Sole);
    assert!(frames.next().is_none());
    Ok(only)
}

#[test]
fn classic_video_heads() {
    use FrameClass::{Config, Inter, Keyframe, Signal};
    let video = |hex: &str, expect| check(TrackKind::Video, hex, expect);
    video(&format!("17 00 000000 {AVC}"), Ok((Config, 1, 0, AVC.len() / 2)));
    video("17 01 000050 0000000165", Ok((Keyframe, 1, 80, 5)));
    video("27 01 ffffd8 0000000141", Ok((Inter, 1, -40, 5)));
    video("17 02 000000", Ok((Signal, 1, 0, 0)));
    video("17 02", Ok((Signal, 1, 0, 0)));
    video("57 00", Ok((Signal, 1, 0, 1)));
    video("17 01 000000", Ok((Signal, 1, 0, 0)));
    video("12 aa bb", Ok((Keyframe, 1, 0, 2)));
    video("34 aa", Ok((Inter, 1, 0, 1)));
    video("1c 00 000000 01", Ok((Config, 1, 0, 1)));
    for short in ["", "17", "17 01", "17 01 00", "17 00 0000"] {
        video(short, Err(FlvError::Short(TrackKind::Video)));
    }
}

#[test]
fn enhanced_video_heads() {
    use FrameClass::{Config, Inter, Keyframe, Signal, TrackMetadata};
    let video = |hex: &str, expect| check(TrackKind::Video, hex, expect);
    video("90 68766331 0102", Ok((Config, 1, 0, 2)));
    video("91 68766331 000028 aabb", Ok((Keyframe, 1, 40, 2)));
    video("a3 68766331 aabb", Ok((Inter, 1, 0, 2)));
    video("91 61763031 aabb", Ok((Keyframe, 1, 0, 2)));
    // Colours are kept; what is said under other names is passed on.
    video("d4 68766331 020009 636f6c6f72496e666f 05", Ok((TrackMetadata, 1, 0, 13)));
    video("d4 68766331 aabb", Ok((Signal, 1, 0, 2)));
    video("92 68766331", Ok((Signal, 1, 0, 0)));
    // Multitrack: one track, number 1.
    video("96 00 68766331 01 aabb", Ok((Config, 0x101, 0, 2)));
    video("a6 03 68766331 01 aabb", Ok((Inter, 0x101, 0, 2)));
    // A time stamp modifier before coded frames.
    video("97 02 000102 01 61763031 aabb", Ok((Keyframe, 1, 0, 2)));
    for short in ["90", "90 6876", "91 68766331 00", "97", "97 ff", "97 05 00", "96", "96 00 68766331"] {
        video(short, Err(FlvError::Short(TrackKind::Video)));
    }
}

#[test]
fn audio_heads() {
    use FrameClass::{Config, Inter, Signal, TrackMetadata};
    let audio = |hex: &str, expect| check(TrackKind::Audio, hex, expect);
    audio("af 00 1210", Ok((Config, 2, 0, 2)));
    audio("af 01 aabbcc", Ok((Inter, 2, 0, 3)));
    audio("af 01", Ok((Signal, 2, 0, 0)));
    audio("2f aabb", Ok((Inter, 2, 0, 2)));
    audio("90 4f707573 aa", Ok((Config, 2, 0, 1)));
    audio("91 4f707573 aabb", Ok((Inter, 2, 0, 2)));
    audio("94 4f707573 0102", Ok((TrackMetadata, 2, 0, 2)));
    audio("95 01 6d703461 05 aabb", Ok((Inter, 0x205, 0, 2)));
    for short in ["", "af", "90", "95 00 6d70"] {
        audio(short, Err(FlvError::Short(TrackKind::Audio)));
    }
}

#[test]
fn a_configuration_tells_its_track_once() {
    let mut unpacker = Unpacker::default();
    let sequence = format!("17 00 000000 {AVC}");
    let video = track(&mut unpacker, TrackKind::Video, &sequence).unwrap();
    assert_eq!((video.id, video.codec), (TrackId::VIDEO, Codec::H264));
    assert_eq!((video.width, video.height, video.fps), (Some(320), Some(240), Some(25)));
    assert_eq!(video.codec_string.as_deref(), Some("avc1.42c01e"));
    assert_eq!(video.config, bytes(AVC));
    assert_eq!(track(&mut unpacker, TrackKind::Video, &sequence), None);
    assert_eq!(track(&mut unpacker, TrackKind::Video, "17 01 000000 aa"), None);
    let audio = track(&mut unpacker, TrackKind::Audio, "af 00 1190").unwrap();
    assert_eq!((audio.sample_rate, audio.channels), (Some(48_000), Some(2)));
    let changed = track(&mut unpacker, TrackKind::Audio, "af 00 1210").unwrap();
    assert_eq!(changed.sample_rate, Some(44_100));
}

#[test]
fn a_codec_without_configuration_is_named_at_its_first_frame() {
    let mut unpacker = Unpacker::default();
    let mp3 = track(&mut unpacker, TrackKind::Audio, "2f aabb").unwrap();
    assert_eq!((mp3.codec.as_str(), mp3.sample_rate, mp3.channels), ("mp3", Some(44_100), Some(2)));
    assert_eq!(track(&mut unpacker, TrackKind::Audio, "2f ccdd"), None);
    let names = [("b2 aa", "speex"), ("82 aa", "pcmu"), ("c2 aa", "unknown-12")];
    for (hex, name) in names {
        assert_eq!(track(&mut unpacker, TrackKind::Audio, hex).unwrap().codec.as_str(), name);
    }
    let names = [("12 aa", "h263"), ("14 aa", "vp6"), ("1b aa", "unknown-11"), ("93 61763031 aa", "av1")];
    for (hex, name) in names {
        assert_eq!(track(&mut unpacker, TrackKind::Video, hex).unwrap().codec.as_str(), name);
    }
}

#[test]
fn a_malformed_configuration_leaves_the_codecs_name() {
    let mut unpacker = Unpacker::default();
    let video = track(&mut unpacker, TrackKind::Video, "17 00 000000 ffff").unwrap();
    assert_eq!((video.codec, video.width, video.codec_string), (Codec::H264, None, None));
}

#[test]
fn a_publisher_cannot_make_us_remember_long_configurations() {
    let mut unpacker = Unpacker::default();
    let body = Bytes::from([&[0x17, 0, 0, 0, 0][..], &[1; 100_000]].concat());
    let (frame, track) = unpacker.unpack(TrackKind::Video, 0, body.clone()).unwrap().next().unwrap();
    assert_eq!((frame.class, frame.payload.len()), (FrameClass::Config, 100_000));
    let track = track.unwrap();
    assert_eq!((track.codec, track.config.len()), (Codec::H264, 0));
    assert!(unpacker.unpack(TrackKind::Video, 0, body).unwrap().next().unwrap().1.is_none());
}

#[test]
fn a_publisher_cannot_make_us_remember_many_tracks() {
    let mut unpacker = Unpacker::default();
    let told = (0..=255u8).filter(|n| {
        track(&mut unpacker, TrackKind::Video, &format!("96 00 68766331 {n:02x} aabb")).is_some()
    });
    assert_eq!(told.count(), 64);
}

#[test]
fn a_file_reads_back_as_written_in_pieces_of_any_size() {
    let tags = [
        Tag { kind: TrackKind::Data, timestamp_ms: 0, body: bytes("02 000a") },
        Tag { kind: TrackKind::Video, timestamp_ms: 0x0123_4567, body: bytes("17 01 000000 aabb") },
        Tag { kind: TrackKind::Audio, timestamp_ms: u32::MAX, body: Bytes::new() },
    ];
    let mut file = BytesMut::new();
    write_header(&mut file, &[TrackKind::Audio, TrackKind::Video]);
    for tag in &tags {
        write_tag(&mut file, tag);
    }
    for size in [1, 2, 7, 100] {
        let mut reader = TagReader::default();
        let mut got = Vec::new();
        for piece in file.chunks(size) {
            reader.push(piece);
            while let Some(tag) = reader.next_tag().unwrap() {
                got.push(tag);
            }
        }
        assert_eq!(got, tags);
    }
}

#[test]
fn what_is_no_flv_file_is_refused() {
    let refused = |file: &[u8]| {
        let mut reader = TagReader::default();
        reader.push(file);
        reader.next_tag()
    };
    assert_eq!(refused(b"GET "), Err(FlvError::NotFlv));
    assert_eq!(refused(b"FLV\x01\x05\0\0\0\x01\0\0\0\0"), Err(FlvError::NotFlv));
    assert_eq!(refused(b"FLV\x01\x05\0\0\0\x09\0\0\0\0\x07\0\0\0\0\0\0\0\0\0\0"), Err(FlvError::TagType(7)));
    let mut file = BytesMut::new();
    write_header(&mut file, &[]);
    write_tag(&mut file, &Tag { kind: TrackKind::Audio, timestamp_ms: 0, body: Bytes::new() });
    *file.last_mut().unwrap() = 99;
    assert_eq!(refused(&file), Err(FlvError::TagSize { told: 99, real: 11 }));
}

#[test]
fn no_body_panics() {
    let mut seed = 3u32;
    let mut next = move || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        seed.to_be_bytes()[0]
    };
    let mut unpacker = Unpacker::default();
    for _ in 0..100_000 {
        let length = next() % 40;
        let body: Bytes = (0..length).map(|_| next()).collect();
        let kind = if next() % 2 == 0 { TrackKind::Video } else { TrackKind::Audio };
        std::hint::black_box(unpacker.unpack(kind, i64::MAX, body).map(Iterator::count).is_ok());
    }
}

#[test]
fn a_frame_without_a_body_of_its_own_gets_the_one_that_it_came_from() {
    let mut unpacker = Unpacker::default();
    let sequence = format!("17 00 000000 {AVC}");
    let bodies = [
        (TrackKind::Video, sequence.as_str()),
        (TrackKind::Video, "17 01 000050 0000000165"),
        (TrackKind::Video, "27 01 ffffd8 0000000141"),
        (TrackKind::Audio, "af 00 1210"),
        (TrackKind::Audio, "af 01 aabbcc"),
    ];
    for (kind, hex) in bodies {
        let (frame, _) = sole(&mut unpacker, kind, 1000, bytes(hex)).unwrap();
        let codec = if kind == TrackKind::Video { Codec::H264 } else { Codec::Aac };
        assert_eq!(pack(&frame, codec), Some(bytes(hex)), "{hex}");
        assert_eq!(pack(&frame, Codec::Other("vp6")), None);
    }
}
