//! The handlers of hooks: programs, long-lived workers, webhooks and standard output.
//!
//! Each constructor takes a plain configuration and gives the engine one way to make calls
//! ([`jackfield_dispatch::Transport`]); what it can know to be wrong it says at once ([`ConfigError`]).
//!
//! # Contract
//! - A call ends in one reply, by its deadline: an answer, or a [`jackfield_hooks::Failure`] that names the
//!   outcome. (A notice's program that has to be ended is waited for, at most 2.4 s more.)
//! - Whatever a handler does, it takes bounded memory and disturbs no other call: answers and lines end at
//!   64 KiB, log lines at 8 KiB and at a rate for each hook.
//! - Dropping a call's future ends what it started: its program with its group, its connection, its place at
//!   a worker.
//!
//! | | specification |
//! |---|---|
//! | exit codes 75 and 77 | `EX_TEMPFAIL` and `EX_NOPERM` of sysexits(3) |
//! | `webhook-…` headers and signature | Standard Webhooks 1.0.0 |
//! | HTTP | RFC 9110, `Retry-After` in both its forms |
//! | worker protocol | [`worker::line`], version 1 |
//!
//! It chooses no hooks, orders and retries nothing, and knows no TOML.

mod answer;
mod environment;
mod error;
mod flights;
mod folder;
mod output;
mod pipes;
mod program;
mod reply;
mod run;
mod stdio;
mod url;
pub mod worker;

pub use environment::{EnvEntry, EnvError, Inherit};
pub use error::ConfigError;
pub use folder::Cwd;
pub use program::{Beside, ProgramConfig, ProgramError, words};
pub use run::{DenialLine, ENDING_OF_A_PROGRAM, RunConfig, StdinOf, run};
pub use stdio::{Stdio, StdioConfig, StdioFormat, StdioTarget, stdio};
pub use url::{PlainHttp, Secret, Signer, UrlConfig, UrlError, check_url, url};
pub use worker::{WorkerConfig, worker};

use jackfield_events::Masker;
use jackfield_net::outbound::Outbound;
use jackfield_process::Launcher;
use jackfield_runtime::Tasks;

/// What all handlers share.
#[derive(Debug, Clone)]
pub struct Host {
    /// Starts programs.
    pub launcher: Launcher,
    /// Sends requests.
    pub outbound: Outbound,
    /// Holds their tasks. They end with what they attend: with the end of the programs, not when the group
    /// is told to stop.
    pub tasks: Tasks,
    /// Masks secrets in what programs print of questions, which have them whole.
    pub masker: Masker,
}
