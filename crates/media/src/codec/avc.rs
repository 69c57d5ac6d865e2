//! H.264: the AVC decoder configuration record (ISO/IEC 14496-15 §5.3.3.1) and the sequence parameter
//! set in it (ITU-T H.264 §7.3.2.1).

use crate::{Text, Track};
use h264_reader::avcc::AvcDecoderConfigurationRecord;
use h264_reader::nal::sps::{Level, Profile, SeqParameterSet};
use h264_reader::rbsp::{BitReader, decode_nal};

/// The longest sequence parameter set that is looked into. Real ones have some tens of bytes; the
/// longest that scaling lists and timing models can make is far below. Bounds the work on hostile ones.
const MAX_SPS_BYTES: usize = 4096;
/// The widest or highest picture that is believed (level 6.2 ends at 16,384).
const MAX_SIDE: u32 = 32_768;
/// The fastest frame rate that is believed.
const MAX_FPS: f64 = 1000.0;

/// Why a configuration record could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AvcError {
    /// It ends before its fields do, or is of another version than 1.
    #[error("malformed AVC configuration record: {0}")]
    Record(String),
    /// It has no sequence parameter set, or one that is empty or too long.
    #[error("the AVC configuration has no usable sequence parameter set")]
    NoParameterSet,
    /// The sequence parameter set is malformed.
    #[error("malformed sequence parameter set: {0}")]
    ParameterSet(String),
    /// The sequence parameter set tells a picture that cannot be.
    #[error("a picture of {0} × {1} pixels is not possible")]
    PictureSize(u32, u32),
}

/// What a configuration record tells.
#[derive(Debug, Clone, PartialEq)]
pub struct AvcConfig {
    /// RFC 6381 §3.3: `avc1.` and profile, constraints and level in hexadecimal.
    pub codec_string: Text,
    /// `Baseline`, `Main`, `High`, …
    pub profile: Text,
    /// `3.1`, `1b`, …
    pub level: Text,
    /// Bytes of the length before each NAL unit: 1, 2 or 4.
    pub length_bytes: u8,
    /// What the first sequence parameter set tells.
    pub picture: Result<Picture, AvcError>,
}

/// What a sequence parameter set tells of its pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Picture {
    /// Pixels, after cropping.
    pub width: u32,
    /// Pixels, after cropping.
    pub height: u32,
    /// Frames a second, rounded, if the timing is told.
    pub fps: Option<u32>,
}

impl AvcConfig {
    /// Puts what is known into the track.
    pub fn describe(&self, track: &mut Track) {
        track.codec_string = Some(self.codec_string.clone());
        track.profile = Some(self.profile.clone());
        track.level = Some(self.level.clone());
        if let Ok(picture) = &self.picture {
            track.width = Some(picture.width);
            track.height = Some(picture.height);
            track.fps = picture.fps;
        }
    }
}

/// Reads an AVC decoder configuration record.
///
/// # Errors
/// [`AvcError::Record`]. A malformed parameter set inside a sound record is no error of the record: it
/// is told in [`AvcConfig::picture`].
pub fn parse(record: &[u8]) -> Result<AvcConfig, AvcError> {
    let avcc = AvcDecoderConfigurationRecord::try_from(record)
        .map_err(|error| AvcError::Record(format!("{error:?}")))?;
    let profile_idc: u8 = avcc.avc_profile_indication().into();
    let constraints: u8 = avcc.profile_compatibility().into();
    let level = avcc.avc_level_indication();
    // §5.3.3.1.2: the level byte as it stands, so that level 1b keeps its own.
    let level_idc = record.get(3).copied().unwrap_or_default();
    let picture = match avcc.sequence_parameter_sets().next() {
        // One without a byte has no header either, and the reader of headers takes that for granted.
        Some(Ok(sps)) if (1..=MAX_SPS_BYTES).contains(&sps.len()) => picture(sps),
        _ => Err(AvcError::NoParameterSet),
    };
    Ok(AvcConfig {
        codec_string: format!("avc1.{profile_idc:02x}{constraints:02x}{level_idc:02x}").into(),
        profile: profile_text(&Profile::from_profile_idc(
            avcc.avc_profile_indication(),
            avcc.profile_compatibility(),
        )),
        level: level_text(&level, level_idc),
        length_bytes: avcc.length_size_minus_one() + 1,
        picture,
    })
}

/// Reads a sequence parameter set with its NAL unit header.
fn picture(nal: &[u8]) -> Result<Picture, AvcError> {
    let bad = |error: &dyn std::fmt::Debug| AvcError::ParameterSet(format!("{error:?}"));
    let rbsp = decode_nal(nal).map_err(|error| bad(&error))?;
    let sps = SeqParameterSet::from_bits(BitReader::new(&*rbsp)).map_err(|error| bad(&error))?;
    let (width, height) = sps.pixel_dimensions().map_err(|error| bad(&error))?;
    if !(1..=MAX_SIDE).contains(&width) || !(1..=MAX_SIDE).contains(&height) {
        return Err(AvcError::PictureSize(width, height));
    }
    Ok(Picture { width, height, fps: sps.fps().and_then(rounded) })
}

/// The nearest integer of a believable frame rate; a denominator of zero makes it infinite.
fn rounded(fps: f64) -> Option<u32> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is between 0 and 1000")]
    (fps > 0.0 && fps <= MAX_FPS).then(|| fps.round() as u32).filter(|fps| *fps > 0)
}

/// The profile by the name of ITU-T H.264 annex A.
fn profile_text(profile: &Profile) -> Text {
    let name = match profile {
        Profile::Baseline => "Baseline",
        Profile::ConstrainedBaseline => "Constrained Baseline",
        Profile::Main => "Main",
        Profile::Extended => "Extended",
        Profile::High => "High",
        Profile::ProgressiveHigh => "Progressive High",
        Profile::ConstrainedHigh => "Constrained High",
        Profile::High10 => "High 10",
        Profile::High10Intra => "High 10 Intra",
        Profile::High422 => "High 4:2:2",
        Profile::High422Intra => "High 4:2:2 Intra",
        Profile::High444 => "High 4:4:4 Predictive",
        Profile::High444Intra => "High 4:4:4 Intra",
        Profile::CavlcIntra444 => "CAVLC 4:4:4 Intra",
        Profile::MultiviewHigh => "Multiview High",
        Profile::StereoHigh => "Stereo High",
        other => return format!("Profile {}", other.profile_idc()).into(),
    };
    name.into()
}

/// The level as people write it: ten times it is what the record holds, but for 1b (§A.3.4).
fn level_text(level: &Level, idc: u8) -> Text {
    match (level, idc) {
        (Level::L1_b, _) | (_, 9) => "1b".into(),
        (_, idc) if idc % 10 == 0 => (idc / 10).to_string().into(),
        (_, idc) => format!("{}.{}", idc / 10, idc % 10).into(),
    }
}

#[cfg(test)]
mod tests;
