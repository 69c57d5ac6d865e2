//! The built server and real clients.

mod matrix;
mod usage;
