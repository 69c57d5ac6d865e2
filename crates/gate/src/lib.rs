//! Where an answer becomes a right: questions go in, grants come out.
//!
//! [`Gate`] asks the hooks and mints the grants without which the hub registers nobody. It is asked in
//! the session's own task, so a slow hook holds up nobody else. The steps of a session are types, each
//! made only by the former one:
//!
//! ```text
//! publish: PublishAsk → (resolve_publish) → (hub look-up) → (authorize_publish) → PublishGrant
//! play:    PlayAsk → (resolve_play) → ResolvedPlay → (the service waits for the stream)
//!                                     → (authorize_play) → PlayGrant
//! ```
//!
//! ```
//! # use jackfield_bus::Bus;
//! # use jackfield_dispatch::{Dispatch, DispatchConfig};
//! # use jackfield_events::{EndReason, Masker, Protocol, PublishType};
//! # use jackfield_gate::{Gate, PublishAsk};
//! # use jackfield_hub::{Hub, HubConfig, Takeover};
//! # use jackfield_media::StreamKey;
//! # use jackfield_runtime::Tasks;
//! # use jackfield_sessions::{ConnectionLimits, Connections, Peer};
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! # let (bus, tasks) = (Bus::new("node", Masker::default()), Tasks::new());
//! # let dispatch = Dispatch::new(DispatchConfig::default(), Masker::default(), &tasks);
//! # let connections = Connections::new(bus.clone(), ConnectionLimits::default());
//! # let (client, server) = ("203.0.113.7:5000".parse().unwrap(), "198.51.100.1:1935".parse().unwrap());
//! # let connection = connections.open(Peer { client, server, protocol: Protocol::Rtmp }).unwrap();
//! let (hub, minter) = Hub::new(HubConfig::default(), bus.clone(), tasks);
//! let gate = Gate::new(dispatch, hub.clone(), minter, bus, Takeover::Stale);
//!
//! let ask = PublishAsk {
//!     key: StreamKey::parse("show").unwrap(),
//!     publish_type: PublishType::Live,
//!     tc_url: "rtmp://media.example/live".into(),
//!     page_url: "".into(),
//!     flash_ver: None,
//!     query: "token=abc".into(),
//! };
//! let grant = gate.publish(&connection, ask).await.expect("no hook says no");
//! let publisher = hub.publish(grant).await.expect("the key is free");
//! # publisher.finish(EndReason::Unpublish).await;
//! # });
//! ```
//!
//! What a hook renamed keeps its new name: the questions that follow, the start fact and all events have
//! it, and where a start fact would tell what the client said of the old one, it is cut or masked. What
//! got through because a hook failed is marked with the hook's name in the questions that follow on the
//! connection, and in the start fact (`failopen`).
//!
//! Clients whose questions are denied again and again wait before the next one is asked ([`Gate::slow_guessing`]), and none
//! has more than so many under way; each denial is told by `auth_failed`.
//!
//! A question that no hook wants costs one atomic load. What it does not do: it opens no source, it
//! writes to no socket, and it knows no protocol; a [`Refusal`] is said in the protocol's words by the
//! service.

mod ask;
mod caution;
mod guessing;
mod old_name;
mod places;
mod play;
mod publish;
mod refusal;
mod wish;

pub use ask::{ConnectionAsk, PlayAsk, PublishAsk};
pub use play::ResolvedPlay;
pub use refusal::{Refusal, RefusalKind};

use caution::Caution;
use jackfield_bus::Bus;
use jackfield_dispatch::Dispatch;
use jackfield_events::questions::AuthorizeConnection;
use jackfield_events::{DenialCause, Fact, Scope, Verdict};
use jackfield_hub::{Hub, Minter, Takeover};
use jackfield_media::{StreamKey, Text};
use jackfield_sessions::Connection;
use std::fmt;
use std::sync::Arc;

/// The gate. Clones are the same gate.
#[derive(Clone)]
pub struct Gate(Arc<Inner>);

struct Inner {
    dispatch: Dispatch,
    hub: Hub,
    minter: Minter,
    bus: Bus,
    takeover: Takeover,
    caution: Caution,
}

impl Gate {
    /// The gate of this hub. `minter` is the hub's only one; `takeover` says what becomes of a
    /// publisher whose key another one wants.
    #[must_use]
    pub fn new(dispatch: Dispatch, hub: Hub, minter: Minter, bus: Bus, takeover: Takeover) -> Self {
        let caution = Caution::default();
        Self(Arc::new(Inner { dispatch, hub, minter, bus, takeover, caution }))
    }

    /// Asks whether the connection may go on, before anything is served to it.
    ///
    /// # Errors
    /// [`Refusal`]. Cancel-safe: dropping the future takes the question back.
    pub async fn connection(&self, connection: &Connection, ask: ConnectionAsk) -> Result<(), Refusal> {
        let peer = connection.peer();
        let question = |_failopen| AuthorizeConnection {
            client_ip: peer.client.ip(),
            client_port: peer.client.port(),
            server_ip: peer.server.ip(),
            server_port: peer.server.port(),
            protocol: peer.protocol,
            app: ask.app.clone(),
            tc_url: ask.tc_url.clone(),
            page_url: ask.page_url.clone(),
            flash_ver: ask.flash_ver.clone(),
            query: ask.query.clone(),
        };
        if self.0.dispatch.wants(AuthorizeConnection::TYPE) {
            self.take_turn(connection, &ask.app).await?;
        }
        let mut failopen = Vec::new();
        let about = About { connection, prefix: &ask.app, scope: &connection.scope() };
        self.ask(about, question, &mut failopen).await?;
        connection.admit(failopen);
        Ok(())
    }

    /// Asks one question, if a hook wants it. `failopen` goes into it, and hooks that fail now and let it
    /// through are added. Returns the key that a hook put in place of the asked one.
    async fn ask<F: Fact>(
        &self,
        about: About<'_>,
        question: impl FnOnce(Vec<Text>) -> F,
        failopen: &mut Vec<Text>,
    ) -> Result<Option<StreamKey>, Refusal> {
        if !self.0.dispatch.wants(F::TYPE) {
            return Ok(None);
        }
        let _place = self.take_place(about).await?;
        let event = self.0.bus.question(about.scope, &question(failopen.clone()));
        match self.0.dispatch.ask(event).await {
            Verdict::Allow { key, failopen: failed, tags: _ } => {
                for hook in failed {
                    if !failopen.contains(&hook) {
                        failopen.push(hook);
                    }
                }
                Ok(key)
            }
            Verdict::Deny(denial) => {
                if denial.cause == DenialCause::Answer {
                    self.count_denial(about, F::TYPE, &denial);
                }
                Err(Refusal::denied(F::TYPE, &denial, self.0.bus.masker()))
            }
        }
    }
}

/// Whom and what a question is about.
#[derive(Clone, Copy)]
struct About<'a> {
    connection: &'a Connection,
    /// What guesses at the key have in common with it.
    prefix: &'a str,
    scope: &'a Scope,
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("takeover", &self.0.takeover).finish_non_exhaustive()
    }
}
