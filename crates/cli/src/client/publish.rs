//! `jackfield publish`: an FLV file as a stream, as it is.

mod pace;

use super::opened;
use super::options::Publish;
use super::progress::{Position, Progress};
use super::stop::Stop;
use anyhow::{Context, bail};
use jackfield_containers::flv::{Tag, TagReader};
use jackfield_rtmp_client::Publication;
use jackfield_runtime::clock;
use pace::Pace;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use tokio::fs::File;
use tokio::io::AsyncReadExt;

/// Bytes of one read.
const BLOCK: usize = 64 << 10;

pub(super) async fn run(options: Publish) -> anyhow::Result<()> {
    let mut stop = Stop::new()?;
    options.endurance.start_log();
    let connector = options.connection.connector()?;
    let progress = Progress::new(options.endurance.quiet);
    if options.repeat && is_standard(&options.input) {
        bail!("standard input cannot be read twice: --loop needs a file");
    }
    let begin = async {
        let mut input = Input::open(&options.input).await?;
        // Who has no FLV file disturbs no server.
        let Some(first) = input.next_from_file().await? else {
            bail!("{} has no tags", input.name());
        };
        let open = Publication::open(&connector, options.url.clone(), options.endurance.options());
        let publication =
            opened(open.await, &format!("cannot publish to {}", options.url.without_name()), &options.url)?;
        anyhow::Ok((input, first, publication))
    };
    let (mut input, first, publication) = tokio::select! {
        begun = begin => begun?,
        () = stop.asked() => return Ok(()),
    };
    progress.say(&format!("publishing to {}", publication.url().without_name()));
    let pace = Pace::new(options.speed, clock::now());
    let mut sender = Sender { publication, pace, progress };
    let ended = tokio::select! {
        ended = sender.send_all(&mut input, first, options.repeat) => ended,
        () = stop.asked() => Ok(()),
    };
    let (media, progress) = (sender.pace.media(), sender.progress);
    let statistics = sender.publication.statistics();
    tokio::select! {
        _all = sender.publication.close() => {}
        () = stop.asked() => {}
    }
    let position = Position { media, bytes: statistics.sent_bytes, messages: statistics.messages };
    progress.finish("sent", position);
    ended
}

struct Sender {
    publication: Publication,
    pace: Pace,
    progress: Progress,
}

impl Sender {
    async fn send_all(&mut self, input: &mut Input, first: Tag, repeat: bool) -> anyhow::Result<()> {
        let mut next = Some(first);
        loop {
            while let Some(tag) = next {
                self.send(tag).await?;
                next = self.next(input).await?;
            }
            if !repeat {
                self.publication.flush().await.context("the stream broke off")?;
                return Ok(());
            }
            input.rewind().await?;
            self.pace.begin_again();
            next = self.next(input).await?;
            if next.is_none() {
                bail!("{} has no tags any more", input.name());
            }
        }
    }

    async fn send(&mut self, tag: Tag) -> anyhow::Result<()> {
        let (timestamp, due) = self.pace.place(&tag);
        if let Some(due) = due {
            while clock::now() < due {
                let until = due.min(self.progress.due());
                self.publication.tend(until).await.context("the stream broke off")?;
                self.show();
            }
        }
        self.publication.send(tag.kind, timestamp, &tag.body).await.context("the stream broke off")?;
        self.show();
        Ok(())
    }

    /// The next tag; the connection is kept alive while it does not come.
    async fn next(&mut self, input: &mut Input) -> anyhow::Result<Option<Tag>> {
        loop {
            if let Some(tag) = input.parsed()? {
                return Ok(Some(tag));
            }
            let due = self.progress.due();
            tokio::select! {
                biased;
                more = input.read() => {
                    if more? == Read::End {
                        return input.end();
                    }
                }
                tended = self.publication.tend(due) => tended.context("the stream broke off")?,
            }
            self.show();
        }
    }

    fn show(&mut self) {
        let (publication, media) = (&self.publication, self.pace.media());
        self.progress.show(|| {
            let statistics = publication.statistics();
            Position { media, bytes: statistics.sent_bytes, messages: statistics.messages }
        });
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Read {
    Some,
    End,
}

/// The file that is read.
struct Input {
    path: PathBuf,
    file: File,
    reader: TagReader,
    block: Vec<u8>,
    /// Bytes that the reader has and that made no tag yet.
    pending: usize,
}

impl Input {
    async fn open(path: &Path) -> anyhow::Result<Self> {
        let file = if is_standard(path) {
            let stdin = io::stdin().as_fd().try_clone_to_owned().context("standard input")?;
            File::from_std(std::fs::File::from(stdin))
        } else {
            File::open(path).await.with_context(|| format!("cannot read {}", path.display()))?
        };
        let block = vec![0; BLOCK];
        Ok(Self { path: path.to_owned(), file, reader: TagReader::default(), block, pending: 0 })
    }

    fn name(&self) -> String {
        if is_standard(&self.path) { "standard input".to_owned() } else { self.path.display().to_string() }
    }

    fn parsed(&mut self) -> anyhow::Result<Option<Tag>> {
        let tag = self.reader.next_tag().with_context(|| format!("{} cannot be sent", self.name()))?;
        if tag.is_some() {
            self.pending = 0;
        }
        Ok(tag)
    }

    /// Reads more. Cancel-safe: a read that was begun is taken up by the next call.
    async fn read(&mut self) -> anyhow::Result<Read> {
        let count = self.file.read(&mut self.block).await;
        let count = count.with_context(|| format!("cannot read {}", self.name()))?;
        self.pending += count;
        self.reader.push(self.block.get(..count).unwrap_or_default());
        Ok(if count == 0 { Read::End } else { Read::Some })
    }

    /// The next tag when there is no connection yet.
    async fn next_from_file(&mut self) -> anyhow::Result<Option<Tag>> {
        loop {
            if let Some(tag) = self.parsed()? {
                return Ok(Some(tag));
            }
            if self.read().await? == Read::End {
                return self.end();
            }
        }
    }

    /// Nothing more comes: what was cut off is left out, as players do.
    fn end(&mut self) -> anyhow::Result<Option<Tag>> {
        Ok(None)
    }

    async fn rewind(&mut self) -> anyhow::Result<()> {
        let path = self.path.clone();
        *self = Self::open(&path).await?;
        Ok(())
    }
}

fn is_standard(path: &Path) -> bool {
    path == Path::new("-")
}
