//! The hub with fake publishers and viewers, under a clock that moves only when all are idle.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

mod failures;
mod fanout;
mod joining;
mod kit;
mod lives;
mod multitrack;
mod slow;
mod storm;
mod tracks;
