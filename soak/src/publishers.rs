//! Publishers: for each stream one station, which lets one follow the other.

use crate::board::{Board, Fate, Order, Stream, Term};
use crate::clip::{self, AUDIO_CONFIG, Mark, TICK, VIDEO_CONFIG};
use crate::findings::Check;
use crate::plan::Plan;
use bytes::Bytes;
use jackfield_media::TrackKind;
use jackfield_rtmp_client::{ClientError, Connector, Options, Publication, RtmpUrl};
use jackfield_runtime::{CancellationToken, Joining, Tasks, clock, random};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// For any answer of the server. A question has a budget of 10 s, and up to three are asked.
pub(crate) const ANSWER: Duration = Duration::from_secs(35);
/// For the end of who must go.
const LEAVING: Duration = Duration::from_secs(10);

/// Lets publishers of one stream follow each other until the load ends.
pub(crate) struct Station {
    pub(crate) board: Arc<Board>,
    /// Index of the stream.
    pub(crate) at: usize,
    pub(crate) plan: Plan,
    pub(crate) orders: mpsc::Receiver<Order>,
    pub(crate) tasks: Tasks,
    pub(crate) ending: CancellationToken,
}

/// A publisher that was begun.
struct Running {
    term: Arc<Term>,
    /// Fires when it may send; dropped if it may not.
    started: Option<oneshot::Receiver<()>>,
    task: Joining<()>,
}

impl Station {
    pub(crate) async fn run(mut self) {
        while !self.ending.is_cancelled() {
            let mut now = self.begin();
            // Orders that came while there was no publisher are void.
            while self.orders.try_recv().is_ok() {}
            loop {
                tokio::select! {
                    Some(Order::TakeOver) = self.orders.recv() => match self.take_over(now).await {
                        Some(next) => now = next,
                        None => break,
                    },
                    () = done(&mut now) => break,
                }
            }
        }
    }

    fn begin(&self) -> Running {
        let (on_air, started) = oneshot::channel();
        let Some(stream) = self.board.streams.get(self.at) else { unreachable_stream() };
        let term = stream.begin_term();
        let publisher = Publisher {
            board: Arc::clone(&self.board),
            at: self.at,
            term: Arc::clone(&term),
            life: self.plan.life.draw(),
            ending: self.ending.clone(),
        };
        let task = self.tasks.spawn("soak.publisher", publisher.run(on_air));
        Running { term, started: Some(started), task }
    }

    /// Begins another publisher beside this one, which must go then. None if the stream has no publisher now.
    async fn take_over(&self, mut former: Running) -> Option<Running> {
        let stream = self.board.streams.get(self.at)?;
        if former.term.sent() == 0 || !stream.end(&former.term, Fate::Superseded) {
            // It ends by itself, or has not begun.
            done(&mut former).await;
            return None;
        }
        let findings = &self.board.findings;
        let mut next = self.begin();
        let started = next.started.take()?;
        let took = clock::until(clock::now().after(ANSWER), started).await.is_some_and(|sent| sent.is_ok());
        findings.examined(Check::Takeovers, 1);
        self.board.counts.takeovers.fetch_add(1, Ordering::Relaxed);
        if !took {
            stream.off_air();
            findings.fault(Check::Takeovers, format!("{}: a second publisher did not get it", stream.name()));
        }
        let left = clock::until(clock::now().after(LEAVING), done(&mut former)).await;
        if left.is_none() {
            former.task.abort();
            let text = format!("{}: the publisher that was replaced goes on", stream.name());
            findings.fault(Check::Takeovers, text);
        }
        Some(next)
    }
}

#[expect(clippy::panic, reason = "the stations are made from the list of streams")]
fn unreachable_stream() -> ! {
    panic!("invariant: each station has its stream")
}

async fn done(running: &mut Running) {
    while !running.task.is_finished() {
        clock::sleep(Duration::from_millis(20)).await;
    }
}

/// One publisher.
struct Publisher {
    board: Arc<Board>,
    at: usize,
    term: Arc<Term>,
    life: Duration,
    ending: CancellationToken,
}

impl Publisher {
    async fn run(self, on_air: oneshot::Sender<()>) {
        let Some(stream) = self.board.streams.get(self.at) else { return };
        let (name, number) = (stream.name(), self.term.number);
        let url = self.board.url(&format!("{name}?t={}.{number}", stream.number));
        let opened = match open(&url).await {
            Ok(publication) => publication,
            Err(error) => {
                stream.off_air();
                // Kicked before it could begin, or not.
                if self.term.fate().is_none() {
                    self.board.findings.fault(Check::Stays, format!("publisher {name}.{number}: {error}"));
                }
                clock::sleep(Duration::from_millis(200)).await;
                return;
            }
        };
        stream.on_air();
        // Whoever waits for it may have given up.
        let _heard = on_air.send(());
        self.board.counts.publishers.fetch_add(1, Ordering::Relaxed);
        self.board.findings.examined(Check::Stays, 1);
        Box::pin(self.send(stream, opened)).await;
        self.board.counts.publishers.fetch_sub(1, Ordering::Relaxed);
    }

    async fn send(&self, stream: &Stream, mut publication: Publication) {
        let name = format!("{}.{}", stream.name(), self.term.number);
        let result = self.media(stream, &mut publication).await;
        let findings = &self.board.findings;
        match (result, self.term.fate()) {
            (Ok(()), Some(Fate::Clean)) => {
                let goodbye = async {
                    let flushed = publication.flush().await;
                    publication.close().await;
                    flushed
                };
                match clock::until(clock::now().after(LEAVING), Box::pin(goodbye)).await {
                    Some(Ok(())) => {}
                    Some(Err(error)) => findings.fault(Check::Stays, format!("publisher {name}: {error}")),
                    None => findings.fault(Check::Stays, format!("publisher {name} could not say goodbye")),
                }
            }
            (Ok(()), _) => drop(publication),
            (Err(_), Some(Fate::Superseded)) => {}
            (Err(_), Some(Fate::Kicked)) => findings.examined(Check::Kicks, 1),
            (Err(error), _) => {
                stream.off_air();
                findings.fault(Check::Stays, format!("publisher {name} was sent away: {error}"));
            }
        }
    }

    /// Sends until it is to end (`Ok`) or the server ends it.
    async fn media(&self, stream: &Stream, publication: &mut Publication) -> Result<(), ClientError> {
        publication.send(TrackKind::Video, 0, &Bytes::from_static(VIDEO_CONFIG)).await?;
        publication.send(TrackKind::Audio, 0, &Bytes::from_static(AUDIO_CONFIG)).await?;
        let began = clock::now();
        let mut orders_since = None;
        for number in 0_u32.. {
            let since = TICK.saturating_mul(number);
            publication.tend(began.after(since)).await?;
            let late = clock::now() - began.after(since);
            self.board.counts.late_ms.fetch_max(millis(late), Ordering::Relaxed);
            let over = since >= self.life || self.ending.is_cancelled();
            if over && stream.end(&self.term, self.way_to_go()) {
                return Ok(());
            }
            if self.term.fate() == Some(Fate::Kicked) {
                let since = *orders_since.get_or_insert_with(clock::now);
                if clock::now() - since > LEAVING {
                    self.board
                        .findings
                        .fault(Check::Kicks, format!("publisher of {} goes on", stream.name()));
                    return Ok(());
                }
            }
            let mark = Mark { stream: stream.number, term: self.term.number, number };
            let timestamp = u32::try_from(since.as_millis()).unwrap_or(0);
            publication.send(TrackKind::Video, timestamp, &clip::picture(mark)).await?;
            self.term.sent.store(number + 1, Ordering::Release);
            publication.send(TrackKind::Audio, timestamp, &clip::sound(mark)).await?;
        }
        Ok(())
    }

    fn way_to_go(&self) -> Fate {
        if self.ending.is_cancelled() || random::number().is_multiple_of(2) {
            Fate::Clean
        } else {
            Fate::Broken
        }
    }
}

/// Whole milliseconds.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Opens a stream for publishing.
pub(crate) async fn open(url: &str) -> Result<Publication, Refusal> {
    let url = RtmpUrl::parse(url).map_err(|error| Refusal::Other(error.to_string()))?;
    let connector = Connector::default();
    let opening = Publication::open(&connector, url, Options::default());
    match clock::until(clock::now().after(ANSWER), opening).await {
        Some(opened) => opened.map_err(Refusal::Said),
        None => Err(Refusal::Silence),
    }
}

/// Why a stream did not open.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The server said so, or the connection broke.
    Said(ClientError),
    /// No answer.
    Silence,
    /// It is ours.
    Other(String),
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Said(error) => error.fmt(f),
            Self::Silence => write!(f, "no answer within {ANSWER:?}"),
            Self::Other(text) => text.fmt(f),
        }
    }
}
