//! The one driver of the hooks core: it feeds facts, questions and time into it, and makes the calls that
//! come out, through the [`Transport`] that the composition gave with each hook.
//!
//! ```
//! use jackfield_dispatch::{Dispatch, DispatchConfig};
//! use jackfield_events::Masker;
//! use jackfield_runtime::{Tasks, clock};
//! use std::sync::Arc;
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let tasks = Tasks::new();
//! let dispatch = Dispatch::new(DispatchConfig::default(), Masker::default(), &tasks);
//! dispatch.set_hooks(Vec::new()); // at the start, and again at each reload
//! let bus = jackfield_bus::Bus::new("node", Masker::default());
//! bus.set_sink("hooks", dispatch.wanted(), Arc::new(dispatch.clone()));
//! dispatch.drain(clock::now().after(std::time::Duration::from_secs(10))).await;
//! # });
//! ```
//!
//! **One lock, no hop.** The core stands behind one `std` mutex that is held for the few microseconds of
//! an input, never over an await. A question's calls are made in the task that asks: [`Dispatch::ask`]
//! polls the transport's future itself, so an answer wakes the asker and nobody between. A channel to an
//! engine task and back would add two wake-ups, which on a busy machine cost more than the call (a hop
//! between cores takes as long as a round trip to a worker). Notices run in tasks of their own, because
//! nobody waits for them. One more task sleeps until the core wants to know the time.
//!
//! What belongs to another asker (its hook had no room until our call ended) goes into that asker's
//! mailbox and wakes it. Each call runs behind a panic boundary: a transport that panics has `crashed`.
//!
//! What it does not do: it knows no program, no socket and no HTTP, and turns no answer into a right.

mod courier;
mod cursor;
mod dead;
mod dispatch;
mod histogram;
mod record;
mod syncs;
mod trace;
mod transport;

/// Parsers of files, for the fuzzer.
#[doc(hidden)]
pub mod parsers {
    pub use crate::cursor::cursor_again;
    pub use crate::dead::letter_again;
}

pub use dead::{
    BadDeadLetterId, DeadLetter, DeadLetterFilter, DeadLetterId, DeadLetterPage, DeadLetters,
    DeadLettersCounters,
};
pub use dispatch::SwitchError;
pub use dispatch::{
    Dispatch, DispatchConfig, Enabled, KeepConfig, KeepCounters, KeepError, Lag, ReplayError, Trial,
    TrialError,
};
pub use histogram::{Histogram, Latency};
pub use jackfield_hooks::{DeliveryId, HookStatus, Why};
pub use trace::{
    BadCursor, Deliveries, DeliveriesConfig, DeliveriesCounters, Delivery, DeliveryCursor, DeliveryFilter,
    DeliveryPage, Entry as DeliveryEntry, Explanation, Fallback, Fate, Followed, Follower, HookLatency,
    HookRecord, LastError, PageOf, QuestionStep, QuestionTrace, Subject,
};
pub use transport::{BoxFuture, Call, Reply, Transport, TransportCounters};
