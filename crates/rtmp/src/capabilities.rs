//! What a peer can take, as it tells in `connect` (Enhanced RTMP v2, "Enhancing NetConnection connect
//! Command"), and what this side tells.
//!
//! Everything that a peer lists is reduced to a fixed set: a list of any length takes a few bytes, and peers
//! that mean the same are equal, so that viewers of equal capabilities can share one packager.

use crate::amf::{Object, Value};
use jackfield_media::{Codec, TrackKind};

/// The codecs that enhanced RTMP names by a FourCC, and their bits in [`Codecs`].
const VIDEO: [(&str, Codec); 6] = [
    ("avc1", Codec::H264),
    ("hvc1", Codec::Hevc),
    ("vvc1", Codec::Vvc),
    ("av01", Codec::Av1),
    ("vp08", Codec::Vp8),
    ("vp09", Codec::Vp9),
];
const AUDIO: [(&str, Codec); 6] = [
    ("mp4a", Codec::Aac),
    ("Opus", Codec::Opus),
    ("fLaC", Codec::Flac),
    ("ac-3", Codec::Ac3),
    ("ec-3", Codec::Eac3),
    (".mp3", Codec::Mp3),
];
/// Stands for every FourCC.
const ANY: &str = "*";

/// `FourCcInfoMask`.
const CAN_DECODE: u32 = 1;
const CAN_FORWARD: u32 = 4;

/// `CapsExMask`.
const RECONNECT: u32 = 1;
const MULTITRACK: u32 = 2;
const MOD_EX: u32 = 4;
const TIMESTAMP_NANO_OFFSET: u32 = 8;

/// So many entries of a list are looked at. The specification knows 12; bounds the work for one `connect`.
const MAX_ENTRIES: usize = 256;

/// What a peer told in `connect` that it can take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Capabilities {
    announced: Announced,
    video: Codecs,
    audio: Codecs,
    /// `capsEx`, its known bits.
    extended: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
enum Announced {
    #[default]
    Nothing,
    Codecs,
}

/// A set of codecs of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
struct Codecs {
    /// By the index in the table of its kind.
    bits: u8,
    /// `*`.
    any: bool,
}

impl Codecs {
    fn add(&mut self, table: &[(&str, Codec)], four_cc: &str) {
        if four_cc == ANY {
            self.any = true;
        } else if let Some(index) = table.iter().position(|(name, _)| *name == four_cc) {
            self.bits |= 1 << index;
        }
    }

    fn holds(self, table: &[(&str, Codec)], codec: Codec) -> bool {
        self.any || table.iter().position(|(_, own)| *own == codec).is_some_and(|i| self.bits & 1 << i != 0)
    }
}

impl Capabilities {
    /// Reads `fourCcList`, `videoFourCcInfoMap`, `audioFourCcInfoMap` and `capsEx` from the command object of
    /// `connect`, or from the properties of its answer. The list may be an array of any kind; entries that
    /// are malformed, unknown, or beyond the 256th are left out.
    #[must_use]
    pub fn parse(connect: &Object) -> Self {
        let mut own = Self::default();
        for four_cc in connect.find("fourCcList").into_iter().flat_map(elements).filter_map(Value::as_str) {
            own.announced = Announced::Codecs;
            own.video.add(&VIDEO, four_cc);
            own.audio.add(&AUDIO, four_cc);
        }
        for (name, table, codecs) in
            [("videoFourCcInfoMap", VIDEO, &mut own.video), ("audioFourCcInfoMap", AUDIO, &mut own.audio)]
        {
            let Some(map) = connect.find(name).and_then(Value::as_object) else { continue };
            own.announced = Announced::Codecs;
            for (four_cc, mask) in map.iter().take(MAX_ENTRIES) {
                // What it can only encode it cannot be sent.
                if flags(mask) & (CAN_DECODE | CAN_FORWARD) != 0 {
                    codecs.add(&table, four_cc);
                }
            }
        }
        let known = RECONNECT | MULTITRACK | MOD_EX | TIMESTAMP_NANO_OFFSET;
        own.extended = connect.find("capsEx").filter(|v| v.as_number().is_some()).map(|v| flags(v) & known);
        own
    }

    /// Whether any of the three lists was there.
    #[must_use]
    pub fn has_announced(&self) -> bool {
        self.announced == Announced::Codecs
    }

    /// Whether the peer told anything of enhanced RTMP at all, `capsEx` included.
    #[must_use]
    pub fn is_enhanced(&self) -> bool {
        self.has_announced() || self.extended.is_some()
    }

    /// Whether tracks of this codec may be sent. Of a peer that announced no codecs nothing is known, and
    /// it gets what there is. Codecs that FLV had before FourCCs (H.264, AAC, MP3 and all that have no
    /// FourCC) need no announcement; of others that are unknown here only `*` tells.
    #[must_use]
    pub fn takes(&self, kind: TrackKind, codec: Codec) -> bool {
        matches!(codec, Codec::H264 | Codec::Aac | Codec::Mp3) || self.takes_four_cc(kind, codec)
    }

    /// Whether messages that name this codec by its FourCC may be sent. H.264, AAC and MP3 have a form of message
    /// without one, for peers that did not announce theirs.
    #[must_use]
    pub fn takes_four_cc(&self, kind: TrackKind, codec: Codec) -> bool {
        if !self.has_announced() || matches!(codec, Codec::Other(_)) {
            return true;
        }
        match kind {
            TrackKind::Video => self.video.holds(&VIDEO, codec),
            TrackKind::Audio => self.audio.holds(&AUDIO, codec),
            TrackKind::Data => true,
        }
    }

    /// Whether it understands multitrack messages. Without `capsEx` nothing is known, and it is so taken.
    #[must_use]
    pub fn takes_multitrack(&self) -> bool {
        self.extended.is_none_or(|bits| bits & MULTITRACK != 0)
    }

    /// Whether it heeds `NetConnection.Connect.ReconnectRequest`.
    #[must_use]
    pub fn takes_reconnect(&self) -> bool {
        self.has(RECONNECT)
    }

    /// Whether it reads the packet type ModEx. Without `capsEx` nothing is known, and it is so taken.
    #[must_use]
    pub fn takes_mod_ex(&self) -> bool {
        self.extended.is_none_or(|bits| bits & (MOD_EX | TIMESTAMP_NANO_OFFSET) != 0)
    }

    /// Whether it understands the nanosecond offset in ModEx. Without `capsEx` nothing is known, and it is
    /// so taken.
    #[must_use]
    pub fn takes_nano_offset(&self) -> bool {
        self.extended.is_none_or(|bits| bits & TIMESTAMP_NANO_OFFSET != 0)
    }

    fn has(self, bit: u32) -> bool {
        self.extended.is_some_and(|bits| bits & bit != 0)
    }

    /// What one tells who passes on every codec: all FourCCs by name for peers that know the list only, and
    /// `*` with CanForward for the others; reconnect, multitrack, ModEx and nanosecond offsets.
    pub fn announce_forwarder(properties: &mut Object) {
        let list = VIDEO.iter().chain(&AUDIO).map(|(four_cc, _)| Value::from(*four_cc)).collect();
        let every = || Object::new().with(ANY, f64::from(CAN_FORWARD));
        let extended = RECONNECT | MULTITRACK | MOD_EX | TIMESTAMP_NANO_OFFSET;
        for (name, value) in [
            ("fourCcList", Value::StrictArray(list)),
            ("videoFourCcInfoMap", every().into()),
            ("audioFourCcInfoMap", every().into()),
            ("capsEx", f64::from(extended).into()),
        ] {
            properties.push(name.to_owned(), value);
        }
    }
}

/// The elements of an array of any kind.
fn elements(list: &Value) -> impl Iterator<Item = &Value> {
    let (dense, named) = match list {
        Value::StrictArray(values) => (values.as_slice(), None),
        other => (&[][..], other.as_object()),
    };
    dense.iter().chain(named.into_iter().flat_map(|o| o.iter().map(|(_, v)| v))).take(MAX_ENTRIES)
}

/// A number as a set of flags; anything else is none.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a float cast saturates")]
fn flags(value: &Value) -> u32 {
    value.as_number().map_or(0, |number| number as u32)
}

#[cfg(test)]
mod tests;
