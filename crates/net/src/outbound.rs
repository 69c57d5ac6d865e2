//! The outbound HTTP client: kept connections, verified TLS, no redirects, no proxy, a bound for all of them.
//!
//! One [`Outbound`] per server holds what its clients share: how many requests may be under way at once and
//! the system's trusted roots. Each hook makes a [`Client`] of its own, because trust and identity are per
//! hook.
//!
//! Where a client may go is its [`Reach`]: anywhere for URLs of the operator, else to public addresses and to what the
//! operator allows. Addresses come from one place, the resolver in `resolve`, and what must not be dialled is refused
//! there, so that the checked address is the dialled one; a literal address in a URL is checked before it is sent to.
//!
//! Connections: HTTP/1.1, `TCP_NODELAY`, kept for 60 s, at most 16 idle ones per client and host. A request
//! whose *kept* connection turns out to be dead is sent once more on a new one; a receiver can therefore
//! see it twice and must go by its id. A request on a new connection is sent once.

mod dial;
mod guard;
mod resolve;
mod tls;

use bytes::{Bytes, BytesMut};
use dial::Dial;
pub use guard::{OutOfReach, Reach};
use jackfield_runtime::clock;
pub use reqwest::header;
pub use reqwest::{Method, Request, StatusCode, Url};
use rustls::RootCertStore;
use std::error::Error;
use std::fmt;
use std::fmt::Write as _;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
pub use tls::{Identity, Trust};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A host that does not answer a connection attempt must not hold a place for the whole of a long deadline.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Long enough for the next question, shorter than most receivers keep a silent connection.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
const MAX_IDLE_PER_HOST: usize = 16;

/// What all clients share. Clones are the same.
#[derive(Clone)]
pub struct Outbound {
    places: Arc<Semaphore>,
    user_agent: Arc<str>,
    system_roots: Arc<OnceLock<Arc<RootCertStore>>>,
}

/// How a client trusts and is trusted.
#[derive(Default)]
pub struct ClientConfig {
    /// Whose certificates are believed.
    pub trust: Trust,
    /// Our certificate, for receivers that ask for one.
    pub identity: Option<Identity>,
    /// Where its requests may go.
    pub reach: Reach,
}

/// Why a client could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The text has no certificate, or a broken one.
    #[error("no certificate that can be read")]
    Certificate,
    /// The text has no private key, or a broken one.
    #[error("no private key that can be read")]
    Key,
    /// The certificate and the key do not fit, or are of a kind that is not supported.
    #[error("certificate and key cannot be used: {0}")]
    Identity(#[source] rustls::Error),
    /// The client itself could not be built.
    #[error("cannot build the HTTP client: {0}")]
    Build(#[source] reqwest::Error),
}

/// Why a request was not answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// No connection: name resolution, out of reach, refused, unreachable, TLS, not established within 5 s.
    #[error("{0}")]
    Connect(String),
    /// The connection broke, or what came over it was no HTTP.
    #[error("{0}")]
    Transport(String),
    /// The body is longer than the caller takes.
    #[error("the answer is longer than {limit} bytes")]
    TooLong {
        /// What the caller takes.
        limit: usize,
    },
}

impl Outbound {
    /// A client family with room for this many requests at once; `user_agent` is sent with each.
    #[must_use]
    pub fn new(max_requests: usize, user_agent: &str) -> Self {
        Self {
            places: Arc::new(Semaphore::new(max_requests.clamp(1, Semaphore::MAX_PERMITS))),
            user_agent: user_agent.into(),
            system_roots: Arc::default(),
        }
    }

    /// A client with connections of its own.
    ///
    /// # Errors
    /// [`ClientError`] if a certificate or key cannot be used.
    pub fn client(&self, config: ClientConfig) -> Result<Client, ClientError> {
        let ClientConfig { trust, identity, reach } = config;
        let reach = Arc::new(reach);
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls::config(trust, identity, &self.system_roots)?)
            .user_agent(&*self.user_agent)
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .no_proxy()
            .retry(reqwest::retry::never())
            .http1_only()
            .tcp_nodelay(true)
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(MAX_IDLE_PER_HOST)
            .dns_resolver(resolve::Resolver(Arc::clone(&reach)))
            .connector_layer(dial::Timed)
            .build()
            .map_err(ClientError::Build)?;
        Ok(Client { http, places: Arc::clone(&self.places), reach })
    }
}

impl fmt::Debug for Outbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbound")
            .field("free_places", &self.places.available_permits())
            .finish_non_exhaustive()
    }
}

/// Sends requests. Clones share their connections.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    places: Arc<Semaphore>,
    reach: Arc<Reach>,
}

/// The right to have one request under way.
#[derive(Debug)]
pub struct Place(#[expect(dead_code, reason = "held for its drop")] OwnedSemaphorePermit);

impl Client {
    /// Waits for a place among all requests under way. Cancel-safe.
    pub async fn place(&self) -> Place {
        let permit = Arc::clone(&self.places).acquire_owned().await;
        Place(permit.expect("invariant: this semaphore is never closed"))
    }

    /// Sends the request and returns when the head of the answer is there. It has no deadline of its own:
    /// dropping the future closes the connection.
    ///
    /// # Errors
    /// [`SendError::Connect`] and [`SendError::Transport`].
    pub async fn send(&self, place: Place, request: Request) -> Result<Response, SendError> {
        self.reach.check(request.url()).map_err(|refused| SendError::Connect(refused.to_string()))?;
        let again = request.try_clone();
        let dial = Dial::default();
        let mut answer = dial.time(self.http.execute(request)).await;
        if let (Err(error), Some(again), false) = (&answer, again, dial.happened()) {
            tracing::debug!(error = %told(error), "Kept connection was dead, sending once more");
            answer = dial.time(self.http.execute(again)).await;
        }
        match answer {
            Ok(response) => {
                Ok(Response { response, connect: dial.took(), arrived: clock::now(), _place: place })
            }
            Err(error) => Err(SendError::of(&error)),
        }
    }
}

/// The head of an answer, and its body still on the way.
#[derive(Debug)]
pub struct Response {
    response: reqwest::Response,
    connect: Duration,
    arrived: jackfield_media::Mono,
    _place: Place,
}

impl Response {
    /// The status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// The value of a header, if it is there and is text.
    #[must_use]
    pub fn header(&self, name: header::HeaderName) -> Option<&str> {
        self.response.headers().get(name)?.to_str().ok()
    }

    /// How long making the connection took; zero if one was there.
    #[must_use]
    pub fn connect(&self) -> Duration {
        self.connect
    }

    /// When the head was there.
    #[must_use]
    pub fn arrived(&self) -> jackfield_media::Mono {
        self.arrived
    }

    /// The next piece of the body as it comes, of any size; `None` at its end. For bodies without end; it has no
    /// deadline of its own. Cancel-safe.
    ///
    /// # Errors
    /// [`SendError::Transport`] if the connection breaks.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, SendError> {
        self.response.chunk().await.map_err(|error| SendError::of(&error))
    }

    /// The whole body. A connection whose body was read whole is kept.
    ///
    /// # Errors
    /// [`SendError::TooLong`] as soon as it is known to be longer than `limit`; [`SendError::Transport`] if
    /// the connection breaks.
    pub async fn body(mut self, limit: usize) -> Result<Bytes, SendError> {
        let declared = self.response.content_length().unwrap_or_default();
        if declared > u64::try_from(limit).unwrap_or(u64::MAX) {
            return Err(SendError::TooLong { limit });
        }
        let mut body = BytesMut::new();
        while let Some(chunk) = self.chunk().await? {
            if body.len().saturating_add(chunk.len()) > limit {
                return Err(SendError::TooLong { limit });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    }
}

impl SendError {
    fn of(error: &reqwest::Error) -> Self {
        if error.is_connect() { Self::Connect(told(error)) } else { Self::Transport(told(error)) }
    }
}

/// What went wrong, from the cause that the system names, without the URL: it may hold a secret.
fn told(error: &reqwest::Error) -> String {
    let mut text = String::new();
    let mut cause = error.source();
    while let Some(error) = cause {
        // Wrappers repeat the words of what they wrap.
        let said = error.to_string();
        if !text.contains(&said) {
            let gap = if text.is_empty() { "" } else { ": " };
            let _infallible = write!(text, "{gap}{said}");
        }
        cause = error.source();
    }
    if text.is_empty() { "the request failed".to_owned() } else { text }
}

#[cfg(test)]
mod tests;
