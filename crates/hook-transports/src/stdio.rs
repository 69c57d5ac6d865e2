//! `stdio`: the events as lines on standard output or standard error.
//!
//! It is a sink of the bus, not a handler that the engine calls: so the order of all events is kept,
//! whatever their keys, and no slow hook is before it. (For the questions of its filter it is a
//! [`Transport`] too, to be a `notify` hook that is done at once.)
//!
//! Events wait in a bounded queue; when it is full the oldest is dropped, counted, and told by
//! `num_dropped` in the next. A thread writes. Who does not read, or has closed the pipe, loses events and
//! disturbs nobody.

mod format;
mod write;

use crate::Host;
use crate::flights::{Flight, Flights};
use crate::reply::{Watch, delivered};
pub use format::StdioFormat;
use jackfield_bus::Sink;
use jackfield_dispatch::{BoxFuture, Call, Reply, Transport};
use jackfield_events::Event;
use jackfield_hooks::Selector;
use jackfield_media::Mono;
use jackfield_runtime::queue::{self, Full};
use jackfield_runtime::{CancellationToken, Tasks};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
pub use write::StdioTarget;
use write::Target;

/// Events that wait if nothing else is said: some seconds of a busy server.
const QUEUE: usize = 4096;
/// Events that are written in one go.
const BATCH: usize = 256;

/// A hook with `stdio`.
#[derive(Debug, Clone)]
pub struct StdioConfig {
    /// Where it writes.
    pub to: StdioTarget,
    /// How.
    pub format: StdioFormat,
    /// The streams that it is about.
    pub streams: Selector,
    /// Events that may wait, at least 1; 4096 if it is `None`.
    pub queue: Option<usize>,
}

/// The events of one hook on their way to a standard stream. Which types it gets is said where it is given
/// to the bus.
#[derive(Debug)]
pub struct Stdio {
    streams: Selector,
    events: queue::Sender<Waiting>,
    flights: Arc<Flights>,
    lost: Arc<AtomicU64>,
}

#[derive(Debug)]
struct Waiting {
    event: Arc<Event>,
    flight: Flight,
}

/// Starts the writer.
#[must_use]
pub fn stdio(config: StdioConfig, host: &Host) -> Arc<Stdio> {
    let StdioConfig { to, format, streams, queue } = config;
    Arc::new(Stdio::new(to.into(), format, streams, queue.unwrap_or(QUEUE), &host.tasks))
}

impl Stdio {
    fn new(to: Target, format: StdioFormat, streams: Selector, queue: usize, tasks: &Tasks) -> Self {
        let (events, waiting) = queue::bounded("stdio.events", queue, Full::DropOldest);
        let flights = Arc::new(Flights::default());
        let lost = Arc::new(AtomicU64::new(0));
        let writer = Writer {
            to,
            format,
            waiting,
            told: 0,
            lost: Arc::clone(&lost),
            give_up: flights.must_end().clone(),
            tasks: tasks.clone(),
        };
        tasks.spawn("hook.stdio", writer.run());
        Self { streams, events, flights, lost }
    }

    /// Events that were dropped because the queue was full.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.events.dropped()
    }

    /// Events that could not be written: the stream is closed.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    fn queue(&self, event: &Arc<Event>) {
        let flight = self.flights.take_off();
        // What is displaced is counted by the queue; without a writer the server stops.
        drop(self.events.push(Waiting { event: Arc::clone(event), flight }));
    }
}

impl Sink for Stdio {
    fn accept(&self, event: &Arc<Event>) {
        if self.streams.matches(event.scope().stream_key.as_ref()) {
            self.queue(event);
        }
    }
}

impl Transport for Stdio {
    fn call(&self, call: Call) -> BoxFuture<'_, Reply> {
        self.queue(&call.event);
        Box::pin(std::future::ready(Watch::start().reply(Ok(delivered()), None)))
    }

    /// Waits until all that is queued is written, or given up at the deadline.
    fn drain(&self, deadline: Mono) -> BoxFuture<'_, ()> {
        Box::pin(self.flights.drain(deadline))
    }
}

impl Drop for Stdio {
    fn drop(&mut self) {
        // The writer goes on with what is queued, for as long as it is read.
        self.flights.must_end().cancel();
    }
}

/// The task that takes events from the queue to a writing thread.
struct Writer {
    to: Target,
    format: StdioFormat,
    waiting: queue::Receiver<Waiting>,
    /// How many drops `num_dropped` has told of.
    told: u64,
    lost: Arc<AtomicU64>,
    give_up: CancellationToken,
    tasks: Tasks,
}

impl Writer {
    async fn run(mut self) {
        let stopping = self.tasks.stopping();
        loop {
            let first = tokio::select! {
                biased;
                first = self.waiting.recv() => first,
                () = stopping.cancelled() => return,
            };
            let Some(first) = first else { return };
            // Read before the batch is taken: what is dropped after that stood behind it.
            let dropped = self.waiting.dropped();
            let num_dropped = dropped - std::mem::replace(&mut self.told, dropped);
            let mut batch = vec![first];
            self.waiting.drain_into(&mut batch, BATCH - 1);
            let (to, format, give_up) = (self.to.clone(), self.format, self.give_up.clone());
            let events = u64::try_from(batch.len()).unwrap_or(u64::MAX);
            let writing = self.tasks.blocking("hook.stdio.write", move || {
                let mut text = Vec::new();
                let mut num_dropped = num_dropped;
                for Waiting { event, .. } in &batch {
                    format.render(event, std::mem::take(&mut num_dropped), &mut text);
                }
                let written = write::all(&to, &text, &give_up);
                // Only now these events have landed.
                batch.into_iter().for_each(|Waiting { flight, .. }| drop(flight));
                written
            });
            if let Some(Err(error)) = writing.join().await
                && self.lost.fetch_add(events, Ordering::Relaxed) == 0
            {
                tracing::warn!(%error, "Cannot write events to a standard stream, they are counted and left out");
            }
        }
    }
}

#[cfg(test)]
mod tests;
