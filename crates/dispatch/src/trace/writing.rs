//! The task that writes records to the journal. Nobody waits for it.

use super::delivery::Entry;
use super::store::Store;
use jackfield_journal::Writer;
use jackfield_media::Mono;
use jackfield_runtime::{Tasks, clock};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Pause between two batches: one write for many records.
const PAUSE: Duration = Duration::from_millis(20);
/// Pause after the disk has refused a batch.
const AGAIN: Duration = Duration::from_secs(1);
/// How often what is too old is removed, and what was written made safe from the end of the machine.
const TIDY: Duration = Duration::from_secs(10);
/// Records that are written at once.
const BATCH: usize = 1024;
/// One line of the log in this time, while the disk refuses.
const QUIET: Duration = Duration::from_secs(10);

/// The journal, and how its task fares.
struct Writing {
    writer: Writer,
    tidied: Mono,
    told: Option<Mono>,
}

/// Writes until the group is told to stop, and then what is left.
pub(super) async fn write(store: Arc<Store>, writer: Writer, tasks: Tasks) {
    let stopping = tasks.stopping();
    let mut writing = Writing { writer, tidied: clock::now(), told: None };
    loop {
        let stops = tokio::select! {
            () = store.woken.notified() => Stops::No,
            () = clock::sleep(TIDY) => Stops::No,
            () = stopping.cancelled() => Stops::Yes,
        };
        store.take_in();
        let Some(back) = write_all(&store, writing, &tasks, stops).await else {
            // The call has panicked: that is logged.
            store.failing.store(true, Ordering::Relaxed);
            return;
        };
        writing = back;
        if stops == Stops::Yes {
            return;
        }
        let pause = if store.failing.load(Ordering::Relaxed) { AGAIN } else { PAUSE };
        tokio::select! {
            () = clock::sleep(pause) => {}
            () = stopping.cancelled() => {}
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stops {
    No,
    Yes,
}

/// Writes what was not written yet, and tidies up when it is time.
async fn write_all(store: &Arc<Store>, mut writing: Writing, tasks: &Tasks, stops: Stops) -> Option<Writing> {
    loop {
        let batch = store.unwritten(BATCH);
        let Some(up_to) = batch.last().map(|(position, _)| *position) else { break };
        let call = tasks.blocking("deliveries-write", move || {
            let result = write_batch(&mut writing.writer, &batch);
            (writing, result)
        });
        let (back, result) = call.join().await?;
        writing = back;
        match result {
            Ok(unwritable) => {
                store.unwritable(unwritable);
                store.written(up_to);
                store.failing.store(false, Ordering::Relaxed);
            }
            Err(error) => {
                store.failing.store(true, Ordering::Relaxed);
                writing.complain(&error);
                break;
            }
        }
    }
    let now = clock::now();
    if stops == Stops::No && now - writing.tidied < TIDY {
        return Some(writing);
    }
    writing.tidied = now;
    let call = tasks.blocking("deliveries-tidy", move || {
        let writer = &mut writing.writer;
        let result = writer.retain(clock::unix_now()).and_then(|_retired| writer.sync());
        (writing, result)
    });
    let (mut writing, result) = call.join().await?;
    if let Err(error) = result {
        writing.complain(&error);
    }
    Some(writing)
}

impl Writing {
    fn complain(&mut self, error: &io::Error) {
        let now = clock::now();
        if self.told.is_none_or(|told| now - told >= QUIET) {
            self.told = Some(now);
            tracing::error!(%error, "Deliveries cannot be stored; the newest are kept in memory");
        }
    }
}

/// Writes a batch whole or not at all; returns how many of it no journal takes.
fn write_batch(writer: &mut Writer, batch: &[(u64, Entry)]) -> io::Result<u64> {
    let mut unwritable = 0;
    for (position, entry) in batch {
        let body = entry.to_bytes();
        // Refused for what it is, not for the disk's sake: that shows when it is flushed.
        unwritable += u64::from(writer.append(*position, entry.at(), &body).is_err());
    }
    writer.flush()?;
    Ok(unwritable)
}
