//! From a message body to a frame, and to a track when a codec is first seen or changes.

use super::{FlvError, audio, video};
use bytes::Bytes;
use jackfield_media::codec::{aac, avc};
use jackfield_media::{Codec, Format, Frame, FrameClass, MediaTime, Origin, Part, Track, TrackId, TrackKind};

/// Tracks of one publisher that are told apart. More than that pass through without being described:
/// a bound on what a publisher can make us remember.
const MAX_TRACKS: usize = 16;

/// What the head of a message body says.
pub(super) struct Head {
    pub(super) codec: Codec,
    pub(super) class: FrameClass,
    /// The number that a multitrack packet gives its track; 0 otherwise.
    pub(super) track: u8,
    /// Bytes before the payload.
    pub(super) length: usize,
    /// `pts - dts` in milliseconds.
    pub(super) composition_ms: i32,
    /// What the head tells of the sound: sample rate and channels.
    pub(super) sound: Option<(u32, u32)>,
}

/// Takes the message bodies of one publish session apart.
#[derive(Debug, Default)]
pub struct Unpacker {
    /// The last description of each track.
    tracks: Vec<Track>,
}

impl Unpacker {
    /// Takes an audio or video message apart (a data message: see [`Unpacker::data`]). `dts_ms` is its
    /// time stamp, unwrapped.
    ///
    /// The track comes with the message that first tells its codec or changes its configuration: the
    /// sequence header, or the first message of a codec that has none.
    ///
    /// # Errors
    /// [`FlvError::Short`]. The message is worth nothing then; those around it may be sound.
    pub fn unpack(
        &mut self,
        kind: TrackKind,
        dts_ms: i64,
        body: Bytes,
    ) -> Result<(Frame, Option<Track>), FlvError> {
        let head = match kind {
            TrackKind::Video => video::head(&body),
            TrackKind::Audio => audio::head(&body),
            TrackKind::Data => return Ok((Self::data(dts_ms, body, FrameClass::Inter), None)),
        }
        .ok_or(FlvError::Short(kind))?;
        let id = track_id(kind, head.track);
        let payload = body.slice(head.length.min(body.len())..);
        // An access unit without a byte begins no group of pictures.
        let empty = payload.is_empty() && head.class != FrameClass::Signal;
        let frame = Frame {
            track: id,
            kind,
            class: if empty { FrameClass::Signal } else { head.class },
            dts: MediaTime::from_ms(dts_ms),
            pts: MediaTime::from_ms(dts_ms.saturating_add(i64::from(head.composition_ms))),
            payload,
            offset_nanos: 0,
            origin: Some(Origin { format: Format::Flv, body, part: Part::Sole }),
        };
        let track = self.describe(&head, &frame);
        Ok((frame, track))
    }

    /// A data message as a frame of the data track: [`FrameClass::Config`] for `onMetaData`,
    /// [`FrameClass::Inter`] for any other.
    #[must_use]
    pub fn data(dts_ms: i64, body: Bytes, class: FrameClass) -> Frame {
        Frame {
            track: TrackId::DATA,
            kind: TrackKind::Data,
            class,
            dts: MediaTime::from_ms(dts_ms),
            pts: MediaTime::from_ms(dts_ms),
            payload: body.clone(),
            offset_nanos: 0,
            origin: Some(Origin { format: Format::Flv, body, part: Part::Sole }),
        }
    }

    /// The track, if this frame tells something new of it.
    fn describe(&mut self, head: &Head, frame: &Frame) -> Option<Track> {
        let known = self.tracks.iter().position(|track| track.id == frame.track);
        let former = known.and_then(|at| self.tracks.get(at));
        let config = match frame.class {
            FrameClass::Config => frame.payload.clone(),
            // H.264 and AAC say nothing of themselves before their configuration.
            FrameClass::Keyframe | FrameClass::Inter if !matches!(head.codec, Codec::H264 | Codec::Aac) => {
                if former.is_some_and(|track| track.codec == head.codec) {
                    return None;
                }
                Bytes::new()
            }
            _ => return None,
        };
        if former.is_some_and(|track| track.codec == head.codec && track.config == config) {
            return None;
        }
        let track = described(frame, head, config);
        if let Some(former) = known.and_then(|at| self.tracks.get_mut(at)) {
            former.clone_from(&track);
        } else if self.tracks.len() < MAX_TRACKS {
            self.tracks.push(track.clone());
        } else {
            return None;
        }
        Some(track)
    }
}

/// A track with what its configuration tells. A malformed configuration leaves the codec's name.
fn described(frame: &Frame, head: &Head, config: Bytes) -> Track {
    let mut track = Track::bare(frame.track, frame.kind, head.codec);
    if let Some((sample_rate, channels)) = head.sound {
        track.sample_rate = Some(sample_rate);
        track.channels = Some(channels);
    }
    match head.codec {
        Codec::H264 => {
            if let Ok(avc) = avc::parse(&config) {
                avc.describe(&mut track);
            }
        }
        Codec::Aac => {
            if let Ok(aac) = aac::parse(&config) {
                aac.describe(&mut track);
            }
        }
        _ => {}
    }
    // A copy, so that a few bytes of configuration do not hold a whole read buffer for the session.
    track.config = Bytes::copy_from_slice(&config);
    track
}

/// Track 0 is the one of classic RTMP; others lie apart by kind.
fn track_id(kind: TrackKind, number: u8) -> TrackId {
    match (kind, number) {
        (TrackKind::Video, 0) => TrackId::VIDEO,
        (TrackKind::Video, number) => TrackId(0x0100 | u16::from(number)),
        (TrackKind::Audio, 0) => TrackId::AUDIO,
        (TrackKind::Audio, number) => TrackId(0x0200 | u16::from(number)),
        (TrackKind::Data, _) => TrackId::DATA,
    }
}
