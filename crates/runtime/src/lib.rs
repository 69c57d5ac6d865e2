//! Tasks, clocks, queues and chance: the only crate that spawns, tells the time or draws lots.
//!
//! - [`Tasks`] spawns named tasks behind a panic boundary and joins them at the end.
//! - [`clock`] reads local time and the wall clock, and sleeps.
//! - [`queue`] makes bounded queues that have a name, a written policy for the case that they are full,
//!   and counters.
//! - [`random`] draws from the kernel.
//!
//! ```
//! use jackfield_runtime::{Tasks, clock};
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let tasks = Tasks::new();
//! let answer = tasks.spawn("example", async { 42 });
//! assert_eq!(answer.join().await, Some(42));
//! tasks.stop(clock::now().after(std::time::Duration::from_secs(1))).await;
//! # });
//! ```
#![expect(clippy::disallowed_methods, reason = "this is the crate that the others are sent to")]

pub mod clock;
pub mod queue;
pub mod random;
mod tasks;

pub use tasks::{Caught, Joining, Panicked, Tasks, catch};
pub use tokio_util::sync::CancellationToken;
