//! Media to publish: made once with ffmpeg, kept in the target directory.

use crate::flv::Recording;
use crate::{Program, place};
use anyhow::{Context, Result, ensure};
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

/// Makes the FLV file `name` with these arguments of ffmpeg (split at white space), unless it is there.
///
/// # Errors
/// When ffmpeg cannot make it.
pub fn make(name: &str, args: &str) -> Result<Clip> {
    let folder = place::kept("clips")?;
    // Other arguments are another file, so that no stale one is ever used.
    let mut hash = DefaultHasher::new();
    args.hash(&mut hash);
    let path = folder.join(format!("{name}-{:016x}.flv", hash.finish()));

    // Tests are processes of their own: the first makes the file, the others wait for it.
    let lock = File::create(folder.join(format!("{name}.lock"))).context("the clip's lock file")?;
    lock.lock().context("waiting for another test to make the clip")?;
    if !path.exists() {
        let unfinished = path.with_extension("part");
        let words = ["-v", "error", "-nostdin", "-y"].into_iter().chain(args.split_whitespace());
        let mut ffmpeg =
            Program::new("ffmpeg").args(words).args(["-f", "flv"]).args([&unfinished]).start()?;
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
}
