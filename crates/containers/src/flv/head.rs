//! What the head of a message body says, in terms that video and audio share.

use super::FlvError;
use super::enhanced::Several;
use jackfield_media::{Codec, FrameClass, TrackKind};
use std::ops::Range;

/// A message body behind its head.
#[derive(Debug)]
pub(super) enum Message {
    /// One frame of one track.
    Sole(Share),
    /// Frames of several tracks.
    Several(Several),
}

impl Message {
    /// Reads the head of a body.
    pub(super) fn read(kind: TrackKind, body: &[u8]) -> Result<Self, FlvError> {
        match kind {
            TrackKind::Video => super::video::read(body).ok_or(FlvError::Short(kind)),
            TrackKind::Audio => super::audio::read(body).ok_or(FlvError::Short(kind)),
            TrackKind::Data => Ok(Self::Sole(Share { class: FrameClass::Inter, ..Share::signal(0, body) })),
        }
    }
}

/// What one track has of a message body.
#[derive(Debug, Clone)]
pub(super) struct Share {
    pub(super) codec: Codec,
    pub(super) class: FrameClass,
    /// The track's number in a multitrack message; all others are of track 0.
    pub(super) number: Option<u8>,
    /// `pts - dts` in milliseconds.
    pub(super) composition_ms: i32,
    pub(super) offset_nanos: u32,
    /// What the head tells of the sound: sample rate and channels.
    pub(super) sound: Option<(u32, u32)>,
    /// Where the frame lies in the body.
    pub(super) payload: Range<usize>,
}

impl Share {
    /// What is passed on as it is: all of the body from here on.
    pub(super) fn signal(at: usize, body: &[u8]) -> Self {
        Self {
            codec: Codec::Other("none"),
            class: FrameClass::Signal,
            number: None,
            composition_ms: 0,
            offset_nanos: 0,
            sound: None,
            payload: at.min(body.len())..body.len(),
        }
    }

    /// An access unit without a byte begins no group of pictures, and an empty configuration tells nothing.
    pub(super) fn settled(mut self) -> Self {
        if self.payload.is_empty() {
            self.class = FrameClass::Signal;
        }
        self
    }
}

/// SI24, big endian.
pub(super) fn signed_24(bytes: &[u8]) -> Option<i32> {
    let &[high, middle, low] = bytes.first_chunk::<3>()?;
    Some(i32::from_be_bytes([high, middle, low, 0]) >> 8)
}
