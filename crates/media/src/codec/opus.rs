//! Opus: the identification header of RFC 7845 §5.1, and the `dOps` box of its ISO media file binding §4.3.2.

use super::ConfigError;
use crate::Track;

const NAME: &str = "Opus";
const MAGIC: &[u8] = b"OpusHead";
/// The rate of all Opus decoders; the one in the header is that of what was encoded.
pub const SAMPLE_RATE: u32 = 48_000;

/// What a header tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpusConfig {
    /// Channels that come out of the decoder.
    pub channels: u8,
}

impl OpusConfig {
    /// Puts what is known into the track.
    pub fn describe(&self, track: &mut Track) {
        track.codec_string = Some("opus".into());
        track.sample_rate = Some(SAMPLE_RATE);
        track.channels = Some(self.channels.into());
    }
}

/// Reads an identification header or the contents of a `dOps` box.
///
/// # Errors
/// [`ConfigError`] if it ends early, is of a version that nobody knows, or has no channels.
pub fn parse(header: &[u8]) -> Result<OpusConfig, ConfigError> {
    // RFC 7845: versions up to 15 are compatible. The box has version 0 and nothing else.
    let (fields, newest) = match header.strip_prefix(MAGIC) {
        Some(fields) => (fields, 15),
        None => (header, 0),
    };
    // Version, channels, samples to skip (2), rate (4), gain (2) and mapping.
    let &[version, channels, ..] = fields.first_chunk::<11>().ok_or(ConfigError::Short(NAME))?;
    if version > newest {
        return Err(ConfigError::Malformed(NAME, "version"));
    }
    if channels == 0 {
        return Err(ConfigError::Malformed(NAME, "number of channels"));
    }
    Ok(OpusConfig { channels })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::kit::{bytes, hostile};

    const STEREO: &str = "4f7075734865616401023801 80bb0000 0000 00";
    const SURROUND: &str = "4f70757348656164010638 0180bb0000000001 0402000401020305";

    fn plain(hex: &str) -> Vec<u8> {
        bytes(&hex.replace(' ', ""))
    }

    #[test]
    fn headers_of_real_encoders_tell_channels() {
        assert_eq!(parse(&plain(STEREO)), Ok(OpusConfig { channels: 2 }));
        assert_eq!(parse(&plain(SURROUND)), Ok(OpusConfig { channels: 6 }));
        assert_eq!(parse(&bytes("0002013800 00bb80000000".replace(' ', "").as_str())).unwrap().channels, 2);
    }

    #[test]
    fn what_is_no_header_is_refused() {
        assert_eq!(parse(b"Opus, but no header"), Err(ConfigError::Malformed(NAME, "version")));
        assert_eq!(parse(b"OpusHead\x01\x02"), Err(ConfigError::Short(NAME)));
        let mut silent = plain(STEREO);
        silent[9] = 0;
        assert_eq!(parse(&silent), Err(ConfigError::Malformed(NAME, "number of channels")));
        silent[8] = 16;
        assert_eq!(parse(&silent), Err(ConfigError::Malformed(NAME, "version")));
    }

    #[test]
    fn no_mutation_panics() {
        hostile(&[&STEREO.replace(' ', ""), &SURROUND.replace(' ', "")], |bytes| parse(bytes).is_ok());
    }
}
