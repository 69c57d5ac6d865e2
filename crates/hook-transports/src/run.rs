//! `run`: one program for one event.
//!
//! A task owns each program from its start until all that holds its outputs is gone, so that a call that
//! nobody waits for any more, or whose deadline is over, still ends its program in good order: SIGTERM to
//! its group, SIGKILL 2 s later. What a finished program left in the background lives on and goes on being
//! read.

mod attempt;

pub use attempt::ENDING_OF_A_PROGRAM;
mod judge;

use crate::flights::Flights;
use crate::output::OutputLog;
use crate::program::{Prepared, ProgramConfig};
use crate::reply::{Watch, failure};
use crate::{ConfigError, Host, PlainHttp, UrlConfig};
use attempt::Attempt;
use jackfield_dispatch::{BoxFuture, Call, Reply, Transport};
use jackfield_hooks::{Outcome, Retry};
use jackfield_media::Mono;
use std::sync::Arc;
use tokio::sync::{Semaphore, oneshot};

/// The built-in command that posts the event to a URL and answers what that answers.
const HTTP_REQUEST: &str = "http-request";

/// A hook with `run`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunConfig {
    /// What is started. The words `http-request URL` are built in.
    pub program: ProgramConfig,
    /// What it reads.
    pub stdin: StdinOf,
    /// What the first line of standard error is when the program denies with exit code 77.
    pub denial: DenialLine,
    /// Programs that may be there at once, at least 1: those at work, and those whose call is over and that are being ended.
    /// A call over it waits for a place, and ends as `overload` at its deadline.
    pub max_programs: usize,
    /// For `http-request`: whether it may go unprotected beyond this machine.
    pub plain_http: PlainHttp,
}

impl RunConfig {
    /// A hook with the defaults of the configuration.
    #[must_use]
    pub fn new(program: ProgramConfig) -> Self {
        Self {
            program,
            stdin: StdinOf::default(),
            denial: DenialLine::default(),
            max_programs: 40,
            plain_http: PlainHttp::default(),
        }
    }
}

/// What a program reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StdinOf {
    /// The event as one line of JSON, then the end.
    #[default]
    Event,
    /// The null device.
    None,
}

/// What the first line of standard error of a denial is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DenialLine {
    /// `reason.text`: for the operator.
    #[default]
    Text,
    /// `reason.public`: for the client too. Hooks of flags have no other way to say it.
    Public,
}

/// Makes the transport. It starts its programs one for each call, and never more than calls are made.
///
/// # Errors
/// [`ConfigError`] if the program cannot be started as things are, or the URL of `http-request` cannot be
/// used.
pub fn run(config: RunConfig, host: &Host) -> Result<Arc<dyn Transport>, ConfigError> {
    if let [command, rest @ ..] = config.program.words.as_slice()
        && command == HTTP_REQUEST
    {
        let [url] = rest else { return Err(ConfigError::HttpRequest) };
        let config = UrlConfig { plain_http: config.plain_http, ..UrlConfig::new(url) };
        return crate::url(config, host);
    }
    let shared = Shared {
        program: Prepared::new(&config.program)?,
        log: OutputLog::new(config.program.hook.clone()),
        stdin: config.stdin,
        denial: config.denial,
        places: Arc::new(Semaphore::new(config.max_programs.clamp(1, Semaphore::MAX_PERMITS))),
        host: host.clone(),
        flights: Arc::default(),
    };
    Ok(Arc::new(Run(Arc::new(shared))))
}

/// What the programs of one hook share.
struct Shared {
    program: Prepared,
    log: Arc<OutputLog>,
    stdin: StdinOf,
    denial: DenialLine,
    /// One for each program until it has ended. Clients that ask and leave at once would otherwise pile up the programs of
    /// their questions for as long as those take to end.
    places: Arc<Semaphore>,
    host: Host,
    flights: Arc<Flights>,
}

struct Run(Arc<Shared>);

impl Transport for Run {
    fn call(&self, call: Call) -> BoxFuture<'_, Reply> {
        Box::pin(async move {
            let watch = Watch::start();
            let (reply, replied) = oneshot::channel();
            let attempt = Attempt::new(Arc::clone(&self.0), call, watch, reply);
            self.0.host.tasks.spawn("hook.run", attempt.attend());
            // Without a reply the task panicked.
            let lost =
                |_gone| watch.reply(Err(failure(Outcome::Crashed, Retry::No, "the call was lost")), None);
            replied.await.unwrap_or_else(lost)
        })
    }

    fn drain(&self, deadline: Mono) -> BoxFuture<'_, ()> {
        Box::pin(self.0.flights.drain(deadline))
    }
}
