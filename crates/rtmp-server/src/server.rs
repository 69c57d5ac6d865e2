//! The service as the composition sees it.

use crate::accept;
use crate::config::RtmpConfig;
use crate::counters::{Counters, CountersSnapshot};
use crate::format::Packagers;
use jackfield_gate::Gate;
use jackfield_hub::Hub;
use jackfield_media::Mono;
use jackfield_net::tls::ServerTls;
use jackfield_net::{Accepted, BindError, ListenAddr, Listener};
use jackfield_runtime::{CancellationToken, Tasks};
use jackfield_sessions::Connections;
use std::net::SocketAddr;
use std::sync::Arc;

/// What the service works with.
#[derive(Debug, Clone)]
pub struct Deps {
    /// Who is asked.
    pub gate: Gate,
    /// Where media goes.
    pub hub: Hub,
    /// Where connections are listed, limited and kicked.
    pub connections: Connections,
    /// The group whose stop ends the service too.
    pub tasks: Tasks,
}

/// What all connections share.
pub(crate) struct Shared {
    pub(crate) config: RtmpConfig,
    pub(crate) deps: Deps,
    /// The service's own part of the tasks.
    pub(crate) tasks: Tasks,
    /// Until when new clients are taken in.
    pub(crate) closing: CancellationToken,
    pub(crate) packagers: Packagers,
    pub(crate) counters: Counters,
}

/// The RTMP service.
#[derive(Debug)]
pub struct RtmpServer;

impl RtmpServer {
    /// Binds all listeners and begins to accept.
    ///
    /// # Errors
    /// [`BindError`] of the first listener that cannot bind; none accepts then.
    pub fn start(config: RtmpConfig, deps: Deps) -> Result<Running, BindError> {
        let listeners = bind_all(&config)?;
        let packagers = Packagers::new(config.session.chunk_size);
        let tasks = deps.tasks.part();
        let closing = tasks.stopping().child_token();
        let shared =
            Arc::new(Shared { config, deps, tasks, closing, packagers, counters: Counters::default() });
        let addrs = listeners.iter().map(|(listener, _)| listener.local_addr()).collect();
        for (listener, tls) in listeners {
            listener.log_listening(if tls.is_some() { "rtmps" } else { "rtmp" });
            let accepting = accept::run(Arc::clone(&shared), listener, tls);
            drop(shared.tasks.spawn("rtmp-accept", accepting));
        }
        Ok(Running { shared, addrs })
    }
}

/// The listeners of clear text, then those of TLS.
fn bind_all(config: &RtmpConfig) -> Result<Vec<(Listener, Option<ServerTls>)>, BindError> {
    let plain = config.listen.iter().map(|addr| (*addr, None));
    let tls = config.listen_tls.iter().map(|(addr, tls)| (*addr, Some(tls.clone())));
    let bind = |(addr, tls): (ListenAddr, _)| Ok((Listener::bind(addr)?, tls));
    plain.chain(tls).map(bind).collect()
}

/// The running service. Dropping it lets it run on.
pub struct Running {
    shared: Arc<Shared>,
    addrs: Vec<SocketAddr>,
}

impl Running {
    /// The addresses that are bound, in the order of the configuration: clear text first, then TLS.
    #[must_use]
    pub fn addrs(&self) -> &[SocketAddr] {
        &self.addrs
    }

    /// Counters since the start.
    #[must_use]
    pub fn counters(&self) -> CountersSnapshot {
        self.shared.counters.snapshot()
    }

    /// Reads the counters, also once the service has stopped.
    pub fn counting(&self) -> impl Fn() -> CountersSnapshot + Send + Sync + 'static {
        let shared = Arc::clone(&self.shared);
        move || shared.counters.snapshot()
    }

    /// Serves a client in clear text whose socket was accepted elsewhere: by a supervisor, or by nobody, as in tests
    /// with a pair of sockets. Call it within the runtime.
    pub fn serve(&self, accepted: Accepted) {
        let serving = accept::serve(Arc::clone(&self.shared), accepted, None);
        drop(self.shared.tasks.spawn("rtmp-connection", serving));
    }

    /// Closes the listeners, so that nobody new can connect; whoever is there goes on.
    pub fn stop_accepting(&self) {
        self.shared.closing.cancel();
    }

    /// Stops accepting, says farewell to all clients, and returns when all connections are closed or the
    /// time is up; says how many tasks still run.
    pub async fn stop(&self, deadline: Mono) -> usize {
        self.shared.tasks.stop(deadline).await
    }
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running").field("addrs", &self.addrs).finish_non_exhaustive()
    }
}
