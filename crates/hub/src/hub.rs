//! The hub as services see it.

use crate::config::HubConfig;
use crate::grant::{Minter, PlayGrant, PublishGrant};
use crate::inbox::Command;
use crate::outlet::Outlet;
use crate::publisher::Publisher;
use crate::registry::{Entry, Registry};
use crate::stage::Stages;
use crate::status::{Presence, StreamCounters, StreamSnapshot, Use};
use crate::stream;
use crate::subscriber::{Subscriber, ViewerId};
use jackfield_bus::{Bus, Epochs};
use jackfield_events::EndReason;
use jackfield_media::{ConnId, Mono, SessionId, StreamKey};
use jackfield_runtime::{Tasks, clock};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use tokio::sync::oneshot;

/// All streams of this node. Clones are the same hub.
#[derive(Clone)]
pub struct Hub(pub(crate) Arc<Inner>);

/// What streams share.
pub(crate) struct Inner {
    pub(crate) config: HubConfig,
    pub(crate) bus: Bus,
    pub(crate) registry: Registry,
    tasks: Tasks,
    stages: OnceLock<Arc<dyn Stages>>,
    viewers: AtomicU64,
}

/// The publisher cannot be registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Busy {
    /// The key has a publisher, and the grant's [`crate::Takeover`] lets it stay.
    #[error("the stream has a publisher")]
    Publisher,
    /// The hub stops.
    #[error("the server stops")]
    Stopping,
}

/// There is no such stream, publisher or player now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no such stream")]
pub struct NotFound;

impl Hub {
    /// A hub without streams, and the only thing that can make grants for it.
    #[must_use]
    pub fn new(config: HubConfig, bus: Bus, tasks: Tasks) -> (Self, Minter) {
        Self::with_epochs(config, bus, tasks, Epochs::default())
    }

    /// The same, but that publish sessions are numbered on from these epochs.
    #[must_use]
    pub fn with_epochs(config: HubConfig, bus: Bus, tasks: Tasks, epochs: Epochs) -> (Self, Minter) {
        let inner = Inner {
            config,
            bus,
            registry: Registry::new(epochs),
            tasks,
            stages: OnceLock::new(),
            viewers: AtomicU64::new(0),
        };
        (Self(Arc::new(inner)), Minter::new())
    }

    /// Puts packet stages into every stream that begins from now on. The first call counts.
    pub fn set_stages(&self, stages: Arc<dyn Stages>) {
        // A second set of stages would have to be merged with the first, which nobody asks for.
        let _second = self.0.stages.set(stages);
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &HubConfig {
        &self.0.config
    }

    /// Whether the key can be played now.
    #[must_use]
    pub fn presence(&self, key: &StreamKey) -> Presence {
        let entry = self.0.registry.find(key);
        entry.map_or(Presence::Absent, |entry| entry.status.presence(clock::now()))
    }

    /// Waits until the key can be played; `false` when it cannot by then, or the hub stops. Creates
    /// nothing. Cancel-safe.
    pub async fn wait_live(&self, key: &StreamKey, until: Mono) -> bool {
        clock::until(until, self.0.registry.wait_live(key)).await.unwrap_or(false)
    }

    /// Registers a publisher. Whether it replaces another one is decided here once more. When this
    /// returns, `publish_start` was told. Cancel-safe: a publisher that was registered in vain leaves
    /// with `client_disconnect`.
    ///
    /// # Errors
    /// [`Busy`]; nothing was told.
    pub async fn publish(&self, grant: PublishGrant) -> Result<Publisher, Busy> {
        let (reply, answer) = oneshot::channel();
        let key = grant.parts.key.clone();
        let command = Command::Publish { grant: Box::new(grant.parts), reply };
        let begin = |entry: Arc<Entry>| {
            let stream = stream::Stream::new(Arc::clone(&self.0), entry, self.0.stages.get().map(Arc::clone));
            let run = stream.run(self.0.tasks.stopping());
            // The stream outlives the session that began it, so it must not carry the session's span; to enter
            // none would leave that one in place.
            let span = tracing::info_span!(parent: None, "stream", stream = %key);
            span.in_scope(|| drop(self.0.tasks.spawn("stream", run)));
        };
        self.0.registry.create(&key, command, begin).map_err(|_stopping| Busy::Stopping)?;
        answer.await.unwrap_or(Err(Busy::Stopping))
    }

    /// Attaches a viewer. It gets the cached group of pictures at once, or starts with the next key
    /// frame. Cancel-safe: a viewer that was attached in vain leaves with `client_disconnect`.
    ///
    /// # Errors
    /// [`NotFound`] if the key has no publisher and waits for none to return. The outlet is dropped.
    pub async fn play(&self, grant: PlayGrant, outlet: Box<dyn Outlet>) -> Result<Subscriber, NotFound> {
        let entry = self.0.registry.find(&grant.parts.key).ok_or(NotFound)?;
        let (reply, answer) = oneshot::channel();
        let command = Command::Play { grant: Box::new(grant.parts), outlet, reply };
        entry.inbox.command(command).map_err(|_closed| NotFound)?;
        answer.await.unwrap_or(Err(NotFound))
    }

    /// Ends the publish session of a key; returns when `publish_stop` was told.
    ///
    /// # Errors
    /// [`NotFound`] if the key has no publisher.
    pub async fn kick_publisher(&self, key: &StreamKey, reason: EndReason) -> Result<(), NotFound> {
        self.kick(key, |reply| Command::KickPublisher { reason, reply }).await
    }

    /// Ends a play session; returns when `play_stop` was told, if `play_start` was.
    ///
    /// # Errors
    /// [`NotFound`] if the stream has no such player.
    pub async fn kick_player(
        &self,
        key: &StreamKey,
        session: SessionId,
        reason: EndReason,
    ) -> Result<(), NotFound> {
        self.kick(key, |reply| Command::KickPlayer { session, reason, reply }).await
    }

    async fn kick(
        &self,
        key: &StreamKey,
        command: impl FnOnce(oneshot::Sender<Result<(), NotFound>>) -> Command,
    ) -> Result<(), NotFound> {
        let entry = self.0.registry.find(key).ok_or(NotFound)?;
        let (reply, answer) = oneshot::channel();
        entry.inbox.command(command(reply)).map_err(|_closed| NotFound)?;
        answer.await.unwrap_or(Err(NotFound))
    }

    /// All streams, by key.
    #[must_use]
    pub fn streams(&self) -> Vec<StreamSnapshot> {
        let now = clock::now();
        let all = self.0.registry.all();
        let mut streams: Vec<_> =
            all.iter().filter_map(|entry| entry.status.snapshot(&entry.key, now)).collect();
        streams.sort_by(|a, b| a.key.cmp(&b.key));
        streams
    }

    /// One stream, if somebody publishes it, or did just now.
    #[must_use]
    pub fn stream(&self, key: &StreamKey) -> Option<StreamSnapshot> {
        let entry = self.0.registry.find(key)?;
        entry.status.snapshot(&entry.key, clock::now())
    }

    /// Which connections publish and play which streams, in no order.
    #[must_use]
    pub fn uses(&self) -> Vec<(ConnId, StreamKey, Use)> {
        let all = self.0.registry.all();
        let of = |entry: &Arc<Entry>| {
            let key = entry.key.clone();
            entry.status.uses().into_iter().map(move |(conn, used)| (conn, key.clone(), used))
        };
        all.iter().flat_map(of).collect()
    }

    /// What all streams together have counted since the server started, those that have ended included.
    #[must_use]
    pub fn totals(&self) -> StreamCounters {
        self.0.registry.totals()
    }

    /// Ends all publishers and players and takes in nobody any more; returns when all stop events were
    /// told.
    pub async fn stop(&self, reason: EndReason) {
        self.0.registry.stop(reason);
        self.0.registry.empty().await;
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").finish_non_exhaustive()
    }
}

impl Inner {
    pub(crate) fn next_viewer(&self) -> ViewerId {
        ViewerId(self.viewers.fetch_add(1, Ordering::Relaxed))
    }
}
