//! Media to publish: made once with ffmpeg, kept in the target directory.

use crate::flv::Recording;
use crate::{Program, place};
use anyhow::{Context, Result, ensure};
use std::ffi::OsStr;
use std::fmt;
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A file and what is in it.
#[derive(Debug, Clone)]
pub struct Clip {
    path: PathBuf,
    recording: Recording,
}

impl Clip {
    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is in it.
    pub fn recording(&self) -> &Recording {
        &self.recording
    }
}

/// H.264 (Main, 320×180, 25 fps, a key frame every second, two B-frames, 400 kbit/s) with AAC (44.1 kHz stereo).
///
/// 20 seconds, longer than any test publishes: whoever is sent it in real time never comes to its end. No two access
/// units are alike, because there is noise in picture and sound.
///
/// # Errors
/// When ffmpeg cannot make it.
pub fn standard() -> Result<Clip> {
    make("standard", &format!("{SOURCES} -t 20 -g 25 {CODECS}"))
}

/// As [`standard`], but this long and with a key frame every two seconds: for publishers that come to their end.
///
/// # Errors
/// When ffmpeg cannot make it.
pub fn lasting(seconds: u32) -> Result<Clip> {
    make(&format!("{seconds}-seconds"), &format!("{SOURCES} -t {seconds} -g 50 {CODECS}"))
}

const SOURCES: &str = "-f lavfi -i testsrc2=size=320x180:rate=25,noise=alls=10:allf=t \
    -f lavfi -i anoisesrc=sample_rate=44100:amplitude=0.3,aformat=channel_layouts=stereo";

const CODECS: &str = "-c:v libx264 -preset ultrafast -profile:v main -pix_fmt yuv420p -bf 2 -keyint_min 25 \
    -sc_threshold 0 -b:v 400k -c:a aac -b:a 96k";

/// AAC alone, as [`standard`] has it.
///
/// # Errors
/// When ffmpeg cannot make it.
pub fn audio_only() -> Result<Clip> {
    make(
        "audio",
        "-f lavfi -i anoisesrc=sample_rate=44100:amplitude=0.3,aformat=channel_layouts=stereo \
         -t 20 -c:a aac -b:a 96k",
    )
}

/// What is in a clip for the tables of codecs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Codecs {
    /// What every client speaks: [`standard`].
    H264Aac,
    /// HEVC by FourCC, with colours (`VideoPacketType::Metadata`), and AAC of the classic form.
    HevcAac,
    /// AV1 and Opus. No picture is shown twice (a unit of three bytes that is like others): pictures come in their order.
    Av1Opus,
    /// VP9 and FLAC.
    Vp9Flac,
    /// H.264 of the classic form, and AC-3, which has no configuration.
    H264Ac3,
    /// HEVC with two tracks of AAC; the first is of the classic form.
    HevcTwoAac,
    /// H.264 and HEVC, AAC and Opus: the first of each kind is of the classic form, the second a track of its own.
    TwoByTwo,
}

impl Codecs {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::H264Aac,
        Self::HevcAac,
        Self::Av1Opus,
        Self::Vp9Flac,
        Self::H264Ac3,
        Self::HevcTwoAac,
        Self::TwoByTwo,
    ];

    /// 20 seconds of them, as [`standard`] has it: 25 pictures a second, a key frame every second, and noise.
    ///
    /// # Errors
    /// When the newer ffmpeg cannot make it.
    pub fn clip(self) -> Result<Clip> {
        const HEVC: &str = "libx265 -preset ultrafast -x265-params log-level=error:scenecut=0";
        const H264: &str = "libx264 -preset ultrafast -bf 2";
        let args = match self {
            Self::H264Aac => return standard(),
            Self::HevcAac => format!("-c:v {HEVC} -c:a aac"),
            Self::Av1Opus => {
                "-c:v libsvtav1 -preset 12 -svtav1-params pred-struct=1:rc=2 -c:a libopus".to_owned()
            }
            Self::Vp9Flac => {
                "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -c:a flac -sample_fmt s16".to_owned()
            }
            Self::H264Ac3 => format!("-c:v {H264} -c:a ac3"),
            Self::HevcTwoAac => format!("-map 0 -map 1 -map 2 -c:v {HEVC} -c:a aac"),
            Self::TwoByTwo => {
                let second = HEVC.replace("-preset", "-preset:v:1");
                let first = "libx264 -preset:v:0 ultrafast -bf:v:0 2";
                format!(
                    "-map 0 -map 0 -map 1 -map 2 -c:v:0 {first} -c:v:1 {second} -c:a:0 aac -c:a:1 libopus"
                )
            }
        };
        let name = self.to_string().replace(' ', "-").to_lowercase();
        let args =
            format!("{MORE_SOURCES} {args} -t 20 -g 25 -keyint_min 25 -pix_fmt yuv420p -b:v 300k -b:a 96k");
        let ffmpeg = place::newer_ffmpeg()?;
        let made = make_with(&ffmpeg, &format!("{name}-encoded"), &args)?;
        // The flv muxer writes other configurations of VP9 and FLAC for an encoder than for a file, and what is published
        // is read from a file.
        make_with(&ffmpeg, &name, &format!("-i {} -map 0 -c copy", made.path().display()))
    }
}

impl fmt::Display for Codecs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::H264Aac => "H.264 AAC",
            Self::HevcAac => "HEVC AAC",
            Self::Av1Opus => "AV1 Opus",
            Self::Vp9Flac => "VP9 FLAC",
            Self::H264Ac3 => "H.264 AC-3",
            Self::HevcTwoAac => "HEVC AAC AAC",
            Self::TwoByTwo => "H.264 HEVC AAC Opus",
        })
    }
}

/// Pictures, and two different noises.
const MORE_SOURCES: &str = "-f lavfi -i testsrc2=size=320x180:rate=25,noise=alls=10:allf=t \
    -f lavfi -i anoisesrc=sample_rate=48000:amplitude=0.3:seed=1,aformat=channel_layouts=stereo \
    -f lavfi -i anoisesrc=sample_rate=48000:amplitude=0.3:seed=2,aformat=channel_layouts=stereo";

/// Makes the FLV file `name` with these arguments of ffmpeg (split at white space), unless it is there.
///
/// # Errors
/// When ffmpeg cannot make it.
pub fn make(name: &str, args: &str) -> Result<Clip> {
    make_with(Path::new("ffmpeg"), name, args)
}

fn make_with(ffmpeg: &Path, name: &str, args: &str) -> Result<Clip> {
    let folder = place::kept("clips")?;
    // Other arguments, or another program, are another file, so that no stale one is ever used.
    let mut hash = DefaultHasher::new();
    (args, ffmpeg.file_name().unwrap_or_else(|| OsStr::new(""))).hash(&mut hash);
    let path = folder.join(format!("{name}-{:016x}.flv", hash.finish()));

    // Tests are processes of their own: the first makes the file, the others wait for it.
    let lock = File::create(folder.join(format!("{name}.lock"))).context("the clip's lock file")?;
    lock.lock().context("waiting for another test to make the clip")?;
    if !path.exists() {
        let unfinished = path.with_extension("part");
        let words = ["-v", "error", "-nostdin", "-y"].into_iter().chain(args.split_whitespace());
        let mut ffmpeg = Program::new(ffmpeg).args(words).args(["-f", "flv"]).args([&unfinished]).start()?;
        let status = ffmpeg.wait(Duration::from_secs(60))?;
        ensure!(status.success(), "ffmpeg could not make {name}:{}", ffmpeg.last_words());
        std::fs::rename(&unfinished, &path).context("keeping the clip")?;
    }
    let bytes = std::fs::read(&path).with_context(|| path.display().to_string())?;
    Ok(Clip { recording: Recording::parse(&bytes)?, path })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standard_clip_is_what_it_says() {
        let clip = standard().unwrap();
        let Recording { video, audio, .. } = clip.recording();
        assert_eq!(video.units.len(), 500);
        assert_eq!(video.units.iter().filter(|unit| unit.key).count(), 20);
        assert!(audio.units.len() > 800 && !video.config.is_empty() && !audio.config.is_empty());
        crate::compare(clip.recording(), clip.recording(), 500).unwrap();
    }

    #[test]
    fn every_clip_has_its_tracks_and_no_unit_twice() {
        for codecs in Codecs::ALL {
            let clip = codecs.clip().unwrap_or_else(|error| panic!("{codecs}: {error:#}"));
            let recording = clip.recording();
            let more = match codecs {
                Codecs::HevcTwoAac => 1,
                Codecs::TwoByTwo => 2,
                _ => 0,
            };
            assert_eq!((recording.video.units.len(), recording.more.len()), (500, more), "{codecs}");
            let keys = recording.video.units.iter().filter(|unit| unit.key).count();
            assert!((20..=22).contains(&keys), "{codecs}: {keys} key frames");
            crate::compare(recording, recording, 500).unwrap_or_else(|error| panic!("{codecs}: {error:#}"));
        }
    }
}
