//! H.266: the VVC decoder configuration record (ISO/IEC 14496-15 §11.2.4.2) and the sequence parameter set in it.

use super::bits::Bits;
use super::nal::{Sets, rbsp};
use super::{ConfigError, rate_of, size_of};
use crate::{Text, Track};

const NAME: &str = "VVC";
/// NAL unit types (ITU-T H.266 table 5). A record has one decoding capability and one operating point set at most.
const SPS: u8 = 15;
const ONE_OF_A_KIND: &[u8] = &[12, 13];
/// What general constraints have before the number of their reserved bits (§7.3.3.2).
const CONSTRAINT_BITS: usize = 71;

/// What a configuration record tells.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VvcConfig {
    /// Profile, tier and level.
    pub profile: Option<Profile>,
    /// Width and height in pixels.
    pub size: Option<(u32, u32)>,
    /// Frames a second, rounded, if the record tells.
    pub fps: Option<u32>,
}

/// The first fields of `VvcPTLRecord` and of `profile_tier_level` (ITU-T H.266 §7.3.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Profile {
    /// `general_profile_idc`.
    pub idc: u8,
    /// `general_tier_flag`: 0 main, 1 high.
    pub tier: u8,
    /// `general_level_idc`: sixteen times the level, and three for each tenth.
    pub level: u8,
}

impl Profile {
    /// ISO/IEC 14496-15 annex E.6, without constraints and sub-profiles: `vvc1.1.L51`.
    #[must_use]
    pub fn codec_string(&self) -> Text {
        let tier = if self.tier == 0 { 'L' } else { 'H' };
        format!("vvc1.{}.{tier}{}", self.idc, self.level).into()
    }

    /// The profile by the name of ITU-T H.266 annex A.
    fn name(self) -> Text {
        let name = match self.idc {
            1 => "Main 10",
            2 => "Main 12",
            10 => "Main 12 Intra",
            17 => "Multilayer Main 10",
            33 => "Main 10 4:4:4",
            34 => "Main 12 4:4:4",
            36 => "Main 16 4:4:4",
            42 => "Main 12 4:4:4 Intra",
            44 => "Main 16 4:4:4 Intra",
            49 => "Multilayer Main 10 4:4:4",
            65 => "Main 10 Still Picture",
            66 => "Main 12 Still Picture",
            97 => "Main 10 4:4:4 Still Picture",
            98 => "Main 12 4:4:4 Still Picture",
            100 => "Main 16 4:4:4 Still Picture",
            other => return format!("Profile {other}").into(),
        };
        name.into()
    }
}

impl VvcConfig {
    /// Puts what is known into the track.
    pub fn describe(&self, track: &mut Track) {
        if let Some(profile) = self.profile {
            track.codec_string = Some(profile.codec_string());
            track.profile = Some(profile.name());
            track.level = Some(format!("{}.{}", profile.level >> 4, (profile.level & 0x0f) / 3).into());
        }
        track.width = self.size.map(|(width, _)| width);
        track.height = self.size.map(|(_, height)| height);
        track.fps = self.fps;
    }
}

/// Reads a VVC decoder configuration record.
///
/// # Errors
/// [`ConfigError`] if its fixed part is cut off. What is wrong with a parameter set in it only leaves unknown
/// what the record itself does not tell.
pub fn parse(record: &[u8]) -> Result<VvcConfig, ConfigError> {
    // As a box of a file it has a version and flags in front, all zero; a record begins with ones.
    let record = record.strip_prefix(&[0; 4]).unwrap_or(record);
    match record.first() {
        None => return Err(ConfigError::Short(NAME)),
        Some(first) if first >> 3 != 0x1f => return Err(ConfigError::Malformed(NAME, "version")),
        Some(_) => {}
    }
    let mut bits = Bits::new(record);
    let short = ConfigError::Short(NAME);
    let mut config = fixed(&mut bits).ok_or(short)?;
    let arrays = bits.small(8).ok_or(short)?;
    let sets = record.get(record.len() - bits.left() / 8..).unwrap_or_default();
    let sps = Sets::with_uncounted(sets, arrays, ONE_OF_A_KIND)
        .filter(|(header, _)| header & 0x1f == SPS)
        .find_map(|(_, nal)| sequence(&rbsp(nal.get(2..)?)?));
    if let Some((profile, size)) = sps {
        config.profile = config.profile.or(profile);
        // What the set tells is cropped; what the record tells is not.
        config.size = Some(size);
    }
    Ok(config)
}

/// All before the arrays of parameter sets.
fn fixed(bits: &mut Bits<'_>) -> Option<VvcConfig> {
    bits.skip(5 + 2)?;
    if !bits.flag()? {
        return Some(VvcConfig::default());
    }
    bits.skip(9)?;
    let sub_layers = bits.read(3)?;
    bits.skip(2 + 2 + 3 + 5)?;
    bits.skip(2)?;
    let constraint_bytes = bits.read(6)? as usize;
    let profile = Profile { idc: bits.small(7)?, tier: bits.small(1)?, level: bits.small(8)? };
    // Two flags and the constraints fill whole bytes.
    bits.skip((8 * constraint_bytes).max(2))?;
    sub_layer_levels(bits, sub_layers.saturating_sub(1))?;
    let sub_profiles = bits.read(8)? as usize;
    bits.skip(32 * sub_profiles)?;
    let (width, height, rate) = (bits.read(16)?, bits.read(16)?, bits.read(16)?);
    Some(VvcConfig { profile: Some(profile), size: size_of(width, height), fps: rate_of(rate.into(), 256) })
}

/// Flags of which sub-layers have a level of their own, to the end of a byte, and those levels.
fn sub_layer_levels(bits: &mut Bits<'_>, more_sub_layers: u32) -> Option<()> {
    let mut levels = 0;
    for _ in 0..more_sub_layers {
        levels += usize::from(bits.flag()?);
    }
    bits.align();
    bits.skip(8 * levels)
}

/// A sequence parameter set without its NAL unit header (ITU-T H.266 §7.3.2.4) up to the size of its pictures.
fn sequence(set: &[u8]) -> Option<(Option<Profile>, (u32, u32))> {
    let bits = &mut Bits::new(set);
    bits.skip(4 + 4)?;
    let more_sub_layers = bits.read(3)?;
    let chroma_format = bits.read(2)?;
    bits.skip(2)?;
    let profile = if bits.flag()? { Some(profile_tier_level(bits, more_sub_layers)?) } else { None };
    bits.skip(1)?;
    if bits.flag()? {
        bits.skip(1)?;
    }
    let (width, height) = (bits.exp_golomb()?, bits.exp_golomb()?);
    let (mut cut_width, mut cut_height) = (0u64, 0u64);
    if bits.flag()? {
        let (unit_width, unit_height) = match chroma_format {
            1 => (2, 2),
            2 => (2, 1),
            _ => (1, 1),
        };
        cut_width = unit_width * (u64::from(bits.exp_golomb()?) + u64::from(bits.exp_golomb()?));
        cut_height = unit_height * (u64::from(bits.exp_golomb()?) + u64::from(bits.exp_golomb()?));
    }
    let cropped = |full: u32, cut: u64| u32::try_from(u64::from(full).checked_sub(cut)?).ok();
    Some((profile, size_of(cropped(width, cut_width)?, cropped(height, cut_height)?)?))
}

/// ITU-T H.266 §7.3.3.1.
fn profile_tier_level(bits: &mut Bits<'_>, more_sub_layers: u32) -> Option<Profile> {
    let profile = Profile { idc: bits.small(7)?, tier: bits.small(1)?, level: bits.small(8)? };
    bits.skip(2)?;
    if bits.flag()? {
        bits.skip(CONSTRAINT_BITS)?;
        let reserved = bits.read(8)? as usize;
        bits.skip(reserved)?;
    }
    bits.align();
    sub_layer_levels(bits, more_sub_layers)?;
    let sub_profiles = bits.read(8)? as usize;
    bits.skip(32 * sub_profiles)?;
    Some(profile)
}

#[cfg(test)]
mod tests;
