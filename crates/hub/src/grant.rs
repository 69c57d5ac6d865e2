//! Rights to publish and to play, and who makes them.

use jackfield_events::Scope;
use jackfield_events::notices::{PlayStart, PublishStart};
use jackfield_media::StreamKey;

/// What becomes of a publisher whose key another one wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Takeover {
    /// It is replaced if it was silent for [`crate::HubConfig::stale`], else the other one is refused.
    #[default]
    Stale,
    /// The other one is refused.
    Refuse,
    /// It is replaced.
    Replace,
}

/// What a right to publish is made of.
#[derive(Debug, Clone)]
pub struct PublishGrantParts {
    /// The key, after all renames.
    pub key: StreamKey,
    /// Connection and session. The hub adds key and epoch.
    pub scope: Scope,
    /// The start fact, ready built, with the names of `key`.
    pub start: PublishStart,
    /// What to do if the key is busy when the publisher is registered.
    pub takeover: Takeover,
}

/// What a right to play is made of.
#[derive(Debug, Clone)]
pub struct PlayGrantParts {
    /// The key, after all renames.
    pub key: StreamKey,
    /// Connection and session. The hub adds key and epoch.
    pub scope: Scope,
    /// The start fact, ready built, with the names of `key`.
    pub start: PlayStart,
}

/// The right to publish one key once.
#[derive(Debug)]
pub struct PublishGrant {
    pub(crate) parts: PublishGrantParts,
}

impl PublishGrant {
    /// The key, after all renames.
    #[must_use]
    pub fn key(&self) -> &StreamKey {
        &self.parts.key
    }
}

/// The right to play one key once.
#[derive(Debug)]
pub struct PlayGrant {
    pub(crate) parts: PlayGrantParts,
}

impl PlayGrant {
    /// The key, after all renames.
    #[must_use]
    pub fn key(&self) -> &StreamKey {
        &self.parts.key
    }
}

/// Makes grants. [`crate::Hub::new`] returns the only one; the composition hands it to the gate.
#[derive(Debug)]
pub struct Minter(());

impl Minter {
    pub(crate) fn new() -> Self {
        Self(())
    }

    /// A right to publish.
    #[must_use]
    pub fn publish(&self, parts: PublishGrantParts) -> PublishGrant {
        PublishGrant { parts }
    }

    /// A right to play.
    #[must_use]
    pub fn play(&self, parts: PlayGrantParts) -> PlayGrant {
        PlayGrant { parts }
    }
}
