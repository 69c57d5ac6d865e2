//! Media whose payload says whose it is, so that a viewer can tell what it gets.

use jackfield_media::TrackKind;

const MAGIC: &[u8; 4] = b"\xf5tag";
const HEAD: usize = 4 + 1 + 4 + 4 + 2 + 4;
/// No framing of one track is longer.
const FRONT: usize = 64;
/// An AVC sequence header of x264: 320 × 240, 25 frames a second.
pub const VIDEO_CONFIG: &[u8] = &[
    0x17, 0, 0, 0, 0, 0x01, 0x42, 0xc0, 0x1e, 0xff, 0xe1, 0x00, 0x18, 0x67, 0x42, 0xc0, 0x1e, 0xd9, 0x01,
    0x41, 0xfb, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10, 0x00, 0x00, 0x03, 0x03, 0x20, 0xf1, 0x62, 0xe4,
    0x80, 0x01, 0x00, 0x05, 0x68, 0xcb, 0x83, 0xcb, 0x20,
];
/// An AAC sequence header: LC, 44.1 kHz, stereo.
pub const AUDIO_CONFIG: &[u8] = &[0xaf, 0, 0x12, 0x10];

/// What a payload says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tag {
    /// Number of the key that its publisher asked for.
    pub key: u8,
    /// Number of the publisher's request.
    pub session: u32,
    /// Its place among all that was sent.
    pub number: u32,
}

impl Tag {
    fn payload(self, size: u16) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.push(self.key);
        bytes.extend(self.session.to_be_bytes());
        bytes.extend(self.number.to_be_bytes());
        bytes.extend(size.to_be_bytes());
        bytes.extend([0; 4]);
        let fill = self.number as u8;
        bytes.resize(HEAD + usize::from(size), fill);
        let sum = checksum(&bytes);
        bytes[HEAD - 4..HEAD].copy_from_slice(&sum.to_be_bytes());
        bytes
    }

    /// The tag in a message body, if it has a whole one.
    pub fn find(body: &[u8]) -> Option<Self> {
        let front = &body[..body.len().min(FRONT)];
        let at = front.windows(MAGIC.len()).position(|window| window == MAGIC)?;
        let bytes = &body[at..];
        let field =
            |from: usize| bytes.get(from..from + 4).map(|four| u32::from_be_bytes(four.try_into().unwrap()));
        let tag = Self { key: *bytes.get(4)?, session: field(5)?, number: field(9)? };
        let size = usize::from(u16::from_be_bytes([*bytes.get(13)?, *bytes.get(14)?]));
        let sum = field(15)?;
        let mut whole = bytes.get(..HEAD + size)?.to_vec();
        whole[HEAD - 4..HEAD].fill(0);
        (checksum(&whole) == sum).then_some(tag)
    }
}

/// FNV-1a, so that what was damaged is not taken for what was sent.
fn checksum(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |sum, byte| (sum ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

/// The framings in which tagged media is sent.
pub const FRAMINGS: u8 = 8;

/// A message of one tagged frame.
pub fn message(framing: u8, tag: Tag, size: u16) -> (TrackKind, Vec<u8>) {
    let (kind, front): (_, &[u8]) = match framing % FRAMINGS {
        0 => (TrackKind::Video, &[0x17, 1, 0, 0, 40]),
        1 | 2 => (TrackKind::Video, &[0x27, 1, 0, 0, 40]),
        3 => (TrackKind::Audio, &[0xaf, 1]),
        4 => (TrackKind::Video, b"\x91hvc1\0\0\0"),
        5 => (TrackKind::Video, b"\xa1avc1\0\0\0"),
        6 => (TrackKind::Audio, b"\x91Opus"),
        // A multitrack message with the one track number 1.
        _ => (TrackKind::Video, b"\x96\x01hvc1\x01\0\0\0"),
    };
    let mut body = front.to_vec();
    body.extend(tag.payload(size));
    (kind, body)
}
