//! One access unit of one track.

use crate::{MediaTime, TrackId, TrackKind};
use bytes::Bytes;

/// What a frame is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FrameClass {
    /// Codec configuration (sequence header) or stream metadata (`onMetaData`): kept, and given to every
    /// later subscriber before its first media.
    Config,
    /// What is to be known of a track beside its configuration (enhanced RTMP v2: colour volume, order of
    /// channels): kept and given like a configuration, but a change of it ends no group of pictures.
    TrackMetadata,
    /// An access unit from which decoding can start. Every audio access unit is `Inter`; a stream
    /// without video may be entered anywhere.
    Keyframe,
    /// Any other access unit.
    Inter,
    /// Passed through, and neither cached nor counted as media: end of sequence, commands to the player.
    Signal,
}

/// A way of framing media. A packager of the same format may pass [`Frame::origin`] on unaltered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// The body of an FLV tag or RTMP message (Adobe FLV 10.1, annex E.4; enhanced RTMP v2).
    Flv,
}

/// A frame as its publisher framed it.
#[derive(Debug, Clone)]
pub struct Origin {
    /// How.
    pub format: Format,
    /// The whole message body; [`Frame::payload`] is a slice of it.
    pub body: Bytes,
    /// Which of the body's frames this is.
    pub part: Part,
}

/// Place of a frame in a body that may hold frames of several tracks (enhanced RTMP v2, "Multitrack").
/// They follow one another, so that who passes bodies on sends that of the first and leaves out the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Part {
    /// The body holds nothing else.
    #[default]
    Sole,
    /// Others follow it.
    First,
    /// It follows another one of the same body.
    Rest,
}

/// One access unit of one track. Cloning it copies no payload.
#[derive(Debug, Clone)]
pub struct Frame {
    /// Which track it belongs to.
    pub track: TrackId,
    /// The kind of that track.
    pub kind: TrackKind,
    /// What it is for.
    pub class: FrameClass,
    /// When it is decoded.
    pub dts: MediaTime,
    /// When it is shown; equal to `dts` for audio and data.
    pub pts: MediaTime,
    /// What is to be added to `pts`, in nanoseconds: 0 to 999,999 (enhanced RTMP v2, `TimestampOffsetNano`).
    pub offset_nanos: u32,
    /// The access unit without framing (AVC: length-prefixed NAL units; AAC: a raw data block).
    pub payload: Bytes,
    /// The publisher's own framing, where there is one.
    pub origin: Option<Origin>,
}

impl Frame {
    /// Bytes that holding this frame keeps in memory. A body that several frames share counts for the first.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        match &self.origin {
            None => self.payload.len(),
            Some(Origin { part: Part::Rest, .. }) => 0,
            Some(origin) => origin.body.len(),
        }
    }

    /// What a list of frames is charged for this one, so that its bound holds for frames of any size: its bytes, and
    /// what it takes to hold it.
    #[must_use]
    pub fn charged_bytes(&self) -> usize {
        /// The frame itself, its place in the list, and the allocations behind both.
        const OVERHEAD_BYTES: usize = 256;
        self.held_bytes() + OVERHEAD_BYTES
    }

    /// Whether decoding of a video track can start here.
    #[must_use]
    pub fn is_keyframe(&self) -> bool {
        self.class == FrameClass::Keyframe
    }
}
