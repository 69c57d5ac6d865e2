//! The server's life: load, start, run until a signal, stop.

use crate::api_hooks::ApiHooksError;
use crate::config::{self, Config, Flags, Problems};
use crate::control::Request;
use crate::folder::FolderError;
use crate::hooks::HookError;
use crate::logging;
use crate::parts::{Inside, Parts};
use crate::signals::{Signal, Signals};
use jackfield_api::tokens::TokenError;
use jackfield_bus::OutboxError;
use jackfield_dispatch::KeepError;
use jackfield_journal::JournalError;
use jackfield_net::BindError;
use jackfield_net::tls::{CertificateError, TlsError};
use jackfield_process::StartError as HelperError;
use jackfield_runtime::{Tasks, clock};
use std::time::Duration;
use tokio::runtime::Handle;

/// How long the reader of the log is given for the last lines.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// A server with a checked configuration, not yet started.
#[derive(Debug)]
pub struct Server {
    flags: Flags,
    config: Config,
}

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The runtime could not be built, or signals not be waited for.
    #[error("cannot start the runtime: {0}")]
    Runtime(#[from] std::io::Error),
    /// The helper that starts programs.
    #[error("cannot start the helper process: {0}")]
    Helper(#[from] HelperError),
    /// The data folder.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The log of events in it.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
    /// What hooks have done with.
    #[error(transparent)]
    Keep(#[from] KeepError),
    /// The tokens of the API.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// What is kept of deliveries in it.
    #[error("cannot keep deliveries: {0}")]
    Deliveries(#[source] JournalError),
    /// A hook's handler.
    #[error(transparent)]
    Hook(#[from] HookError),
    /// The hooks that the API has made.
    #[error(transparent)]
    ApiHooks(#[from] ApiHooksError),
    /// A certificate.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The settings of a TLS listener.
    #[error("cannot serve TLS: {0}")]
    Tls(#[from] TlsError),
    /// A listener.
    #[error(transparent)]
    Bind(#[from] BindError),
}

/// What the running server is to do.
enum Woken {
    Signal(Signal),
    Request(Request),
}

impl Server {
    /// Reads flags, environment and file.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn load(flags: Flags) -> Result<Self, Problems> {
        let config = Config::load(&flags, config::environment())?;
        Ok(Self { flags, config })
    }

    /// Runs until a signal stops it.
    ///
    /// # Errors
    /// [`StartError`]; then nothing runs any more.
    pub fn run(self) -> Result<(), StartError> {
        self.run_with(drop)
    }

    /// The same; once the server is up, `up` is called within its runtime with what stands inside.
    ///
    /// # Errors
    /// [`StartError`]; then nothing runs any more.
    pub fn run_with(self, up: impl FnOnce(Inside)) -> Result<(), StartError> {
        let (lines, waiting) = logging::start(&self.config.server);
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        // Threads of their own for notices: at 55,000 a second the media of 200 viewers waited up to 96 ms (p99) for its
        // turn behind them, on one core.
        let notices =
            tokio::runtime::Builder::new_multi_thread().thread_name("notices").enable_all().build()?;
        let result = runtime.block_on(async {
            let log = Tasks::new();
            drop(log.spawn("log", waiting.write(log.clone())));
            let result = Box::pin(self.serve(notices.handle(), up)).await;
            lines.flush(clock::now().after(LAST_WORDS)).await;
            result
        });
        // What still runs is given up: a second signal, or a reader that never reads.
        notices.shutdown_background();
        runtime.shutdown_background();
        result
    }

    async fn serve(self, notices: &Handle, up: impl FnOnce(Inside)) -> Result<(), StartError> {
        let mut signals = Signals::new()?;
        let mut parts = Parts::start(&self.config, notices).await?;
        tracing::info!(version = env!("CARGO_PKG_VERSION"), "Jackfield is up");
        up(parts.inside());
        loop {
            let woken = tokio::select! {
                biased;
                signal = signals.next() => Woken::Signal(signal),
                request = parts.request() => Woken::Request(request),
            };
            match woken {
                Woken::Signal(Signal::Stop) => break,
                // The log says what is wrong.
                Woken::Signal(Signal::Reload) => drop(parts.reload(&self.flags)),
                Woken::Request(request) => parts.answer(request, &self.flags),
            }
        }
        tokio::select! {
            () = parts.stop(self.config.server.drain_timeout) => tracing::info!("Jackfield has stopped"),
            () = signals.second() => tracing::warn!("Ended at once by a second signal"),
        }
        Ok(())
    }
}
