//! What the heads of enhanced video and audio have in common: modifiers, and several tracks in one message
//! (enhanced RTMP v2, "ExVideoTagHeader", "ExAudioTagHeader" and the bodies after them).

use super::FlvError;
use super::codec;
use super::head::{Message, Share, signed_24};
use jackfield_media::{Codec, FrameClass, TrackKind};
use std::ops::Range;

/// Packet types of video and audio alike.
pub(super) const SEQUENCE_START: u8 = 0;
pub(super) const CODED_FRAMES: u8 = 1;
pub(super) const MOD_EX: u8 = 7;
/// Packet types of video.
pub(super) const CODED_FRAMES_X: u8 = 3;
pub(super) const MPEG2_TS_SEQUENCE_START: u8 = 5;
const VIDEO_MULTITRACK: u8 = 6;
/// Packet types of audio.
const AUDIO_MULTITRACK: u8 = 5;
/// Colour and the like for video, the order of channels for audio.
pub(super) const METADATA: u8 = 4;
/// The modifier that makes time stamps finer, and the largest offset that fits its meaning.
pub(super) const TIMESTAMP_OFFSET_NANO: u8 = 0;
const MAX_OFFSET_NANOS: u32 = 999_999;
/// Ways to have tracks in a multitrack message.
const ONE_TRACK: u8 = 0;
const MANY_TRACKS: u8 = 1;
const MANY_TRACKS_MANY_CODECS: u8 = 2;
/// Shares of one message. A track's number has 8 bits, so more are no tracks; bounds what a message of
/// tiny shares can make us hold.
const MAX_SHARES: usize = 256;
/// Modifiers of one message that are read over; one with more is passed on unread. Bounds the work of all who read its
/// head again.
const MAX_MODIFIERS: usize = 64;
/// How the pairs of a video track's metadata begin when they tell its colours: an AMF0 string.
const COLOR_INFO: &[u8] = b"\x02\x00\x09colorInfo";

/// An enhanced head after its modifiers.
pub(super) struct Modified {
    pub(super) packet_type: u8,
    offset_nanos: u32,
    /// Where the next field begins.
    pub(super) at: usize,
}

impl Modified {
    /// Reads the first byte's packet type and the modifiers that it announces. Those that are not known are
    /// read over.
    pub(super) fn read(first: u8, body: &[u8]) -> Option<Self> {
        let mut rest = body.get(1..)?;
        let mut packet_type = first & 0x0f;
        let mut offset_nanos = 0;
        for _ in 0..MAX_MODIFIERS {
            if packet_type != MOD_EX {
                break;
            }
            // A size less one, in 8 or 16 bits; the modifier; then its type and the next packet type.
            let (&short, after) = rest.split_first()?;
            let (size, after) = if short == u8::MAX {
                let (long, after) = after.split_first_chunk::<2>()?;
                (usize::from(u16::from_be_bytes(*long)) + 1, after)
            } else {
                (usize::from(short) + 1, after)
            };
            let (modifier, after) = after.split_at_checked(size)?;
            let (&next, after) = after.split_first()?;
            if next >> 4 == TIMESTAMP_OFFSET_NANO
                && let Some(&[a, b, c]) = modifier.first_chunk::<3>()
            {
                let told = u32::from_be_bytes([0, a, b, c]);
                offset_nanos = if told <= MAX_OFFSET_NANOS { told } else { 0 };
            }
            packet_type = next & 0x0f;
            rest = after;
        }
        Some(Self { packet_type, offset_nanos, at: body.len() - rest.len() })
    }

    /// Reads on: tracks and their codecs. `class` is that of coded frames.
    pub(super) fn message(self, kind: TrackKind, class: FrameClass, body: &[u8]) -> Option<Message> {
        let Self { packet_type, offset_nanos, at } = self;
        let mut several =
            Several { kind, class, packet_type, offset_nanos, four_cc: None, sized: Sized::No, at };
        if packet_type == MOD_EX {
            return Some(Message::Sole(Share::signal(at, body)));
        }
        if packet_type != multitrack(kind) {
            return several.only(Numbered::No, body);
        }
        let many = *body.get(at)?;
        several.packet_type = many & 0x0f;
        several.at += 1;
        // Neither modifiers nor tracks stand inside tracks; what does is of a future that we pass on.
        let nested = several.packet_type == MOD_EX || several.packet_type == multitrack(kind);
        match many >> 4 {
            _ if nested => Some(Message::Sole(Share::signal(several.at, body))),
            ONE_TRACK => several.only(Numbered::Yes, body),
            MANY_TRACKS => {
                several.four_cc = Some(*body.get(several.at..)?.first_chunk()?);
                several.at += 4;
                several.sized = Sized::Yes;
                Some(Message::Several(several))
            }
            MANY_TRACKS_MANY_CODECS => {
                several.sized = Sized::Yes;
                Some(Message::Several(several))
            }
            _ => Some(Message::Sole(Share::signal(several.at, body))),
        }
    }
}

/// The packet type that announces tracks.
pub(super) fn multitrack(kind: TrackKind) -> u8 {
    if kind == TrackKind::Video { VIDEO_MULTITRACK } else { AUDIO_MULTITRACK }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Numbered {
    Yes,
    No,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sized {
    Yes,
    No,
}

/// Shares of several tracks, one after the other.
#[derive(Debug, Clone)]
pub(super) struct Several {
    kind: TrackKind,
    /// Of coded frames.
    class: FrameClass,
    packet_type: u8,
    offset_nanos: u32,
    /// The codec of all; without one, each share names its own.
    four_cc: Option<[u8; 4]>,
    sized: Sized,
    /// Where the first share begins.
    pub(super) at: usize,
}

impl Several {
    /// The share of a message that has no other.
    fn only(mut self, numbered: Numbered, body: &[u8]) -> Option<Message> {
        let rest = body.get(self.at..)?;
        let (four_cc, rest) = rest.split_first_chunk::<4>()?;
        self.at += 4;
        let number = match numbered {
            Numbered::Yes => {
                self.at += 1;
                Some(*rest.first()?)
            }
            Numbered::No => None,
        };
        self.share(*four_cc, number, self.at..body.len(), body).map(Message::Sole)
    }

    /// The share that begins here, and where the next one does.
    pub(super) fn next(&self, at: usize, body: &[u8]) -> Option<(Share, usize)> {
        let rest = body.get(at..)?;
        let (four_cc, rest) = match self.four_cc {
            Some(four_cc) => (four_cc, rest),
            None => rest.split_first_chunk().map(|(four_cc, rest)| (*four_cc, rest))?,
        };
        let (&[number, a, b, c], rest) = rest.split_first_chunk::<4>()?;
        let size = u32::from_be_bytes([0, a, b, c]) as usize;
        let begin = body.len() - rest.len();
        let end = begin.checked_add(size).filter(|end| *end <= body.len())?;
        Some((self.share(four_cc, Some(number), begin..end, body)?, end))
    }

    /// Checks all shares, so that whoever takes them meets no error: how many of them hold something.
    pub(super) fn check(&self, body: &[u8]) -> Result<Filled, FlvError> {
        let (mut at, mut count) = (self.at, 0);
        let mut filled = Filled::None;
        while at < body.len() || count == 0 {
            let (share, next) = self.next(at, body).ok_or(FlvError::Short(self.kind))?;
            count += 1;
            if count > MAX_SHARES {
                return Err(FlvError::Tracks(self.kind));
            }
            if !share.payload.is_empty() {
                filled = match filled {
                    Filled::None => Filled::One(share),
                    Filled::One(_) | Filled::Several => Filled::Several,
                };
            }
            at = next;
        }
        Ok(filled)
    }

    fn share(&self, four_cc: [u8; 4], number: Option<u8>, range: Range<usize>, body: &[u8]) -> Option<Share> {
        let codec = codec::of_four_cc(self.kind, four_cc);
        let mut payload = range;
        let mut composition_ms = 0;
        let class = match (self.kind, self.packet_type) {
            (_, SEQUENCE_START) => FrameClass::Config,
            (TrackKind::Video, CODED_FRAMES) if codec::has_composition_times(codec) => {
                // A share of several may be empty: a track that has nothing now.
                if self.sized == Sized::No || !payload.is_empty() {
                    composition_ms = signed_24(body.get(payload.clone())?)?;
                    payload.start += 3;
                }
                self.class
            }
            (_, CODED_FRAMES) | (TrackKind::Video, CODED_FRAMES_X) => self.class,
            (TrackKind::Video, METADATA) if !body.get(payload.clone())?.starts_with(COLOR_INFO) => {
                FrameClass::Signal
            }
            (_, METADATA) => FrameClass::TrackMetadata,
            // It says what a sequence start says, in the words of MPEG-2 transport streams.
            (TrackKind::Video, MPEG2_TS_SEQUENCE_START) if codec == Codec::Av1 => FrameClass::Config,
            // The end of a sequence, and what is to come.
            _ => FrameClass::Signal,
        };
        let share = Share {
            codec,
            class,
            number,
            composition_ms,
            offset_nanos: self.offset_nanos,
            sound: None,
            payload,
        };
        Some(share.settled())
    }
}

/// What the shares of a message hold.
#[derive(Debug)]
pub(super) enum Filled {
    /// Nothing.
    None,
    /// Only this one something.
    One(Share),
    Several,
}
