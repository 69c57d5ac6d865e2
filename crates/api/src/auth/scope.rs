//! What a token allows: scopes, each for all streams or for those under a prefix.

use jackfield_media::StreamKey;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use utoipa::ToSchema;

/// What somebody may do. None implies another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Look at everything: streams, connections, hooks, events, deliveries, configuration.
    Read,
    /// Change what runs: end publishers and connections, replay and drop deliveries, reload, drain.
    Operate,
    /// Make, change, test and switch hooks.
    Hooks,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Read, Self::Operate, Self::Hooks];

    /// `read`, `operate` or `hooks`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Operate => "operate",
            Self::Hooks => "hooks",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no scope: there are read, operate and hooks")]
pub struct UnknownScope(String);

impl FromStr for Scope {
    type Err = UnknownScope;

    fn from_str(text: &str) -> Result<Self, UnknownScope> {
        let scope = Self::ALL.into_iter().find(|scope| scope.as_str() == text);
        scope.ok_or_else(|| UnknownScope(text.to_owned()))
    }
}

/// The first parts of stream keys: `live` is all of that app, `live/a` is that key and all below it, not `live/ab`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, example = "live/customer-1")]
pub struct StreamPrefix(String);

/// The text begins no stream key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` begins no stream key: write an app, as `live`, or more parts, as `live/customer-1`")]
pub struct BadPrefix(String);

impl StreamPrefix {
    /// Whether the key lies under it.
    #[must_use]
    pub fn covers(&self, key: &StreamKey) -> bool {
        key.lies_under(&self.0)
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for StreamPrefix {
    type Err = BadPrefix;

    fn from_str(text: &str) -> Result<Self, BadPrefix> {
        let parts = text.strip_suffix('/').unwrap_or(text);
        // With one part more it must be a key.
        match StreamKey::parse(&format!("{parts}/x")) {
            Ok(_) => Ok(Self(parts.to_owned())),
            // Five parts are a whole key already.
            Err(_) if parts.contains('/') && StreamKey::parse(parts).is_ok() => Ok(Self(parts.to_owned())),
            Err(_) => Err(BadPrefix(text.to_owned())),
        }
    }
}

impl TryFrom<String> for StreamPrefix {
    type Error = BadPrefix;

    fn try_from(text: String) -> Result<Self, BadPrefix> {
        text.parse()
    }
}

impl From<StreamPrefix> for String {
    fn from(prefix: StreamPrefix) -> Self {
        prefix.0
    }
}

impl fmt::Display for StreamPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One scope, for all streams or for those under a prefix.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Grant {
    /// What it allows.
    pub(crate) scope: Scope,
    /// For these streams only, and nothing that is no stream's; null for everything.
    pub(crate) stream_prefix: Option<StreamPrefix>,
}

impl Grant {
    /// Whether it allows that for this stream, or for what is no stream's.
    pub(crate) fn allows(&self, scope: Scope, key: Option<&StreamKey>) -> bool {
        self.scope == scope
            && match (&self.stream_prefix, key) {
                (None, _) => true,
                (Some(prefix), Some(key)) => prefix.covers(key),
                (Some(_), None) => false,
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> StreamKey {
        StreamKey::parse(text).unwrap()
    }

    #[test]
    fn a_prefix_ends_at_a_slash_of_the_key() {
        let covers = |prefix: &str, text: &str| prefix.parse::<StreamPrefix>().unwrap().covers(&key(text));
        assert!(covers("live", "live/a") && covers("live/", "live/a/b") && covers("live/a", "live/a"));
        assert!(covers("live/a", "live/a/b") && covers("a/b/c/d/e", "a/b/c/d/e"));
        assert!(!covers("live/a", "live/ab") && !covers("live", "livestock/a") && !covers("vod", "live/a"));
    }

    #[test]
    fn what_begins_no_key_is_no_prefix() {
        for text in ["", "/", "live//a", "../x", "live/a b", "a/b/c/d/e/f", "-x", "live/*", "ü"] {
            assert!(text.parse::<StreamPrefix>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_grant_for_a_prefix_allows_nothing_that_is_no_streams() {
        let all = Grant { scope: Scope::Read, stream_prefix: None };
        let some = Grant { scope: Scope::Read, stream_prefix: Some("live".parse().unwrap()) };
        assert!(all.allows(Scope::Read, None) && all.allows(Scope::Read, Some(&key("vod/x"))));
        assert!(!all.allows(Scope::Operate, None));
        assert!(some.allows(Scope::Read, Some(&key("live/x"))));
        assert!(!some.allows(Scope::Read, Some(&key("vod/x"))) && !some.allows(Scope::Read, None));
    }
}
