//! The far end of a webhook: a small HTTP/1.1 server that answers as a test wants, well or badly.
//!
//! It is written on sockets and threads because a library would not let it misbehave: stay silent, answer a byte at a
//! time, reset, send 64 MB.

mod wire;

use crate::journal::Journal;
use anyhow::{Context, Result};
use rustls::ServerConfig;
use serde_json::Value;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What is answered to a request.
#[derive(Debug, Clone)]
pub enum Reply {
    /// A status, headers besides `Content-Length`, and a body.
    Full {
        /// 200, 403 …
        status: u16,
        /// Names and values.
        headers: Vec<(String, String)>,
        /// Sent as it is.
        body: Vec<u8>,
    },
    /// The reply inside, after a while.
    After(Duration, Box<Self>),
    /// The reply inside, once the test opens the latch.
    When(Latch, Box<Self>),
    /// The reply inside, one byte at a time with a pause after each.
    Slowly(Duration, Box<Self>),
    /// Nothing, ever; the connection stays open.
    Silence,
    /// The connection is closed without an answer.
    Close,
    /// The connection is reset (RST) without an answer.
    Reset,
    /// These bytes, whatever they are, and the end of the connection.
    Raw(Vec<u8>),
    /// These bytes, and then nothing; the connection stays open.
    Stall(Vec<u8>),
    /// 200 and a body of so many spaces.
    Flood {
        /// Length of the body.
        bytes: u64,
    },
}

impl Reply {
    /// A status without a body.
    pub fn status(status: u16) -> Self {
        Self::Full { status, headers: vec![], body: vec![] }
    }

    /// A status with a body of JSON.
    pub fn json(status: u16, body: &Value) -> Self {
        let headers = vec![("Content-Type".to_owned(), "application/json".to_owned())];
        Self::Full { status, headers, body: body.to_string().into_bytes() }
    }

    /// A redirect.
    pub fn redirect(status: u16, to: &str) -> Self {
        Self::Full { status, headers: vec![("Location".to_owned(), to.to_owned())], body: vec![] }
    }
}

/// A request that came.
#[derive(Clone)]
pub struct Request {
    /// `POST`.
    pub method: String,
    /// With the query.
    pub path: String,
    /// Names in lower case, in the order in which they came.
    pub headers: Vec<(String, String)>,
    /// As it came.
    pub body: Vec<u8>,
    /// Number of the connection, from 1: the same for requests that shared one.
    pub connection: usize,
    /// When it was complete.
    pub at: Instant,
}

/// As a failed test shows it: what matters, as text.
impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let body = self.body.get(..2000).unwrap_or(&self.body);
        let (connection, body) = (self.connection, String::from_utf8_lossy(body));
        write!(f, "{} {} (connection {connection}): {body}", self.method, self.path)
    }
}

impl Request {
    /// The first header of this name, in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON; null if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The `type` of the event in the body.
    pub fn event(&self) -> Option<String> {
        Some(self.json().get("type")?.as_str()?.to_owned())
    }
}

/// Something that a test opens once; whoever waits at it goes on.
#[derive(Debug, Clone, Default)]
pub struct Latch(Arc<(Mutex<bool>, Condvar)>);

impl Latch {
    /// Opens it for good.
    pub fn open(&self) {
        let (open, changed) = &*self.0;
        *open.lock().unwrap_or_else(PoisonError::into_inner) = true;
        changed.notify_all();
    }

    /// Waits at most so long; true if it is open.
    fn wait(&self, within: Duration) -> bool {
        let (open, changed) = &*self.0;
        let guard = open.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = changed.wait_timeout_while(guard, within, |open| !*open);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

type Handler = dyn Fn(&Request) -> Reply + Send + Sync;

/// A receiver of webhooks on a free port of the loopback. It ends when this value goes.
#[derive(Debug)]
pub struct Receiver {
    address: SocketAddr,
    scheme: &'static str,
    requests: Journal<Request>,
    /// Opened when the receiver goes: replies that wait give up.
    gone: Latch,
}

impl Receiver {
    /// Starts one that answers each request by what `handler` returns.
    ///
    /// # Errors
    /// When no port is free.
    pub fn start(handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Result<Self> {
        Self::start_on("http", 0, None, Arc::new(handler))
    }

    /// The same on this port of the loopback.
    ///
    /// # Errors
    /// When the port is not free.
    pub fn start_at(port: u16, handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Result<Self> {
        Self::start_on("http", port, None, Arc::new(handler))
    }

    /// The same over TLS; [`crate::tls`] makes the configuration.
    ///
    /// # Errors
    /// When no port is free.
    pub fn start_tls(
        tls: Arc<ServerConfig>,
        handler: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> Result<Self> {
        Self::start_on("https", 0, Some(tls), Arc::new(handler))
    }

    fn start_on(
        scheme: &'static str,
        port: u16,
        tls: Option<Arc<ServerConfig>>,
        handler: Arc<Handler>,
    ) -> Result<Self> {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, port)).context("a port for the hook receiver")?;
        let address = listener.local_addr().context("the hook receiver's address")?;
        let (requests, gone) = (Journal::default(), Latch::default());
        let receiver = Self { address, scheme, requests: requests.clone(), gone: gone.clone() };
        std::thread::spawn(move || {
            for (at, socket) in listener.incoming().enumerate() {
                let connection = wire::Connection {
                    number: at + 1,
                    requests: requests.clone(),
                    handler: Arc::clone(&handler),
                    gone: gone.clone(),
                };
                if gone.wait(Duration::ZERO) {
                    return;
                }
                let tls = tls.clone();
                if let Ok(socket) = socket {
                    std::thread::spawn(move || connection.serve(socket, tls));
                }
            }
        });
        Ok(receiver)
    }

    /// A URL of it by address: `url("/hook")`.
    pub fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.address)
    }

    /// A URL of it by the name `localhost`.
    pub fn named_url(&self, path: &str) -> String {
        format!("{}://localhost:{}{path}", self.scheme, self.address.port())
    }

    /// The requests that came.
    pub fn requests(&self) -> &Journal<Request> {
        &self.requests
    }

    /// Waits for a request that `which` picks; one that is there already counts.
    ///
    /// # Errors
    /// When it has not come `within` that time.
    pub fn wait(&self, what: &str, within: Duration, which: impl Fn(&Request) -> bool) -> Result<Request> {
        self.requests.wait(what, within, |requests| requests.iter().find(|request| which(request)).cloned())
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.gone.open();
        // The listener looks up at the next connection: this one.
        drop(TcpStream::connect(self.address));
    }
}

/// A URL on the loopback that refuses connections.
///
/// # Errors
/// When no port is free.
pub fn refusing_url() -> Result<String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("a free port")?;
    Ok(format!("http://{}/hook", listener.local_addr().context("its address")?))
}

#[cfg(test)]
mod tests;
