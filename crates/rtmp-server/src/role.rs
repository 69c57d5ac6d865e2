//! What the message streams of a connection are used for.

use crate::hold::Batch;
use jackfield_hub::{Paused, PlayGrant, Publisher, Subscriber, Wanted};
use jackfield_media::TrackKind;
use std::sync::Arc;

/// What one message stream is used for. The phases follow those of `jackfield_rtmp`, which tells when the
/// client leaves one.
pub(crate) enum Role {
    /// The gate is asked; media is held.
    PublishAsked(Batch),
    /// The gate said yes, and the hub is asked; media is held.
    Registering(Batch),
    /// The hub has it.
    Publishing { publisher: Arc<Publisher>, batch: Batch },
    /// The gate is asked, or the stream is waited for.
    PlayAsked(Wishes),
    /// The client was told that it plays; the hub is asked next.
    PlayGranted(Wishes, PlayGrant),
    /// The hub is asked.
    Attaching(Wishes),
    /// The hub delivers.
    Playing(Arc<Subscriber>),
}

/// What a player wants and does not want, before there is somebody to be told.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wishes {
    pub(crate) paused: Paused,
    pub(crate) audio: Wanted,
    pub(crate) video: Wanted,
}

impl Wishes {
    pub(crate) const ALL: Self = Self { paused: Paused::No, audio: Wanted::Yes, video: Wanted::Yes };

    pub(crate) fn receive(&mut self, kind: TrackKind, wanted: Wanted) {
        match kind {
            TrackKind::Audio => self.audio = wanted,
            TrackKind::Video => self.video = wanted,
            TrackKind::Data => {}
        }
    }

    pub(crate) fn tell(self, subscriber: &Subscriber) {
        subscriber.pause(self.paused);
        subscriber.receive(TrackKind::Audio, self.audio);
        subscriber.receive(TrackKind::Video, self.video);
    }
}

/// The roles of a connection's message streams, of which there are few.
#[derive(Default)]
pub(crate) struct Roles(Vec<(u32, Role)>);

impl Roles {
    pub(crate) fn get_mut(&mut self, stream: u32) -> Option<&mut Role> {
        self.0.iter_mut().find(|(other, _)| *other == stream).map(|(_, role)| role)
    }

    /// Gives the message stream a role, and returns the former one.
    pub(crate) fn set(&mut self, stream: u32, role: Role) -> Option<Role> {
        let former = self.remove(stream);
        // Nearly always one: room for more would only be held.
        self.0.reserve_exact(1);
        self.0.push((stream, role));
        former
    }

    pub(crate) fn remove(&mut self, stream: u32) -> Option<Role> {
        let index = self.0.iter().position(|(other, _)| *other == stream)?;
        Some(self.0.swap_remove(index).1)
    }

    /// A message stream that is used.
    pub(crate) fn any(&self) -> Option<u32> {
        self.0.last().map(|(stream, _)| *stream)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Role> {
        self.0.iter().map(|(_, role)| role)
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (u32, &mut Role)> {
        self.0.iter_mut().map(|(stream, role)| (*stream, role))
    }
}
