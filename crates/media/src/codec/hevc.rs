//! H.265: the HEVC decoder configuration record (ISO/IEC 14496-15 §8.3.2.1) and the parameter sets in it.

mod ptl;
mod sps;

use super::nal::{Sets, rbsp};
use super::{ConfigError, rate_of};
use crate::{Text, Track};

const NAME: &str = "HEVC";
/// NAL unit types (ITU-T H.265 table 7-1).
const VPS: u8 = 32;
const SPS: u8 = 33;
/// Bytes of a record before its parameter sets.
const FIXED_BYTES: usize = 23;

/// What a configuration record tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HevcConfig {
    /// ISO/IEC 14496-15 annex E.3: `hvc1.1.6.L93.B0`.
    pub codec_string: Text,
    /// `Main`, `Main 10`, …
    pub profile: Text,
    /// `3.1`, …
    pub level: Text,
    /// Whether it is of the high tier.
    pub tier: Tier,
    /// Bytes of the length before each NAL unit: 1, 2 or 4.
    pub length_bytes: u8,
    /// What the first sequence parameter set tells, if it can be read.
    pub picture: Option<Picture>,
}

/// ITU-T H.265 §A.4.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tier {
    /// For most applications.
    Main,
    /// For very high bit rates.
    High,
}

/// What parameter sets tell of the pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Picture {
    /// Pixels, after cropping.
    pub width: u32,
    /// Pixels, after cropping.
    pub height: u32,
    /// Frames a second, rounded, if the timing is told.
    pub fps: Option<u32>,
}

impl HevcConfig {
    /// Puts what is known into the track.
    pub fn describe(&self, track: &mut Track) {
        track.codec_string = Some(self.codec_string.clone());
        track.profile = Some(self.profile.clone());
        track.level = Some(self.level.clone());
        if let Some(picture) = &self.picture {
            track.width = Some(picture.width);
            track.height = Some(picture.height);
            track.fps = picture.fps;
        }
    }
}

/// Reads an HEVC decoder configuration record.
///
/// # Errors
/// [`ConfigError`] if its fixed part is cut off or of another version. What is wrong with the parameter
/// sets in it only leaves the picture unknown.
pub fn parse(record: &[u8]) -> Result<HevcConfig, ConfigError> {
    let (fixed, sets) = record.split_first_chunk::<FIXED_BYTES>().ok_or(ConfigError::Short(NAME))?;
    let &[version, general, f3, f2, f1, f0, c0, c1, c2, c3, c4, c5, level, ..] = fixed;
    // Some encoders wrote 0 while the record was a draft.
    if version > 1 {
        return Err(ConfigError::Malformed(NAME, "version"));
    }
    let &[.., rate_high, rate_low, layers, arrays] = fixed;
    let flags = u32::from_be_bytes([f3, f2, f1, f0]);
    let tier = if general & 0x20 == 0 { Tier::Main } else { Tier::High };
    // §8.3.2.1.3: frames in 256 seconds; 0 is not told.
    let average = rate_of(u64::from(u16::from_be_bytes([rate_high, rate_low])), 256);
    Ok(HevcConfig {
        codec_string: codec_string(general, flags, tier, level, &[c0, c1, c2, c3, c4, c5]),
        profile: profile(general & 0x1f, flags),
        level: level_text(level),
        tier,
        length_bytes: (layers & 0x03) + 1,
        picture: picture(sets, arrays, average),
    })
}

/// The first parameter sets of the base layer.
fn picture(sets: &[u8], arrays: u8, average: Option<u32>) -> Option<Picture> {
    let mut vps_rate = None;
    let mut found = None;
    for (header, nal) in Sets::new(sets, arrays) {
        // A NAL unit has two bytes of header; six bits of them are the layer.
        let Some((&[first, second], body)) = nal.split_first_chunk::<2>() else { continue };
        if first & 0x01 != 0 || second >> 3 != 0 {
            continue;
        }
        match header & 0x3f {
            VPS if vps_rate.is_none() => vps_rate = rbsp(body).and_then(|set| sps::vps_rate(&set)),
            SPS if found.is_none() => found = rbsp(body).and_then(|set| sps::parse(&set)),
            _ => {}
        }
    }
    let picture = found?;
    Some(Picture { fps: picture.fps.or(vps_rate).or(average), ..picture })
}

/// Annex E.3: space and number of the profile, its compatibility flags in reverse, tier and level, and the
/// constraint flags up to the last byte that has any.
fn codec_string(general: u8, flags: u32, tier: Tier, level: u8, constraints: &[u8; 6]) -> Text {
    let space = match general >> 6 {
        1 => "A",
        2 => "B",
        3 => "C",
        _ => "",
    };
    let tier = if tier == Tier::Main { 'L' } else { 'H' };
    let mut text = format!("hvc1.{space}{}.{:X}.{tier}{level}", general & 0x1f, flags.reverse_bits());
    let told = constraints.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    for byte in constraints.iter().take(told) {
        text.push_str(&format!(".{byte:X}"));
    }
    text.into()
}

/// The profile by the name of ITU-T H.265 annexes A, G, H and I. Profile 0 is told by the compatibility flags.
fn profile(idc: u8, flags: u32) -> Text {
    let told = match idc {
        0 => u8::try_from(flags.leading_zeros()).unwrap_or_default(),
        idc => idc,
    };
    let name = match told {
        1 => "Main",
        2 => "Main 10",
        3 => "Main Still Picture",
        4 => "Format Range Extensions",
        5 => "High Throughput",
        6 => "Multiview Main",
        7 => "Scalable Main",
        8 => "3D Main",
        9 => "Screen Content Coding",
        10 => "Scalable Format Range Extensions",
        11 => "High Throughput Screen Content Coding",
        _ => return format!("Profile {idc}").into(),
    };
    name.into()
}

/// §A.4.1: thirty times the number is what the record holds.
fn level_text(idc: u8) -> Text {
    match (idc / 30, idc % 30 / 3) {
        (whole, 0) => whole.to_string().into(),
        (whole, tenth) => format!("{whole}.{tenth}").into(),
    }
}

#[cfg(test)]
mod tests;
