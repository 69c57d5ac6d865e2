//! RTMP as a format of the hub: each frame is cut into chunks once, for all players.

use bytes::Bytes;
use jackfield_containers::flv;
use jackfield_hub::{Packaged, Packager};
use jackfield_media::{Format, Frame, Origin, Part, Track};
use jackfield_rtmp::Packet;

/// About what the head of a message adds to its body.
const HEAD_BYTES: usize = 12;

/// Makes [`Packet`]s of one chunk size.
#[derive(Debug)]
pub(crate) struct RtmpPackager {
    chunk_size: u32,
}

impl RtmpPackager {
    pub(crate) fn new(chunk_size: u32) -> Self {
        Self { chunk_size: chunk_size.clamp(128, 65_536) }
    }
}

impl Packager for RtmpPackager {
    fn name(&self) -> &'static str {
        "rtmp"
    }

    fn package(&self, frame: &Frame, track: Option<&Track>) -> Option<Packaged> {
        let body = body(frame, track)?;
        let packet = Packet::new(frame.kind, &body, self.chunk_size)?;
        let bytes = packet.payload().len() + HEAD_BYTES;
        Some(Packaged::new(packet, bytes))
    }
}

/// The message body: the publisher's own, untouched, if it was RTMP or FLV.
fn body(frame: &Frame, track: Option<&Track>) -> Option<Bytes> {
    match &frame.origin {
        // The whole message went out with the first of its frames.
        Some(Origin { format: Format::Flv, part: Part::Rest, .. }) => None,
        Some(origin) if origin.format == Format::Flv => Some(origin.body.clone()),
        _ => flv::pack(frame, track?.codec),
    }
}
