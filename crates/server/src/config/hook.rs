//! A `[[hook]]` table, or a hook of flags, as a checked [`Hook`].

mod events;
mod read;

pub(super) use read::{is_read, read};

use super::kinds::{Secret, Url, Variable};
use super::table::Table;
use super::tables::{HookTable, StdinWord, StdioForm, StdioTarget};
use jackfield_events::{EventSet, OnError};
use jackfield_hook_transports::PlainHttp;
use jackfield_hooks::{Mode, Selector};
use jackfield_net::outbound::Reach;
use jackfield_process::User;
use std::num::NonZeroU64;
use std::path::PathBuf;

/// Notices that wait for a hook that is called, if it says nothing else.
pub const QUEUE: usize = 1000;

/// A checked hook.
#[derive(Debug, Clone)]
pub struct Hook {
    /// Unique among the hooks.
    pub name: String,
    /// The events that it wants.
    pub on: EventSet,
    /// Whether it decides the questions among them.
    pub mode: Mode,
    /// The streams that it is about.
    pub streams: Selector,
    /// What is called.
    pub handler: Handler,
    /// What a failure means, if the hook says so.
    pub on_error: Option<OnError>,
    /// Where it comes from.
    pub origin: HookOrigin,
    /// Every key as it was read.
    pub keys: HookTable,
}

impl Hook {
    /// What makes it this hook, whatever its name.
    #[must_use]
    pub fn id(&self) -> &str {
        self.keys.id.as_deref().unwrap_or(&self.name)
    }

    /// A number that stands for all that the configuration says of it, the same at each start. What is kept out of
    /// print-outs is kept out of it too, as it is written to disk.
    #[must_use]
    pub fn revision(&self) -> u64 {
        // FNV-1a: small, and what the standard library has may change from version to version.
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for (key, value) in self.keys.show() {
            for byte in key.name.bytes().chain([0]).chain(value.bytes()).chain([0]) {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
            }
        }
        hash
    }
}

/// Where a hook comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HookOrigin {
    /// A `[[hook]]`.
    File,
    /// `--hook-script` or `--hook-webhook`.
    Flag,
    /// The HTTP API.
    Api,
}

/// What a hook calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Handler {
    /// A program for each event.
    Run {
        /// Program and arguments, as they were given.
        argv: Vec<String>,
        /// Whether the event stands on its standard input.
        stdin: StdinWord,
        /// Where and as whom it runs.
        place: ProgramPlace,
    },
    /// Programs that stay.
    Worker {
        /// Program and arguments, as they were given.
        argv: Vec<String>,
        /// Where and as whom they run.
        place: ProgramPlace,
        /// How many there are.
        pool: PoolSize,
    },
    /// A webhook.
    Url(Webhook),
    /// Standard output or error.
    Stdio {
        /// Which.
        target: StdioTarget,
        /// In which form.
        form: StdioForm,
        /// Events that may wait, if it was said.
        queue: Option<usize>,
    },
}

/// How many processes a worker has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolSize {
    /// Always.
    pub min: usize,
    /// At most.
    pub max: usize,
    /// Requests that may wait for one.
    pub queue: usize,
    /// Requests after which a process is replaced.
    pub max_requests: Option<NonZeroU64>,
}

/// Where and as whom a program runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgramPlace {
    /// Its working directory.
    pub cwd: Cwd,
    /// Where its path starts: the folder of the file, or the working directory. Absolute.
    pub base: PathBuf,
    /// Its user.
    pub user: Option<User>,
    /// Variables that hold secrets of hooks: kept back unless `env` passes them on.
    pub kept_back: Vec<String>,
    /// Variables passed on and set.
    pub env: Vec<Variable>,
    /// Which environment it starts from.
    pub from: EnvironmentFrom,
}

/// What a program's environment starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EnvironmentFrom {
    /// The server's own, less what configures the server.
    Server,
    /// Nothing.
    Nothing,
}

/// A program's working directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cwd {
    /// The server's own.
    Server,
    /// A temporary one.
    Private,
    /// This one.
    Path(PathBuf),
}

/// What a webhook needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Where to post.
    pub url: Url,
    /// More headers.
    pub headers: Vec<(String, Secret)>,
    /// Keys of the signature.
    pub secrets: Vec<Secret>,
    /// PEM file of authorities.
    pub ca: Option<PathBuf>,
    /// PEM files of the client certificate and its key.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// Whether it may go unprotected beyond this machine.
    pub plain_http: PlainHttp,
    /// Where it may lead: anywhere, if the operator gave the URL.
    pub reach: Reach,
}
