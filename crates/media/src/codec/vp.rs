//! VP8 and VP9: the `VPCodecConfigurationRecord` of the VP file binding, which tells no size, and the headers of key
//! frames, which do (RFC 6386 §9.1; VP9 bitstream specification §6.2, §7.2).

use super::bits::Bits;
use super::{ConfigError, size_of};
use crate::{Codec, Text, Track};

const NAME: &str = "VP8 or VP9";

/// What a record tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VpConfig {
    /// 0 to 3.
    pub profile: u8,
    /// Ten times the level; 0 is not told.
    pub level: u8,
    /// Bits a sample: 8, 10 or 12.
    pub bit_depth: u8,
}

impl VpConfig {
    /// `vp09.00.31.08`: profile, level and bits a sample.
    #[must_use]
    pub fn codec_string(&self, codec: Codec) -> Text {
        let name = if codec == Codec::Vp8 { "vp08" } else { "vp09" };
        format!("{name}.{:02}.{:02}.{:02}", self.profile, self.level, self.bit_depth).into()
    }

    /// Puts what is known into the track.
    pub fn describe(&self, track: &mut Track) {
        track.codec_string = Some(self.codec_string(track.codec));
        track.profile = Some(format!("Profile {}", self.profile).into());
        track.level = match (self.level / 10, self.level % 10) {
            (0, 0) => None,
            (whole, 0) => Some(whole.to_string().into()),
            (whole, tenth) => Some(format!("{whole}.{tenth}").into()),
        };
    }
}

/// Reads a record, with or without the version and flags that it has as a box of a file.
///
/// # Errors
/// [`ConfigError`] if it ends early or is of another version.
pub fn parse(record: &[u8]) -> Result<VpConfig, ConfigError> {
    let record = record.strip_prefix(&[1, 0, 0, 0]).unwrap_or(record);
    let &[profile, level, depth] = record.first_chunk().ok_or(ConfigError::Short(NAME))?;
    if profile > 3 {
        return Err(ConfigError::Malformed(NAME, "profile"));
    }
    let bit_depth = depth >> 4;
    if !matches!(bit_depth, 8 | 10 | 12) {
        return Err(ConfigError::Malformed(NAME, "bit depth"));
    }
    Ok(VpConfig { profile, level, bit_depth })
}

/// Width and height of a VP8 key frame; `None` if it is none.
#[must_use]
pub fn vp8_size(frame: &[u8]) -> Option<(u32, u32)> {
    const START_CODE: [u8; 3] = [0x9d, 0x01, 0x2a];
    let &[tag, _, _, a, b, c, w0, w1, h0, h1] = frame.first_chunk()?;
    if tag & 1 != 0 || [a, b, c] != START_CODE {
        return None;
    }
    // The two bits above the 14 scale what is shown.
    let side = |low, high| u32::from(u16::from_le_bytes([low, high]) & 0x3fff);
    size_of(side(w0, w1), side(h0, h1))
}

/// Width and height of a VP9 key frame; `None` if it is none.
#[must_use]
pub fn vp9_size(frame: &[u8]) -> Option<(u32, u32)> {
    const FRAME_MARKER: u32 = 2;
    const SYNC_CODE: u32 = 0x49_83_42;
    const RGB: u32 = 7;
    let bits = &mut Bits::new(frame);
    if bits.read(2)? != FRAME_MARKER {
        return None;
    }
    let profile = bits.read(1)? | bits.read(1)? << 1;
    if profile == 3 {
        bits.skip(1)?;
    }
    let (shows_existing, is_inter) = (bits.flag()?, bits.flag()?);
    bits.skip(2)?;
    if shows_existing || is_inter || bits.read(24)? != SYNC_CODE {
        return None;
    }
    if profile >= 2 {
        bits.skip(1)?;
    }
    let has_subsampling = profile & 1 == 1;
    match bits.read(3)? {
        RGB => bits.skip(usize::from(has_subsampling))?,
        _ => bits.skip(if has_subsampling { 4 } else { 1 })?,
    }
    size_of(bits.read(16)? + 1, bits.read(16)? + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::kit::{bytes, hostile, video};

    const RECORD: &str = "010000000014820202020000";
    const VP9_KEY_FRAME: &str = "82498342001a900ef60638241c184a";
    const VP8_KEY_FRAME: &str = "d0e7009d012ab001f0003916";

    #[test]
    fn a_record_tells_profile_and_level() {
        let config = parse(&bytes(RECORD)).unwrap();
        assert_eq!(&*config.codec_string(Codec::Vp9), "vp09.00.20.08");
        assert_eq!(parse(&bytes("021fa20202020000")).unwrap().bit_depth, 10);
        let mut track = Track { codec: Codec::Vp8, ..video() };
        VpConfig { profile: 0, level: 31, bit_depth: 8 }.describe(&mut track);
        assert_eq!(track.codec_string.as_deref(), Some("vp08.00.31.08"));
        assert_eq!((track.profile.as_deref(), track.level.as_deref()), (Some("Profile 0"), Some("3.1")));
        VpConfig { profile: 0, level: 0, bit_depth: 8 }.describe(&mut track);
        assert_eq!(track.level, None);
    }

    #[test]
    fn key_frames_tell_their_size() {
        assert_eq!(vp9_size(&bytes(VP9_KEY_FRAME)), Some((426, 240)));
        assert_eq!(vp8_size(&bytes(VP8_KEY_FRAME)), Some((432, 240)));
        // Profile 1 has four bits of subsampling and range.
        assert_eq!(vp9_size(&bytes("a24983422004fe02ce")), Some((640, 360)));
        assert_eq!(vp9_size(&bytes("8649834200")), None, "not a key frame");
        assert_eq!(vp8_size(&bytes("d1e7009d012ab001f000")), None, "not a key frame");
    }

    #[test]
    fn what_is_no_record_is_refused() {
        assert_eq!(parse(&bytes("0014")), Err(ConfigError::Short(NAME)));
        assert_eq!(parse(&bytes("041482")), Err(ConfigError::Malformed(NAME, "profile")));
        assert_eq!(parse(&bytes("001402")), Err(ConfigError::Malformed(NAME, "bit depth")));
    }

    #[test]
    fn no_mutation_panics() {
        hostile(&[RECORD, VP9_KEY_FRAME, VP8_KEY_FRAME], |bytes| {
            parse(bytes).is_ok() || vp8_size(bytes).is_some() || vp9_size(bytes).is_some()
        });
    }
}
