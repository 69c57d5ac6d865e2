//! The token with which the tools ask.

use jackfield_net::outbound::Url;
use jackfield_net::outbound::header::HeaderValue;
use std::fmt;
use std::net::IpAddr;
use std::path::Path;

/// The file in the data folder.
const FILE: &str = "admin.token";
/// Characters of a token: more is none.
const MAX_CHARS: usize = 512;

/// A token that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Token(String);

impl Token {
    /// Reads a token.
    ///
    /// # Errors
    /// If no header can carry it. The text is not repeated: it is a secret.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.is_empty() || text.len() > MAX_CHARS || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("a token is one word of letters, digits and signs".to_owned());
        }
        Ok(Self(text.to_owned()))
    }

    /// The administrator's token of a server on this machine, if this user may read it. Another machine never gets
    /// to see it: it may be anybody's.
    pub(super) fn of_this_machine(api: &Url, data_dir: &Path) -> Option<Self> {
        if !is_this_machine(api) {
            return None;
        }
        Self::parse(&std::fs::read_to_string(data_dir.join(FILE)).ok()?).ok()
    }

    pub(super) fn header(&self) -> HeaderValue {
        let mut value = HeaderValue::from_str(&format!("Bearer {}", self.0))
            .expect("invariant: a token has only characters that a header can carry");
        value.set_sensitive(true);
        value
    }
}

/// Whether the address is one of the loopback.
pub(super) fn is_this_machine(api: &Url) -> bool {
    let host = api.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    address.map_or(host == "localhost", |address| address.to_canonical().is_loopback())
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_without_its_line_end_and_never_shown() {
        let token = Token::parse("jf_abc\n").unwrap();
        assert_eq!((token.0.as_str(), format!("{token:?}")), ("jf_abc", "…".to_owned()));
        assert_eq!(token.header(), "Bearer jf_abc");
        for wrong in ["", " ", "a b", "a\u{e4}", "a\nb", &"x".repeat(513)] {
            let error = Token::parse(wrong).unwrap_err();
            assert!(wrong.trim().is_empty() || !error.contains(wrong), "{error}");
        }
    }

    #[test]
    fn the_file_of_this_machine_is_for_a_server_of_this_machine() {
        let is_here = |url: &str| is_this_machine(&Url::parse(url).unwrap());
        assert!(
            ["http://127.0.0.1:8080", "http://localhost", "http://[::1]:1"].iter().all(|url| is_here(url))
        );
        assert!(!["http://10.0.0.1", "http://localhost.example", "https://h"].iter().any(|url| is_here(url)));
    }
}
