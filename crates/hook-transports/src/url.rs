//! `url`: the event by HTTP POST, in the form of Standard Webhooks.
//!
//! The body is the envelope. For a notice any 2xx is success and the body is not looked at. For a question
//! the body of a 2xx is the answer (204 and empty: pass), 401 and 403 are a deny whose reason is in the
//! body if that is JSON and comes within a second; every other status is `handler_error`, redirects too: they are not followed. A
//! request may be sent twice if a kept connection turns out to be dead, so receivers go by `webhook-id`.

mod receive;
mod sign;

use crate::flights::Flights;
use crate::reply::{Watch, failure, timeout};
use crate::{ConfigError, Host};
use jackfield_dispatch::{BoxFuture, Call, Reply, Transport};
use jackfield_events::DeliveryFields;
use jackfield_hooks::{Mode, Outcome, Retry};
use jackfield_media::Mono;
use jackfield_net::outbound::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use jackfield_net::outbound::{
    Client, ClientConfig, Identity, Method, Reach, Request, SendError, Trust, Url,
};
use jackfield_runtime::clock;
pub use sign::{Secret, Signer};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A hook with `url`. `Debug` leaves out what may be a secret, so that no panic shows it: the URL, and the values of headers.
#[derive(Clone)]
pub struct UrlConfig {
    /// Where events are posted.
    pub url: String,
    /// Headers beyond ours, sent as they are.
    pub headers: Vec<(String, String)>,
    /// What signs; several while they are rotated; none: no signature.
    pub secrets: Vec<Secret>,
    /// PEM file of the authorities that are believed, instead of the system's.
    pub ca: Option<PathBuf>,
    /// PEM file of our certificate.
    pub cert: Option<PathBuf>,
    /// PEM file of its key.
    pub key: Option<PathBuf>,
    /// Whether `http://` may leave this machine.
    pub plain_http: PlainHttp,
    /// Where it may lead.
    pub reach: Reach,
}

impl UrlConfig {
    /// A hook with the defaults of the configuration.
    #[must_use]
    pub fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            headers: Vec::new(),
            secrets: Vec::new(),
            ca: None,
            cert: None,
            key: None,
            plain_http: PlainHttp::default(),
            reach: Reach::default(),
        }
    }
}

impl std::fmt::Debug for UrlConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { url: _, headers, secrets, ca, cert, key, plain_http, reach } = self;
        let headers: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("UrlConfig")
            .field("headers", &headers)
            .field("secrets", secrets)
            .field("ca", ca)
            .field("cert", cert)
            .field("key", key)
            .field("plain_http", plain_http)
            .field("reach", reach)
            .finish_non_exhaustive()
    }
}

/// Where `http://` without TLS may lead. Events and answers are not for others to read or change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PlainHttp {
    /// To this machine.
    #[default]
    Loopback,
    /// Anywhere (`plain_http`).
    Anywhere,
}

/// Why a URL cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// It is none, or not of HTTP.
    #[error("`{0}` is no URL that begins with http:// or https://")]
    Invalid(String),
    /// It leaves this machine unprotected.
    #[error("http:// to {0} would be readable on the way: use https://, or allow it with `plain_http`")]
    PlainHttp(String),
}

/// Whether events may be posted there.
///
/// # Errors
/// [`UrlError`].
pub fn check_url(text: &str, plain_http: PlainHttp) -> Result<Url, UrlError> {
    // The text may hold a password: only what comes before a place for one is shown.
    let invalid = || {
        let shown = text.split(['?', '@']).next().unwrap_or_default();
        UrlError::Invalid(if shown.len() < text.len() { format!("{shown}…") } else { shown.to_owned() })
    };
    let url = Url::parse(text).map_err(|_broken| invalid())?;
    let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(invalid)?;
    match (url.scheme(), plain_http) {
        ("https", _) | ("http", PlainHttp::Anywhere) => Ok(url),
        ("http", PlainHttp::Loopback) if is_loopback(host) => Ok(url),
        ("http", PlainHttp::Loopback) => Err(UrlError::PlainHttp(host.to_owned())),
        _ => Err(invalid()),
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    address.map_or_else(|_name| host == "localhost", |address| address.to_canonical().is_loopback())
}

/// Makes the transport. Its connections are its own, made when they are needed.
///
/// # Errors
/// [`ConfigError`] for a URL, header, secret or certificate that cannot be used.
pub fn url(config: UrlConfig, host: &Host) -> Result<Arc<dyn Transport>, ConfigError> {
    let url = check_url(&config.url, config.plain_http)?;
    config.reach.check(&url)?;
    let mut headers = HeaderMap::new();
    for (name, value) in &config.headers {
        let bad = || ConfigError::Header(name.clone());
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_bad| bad())?;
        headers.append(name, HeaderValue::from_str(value).map_err(|_bad| bad())?);
    }
    let identity = match (&config.cert, &config.key) {
        (Some(cert), Some(key)) => Some(Identity { certificates: read(cert)?, key: read(key)? }),
        (None, None) => None,
        _ => return Err(ConfigError::HalfIdentity),
    };
    let trust = config.ca.as_deref().map_or(Ok(Trust::System), |ca| read(ca).map(Trust::Only))?;
    let client = host.outbound.client(ClientConfig { trust, identity, reach: config.reach })?;
    let signer = Signer::new(&config.secrets)?;
    Ok(Arc::new(Webhook { url, headers, signer, client, flights: Arc::default() }))
}

fn read(path: &Path) -> Result<Vec<u8>, ConfigError> {
    std::fs::read(path).map_err(|source| ConfigError::File { path: path.to_owned(), source })
}

struct Webhook {
    url: Url,
    headers: HeaderMap,
    signer: Signer,
    client: Client,
    flights: Arc<Flights>,
}

impl Transport for Webhook {
    fn call(&self, call: Call) -> BoxFuture<'_, Reply> {
        Box::pin(async move {
            let _flight = self.flights.take_off();
            let mut watch = Watch::start();
            let attempt = self.attempt(&call, &mut watch);
            let result = tokio::select! {
                result = clock::until(call.deadline, attempt) => {
                    result.unwrap_or_else(|| Err(timeout(Retry::Scheduled)))
                }
                () = self.flights.must_end().cancelled() => {
                    Err(failure(Outcome::Cancelled, Retry::No, "the server stops or the hook is gone"))
                }
            };
            watch.reply(result, None)
        })
    }

    fn drain(&self, deadline: Mono) -> BoxFuture<'_, ()> {
        Box::pin(self.flights.drain(deadline))
    }
}

impl Webhook {
    async fn attempt(&self, call: &Call, watch: &mut Watch) -> crate::reply::Said {
        let place = clock::until(call.deadline, self.client.place()).await.ok_or_else(|| {
            failure(Outcome::Overload, Retry::Scheduled, "no room among the requests under way")
        })?;
        let response = self.client.send(place, self.request(call)).await.map_err(|error| not_sent(&error))?;
        watch.reached_after(response.connect());
        match call.mode {
            Mode::Notify => receive::of_notice(call, response).await,
            Mode::Decide => receive::of_question(call, response).await,
        }
    }

    fn request(&self, call: &Call) -> Request {
        let deadline_ms = u64::try_from((call.deadline - clock::now()).as_millis()).unwrap_or(u64::MAX);
        let delivery = DeliveryFields { hook: &call.hook, attempt: call.attempt, deadline_ms };
        let delivery = (call.mode == Mode::Decide).then_some(&delivery);
        let body = call.event.json_for(call.num_dropped, delivery);

        let mut request = Request::new(Method::POST, self.url.clone());
        let headers = request.headers_mut();
        headers.clone_from(&self.headers);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let id = call.event.stamp().id.to_string();
        self.signer.sign(headers, &id, clock::unix_now(), &body);
        if let Some(delivery) = delivery {
            insert(headers, "hook-name", delivery.hook);
            insert(headers, "hook-delivery", &call.delivery.to_string());
            insert(headers, "hook-attempt", &delivery.attempt.to_string());
            insert(headers, "hook-deadline-ms", &delivery.deadline_ms.to_string());
        }
        *request.body_mut() = Some(body.into());
        request
    }
}

/// Sets a header, unless HTTP cannot carry the value: it stands in the body too.
fn insert(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(HeaderName::from_static(name), value);
    }
}

fn not_sent(error: &SendError) -> jackfield_hooks::Failure {
    let outcome = match error {
        SendError::Connect(_) => Outcome::ConnectError,
        SendError::Transport(_) => Outcome::TransportError,
        SendError::TooLong { .. } => Outcome::ProtocolError,
    };
    failure(outcome, Retry::Scheduled, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_panic_may_show_of_it_has_no_secret() {
        let mut config = UrlConfig::new("https://u:hush@h/x?token=hush");
        config.headers = vec![("Authorization".to_owned(), "hush".to_owned())];
        let shown = format!("{config:?}");
        assert!(shown.contains("Authorization") && !shown.contains("hush"), "{shown}");
    }

    #[test]
    fn plain_http_stays_on_this_machine_unless_allowed() {
        let fine = |url: &str| assert!(check_url(url, PlainHttp::Loopback).is_ok(), "{url}");
        fine("https://chat.example/hook");
        fine("http://localhost:8080/x");
        fine("http://127.0.0.1:8080");
        fine("http://127.9.9.9/");
        fine("http://[::1]/");
        fine("http://[::ffff:127.0.0.1]/");
        let refused = |url: &str| {
            let error = check_url(url, PlainHttp::Loopback);
            assert!(matches!(error, Err(UrlError::PlainHttp(_))), "{url}: {error:?}");
            check_url(url, PlainHttp::Anywhere).unwrap();
        };
        refused("http://chat.example/hook");
        refused("http://localhost.example/");
        refused("http://10.0.0.1/");
        refused("http://[fe80::1]/");
    }

    #[test]
    fn what_is_no_url_of_http_is_refused_without_telling_its_secrets() {
        for (url, shown) in [
            ("chat.example/hook", "chat.example/hook"),
            ("ftp://u:p@h/", "ftp://u:p…"),
            ("http://", "http://"),
            ("gopher://h?token=x", "gopher://h…"),
            ("", ""),
        ] {
            assert_eq!(check_url(url, PlainHttp::Anywhere), Err(UrlError::Invalid(shown.to_owned())));
        }
    }
}
