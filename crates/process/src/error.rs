//! What can go wrong between asking for a program and its running.

use std::io;
use std::path::PathBuf;

/// The step at which the start of a program failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Making a process.
    Fork,
    /// Putting its descriptors in place.
    Descriptors,
    /// Making its process group.
    Group,
    /// Setting its resource limits.
    Limits,
    /// Finding its user or becoming that user.
    User,
    /// Tying its life to the helper's.
    Guard,
    /// Entering its working folder.
    Folder,
    /// Executing the file.
    Exec,
    /// Executing the interpreter that the file names.
    Interpreter,
}

impl Step {
    const ALL: [Self; 9] = [
        Self::Fork,
        Self::Descriptors,
        Self::Group,
        Self::Limits,
        Self::User,
        Self::Guard,
        Self::Folder,
        Self::Exec,
        Self::Interpreter,
    ];

    pub(crate) fn code(self) -> u8 {
        self as u8
    }

    pub(crate) fn of_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }
}

/// Why a program did not start.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// There is no such file, or the name is not in `PATH`.
    #[error("program not found: {}", .file.display())]
    NotFound {
        /// What was to be executed.
        file: PathBuf,
    },
    /// It is a folder, has no execute bit, or is no program of this machine.
    #[error("cannot execute {}: {source}", .file.display())]
    NotExecutable {
        /// What was to be executed.
        file: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file exists, but the interpreter in its first line (or its loader) does not.
    #[error("the interpreter that {} names does not exist", .file.display())]
    InterpreterNotFound {
        /// What was to be executed.
        file: PathBuf,
    },
    /// The working folder is missing or closed to the program's user.
    #[error("cannot work in folder {}: {source}", .cwd.display())]
    Folder {
        /// The folder.
        cwd: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The user is unknown, or the server may not become that user.
    #[error("cannot run as user {user}: {source}")]
    User {
        /// The name or number.
        user: String,
        /// What the system says.
        source: io::Error,
    },
    /// Another step failed, usually for want of memory, processes or descriptors.
    #[error("cannot start {}: {step:?}: {source}", .file.display())]
    Step {
        /// What was to be executed.
        file: PathBuf,
        /// The step.
        step: Step,
        /// What the system says.
        source: io::Error,
    },
    /// Arguments and environment together are too long.
    #[error("arguments and environment take {bytes} bytes, more than the {limit} that are allowed")]
    TooBig {
        /// What they take.
        bytes: usize,
        /// What is allowed.
        limit: usize,
    },
    /// There is no program in it.
    #[error("no program is named")]
    Empty,
    /// A NUL byte in an argument, variable or path, or a `=` in a variable's name: no program can be given that.
    #[error("{0:?} cannot be passed to a program")]
    Unpassable(String),
    /// The server has no descriptors left for the pipes.
    #[error("cannot make the program's pipes: {0}")]
    Pipes(#[source] io::Error),
    /// Earlier starts of the same file in the same folder have not come to an end: it lies on a disk that does not answer.
    #[error("earlier starts of {} hang; does its disk answer?", .file.display())]
    Hangs {
        /// What was to be executed.
        file: PathBuf,
    },
    /// The program has started, but its pipes cannot be watched: it is killed.
    #[error("cannot watch the program's pipes: {0}")]
    Unwatched(#[source] io::Error),
    /// The helper process ended meanwhile; whether the program has run is not known.
    #[error("the process helper ended during the start")]
    HelperDied,
    /// The helper process has ended and another is not up yet.
    #[error("the process helper is not running; it is being restarted")]
    HelperGone,
    /// The launcher has been stopped.
    #[error("the server no longer starts programs")]
    Stopped,
}

impl SpawnError {
    /// Whether the same call may succeed a moment later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::HelperGone | Self::Pipes(_) | Self::Hangs { .. } => true,
            Self::Step { step, source, .. } => {
                *step == Step::Fork || source.kind() == io::ErrorKind::ExecutableFileBusy
            }
            _ => false,
        }
    }
}

/// Why the launcher could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The socket to the helper could not be made.
    #[error("cannot make the socket to the process helper: {0}")]
    Socket(#[source] io::Error),
    /// The helper could not be executed.
    #[error("cannot start the process helper {}: {source}", .file.display())]
    Exec {
        /// The file.
        file: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It started but did not say that it is ready: its `main` does not begin with
    /// [`run_helper_if_asked`](crate::run_helper_if_asked), or it failed at its own set-up (its stderr says).
    #[error("the process helper did not become ready")]
    NotReady,
}
