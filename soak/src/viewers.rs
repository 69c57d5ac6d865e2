//! Players: each takes a stream, checks all that it gets, leaves, and takes another.

use crate::board::{Board, Fate, Stream};
use crate::clip::{self, Body, TICK};
use crate::findings::Check;
use crate::plan::Plan;
use crate::publishers::{ANSWER, millis};
use crate::sequence::Sequence;
use jackfield_rtmp_client::{ClientError, Connector, Message, Options, Playback, RtmpUrl};
use jackfield_runtime::{CancellationToken, clock, random};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// A healthy player of a stream on the air is never without media for so long.
const SILENCE: Duration = Duration::from_secs(8);
/// So far a player may be behind its publisher when it leaves, in pictures.
const BEHIND: u32 = 100;
/// For the end of who was kicked.
const LEAVING: Duration = Duration::from_secs(10);

/// A place that one player after the other takes.
pub(crate) struct Seat {
    pub(crate) board: Arc<Board>,
    pub(crate) plan: Plan,
    /// The first one waits for so long.
    pub(crate) after: Duration,
    pub(crate) ending: CancellationToken,
}

/// How a stay ended.
enum End {
    /// It wanted to go.
    Own,
    /// The server ended it.
    Sent(Option<ClientError>),
    /// A fault that was told.
    Told,
}

impl Seat {
    pub(crate) async fn run(self) {
        clock::sleep(self.after).await;
        while !self.ending.is_cancelled() {
            let viewer = self.board.next_viewer();
            Box::pin(self.stay(viewer)).await;
            self.board.forget(viewer);
        }
    }

    async fn stay(&self, viewer: u64) {
        let streams = &self.board.streams;
        let at = usize::try_from(random::number()).unwrap_or(0) % streams.len();
        let Some(stream) = streams.get(at) else { return };
        let life = stream.life();
        let Ok(url) = RtmpUrl::parse(&self.board.url(&format!("{}?v={viewer}", stream.name()))) else {
            return;
        };
        let connector = Connector::default();
        let began = clock::now();
        let opening = Playback::open(&connector, url, Options::default());
        let findings = &self.board.findings;
        match clock::until(clock::now().after(ANSWER), opening).await {
            None => {
                let text = format!("player {viewer} of {} was not answered", stream.name());
                findings.fault(Check::Verdicts, text);
            }
            Some(Err(error)) => {
                findings.examined(Check::Verdicts, 1);
                if stream.was_on_air_since(life) && !self.board.was_kicked(viewer) {
                    let text = format!("player {viewer} of {} was refused: {error}", stream.name());
                    findings.fault(Check::Stays, text);
                }
                clock::sleep(Duration::from_millis(100)).await;
            }
            Some(Ok(playback)) => {
                findings.examined(Check::Verdicts, 1);
                if stream.was_on_air_since(life) {
                    self.board.counts.join_ms.fetch_max(millis(clock::now() - began), Ordering::Relaxed);
                }
                self.board.counts.joined.fetch_add(1, Ordering::Relaxed);
                self.board.counts.viewers.fetch_add(1, Ordering::Relaxed);
                let stay = Stay { board: &self.board, stream, viewer, life, sequence: Sequence::default() };
                Box::pin(stay.run(playback, self.plan.stay.draw(), &self.ending)).await;
                self.board.counts.viewers.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }
}

/// One player with its stream.
struct Stay<'a> {
    board: &'a Board,
    stream: &'a Stream,
    viewer: u64,
    /// Of the stream, when it began.
    life: u64,
    sequence: Sequence,
}

impl Stay<'_> {
    async fn run(mut self, mut playback: Playback, length: Duration, ending: &CancellationToken) {
        let board = self.board;
        let end = tokio::select! {
            end = self.play(&mut playback, length) => end,
            () = ending.cancelled() => End::Own,
            () = board.storm.notified() => End::Own,
        };
        self.board.findings.examined(Check::Stays, 1);
        match end {
            End::Own => self.look_behind(),
            End::Sent(error) => self.judge_end(error.as_ref()),
            End::Told => {}
        }
        // Half of them go without a word.
        if self.viewer.is_multiple_of(2) {
            drop(playback);
        } else {
            let farewell = clock::until(clock::now().after(ANSWER), playback.close()).await;
            if farewell.is_none() {
                self.fault(Check::Stays, "could not say goodbye");
            }
        }
    }

    async fn play(&mut self, playback: &mut Playback, length: Duration) -> End {
        let leave = clock::now().after(length);
        let mut kicked_since = None;
        loop {
            let silent = clock::now().after(SILENCE);
            let next = clock::until(leave.min(silent), playback.next()).await;
            let now = clock::now();
            if self.board.was_kicked(self.viewer) {
                let since = *kicked_since.get_or_insert(now);
                if now - since > LEAVING {
                    self.fault(Check::Kicks, "was kicked and goes on");
                    return End::Told;
                }
            }
            match next {
                Some(Ok(Some(message))) if self.take(&message).is_ok() => {}
                Some(Ok(Some(_))) => return End::Told,
                Some(Ok(None)) => return End::Sent(None),
                Some(Err(error)) => return End::Sent(Some(error)),
                None if now >= leave && kicked_since.is_none() => return End::Own,
                None if now >= silent
                    && self.stream.was_on_air_since(self.life)
                    && kicked_since.is_none() =>
                {
                    self.fault(Check::Stays, &format!("has got nothing for {SILENCE:?}"));
                    return End::Told;
                }
                None => {}
            }
        }
    }

    fn take(&mut self, message: &Message) -> Result<(), ()> {
        let mark = match clip::read(message.kind, &message.body) {
            Body::Head => return Ok(()),
            Body::Intact(mark) => mark,
            Body::Broken => {
                self.fault(Check::Frames, &format!("a {} is not as it was sent", message.kind));
                return Err(());
            }
        };
        self.board.counts.frames.fetch_add(1, Ordering::Relaxed);
        self.board.findings.examined(Check::Frames, 1);
        self.sequence.take(self.stream.number, message.kind, mark, self.stream).map_err(|defect| {
            self.fault(Check::Frames, &format!("{} {mark:?}: {defect:?}", message.kind));
        })
    }

    /// Who leaves by itself is not far behind.
    fn look_behind(&self) {
        let Some(last) = self.sequence.picture() else { return };
        let Some(term) = self.stream.current().filter(|term| term.number == last.term) else { return };
        let behind = term.sent().saturating_sub(last.number);
        if behind > BEHIND {
            self.fault(
                Check::Frames,
                &format!("is {behind} pictures behind, {:?}", TICK.saturating_mul(behind)),
            );
        }
    }

    /// Who is sent away was kicked, or its publisher has ended and it has all of it.
    fn judge_end(&self, error: Option<&ClientError>) {
        if self.board.was_kicked(self.viewer) {
            self.board.findings.examined(Check::Kicks, 1);
            return;
        }
        if self.stream.was_on_air_since(self.life) {
            let why = error.map_or("the stream has ended".to_owned(), ToString::to_string);
            self.fault(Check::Stays, &format!("was sent away: {why}"));
            return;
        }
        let Some(last) = self.sequence.picture() else { return };
        let Some(term) = self.stream.term(last.term) else { return };
        let missing = term.sent().saturating_sub(last.number + 1);
        if term.fate() == Some(Fate::Clean) && missing > 0 {
            self.fault(Check::Frames, &format!("the last {missing} pictures of {last:?} never came"));
        }
    }

    fn fault(&self, check: Check, text: &str) {
        let (viewer, stream) = (self.viewer, self.stream.name());
        self.board.findings.fault(check, format!("player {viewer} of {stream} {text}"));
    }
}
