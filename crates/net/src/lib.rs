//! Being written.
pub mod outbound;
