//! Stream keys: `app/name`, checked once, before anything else sees them.

use std::fmt;
use std::sync::Arc;

/// The app that may be left out: `show` is `live/show`.
const DEFAULT_APP: &str = "live";
/// Bytes of a whole key.
const MAX_KEY_BYTES: usize = 255;
/// Bytes of one part between slashes.
const MAX_PART_BYTES: usize = 128;
/// Parts of the name after the app.
const MAX_NAME_PARTS: usize = 4;

/// A validated stream key, `app/name` or `app/a/b`. Cloning it allocates nothing.
///
/// Every part matches `[A-Za-z0-9_][A-Za-z0-9_.+@:=~-]{0,127}`, there are 1 to 4 parts after the
/// app, and the whole has at most 255 bytes. So a key is safe in a path, an argument vector, a log
/// line and an environment variable.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamKey {
    text: Arc<str>,
    app_len: u8,
}

/// Why a text is no stream key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Nothing, an empty part (`a//b`, a leading or trailing slash), or an app without a name.
    #[error("the stream name is empty")]
    Empty,
    /// Longer than 255 bytes, or a part longer than 128.
    #[error("the stream name is too long")]
    TooLong,
    /// More than 4 parts after the app.
    #[error("the stream name has too many parts")]
    TooManyParts,
    /// A character outside the set, or a part that begins with one of `.+@:=~-`.
    #[error("the stream name has a character that is not allowed")]
    BadCharacter,
}

impl StreamKey {
    /// Parses `app/name`; a text without a slash is a name in the app `live`.
    ///
    /// # Errors
    /// [`KeyError`] when a rule of the type's documentation is broken.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        match text.find('/') {
            Some(_) => Self::build(text.to_owned()),
            None => Self::build(format!("{DEFAULT_APP}/{text}")),
        }
    }

    /// Parses a text that, when it has no slash, names a stream in the app of this key.
    ///
    /// # Errors
    /// As [`StreamKey::parse`].
    pub fn sibling(&self, text: &str) -> Result<Self, KeyError> {
        match text.find('/') {
            Some(_) => Self::build(text.to_owned()),
            None => Self::build(format!("{}/{text}", self.app())),
        }
    }

    /// Joins the app and the stream name of an RTMP client. The app may have several parts
    /// (ffmpeg sends `live/a` for `/live/a/b`); the first is the key's app.
    ///
    /// # Errors
    /// As [`StreamKey::parse`].
    pub fn join(app: &str, name: &str) -> Result<Self, KeyError> {
        if app.is_empty() || name.is_empty() {
            return Err(KeyError::Empty);
        }
        Self::build(format!("{app}/{name}"))
    }

    fn build(text: String) -> Result<Self, KeyError> {
        if text.len() > MAX_KEY_BYTES {
            return Err(KeyError::TooLong);
        }
        let mut parts = 0;
        for part in text.split('/') {
            check_part(part)?;
            parts += 1;
        }
        if parts > 1 + MAX_NAME_PARTS {
            return Err(KeyError::TooManyParts);
        }
        let slash = text.find('/').ok_or(KeyError::Empty)?;
        let app_len = u8::try_from(slash).map_err(|_long| KeyError::TooLong)?;
        Ok(Self { text: text.into(), app_len })
    }

    /// The whole key, `app/name`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The first part.
    #[must_use]
    pub fn app(&self) -> &str {
        self.text.get(..usize::from(self.app_len)).unwrap_or_default()
    }

    /// All after the first slash.
    #[must_use]
    pub fn name(&self) -> &str {
        self.text.get(usize::from(self.app_len) + 1..).unwrap_or_default()
    }

    /// Whether the key begins with these parts: `live/a` and `live/a/b` lie under `live/a`, `live/ab` does not.
    #[must_use]
    pub fn lies_under(&self, parts: &str) -> bool {
        let rest = self.text.strip_prefix(parts.strip_suffix('/').unwrap_or(parts));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// The key's text, shared.
    #[must_use]
    pub fn shared(&self) -> Arc<str> {
        Arc::clone(&self.text)
    }
}

fn check_part(part: &str) -> Result<(), KeyError> {
    let bytes = part.as_bytes();
    let Some((first, rest)) = bytes.split_first() else {
        return Err(KeyError::Empty);
    };
    if bytes.len() > MAX_PART_BYTES {
        return Err(KeyError::TooLong);
    }
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    if !word(*first) || !rest.iter().all(|&b| word(b) || b".+@:=~-".contains(&b)) {
        return Err(KeyError::BadCharacter);
    }
    Ok(())
}

impl fmt::Display for StreamKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}

impl fmt::Debug for StreamKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(app: &str, name: &str, expect: Result<&str, KeyError>) {
        let got = StreamKey::join(app, name);
        assert_eq!(got.as_ref().map(StreamKey::as_str).map_err(|e| *e), expect, "{app:?} {name:?}");
    }

    #[test]
    fn a_key_lies_under_its_own_parts_and_not_under_a_piece_of_one() {
        for (parts, key, expect) in [
            ("live", "live/a", true),
            ("live/", "live/a/b", true),
            ("live/a", "live/a", true),
            ("live/a", "live/a/b", true),
            ("live/a", "live/ab", false),
            ("liv", "live/a", false),
            ("vod", "live/a", false),
            ("", "live/a", false),
        ] {
            assert_eq!(StreamKey::parse(key).unwrap().lies_under(parts), expect, "{parts} {key}");
        }
    }

    #[test]
    fn app_and_name_are_joined_and_split_at_the_first_slash() {
        check("live", "show", Ok("live/show"));
        let key = StreamKey::join("live/a", "b").unwrap();
        assert_eq!((key.app(), key.name()), ("live", "a/b"));
        assert_eq!(StreamKey::parse("show").unwrap().as_str(), "live/show");
        assert_eq!(StreamKey::parse("x/y").unwrap().sibling("z").unwrap().as_str(), "x/z");
    }

    #[test]
    fn hostile_names_are_refused() {
        for name in ["a\nb", "a\0b", "../x", "-rf", "", "a//b", "/a", "a/", "a b", "ü", ".hidden"] {
            assert!(StreamKey::join("live", name).is_err(), "{name:?}");
        }
        check("live", &"x".repeat(10 * 1024), Err(KeyError::TooLong));
        check("live", &"x".repeat(129), Err(KeyError::TooLong));
        check("live", &"x".repeat(128), Ok(&format!("live/{}", "x".repeat(128))));
        check("live", "a/b/c/d/e", Err(KeyError::TooManyParts));
        check("live", "a/b/c/d", Ok("live/a/b/c/d"));
        check("", "a", Err(KeyError::Empty));
    }
}
