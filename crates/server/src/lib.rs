//! Configuration and composition: the only crate that knows all the others.
//!
//! [`Server::load`] reads flags, environment and file ([`config`]) and [`Server::run`] builds the parts, top-down,
//! once: helper process, bus, hooks, hub, gate, listeners. Then it waits for signals.
//!
//! Contract:
//! - Nothing starts with a wrong configuration, and everything that is wrong is told at once.
//! - Standard output belongs to events; the log goes to standard error.
//! - SIGTERM and SIGINT stop in order: no more connections, a farewell to publishers and players, the hooks of
//!   the stop events, then whatever programs are left. A second one ends at once. SIGHUP reads the configuration
//!   again and replaces the hooks and the certificates; a bad one keeps the old hooks and says so.
//!
//! | specification | version |
//! |---|---|
//! | TOML, the configuration file | 1.1 |
//!
//! What it does not do: parse the command line (that is `cli`), or anything of its own on the way of a packet.

mod api_hooks;
pub mod config;
mod control;
mod exposure;
mod folder;
mod hooks;
mod limits;
mod logging;
mod parts;
mod signals;
mod start;
mod tls;
mod visible;

pub use api_hooks::ApiHooksError;
pub use folder::FolderError;
pub use hooks::HookError;
pub use parts::Inside;
pub use start::{Server, StartError};
