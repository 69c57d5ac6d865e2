//! A publisher's end of its stream.

use crate::inbox::FromPublisher;
use crate::registry::Entry;
use jackfield_events::EndReason;
use jackfield_media::{Epoch, Frame, Mono, StreamKey, Track};
use jackfield_runtime::clock;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::SetOnce;

/// A registered publisher. Dropping it finishes it with `client_disconnect`.
#[derive(Debug)]
pub struct Publisher {
    entry: Arc<Entry>,
    epoch: Epoch,
    ended: Arc<SetOnce<EndReason>>,
}

impl Publisher {
    pub(crate) fn new(entry: Arc<Entry>, epoch: Epoch, ended: Arc<SetOnce<EndReason>>) -> Self {
        Self { entry, epoch, ended }
    }

    /// The key, after all renames.
    #[must_use]
    pub fn key(&self) -> &StreamKey {
        &self.entry.key
    }

    /// The number of this publish session.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Hands in frames in the order in which they came. Waits only if the stream's own task lags.
    /// Cancel-safe: a cancelled call handed in nothing.
    ///
    /// # Errors
    /// Why the session has ended, if it has: the frames are left out.
    pub async fn send(&self, frames: Vec<Frame>) -> Result<(), EndReason> {
        self.still_on()?;
        if frames.is_empty() {
            return Ok(());
        }
        self.entry.status.heard(clock::now());
        self.push(FromPublisher::Frames(self.epoch, frames)).await
    }

    /// Tells a new or changed codec configuration, before the frames that need it. An unchanged one
    /// costs nothing. Cancel-safe.
    ///
    /// # Errors
    /// As [`Publisher::send`].
    pub async fn track(&self, track: Track) -> Result<(), EndReason> {
        self.push(FromPublisher::Track(self.epoch, Box::new(track))).await
    }

    async fn push(&self, item: FromPublisher) -> Result<(), EndReason> {
        self.still_on()?;
        match self.entry.inbox.media(item).await {
            Ok(()) => Ok(()),
            Err(_closed) => Err(self.ended.get().copied().unwrap_or(EndReason::Kicked)),
        }
    }

    fn still_on(&self) -> Result<(), EndReason> {
        self.ended.get().map_or(Ok(()), |reason| Err(*reason))
    }

    /// How long the stream has had no viewer, and its publisher need not hurry; zero while it has some.
    #[must_use]
    pub fn unwatched_for(&self, now: Mono) -> Duration {
        self.entry.status.unwatched_for(now)
    }

    /// Why it ended, if it has.
    #[must_use]
    pub fn ended_now(&self) -> Option<EndReason> {
        self.ended.get().copied()
    }

    /// Waits until the hub ends the session (superseded, kicked, shut down). Cancel-safe, and may be
    /// asked again.
    pub async fn ended(&self) -> EndReason {
        *self.ended.wait().await
    }

    /// Ends the session after all frames that were handed in; returns when `publish_stop` was told. If
    /// the hub has ended it before, that reason stands.
    pub async fn finish(self, reason: EndReason) {
        if self.ended.get().is_none() && self.entry.inbox.finish(self.epoch, reason).is_ok() {
            self.ended().await;
        }
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        if self.ended.get().is_none() {
            // A closed inbox belongs to a stream that has ended, and with it this session.
            let _ended = self.entry.inbox.finish(self.epoch, EndReason::ClientDisconnect);
        }
    }
}
