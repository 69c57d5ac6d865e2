//! What is published: bodies that say whose they are, and that show every change.
//!
//! Each has the number of its stream, of its publisher's term and its own; the rest follows from these.

use bytes::Bytes;
use jackfield_media::TrackKind;
use std::time::Duration;

/// Between two pictures, and two sounds.
pub(crate) const TICK: Duration = Duration::from_millis(50);
/// From key frame to key frame, in pictures.
pub(crate) const GROUP: u32 = 40;
const KEY_BYTES: usize = 4000;
const PICTURE_BYTES: usize = 700;
const SOUND_BYTES: usize = 100;
/// Bodies begin with the tag of their codec: five bytes and the length of the picture's only unit, or two bytes.
const PICTURE_HEAD: usize = 9;
const SOUND_HEAD: usize = 2;
/// Stream, term and number.
const MARK: usize = 10;

/// Baseline, 320 × 240, 25 frames a second.
pub(crate) const VIDEO_CONFIG: &[u8] = &[
    0x17, 0, 0, 0, 0, 0x01, 0x42, 0xc0, 0x1e, 0xff, 0xe1, 0x00, 0x18, 0x67, 0x42, 0xc0, 0x1e, 0xd9, 0x01,
    0x41, 0xfb, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10, 0x00, 0x00, 0x03, 0x03, 0x20, 0xf1, 0x62, 0xe4,
    0x80, 0x01, 0x00, 0x05, 0x68, 0xcb, 0x83, 0xcb, 0x20,
];
/// AAC LC, 44.1 kHz, stereo.
pub(crate) const AUDIO_CONFIG: &[u8] = &[0xaf, 0, 0x12, 0x10];

/// Which picture or sound this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) stream: u16,
    pub(crate) term: u32,
    pub(crate) number: u32,
}

impl Mark {
    fn bytes(self) -> [u8; MARK] {
        let mut bytes = [0; MARK];
        let fields = self.stream.to_be_bytes().into_iter().chain(self.term.to_be_bytes());
        for (to, from) in bytes.iter_mut().zip(fields.chain(self.number.to_be_bytes())) {
            *to = from;
        }
        bytes
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (stream, rest) = bytes.split_first_chunk()?;
        let (term, rest) = rest.split_first_chunk()?;
        let (number, _) = rest.split_first_chunk()?;
        Some(Self {
            stream: u16::from_be_bytes(*stream),
            term: u32::from_be_bytes(*term),
            number: u32::from_be_bytes(*number),
        })
    }
}

/// The picture of this mark.
pub(crate) fn picture(mark: Mark) -> Bytes {
    let (tag, unit, size) =
        if mark.number.is_multiple_of(GROUP) { (0x17, 0x65, KEY_BYTES) } else { (0x27, 0x41, PICTURE_BYTES) };
    let length = u32::try_from(1 + MARK + size).unwrap_or(u32::MAX);
    let mut body = vec![tag, 1, 0, 0, 0];
    body.extend(length.to_be_bytes());
    body.push(unit);
    filled(body, mark, size)
}

/// The sound of this mark.
pub(crate) fn sound(mark: Mark) -> Bytes {
    filled(vec![0xaf, 1], mark, SOUND_BYTES)
}

fn filled(mut body: Vec<u8>, mark: Mark, size: usize) -> Bytes {
    body.extend(mark.bytes());
    let end = body.len() + size;
    let mut chance = (u64::from(mark.term) << 32 | u64::from(mark.number)) ^ u64::from(mark.stream) << 48 | 1;
    while body.len() < end {
        // Marsaglia's xorshift64.
        chance ^= chance << 13;
        chance ^= chance >> 7;
        chance ^= chance << 17;
        body.extend(chance.to_be_bytes());
    }
    body.truncate(end);
    body.into()
}

/// What a received body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Body {
    /// Configuration or metadata.
    Head,
    /// As it was sent.
    Intact(Mark),
    /// Not as anybody sent it.
    Broken,
}

/// Reads a body, and compares all of it with what was sent under its mark.
pub(crate) fn read(kind: TrackKind, body: &Bytes) -> Body {
    let (head, make): (usize, fn(Mark) -> Bytes) = match kind {
        TrackKind::Data => return Body::Head,
        TrackKind::Video => (PICTURE_HEAD + 1, picture),
        TrackKind::Audio => (SOUND_HEAD, sound),
    };
    if body.get(1) == Some(&0) {
        return Body::Head;
    }
    match body.get(head..).and_then(Mark::read) {
        Some(mark) if make(mark) == *body => Body::Intact(mark),
        _ => Body::Broken,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_is_known_again_and_a_changed_byte_is_seen() {
        let mark = Mark { stream: 7, term: 70_000, number: 41 };
        for (kind, body) in [
            (TrackKind::Video, picture(mark)),
            (TrackKind::Video, picture(Mark { number: 80, ..mark })),
            (TrackKind::Audio, sound(mark)),
        ] {
            assert!(matches!(read(kind, &body), Body::Intact(read) if read.term == 70_000));
            for at in [0, 2, body.len() / 2, body.len() - 1] {
                let mut changed = body.to_vec();
                changed[at] ^= 1;
                assert_eq!(read(kind, &changed.into()), Body::Broken, "{at}");
            }
            assert_eq!(read(kind, &body.slice(..body.len() - 1)), Body::Broken);
        }
        assert_eq!(read(TrackKind::Video, &Bytes::from_static(VIDEO_CONFIG)), Body::Head);
        assert_eq!(read(TrackKind::Audio, &Bytes::from_static(AUDIO_CONFIG)), Body::Head);
    }
}
