//! What has just happened, read once for all clients that follow.
//!
//! One task waits for the outbox and hands out what is new, at most [`PER_SECOND`] times a second; thousands of clients
//! then neither wake with each event nor stand at the outbox's lock, where the media's facts come in. Who is slower
//! than that reads the outbox itself, at its own pace.

use super::frames;
use crate::problem::Problem;
use bytes::Bytes;
use jackfield_bus::Outbox;
use jackfield_events::Event;
use jackfield_journal::Limit;
use jackfield_runtime::{Tasks, clock};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// How often news are handed out at most.
const PER_SECOND: u32 = 50;
/// Events of one piece of news at most; the rest is read by each client.
const MOST: usize = 1024;

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

/// All events after one `seq` up to another.
#[derive(Debug, Default)]
pub(super) struct News {
    /// The `seq` after which this begins.
    pub(super) after: u64,
    /// The `seq` that it reaches.
    pub(super) up_to: u64,
    /// The events with their frames.
    pub(super) events: Vec<(Arc<Event>, Bytes)>,
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
            let last = outbox.last();
            let (sender, receiver) =
                watch::channel(Arc::new(News { after: last, up_to: last, events: Vec::new() }));
            let beat = beat(outbox.clone(), sender, last);
            let stopping = tasks.stopping();
            drop(tasks.spawn("event news", async move { stopping.run_until_cancelled(beat).await }));
            receiver
        };
        self.news.get_or_init(begin).clone()
    }
}

async fn beat(outbox: Outbox, sender: watch::Sender<Arc<News>>, mut after: u64) {
    loop {
        outbox.more_than(after).await;
        let limit = Limit { records: MOST, ..Limit::default() };
        let read = outbox.read(after, limit).await;
        let framed = |event: Arc<Event>| {
            // Without a client there is nobody to make frames for; the task itself holds one receiver.
            let frame = frames::event(&event);
            (event, frame)
        };
        let events = if sender.receiver_count() > 1 {
            read.events.into_iter().map(framed).collect()
        } else {
            Vec::new()
        };
        // What nobody was there for is not told as if nothing had happened.
        let begins = if events.is_empty() { read.up_to } else { after };
        after = read.up_to;
        sender.send_replace(Arc::new(News { after: begins, up_to: after, events }));
        clock::sleep(Duration::from_secs(1) / PER_SECOND).await;
    }
}
