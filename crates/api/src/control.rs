//! What only the composition can do for us. It is implemented in `server`, whose one loop owns the parts of the running server:
//! each method sends it a request and waits for the reply.

use crate::hooks::{ConfiguredHook, HookChange, HookRefused};
use serde_json::Value;
use std::pin::Pin;

/// A future on the heap.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The server behind the API.
pub trait Control: Send + Sync + 'static {
    /// Reads the configuration again and puts hooks and certificates in force, as SIGHUP does.
    ///
    /// # Errors
    /// [`ReloadError`]: the former ones stay.
    fn reload(&self) -> BoxFuture<'_, Result<Reloaded, ReloadError>>;

    /// Takes in nobody any more, and goes on serving those who are there.
    ///
    /// # Errors
    /// [`Stopping`].
    fn drain(&self) -> BoxFuture<'_, Result<Draining, Stopping>>;

    /// The configuration in force, its secrets masked.
    ///
    /// # Errors
    /// [`Stopping`].
    fn configuration(&self) -> BoxFuture<'_, Result<Configuration, Stopping>>;

    /// The hooks that are in force, in the order of chains.
    ///
    /// # Errors
    /// [`Stopping`].
    fn hooks(&self) -> BoxFuture<'_, Result<Vec<ConfiguredHook>, Stopping>>;

    /// Makes, replaces or deletes a hook of the API, in force and on disk.
    ///
    /// # Errors
    /// [`HookRefused`]: the former ones stay.
    fn change_hook(&self, change: HookChange) -> BoxFuture<'_, Result<(), HookRefused>>;
}

/// The server stops, and hears nothing else any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the server stops")]
pub struct Stopping;

/// What a reload has put in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reloaded {
    /// How many hooks there are.
    pub hooks: usize,
    /// What is odd, or needs a restart; without the text of the file, which may hold secrets.
    pub warnings: Vec<String>,
}

/// Why a reload has changed nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReloadError {
    /// The configuration is not valid.
    #[error("the configuration is not valid")]
    Refused {
        /// Everything that is wrong, without the text of the file.
        problems: Vec<String>,
    },
    /// The server stops.
    #[error(transparent)]
    Stopping(#[from] Stopping),
}

/// Who is still served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Draining {
    /// Media connections that are open.
    pub connections: usize,
}

/// The configuration in force, twice.
#[derive(Debug, Clone, PartialEq)]
pub struct Configuration {
    /// Its tables.
    pub tables: Value,
    /// The same as a file.
    pub toml: String,
}
