//! What the API asks of the composition about hooks: which there are, and changes to those that the API makes.

use crate::control::Stopping;
use jackfield_hooks::Mode;
use serde_json::{Map, Value};

/// A hook as it is configured.
#[derive(Debug, Clone, PartialEq)]
pub struct ConfiguredHook {
    /// Its name.
    pub name: String,
    /// What its place among the events is kept by.
    pub id: String,
    /// The events that it wants.
    pub on: Vec<&'static str>,
    /// Globs of the streams that it is about; none for all.
    pub streams: Vec<String>,
    /// Whether it decides the questions among its events.
    pub mode: Mode,
    /// What it calls.
    pub handler: HandlerKind,
    /// Program and arguments, URL, or stream; its secrets masked.
    pub target: String,
    /// Where it comes from.
    pub origin: HookOrigin,
    /// Notices that may wait.
    pub queue: usize,
    /// Every key that it has, its secrets masked.
    pub settings: Map<String, Value>,
}

/// The kind of a handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HandlerKind {
    /// A program for each event.
    Run,
    /// A program that stays.
    Worker,
    /// A webhook.
    Url,
    /// Standard output or error.
    Stdio,
}

impl HandlerKind {
    /// The word in the API, which is the key in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Worker => "worker",
            Self::Url => "url",
            Self::Stdio => "stdio",
        }
    }
}

/// Where a hook comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HookOrigin {
    /// The configuration file.
    File,
    /// A flag.
    Flag,
    /// The API.
    Api,
}

impl HookOrigin {
    /// The word in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Flag => "flag",
            Self::Api => "api",
        }
    }
}

/// A change to the hooks that the API makes. A body has the keys of a `[[hook]]`, its name among them.
#[derive(Clone, PartialEq)]
pub enum HookChange {
    /// One more.
    Create(Map<String, Value>),
    /// Another one in the place of the one of its name.
    Replace(Map<String, Value>),
    /// It goes.
    Delete(String),
}

/// Secrets stand in the bodies.
impl std::fmt::Debug for HookChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Create(_) => "Create(…)",
            Self::Replace(_) => "Replace(…)",
            Self::Delete(_) => "Delete(…)",
        })
    }
}

/// Why a change was not made. The former hooks stay.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HookRefused {
    /// There is no such hook.
    #[error("there is no hook of this name")]
    NotThere,
    /// It is of the configuration file or of a flag.
    #[error("the hook is of the server's configuration, and is changed there")]
    NotOfApi,
    /// Another one has the name.
    #[error("there is a hook of this name already")]
    Exists,
    /// It would run a program.
    #[error("hooks made by the API run no programs without `[api] allow_programs = true`")]
    Program,
    /// There are enough.
    #[error("there are {0} hooks made by the API, and no more are made")]
    TooMany(usize),
    /// Something is wrong with it: the field, if one is to blame, and what.
    #[error("the hook is not valid")]
    Invalid(Vec<(Option<String>, String)>),
    /// It cannot be kept.
    #[error("the hook cannot be kept: {0}")]
    NotKept(String),
    /// The server ends.
    #[error(transparent)]
    Stopping(#[from] Stopping),
}
