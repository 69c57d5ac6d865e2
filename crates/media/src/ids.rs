//! Identifiers. Each is a newtype, so that one cannot stand where another belongs.

use std::fmt;

/// A connection of a media listener: `c000001`, `c000002`, … in the order of accepting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnId(pub u64);

impl fmt::Display for ConnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "c{:06}", self.0)
    }
}

/// A publish or play session: `s000001`, … in the order of granting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub u64);

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s{:06}", self.0)
    }
}

/// The number of a publish session of one stream key: 1 for the first, never goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Epoch(pub u64);

impl Epoch {
    /// The epoch of the publish session that follows this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A track of a stream. RTMP without multitrack has [`TrackId::VIDEO`], [`TrackId::AUDIO`] and
/// [`TrackId::DATA`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TrackId(pub u16);

impl TrackId {
    /// The first video track.
    pub const VIDEO: Self = Self(1);
    /// The first audio track.
    pub const AUDIO: Self = Self(2);
    /// The first data track (script messages).
    pub const DATA: Self = Self(3);
}

impl fmt::Display for TrackId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
