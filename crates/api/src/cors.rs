//! Pages of other origins that may use the API from a browser (the Fetch standard, §3.3). None, unless the configuration says so.
//!
//! They use a token, never the cookie of a session: answers to them carry no `Access-Control-Allow-Credentials`.

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::str::FromStr;

/// How long a browser may keep the answer to its question whether it may ask, in seconds.
const MAX_AGE: u16 = 600;
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, DELETE");
const HEADERS: HeaderValue = HeaderValue::from_static("authorization, content-type, last-event-id");
const EXPOSED: HeaderValue = HeaderValue::from_static("retry-after");

/// Origins that are allowed, as browsers write them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origins(Vec<HeaderValue>);

/// The text is no origin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no origin: write it like `https://console.example` or `http://localhost:3000`")]
pub struct BadOrigin(String);

impl Origins {
    /// These origins, each `scheme://host` or `scheme://host:port` without anything behind.
    ///
    /// # Errors
    /// [`BadOrigin`] for the first that is none.
    pub fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, BadOrigin> {
        let parse = |text: &str| {
            let origin: Origin = text.parse()?;
            HeaderValue::from_str(&origin.0).map_err(|_bad| BadOrigin(text.to_owned()))
        };
        texts.into_iter().map(parse).collect::<Result<_, _>>().map(Self)
    }

    /// The origins, as browsers write them.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|origin| origin.to_str().ok())
    }

    /// The origin of this request, if it is allowed.
    fn allowed(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let origin = headers.get(header::ORIGIN)?;
        self.0.contains(origin).then(|| origin.clone())
    }

    /// The answer to a browser that asks whether a page may ask.
    pub(crate) fn preflight(&self, method: &Method, headers: &HeaderMap) -> Option<Response> {
        let asks = method == Method::OPTIONS && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        let origin = self.allowed(headers).filter(|_| asks)?;
        let mut response = StatusCode::NO_CONTENT.into_response();
        let answer = response.headers_mut();
        answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        answer.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
        answer.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HEADERS);
        answer.insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE.into());
        answer.insert(header::VARY, VARY);
        Some(response)
    }

    /// The headers that an answer to this request needs.
    pub(crate) fn headers(&self, request: &HeaderMap) -> Vec<(HeaderName, HeaderValue)> {
        if self.0.is_empty() {
            return Vec::new();
        }
        let mut headers = vec![(header::VARY, VARY)];
        if let Some(origin) = self.allowed(request) {
            headers.push((header::ACCESS_CONTROL_ALLOW_ORIGIN, origin));
            headers.push((header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED));
        }
        headers
    }
}

const VARY: HeaderValue = HeaderValue::from_static("origin");

/// One origin, in the form that browsers send (RFC 6454 §6.2): lower case, without the scheme's own port.
#[derive(Debug)]
struct Origin(String);

impl FromStr for Origin {
    type Err = BadOrigin;

    fn from_str(text: &str) -> Result<Self, BadOrigin> {
        let bad = || BadOrigin(text.to_owned());
        let lower = text.to_ascii_lowercase();
        let (scheme, rest) = lower.split_once("://").ok_or_else(bad)?;
        let standard_port = match scheme {
            "http" => "80",
            "https" => "443",
            _ => return Err(bad()),
        };
        let bracket = rest.rfind(']').unwrap_or_default();
        let colon = rest.rfind(':').filter(|at| *at >= bracket);
        let (host, port) = rest.split_at(colon.unwrap_or(rest.len()));
        let port = port.strip_prefix(':');
        let name = |c: char| c.is_ascii_alphanumeric() || ".-_[]:".contains(c);
        let good_host = !host.is_empty() && host.chars().all(name);
        let good_port = port.is_none_or(|port| port.parse::<u16>().is_ok() && !port.starts_with('+'));
        if !good_host || !good_port {
            return Err(bad());
        }
        Ok(Self(match port.filter(|port| *port != standard_port) {
            Some(port) => format!("{scheme}://{host}:{port}"),
            None => format!("{scheme}://{host}"),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origins(texts: &[&str]) -> Result<Origins, BadOrigin> {
        Origins::parse(texts.iter().copied())
    }

    #[test]
    fn an_origin_is_written_as_browsers_send_it() {
        let check = |text: &str, expect: &str| {
            assert_eq!(origins(&[text]).unwrap().texts().collect::<Vec<_>>(), [expect])
        };
        check("https://Console.Example", "https://console.example");
        check("https://a.example:443", "https://a.example");
        check("http://localhost:3000", "http://localhost:3000");
        check("http://[::1]:80", "http://[::1]");
        check("http://[::1]", "http://[::1]");
        for bad in [
            "*",
            "null",
            "",
            "a.example",
            "ftp://a",
            "https://",
            "https://a/",
            "https://a/b",
            "https://a:x",
            "https://a:99999",
            "https://a b",
            "https://u@a",
            "https://a\n",
        ] {
            assert!(origins(&[bad]).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn only_allowed_origins_are_answered() {
        let ours = origins(&["https://a.example"]).unwrap();
        let asking = |origin: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ORIGIN, HeaderValue::from_static(origin));
            headers.insert(header::ACCESS_CONTROL_REQUEST_METHOD, HeaderValue::from_static("GET"));
            headers
        };
        let good = asking("https://a.example");
        assert!(ours.preflight(&Method::OPTIONS, &good).is_some() && ours.headers(&good).len() == 3);
        assert!(ours.preflight(&Method::GET, &good).is_none());
        let other = asking("https://a.example.evil");
        assert!(ours.preflight(&Method::OPTIONS, &other).is_none() && ours.headers(&other).len() == 1);
        let none = Origins::default();
        assert!(none.preflight(&Method::OPTIONS, &good).is_none() && none.headers(&good).is_empty());
    }
}
