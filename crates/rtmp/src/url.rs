//! Names and queries in what clients send: the app, the stream name, `tcUrl`.
//!
//! An RTMP URL is `rtmp://host/app/name?query`; clients divide it between `connect` and `publish` each
//! in their own way, and put the query where they like.

use jackfield_media::KeyError;

/// The longest query, URL or other text of `connect`, in bytes: room for a signed token, no more.
pub const MAX_TEXT_BYTES: usize = 8 << 10;

/// The instance that Flash Media Server means when none is named.
const DEFAULT_INSTANCE: &str = "_definst_";

/// Why a name or text of a client is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// `%` without two hexadecimal digits.
    #[error("it has a malformed percent escape")]
    Escape,
    /// It is not UTF-8, as sent or after decoding.
    #[error("it is not valid UTF-8")]
    Utf8,
    /// It has a control character, as sent or after decoding.
    #[error("it has a control character")]
    Control,
    /// A text other than a name is longer than 8 KiB.
    #[error("it is too long")]
    TooLong,
    /// The rules of stream keys.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// Splits at the first `?`; without one the query is empty.
#[must_use]
pub fn split_query(text: &str) -> (&str, &str) {
    text.split_once('?').unwrap_or((text, ""))
}

/// Whether both are one stream name, whatever queries they carry: clients that authenticate by a query
/// leave it out of FCPublish or FCUnpublish at times.
#[must_use]
pub fn is_same_name(one: &str, other: &str) -> bool {
    split_query(one).0 == split_query(other).0
}

/// The value of a query parameter, undecoded.
#[must_use]
pub fn parameter<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (key == name).then_some(value)
    })
}

/// Joins two queries, either of which may be empty.
#[must_use]
pub fn join_queries(first: &str, second: &str) -> String {
    if first.is_empty() || second.is_empty() || first == second {
        return if first.is_empty() { second } else { first }.to_owned();
    }
    format!("{first}&{second}")
}

/// Decodes percent escapes (RFC 3986 §2.1). A `+` stays a `+`.
///
/// # Errors
/// A malformed escape, or a result that is not UTF-8 or has a control character.
pub fn percent_decode(text: &str) -> Result<String, NameError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let Some((&[high, low], after)) = after.split_first_chunk() else {
            return Err(NameError::Escape);
        };
        let digit = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok());
        let (high, low) = digit(high).zip(digit(low)).ok_or(NameError::Escape)?;
        bytes.push(high << 4 | low);
        rest = after;
    }
    let text = String::from_utf8(bytes).map_err(|_source| NameError::Utf8)?;
    check_text(&text)?;
    Ok(text)
}

/// Checks a text that goes into events as it is: no control characters, valid UTF-8, at most 8 KiB.
///
/// # Errors
/// The rule that it breaks.
pub fn check_text(text: &str) -> Result<(), NameError> {
    // The AMF reader puts U+FFFD where bytes were not UTF-8.
    if text.contains('\u{fffd}') {
        return Err(NameError::Utf8);
    }
    if text.chars().any(char::is_control) {
        return Err(NameError::Control);
    }
    if text.len() > MAX_TEXT_BYTES {
        return Err(NameError::TooLong);
    }
    Ok(())
}

/// The app of `connect`, decoded: without slashes at its ends and without the default instance.
///
/// # Errors
/// As [`percent_decode`].
pub fn app_path(app: &str) -> Result<String, NameError> {
    let decoded = percent_decode(app)?;
    let path = decoded.trim_matches('/');
    let path = path.strip_suffix(DEFAULT_INSTANCE).and_then(|p| p.strip_suffix('/')).unwrap_or(path);
    Ok(path.to_owned())
}

/// The query of a URL.
#[must_use]
pub fn query_of_url(url: &str) -> &str {
    split_query(url).1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_decoded_and_hostile_ones_refused() {
        assert_eq!(percent_decode("a%2Fb+c%41"), Ok("a/b+cA".to_owned()));
        for (text, error) in [
            ("a%0a", NameError::Control),
            ("a%00", NameError::Control),
            ("a\0", NameError::Control),
            ("%ff", NameError::Utf8),
            ("\u{fffd}", NameError::Utf8),
            ("%", NameError::Escape),
            ("%4", NameError::Escape),
            ("%4g", NameError::Escape),
            ("%+1", NameError::Escape),
        ] {
            assert_eq!(percent_decode(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn the_default_instance_is_none() {
        assert_eq!(app_path("/live/_definst_").as_deref(), Ok("live"));
        assert_eq!(app_path("live/inst/").as_deref(), Ok("live/inst"));
        assert_eq!(app_path("_definst_").as_deref(), Ok("_definst_"));
    }

    #[test]
    fn queries_are_split_and_searched() {
        assert_eq!(split_query("a?b?c"), ("a", "b?c"));
        assert_eq!(parameter("a=1&vhost=x&b", "vhost"), Some("x"));
        assert_eq!(parameter("a=1&b", "b"), Some(""));
        assert_eq!(parameter("a=1", "c"), None);
        assert_eq!(join_queries("a=1", "b=2"), "a=1&b=2");
        assert_eq!(join_queries("", "b=2"), "b=2");
    }
}
