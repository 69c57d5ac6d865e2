//! What the crate serves, over a socket.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod console;
