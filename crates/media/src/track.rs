//! Tracks and their codecs.

use crate::{Text, TrackId};
use bytes::Bytes;
use std::fmt;

/// What a track carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TrackKind {
    /// Pictures.
    Video,
    /// Sound.
    Audio,
    /// Script messages and the like.
    Data,
}

impl TrackKind {
    /// `video`, `audio` or `data`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Video => "video",
            Self::Audio => "audio",
            Self::Data => "data",
        }
    }
}

impl fmt::Display for TrackKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A codec by name. What this server does not parse is named all the same, and passes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Codec {
    /// ITU-T H.264, ISO/IEC 14496-10.
    H264,
    /// ITU-T H.265, ISO/IEC 23008-2.
    Hevc,
    /// ITU-T H.266, ISO/IEC 23090-3.
    Vvc,
    /// AV1 of the Alliance for Open Media.
    Av1,
    /// VP8, RFC 6386.
    Vp8,
    /// VP9.
    Vp9,
    /// ISO/IEC 14496-3 audio.
    Aac,
    /// Opus, RFC 6716.
    Opus,
    /// FLAC, RFC 9639.
    Flac,
    /// Dolby AC-3, ETSI TS 102 366.
    Ac3,
    /// Dolby E-AC-3, ETSI TS 102 366 annex E.
    Eac3,
    /// MPEG-1 and 2 audio layer III, ISO/IEC 11172-3 and 13818-3.
    Mp3,
    /// A codec that enhanced RTMP names by a FourCC that nobody knows here.
    FourCc([u8; 4]),
    /// Any other codec, by the name of its registry (`h263`, `vp6`, `speex`, `unknown-11`, …).
    Other(&'static str),
}

impl Codec {
    /// The name in events: `h264`, `aac`, …
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::H264 => "h264",
            Self::Hevc => "hevc",
            Self::Vvc => "vvc",
            Self::Av1 => "av1",
            Self::Vp8 => "vp8",
            Self::Vp9 => "vp9",
            Self::Aac => "aac",
            Self::Opus => "opus",
            Self::Flac => "flac",
            Self::Ac3 => "ac3",
            Self::Eac3 => "eac3",
            Self::Mp3 => "mp3",
            Self::FourCc(_) => "unknown",
            Self::Other(name) => name,
        }
    }
}

impl Codec {
    /// The name in events with the FourCC of codecs that are not known here: `unknown-ac-4`, or `unknown-0x00010203`
    /// if it is no text.
    #[must_use]
    pub fn name(self) -> Text {
        let Self::FourCc(four_cc) = self else { return self.as_str().into() };
        match str::from_utf8(&four_cc) {
            Ok(text) if text.bytes().all(|byte| byte.is_ascii_graphic()) => format!("unknown-{text}").into(),
            _ => format!("unknown-{:#010x}", u32::from_be_bytes(four_cc)).into(),
        }
    }
}

/// One track of a stream and all that is known of its codec. Fields that the configuration does not
/// tell are `None`.
#[derive(Debug, Clone, PartialEq)]
pub struct Track {
    /// Its id within the stream.
    pub id: TrackId,
    /// What it carries.
    pub kind: TrackKind,
    /// How it is coded.
    pub codec: Codec,
    /// RFC 6381 codec string: `avc1.64001f`, `mp4a.40.2`.
    pub codec_string: Option<Text>,
    /// The codec configuration record as received, without framing.
    pub config: Bytes,
    /// Width of the picture in pixels, after cropping.
    pub width: Option<u32>,
    /// Height of the picture in pixels, after cropping.
    pub height: Option<u32>,
    /// Frames a second, rounded to the nearest integer.
    pub fps: Option<u32>,
    /// `Baseline`, `Main`, `High`, …; `LC`, `HE`, …
    pub profile: Option<Text>,
    /// `3.1`, …
    pub level: Option<Text>,
    /// Samples a second.
    pub sample_rate: Option<u32>,
    /// Channels.
    pub channels: Option<u32>,
}

impl Track {
    /// A track of which only the codec is known.
    #[must_use]
    pub fn bare(id: TrackId, kind: TrackKind, codec: Codec) -> Self {
        Self {
            id,
            kind,
            codec,
            codec_string: None,
            config: Bytes::new(),
            width: None,
            height: None,
            fps: None,
            profile: None,
            level: None,
            sample_rate: None,
            channels: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_codec_is_named_by_its_four_cc() {
        let names = [
            (Codec::H264, "h264"),
            (Codec::Other("vp6"), "vp6"),
            (Codec::FourCc(*b"ac-4"), "unknown-ac-4"),
            (Codec::FourCc([0, 1, 2, 3]), "unknown-0x00010203"),
            (Codec::FourCc(*b"a\nb "), "unknown-0x610a6220"),
        ];
        for (codec, name) in names {
            assert_eq!(&*codec.name(), name);
        }
    }
}
