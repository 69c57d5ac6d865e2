//! What can be typed after `play`, `publish` and `probe`.

use anyhow::Context;
use jackfield_rtmp_client::{Connector, Options, Reconnect, RtmpUrl, Trust};
use std::fmt::{Display, Formatter};
use std::path::PathBuf;
use std::time::Duration;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

#[derive(Debug, clap::Args)]
pub(crate) struct Play {
    /// The stream: rtmp://host/app/name, or rtmps://.
    #[arg(value_parser = url)]
    pub(crate) url: RtmpUrl,

    /// The FLV file to write; - is standard output.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,

    /// Stop after so many seconds of media.
    #[arg(long, value_name = "NUMBER", value_parser = seconds)]
    pub(crate) seconds: Option<Duration>,

    #[command(flatten)]
    pub(crate) connection: Connection,

    #[command(flatten)]
    pub(crate) endurance: Endurance,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Publish {
    /// The FLV file to send; - is standard input.
    pub(crate) input: PathBuf,

    /// The stream: rtmp://host/app/name, or rtmps://.
    #[arg(value_parser = url)]
    pub(crate) url: RtmpUrl,

    /// How many times as fast as real time, or max.
    #[arg(long, value_name = "NUMBER|max", value_parser = speed, default_value = "1")]
    pub(crate) speed: Speed,

    /// Begin anew at the end of the file.
    #[arg(long = "loop")]
    pub(crate) repeat: bool,

    #[command(flatten)]
    pub(crate) connection: Connection,

    #[command(flatten)]
    pub(crate) endurance: Endurance,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Probe {
    /// A stream (rtmp:// or rtmps://) or an FLV file.
    #[arg(value_parser = source)]
    pub(crate) source: Source,

    /// As JSON.
    #[arg(long)]
    pub(crate) json: bool,

    /// Listen for so many seconds [default: 5], or look at so many of a file [default: all].
    #[arg(long, value_name = "NUMBER", value_parser = seconds)]
    pub(crate) seconds: Option<Duration>,

    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// What is looked at.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    Stream(RtmpUrl),
    File(PathBuf),
}

impl Source {
    /// What it means that nothing was found.
    pub(crate) fn emptiness(&self) -> &'static str {
        match self {
            Self::Stream(_) => "the stream is there, but nobody sends media",
            Self::File(_) => "the file has no tags",
        }
    }
}

impl Display for Source {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Stream(url) => url.fmt(f),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

/// How to connect.
#[derive(Debug, clap::Args)]
pub(crate) struct Connection {
    /// Trust only the authorities in this file (PEM), and not the system's.
    #[arg(long, value_name = "PATH", conflicts_with = "insecure")]
    pub(crate) tls_ca: Option<PathBuf>,

    /// Trust any certificate. For tests: who sits on the way can read and change everything.
    #[arg(long)]
    pub(crate) insecure: bool,
}

/// How long to keep at it, and what to say of it.
#[derive(Debug, clap::Args)]
pub(crate) struct Endurance {
    /// Connect again after a loss; give up after so many tries in a row that fail.
    #[arg(long, value_name = "NUMBER", num_args = 0..=1, require_equals = true, default_missing_value = "10")]
    pub(crate) reconnect: Option<u32>,

    /// Say nothing but errors.
    #[arg(long)]
    pub(crate) quiet: bool,
}

/// How fast to send.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Speed {
    /// So many times as fast as real time.
    Times(f64),
    /// As fast as the server takes it.
    Max,
}

impl Connection {
    pub(crate) fn connector(&self) -> anyhow::Result<Connector> {
        let trust = match (&self.tls_ca, self.insecure) {
            (_, true) => Trust::Anybody,
            (None, false) => return Ok(Connector::default()),
            (Some(path), false) => {
                let pem = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
                Trust::Only(pem)
            }
        };
        Ok(Connector::new(&trust)?)
    }
}

impl Endurance {
    /// Lets the connection's losses and moves be told on standard error.
    pub(crate) fn start_log(&self) {
        if self.quiet {
            return;
        }
        let lines = fmt::layer().without_time().with_level(false).with_target(false).with_ansi(false);
        let only = Targets::new().with_target("jackfield_rtmp_client", LevelFilter::INFO);
        let log = tracing_subscriber::registry().with(lines.with_writer(std::io::stderr).with_filter(only));
        // A log that is there already, as in tests, stays.
        drop(log.try_init());
    }

    pub(crate) fn options(&self) -> Options {
        let reconnect = self.reconnect.map_or(Reconnect::NEVER, Reconnect::times);
        Options { reconnect, ..Options::default() }
    }
}

fn url(text: &str) -> Result<RtmpUrl, String> {
    let url = RtmpUrl::parse(text).map_err(|error| error.to_string())?;
    if url.name().is_empty() {
        return Err("it names no stream: write rtmp://host/app/name".to_owned());
    }
    Ok(url)
}

fn source(text: &str) -> Result<Source, String> {
    if text.contains("://") { url(text).map(Source::Stream) } else { Ok(Source::File(text.into())) }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds.filter(|seconds| !seconds.is_zero()).ok_or_else(|| "a number above 0 is expected".to_owned())
}

fn speed(text: &str) -> Result<Speed, String> {
    if text == "max" {
        return Ok(Speed::Max);
    }
    let times = text.parse::<f64>().ok().filter(|times| (0.01..=1000.0).contains(times));
    times.map(Speed::Times).ok_or_else(|| "a number between 0.01 and 1000, or max, is expected".to_owned())
}
