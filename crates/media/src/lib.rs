//! The words that every other crate uses: stream keys, ids, tracks, frames and time.
//!
//! Nothing here does I/O, reads a clock or knows a protocol. A [`Frame`] is one access unit of one
//! [`Track`]; a [`StreamKey`] is a validated name, so that whoever holds one need not check it again.
//!
//! Three times exist, and each has one type:
//!
//! | time | type | unit | who makes it |
//! |---|---|---|---|
//! | media time | [`MediaTime`] | ticks of a [`TimeBase`] | the publisher |
//! | local time | [`Mono`] | since an arbitrary origin, never goes back | `runtime::Clock` |
//! | wall clock | [`UnixTime`] | microseconds since 1970 UTC, may jump | `runtime::Clock` |
//!
//! Codec configuration records are parsed in [`codec`], which names the specification of each.

pub mod codec;
mod frame;
mod ids;
mod key;
mod text;
mod time;
mod track;

pub use frame::{Format, Frame, FrameClass, Origin, Part};
pub use ids::{ConnId, Epoch, SessionId, TrackId};
pub use key::{KeyError, StreamKey};
pub use text::Text;
pub use time::{MediaTime, Mono, TimeBase, UnixTime};
pub use track::{Codec, Track, TrackKind};
