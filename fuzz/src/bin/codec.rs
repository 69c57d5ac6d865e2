//! Codec configurations and heads of access units: whatever they hold, what is told of a track is believable, and
//! told the same twice.
#![no_main]

use bytes::Bytes;
use jackfield_media::codec::{aac, av1, avc, describe, dolby, flac, hevc, mp3, observe, opus, vp, vvc};
use jackfield_media::{Codec, Track, TrackId, TrackKind};
use libfuzzer_sys::fuzz_target;

const CODECS: [Codec; 13] = [
    Codec::H264,
    Codec::Hevc,
    Codec::Vvc,
    Codec::Av1,
    Codec::Vp8,
    Codec::Vp9,
    Codec::Aac,
    Codec::Opus,
    Codec::Flac,
    Codec::Ac3,
    Codec::Eac3,
    Codec::Mp3,
    Codec::FourCc(*b"new1"),
];

fn check(track: &Track) {
    for side in [track.width, track.height].into_iter().flatten() {
        assert!((1..=32_768).contains(&side), "{track:?}");
    }
    assert!(track.fps.is_none_or(|fps| (1..=1000).contains(&fps)), "{track:?}");
    assert!(track.sample_rate.is_none_or(|rate| (1..1 << 24).contains(&rate)), "{track:?}");
    assert!(track.channels.is_none_or(|channels| (1..=256).contains(&channels)), "{track:?}");
    if let Some(text) = &track.codec_string {
        assert!(text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_graphic()), "{track:?}");
    }
    for text in [&track.profile, &track.level].into_iter().flatten() {
        assert!(!text.is_empty() && text.len() <= 64, "{track:?}");
    }
}

fn told(codec: Codec, config: &[u8], access_unit: &[u8]) -> Track {
    let mut track = Track::bare(TrackId::VIDEO, TrackKind::Video, codec);
    track.config = Bytes::copy_from_slice(config);
    describe(&mut track);
    check(&track);
    observe(&mut track, access_unit);
    check(&track);
    track
}

/// Every reader with every input, so that what one seed has teaches the others.
fn all(bytes: &[u8]) {
    let read = [
        avc::parse(bytes).is_ok(),
        hevc::parse(bytes).is_ok(),
        vvc::parse(bytes).is_ok(),
        av1::parse(bytes).is_ok(),
        av1::sequence(bytes).is_some(),
        vp::parse(bytes).is_ok(),
        vp::vp8_size(bytes).is_some(),
        vp::vp9_size(bytes).is_some(),
        aac::parse(bytes).is_ok(),
        opus::parse(bytes).is_ok(),
        flac::parse(bytes).is_ok(),
        dolby::parse_frame(bytes).is_ok(),
        dolby::parse_box(Codec::Ac3, bytes).is_ok(),
        dolby::parse_box(Codec::Eac3, bytes).is_ok(),
        mp3::parse(bytes).is_ok(),
    ];
    std::hint::black_box(read);
}

fuzz_target!(|data: &[u8]| {
    let Some((&choice, bytes)) = data.split_first() else { return };
    match CODECS.get(usize::from(choice & 0x0f)) {
        Some(&codec) => {
            // The upper bits say where the configuration ends and an access unit begins.
            let at = bytes.len() * usize::from(16 - (choice >> 4)) / 16;
            let (config, access_unit) = bytes.split_at(at);
            assert_eq!(told(codec, config, access_unit), told(codec, config, access_unit));
        }
        None => all(bytes),
    }
});
