//! Container formats: how media is framed in files and messages.
//!
//! Everything here works on bytes in memory: no I/O, no clock. A format takes what a publisher sent
//! apart into [`Frame`](jackfield_media::Frame)s and [`Track`](jackfield_media::Track)s; the payload is a slice of what came in, never a copy.
//! No input panics.
//!
//! ```
//! use bytes::Bytes;
//! use jackfield_containers::flv::Unpacker;
//! use jackfield_media::{FrameClass, TrackKind};
//!
//! let mut unpacker = Unpacker::default();
//! let body = Bytes::from_static(&[0xaf, 0x00, 0x12, 0x10]);
//! let (frame, track) = unpacker.unpack(TrackKind::Audio, 0, body).unwrap().next().unwrap();
//! assert_eq!(frame.class, FrameClass::Config);
//! assert_eq!(track.unwrap().sample_rate, Some(44_100));
//! ```
//!
//! | specification | version | module |
//! |---|---|---|
//! | Adobe Flash Video File Format | 10.1, annex E | [`flv`] |
//! | Enhanced RTMP | v1, v2: the heads of video and audio packets | [`flv`] |
//!
//! What it does not do: look into access units; that is [`jackfield_media::codec`]'s, which is asked for what a
//! track's configuration tells.

pub mod flv;
