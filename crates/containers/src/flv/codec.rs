//! Codecs by their numbers (FLV 10.1 §E.4.2.1, §E.4.3.1) and by FourCC (enhanced RTMP v2).

use jackfield_media::{Codec, TrackKind};

/// What stands for codecs that have neither name nor a number of their own here.
const UNKNOWN: [&str; 16] = [
    "unknown-0",
    "unknown-1",
    "unknown-2",
    "unknown-3",
    "unknown-4",
    "unknown-5",
    "unknown-6",
    "unknown-7",
    "unknown-8",
    "unknown-9",
    "unknown-10",
    "unknown-11",
    "unknown-12",
    "unknown-13",
    "unknown-14",
    "unknown-15",
];

fn unknown(id: u8) -> Codec {
    Codec::Other(UNKNOWN.get(usize::from(id)).copied().unwrap_or("unknown"))
}

/// The codec of a classic video tag.
pub(super) fn of_video(id: u8) -> Codec {
    match id {
        1 => Codec::Other("jpeg"),
        2 => Codec::Other("h263"),
        3 => Codec::Other("screen"),
        4 => Codec::Other("vp6"),
        5 => Codec::Other("vp6a"),
        6 => Codec::Other("screen2"),
        7 => Codec::H264,
        // In no specification, but what encoders sent before there was enhanced RTMP.
        12 => Codec::Hevc,
        other => unknown(other),
    }
}

/// The codec of a classic audio tag.
pub(super) fn of_audio(id: u8) -> Codec {
    match id {
        0 => Codec::Other("pcm"),
        1 => Codec::Other("adpcm"),
        2 | 14 => Codec::Mp3,
        3 => Codec::Other("pcm-le"),
        4..=6 => Codec::Other("nellymoser"),
        7 => Codec::Other("pcma"),
        8 => Codec::Other("pcmu"),
        10 => Codec::Aac,
        11 => Codec::Other("speex"),
        15 => Codec::Other("device"),
        other => unknown(other),
    }
}

/// The codec of an enhanced packet.
pub(super) fn of_four_cc(kind: TrackKind, four_cc: [u8; 4]) -> Codec {
    match (kind, &four_cc) {
        (TrackKind::Video, b"avc1") => Codec::H264,
        (TrackKind::Video, b"hvc1") => Codec::Hevc,
        (TrackKind::Video, b"vvc1") => Codec::Vvc,
        (TrackKind::Video, b"av01") => Codec::Av1,
        (TrackKind::Video, b"vp08") => Codec::Vp8,
        (TrackKind::Video, b"vp09") => Codec::Vp9,
        (TrackKind::Audio, b"mp4a") => Codec::Aac,
        (TrackKind::Audio, b"Opus") => Codec::Opus,
        (TrackKind::Audio, b"fLaC") => Codec::Flac,
        (TrackKind::Audio, b"ac-3") => Codec::Ac3,
        (TrackKind::Audio, b"ec-3") => Codec::Eac3,
        (TrackKind::Audio, b".mp3") => Codec::Mp3,
        _ => Codec::FourCc(four_cc),
    }
}

/// The FourCC under which an enhanced packet carries the codec.
pub(super) fn four_cc(kind: TrackKind, codec: Codec) -> Option<[u8; 4]> {
    Some(match (kind, codec) {
        (TrackKind::Video, Codec::H264) => *b"avc1",
        (TrackKind::Video, Codec::Hevc) => *b"hvc1",
        (TrackKind::Video, Codec::Vvc) => *b"vvc1",
        (TrackKind::Video, Codec::Av1) => *b"av01",
        (TrackKind::Video, Codec::Vp8) => *b"vp08",
        (TrackKind::Video, Codec::Vp9) => *b"vp09",
        (TrackKind::Audio, Codec::Aac) => *b"mp4a",
        (TrackKind::Audio, Codec::Opus) => *b"Opus",
        (TrackKind::Audio, Codec::Flac) => *b"fLaC",
        (TrackKind::Audio, Codec::Ac3) => *b"ac-3",
        (TrackKind::Audio, Codec::Eac3) => *b"ec-3",
        (TrackKind::Audio, Codec::Mp3) => *b".mp3",
        (TrackKind::Video | TrackKind::Audio, Codec::FourCc(four_cc)) => four_cc,
        _ => return None,
    })
}

/// Whether enhanced coded frames of this codec have a composition time.
pub(super) fn has_composition_times(codec: Codec) -> bool {
    matches!(codec, Codec::H264 | Codec::Hevc | Codec::Vvc)
}
