//! Message bodies.

use jackfield_media::TrackKind;

/// An AVC sequence header of x264: 320 × 240, 25 frames a second.
pub(crate) const VIDEO_CONFIG: &[u8] = &[
    0x17, 0, 0, 0, 0, 0x01, 0x42, 0xc0, 0x1e, 0xff, 0xe1, 0x00, 0x18, 0x67, 0x42, 0xc0, 0x1e, 0xd9, 0x01,
    0x41, 0xfb, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10, 0x00, 0x00, 0x03, 0x03, 0x20, 0xf1, 0x62, 0xe4,
    0x80, 0x01, 0x00, 0x05, 0x68, 0xcb, 0x83, 0xcb, 0x20,
];
/// An AAC sequence header: LC, 44.1 kHz, stereo.
pub(crate) const AUDIO_CONFIG: &[u8] = &[0xaf, 0, 0x12, 0x10];

/// A key frame of this size, recognisable by its number.
pub(crate) fn keyframe(number: u32, size: usize) -> Vec<u8> {
    picture(0x17, number, size)
}

/// Another picture.
pub(crate) fn inter(number: u32, size: usize) -> Vec<u8> {
    picture(0x27, number, size)
}

fn picture(first: u8, number: u32, size: usize) -> Vec<u8> {
    let mut body = vec![first, 1, 0, 0, 40];
    body.extend(number.to_be_bytes());
    body.extend((0..size).map(|at| u8::try_from((at * 7 + number as usize) % 251).unwrap()));
    body
}

/// A raw AAC block.
pub(crate) fn audio(number: u32) -> Vec<u8> {
    let mut body = vec![0xaf, 1];
    body.extend(number.to_be_bytes());
    body.extend([0x21; 100]);
    body
}

/// A stream of messages with their time stamps: configuration, then groups of ten pictures with sound.
pub(crate) struct Stream {
    pub(crate) messages: Vec<(TrackKind, u32, Vec<u8>)>,
}

impl Stream {
    pub(crate) fn of(groups: u32) -> Self {
        let mut messages =
            vec![(TrackKind::Video, 0, VIDEO_CONFIG.to_vec()), (TrackKind::Audio, 0, AUDIO_CONFIG.to_vec())];
        for number in 0..groups * 10 {
            let ms = number * 40;
            let body = if number % 10 == 0 { keyframe(number, 20_000) } else { inter(number, 3_000) };
            messages.push((TrackKind::Video, ms, body));
            messages.push((TrackKind::Audio, ms + 3, audio(number)));
        }
        Self { messages }
    }
}
