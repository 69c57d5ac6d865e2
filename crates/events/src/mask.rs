//! Masking of secrets in URLs and queries.

use std::collections::BTreeSet;
use std::sync::Arc;

/// Parameters whose values are secret wherever they stand.
const SECRET_PARAMS: &[&str] = &["key", "token", "tkn", "pass", "password", "secret", "sig", "jwt", "auth"];

/// Replaces the values of secret parameters by `***`. A clone costs nothing.
#[derive(Debug, Clone)]
pub struct Masker {
    names: Arc<BTreeSet<String>>,
}

impl Default for Masker {
    fn default() -> Self {
        Self::new(&[])
    }
}

impl Masker {
    /// The built-in names and these (`[security] secret_params`), compared without regard to case.
    #[must_use]
    pub fn new(more: &[String]) -> Self {
        let built_in = SECRET_PARAMS.iter().map(|name| (*name).to_owned());
        let names = built_in.chain(more.iter().map(|name| name.to_ascii_lowercase()));
        Self { names: Arc::new(names.collect()) }
    }

    /// Masks a URL or a bare query: values of secret parameters, and the password before an `@`.
    #[must_use]
    pub fn mask(&self, text: &str) -> String {
        let (front, query) = match text.split_once('?') {
            Some((front, query)) => (Some(front), query),
            None if text.contains("://") => (Some(text), ""),
            None => (None, text),
        };
        let mut out = String::with_capacity(text.len());
        if let Some(front) = front {
            push_without_password(&mut out, front);
            if front.len() < text.len() {
                out.push('?');
            }
        }
        let mut rest = query;
        while !rest.is_empty() {
            let end = rest.find(['&', ';', '?']).unwrap_or(rest.len());
            let (pair, tail) = rest.split_at(end);
            self.push_pair(&mut out, pair);
            let mut tail = tail.chars();
            out.extend(tail.next());
            rest = tail.as_str();
        }
        out
    }

    /// Masks what a program prints: the value of each `name=value` whose name is secret, wherever it stands,
    /// up to the end of its word.
    #[must_use]
    pub fn mask_text(&self, text: &str) -> String {
        let is_of_name = |c: char| c.is_ascii_alphanumeric() || "_-.%".contains(c);
        let ends_value = |c: char| c.is_whitespace() || "&;?,|<>()[]{}\"'`\\".contains(c);
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('=') {
            out.push_str(before);
            out.push('=');
            let name = before.rsplit(|c| !is_of_name(c)).next().unwrap_or_default();
            let (value, tail) = after.split_at(after.find(ends_value).unwrap_or(after.len()));
            rest = if self.is_secret(name) && !value.is_empty() {
                out.push_str("***");
                tail
            } else {
                after
            };
        }
        out.push_str(rest);
        out
    }

    fn push_pair(&self, out: &mut String, pair: &str) {
        match pair.split_once('=') {
            Some((name, value)) if !value.is_empty() && self.is_secret(name) => {
                out.push_str(name);
                out.push_str("=***");
            }
            _ => out.push_str(pair),
        }
    }

    fn is_secret(&self, name: &str) -> bool {
        self.names.contains(&percent_decoded(name).to_ascii_lowercase())
    }
}

/// `rtmp://user:pass@host/app` → `rtmp://user:***@host/app`.
fn push_without_password(out: &mut String, url: &str) {
    let masked = url.split_once("://").and_then(|(scheme, rest)| {
        let end = rest.find('/').unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let (user_info, host) = authority.rsplit_once('@')?;
        let (user, _password) = user_info.split_once(':')?;
        Some(format!("{scheme}://{user}:***@{host}{path}"))
    });
    out.push_str(masked.as_deref().unwrap_or(url));
}

fn percent_decoded(name: &str) -> String {
    let mut out = Vec::with_capacity(name.len());
    let mut bytes = name.bytes();
    while let Some(byte) = bytes.next() {
        let hex = |b: u8| char::from(b).to_digit(16);
        let ahead: Vec<u8> = bytes.clone().take(2).collect();
        match (byte, ahead.as_slice()) {
            (b'%', &[high, low]) => match (hex(high), hex(low)) {
                (Some(high), Some(low)) => {
                    out.push(u8::try_from(high * 16 + low).unwrap_or(b'?'));
                    bytes.nth(1);
                }
                _ => out.push(byte),
            },
            _ => out.push(byte),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: &str) {
        assert_eq!(Masker::new(&["Pin".to_owned()]).mask(text), expect);
    }

    #[test]
    fn secrets_read_three_stars_and_the_rest_stays() {
        check("token=abc&camera=2", "token=***&camera=2");
        check("a=1;TOKEN=x;b", "a=1;TOKEN=***;b");
        check("to%6ben=abc", "to%6ben=***");
        check("pin=1", "pin=***");
        check("rtmp://h/live?key=1&x=2", "rtmp://h/live?key=***&x=2");
        check("rtmp://u:p@h/live", "rtmp://u:***@h/live");
        check("rtmp://h/live?a=b?token=c", "rtmp://h/live?a=b?token=***");
        check("", "");
        check("token=", "token=");
        check("%&%4", "%&%4");
    }

    #[test]
    fn secrets_in_what_a_program_prints_read_three_stars() {
        for (text, expect) in [
            ("asked: token=abc&camera=2 by x", "asked: token=***&camera=2 by x"),
            (r#"{"query":"a=1&key=abc","conn_id":"c1"}"#, r#"{"query":"a=1&key=***","conn_id":"c1"}"#),
            ("RTMP_QUERY=pin=1 stream_key=live/show", "RTMP_QUERY=pin=*** stream_key=live/show"),
            ("rtmp://h/live?TOKEN=a==b, then token=", "rtmp://h/live?TOKEN=***, then token="),
            ("=a key == b", "=a key == b"),
            ("nothing", "nothing"),
            ("", ""),
        ] {
            assert_eq!(Masker::new(&["Pin".to_owned()]).mask_text(text), expect);
        }
    }
}
