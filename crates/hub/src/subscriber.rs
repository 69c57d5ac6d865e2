//! A viewer's end of its stream.

use crate::inbox::Leaving;
use crate::registry::Entry;
use jackfield_events::EndReason;
use jackfield_media::{StreamKey, Track, TrackKind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::SetOnce;

/// Whether a viewer holds media back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paused {
    /// Nothing is delivered.
    Yes,
    /// Delivery goes on, with the next key frame after a pause.
    No,
}

/// Whether a viewer wants a kind of media.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// It is delivered; pictures from the next key frame on.
    Yes,
    /// It is left out.
    No,
}

/// A viewer within the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ViewerId(pub(crate) u64);

/// What the viewer's task and the stream's task share. Wishes are flags and not messages, so that a
/// client that changes its mind a thousand times a second costs nothing.
#[derive(Debug, Default)]
pub(crate) struct Wishes {
    paused: AtomicBool,
    no_video: AtomicBool,
    no_audio: AtomicBool,
    no_data: AtomicBool,
}

impl Wishes {
    pub(crate) fn is_paused(&self) -> bool {
        self.paused.load(Ordering::Relaxed)
    }

    pub(crate) fn wants(&self, kind: TrackKind) -> bool {
        !self.refusal(kind).load(Ordering::Relaxed)
    }

    fn refusal(&self, kind: TrackKind) -> &AtomicBool {
        match kind {
            TrackKind::Video => &self.no_video,
            TrackKind::Audio => &self.no_audio,
            TrackKind::Data => &self.no_data,
        }
    }
}

/// The tracks of a publish session at one moment.
#[derive(Debug, Clone)]
pub struct TracksSnapshot {
    /// By their ids; empty before the publisher has told any.
    pub tracks: Vec<Arc<Track>>,
    /// Another number when they have changed.
    pub version: u64,
}

/// An attached viewer. Dropping it finishes it with `client_disconnect`.
#[derive(Debug)]
pub struct Subscriber {
    entry: Arc<Entry>,
    viewer: ViewerId,
    wishes: Arc<Wishes>,
    ended: Arc<SetOnce<EndReason>>,
}

impl Subscriber {
    pub(crate) fn new(
        entry: Arc<Entry>,
        viewer: ViewerId,
        wishes: Arc<Wishes>,
        ended: Arc<SetOnce<EndReason>>,
    ) -> Self {
        Self { entry, viewer, wishes, ended }
    }

    /// The key, after all renames.
    #[must_use]
    pub fn key(&self) -> &StreamKey {
        &self.entry.key
    }

    /// The tracks that the stream has now.
    #[must_use]
    pub fn tracks(&self) -> TracksSnapshot {
        let facts = self.entry.status.facts();
        TracksSnapshot { tracks: facts.tracks.clone(), version: facts.tracks_version }
    }

    /// Waits until the stream's tracks are others than in this version. Cancel-safe.
    pub async fn tracks_changed(&self, version: u64) {
        loop {
            let mut changed = pin!(self.entry.status.tracks_changed.notified());
            changed.as_mut().enable();
            if self.entry.status.facts().tracks_version != version {
                return;
            }
            changed.await;
        }
    }

    /// Why it ended, if it has.
    #[must_use]
    pub fn ended_now(&self) -> Option<EndReason> {
        self.ended.get().copied()
    }

    /// Waits until the hub ends it (unpublish, slow_subscriber, kicked, shut down). Cancel-safe, and may
    /// be asked again.
    pub async fn ended(&self) -> EndReason {
        *self.ended.wait().await
    }

    /// Holds media back, or lets it go on. Takes effect with the next frame.
    pub fn pause(&self, paused: Paused) {
        self.wishes.paused.store(paused == Paused::Yes, Ordering::Relaxed);
    }

    /// Leaves a kind of media out, or takes it in again. Takes effect with the next frame.
    pub fn receive(&self, kind: TrackKind, wanted: Wanted) {
        self.wishes.refusal(kind).store(wanted == Wanted::No, Ordering::Relaxed);
    }

    /// Ends it; returns when `play_stop` was told, if `play_start` was. If the hub has ended it before,
    /// that reason stands.
    pub async fn finish(self, reason: EndReason) {
        let leaving = Leaving { viewer: self.viewer, reason };
        if self.ended.get().is_none() && self.entry.inbox.leave(leaving).is_ok() {
            self.ended().await;
        }
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        if self.ended.get().is_none() {
            let reason = EndReason::ClientDisconnect;
            // A closed inbox belongs to a stream that has ended, and with it this viewer.
            let _ended = self.entry.inbox.leave(Leaving { viewer: self.viewer, reason });
        }
    }
}
