//! Codec configuration records: what a decoder needs to know before its first access unit.
//!
//! Whoever unpacks a publisher's configuration message puts it into a [`Track`] and calls [`describe`]; of
//! codecs that tell something in their access units alone, [`observe`] reads those. Each codec has a module, whose
//! `parse` gives all that is read. No input panics or takes long; what a configuration does not tell stays
//! `None`.
//!
//! | codec | configuration | access unit |
//! |---|---|---|
//! | H.264 | ISO/IEC 14496-15 §5.3.3.1, sequence parameter set | |
//! | H.265 | ISO/IEC 14496-15 §8.3.2.1, sequence and video parameter sets | |
//! | H.266 | ISO/IEC 14496-15 §11.2.4.2, sequence parameter set | |
//! | AV1 | record of the ISO media file binding §2.3.3, or the descriptor of transport streams | sequence header |
//! | VP8, VP9 | record of the VP file binding | header of a key frame |
//! | AAC | ISO/IEC 14496-3 §1.6.2.1 | |
//! | Opus | RFC 7845 §5.1, or `dOps` | |
//! | FLAC | RFC 9639 §8.2, with or without its mark | |
//! | AC-3, E-AC-3 | `dac3`, `dec3` | sync frame, ETSI TS 102 366 |
//! | MP3 | | frame header |

pub mod aac;
pub mod av1;
pub mod avc;
mod bits;
pub mod dolby;
pub mod flac;
pub mod hevc;
#[cfg(test)]
mod kit;
pub mod mp3;
mod nal;
pub mod opus;
pub mod vp;
pub mod vvc;

use crate::{Codec, Track};

/// The widest or highest picture that is believed; levels of all codecs end below.
const MAX_SIDE: u32 = 32_768;
/// The fastest frame rate that is believed.
const MAX_FPS: u64 = 1000;

/// Why a configuration, or the head of an access unit, could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// It ends before its fields do.
    #[error("the {0} configuration is too short")]
    Short(&'static str),
    /// A field has a value that cannot be.
    #[error("the {0} configuration has an impossible {1}")]
    Malformed(&'static str, &'static str),
}

/// Puts what [`Track::config`] tells into the track. A malformed configuration tells nothing.
pub fn describe(track: &mut Track) {
    let config = track.config.clone();
    let _malformed = match track.codec {
        Codec::H264 => avc::parse(&config).ok().map(|told| told.describe(track)),
        Codec::Hevc => hevc::parse(&config).ok().map(|told| told.describe(track)),
        Codec::Vvc => vvc::parse(&config).ok().map(|told| told.describe(track)),
        Codec::Av1 => av1::parse(&config).ok().map(|told| told.describe(track)),
        Codec::Vp8 | Codec::Vp9 => vp::parse(&config).ok().map(|told| told.describe(track)),
        Codec::Aac => aac::parse(&config).ok().map(|told| told.describe(track)),
        Codec::Opus => opus::parse(&config).ok().map(|told| told.describe(track)),
        Codec::Flac => flac::parse(&config).ok().map(|told| told.describe(track)),
        codec @ (Codec::Ac3 | Codec::Eac3) => {
            dolby::parse_box(codec, &config).ok().map(|told| told.describe(track))
        }
        Codec::Mp3 | Codec::FourCc(_) | Codec::Other(_) => None,
    };
}

/// Puts what an access unit itself tells into the track: a key frame, or any of sound.
pub fn observe(track: &mut Track, access_unit: &[u8]) {
    let size = match track.codec {
        Codec::Vp8 => vp::vp8_size(access_unit),
        Codec::Vp9 => vp::vp9_size(access_unit),
        _ => None,
    };
    if let Some((width, height)) = size {
        (track.width, track.height) = (Some(width), Some(height));
    }
    let _malformed = match track.codec {
        Codec::Av1 => av1::sequence(access_unit).map(|told| told.describe(track)),
        Codec::Ac3 | Codec::Eac3 => dolby::parse_frame(access_unit).ok().map(|told| told.describe(track)),
        Codec::Mp3 => mp3::parse(access_unit).ok().map(|told| told.describe(track)),
        _ => None,
    };
}

/// A picture's size, if it is believable.
fn size_of(width: u32, height: u32) -> Option<(u32, u32)> {
    let believable = 1..=MAX_SIDE;
    (believable.contains(&width) && believable.contains(&height)).then_some((width, height))
}

/// Ticks a second by ticks a picture, rounded, if it is believable.
fn rate_of(ticks_per_second: u64, ticks_per_picture: u64) -> Option<u32> {
    let doubled = ticks_per_second.checked_mul(2)?.checked_div(ticks_per_picture)?;
    let fps = doubled.div_ceil(2);
    (1..=MAX_FPS).contains(&fps).then(|| u32::try_from(fps).ok())?
}
