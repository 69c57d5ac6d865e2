//! The URL of a stream: `rtmp://user:password@host:port/app/instance/name?query`.

use crate::url::{NameError, check_text, percent_decode, split_query};
use std::fmt;

/// Whether TLS lies under RTMP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `rtmp`, port 1935.
    Rtmp,
    /// `rtmps`, port 443.
    Rtmps,
}

impl Scheme {
    /// `rtmp` or `rtmps`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rtmp => "rtmp",
            Self::Rtmps => "rtmps",
        }
    }

    /// The port of a URL that tells none.
    #[must_use]
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Rtmp => 1935,
            Self::Rtmps => 443,
        }
    }
}

/// Who logs in.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user's name.
    pub user: String,
    /// The password; it is never shown.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

/// Why a text is no URL of a stream.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Neither `rtmp` nor `rtmps`.
    #[error("it does not begin with rtmp:// or rtmps://")]
    Scheme,
    /// There is no host, or it has characters that no host has.
    #[error("it names no host")]
    Host,
    /// The port is not 1 to 65535.
    #[error("its port is not a number between 1 and 65535")]
    Port,
    /// Too long, a control character or a malformed escape.
    #[error(transparent)]
    Text(#[from] NameError),
}

/// Where a stream is. The path's last part is the stream's name, what is before it the app. A query belongs
/// to the name, or to the app if no name is told. Shown without password.
#[derive(Clone, PartialEq, Eq)]
pub struct RtmpUrl {
    scheme: Scheme,
    /// Without brackets.
    host: String,
    port: Option<u16>,
    credentials: Option<Credentials>,
    app: String,
    name: String,
}

impl RtmpUrl {
    /// Reads a URL.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        check_text(text)?;
        let (scheme, rest) = text.split_once("://").ok_or(UrlError::Scheme)?;
        let scheme =
            [Scheme::Rtmp, Scheme::Rtmps].into_iter().find(|s| s.as_str().eq_ignore_ascii_case(scheme));
        let scheme = scheme.ok_or(UrlError::Scheme)?;
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let (login, place) = match authority.rsplit_once('@') {
            Some((login, place)) => (Some(login), place),
            None => (None, authority),
        };
        let (host, port) = host_and_port(place)?;
        let (app, name) = app_and_name(path);
        Ok(Self { scheme, host, port, credentials: login.map(credentials).transpose()?, app, name })
    }

    /// With or without TLS.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The host: a name or an address, without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, told or by the scheme.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(self.scheme.default_port())
    }

    /// Who logs in.
    #[must_use]
    pub fn credentials(&self) -> Option<&Credentials> {
        self.credentials.as_ref()
    }

    /// The app as `connect` has it, with its query if it has one; escapes stay.
    #[must_use]
    pub fn app(&self) -> &str {
        &self.app
    }

    /// The name as `publish` and `play` have it, with its query; escapes stay. Empty if none is told.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `connect`'s `tcUrl`: all but login and name.
    #[must_use]
    pub fn tc_url(&self) -> String {
        let colons = self.host.contains(':');
        let (open, close) = if colons { ("[", "]") } else { ("", "") };
        let mut url = format!("{}://{open}{}{close}", self.scheme.as_str(), self.host);
        if let Some(port) = self.port.filter(|port| *port != self.scheme.default_port()) {
            url.push_str(&format!(":{port}"));
        }
        url.push('/');
        url.push_str(&self.app);
        url
    }

    /// The URL with `***` in the place of the stream's name, which is often the key to publish: for what is printed and kept.
    /// What comes after a question mark is left out, as in `Display`.
    #[must_use]
    pub fn without_name(&self) -> String {
        format!("{}/***", split_query(&self.tc_url()).0)
    }

    /// This stream at the place that a server sends us to by the `tcUrl` of a redirect or a request to
    /// reconnect (RFC 3986 §4.2: it may be relative). The name and the login stay; a place that ends with the
    /// name, as some servers write it, means the same.
    ///
    /// # Errors
    /// The place is no URL.
    pub fn moved(&self, place: &str) -> Result<Self, UrlError> {
        check_text(place)?;
        let scheme = self.scheme.as_str();
        let whole = if place.contains("://") {
            place.to_owned()
        } else if place.starts_with("//") {
            format!("{scheme}:{place}")
        } else {
            let tc_url = self.tc_url();
            let root = tc_url.strip_suffix(&format!("/{}", self.app)).unwrap_or(&tc_url);
            let folder = split_query(&self.app).0.rsplit_once('/').map_or("", |(folder, _)| folder);
            match place.strip_prefix('/') {
                Some(absolute) => format!("{root}/{absolute}"),
                None if place.is_empty() => tc_url,
                None if folder.is_empty() => format!("{root}/{place}"),
                None => format!("{root}/{folder}/{place}"),
            }
        };
        let mut url = Self::parse(&whole)?;
        // All of the path is an app, unless it ends with the name.
        let plain_name = split_query(&self.name).0;
        let plain_found = split_query(&url.name).0;
        if !plain_found.is_empty() && plain_found != plain_name {
            url.app = if url.app.is_empty() { url.name.clone() } else { format!("{}/{}", url.app, url.name) };
        }
        url.name.clone_from(&self.name);
        // Another host does not learn the password, nor does whoever listens on the way.
        let exposed = self.scheme == Scheme::Rtmps && url.scheme == Scheme::Rtmp;
        if url.credentials.is_none() && url.host == self.host && !exposed {
            url.credentials.clone_from(&self.credentials);
        }
        Ok(url)
    }

    /// The app with more in its query.
    pub(super) fn app_with(&self, query: &str) -> String {
        with_query(&self.app, query)
    }

    /// `tcUrl` with more in its query.
    pub(super) fn tc_url_with(&self, query: &str) -> String {
        with_query(&self.tc_url(), query)
    }
}

fn with_query(text: &str, query: &str) -> String {
    let sign = if text.contains('?') { '&' } else { '?' };
    if query.is_empty() { text.to_owned() } else { format!("{text}{sign}{query}") }
}

impl fmt::Display for RtmpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Queries hold keys and tokens as often as passwords.
        let tc_url = self.tc_url();
        f.write_str(split_query(&tc_url).0)?;
        let name = split_query(&self.name).0;
        if name.is_empty() { Ok(()) } else { write!(f, "/{name}") }
    }
}

impl fmt::Debug for RtmpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RtmpUrl({self})")
    }
}

fn host_and_port(place: &str) -> Result<(String, Option<u16>), UrlError> {
    let (host, port) = match place.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, after)) => {
            address.parse::<std::net::Ipv6Addr>().map_err(|_text| UrlError::Host)?;
            match after.strip_prefix(':') {
                Some(port) => (address, Some(port)),
                None if after.is_empty() => (address, None),
                None => return Err(UrlError::Host),
            }
        }
        None => match place.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (place, None),
        },
    };
    let fits = |c: char| c.is_alphanumeric() || "-._:%".contains(c);
    if host.is_empty() || !host.chars().all(fits) {
        return Err(UrlError::Host);
    }
    let port = match port {
        None | Some("") => None,
        Some(port) => Some(port.parse().ok().filter(|port| *port != 0).ok_or(UrlError::Port)?),
    };
    Ok((host.to_owned(), port))
}

fn credentials(login: &str) -> Result<Credentials, UrlError> {
    let (user, password) = login.split_once(':').unwrap_or((login, ""));
    Ok(Credentials { user: percent_decode(user)?, password: percent_decode(password)? })
}

/// Divides `/app/instance/name?query`.
fn app_and_name(path: &str) -> (String, String) {
    let (plain, query) = split_query(path);
    let plain = plain.strip_prefix('/').unwrap_or(plain);
    let (app, name) = plain.rsplit_once('/').unwrap_or((plain, ""));
    let with_query = |text: &str| if query.is_empty() { text.to_owned() } else { format!("{text}?{query}") };
    if name.is_empty() { (with_query(app), String::new()) } else { (app.to_owned(), with_query(name)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> RtmpUrl {
        RtmpUrl::parse(text).unwrap()
    }

    #[test]
    fn a_url_is_divided_into_app_and_name() {
        for (text, tc_url, app, name) in [
            ("rtmp://h/live/show", "rtmp://h/live", "live", "show"),
            ("RTMP://h:1936/a/b/c?k=v/w", "rtmp://h:1936/a/b", "a/b", "c?k=v/w"),
            ("rtmps://u:p@h:443/live/show", "rtmps://h/live", "live", "show"),
            ("rtmp://[::1]:1935/live/show", "rtmp://[::1]/live", "live", "show"),
            ("rtmp://h/live?token=t", "rtmp://h/live?token=t", "live?token=t", ""),
            ("rtmp://h/live/", "rtmp://h/live", "live", ""),
            ("rtmp://h", "rtmp://h/", "", ""),
            ("rtmp://h?x", "rtmp://h/?x", "?x", ""),
        ] {
            let url = url(text);
            assert_eq!((&*url.tc_url(), url.app(), url.name()), (tc_url, app, name), "{text}");
        }
        assert_eq!((url("rtmp://h/a/b").port(), url("rtmps://h/a/b").port()), (1935, 443));
    }

    #[test]
    fn what_is_no_url_says_why() {
        for (text, error) in [
            ("http://h/a", UrlError::Scheme),
            ("live/show", UrlError::Scheme),
            ("rtmp:///live", UrlError::Host),
            ("rtmp://a b/live", UrlError::Host),
            ("rtmp://[::1/live", UrlError::Host),
            ("rtmp://[::1]x/live", UrlError::Host),
            ("rtmp://h:0/a", UrlError::Port),
            ("rtmp://h:70000/a", UrlError::Port),
            ("rtmp://u%zz@h/a", UrlError::Text(NameError::Escape)),
            ("rtmp://h/a\n", UrlError::Text(NameError::Control)),
        ] {
            assert_eq!(RtmpUrl::parse(text).err(), Some(error), "{text}");
        }
    }

    #[test]
    fn a_login_is_decoded_and_never_shown() {
        let url = url("rtmp://a%40b:p%3aw@h/live/show?key=secret");
        let login = url.credentials().unwrap();
        assert_eq!((&*login.user, &*login.password), ("a@b", "p:w"));
        let shown = format!("{url} {url:?} {login:?}");
        assert!(!shown.contains("p:w") && !shown.contains("secret"), "{shown}");
    }

    #[test]
    fn what_is_printed_without_the_name_says_where_and_no_secret() {
        for (text, shown) in [
            ("rtmp://h/live/s3cret", "rtmp://h/live/***"),
            ("rtmps://user:pass@h:444/a/b/s3cret?token=t", "rtmps://h:444/a/b/***"),
            ("rtmp://h/live?token=t", "rtmp://h/live/***"),
        ] {
            assert_eq!(url(text).without_name(), shown);
        }
    }

    #[test]
    fn a_move_keeps_the_name() {
        let from = url("rtmp://u:p@h/a/b/show?k=v");
        for (place, expect) in [
            ("rtmp://other:1936/live", "rtmp://other:1936/live"),
            ("rtmp://other/live/show", "rtmp://other/live"),
            ("rtmps://other/live/inst", "rtmps://other/live/inst"),
            ("//other/x", "rtmp://other/x"),
            ("/x", "rtmp://h/x"),
            ("/x/y", "rtmp://h/x/y"),
            ("y", "rtmp://h/a/y"),
            ("", "rtmp://h/a/b"),
        ] {
            let moved = from.moved(place).unwrap();
            assert_eq!((&*moved.tc_url(), moved.name()), (expect, "show?k=v"), "{place}");
            assert_eq!(moved.credentials().is_some(), moved.host() == "h");
        }
        assert_eq!(from.moved("http://x/y"), Err(UrlError::Scheme));
        let secret = url("rtmps://u:p@h/live/show");
        assert!(secret.moved("rtmps://h:444/live").unwrap().credentials().is_some());
        assert!(secret.moved("rtmp://h/live").unwrap().credentials().is_none(), "in the open");
    }
}
