//! MP3: the header of a frame (ISO/IEC 11172-3 §2.4.1.3, 13818-3 §2.4.2.3). There is no configuration: each
//! access unit begins with one.

use super::ConfigError;
use crate::Track;

const NAME: &str = "MP3";
/// Samples a second of MPEG-1; MPEG-2 has half of it, MPEG-2.5 a quarter.
const SAMPLE_RATES: [u32; 3] = [44_100, 48_000, 32_000];

/// What a frame header tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mp3Header {
    /// Samples a second.
    pub sample_rate: u32,
    /// 1 or 2.
    pub channels: u8,
}

impl Mp3Header {
    /// Puts what is known into the track. The codec string is that of ISO/IEC 14496-1 for audio of MPEG-1
    /// (`6b`) or MPEG-2 (`69`).
    pub fn describe(&self, track: &mut Track) {
        let object_type = if self.sample_rate >= 32_000 { "mp4a.6b" } else { "mp4a.69" };
        track.codec_string = Some(object_type.into());
        track.sample_rate = Some(self.sample_rate);
        track.channels = Some(self.channels.into());
    }
}

/// Reads the header of an access unit.
///
/// # Errors
/// [`ConfigError`] if it begins with no header of layer III.
pub fn parse(frame: &[u8]) -> Result<Mp3Header, ConfigError> {
    let &[sync, version, rate, mode] = frame.first_chunk().ok_or(ConfigError::Short(NAME))?;
    if sync != 0xff || version & 0xe0 != 0xe0 {
        return Err(ConfigError::Malformed(NAME, "sync word"));
    }
    if version >> 1 & 0x03 != 1 {
        return Err(ConfigError::Malformed(NAME, "layer"));
    }
    let divisor = match version >> 3 & 0x03 {
        3 => 1,
        2 => 2,
        0 => 4,
        _ => return Err(ConfigError::Malformed(NAME, "version")),
    };
    let full = SAMPLE_RATES.get(usize::from(rate >> 2 & 0x03));
    let full = full.ok_or(ConfigError::Malformed(NAME, "sample rate"))?;
    let channels = if mode >> 6 == 3 { 1 } else { 2 };
    Ok(Mp3Header { sample_rate: full / divisor, channels })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::kit::{bytes, hostile};

    #[test]
    fn headers_of_real_encoders() {
        for (hex, rate, channels) in [
            ("fffb946400", 48_000, 2),
            ("fffb9064", 44_100, 2),
            ("fff344c4", 24_000, 1),
            ("ffe310c4", 11_025, 1),
        ] {
            let header = Mp3Header { sample_rate: rate, channels };
            assert_eq!(parse(&bytes(hex)), Ok(header), "{hex}");
        }
    }

    #[test]
    fn what_is_no_header_is_refused() {
        assert_eq!(parse(&bytes("fffb94")), Err(ConfigError::Short(NAME)));
        for (hex, what) in [
            ("49443303", "sync word"),
            ("fffd9464", "layer"),
            ("ffeb9464", "version"),
            ("fffb9c64", "sample rate"),
        ] {
            assert_eq!(parse(&bytes(hex)), Err(ConfigError::Malformed(NAME, what)), "{hex}");
        }
    }

    #[test]
    fn no_mutation_panics() {
        hostile(&["fffb946400"], |bytes| parse(bytes).is_ok());
    }
}
