//! What has just happened, read once for all clients that follow.
//!
//! One task waits for the outbox and hands out what is new, at most [`PER_SECOND`] times a second; thousands of clients
//! then neither wake with each event nor stand at the outbox's lock, where the media's facts come in. The frames of
//! the newest events are kept for a while, within [`KEPT_BYTES`], so that all who are a little behind share them. Who
//! is further behind reads the outbox itself, at its own pace.

use super::frames;
use crate::problem::Problem;
use bytes::Bytes;
use jackfield_bus::Outbox;
use jackfield_events::Event;
use jackfield_journal::Limit;
use jackfield_runtime::{Tasks, clock};
use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// How often news are handed out at most.
const PER_SECOND: u32 = 50;
/// Events that are read at once.
const MOST: usize = 1024;
/// Bytes of frames that are kept, and pieces of news.
const KEPT_BYTES: usize = 8 * 1024 * 1024;
const KEPT_PIECES: usize = 256;

/// Clients at once: each has a task and a connection.
const MAX_CLIENTS: usize = 20_000;
/// When it is worth to come back.
const FULL: Duration = Duration::from_secs(10);

/// The news, for all clients of one server.
#[derive(Debug)]
pub(crate) struct Pulse {
    news: OnceLock<watch::Receiver<Arc<News>>>,
    places: Arc<Semaphore>,
}

impl Default for Pulse {
    fn default() -> Self {
        Self { news: OnceLock::new(), places: Arc::new(Semaphore::new(MAX_CLIENTS)) }
    }
}

/// The newest events that are kept for all.
#[derive(Debug, Clone, Default)]
pub(super) struct News {
    /// The `seq` that they reach.
    pub(super) up_to: u64,
    pieces: VecDeque<Arc<Piece>>,
    bytes: usize,
}

/// All events after one `seq` up to another, none missing, with their frames.
#[derive(Debug, Default)]
pub(super) struct Piece {
    after: u64,
    pub(super) up_to: u64,
    pub(super) events: Vec<(Arc<Event>, Bytes)>,
}

impl News {
    /// The piece that goes on after this `seq`; `None` if it is not kept any more.
    pub(super) fn after(&self, seq: u64) -> Option<&Arc<Piece>> {
        self.pieces.iter().find(|piece| piece.up_to > seq).filter(|piece| piece.after <= seq)
    }

    fn push(&mut self, piece: Piece) {
        self.up_to = piece.up_to;
        self.bytes += piece.bytes();
        self.pieces.push_back(Arc::new(piece));
        while self.bytes > KEPT_BYTES || self.pieces.len() > KEPT_PIECES {
            let Some(oldest) = self.pieces.pop_front() else { return };
            self.bytes -= oldest.bytes();
        }
    }
}

impl Piece {
    fn bytes(&self) -> usize {
        self.events.iter().map(|(_, frame)| frame.len()).sum()
    }
}

impl Pulse {
    /// The right to be one of the clients.
    ///
    /// # Errors
    /// 503 if there are too many.
    pub(super) fn place(&self) -> Result<OwnedSemaphorePermit, Problem> {
        let full = |_error| Problem::unavailable("Too many clients follow events.", FULL);
        Arc::clone(&self.places).try_acquire_owned().map_err(full)
    }

    /// The news from now on. The task begins with the first client.
    pub(super) fn follow(&self, outbox: &Outbox, tasks: &Tasks) -> watch::Receiver<Arc<News>> {
        let begin = || {
            let news = News { up_to: outbox.last(), ..News::default() };
            let (sender, receiver) = watch::channel(Arc::new(news.clone()));
            let beat = beat(outbox.clone(), sender, news);
            let stopping = tasks.stopping();
            drop(tasks.spawn("event news", async move { stopping.run_until_cancelled(beat).await }));
            receiver
        };
        self.news.get_or_init(begin).clone()
    }
}

async fn beat(outbox: Outbox, sender: watch::Sender<Arc<News>>, mut news: News) {
    loop {
        outbox.more_than(news.up_to).await;
        let read = outbox.read(news.up_to, Limit { records: MOST, ..Limit::default() }).await;
        // The pulse itself holds one receiver. With nobody else there is nobody to make frames for. What has a gap is
        // not shared: each client reads it itself, and is told of the gap.
        if sender.receiver_count() > 1 && read.skipped == 0 {
            let framed = |event: Arc<Event>| (Arc::clone(&event), frames::event(&event));
            let events = read.events.into_iter().map(framed).collect();
            news.push(Piece { after: news.up_to, up_to: read.up_to, events });
        } else {
            news = News { up_to: read.up_to, ..News::default() };
        }
        sender.send_replace(Arc::new(news.clone()));
        clock::sleep(Duration::from_secs(1) / PER_SECOND).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(after: u64, up_to: u64, bytes: usize) -> Piece {
        let spec = jackfield_events::EventType::StreamCreate.spec();
        let stamp = jackfield_events::Stamp {
            id: ulid::Ulid(1),
            seq: up_to,
            node: "n".into(),
            time: jackfield_media::UnixTime(0),
        };
        let event = Arc::new(spec.fixture(stamp, jackfield_events::FixtureWish::default()).unwrap());
        Piece { after, up_to, events: vec![(event, Bytes::from(vec![b'x'; bytes]))] }
    }

    #[test]
    fn who_is_a_little_behind_goes_on_with_what_all_share() {
        let mut news = News::default();
        for after in 0..3 {
            news.push(piece(after * 10, after * 10 + 10, 100));
        }
        let begins = |seq| news.after(seq).map(|piece| piece.up_to);
        assert_eq!([begins(0), begins(9), begins(10), begins(29)], [Some(10), Some(10), Some(20), Some(30)]);
        assert_eq!((begins(30), news.up_to), (None, 30));
    }

    #[test]
    fn what_is_kept_has_a_bound_in_bytes_and_in_pieces() {
        let mut news = News::default();
        for after in 0..20 {
            news.push(piece(after, after + 1, 1024 * 1024));
        }
        assert!(news.bytes <= KEPT_BYTES && news.after(0).is_none() && news.after(19).is_some());
        let mut news = News::default();
        for after in 0..1000 {
            news.push(piece(after, after + 1, 1));
        }
        assert_eq!((news.pieces.len(), news.bytes), (KEPT_PIECES, KEPT_PIECES));
    }
}
