//! The table of message streams: what `createStream` made, and what each is used for.

use super::unwrap::Unwrap;
use crate::url;
use jackfield_media::Mono;

/// What a message stream is used for.
#[derive(Debug)]
pub(super) enum Role {
    Idle,
    /// The application is asked.
    PublishAsked(Publishing),
    Publishing(Publishing),
    /// The application is asked.
    PlayAsked(super::Reset),
    Playing,
}

/// A publish session.
#[derive(Debug)]
pub(super) struct Publishing {
    /// The name as the client wrote it, by which FCUnpublish refers to it.
    pub(super) raw_name: String,
    pub(super) unwrap: Unwrap,
    /// When the last media came; the moment of accepting before any did.
    pub(super) last_media: Mono,
}

/// The message streams of a connection. Their ids begin at 1.
#[derive(Debug)]
pub(super) struct MessageStreams {
    limit: usize,
    open: Vec<(u32, Role)>,
}

impl MessageStreams {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, open: Vec::new() }
    }

    /// Opens a message stream under the lowest free id; `None` if there are too many.
    pub(super) fn create(&mut self) -> Option<u32> {
        if self.open.len() >= self.limit {
            return None;
        }
        let id = (1..).find(|id| self.open.iter().all(|(open, _)| open != id))?;
        // Nearly always one: room for more would only be held.
        self.open.reserve_exact(1);
        self.open.push((id, Role::Idle));
        Some(id)
    }

    /// The message stream that a client means by this id. 0 is the connection and has no media; encoders
    /// that leave the field at 0, or begin a chunk stream with a header that lacks it, mean their only one.
    pub(super) fn meant(&self, id: u32) -> u32 {
        match self.open.as_slice() {
            [(only, _)] if id == 0 => *only,
            _ => id,
        }
    }

    pub(super) fn role(&mut self, id: u32) -> Option<&mut Role> {
        self.open.iter_mut().find(|(open, _)| *open == id).map(|(_, role)| role)
    }

    /// Makes the stream idle and says what it was.
    pub(super) fn stop(&mut self, id: u32) -> Option<Role> {
        self.role(id).map(|role| std::mem::replace(role, Role::Idle))
    }

    /// Forgets the stream and says what it was.
    pub(super) fn delete(&mut self, id: u32) -> Option<Role> {
        let index = self.open.iter().position(|(open, _)| *open == id)?;
        Some(self.open.swap_remove(index).1)
    }

    /// The publisher, asked or accepted, of this name as the client wrote it, with or without a query.
    pub(super) fn publisher_of(&self, raw_name: &str) -> Option<u32> {
        self.open.iter().find_map(|(id, role)| match role {
            Role::Publishing(p) | Role::PublishAsked(p) if url::is_same_name(&p.raw_name, raw_name) => {
                Some(*id)
            }
            _ => None,
        })
    }

    pub(super) fn publishing(&self) -> Vec<u32> {
        self.of(|role| matches!(role, Role::Publishing(_)))
    }

    pub(super) fn playing(&self) -> Vec<u32> {
        self.of(|role| matches!(role, Role::Playing))
    }

    /// Whether a player's question is open.
    pub(super) fn asks_to_play(&self) -> bool {
        self.open.iter().any(|(_, role)| matches!(role, Role::PlayAsked(_)))
    }

    /// Whether any stream is used for anything, or its question is open.
    pub(super) fn in_use(&self) -> bool {
        self.open.iter().any(|(_, role)| !matches!(role, Role::Idle))
    }

    /// When media last came on the publishing stream that has been silent for longest; `None` if none
    /// publishes.
    pub(super) fn publishing_since(&self) -> Option<Mono> {
        let last = |(_, role): &(u32, Role)| match role {
            Role::Publishing(publishing) => Some(publishing.last_media),
            _ => None,
        };
        self.open.iter().filter_map(last).min()
    }

    pub(super) fn ids(&self) -> Vec<u32> {
        self.of(|_| true)
    }

    fn of(&self, wanted: impl Fn(&Role) -> bool) -> Vec<u32> {
        self.open.iter().filter(|(_, role)| wanted(role)).map(|(id, _)| *id).collect()
    }
}
