//! AV1: the `AV1CodecConfigurationRecord` of the ISO media file binding §2.3.3, and the sequence header of
//! the bit stream specification §5.5.

use super::bits::Bits;
use super::{ConfigError, rate_of, size_of};
use crate::{Text, Track};

const NAME: &str = "AV1";
/// Marker and version 1, the first byte of a record.
const RECORD_MARK: u8 = 0x81;
/// Tag and length of the descriptor that carries the same in MPEG-2 transport streams (AV1 in MPEG-2 TS §2.1).
const DESCRIPTOR: [u8; 2] = [0x80, 4];
const SEQUENCE_HEADER: u8 = 1;
/// Open bitstream units that are looked at; an access unit's sequence header is among its first.
const MAX_UNITS: usize = 16;

/// What a record tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Av1Config {
    /// `seq_profile`: 0 main, 1 high, 2 professional.
    pub profile: u8,
    /// `seq_level_idx[0]`; 31 means no limit.
    pub level: u8,
    /// `seq_tier[0]`.
    pub tier: u8,
    /// Bits a sample: 8, 10 or 12.
    pub bit_depth: u8,
    /// What the sequence header in it tells, if it has one.
    pub sequence: Option<Sequence>,
}

/// What a sequence header tells of its pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sequence {
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Pictures a second, rounded, if they all last equally long and the header tells how long.
    pub fps: Option<u32>,
}

impl Av1Config {
    /// `av01.0.05M.08` (ISO media file binding §5): profile, level, tier and bits a sample.
    #[must_use]
    pub fn codec_string(&self) -> Text {
        let tier = if self.tier == 0 { 'M' } else { 'H' };
        format!("av01.{}.{:02}{tier}.{:02}", self.profile, self.level, self.bit_depth).into()
    }

    /// Puts what is known into the track.
    pub fn describe(&self, track: &mut Track) {
        track.codec_string = Some(self.codec_string());
        let profile = match self.profile {
            0 => "Main",
            1 => "High",
            2 => "Professional",
            _ => "Reserved",
        };
        track.profile = Some(profile.into());
        // Annex A.3: level 2.0 is number 0, and each has four numbers.
        track.level =
            (self.level < 24).then(|| format!("{}.{}", 2 + (self.level >> 2), self.level & 3).into());
        if let Some(sequence) = &self.sequence {
            sequence.describe(track);
        }
    }
}

impl Sequence {
    /// Puts what is known into the track.
    pub fn describe(&self, track: &mut Track) {
        track.width = Some(self.width);
        track.height = Some(self.height);
        track.fps = self.fps;
    }
}

/// Whether a configuration is the descriptor of transport streams, which a record never looks like.
#[must_use]
pub fn is_descriptor(config: &[u8]) -> bool {
    config.starts_with(&DESCRIPTOR)
}

/// Reads a configuration record, or the descriptor of transport streams, which holds the same four bytes.
///
/// # Errors
/// [`ConfigError`] if it ends early or is of another version. A malformed sequence header inside is none: the
/// picture is not known then.
pub fn parse(config: &[u8]) -> Result<Av1Config, ConfigError> {
    let record = if is_descriptor(config) { config.get(2..).unwrap_or_default() } else { config };
    let (&[mark, profile_level, flags, _], units) =
        record.split_first_chunk::<4>().ok_or(ConfigError::Short(NAME))?;
    if mark != RECORD_MARK {
        return Err(ConfigError::Malformed(NAME, "version"));
    }
    let profile = profile_level >> 5;
    let bit_depth = match (flags >> 6 & 1, flags >> 5 & 1) {
        (0, _) => 8,
        (_, 1) if profile == 2 => 12,
        _ => 10,
    };
    Ok(Av1Config {
        profile,
        level: profile_level & 0x1f,
        tier: flags >> 7,
        bit_depth,
        sequence: sequence(units),
    })
}

/// Looks for a sequence header among the first open bitstream units of an access unit or record.
#[must_use]
pub fn sequence(units: &[u8]) -> Option<Sequence> {
    let mut rest = units;
    for _ in 0..MAX_UNITS {
        let (kind, payload, after) = unit(rest)?;
        if kind == SEQUENCE_HEADER {
            return sequence_header(&mut Bits::new(payload));
        }
        rest = after;
    }
    None
}

/// §5.3: type, payload and what comes after it. Without a size the unit is the last.
fn unit(units: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&header, mut rest) = units.split_first()?;
    if header & 0x04 != 0 {
        rest = rest.get(1..)?;
    }
    let size = if header & 0x02 == 0 {
        rest.len()
    } else {
        let (size, after) = leb128(rest)?;
        rest = after;
        size
    };
    let (payload, after) = rest.split_at_checked(size)?;
    Some((header >> 3 & 0x0f, payload, after))
}

/// §4.10.5, of at most eight bytes.
fn leb128(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0u64;
    for (at, byte) in bytes.iter().take(8).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Some((usize::try_from(value).ok()?, bytes.get(at + 1..)?));
        }
    }
    None
}

/// §5.5.1, up to the size of the pictures.
fn sequence_header(bits: &mut Bits<'_>) -> Option<Sequence> {
    bits.skip(3 + 1)?;
    let reduced = bits.flag()?;
    let mut fps = None;
    if reduced {
        bits.skip(5)?;
    } else {
        fps = operating_points(bits)?;
    }
    let (width_bits, height_bits) = (bits.read(4)? as usize + 1, bits.read(4)? as usize + 1);
    let (width, height) = (bits.read(width_bits)? + 1, bits.read(height_bits)? + 1);
    let (width, height) = size_of(width, height)?;
    Some(Sequence { width, height, fps })
}

/// Timing and operating points of a header that is not reduced; gives the frame rate.
fn operating_points(bits: &mut Bits<'_>) -> Option<Option<u32>> {
    let mut fps = None;
    let mut delay_bits = None;
    if bits.flag()? {
        let (units, scale) = (bits.read(32)?, bits.read(32)?);
        if bits.flag()? {
            let ticks = u64::from(bits.exp_golomb()?) + 1;
            fps = rate_of(u64::from(scale), u64::from(units).saturating_mul(ticks));
        }
        if bits.flag()? {
            delay_bits = Some(bits.read(5)? as usize + 1);
            bits.skip(32 + 5 + 5)?;
        }
    }
    let has_display_delay = bits.flag()?;
    let points = bits.read(5)?;
    for _ in 0..=points {
        bits.skip(12)?;
        let level = bits.read(5)?;
        if level > 7 {
            bits.skip(1)?;
        }
        if let Some(delay_bits) = delay_bits
            && bits.flag()?
        {
            bits.skip(2 * delay_bits + 1)?;
        }
        if has_display_delay && bits.flag()? {
            bits.skip(4)?;
        }
    }
    Some(fps)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::kit::{bytes, hostile};

    /// SVT-AV1, 426 × 240.
    const RECORD: &str = "81000c000a0b0200000521f53de017c002";

    #[test]
    fn a_real_record_tells_profile_level_and_size() {
        let config = parse(&bytes(RECORD)).unwrap();
        assert_eq!(&*config.codec_string(), "av01.0.00M.08");
        assert_eq!(config.sequence, Some(Sequence { width: 426, height: 240, fps: None }));
        let mut track = crate::codec::kit::video();
        config.describe(&mut track);
        assert_eq!((track.profile.as_deref(), track.level.as_deref()), (Some("Main"), Some("2.0")));
    }

    #[test]
    fn the_descriptor_of_transport_streams_tells_the_same_without_a_size() {
        let config = parse(&bytes("800481454c00")).unwrap();
        assert_eq!(&*config.codec_string(), "av01.2.05M.10");
        assert_eq!(config.sequence, None);
    }

    #[test]
    fn an_access_unit_has_its_sequence_header_behind_the_delimiter() {
        let sequence = sequence(&bytes("12000a0b0200000521f53de257c80232982910")).unwrap();
        assert_eq!((sequence.width, sequence.height), (426, 240));
    }

    #[test]
    fn what_is_cut_or_of_another_version_is_refused() {
        assert_eq!(parse(&bytes("81000c")), Err(ConfigError::Short(NAME)));
        assert_eq!(parse(&bytes("82000c00")), Err(ConfigError::Malformed(NAME, "version")));
        assert_eq!(parse(&bytes("81000c000a0b02")).unwrap().sequence, None);
    }

    #[test]
    fn no_mutation_panics() {
        hostile(&[RECORD, "800481454c00"], |bytes| parse(bytes).is_ok());
    }
}
