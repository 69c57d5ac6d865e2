//! `jackfield play`: a stream into an FLV file, as it came.

use super::opened;
use super::options::Play;
use super::progress::{Position, Progress};
use super::stop::Stop;
use anyhow::Context;
use bytes::BytesMut;
use jackfield_containers::flv::{self, Tag};
use jackfield_media::TrackKind;
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

pub(super) async fn run(options: Play) -> anyhow::Result<()> {
    let mut stop = Stop::new()?;
    options.endurance.start_log();
    let connector = options.connection.connector()?;
    let mut progress = Progress::new(options.endurance.quiet);
    let open = Playback::open(&connector, options.url.clone(), options.endurance.options());
    let mut playback = tokio::select! {
        playback = open => opened(playback, || format!("cannot play {}", options.url))?,
        () = stop.asked() => return Ok(()),
    };
    let mut out = Output::create(&options.output).await?;
    progress.say(&format!("playing {}", playback.url()));
    let mut ended = Ok(());
    loop {
        let due = progress.due();
        tokio::select! {
            biased;
            () = stop.asked() => break,
            message = playback.next() => match message {
                Ok(Some(message)) => out.add(&message),
                Ok(None) => break,
                Err(error) => {
                    ended = Err(error);
                    break;
                }
            },
            // Nothing more came for now: what there is goes out.
            () = std::future::ready(()), if !out.is_empty() => out.write().await?,
            () = clock::sleep_until(due) => {}
        }
        if out.block_is_full() {
            out.write().await?;
        }
        progress.show(|| out.position(&playback));
        if out.reader_is_gone || options.seconds.is_some_and(|most| out.media() >= most) {
            break;
        }
    }
    out.finish().await?;
    progress.finish("received", out.position(&playback));
    playback.close().await;
    ended.with_context(|| format!("the stream {} broke off", options.url))
}

/// The file, and what it has.
struct Output {
    file: File,
    block: BytesMut,
    kinds: Vec<TrackKind>,
    /// The first and the last time stamp.
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
        Ok(Self { file, block, kinds: Vec::new(), times: None, reader_is_gone: false })
    }

    fn add(&mut self, message: &Message) {
        if !self.kinds.contains(&message.kind) {
            self.kinds.push(message.kind);
        }
        let (first, _) = self.times.unwrap_or((message.timestamp_ms, 0));
        self.times = Some((first, message.timestamp_ms));
        let timestamp_ms = u32::try_from(message.timestamp_ms.rem_euclid(1 << 32)).unwrap_or_default();
        flv::write_tag(
            &mut self.block,
            &Tag { kind: message.kind, timestamp_ms, body: message.body.clone() },
        );
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

    async fn write(&mut self) -> anyhow::Result<()> {
        let block = self.block.split();
        let written = match self.file.write_all(&block).await {
            Ok(()) => self.file.flush().await,
            Err(error) => Err(error),
        };
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
