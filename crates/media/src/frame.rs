//! One access unit of one track.

use crate::{MediaTime, TrackId, TrackKind};
use bytes::Bytes;

/// What a frame is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FrameClass {
    /// Codec configuration (AVC or AAC sequence header) or stream metadata (`onMetaData`): kept, and
    /// given to every later subscriber before its first media.
    Config,
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
    /// The access unit without framing (AVC: length-prefixed NAL units; AAC: a raw data block).
    pub payload: Bytes,
    /// The publisher's own framing, where there is one.
    pub origin: Option<Origin>,
}

impl Frame {
    /// Bytes that holding this frame keeps in memory.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.origin.as_ref().map_or(self.payload.len(), |origin| origin.body.len())
    }

    /// Whether decoding of a video track can start here.
    #[must_use]
    pub fn is_keyframe(&self) -> bool {
        self.class == FrameClass::Keyframe
    }
}
