//! What a player that told its capabilities in `connect` gets of a stream, and in which form (enhanced RTMP v2,
//! "Enhancing NetConnection connect Command").
//!
//! | the message | who does not take it so | gets |
//! |---|---|---|
//! | a codec by FourCC | did not list the FourCC | H.264, AAC and MP3 in their classic form; nothing of others |
//! | HEVC under the number 12, which no specification has | – | HEVC by FourCC, if it listed that |
//! | one of several tracks, or several tracks | has `capsEx` without Multitrack | the default track, number 0, alone in an ordinary message |
//! | more than 16 tracks | – | each that it takes alone in a multitrack message |
//! | several tracks of which it takes some | – | each of these alone in a multitrack message |
//! | modifiers (nanosecond offset and unknown ones) | has `capsEx` without ModEx | the frame without them: it could not parse the rest |
//! | anything else | | the publisher's own body, untouched |

use bytes::Bytes;
use jackfield_containers::flv::{self, Form, Framing, Modifiers};
use jackfield_media::{Codec, Format, Frame, FrameClass, Part, Track, TrackKind};
use jackfield_rtmp::Capabilities;

/// What a player takes that does not take everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Taste(Capabilities);

impl Taste {
    /// `None` for players that take all there is, as far as is known.
    pub(crate) fn of(capabilities: Capabilities) -> Option<Self> {
        // Only who takes any codec takes one that nobody knows.
        let unknown = Codec::FourCc(*b"\0\0\0\0");
        let kinds = [TrackKind::Video, TrackKind::Audio];
        let takes_all = kinds.into_iter().all(|kind| capabilities.takes_four_cc(kind, unknown))
            && capabilities.takes_multitrack()
            && capabilities.takes_mod_ex();
        (!takes_all).then_some(Self(capabilities))
    }

    /// Whether it gets this track.
    pub(crate) fn takes_track(self, track: &Track) -> bool {
        let is_default = track.kind == TrackKind::Data || flv::track_number(track.kind, track.id) == Some(0);
        self.0.takes(track.kind, track.codec)
            && (is_default || self.takes_further_tracks(track.kind, track.codec))
    }

    /// The message body of a frame for it, if it gets one.
    pub(super) fn body(self, frame: &Frame, track: Option<&Track>) -> Option<Bytes> {
        let Some(origin) = frame.origin.as_ref().filter(|origin| origin.format == Format::Flv) else {
            return self.alone(frame, track?.codec);
        };
        let Some(framing) = Framing::read(frame.kind, &origin.body) else {
            return Some(origin.body.clone());
        };
        if framing.form == Form::Crowd {
            return self.alone(frame, track?.codec);
        }
        if self.reads(frame.kind, &framing) {
            return (origin.part != Part::Rest).then(|| origin.body.clone());
        }
        let number = flv::track_number(frame.kind, frame.track)?;
        let own = framing.shares().find(|(_, other)| origin.part == Part::Sole || *other == number);
        self.alone(frame, own?.0)
    }

    /// Whether it can read a body as it is, and takes all tracks in it.
    fn reads(self, kind: TrackKind, framing: &Framing<'_>) -> bool {
        let takes_form = match framing.form {
            Form::Classic => return framing.shares().all(|(codec, _)| codec != Codec::Hevc),
            Form::FourCc => true,
            Form::Multitrack => self.0.takes_multitrack(),
            Form::Crowd => return false,
        };
        takes_form
            && (framing.modifiers == Modifiers::None || self.0.takes_mod_ex())
            && framing.shares().all(|(codec, _)| self.0.takes_four_cc(kind, codec))
    }

    /// A body for the frame alone.
    fn alone(self, frame: &Frame, codec: Codec) -> Option<Bytes> {
        let four_cc = self.0.takes_four_cc(frame.kind, codec);
        let is_further = flv::track_number(frame.kind, frame.track)? != 0;
        if !self.0.takes(frame.kind, codec)
            || is_further && !self.takes_further_tracks(frame.kind, codec)
            || frame.class == FrameClass::TrackMetadata && !four_cc
        {
            return None;
        }
        if frame.offset_nanos == 0 || four_cc && self.0.takes_mod_ex() {
            return flv::pack(frame, codec);
        }
        flv::pack(&Frame { offset_nanos: 0, ..frame.clone() }, codec)
    }

    /// Tracks after the first have FourCCs only.
    fn takes_further_tracks(self, kind: TrackKind, codec: Codec) -> bool {
        self.0.takes_multitrack() && self.0.takes_four_cc(kind, codec)
    }
}

#[cfg(test)]
mod tests;
