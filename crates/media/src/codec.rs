//! Codec configuration records: what a decoder needs to know before its first access unit.
//!
//! Whoever unpacks a publisher's configuration message calls [`avc::parse`] or [`aac::parse`], and
//! puts the answer into a [`Track`](crate::Track) by `describe`. No input panics; what a
//! configuration does not tell stays `None`.

pub mod aac;
pub mod avc;
mod bits;
