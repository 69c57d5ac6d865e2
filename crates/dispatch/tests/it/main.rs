//! The driver with transports that tests play. Time is paused, so deadlines are exact and nothing sleeps.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that meets the unexpected fails")]

mod allocations;
mod deliveries;
mod durable;
mod kit;
mod notices;
mod questions;
mod reloads;
mod storm;
