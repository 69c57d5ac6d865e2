//! AC-3 and E-AC-3: the head of a sync frame (ETSI TS 102 366 §4.3, §4.4 and annex E.1.2), and the contents of the
//! boxes `dac3` and `dec3` (annex F).

use super::ConfigError;
use super::bits::Bits;
use crate::{Codec, Track};

const NAME: &str = "AC-3 or E-AC-3";
const SYNC_WORD: [u8; 2] = [0x0b, 0x77];
/// Samples a second by `fscod`; those of `fscod2` are half of them.
const SAMPLE_RATES: [u32; 3] = [48_000, 44_100, 32_000];
/// Channels in front and back by `acmod`, without the one of low frequencies.
const CHANNELS: [u32; 8] = [2, 1, 2, 3, 3, 4, 4, 5];
/// Where those channels stand, as `chanmap` has them (annex E.1.3.1.8): bit 15 is left, 14 centre, 13 right,
/// 12 and 11 the surrounds, 8 the centre one of them, 0 low frequencies.
const PLACES: [u32; 8] = [0xa000, 0x4000, 0xa000, 0xe000, 0xa100, 0xe100, 0xb800, 0xf800];
const LOW_FREQUENCIES: u32 = 0x0001;
/// Places that stand for two channels each.
const PAIRS: u32 = 0x0400 | 0x0200 | 0x0040 | 0x0020 | 0x0010 | 0x0004;
/// Streams of one programme: an independent one and at most eight that depend on it.
const MAX_STREAMS: usize = 9;

/// What a sync frame or box tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DolbyConfig {
    /// Samples a second.
    pub sample_rate: u32,
    /// Channels, low frequencies included, if all are told.
    pub channels: Option<u32>,
}

impl DolbyConfig {
    /// Puts what is known into the track.
    pub fn describe(&self, track: &mut Track) {
        track.codec_string = Some(if track.codec == Codec::Eac3 { "ec-3" } else { "ac-3" }.into());
        track.sample_rate = Some(self.sample_rate);
        track.channels = self.channels;
    }
}

/// Reads the head of an access unit.
///
/// # Errors
/// [`ConfigError`] if it begins with no sync frame, or one of an unknown syntax.
pub fn parse_frame(unit: &[u8]) -> Result<DolbyConfig, ConfigError> {
    let frame = unit.strip_prefix(&SYNC_WORD).ok_or(ConfigError::Malformed(NAME, "sync word"))?;
    // `bsid` stands at the same place in both.
    let version = frame.get(3).ok_or(ConfigError::Short(NAME))? >> 3;
    match version {
        0..=10 => ac3_frame(frame, version).ok_or(ConfigError::Malformed(NAME, "sample rate")),
        11..=16 => eac3_unit(unit).ok_or(ConfigError::Malformed(NAME, "frame")),
        _ => Err(ConfigError::Malformed(NAME, "version")),
    }
}

/// Reads the contents of `dac3` or `dec3`.
///
/// # Errors
/// [`ConfigError`] if it ends early or has a reserved sample rate.
pub fn parse_box(codec: Codec, contents: &[u8]) -> Result<DolbyConfig, ConfigError> {
    let bits = &mut Bits::new(contents);
    if contents.len() < if codec == Codec::Eac3 { 5 } else { 3 } {
        return Err(ConfigError::Short(NAME));
    }
    let told = if codec == Codec::Eac3 { eac3_box(bits) } else { ac3_box(bits) };
    told.ok_or(ConfigError::Malformed(NAME, "sample rate"))
}

fn ac3_box(bits: &mut Bits<'_>) -> Option<DolbyConfig> {
    let sample_rate = rate(bits.read(2)?)?;
    bits.skip(5 + 3)?;
    Some(DolbyConfig { sample_rate, channels: Some(channels(bits.read(3)?, bits.flag()?)?) })
}

fn eac3_box(bits: &mut Bits<'_>) -> Option<DolbyConfig> {
    bits.skip(13 + 3)?;
    let sample_rate = rate(bits.read(2)?)?;
    bits.skip(5 + 1 + 1 + 3)?;
    let channels = channels(bits.read(3)?, bits.flag()?)?;
    bits.skip(3)?;
    // Streams that depend on this one add channels; the streams themselves tell which.
    let is_whole = bits.read(4)? == 0;
    Some(DolbyConfig { sample_rate, channels: is_whole.then_some(channels) })
}

/// §4.3.1, §4.4.2. Versions 9 and 10 halve and quarter the rate.
fn ac3_frame(frame: &[u8], version: u8) -> Option<DolbyConfig> {
    let bits = &mut Bits::new(frame);
    bits.skip(16)?;
    let sample_rate = rate(bits.read(2)?)? >> version.saturating_sub(8);
    bits.skip(6 + 5 + 3)?;
    let mode = bits.read(3)?;
    // Levels of the centre, of the surrounds, and whether two channels are Dolby Surround.
    bits.skip(if mode & 1 == 1 && mode != 1 { 2 } else { 0 })?;
    bits.skip(if mode & 4 == 4 { 2 } else { 0 })?;
    bits.skip(if mode == 2 { 2 } else { 0 })?;
    Some(DolbyConfig { sample_rate, channels: Some(channels(mode, bits.flag()?)?) })
}

/// Annex E.1.2: an independent stream, and those that add channels to it.
fn eac3_unit(unit: &[u8]) -> Option<DolbyConfig> {
    const DEPENDENT: u32 = 1;
    let (mut rest, mut known) = (unit, None);
    for _ in 0..MAX_STREAMS {
        let Some(bits) = rest.strip_prefix(&SYNC_WORD).map(Bits::new) else { break };
        let Some(stream) = eac3_stream(bits) else { break };
        known = match known {
            // Nothing is before it that it could depend on.
            None if stream.kind == DEPENDENT => break,
            None => Some((stream.sample_rate, stream.places)),
            Some((rate, places)) if stream.kind == DEPENDENT => Some((rate, places | stream.places)),
            // Another programme.
            Some(_) => break,
        };
        let Some(after) = rest.get(stream.bytes..) else { break };
        rest = after;
    }
    known.map(|(sample_rate, places)| DolbyConfig { sample_rate, channels: Some(count(places)) })
}

struct Stream {
    kind: u32,
    bytes: usize,
    sample_rate: u32,
    places: u32,
}

fn eac3_stream(mut bits: Bits<'_>) -> Option<Stream> {
    let kind = bits.read(2)?;
    bits.skip(3)?;
    let bytes = 2 * (bits.read(11)? as usize + 1);
    let sample_rate = match bits.read(2)? {
        3 => rate(bits.read(2)?)? / 2,
        code => {
            bits.skip(2)?;
            rate(code)?
        }
    };
    let (mode, low) = (bits.read(3)?, bits.flag()?);
    let mut places = places(mode, low)?;
    bits.skip(5)?;
    // Loudness and compression of the programme; two monaural ones have both twice.
    for _ in 0..if mode == 0 { 2 } else { 1 } {
        bits.skip(5)?;
        if bits.flag()? {
            bits.skip(8)?;
        }
    }
    if kind == 1 && bits.flag()? {
        places = bits.read(16)?;
    }
    Some(Stream { kind, bytes, sample_rate, places })
}

fn rate(code: u32) -> Option<u32> {
    SAMPLE_RATES.get(usize::try_from(code).ok()?).copied()
}

fn channels(mode: u32, low_frequencies: bool) -> Option<u32> {
    Some(CHANNELS.get(usize::try_from(mode).ok()?)? + u32::from(low_frequencies))
}

fn places(mode: u32, low_frequencies: bool) -> Option<u32> {
    let places = PLACES.get(usize::try_from(mode).ok()?)?;
    Some(places | if low_frequencies { LOW_FREQUENCIES } else { 0 })
}

fn count(places: u32) -> u32 {
    places.count_ones() + (places & PAIRS).count_ones()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::kit::{bytes, hostile};

    const AC3_STEREO: &str = "0b77fe95144043e106f46370";
    const AC3_SURROUND: &str = "0b770ad35e40ebf8403eff9d";
    const EAC3_STEREO: &str = "0b77017f3487c00020842108";
    const EAC3_SURROUND: &str = "0b77037f3f87c00020000000";

    fn told(hex: &str) -> Result<(u32, Option<u32>), ConfigError> {
        parse_frame(&bytes(hex)).map(|config| (config.sample_rate, config.channels))
    }

    #[test]
    fn frames_of_a_real_encoder_tell_rate_and_channels() {
        assert_eq!(told(AC3_STEREO), Ok((48_000, Some(2))));
        assert_eq!(told(AC3_SURROUND), Ok((44_100, Some(6))));
        assert_eq!(told(EAC3_STEREO), Ok((48_000, Some(2))));
        assert_eq!(told(EAC3_SURROUND), Ok((48_000, Some(6))));
        // Half rate: version 9, and the second table of E-AC-3.
        assert_eq!(told("0b77fe9514484 3e1".replace(' ', "").as_str()), Ok((24_000, Some(2))));
        assert_eq!(told("0b77017fc4 87c0".replace(' ', "").as_str()), Ok((24_000, Some(2))));
    }

    #[test]
    fn a_dependent_stream_adds_the_channels_that_it_maps() {
        // 5.1 in four bytes of frame and padding, then the surrounds again and the rear ones: 7.1.
        let independent = "0b7700073f87c00000000000000000 00";
        let dependent = [
            "01",
            "000",
            "00000000111",
            "00",
            "11",
            "110",
            "0",
            "10000",
            "00000",
            "0",
            "1",
            "0001101000000000",
        ];
        let bits: String = dependent.concat();
        let mut frame = bytes(&independent.replace(' ', ""));
        frame.extend(SYNC_WORD);
        frame.extend(bits.as_bytes().chunks(8).map(|byte| {
            u8::from_str_radix(&format!("{:0<8}", std::str::from_utf8(byte).unwrap()), 2).unwrap()
        }));
        frame.resize(32, 0);
        let config = parse_frame(&frame).unwrap();
        assert_eq!((config.sample_rate, config.channels), (48_000, Some(8)));
    }

    #[test]
    fn boxes_tell_the_same() {
        let ac3 = parse_box(Codec::Ac3, &bytes("103de0"));
        assert_eq!(ac3, Ok(DolbyConfig { sample_rate: 48_000, channels: Some(6) }));
        let eac3 = parse_box(Codec::Eac3, &bytes("0600200f00"));
        assert_eq!(eac3, Ok(DolbyConfig { sample_rate: 48_000, channels: Some(6) }));
        let more = parse_box(Codec::Eac3, &bytes("0600200f0202"));
        assert_eq!(more, Ok(DolbyConfig { sample_rate: 48_000, channels: None }));
        assert_eq!(parse_box(Codec::Ac3, &bytes("103d")), Err(ConfigError::Short(NAME)));
        assert_eq!(parse_box(Codec::Ac3, &bytes("d03de0")), Err(ConfigError::Malformed(NAME, "sample rate")));
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        assert_eq!(told("770b"), Err(ConfigError::Malformed(NAME, "sync word")));
        assert_eq!(told("0b77fe95"), Err(ConfigError::Short(NAME)));
        assert_eq!(told("0b77fe95d44043e1"), Err(ConfigError::Malformed(NAME, "sample rate")));
        assert_eq!(told("0b77fe9514f043e1"), Err(ConfigError::Malformed(NAME, "version")));
        // A dependent stream alone.
        assert_eq!(told("0b77437f3487c00020842108"), Err(ConfigError::Malformed(NAME, "frame")));
    }

    #[test]
    fn no_mutation_panics() {
        hostile(&[AC3_STEREO, AC3_SURROUND, EAC3_STEREO, EAC3_SURROUND], |bytes| {
            parse_frame(bytes).is_ok()
                || parse_box(Codec::Ac3, bytes).is_ok()
                || parse_box(Codec::Eac3, bytes).is_ok()
        });
    }
}
