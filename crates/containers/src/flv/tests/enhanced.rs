//! Enhanced RTMP v1 and v2: every packet type, modifiers, several tracks in a message, and what is unknown.

use super::*;
use FrameClass::{Config, Inter, Keyframe, Signal, TrackMetadata};

/// `colorInfo` as ffmpeg sends it.
const COLOR_INFO: &str = "020009 636f6c6f72496e666f 03000b 636f6c6f72436f6e666967 03000009 000009";

fn unpack_all(unpacker: &mut Unpacker, kind: TrackKind, hex: &str) -> Result<Vec<Frame>, FlvError> {
    let body = bytes(hex);
    let frames: Vec<Frame> = unpacker.unpack(kind, 1000, body.clone())?.map(|(frame, _)| frame).collect();
    for frame in &frames {
        assert_eq!(frame.origin.as_ref().unwrap().body, body, "what came in can be passed on");
    }
    Ok(frames)
}

/// Track number, class, `pts - dts`, nanoseconds and payload of each frame.
fn several(kind: TrackKind, hex: &str, expect: &[(u8, FrameClass, i64, u32, &str)]) {
    let frames = unpack_all(&mut Unpacker::default(), kind, hex).unwrap();
    let got: Vec<_> = frames
        .iter()
        .map(|frame| {
            let number = track_number(kind, frame.track).unwrap();
            let composition = frame.pts.as_ms() - frame.dts.as_ms();
            (number, frame.class, composition, frame.offset_nanos, frame.payload.clone())
        })
        .collect();
    let expect: Vec<_> = expect
        .iter()
        .map(|(number, class, composition, nanos, payload)| {
            (*number, *class, *composition, *nanos, bytes(payload))
        })
        .collect();
    assert_eq!(got, expect, "{hex}");
    let parts: Vec<Part> = frames.iter().map(|frame| frame.origin.as_ref().unwrap().part).collect();
    let rest = std::iter::repeat_n(Part::Rest, parts.len() - 1);
    let shared: Vec<Part> = std::iter::once(Part::First).chain(rest).collect();
    assert_eq!(parts, if parts.len() == 1 { vec![Part::Sole] } else { shared });
}

fn video(hex: &str, expect: &[(u8, FrameClass, i64, u32, &str)]) {
    several(TrackKind::Video, hex, expect);
}

fn audio(hex: &str, expect: &[(u8, FrameClass, i64, u32, &str)]) {
    several(TrackKind::Audio, hex, expect);
}

fn refused(kind: TrackKind, hex: &str, error: FlvError) {
    assert_eq!(
        unpack_all(&mut Unpacker::default(), kind, hex).map(|frames| frames.len()),
        Err(error),
        "{hex}"
    );
}

#[test]
fn coded_frames_have_composition_times_for_the_codecs_that_reorder() {
    for codec in ["61766331", "68766331", "76766331"] {
        video(&format!("91 {codec} ffffd8 aabb"), &[(0, Keyframe, -40, 0, "aabb")]);
        video(&format!("a3 {codec} ffffd8 aabb"), &[(0, Inter, 0, 0, "ffffd8aabb")]);
    }
    for codec in ["61763031", "76703038", "76703039"] {
        video(&format!("91 {codec} ffffd8 aabb"), &[(0, Keyframe, 0, 0, "ffffd8aabb")]);
    }
}

#[test]
fn sequences_start_and_end() {
    video("90 61763031 81000c00", &[(0, Config, 0, 0, "81000c00")]);
    video("92 61763031", &[(0, Signal, 0, 0, "")]);
    // The descriptor of transport streams is AV1's alone.
    video("95 61763031 800481000c00", &[(0, Config, 0, 0, "800481000c00")]);
    video("95 68766331 800481000c00", &[(0, Signal, 0, 0, "800481000c00")]);
    audio("90 664c6143 aa", &[(0, Config, 0, 0, "aa")]);
    audio("92 664c6143", &[(0, Signal, 0, 0, "")]);
    // AC-3 starts with nothing.
    audio("90 61632d33", &[(0, Signal, 0, 0, "")]);
}

#[test]
fn frame_types_tell_key_frames_and_commands_stand_in_place_of_the_codec() {
    for (first, class) in [("91", Keyframe), ("a1", Inter), ("b1", Inter), ("c1", Keyframe), ("f1", Inter)] {
        video(&format!("{first} 61763031 aa"), &[(0, class, 0, 0, "aa")]);
    }
    for first in ["d0", "d1", "d3", "d6"] {
        video(&format!("{first} 01"), &[(0, Signal, 0, 0, "01")]);
        refused(TrackKind::Video, first, FlvError::Short(TrackKind::Video));
    }
    video("d7 00 00 01 01", &[(0, Signal, 0, 0, "01")]);
}

#[test]
fn colours_and_the_order_of_channels_are_metadata_of_their_track() {
    video(&format!("d4 68766331 {COLOR_INFO}"), &[(0, TrackMetadata, 0, 0, COLOR_INFO)]);
    video(&format!("96 04 68766331 02 {COLOR_INFO}"), &[(2, TrackMetadata, 0, 0, COLOR_INFO)]);
    video("d4 68766331 020003 616263 05", &[(0, Signal, 0, 0, "020003 616263 05")]);
    audio("94 4f707573 01 02 00000003", &[(0, TrackMetadata, 0, 0, "010200000003")]);
    audio("95 04 4f707573 01 01 02 00000003", &[(1, TrackMetadata, 0, 0, "010200000003")]);
}

#[test]
fn modifiers_are_read_and_those_of_the_future_are_read_over() {
    // Half a millisecond, then the coded frames.
    video("97 02 07a120 01 61763031 aabb", &[(0, Keyframe, 0, 500_000, "aabb")]);
    audio("97 02 0f423f 01 4f707573 aabb", &[(0, Inter, 0, 999_999, "aabb")]);
    // A millisecond and more has no meaning.
    audio("97 02 0f4240 01 4f707573 aabb", &[(0, Inter, 0, 0, "aabb")]);
    // Too short to be one; longer than is known.
    audio("97 01 07a1 01 4f707573 aabb", &[(0, Inter, 0, 0, "aabb")]);
    audio("97 03 07a12099 01 4f707573 aabb", &[(0, Inter, 0, 500_000, "aabb")]);
    // A chain: an unknown modifier of one byte, one of 256 by the long form, the offset.
    let long = "ee".repeat(256);
    let chain = format!("97 00 dd 57 ff 00ff {long} 37 02 07a120 01 61763031 aa");
    video(&chain, &[(0, Keyframe, 0, 500_000, "aa")]);
    // In front of several tracks it is of all.
    video(
        "a7 02 000001 06 11 61763031 00 000001 aa 01 000001 bb",
        &[(0, Inter, 0, 1, "aa"), (1, Inter, 0, 1, "bb")],
    );
    for short in ["97", "97 02 07a1", "97 02 07a120", "97 ff", "97 ff 00", "97 ff ffff aa", "97 00 aa 07"] {
        refused(TrackKind::Video, short, FlvError::Short(TrackKind::Video));
        refused(TrackKind::Audio, short, FlvError::Short(TrackKind::Audio));
    }
}

#[test]
fn a_chain_of_modifiers_without_end_is_passed_on_unread() {
    for (count, class) in [(64, Keyframe), (65, Signal)] {
        let body = format!("97 {} 00 aa 01 61763031 bb", "00 aa 17".repeat(count - 1));
        let frames = unpack_all(&mut Unpacker::default(), TrackKind::Video, &body).unwrap();
        assert_eq!(frames.iter().map(|frame| frame.class).collect::<Vec<_>>(), [class], "{count}");
    }
}

#[test]
fn many_tracks_of_one_codec() {
    video(
        "96 11 68766331 00 000005 000028 aabb 01 000004 000000 cc",
        &[(0, Keyframe, 40, 0, "aabb"), (1, Keyframe, 0, 0, "cc")],
    );
    video(
        "96 10 68766331 07 000002 aabb 03 000001 cc",
        &[(7, Config, 0, 0, "aabb"), (3, Config, 0, 0, "cc")],
    );
    audio(
        "95 11 4f707573 00 000001 aa 01 000001 bb ff 000001 cc",
        &[(0, Inter, 0, 0, "aa"), (1, Inter, 0, 0, "bb"), (255, Inter, 0, 0, "cc")],
    );
}

#[test]
fn many_tracks_of_many_codecs() {
    video(
        "96 21 68766331 00 000005 000028 aabb 61763031 01 000002 ccdd",
        &[(0, Keyframe, 40, 0, "aabb"), (1, Keyframe, 0, 0, "ccdd")],
    );
    audio(
        "95 20 6d703461 00 000002 1210 4f707573 01 000001 bb",
        &[(0, Config, 0, 0, "1210"), (1, Config, 0, 0, "bb")],
    );
    let mut unpacker = Unpacker::default();
    let body = bytes("95 20 6d703461 00 000002 1210 664c6143 01 000001 bb");
    let told: Vec<Codec> = unpacker
        .unpack(TrackKind::Audio, 0, body)
        .unwrap()
        .filter_map(|(_, track)| Some(track?.codec))
        .collect();
    assert_eq!(told, [Codec::Aac, Codec::Flac]);
}

#[test]
fn tracks_that_have_nothing_now_give_no_frame() {
    video("96 11 68766331 00 000000 01 000004 000000 cc 02 000000", &[(1, Keyframe, 0, 0, "cc")]);
    video("96 12 68766331 00 000000 01 000000", &[(0, Signal, 0, 0, "00 000000 01 000000")]);
    // A time alone is nothing either.
    video("96 11 68766331 00 000003 000000 01 000004 000000 cc", &[(1, Keyframe, 0, 0, "cc")]);
}

#[test]
fn a_malformed_share_refuses_its_message_and_harms_no_other() {
    let kind = TrackKind::Video;
    let mut unpacker = Unpacker::default();
    for hex in [
        "96",
        "96 10",
        "96 10 6876",
        "96 10 68766331",
        "96 10 68766331 00",
        "96 10 68766331 00 0000",
        // Larger than what is left, in the first and in the second share.
        "96 10 68766331 00 000003 aabb",
        "96 10 68766331 00 000001 aa 01 ffffff aa",
        // A second share without its size, or its codec.
        "96 10 68766331 00 000001 aa 01",
        "96 20 68766331 00 000001 aa 617630",
        // No room for the composition time.
        "96 11 68766331 00 000002 0000",
        "96 20",
    ] {
        let refused = unpacker.unpack(kind, 0, bytes(hex)).map(Iterator::count);
        assert_eq!(refused, Err(FlvError::Short(kind)), "{hex}");
    }
    // Nothing was learnt from them.
    let (_, track) = sole(&mut unpacker, kind, 0, bytes("90 68766331 aa")).unwrap();
    assert!(track.is_some());
    let many = format!("95 11 4f707573 {}", "00 000001 aa".repeat(257));
    refused(TrackKind::Audio, &many, FlvError::Tracks(TrackKind::Audio));
    let most = format!("95 11 4f707573 {}", "00 000001 aa".repeat(256));
    assert_eq!(unpack_all(&mut Unpacker::default(), TrackKind::Audio, &most).unwrap().len(), 256);
}

#[test]
fn what_is_of_the_future_is_passed_on() {
    // Packet types, ways of multitrack, tracks or modifiers inside tracks.
    for hex in ["98 68766331 aabb", "9f 68766331 aabb"] {
        video(hex, &[(0, Signal, 0, 0, "aabb")]);
    }
    audio("93 4f707573 aabb", &[(0, Signal, 0, 0, "aabb")]);
    audio("96 4f707573 aabb", &[(0, Signal, 0, 0, "aabb")]);
    video("96 30 aabb", &[(0, Signal, 0, 0, "aabb")]);
    video("96 06 aabb", &[(0, Signal, 0, 0, "aabb")]);
    video("96 17 aabb", &[(0, Signal, 0, 0, "aabb")]);
    video("96 18 68766331 00 000001 aa 01 000001 bb", &[(0, Signal, 0, 0, "aa"), (1, Signal, 0, 0, "bb")]);
    // Codecs.
    let mut unpacker = Unpacker::default();
    let (frame, track) = sole(&mut unpacker, TrackKind::Video, 0, bytes("91 61766333 aabb")).unwrap();
    assert_eq!((frame.class, track.unwrap().codec), (Keyframe, Codec::FourCc(*b"avc3")));
    let (frame, track) = sole(&mut unpacker, TrackKind::Audio, 0, bytes("91 61632d34 aabb")).unwrap();
    assert_eq!((frame.class, track.unwrap().codec), (Inter, Codec::FourCc(*b"ac-4")));
}

#[test]
fn metadata_without_a_number_is_of_the_track_with_its_codec() {
    let mut unpacker = Unpacker::default();
    let colours = format!("d4 68766331 {COLOR_INFO}");
    let owner = |unpacker: &mut Unpacker| {
        let (frame, track) = sole(unpacker, TrackKind::Video, 0, bytes(&colours)).unwrap();
        assert!(track.is_none(), "no change of codec");
        frame.track
    };
    assert_eq!(owner(&mut unpacker), TrackId::VIDEO);
    track(&mut unpacker, TrackKind::Video, &format!("17 00 000000 {AVC}")).unwrap();
    assert_eq!(owner(&mut unpacker), TrackId::VIDEO);
    track(&mut unpacker, TrackKind::Video, "96 00 68766331 02 aabb").unwrap();
    track(&mut unpacker, TrackKind::Video, "96 00 68766331 01 aabb").unwrap();
    assert_eq!(owner(&mut unpacker), TrackId(0x101));
    let numbered = format!("96 04 68766331 00 {COLOR_INFO}");
    assert_eq!(sole(&mut unpacker, TrackKind::Video, 0, bytes(&numbered)).unwrap().0.track, TrackId::VIDEO);
    track(&mut unpacker, TrackKind::Video, "90 68766331 aabb").unwrap();
    assert_eq!(owner(&mut unpacker), TrackId::VIDEO);
}

#[test]
fn a_codec_by_number_and_by_four_cc_is_the_same_codec() {
    let mut unpacker = Unpacker::default();
    track(&mut unpacker, TrackKind::Video, &format!("17 00 000000 {AVC}")).unwrap();
    assert_eq!(track(&mut unpacker, TrackKind::Video, &format!("90 61766331 {AVC}")), None);
    track(&mut unpacker, TrackKind::Audio, "af 00 1210").unwrap();
    assert_eq!(track(&mut unpacker, TrackKind::Audio, "90 6d703461 1210"), None);
    track(&mut unpacker, TrackKind::Audio, "2f fffb946400").unwrap();
    assert_eq!(track(&mut unpacker, TrackKind::Audio, "91 2e6d7033 fffb946400"), None);
}

#[test]
fn a_track_may_change_its_codec() {
    let mut unpacker = Unpacker::default();
    let codec =
        |unpacker: &mut Unpacker, hex: &str| track(unpacker, TrackKind::Video, hex).map(|track| track.codec);
    assert_eq!(codec(&mut unpacker, &format!("17 00 000000 {AVC}")), Some(Codec::H264));
    assert_eq!(codec(&mut unpacker, "90 68766331 aabb"), Some(Codec::Hevc));
    assert_eq!(codec(&mut unpacker, "a3 68766331 aabb"), None);
    // Without a configuration of its own.
    assert_eq!(codec(&mut unpacker, "91 76703038 aabb"), Some(Codec::Vp8));
    assert_eq!(codec(&mut unpacker, "a1 76703038 aabb"), None);
    assert_eq!(codec(&mut unpacker, &format!("17 00 000000 {AVC}")), Some(Codec::H264));
}

#[test]
fn what_real_encoders_send_is_described() {
    let mut unpacker = Unpacker::default();
    let av1 =
        track(&mut unpacker, TrackKind::Video, "90 61763031 81000c000a0b0200000521f53de017c002").unwrap();
    assert_eq!((av1.codec_string.as_deref(), av1.width), (Some("av01.0.00M.08"), Some(426)));
    // VP9's record tells no size; its key frames do, each anew.
    let vp9 = track(&mut unpacker, TrackKind::Video, "96 00 76703039 01 010000000014820202020000").unwrap();
    assert_eq!((vp9.codec_string.as_deref(), vp9.width), (Some("vp09.00.20.08"), None));
    let key_frame = "96 01 76703039 01 82498342001a900ef60638241c184a";
    let vp9 = track(&mut unpacker, TrackKind::Video, key_frame).unwrap();
    assert_eq!((vp9.id, vp9.width, vp9.height), (TrackId(0x101), Some(426), Some(240)));
    assert_eq!(vp9.codec_string.as_deref(), Some("vp09.00.20.08"));
    assert_eq!(track(&mut unpacker, TrackKind::Video, key_frame), None);
    let larger = track(&mut unpacker, TrackKind::Video, "96 01 76703039 01 8249834200 2a900ef606").unwrap();
    assert_eq!(larger.width, Some(682));
    let sound = [
        ("90 4f707573 4f707573486561640102380180bb0000000000", "opus", 48_000, 2),
        (
            "90 664c6143 040004000000000010980bb802f000000000 00000000000000000000000000000000",
            "flac",
            48_000,
            2,
        ),
        ("91 61632d33 0b770ad35e40ebf8403eff9d", "ac-3", 44_100, 6),
        ("91 65632d33 0b77037f3f87c00020000000", "ec-3", 48_000, 6),
        ("2f fff344c400", "mp4a.69", 24_000, 1),
    ];
    for (hex, codec_string, rate, channels) in sound {
        let track = track(&mut unpacker, TrackKind::Audio, hex).unwrap();
        assert_eq!(track.codec_string.as_deref(), Some(codec_string));
        assert_eq!((track.sample_rate, track.channels), (Some(rate), Some(channels)), "{codec_string}");
    }
}
