//! From a message body to frames, and to a track when a codec is first seen or changes.

use super::FlvError;
use super::enhanced::{Filled, Several};
use super::head::{Message, Share};
use super::track::track_id;
use bytes::Bytes;
use jackfield_media::{
    Codec, Format, Frame, FrameClass, MediaTime, Origin, Part, Track, TrackId, TrackKind, codec,
};

/// Tracks of one publisher that are told apart. More than that pass through without being described:
/// a bound on what a publisher can make us remember.
const MAX_TRACKS: usize = 64;
/// The longest configuration that is kept with its track and looked into. Real ones have some kilobytes at most. Bounds
/// what a publisher can make us remember; the message itself is passed on, however long.
const MAX_CONFIG_BYTES: usize = 64 << 10;

/// Takes the message bodies of one publish session apart.
#[derive(Debug, Default)]
pub struct Unpacker {
    /// The last description of each track.
    tracks: Vec<Track>,
}

impl Unpacker {
    /// Takes an audio or video message apart (a data message: see [`Unpacker::data`]). `dts_ms` is its
    /// time stamp, unwrapped. A message has one frame; a multitrack message of enhanced RTMP has one for
    /// each track that has something in it, and [`Origin::part`] tells them apart.
    ///
    /// The track comes with the frame that first tells its codec or changes its configuration: the
    /// sequence header, or the first frame of a codec that has none.
    ///
    /// # Errors
    /// [`FlvError::Short`], [`FlvError::Tracks`]. The message is worth nothing then, whatever its first tracks hold;
    /// those around it may be sound.
    pub fn unpack(&mut self, kind: TrackKind, dts_ms: i64, body: Bytes) -> Result<Unpacked<'_>, FlvError> {
        let left = match Message::read(kind, &body)? {
            Message::Sole(share) => Left::Sole(share),
            Message::Several(several) => match several.check(&body)? {
                Filled::None => Left::Sole(Share::signal(several.at, &body)),
                Filled::One(share) => Left::Sole(share),
                Filled::Several => {
                    let at = several.at;
                    Left::Several { several, at, part: Part::First }
                }
            },
        };
        Ok(Unpacked { unpacker: self, kind, dts_ms, body, left })
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

    /// Whose frame this is. An encoder may send what is to be known of a further track without its number;
    /// the codec tells then that it is not about the first.
    fn owner(&self, kind: TrackKind, share: &Share) -> TrackId {
        let told = track_id(kind, share.number.unwrap_or(0));
        if share.class != FrameClass::TrackMetadata || share.number.is_some() {
            return told;
        }
        let same = |track: &&Track| track.kind == kind && track.codec == share.codec;
        match self.tracks.iter().find(|track| track.id == told) {
            Some(first) if first.codec != share.codec => {
                self.tracks.iter().filter(same).map(|track| track.id).min().unwrap_or(told)
            }
            _ => told,
        }
    }

    /// The track, if this frame tells something new of it.
    fn describe(&mut self, share: &Share, frame: &Frame) -> Option<Track> {
        let is_news = match frame.class {
            FrameClass::Config => Self::configured,
            // H.264 and AAC say nothing of themselves but in their configuration.
            FrameClass::Keyframe | FrameClass::Inter if !matches!(share.codec, Codec::H264 | Codec::Aac) => {
                Self::observed
            }
            _ => return None,
        };
        let at = self.tracks.iter().position(|track| track.id == frame.track);
        let track = is_news(at.and_then(|at| self.tracks.get(at)), share, frame)?;
        if let Some(former) = at.and_then(|at| self.tracks.get_mut(at)) {
            former.clone_from(&track);
        } else if self.tracks.len() < MAX_TRACKS {
            self.tracks.push(track.clone());
        } else {
            return None;
        }
        Some(track)
    }

    /// What a configuration tells that differs from the former one.
    fn configured(former: Option<&Track>, share: &Share, frame: &Frame) -> Option<Track> {
        let config = if frame.payload.len() > MAX_CONFIG_BYTES { &[] } else { &frame.payload[..] };
        let is_same = |former: &Track| former.codec == share.codec && former.config == config;
        if former.is_some_and(is_same) {
            return None;
        }
        let mut track = bare(share, frame);
        // A copy, so that a few bytes of configuration do not hold a whole read buffer for the session.
        track.config = Bytes::copy_from_slice(config);
        codec::describe(&mut track);
        Some(track)
    }

    /// What an access unit tells: of a codec that is new, or in a key frame, which may change the size.
    fn observed(former: Option<&Track>, share: &Share, frame: &Frame) -> Option<Track> {
        let former = former.filter(|former| former.codec == share.codec);
        if former.is_some() && !frame.is_keyframe() {
            return None;
        }
        let mut track = former.cloned().unwrap_or_else(|| bare(share, frame));
        codec::observe(&mut track, &frame.payload);
        (former != Some(&track)).then_some(track)
    }
}

/// The frames of one message, each with its track if it tells something new of it.
#[derive(Debug)]
pub struct Unpacked<'a> {
    unpacker: &'a mut Unpacker,
    kind: TrackKind,
    dts_ms: i64,
    body: Bytes,
    left: Left,
}

#[derive(Debug)]
enum Left {
    Sole(Share),
    Several { several: Several, at: usize, part: Part },
    Nothing,
}

impl Left {
    /// The next share that holds something.
    fn next(&mut self, body: &[u8]) -> Option<(Share, Part)> {
        match std::mem::replace(self, Self::Nothing) {
            Self::Nothing => None,
            Self::Sole(share) => Some((share, Part::Sole)),
            Self::Several { several, mut at, part } => {
                while at < body.len() {
                    let (share, next) = several.next(at, body)?;
                    at = next;
                    if !share.payload.is_empty() {
                        *self = Self::Several { several, at, part: Part::Rest };
                        return Some((share, part));
                    }
                }
                None
            }
        }
    }
}

impl Iterator for Unpacked<'_> {
    type Item = (Frame, Option<Track>);

    fn next(&mut self) -> Option<Self::Item> {
        let (share, part) = self.left.next(&self.body)?;
        // The last frame, which is the only one nearly always, takes the body along.
        let body = match self.left {
            Left::Nothing => std::mem::take(&mut self.body),
            _ => self.body.clone(),
        };
        let shown_ms = self.dts_ms.saturating_add(i64::from(share.composition_ms));
        let frame = Frame {
            track: self.unpacker.owner(self.kind, &share),
            kind: self.kind,
            class: share.class,
            dts: MediaTime::from_ms(self.dts_ms),
            pts: MediaTime::from_ms(shown_ms),
            offset_nanos: share.offset_nanos,
            payload: body.slice(share.payload.clone()),
            origin: Some(Origin { format: Format::Flv, body, part }),
        };
        let track = self.unpacker.describe(&share, &frame);
        Some((frame, track))
    }
}

/// A track of which only the codec is known, and what the flags of a classic message tell of its sound.
fn bare(share: &Share, frame: &Frame) -> Track {
    let mut track = Track::bare(frame.track, frame.kind, share.codec);
    if let Some((sample_rate, channels)) = share.sound {
        (track.sample_rate, track.channels) = (Some(sample_rate), Some(channels));
    }
    track
}
