//! Facts meet here: an event is built once, stamped once and handed to every sink in one order.
//!
//! [`Bus::emit`] writes the event's own log line and, if some sink wants events of this type, builds
//! the [`jackfield_events::Event`] and hands it over. With no sink and no outbox it costs one relaxed atomic load and
//! allocates nothing. A sink never blocks: it queues by its own policy, or counts what it had to drop.
//!
//! [`Bus::question`] stamps a question in the same order of `seq`, for the gate to ask.
//!
//! With an [`Outbox`] every notice is stored before anybody is told of it, and whoever delivers reads it from there:
//!
//! ```
//! use jackfield_bus::{Bus, Limit, Outbox, OutboxConfig};
//! use jackfield_events::{Masker, Scope, notices::StreamCreate};
//! use jackfield_runtime::Tasks;
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! # let folder = tempfile::tempdir().unwrap();
//! let tasks = Tasks::new();
//! let (outbox, recovered) = Outbox::open(OutboxConfig::new(folder.path()), &tasks).unwrap();
//! let bus = Bus::new("node", Masker::default()).with_outbox(outbox.clone(), &tasks);
//! bus.close_pairs(&recovered.open);
//! bus.emit(&Scope::default(), &StreamCreate { app: "live".into(), stream_name: "a".into() });
//! outbox.more_than(0).await;
//! let read = outbox.read(0, Limit::default()).await;
//! assert_eq!((read.events.len(), read.up_to), (1, 1));
//! bus.close().await;
//! # });
//! ```
//!
//! The contract of the outbox:
//! - `seq` ascends over restarts, and leaves gaps.
//! - What can be read is written, and survives the end of the process; that of the machine after a sync ([`Fsync`]).
//!   While the disk takes nothing, notices are read from memory.
//! - What memory does not hold any longer and could not be written is lost, counted, and told by `events_lost`.
//! - A start whose stop was not told is closed at the next start by [`Bus::close_pairs`], with the same ids.
//! - Emitting pushes and returns: it waits for no disk and no reader.
//!
//! What it does not do: know hooks or their cursors, or deliver.

mod bus;
mod epochs;
mod ledger;
mod outbox;

pub use bus::{Bus, Sink};
pub use epochs::Epochs;
pub use jackfield_journal::Limit;
pub use ledger::OpenPair;
pub use outbox::{
    Fsync, Outbox, OutboxConfig, OutboxCounters, OutboxError, OutboxState, Read, Recovered, SpareFolder,
};
