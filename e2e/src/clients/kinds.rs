//! The programs: what each is called with, and what it cannot do.

use super::{Player, Publisher};
use crate::program::Program;
use crate::{Codecs, place};
use anyhow::Result;
use std::fmt;
use std::path::{Path, PathBuf};

/// Where a client goes: a URL, and for `rtmps://` whose certificates it believes.
#[derive(Debug, Clone)]
pub struct Address {
    url: String,
    authority: Option<PathBuf>,
}

impl Address {
    /// A URL of `rtmps://`, and the file with the authority's certificate.
    pub fn tls(url: impl Into<String>, authority: impl Into<PathBuf>) -> Self {
        Self { url: url.into(), authority: Some(authority.into()) }
    }

    /// ffmpeg's options of TLS; they belong right before the URL.
    fn ffmpeg(&self) -> Vec<String> {
        let Some(authority) = &self.authority else { return vec![] };
        ["-tls_verify", "1", "-ca_file"].map(str::to_owned).into_iter().chain([path(authority)]).collect()
    }

    /// gstreamer's properties. It knows no authorities but the system's.
    fn gstreamer(&self) -> Vec<String> {
        let tls = self.authority.as_ref().map(|_| "tls-validation-flags=0".to_owned());
        [format!("location={}", self.url)].into_iter().chain(tls).collect()
    }

    fn jackfield(&self) -> Vec<String> {
        self.authority.iter().flat_map(|authority| ["--tls-ca".to_owned(), path(authority)]).collect()
    }
}

impl<T: AsRef<str> + ?Sized> From<&T> for Address {
    fn from(url: &T) -> Self {
        Self { url: url.as_ref().to_owned(), authority: None }
    }
}

impl From<&Self> for Address {
    fn from(address: &Self) -> Self {
        address.clone()
    }
}

fn path(path: &Path) -> String {
    path.display().to_string()
}

/// The newest version of TLS that a program gets on with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// librtmp: its handshake fails in TLS 1.3.
    V1_2,
    /// All others.
    V1_3,
}

/// A program that publishes a file in real time, without changing an access unit of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PublisherKind {
    /// `ffmpeg -re -c copy`: handshake with digest.
    Ffmpeg,
    /// The same of a newer version, which speaks enhanced RTMP.
    NewerFfmpeg,
    /// gstreamer's own client: simple handshake, transaction id 0 for releaseStream and FCPublish.
    Rtmp2Sink,
    /// gstreamer with librtmp: simple handshake, a connect object without `flashVer`.
    RtmpSink,
    /// `jackfield publish`.
    Jackfield,
}

/// A program that plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PlayerKind {
    /// `ffmpeg -c copy`: handshake with digest; analyses before it writes.
    Ffmpeg,
    /// The same of a newer version, which speaks enhanced RTMP.
    NewerFfmpeg,
    /// gstreamer's own client: simple handshake, writes what comes.
    Rtmp2Src,
    /// librtmp: says FCSubscribe, and asks for a buffer of ten hours.
    Rtmpdump,
    /// `jackfield play`.
    Jackfield,
}

impl PublisherKind {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Ffmpeg, Self::NewerFfmpeg, Self::Rtmp2Sink, Self::RtmpSink, Self::Jackfield];

    /// Why it cannot publish these codecs, if it cannot.
    pub fn cannot(self, codecs: Codecs) -> Option<&'static str> {
        match self {
            _ if codecs == Codecs::H264Aac => None,
            Self::NewerFfmpeg | Self::Jackfield => None,
            Self::Ffmpeg => Some(match codecs {
                Codecs::H264Aac => return None,
                Codecs::HevcAac | Codecs::HevcTwoAac => "Debian's ffmpeg 5.1 cannot write HEVC to flv",
                Codecs::Av1Opus => "Debian's ffmpeg 5.1 cannot write AV1 and Opus to flv",
                Codecs::Vp9Flac => "Debian's ffmpeg 5.1 cannot write VP9 and FLAC to flv",
                Codecs::H264Ac3 => "Debian's ffmpeg 5.1 cannot write AC-3 to flv",
                Codecs::TwoByTwo => "Debian's ffmpeg 5.1 writes one track of a kind to flv",
            }),
            Self::Rtmp2Sink | Self::RtmpSink => Some(match codecs {
                Codecs::H264Aac => return None,
                Codecs::HevcAac | Codecs::HevcTwoAac => "flvmux of gstreamer 1.22 has no HEVC",
                Codecs::Av1Opus => "flvmux of gstreamer 1.22 has no AV1 and no Opus",
                Codecs::Vp9Flac => "flvmux of gstreamer 1.22 has no VP9 and no FLAC",
                Codecs::H264Ac3 => "flvmux of gstreamer 1.22 has no AC-3",
                Codecs::TwoByTwo => "flvmux of gstreamer 1.22 has one track of a kind",
            }),
        }
    }

    /// The newest TLS that it gets on with.
    pub fn tls(self) -> TlsVersion {
        if self == Self::RtmpSink { TlsVersion::V1_2 } else { TlsVersion::V1_3 }
    }

    /// Starts to publish `clip` (FLV with what it can publish) to `address`.
    ///
    /// # Errors
    /// When the program cannot be started. That it publishes is another matter: wait for `publish_start`.
    pub fn start(self, clip: &Path, address: impl Into<Address>) -> Result<Publisher> {
        let address = address.into();
        let program = match self {
            Self::Ffmpeg | Self::NewerFfmpeg => {
                let program = if self == Self::Ffmpeg { ffmpeg() } else { newer_ffmpeg()? };
                program
                    .args(["-re", "-i"])
                    .args([clip])
                    .args(["-map", "0", "-c", "copy", "-f", "flv"])
                    .args(address.ffmpeg())
                    .args([address.url])
            }
            Self::Rtmp2Sink => gst_publish(clip, "rtmp2sink", address.gstreamer()),
            // librtmp takes its options in the URL, after a space.
            Self::RtmpSink => gst_publish(clip, "rtmpsink", vec![format!("location={} live=1", address.url)]),
            Self::Jackfield => Program::new(place::server()?)
                .args(["publish".to_owned(), path(clip), address.url.clone()])
                .args(address.jackfield()),
        };
        Ok(Publisher { program: program.start()? })
    }
}

fn ffmpeg() -> Program {
    quiet(Program::new("ffmpeg"))
}

fn newer_ffmpeg() -> Result<Program> {
    Ok(quiet(Program::new(place::newer_ffmpeg()?)))
}

fn quiet(ffmpeg: Program) -> Program {
    ffmpeg.args(["-v", "info", "-nostdin", "-nostats", "-hide_banner"])
}

/// The tags of the file in other wrapping, paced behind the muxer: it moves time stamps when a paced input is late.
fn gst_publish(clip: &Path, sink: &str, properties: Vec<String>) -> Program {
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
            sink,
        ])
        .args(properties)
        .args(wiring.split(' '))
}

impl PlayerKind {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Ffmpeg, Self::NewerFfmpeg, Self::Rtmp2Src, Self::Rtmpdump, Self::Jackfield];

    /// Why it cannot play these codecs, if it cannot.
    pub fn cannot(self, codecs: Codecs) -> Option<&'static str> {
        match (self, codecs) {
            (Self::Ffmpeg, Codecs::H264Aac) => None,
            (Self::Ffmpeg, Codecs::H264Ac3) => Some("Debian's ffmpeg 5.1 has no AC-3 in flv"),
            (Self::Ffmpeg, Codecs::TwoByTwo) => Some("Debian's ffmpeg 5.1 has no multitrack"),
            (Self::Ffmpeg, _) => Some("Debian's ffmpeg 5.1 reads enhanced FLV as vp6f"),
            _ => None,
        }
    }

    /// The newest TLS that it gets on with.
    pub fn tls(self) -> TlsVersion {
        if self == Self::Rtmpdump { TlsVersion::V1_2 } else { TlsVersion::V1_3 }
    }

    /// Starts to play `address`.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn start(self, address: impl Into<Address>) -> Result<Player> {
        let address = address.into();
        let program =
            match self {
                Self::Ffmpeg | Self::NewerFfmpeg => {
                    let program = if self == Self::Ffmpeg { ffmpeg() } else { newer_ffmpeg()? };
                    program
                        .args(address.ffmpeg())
                        .args(["-i", &address.url, "-map", "0", "-c", "copy"])
                        .args(["-flush_packets", "1", "-f", "flv", "pipe:1"])
                }
                Self::Rtmp2Src => Program::new("gst-launch-1.0")
                    .args(["-q", "rtmp2src"])
                    .args(address.gstreamer())
                    .args(["!", "fdsink", "fd=1"]),
                Self::Rtmpdump => Program::new("rtmpdump").args(["--live", "-r", &address.url, "-o", "-"]),
                Self::Jackfield => Program::new(place::server()?)
                    .args(["play", &address.url, "-o", "-"])
                    .args(address.jackfield()),
            };
        Player::start(program)
    }
}

impl fmt::Display for PublisherKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ffmpeg => "ffmpeg",
            Self::NewerFfmpeg => "newer ffmpeg",
            Self::Rtmp2Sink => "rtmp2sink",
            Self::RtmpSink => "rtmpsink",
            Self::Jackfield => "jackfield",
        })
    }
}

impl fmt::Display for PlayerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ffmpeg => "ffmpeg",
            Self::NewerFfmpeg => "newer ffmpeg",
            Self::Rtmp2Src => "rtmp2src",
            Self::Rtmpdump => "rtmpdump",
            Self::Jackfield => "jackfield",
        })
    }
}
