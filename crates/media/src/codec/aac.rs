//! AAC: the `AudioSpecificConfig` of ISO/IEC 14496-3 §1.6.2.1.

use super::bits::Bits;
use crate::{Text, Track};

/// §1.6.3.4, table 1.18.
const SAMPLE_RATES: [u32; 13] =
    [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350];
/// The index that says that the rate itself follows.
const ESCAPE_RATE: u32 = 15;
/// Audio object types (table 1.17) that are looked at by number.
const SBR: u32 = 5;
const ER_BSAC: u32 = 22;
const PS: u32 = 29;
/// Marks of a backward compatible extension (table 1.15).
const SBR_MARK: u32 = 0x2b7;
const PS_MARK: u32 = 0x548;

/// Why a configuration could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AacError {
    /// It ends before its fields do.
    #[error("the AAC configuration is too short")]
    Short,
    /// A sampling frequency index that is reserved, or a rate of zero.
    #[error("the AAC configuration has an impossible sample rate")]
    SampleRate,
}

/// What an `AudioSpecificConfig` tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AacConfig {
    /// The audio object type that a decoder must know: 2 (LC), 5 (HE), 29 (HE v2), …
    pub object_type: u32,
    /// Samples a second that come out of the decoder, after spectral band replication.
    pub sample_rate: u32,
    /// Channels that come out of the decoder, after parametric stereo; `None` if it is not told.
    pub channels: Option<u32>,
}

impl AacConfig {
    /// RFC 6381 §3.3: `mp4a.40.` and the object type.
    #[must_use]
    pub fn codec_string(&self) -> Text {
        format!("mp4a.40.{}", self.object_type).into()
    }

    /// `LC`, `HE`, `HE v2`, …
    #[must_use]
    pub fn profile(&self) -> Text {
        let name = match self.object_type {
            1 => "Main",
            2 => "LC",
            3 => "SSR",
            4 => "LTP",
            SBR => "HE",
            PS => "HE v2",
            23 => "LD",
            39 => "ELD",
            42 => "xHE",
            other => return format!("Type {other}").into(),
        };
        name.into()
    }

    /// Puts what is known into the track.
    pub fn describe(&self, track: &mut Track) {
        track.codec_string = Some(self.codec_string());
        track.profile = Some(self.profile());
        track.sample_rate = Some(self.sample_rate);
        track.channels = self.channels;
    }
}

/// Reads an `AudioSpecificConfig`.
///
/// # Errors
/// [`AacError`] if the object type, sample rate or channels cannot be known. What follows them may be
/// cut off: many encoders write two bytes and no more.
pub fn parse(config: &[u8]) -> Result<AacConfig, AacError> {
    let mut bits = Bits::new(config);
    let first_type = object_type(&mut bits).ok_or(AacError::Short)?;
    let mut sample_rate = sample_rate_of(&mut bits)?;
    let channel_configuration = bits.read(4).ok_or(AacError::Short)?;
    let explicit = matches!(first_type, SBR | PS);
    let mut core_type = first_type;
    if explicit {
        sample_rate = sample_rate_of(&mut bits)?;
        core_type = object_type(&mut bits).ok_or(AacError::Short)?;
        if core_type == ER_BSAC {
            bits.read(4).ok_or(AacError::Short)?;
        }
    }
    let elements = specific(&mut bits, core_type, channel_configuration);
    let mut channels = channel_count(channel_configuration).or(elements).filter(|channels| *channels > 0);
    let mut object_type = first_type;
    if !explicit && let Some(extension) = elements_end(&bits, core_type).and_then(extension) {
        sample_rate = extension.sample_rate;
        object_type = if extension.parametric_stereo { PS } else { SBR };
    }
    if object_type == PS && channels == Some(1) {
        channels = Some(2);
    }
    Ok(AacConfig { object_type, sample_rate, channels })
}

/// §1.6.3.1: five bits, or 32 and six more.
fn object_type(bits: &mut Bits<'_>) -> Option<u32> {
    match bits.read(5)? {
        31 => Some(32 + bits.read(6)?),
        other => Some(other),
    }
}

fn sample_rate_of(bits: &mut Bits<'_>) -> Result<u32, AacError> {
    match bits.read(4).ok_or(AacError::Short)? {
        ESCAPE_RATE => match bits.read(24).ok_or(AacError::Short)? {
            0 => Err(AacError::SampleRate),
            rate => Ok(rate),
        },
        index => usize::try_from(index)
            .ok()
            .and_then(|index| SAMPLE_RATES.get(index))
            .copied()
            .ok_or(AacError::SampleRate),
    }
}

/// §1.6.3.5, table 1.19. Configuration 0 says that the elements tell.
fn channel_count(configuration: u32) -> Option<u32> {
    match configuration {
        1..=6 => Some(configuration),
        7 | 12 | 14 => Some(8),
        11 => Some(7),
        13 => Some(24),
        _ => None,
    }
}

/// `GASpecificConfig` (§4.4.1): reads over it, and counts the channels if the elements tell them.
fn specific(bits: &mut Bits<'_>, object_type: u32, channel_configuration: u32) -> Option<u32> {
    if !matches!(object_type, 1..=4 | 6 | 7 | 17 | 19..=23) {
        return None;
    }
    bits.flag()?;
    if bits.flag()? {
        bits.read(14)?;
    }
    let extended = bits.flag()?;
    let channels = if channel_configuration == 0 { Some(element_channels(bits)?) } else { None };
    if matches!(object_type, 6 | 20) {
        bits.read(3)?;
    }
    if extended {
        match object_type {
            ER_BSAC => bits.read(16)?,
            17 | 19 | 20 | 23 => bits.read(3)?,
            _ => 0,
        };
        bits.flag()?;
    }
    channels
}

/// `program_config_element` (§4.4.1.1) up to its last element.
fn element_channels(bits: &mut Bits<'_>) -> Option<u32> {
    bits.read(4 + 2 + 4)?;
    let (front, side, back) = (bits.read(4)?, bits.read(4)?, bits.read(4)?);
    let low_frequency = bits.read(2)?;
    let (associated, coupling) = (bits.read(3)?, bits.read(4)?);
    for mixdown_bits in [4, 4, 3] {
        if bits.flag()? {
            bits.read(mixdown_bits)?;
        }
    }
    let mut channels = low_frequency;
    for _ in 0..front + side + back {
        channels += 1 + bits.read(1)?;
        bits.read(4)?;
    }
    for _ in 0..low_frequency + associated {
        bits.read(4)?;
    }
    for _ in 0..coupling {
        bits.read(5)?;
    }
    // byte_alignment() counts from the beginning of the configuration; then comes a comment.
    let odd = bits.left() % 8;
    bits.read(odd)?;
    let comment = bits.read(8)?;
    for _ in 0..comment {
        bits.read(8)?;
    }
    Some(channels)
}

/// What follows the specific configuration, for the object types that have nothing in between.
fn elements_end<'a>(bits: &Bits<'a>, object_type: u32) -> Option<Bits<'a>> {
    matches!(object_type, 1..=4).then(|| bits.clone())
}

struct Extension {
    sample_rate: u32,
    parametric_stereo: bool,
}

/// The backward compatible extension at the end (table 1.15).
fn extension(mut bits: Bits<'_>) -> Option<Extension> {
    if bits.read(11)? != SBR_MARK || object_type(&mut bits)? != SBR || !bits.flag()? {
        return None;
    }
    let sample_rate = sample_rate_of(&mut bits).ok()?;
    let parametric_stereo = bits.read(11) == Some(PS_MARK) && bits.flag() == Some(true);
    Some(Extension { sample_rate, parametric_stereo })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(config: &[u8], expect: Result<(u32, u32, Option<u32>), AacError>) {
        let got = parse(config).map(|c| (c.object_type, c.sample_rate, c.channels));
        assert_eq!(got, expect, "{config:02x?}");
    }

    #[test]
    fn two_bytes_of_low_complexity() {
        check(&[0x12, 0x10], Ok((2, 44_100, Some(2))));
        check(&[0x11, 0x90], Ok((2, 48_000, Some(2))));
        check(&[0x11, 0x88], Ok((2, 48_000, Some(1))));
        check(&[0x11, 0xb8], Ok((2, 48_000, Some(8))));
        let config = parse(&[0x12, 0x10]).unwrap();
        assert_eq!((&*config.codec_string(), &*config.profile()), ("mp4a.40.2", "LC"));
    }

    #[test]
    fn spectral_band_replication_told_either_way_gives_the_rate_that_comes_out() {
        // Hierarchical: object type 5, 24 kHz, stereo, 48 kHz, object type 2.
        check(&[0x2b, 0x11, 0x88, 0x00], Ok((5, 48_000, Some(2))));
        // Backward compatible: ffmpeg's libfdk_aac with -profile:a aac_he.
        check(&[0x13, 0x10, 0x56, 0xe5, 0x98], Ok((5, 48_000, Some(2))));
        // The mark without the flag is no extension.
        check(&[0x12, 0x10, 0x56, 0xe5, 0x00], Ok((2, 44_100, Some(2))));
    }

    #[test]
    fn parametric_stereo_makes_two_channels_of_one() {
        // Object type 29, 24 kHz, mono, 48 kHz, object type 2.
        check(&[0xeb, 0x09, 0x88, 0x00], Ok((29, 48_000, Some(2))));
        // Backward compatible.
        check(&[0x13, 0x08, 0x56, 0xe5, 0x9d, 0x48, 0x80], Ok((29, 48_000, Some(2))));
    }

    #[test]
    fn the_rate_may_be_written_out() {
        // Object type 2, index 15, 22,255 Hz, mono.
        check(&[0x17, 0x80, 0x2b, 0x77, 0x88], Ok((2, 22_255, Some(1))));
        check(&[0x17, 0x80, 0x00, 0x00, 0x08], Err(AacError::SampleRate));
    }

    #[test]
    fn the_elements_tell_channels_that_no_number_stands_for() {
        // One pair in front, one single, one low frequency: configuration 0.
        let mut bits = String::from("00010" /* LC */);
        bits += "0011"; // 48 kHz
        bits += "0000"; // told by the elements
        bits += "000"; // GASpecificConfig
        bits += "0000" /* tag */;
        bits += "01" /* LC */;
        bits += "0011"; // 48 kHz
        bits += "0010" /* front */;
        bits += "0000" /* side */;
        bits += "0000" /* back */;
        bits += "01" /* lfe */;
        bits += "000" /* associated */;
        bits += "0000" /* coupling */;
        bits += "000"; // no mixdown
        bits += "00000";
        bits += "10000";
        bits += "0000";
        while bits.len() % 8 != 0 {
            bits.push('0');
        }
        bits += "00000000"; // no comment
        let bytes: Vec<u8> = bits
            .as_bytes()
            .chunks(8)
            .map(|byte| u8::from_str_radix(std::str::from_utf8(byte).unwrap(), 2).unwrap())
            .collect();
        check(&bytes, Ok((2, 48_000, Some(4))));
        check(&bytes[..5], Ok((2, 48_000, None)));
        // Elements that tell of no channel tell nothing.
        check(&[0x13, 0, 0, 0, 0, 0, 0, 0], Ok((2, 24_000, None)));
    }

    #[test]
    fn large_object_types_and_cut_configurations() {
        // 31 and 10 more: xHE.
        check(&[0xf9, 0x46, 0x40], Ok((42, 48_000, Some(2))));
        for cut in [&[][..], &[0x12], &[0x17, 0x80], &[0x2b, 0x11]] {
            check(cut, Err(AacError::Short));
        }
        check(&[0x16, 0x90], Err(AacError::SampleRate));
    }

    #[test]
    fn no_input_panics() {
        let mut seed = 1u32;
        for _ in 0..200_000 {
            let bytes: Vec<u8> = (0..seed % 24)
                .map(|_| {
                    seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    seed.to_be_bytes()[0]
                })
                .collect();
            seed = seed.wrapping_add(1);
            drop(parse(&bytes));
        }
    }
}
