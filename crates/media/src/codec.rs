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
//! | AV1 | record of the ISO media file binding §2.3.3, or the descriptor of transport streams | sequence header |
//! | AAC | ISO/IEC 14496-3 §1.6.2.1 | |
//! | MP3 | | frame header |

pub mod aac;
pub mod av1;
pub mod avc;
mod bits;
#[cfg(test)]
mod kit;
pub mod mp3;

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
    match track.codec {
        Codec::H264 => drop(avc::parse(&config).map(|config| config.describe(track))),
        Codec::Av1 => drop(av1::parse(&config).map(|config| config.describe(track))),
        Codec::Aac => drop(aac::parse(&config).map(|config| config.describe(track))),
        _ => {}
    }
}

/// Puts what an access unit itself tells into the track: a key frame, or any of sound.
pub fn observe(track: &mut Track, access_unit: &[u8]) {
    match track.codec {
        Codec::Av1 => {
            if let Some(sequence) = av1::sequence(access_unit) {
                sequence.describe(track);
            }
        }
        Codec::Mp3 => drop(mp3::parse(access_unit).map(|header| header.describe(track))),
        _ => {}
    }
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
