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
//! A question that no hook wants costs one atomic load. What it does not do: it opens no source, it
//! writes to no socket, and it knows no protocol; a [`Refusal`] is said in the protocol's words by the
//! service.

mod ask;
mod play;
mod publish;
mod refusal;

pub use ask::{ConnectionAsk, PlayAsk, PublishAsk};
pub use play::ResolvedPlay;
pub use refusal::{Refusal, RefusalKind};

use jackfield_bus::Bus;
use jackfield_dispatch::Dispatch;
use jackfield_events::questions::AuthorizeConnection;
use jackfield_events::{Fact, Scope, Verdict};
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
}

/// What a question that was let through leaves for the next step.
struct Passed {
    key: Option<StreamKey>,
    failopen: Vec<Text>,
}

impl Gate {
    /// The gate of this hub. `minter` is the hub's only one; `takeover` says what becomes of a
    /// publisher whose key another one wants.
    #[must_use]
    pub fn new(dispatch: Dispatch, hub: Hub, minter: Minter, bus: Bus, takeover: Takeover) -> Self {
        Self(Arc::new(Inner { dispatch, hub, minter, bus, takeover }))
    }

    /// Asks whether the connection may go on, before anything is served to it.
    ///
    /// # Errors
    /// [`Refusal`]. Cancel-safe: dropping the future takes the question back.
    pub async fn connection(&self, connection: &Connection, ask: ConnectionAsk) -> Result<(), Refusal> {
        let peer = connection.peer();
        let question = || AuthorizeConnection {
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
        self.ask(&connection.scope(), question).await.map(drop)
    }

    /// Asks one question, if a hook wants it.
    async fn ask<F: Fact>(&self, scope: &Scope, question: impl FnOnce() -> F) -> Result<Passed, Refusal> {
        if !self.0.dispatch.wants(F::TYPE) {
            return Ok(Passed { key: None, failopen: Vec::new() });
        }
        let event = self.0.bus.question(scope, &question());
        match self.0.dispatch.ask(event).await {
            Verdict::Allow { key, failopen, tags: _ } => Ok(Passed { key, failopen }),
            Verdict::Deny(denial) => Err(Refusal::denied(F::TYPE, &denial)),
        }
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("takeover", &self.0.takeover).finish_non_exhaustive()
    }
}
