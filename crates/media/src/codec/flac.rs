//! FLAC: the stream information block of RFC 9639 §8.2.

use super::ConfigError;
use super::bits::Bits;
use crate::Track;

const NAME: &str = "FLAC";
const MARK: &[u8] = b"fLaC";
/// Bytes of a stream information block, and the head of the block that is one: its type is 0, and it may be the last.
const BLOCK_BYTES: usize = 34;
const BLOCK_HEADS: [[u8; 4]; 2] = [[0, 0, 0, 34], [0x80, 0, 0, 34]];

/// What the stream information tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlacConfig {
    /// Samples a second.
    pub sample_rate: u32,
    /// 1 to 8.
    pub channels: u32,
    /// Bits a sample: 4 to 32.
    pub bits_per_sample: u32,
}

impl FlacConfig {
    /// Puts what is known into the track.
    pub fn describe(&self, track: &mut Track) {
        track.codec_string = Some("flac".into());
        track.sample_rate = Some(self.sample_rate);
        track.channels = Some(self.channels);
    }
}

/// Reads the beginning of a FLAC stream: its mark, the head of its first block and that block. Mark and head may
/// be missing.
///
/// # Errors
/// [`ConfigError`] if it ends early or has no sample rate.
pub fn parse(header: &[u8]) -> Result<FlacConfig, ConfigError> {
    let marked = header.strip_prefix(MARK).unwrap_or(header);
    let block = BLOCK_HEADS.iter().find_map(|head| marked.strip_prefix(head)).unwrap_or(marked);
    if block.len() < BLOCK_BYTES {
        return Err(ConfigError::Short(NAME));
    }
    let config = fields(&mut Bits::new(block)).ok_or(ConfigError::Short(NAME))?;
    if config.sample_rate == 0 {
        return Err(ConfigError::Malformed(NAME, "sample rate"));
    }
    Ok(config)
}

fn fields(bits: &mut Bits<'_>) -> Option<FlacConfig> {
    // The sizes of blocks and frames.
    bits.skip(16 + 16 + 24 + 24)?;
    let (sample_rate, channels) = (bits.read(20)?, bits.read(3)? + 1);
    Some(FlacConfig { sample_rate, channels, bits_per_sample: bits.read(5)? + 1 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::kit::{bytes, hostile};

    const STEREO: &str = "040004000000000010980bb802f00000000000000000000000000000000000000000";
    const SURROUND: &str = "07e007e0000000005ea417700af00000000000000000000000000000000000000000";

    fn check(front: &str, block: &str, expect: Result<(u32, u32, u32), ConfigError>) {
        let header = bytes(&format!("{front}{block}"));
        let got = parse(&header).map(|told| (told.sample_rate, told.channels, told.bits_per_sample));
        assert_eq!(got, expect, "{front} {block}");
    }

    #[test]
    fn the_block_is_found_with_or_without_what_comes_before_it() {
        for front in ["", "00000022", "664c614300000022", "664c614380000022", "664c6143"] {
            check(front, STEREO, Ok((48_000, 2, 16)));
        }
        check("", SURROUND, Ok((96_000, 6, 16)));
    }

    #[test]
    fn what_is_cut_or_has_no_rate_is_refused() {
        check("664c614300000022", &STEREO.replace("04000400", "0400"), Err(ConfigError::Short(NAME)));
        check("", "", Err(ConfigError::Short(NAME)));
        check("", &"00".repeat(34), Err(ConfigError::Malformed(NAME, "sample rate")));
    }

    #[test]
    fn no_mutation_panics() {
        hostile(&[STEREO, SURROUND], |bytes| parse(bytes).is_ok());
    }
}
