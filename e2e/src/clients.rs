//! The programs that publish and play: what each is called with, and how it is told that it is done.
//!
//! Players write FLV to a pipe and never end by themselves: a test waits for as many pictures as it wants and ends them.
//! (Their own ways to end differ and mislead: `rtmpdump --stop` does nothing with `--live`, `gst-launch` with `rtmp2src`
//! ignores SIGINT, and its sinks do not count.)

use crate::flv::{Demuxer, Recording};
use crate::program::{BytesFn, Program, Running, Stdout};
use crate::{Journal, SOON};
use anyhow::{Context, Result, anyhow};
use std::fmt;
use std::path::Path;
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A program that publishes a file in real time, without changing an access unit of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PublisherKind {
    /// `ffmpeg -re -c copy`: handshake with digest.
    Ffmpeg,
    /// gstreamer's own client: simple handshake, transaction id 0 for releaseStream and FCPublish.
    Rtmp2Sink,
    /// gstreamer with librtmp: simple handshake, a connect object without `flashVer`.
    RtmpSink,
}

/// A program that plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlayerKind {
    /// `ffmpeg -c copy`: handshake with digest; analyses before it writes.
    Ffmpeg,
    /// gstreamer's own client: simple handshake, writes what comes.
    Rtmp2Src,
    /// librtmp: says FCSubscribe, and asks for a buffer of ten hours.
    Rtmpdump,
}

impl PublisherKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Ffmpeg, Self::Rtmp2Sink, Self::RtmpSink];

    /// Starts to publish `clip` (FLV with H.264 and AAC) to `url`.
    ///
    /// # Errors
    /// When the program cannot be started. That it publishes is another matter: wait for `publish_start`.
    pub fn start(self, clip: &Path, url: &str) -> Result<Publisher> {
        let program = match self {
            Self::Ffmpeg => ffmpeg().args(["-re", "-i"]).args([clip]).args(["-c", "copy", "-f", "flv", url]),
            Self::Rtmp2Sink => gst_publish(clip, ["rtmp2sink", &format!("location={url}")]),
            // librtmp takes its options in the URL, after a space.
            Self::RtmpSink => gst_publish(clip, ["rtmpsink", &format!("location={url} live=1")]),
        };
        Ok(Publisher { program: program.start()? })
    }
}

fn ffmpeg() -> Program {
    Program::new("ffmpeg").args(["-v", "info", "-nostdin", "-nostats", "-hide_banner"])
}

/// The tags of the file in other wrapping, paced behind the muxer: it moves time stamps when a paced input is late.
fn gst_publish(clip: &Path, sink: [&str; 2]) -> Program {
    let source = format!("location={}", clip.display());
    let wiring = "d.video ! h264parse ! queue ! m.video d.audio ! aacparse ! queue ! m.audio";
    Program::new("gst-launch-1.0")
        .args([
            "-q",
            "filesrc",
            &source,
            "!",
            "flvdemux",
            "name=d",
            "flvmux",
            "name=m",
            "streamable=true",
            "!",
            "identity",
            "sync=true",
            "!",
        ])
        .args(sink)
        .args(wiring.split(' '))
}

impl PlayerKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Ffmpeg, Self::Rtmp2Src, Self::Rtmpdump];

    /// Starts to play `url`.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn start(self, url: &str) -> Result<Player> {
        let program = match self {
            Self::Ffmpeg => {
                ffmpeg().args(["-i", url, "-c", "copy", "-flush_packets", "1", "-f", "flv", "pipe:1"])
            }
            Self::Rtmp2Src => Program::new("gst-launch-1.0").args([
                "-q",
                "rtmp2src",
                &format!("location={url}"),
                "!",
                "fdsink",
                "fd=1",
            ]),
            Self::Rtmpdump => Program::new("rtmpdump").args(["--live", "-r", url, "-o", "-"]),
        };
        Player::start(program)
    }
}

impl fmt::Display for PublisherKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ffmpeg => "ffmpeg",
            Self::Rtmp2Sink => "rtmp2sink",
            Self::RtmpSink => "rtmpsink",
        })
    }
}

impl fmt::Display for PlayerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ffmpeg => "ffmpeg",
            Self::Rtmp2Src => "rtmp2src",
            Self::Rtmpdump => "rtmpdump",
        })
    }
}

/// A running publisher; it is killed when this value goes.
#[derive(Debug)]
pub struct Publisher {
    program: Running,
}

impl Publisher {
    /// The program, with what it says on standard error.
    pub fn program(&self) -> &Running {
        &self.program
    }

    /// Waits until it ends by itself, as it does when it is refused.
    ///
    /// # Errors
    /// When it still runs after `within`.
    pub fn wait(&mut self, within: Duration) -> Result<ExitStatus> {
        self.program.wait(within)
    }

    /// Ends it as a user would: SIGTERM, on which it unpublishes.
    pub fn end(mut self) -> Option<ExitStatus> {
        self.program.end(SOON)
    }
}

/// A running player; it is killed when this value goes.
#[derive(Debug)]
pub struct Player {
    program: Running,
    got: Arc<Mutex<Recording>>,
    /// How many pictures so far, one entry whenever it changes; closed when the output ends.
    pictures: Journal<usize>,
    /// The first thing in the output that is not FLV.
    broken: Journal<String>,
}

impl Player {
    /// Starts a program that writes FLV on its standard output.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(program: Program) -> Result<Self> {
        let got = Arc::new(Mutex::new(Recording::default()));
        let (pictures, broken) = (Journal::default(), Journal::default());
        let (into, count, faults) = (Arc::clone(&got), pictures.clone(), broken.clone());
        let mut demuxer = Demuxer::default();
        let call = BytesFn::new(move |block: &[u8]| {
            if block.is_empty() {
                return count.close();
            }
            let mut recording = into.lock().unwrap_or_else(PoisonError::into_inner);
            if faults.is_empty()
                && let Err(error) = demuxer.push(block, &mut recording)
            {
                faults.push(format!("{error:#}"));
            }
            let pictures = recording.video.units.len();
            if count.read(|counts| counts.last() != Some(&pictures)) {
                count.push(pictures);
            }
        });
        Ok(Self { program: program.stdout(Stdout::Bytes(call)).start()?, got, pictures, broken })
    }

    /// The program, with what it says on standard error.
    pub fn program(&self) -> &Running {
        &self.program
    }

    /// Waits until it has got this many pictures in all.
    ///
    /// # Errors
    /// When they have not come `within` that time, or the player has ended before: the error has its last words.
    pub fn wait_video(&self, pictures: usize, within: Duration) -> Result<()> {
        let enough = |counts: &[usize]| counts.last().is_some_and(|count| *count >= pictures).then_some(());
        self.pictures.wait("pictures", within, enough).map(drop).with_context(|| {
            let count = self.so_far().video.units.len();
            format!("{count} of {pictures} pictures; the player said:{}", self.program.last_words())
        })
    }

    /// Waits until its output ends, as it does when the stream ends.
    ///
    /// # Errors
    /// When it still goes on after `within`.
    pub fn wait_end(&self, within: Duration) -> Result<()> {
        self.pictures.wait_closed("the player's output", within)
    }

    /// What it has got so far.
    pub fn so_far(&self) -> Recording {
        self.got.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends it as a user would (SIGTERM), and returns what it got.
    ///
    /// # Errors
    /// When its output was not FLV.
    pub fn finish(mut self) -> Result<Recording> {
        self.program.end(Duration::from_secs(2));
        self.pictures.wait_closed("the player's output", SOON).context("after its end")?;
        match self.broken.read(|faults| faults.first().cloned()) {
            Some(fault) => Err(anyhow!("the player wrote no FLV: {fault}")),
            None => Ok(self.so_far()),
        }
    }
}
