//! Accepting, serving and ending connections.

use crate::client::{Client, Secure};
use crate::connection::{Serving, serve};
use crate::door::Door;
use crate::problem;
use axum::Router;
use axum::http::StatusCode;
use jackfield_media::Mono;
use jackfield_net::tls::ServerTls;
use jackfield_net::{Accepted, BindError, ConnectionLimits, ListenAddr, Listener};
use jackfield_runtime::Tasks;
use rustix::net::sockopt::set_tcp_user_timeout;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// What the listener needs to know.
#[derive(Debug, Clone)]
pub struct HttpConfig {
    /// What the log calls the listeners of clear text: `http` unless they serve something of their own.
    pub name: &'static str,
    /// Where to listen for clear text; nowhere when empty.
    pub listen: Vec<ListenAddr>,
    /// Where to listen for TLS, with HTTP/2 for clients that take it, and the settings of each listener.
    pub listen_tls: Vec<(ListenAddr, ServerTls)>,
    /// How long a client may take for the head of a request, and how long it may be silent between two; and how
    /// long for a TLS handshake.
    pub header_timeout: Duration,
    /// How long a client may take nothing of what it is sent.
    pub stall_timeout: Duration,
    /// Connections at once, and how fast new ones may come; what is over is closed unserved.
    pub limits: ConnectionLimits,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            name: "http",
            listen: Vec::new(),
            listen_tls: Vec::new(),
            header_timeout: Duration::from_secs(10),
            stall_timeout: Duration::from_secs(30),
            limits: ConnectionLimits { max_total: 4096, ..ConnectionLimits::default() },
        }
    }
}

/// The running listener.
#[derive(Debug)]
pub struct HttpServer {
    addrs: Vec<SocketAddr>,
    accepting: Tasks,
    serving: Tasks,
    /// Those of HTTP/2, of which a connection has several.
    requests: Tasks,
}

impl HttpServer {
    /// Binds every address and serves these routes. Call it within the runtime.
    ///
    /// # Errors
    /// [`BindError`]; then nothing listens.
    pub fn start(config: HttpConfig, routes: Router, tasks: &Tasks) -> Result<Self, BindError> {
        let listeners = bind_all(&config)?;
        let addrs = listeners.iter().map(|(listener, _)| listener.local_addr()).collect();
        let routes = routes.fallback(|| async { problem(StatusCode::NOT_FOUND, "There is nothing here.") });
        let door = Arc::new(Door::new(config.limits.clone()));
        let server = Self { addrs, accepting: tasks.part(), serving: tasks.part(), requests: tasks.part() };
        for (listener, tls) in listeners {
            listener.log_listening(if tls.is_some() { "https" } else { config.name });
            let serving = Serving {
                routes: routes.clone(),
                tls: tls.map(|tls| tls.config().into()),
                header_timeout: config.header_timeout,
                requests: server.requests.clone(),
            };
            let (door, connections) = (Arc::clone(&door), server.serving.clone());
            let (stopping, stall) = (server.accepting.stopping(), config.stall_timeout);
            server.accepting.spawn("http accept", async move {
                let accept = accept(&listener, stall, &serving, &door, &connections);
                stopping.run_until_cancelled(accept).await;
            });
        }
        Ok(server)
    }

    /// Where it listens, in the configured order, clear text first, with the ports that the kernel picked.
    #[must_use]
    pub fn addrs(&self) -> &[SocketAddr] {
        &self.addrs
    }

    /// Stops accepting, lets requests end that are being answered, and returns how many connections were
    /// still there at the deadline.
    pub async fn stop(self, deadline: Mono) -> usize {
        self.accepting.stop(deadline).await;
        let left = self.serving.stop(deadline).await;
        // Nobody waits for their answers any more.
        self.requests.stop(deadline).await;
        left
    }
}

/// The listeners of clear text, then those of TLS.
fn bind_all(config: &HttpConfig) -> Result<Vec<(Listener, Option<ServerTls>)>, BindError> {
    let plain = config.listen.iter().map(|addr| (*addr, None));
    let tls = config.listen_tls.iter().map(|(addr, tls)| (*addr, Some(tls.clone())));
    let bind = |(addr, tls): (ListenAddr, _)| Ok((Listener::bind(addr)?, tls));
    plain.chain(tls).map(bind).collect()
}

async fn accept(
    listener: &Listener,
    stall: Duration,
    serving: &Serving,
    door: &Arc<Door>,
    connections: &Tasks,
) {
    loop {
        let Accepted { stream, peer, .. } = listener.accept().await;
        let Some(inside) = door.enter(peer, connections.count()) else { continue };
        // Without it, a client that asks and never reads would be waited for without end. A socket that is gone already
        // needs no deadline.
        let stall_ms = u32::try_from(stall.as_millis()).unwrap_or(u32::MAX);
        set_tcp_user_timeout(&stream, stall_ms).unwrap_or_default();
        let (serving, stopping) = (serving.clone(), connections.stopping());
        let secure = if serving.tls.is_some() { Secure::Yes } else { Secure::No };
        connections.spawn("http connection", async move {
            let _inside = inside;
            let connection = Box::pin(serve(stream, Client { addr: peer, secure }, serving, stopping));
            if let Err(error) = connection.await {
                tracing::debug!(proto = "http", %peer, %error, "HTTP connection ended");
            }
        });
    }
}
