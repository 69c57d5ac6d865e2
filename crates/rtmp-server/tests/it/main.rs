//! The service over loopback: real sockets, the hub and the gate, and clients of `jackfield_rtmp`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::large_futures,
    reason = "a test may fail, and has memory"
)]

mod capabilities;
mod changes;
mod connections;
mod hostile;
mod kit;
mod playing;
mod publishing;
mod questions;
mod resting;
mod stopping;
mod tls;
