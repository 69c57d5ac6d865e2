//! Log lines on their way to standard error.
//!
//! They wait in a queue for a thread that writes them: a terminal that is held, or a reader that does not
//! read, must not hold the server. When the queue is full the newest line goes, and how many went is told
//! as soon as there is room.

use crate::config::LogFormat;
use jackfield_media::Mono;
use jackfield_runtime::queue::{self, Full, Pushed};
use jackfield_runtime::{Tasks, clock};
use std::io::{self, Write};
use tokio::sync::oneshot;
use tracing_subscriber::fmt::MakeWriter;

/// Lines that wait: some seconds of a busy server.
const QUEUE: usize = 8192;
/// Lines that are written in one go.
const BATCH: usize = 256;

/// What waits to be written.
#[derive(Debug)]
enum Entry {
    Line(Vec<u8>),
    /// Tells that all before it is written.
    Flush(oneshot::Sender<()>),
}

/// Where log lines are put.
#[derive(Debug, Clone)]
pub(crate) struct Lines(queue::Sender<Entry>);

/// Where they come out.
#[derive(Debug)]
pub(crate) struct Waiting {
    entries: queue::Receiver<Entry>,
    format: LogFormat,
}

/// The way from the log to standard error.
pub(crate) fn lines(format: LogFormat) -> (Lines, Waiting) {
    let (sender, entries) = queue::bounded("log.lines", QUEUE, Full::DropNewest);
    (Lines(sender), Waiting { entries, format })
}

impl Lines {
    /// Waits until all that was logged is written, or the time is up.
    pub(crate) async fn flush(&self, deadline: Mono) {
        let (written, wait) = oneshot::channel();
        if let Pushed::Queued = self.0.push(Entry::Flush(written)) {
            // At the deadline nobody reads the log.
            let _written_or_given_up = clock::until(deadline, wait).await;
        }
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line { text: Vec::new(), lines: self }
    }
}

/// One line; it is queued when it is dropped.
#[derive(Debug)]
pub(crate) struct Line<'a> {
    text: Vec<u8>,
    lines: &'a Lines,
}

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        // The queue counts what it refuses.
        drop(self.lines.0.push(Entry::Line(std::mem::take(&mut self.text))));
    }
}

impl Waiting {
    /// Writes lines to standard error until the last [`Lines`] is gone.
    pub(crate) async fn write(mut self, tasks: Tasks) {
        let mut told = 0;
        while let Some(first) = self.entries.recv().await {
            let dropped = self.entries.dropped();
            let mut batch = vec![first];
            self.entries.drain_into(&mut batch, BATCH - 1);
            let lost = dropped - std::mem::replace(&mut told, dropped);
            let lost = told_as(self.format, lost);
            let written = tasks.blocking("log.write", move || write_all(batch, &lost)).join().await;
            for flushed in written.unwrap_or_default() {
                // Nobody waits any more when its time was up.
                let _heard = flushed.send(());
            }
        }
    }
}

/// Writes a batch and returns who waits for that. An error has nowhere to be told.
fn write_all(batch: Vec<Entry>, lost: &str) -> Vec<oneshot::Sender<()>> {
    let mut text = Vec::new();
    let mut waiting = Vec::new();
    for entry in batch {
        match entry {
            Entry::Line(line) => text.extend_from_slice(&line),
            Entry::Flush(written) => waiting.push(written),
        }
    }
    let mut out = io::stderr().lock();
    drop(out.write_all(&text));
    drop(out.write_all(lost.as_bytes()));
    waiting
}

/// The line that tells of lines that were dropped; empty when none was.
fn told_as(format: LogFormat, lost: u64) -> String {
    const MESSAGE: &str = "Log lines were dropped because nobody read them in time";
    match (lost, format) {
        (0, _) => String::new(),
        (_, LogFormat::Text) => format!("WARN {MESSAGE} lost={lost}\n"),
        (_, LogFormat::Json) => format!("{{\"level\":\"WARN\",\"message\":\"{MESSAGE}\",\"lost\":{lost}}}\n"),
    }
}
