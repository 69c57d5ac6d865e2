//! What the API works with, and the state that its handlers share.

use crate::auth::Auth;
use crate::control::Control;
use crate::cors::Origins;
use crate::events::Pulse;
use crate::health::Health;
use crate::hooks::Tries;
use crate::metrics::Metrics;
use crate::openapi::{self, Operation};
use crate::shares::Shares;
use crate::tokens::TokenStore;
use jackfield_bus::Bus;
use jackfield_dispatch::Dispatch;
use jackfield_hub::Hub;
use jackfield_media::{Mono, Text, UnixTime};
use jackfield_runtime::{Tasks, clock};
use jackfield_sessions::{Connections, Origin};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Requests of known callers that are handled at once, streams of events aside: each may hold a body of a MiB.
const MAX_REQUESTS: usize = 128;
/// Logins at once, which anybody may begin and be slow about. They have places of their own, so that they keep nobody else out.
const MAX_LOGINS: usize = 32;
/// Those of one address, which must not keep all others from logging in.
const MAX_LOGINS_OF_ADDRESS: usize = 8;

/// What the API works with.
#[derive(Clone)]
pub struct ApiDeps {
    /// Streams.
    pub hub: Hub,
    /// Connections.
    pub connections: Connections,
    /// Hooks.
    pub dispatch: Dispatch,
    /// Facts.
    pub bus: Bus,
    /// The rest of the server.
    pub control: Arc<dyn Control>,
    /// Whether new work is taken.
    pub health: Health,
    /// Who may ask.
    pub tokens: TokenStore,
    /// What is counted, for `/metrics`.
    pub metrics: Metrics,
    /// The name of this server in events.
    pub node: Text,
    /// Where reading files and streams of events run.
    pub tasks: Tasks,
}

/// What the configuration says of the API.
#[derive(Debug, Clone, Default)]
pub struct ApiConfig {
    /// Pages of these origins may use the API from a browser.
    pub cors: Origins,
}

/// The state of all handlers. Clones are the same.
#[derive(Clone)]
pub(crate) struct Api(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) deps: ApiDeps,
    pub(crate) config: ApiConfig,
    pub(crate) auth: Auth,
    /// The OpenAPI document.
    pub(crate) document: serde_json::Value,
    /// The operations of the document, by method and path.
    pub(crate) operations: HashMap<(String, String), Operation>,
    pub(crate) started: (Mono, UnixTime),
    pub(crate) places: Semaphore,
    pub(crate) login_places: Shares<Origin>,
    /// Tries of hooks that are under way.
    pub(crate) tries: Tries,
    /// What happens, for all who follow.
    pub(crate) pulse: Pulse,
}

impl Api {
    pub(crate) fn new(deps: ApiDeps, config: ApiConfig, document: serde_json::Value) -> Self {
        let auth = Auth::new(deps.tokens.clone(), deps.tasks.clone());
        let started = (clock::now(), clock::unix_now());
        Self(Arc::new(Inner {
            deps,
            config,
            auth,
            operations: openapi::operations(&document),
            document,
            started,
            places: Semaphore::new(MAX_REQUESTS),
            login_places: Shares::new(MAX_LOGINS, MAX_LOGINS_OF_ADDRESS),
            tries: Tries::default(),
            pulse: Pulse::default(),
        }))
    }
}

impl std::ops::Deref for Api {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl fmt::Debug for ApiDeps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiDeps").finish_non_exhaustive()
    }
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api").finish_non_exhaustive()
    }
}
