//! `jackfield play`: a stream into an FLV file, as it came.

use super::opened;
use super::options::Play;
use super::progress::{Position, Progress};
use super::stop::Stop;
use anyhow::{Context, bail};
use bytes::BytesMut;
use jackfield_containers::flv::{self, Tag, Unpacker};
use jackfield_media::{FrameClass, TrackKind};
use jackfield_rtmp_client::{Message, Playback};
use jackfield_runtime::clock;
use std::io::{self, SeekFrom};
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Duration;
use tokio::fs::File;
use tokio::io::{AsyncSeekExt, AsyncWriteExt};

/// What is collected before it is written, if messages come that fast.
const BLOCK: usize = 64 << 10;
/// Where the header of a file tells which kinds of tracks there are.
const FLAGS_AT: u64 = 4;
/// How long the rest may take to be written once somebody wants to stop.
const PATIENCE: Duration = Duration::from_secs(2);
const NOT_TAKEN: &str = "cannot write what came: nobody takes it";

pub(super) async fn run(options: Play) -> anyhow::Result<()> {
    let mut stop = Stop::new()?;
    options.endurance.start_log();
    let connector = options.connection.connector()?;
    let mut progress = Progress::new(options.endurance.quiet);
    // A file is made only for a stream that is there.
    let begin = async {
        let open = Playback::open(&connector, options.url.clone(), options.endurance.options());
        let playback = opened(open.await, &format!("cannot play {}", options.url), &options.url)?;
        anyhow::Ok((playback, Output::create(&options.output).await?))
    };
    let (mut playback, mut out) = tokio::select! {
        begun = begin => begun?,
        () = stop.asked() => return Ok(()),
    };
    progress.say(&format!("playing {}", playback.url()));
    let (ended, patience) = tokio::select! {
        biased;
        () = stop.asked() => (Ok(()), PATIENCE),
        ended = receive(&mut playback, &mut out, &mut progress, options.seconds) => (ended, Duration::MAX),
    };
    finish(&mut out, &mut stop, patience).await?;
    progress.finish("received", out.position(&playback));
    playback.close().await;
    ended
}

/// Writes what comes, until the stream ends or there is enough of it. Cancel-safe.
async fn receive(
    playback: &mut Playback,
    out: &mut Output,
    progress: &mut Progress,
    most: Option<Duration>,
) -> anyhow::Result<()> {
    loop {
        let due = progress.due();
        tokio::select! {
            biased;
            message = playback.next() => match message {
                Ok(Some(message)) => out.add(&message),
                Ok(None) => return Ok(()),
                Err(error) => {
                    return Err(error).with_context(|| format!("the stream {} broke off", playback.url()));
                }
            },
            // Nothing more came for now: what there is goes out.
            () = std::future::ready(()), if !out.is_empty() => out.write().await?,
            () = clock::sleep_until(due) => {}
        }
        if out.block_is_full() {
            out.write().await?;
        }
        progress.show(|| out.position(playback));
        if out.reader_is_gone || most.is_some_and(|most| out.media() >= most) {
            return Ok(());
        }
    }
}

/// Writes the rest. A pipe whose reader takes nothing is waited for until somebody wants to stop.
async fn finish(out: &mut Output, stop: &mut Stop, patience: Duration) -> anyhow::Result<()> {
    tokio::select! {
        finished = clock::until(clock::now().after(patience), out.finish()) => match finished {
            Some(finished) => finished,
            None => bail!(NOT_TAKEN),
        },
        () = stop.asked() => bail!(NOT_TAKEN),
    }
}

/// The file, and what it has.
struct Output {
    file: File,
    block: BytesMut,
    kinds: Vec<TrackKind>,
    unpacker: Unpacker,
    /// The first and the last time of pictures and sound.
    times: Option<(i64, i64)>,
    /// Whoever read standard output has gone away, as `head` does.
    reader_is_gone: bool,
}

impl Output {
    async fn create(path: &Path) -> anyhow::Result<Self> {
        let file = if path == Path::new("-") {
            let stdout = io::stdout().as_fd().try_clone_to_owned().context("standard output")?;
            File::from_std(std::fs::File::from(stdout))
        } else {
            File::create(path).await.with_context(|| format!("cannot write {}", path.display()))?
        };
        let mut block = BytesMut::new();
        // A pipe cannot be told later what there will be.
        flv::write_header(&mut block, &[TrackKind::Audio, TrackKind::Video]);
        Ok(Self {
            file,
            block,
            kinds: Vec::new(),
            unpacker: Unpacker::default(),
            times: None,
            reader_is_gone: false,
        })
    }

    fn add(&mut self, message: &Message) {
        if !self.kinds.contains(&message.kind) {
            self.kinds.push(message.kind);
        }
        if self.is_media(message) {
            let at = message.timestamp_ms;
            let (first, last) = self.times.unwrap_or((at, at));
            self.times = Some((first, last.max(at)));
        }
        let timestamp_ms = u32::try_from(message.timestamp_ms.rem_euclid(1 << 32)).unwrap_or_default();
        flv::write_tag(
            &mut self.block,
            &Tag { kind: message.kind, timestamp_ms, body: message.body.clone() },
        );
    }

    /// Whether it is a picture or sound. Headers and data come at any time: with many servers at 0, however long the
    /// stream has run.
    fn is_media(&mut self, message: &Message) -> bool {
        if message.kind == TrackKind::Data {
            return false;
        }
        match self.unpacker.unpack(message.kind, message.timestamp_ms, message.body.clone()) {
            Ok(mut frames) => {
                frames.any(|(frame, _)| matches!(frame.class, FrameClass::Keyframe | FrameClass::Inter))
            }
            Err(_) => false,
        }
    }

    fn is_empty(&self) -> bool {
        self.block.is_empty()
    }

    fn block_is_full(&self) -> bool {
        self.block.len() >= BLOCK
    }

    /// How much of the stream's own time there is.
    fn media(&self) -> Duration {
        let span = self.times.map_or(0, |(first, last)| last.saturating_sub(first));
        Duration::from_millis(u64::try_from(span).unwrap_or_default())
    }

    fn position(&self, playback: &Playback) -> Position {
        let statistics = playback.statistics();
        Position { media: self.media(), bytes: statistics.received_bytes, messages: statistics.messages }
    }

    /// Writes what was collected. Cancel-safe: what is not written stays.
    async fn write(&mut self) -> anyhow::Result<()> {
        let written = async {
            while !self.block.is_empty() {
                self.file.write_buf(&mut self.block).await?;
            }
            self.file.flush().await
        };
        let written = written.await;
        self.note(written)
    }

    /// Writes the rest, and corrects the header in a file.
    async fn finish(&mut self) -> anyhow::Result<()> {
        self.write().await?;
        let seekable = self.file.metadata().await.is_ok_and(|metadata| metadata.is_file());
        if !seekable || self.reader_is_gone {
            return Ok(());
        }
        let mut header = BytesMut::new();
        flv::write_header(&mut header, &self.kinds);
        let flags = header.get(4..5).unwrap_or_default().to_vec();
        let end = self.file.stream_position().await?;
        self.file.seek(SeekFrom::Start(FLAGS_AT)).await?;
        self.file.write_all(&flags).await?;
        self.file.seek(SeekFrom::Start(end)).await?;
        self.file.flush().await.context("cannot write the file's header")
    }

    fn note(&mut self, written: io::Result<()>) -> anyhow::Result<()> {
        match written {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.reader_is_gone = true;
                Ok(())
            }
            written => written.context("cannot write what came"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use TrackKind::{Audio, Data, Video};
    use bytes::Bytes;

    #[tokio::test]
    async fn headers_and_data_at_time_0_make_no_stream_long() {
        let mut out = Output::create(Path::new("/dev/null")).await.unwrap();
        let bodies: [(_, _, &'static [u8]); 6] = [
            (Data, 0, b"\x02\x00\x0aonMetaData\x05"),
            (Video, 0, &[0x17, 0, 0, 0, 0, 1]),
            (Audio, 0, &[0xaf, 0, 0x12, 0x10]),
            (Video, 3_600_000, &[0x17, 1, 0, 0, 0, 5]),
            (Audio, 3_600_040, &[0xaf, 1, 5]),
            (Video, 0, &[0x17, 0, 0, 0, 0, 1]),
        ];
        for (kind, timestamp_ms, body) in bodies {
            out.add(&Message { kind, timestamp_ms, body: Bytes::from_static(body) });
        }
        assert_eq!(out.media(), Duration::from_millis(40));
    }
}
