//! How a message body is framed, for those who pass bodies on: what a reader must know to read it.

use super::enhanced::{MOD_EX, Modified, Several, multitrack};
use super::head::Message;
use super::{audio, video};
use jackfield_media::{Codec, TrackKind};

/// What a reader of a message body must know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Nothing of enhanced RTMP: the codec has a number.
    Classic,
    /// FourCCs. A packet type that is not known here stands behind them.
    FourCc,
    /// How several tracks share a message stream.
    Multitrack,
    /// The same, of more tracks in this one message than are looked at: [`Framing::shares`] has the first of them.
    Crowd,
}

/// Tracks of one message that are looked at. Whoever packs frames anew reads the body for each of them: bounds that work
/// for messages of hundreds of tiny shares. No encoder sends so many tracks in one message.
const MAX_LOOKED_AT: usize = 16;

/// Whether the head has modifiers (ModEx) before its packet type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Modifiers {
    /// It has.
    Some,
    /// It has none.
    None,
}

/// The frame of a message body.
#[derive(Debug)]
pub struct Framing<'a> {
    /// What its reader must know.
    pub form: Form,
    /// Whether that includes modifiers.
    pub modifiers: Modifiers,
    body: &'a [u8],
    message: Message,
}

impl<'a> Framing<'a> {
    /// Reads the head of an audio or video message. `None` for data, and for bodies that
    /// [`Unpacker::unpack`](super::Unpacker::unpack) takes for malformed, as far as they are looked at.
    #[must_use]
    pub fn read(kind: TrackKind, body: &'a [u8]) -> Option<Self> {
        let &first = body.first()?;
        let is_enhanced = match kind {
            TrackKind::Video => first & video::EX_HEADER != 0,
            TrackKind::Audio => first >> 4 == audio::EX_HEADER,
            TrackKind::Data => return None,
        };
        let message = Message::read(kind, body).ok()?;
        let is_crowd = match &message {
            Message::Sole(_) => false,
            Message::Several(several) => is_crowd(several, body)?,
        };
        if !is_enhanced {
            return Some(Self { form: Form::Classic, modifiers: Modifiers::None, body, message });
        }
        let announced = Modified::read(first, body)?.packet_type;
        let form = match announced == multitrack(kind) {
            true if is_crowd => Form::Crowd,
            true => Form::Multitrack,
            false => Form::FourCc,
        };
        let modifiers = if first & 0x0f == MOD_EX { Modifiers::Some } else { Modifiers::None };
        Some(Self { form, modifiers, body, message })
    }

    /// Codec and track number of each share of the message that holds something. What is passed on unread counts as
    /// one share, of track 0 and the codec `none`.
    pub fn shares(&self) -> impl Iterator<Item = (Codec, u8)> + '_ {
        let (sole, several) = match &self.message {
            Message::Sole(share) => (Some((share.codec, share.number.unwrap_or(0))), None),
            Message::Several(several) => (None, Some(several)),
        };
        let mut at = several.map_or(0, |several| several.at);
        let next = move || {
            let (share, next) = several?.next(at, self.body)?;
            at = next;
            Some(share)
        };
        let filled = std::iter::from_fn(next).take(MAX_LOOKED_AT).filter(|share| !share.payload.is_empty());
        sole.into_iter().chain(filled.map(|share| (share.codec, share.number.unwrap_or(0))))
    }
}

/// Whether there are more shares than are looked at. `None` if one of these is malformed.
fn is_crowd(several: &Several, body: &[u8]) -> Option<bool> {
    let (mut at, mut count) = (several.at, 0);
    while at < body.len() || count == 0 {
        if count == MAX_LOOKED_AT {
            return Some(true);
        }
        (_, at) = several.next(at, body)?;
        count += 1;
    }
    Some(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flv::Unpacker;
    use bytes::Bytes;

    fn check(kind: TrackKind, body: &[u8], form: Form, modifiers: Modifiers, shares: &[(Codec, u8)]) {
        let framing = Framing::read(kind, body).unwrap();
        assert_eq!((framing.form, framing.modifiers), (form, modifiers), "{body:02x?}");
        assert_eq!(framing.shares().collect::<Vec<_>>(), shares, "{body:02x?}");
    }

    #[test]
    fn a_reader_is_told_what_it_must_know() {
        use Form::{Classic, FourCc, Multitrack};
        use Modifiers::{None, Some};
        let video = |body: &[u8], form, modifiers, shares: &[_]| {
            check(TrackKind::Video, body, form, modifiers, shares);
        };
        video(b"\x17\x01\0\0\0abcde", Classic, None, &[(Codec::H264, 0)]);
        video(b"\x1c\x01\0\0\0abcde", Classic, None, &[(Codec::Hevc, 0)]);
        video(b"\x91hvc1\0\0\0abcde", FourCc, None, &[(Codec::Hevc, 0)]);
        video(b"\x9fav01abc", FourCc, None, &[(Codec::Av1, 0)]);
        video(b"\xd0\x01", FourCc, None, &[(Codec::Other("none"), 0)]);
        video(b"\x97\x02\0\0\x07\x01av01abc", FourCc, Some, &[(Codec::Av1, 0)]);
        video(b"\x97\x02\0\0\x07\x06\x01av01\x05abc", Multitrack, Some, &[(Codec::Av1, 5)]);
        video(b"\x96\x03hvc1\x01abc", Multitrack, None, &[(Codec::Hevc, 1)]);
        let many = b"\x96\x13vp09\x00\0\0\x02ab\x02\0\0\0\x01\0\0\x01c";
        video(many, Multitrack, None, &[(Codec::Vp9, 0), (Codec::Vp9, 1)]);
        let codecs = b"\x96\x23av01\x00\0\0\x02abhvc1\x03\0\0\x01c";
        video(codecs, Multitrack, None, &[(Codec::Av1, 0), (Codec::Hevc, 3)]);
        check(TrackKind::Audio, b"\xaf\x01abc", Classic, None, &[(Codec::Aac, 0)]);
        check(TrackKind::Audio, b"\x91Opusabc", FourCc, None, &[(Codec::Opus, 0)]);
        check(TrackKind::Audio, b"\x95\x01mp4a\x01abc", Multitrack, None, &[(Codec::Aac, 1)]);
    }

    #[test]
    fn of_a_crowd_of_tracks_the_first_are_looked_at() {
        for (count, form) in [(16, Form::Multitrack), (17, Form::Crowd), (255, Form::Crowd)] {
            let share = |number: u8| [number, 0, 0, 1, b'x'];
            let body = [&b"\x96\x13hvc1"[..], &(0..count).flat_map(share).collect::<Vec<_>>()].concat();
            let framing = Framing::read(TrackKind::Video, &body).unwrap();
            assert_eq!((framing.form, framing.shares().count()), (form, 16));
        }
    }

    #[test]
    fn what_is_malformed_or_data_has_no_framing() {
        for body in [&b""[..], b"\x91hv", b"\x97\xff", b"\x96\x13hvc1\x01\0\0\x09abc"] {
            assert!(Framing::read(TrackKind::Video, body).is_none(), "{body:02x?}");
        }
        assert!(Framing::read(TrackKind::Data, b"\x02\0\x01a").is_none());
    }

    #[test]
    fn what_can_be_unpacked_has_a_framing_with_as_many_shares_and_nothing_else_has() {
        let mut seed = 5_u32;
        let mut next = move |below: u32| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            u8::try_from((seed >> 8) % below).unwrap()
        };
        let mut unpacker = Unpacker::default();
        for _ in 0..200_000 {
            let kind = if next(2) == 0 { TrackKind::Video } else { TrackKind::Audio };
            let mut body = if next(4) == 0 {
                vec![next(255)]
            } else {
                // Heads of several tracks with small sizes.
                let first = if kind == TrackKind::Video { 0x96 + next(2) } else { 0x95 };
                [&[first, next(48)][..], b"hvc1"].concat()
            };
            body.extend((0..next(40)).map(|_| next(6)));
            let body = Bytes::from(body);
            let shares = Framing::read(kind, &body).map(|framing| framing.shares().count().max(1));
            let frames = unpacker.unpack(kind, 0, body.clone()).ok().map(Iterator::count);
            assert_eq!(shares, frames, "{kind} {body:02x?}");
        }
    }
}
