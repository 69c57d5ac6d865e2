//! FLV: the bodies of audio and video tags, which are RTMP's messages too, and files of tags.
//!
//! [`Unpacker`] belongs to one publish session; it remembers which codec each track had, so that a
//! change is told once; [`pack`] is the way back. [`Framing`] says what a reader of a body must know.
//! [`track_id`] and [`track_number`] tell which track a number of enhanced RTMP stands for. [`TagReader`] and
//! the `write_*` functions are for files.

mod audio;
mod codec;
mod enhanced;
mod file;
mod framing;
mod head;
mod pack;
mod track;
mod unpack;
mod video;

pub use file::{Tag, TagReader, write_header, write_tag};
pub use framing::{Form, Framing, Modifiers};
pub use pack::pack;
pub use track::{track_id, track_number};
pub use unpack::{Unpacked, Unpacker};

/// Why a tag or file could not be taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FlvError {
    /// A tag body ends before the fields that its first byte promises.
    #[error("the {0} message is shorter than its head")]
    Short(jackfield_media::TrackKind),
    /// A multitrack message has more parts than there are numbers of tracks.
    #[error("the {0} message has too many tracks")]
    Tracks(jackfield_media::TrackKind),
    /// The file does not begin with `FLV` and version 1.
    #[error("this is no FLV file")]
    NotFlv,
    /// A tag of a type that is neither audio, video nor script data, or an encrypted one.
    #[error("a tag of type {0} is not supported")]
    TagType(u8),
    /// A previous-tag size that does not agree with the tag.
    #[error("the size after a tag is {told}, not {real}")]
    TagSize {
        /// What the file says.
        told: u32,
        /// What the tag has.
        real: u32,
    },
}

#[cfg(test)]
mod tests;
