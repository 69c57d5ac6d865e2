//! Accepting, serving and ending connections.

use crate::problem;
use axum::Router;
use axum::http::StatusCode;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use jackfield_media::Mono;
use jackfield_net::{Accepted, BindError, ListenAddr, Listener, Seldom};
use jackfield_runtime::{Tasks, clock};
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

/// Bytes of a request's head. A larger one is refused: each connection may hold that much.
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// What the listener needs to know.
#[derive(Debug, Clone)]
pub struct HttpConfig {
    /// Where to listen; nowhere when empty.
    pub listen: Vec<ListenAddr>,
    /// How long a client may take for the head of a request, and how long it may be silent between two.
    pub header_timeout: Duration,
    /// Connections at once; one more is closed unserved.
    pub max_connections: usize,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self { listen: Vec::new(), header_timeout: Duration::from_secs(10), max_connections: 4096 }
    }
}

/// The running listener.
#[derive(Debug)]
pub struct HttpServer {
    addrs: Vec<SocketAddr>,
    accepting: Tasks,
    serving: Tasks,
}

impl HttpServer {
    /// Binds every address and serves these routes. Call it within the runtime.
    ///
    /// # Errors
    /// [`BindError`]; then nothing listens.
    pub fn start(config: HttpConfig, routes: Router, tasks: &Tasks) -> Result<Self, BindError> {
        let listeners: Vec<Listener> =
            config.listen.iter().map(|addr| Listener::bind(*addr)).collect::<Result<_, _>>()?;
        let addrs = listeners.iter().map(Listener::local_addr).collect();
        let routes = routes.fallback(|| async { problem(StatusCode::NOT_FOUND, "There is nothing here.") });
        let server = Self { addrs, accepting: tasks.part(), serving: tasks.part() };
        for listener in listeners {
            listener.log_listening("http");
            let (config, routes, serving) = (config.clone(), routes.clone(), server.serving.clone());
            let stopping = server.accepting.stopping();
            server.accepting.spawn("http accept", async move {
                let accept = accept(&listener, &config, &routes, &serving);
                stopping.run_until_cancelled(accept).await;
            });
        }
        Ok(server)
    }

    /// Where it listens, in the configured order, with the ports that the kernel picked.
    #[must_use]
    pub fn addrs(&self) -> &[SocketAddr] {
        &self.addrs
    }

    /// Stops accepting, lets requests end that are being answered, and returns how many connections were
    /// still there at the deadline.
    pub async fn stop(self, deadline: Mono) -> usize {
        self.accepting.stop(deadline).await;
        self.serving.stop(deadline).await
    }
}

async fn accept(listener: &Listener, config: &HttpConfig, routes: &Router, serving: &Tasks) {
    static FULL: Seldom = Seldom::new();
    loop {
        let accepted = listener.accept().await;
        if serving.count() >= config.max_connections {
            if let Some(times) = FULL.now(clock::now()) {
                tracing::warn!(proto = "http", peer = %accepted.peer, times, "Too many connections");
            }
            continue;
        }
        let (routes, stopping) = (routes.clone(), serving.stopping());
        let header_timeout = config.header_timeout;
        serving.spawn("http connection", async move {
            let peer = accepted.peer;
            let connection = pin!(serve(accepted, routes, header_timeout, stopping.cancelled()));
            if let Err(error) = connection.await {
                tracing::debug!(proto = "http", %peer, %error, "HTTP connection ended");
            }
        });
    }
}

/// Serves one connection; ends it after the answer that is under way once `stop` is there.
async fn serve(
    accepted: Accepted,
    routes: Router,
    header_timeout: Duration,
    stop: impl Future<Output = ()>,
) -> Result<(), hyper::Error> {
    let service = TowerToHyperService::new(routes);
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(header_timeout)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(accepted.stream), service);
    let mut connection = pin!(connection);
    tokio::select! {
        result = connection.as_mut() => result,
        () = stop => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    }
}
