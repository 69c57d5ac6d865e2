//! The gate between a connection, hooks that a test scripts, and a hub.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod guessing;
mod kit;
mod play;
mod publish;
