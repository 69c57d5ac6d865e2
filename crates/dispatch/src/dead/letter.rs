//! What is told of a dead letter, and how they are chosen.

use jackfield_events::EventType;
use jackfield_hooks::Outcome;
use jackfield_media::{ConnId, SessionId, StreamKey, Text, UnixTime};
use std::fmt;
use std::str::FromStr;
use ulid::Ulid;

/// Identifies a dead letter: `dead_…`. Later ones have greater ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeadLetterId(pub u64);

impl fmt::Display for DeadLetterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "dead_{:08x}", self.0)
    }
}

/// The text is no id of a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no id of a dead letter: they read like `dead_0000002a`")]
pub struct BadDeadLetterId;

impl FromStr for DeadLetterId {
    type Err = BadDeadLetterId;

    fn from_str(text: &str) -> Result<Self, BadDeadLetterId> {
        let hex = text.strip_prefix("dead_").filter(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let number =
            u64::from_str_radix(hex.ok_or(BadDeadLetterId)?, 16).map_err(|_digits| BadDeadLetterId)?;
        Ok(Self(number))
    }
}

/// A notice that was given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Its id.
    pub id: DeadLetterId,
    /// The hook's name, as it was when the notice died.
    pub hook: Text,
    /// The hook's id.
    pub hook_id: Text,
    /// The event's type.
    pub event: EventType,
    /// The event's id, which a replay keeps.
    pub event_id: Ulid,
    /// The event's place in the log.
    pub seq: u64,
    /// The stream that it is about.
    pub key: Option<StreamKey>,
    /// Its connection.
    pub conn_id: Option<ConnId>,
    /// Its session.
    pub session_id: Option<SessionId>,
    /// Tries, those of replays included.
    pub attempts: u32,
    /// How the last one ended.
    pub outcome: Outcome,
    /// What that failure said of itself.
    pub detail: Text,
    /// When the first try failed.
    pub first_at: UnixTime,
    /// When it was given up last.
    pub at: UnixTime,
}

/// Which dead letters: those that fit everything that is set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeadLetterFilter {
    /// This one.
    pub id: Option<DeadLetterId>,
    /// Of the hook of this name.
    pub hook: Option<Text>,
    /// Of events of this type.
    pub event: Option<EventType>,
    /// About this stream.
    pub key: Option<StreamKey>,
    /// About streams whose key begins with the parts of one of these; events without a stream are then left out. For tokens
    /// that may see some streams only.
    pub key_prefixes: Option<Vec<Text>>,
    /// Given up then or later.
    pub since: Option<UnixTime>,
    /// Given up before then.
    pub until: Option<UnixTime>,
}

impl DeadLetterFilter {
    /// Only this one.
    #[must_use]
    pub fn one(id: DeadLetterId) -> Self {
        Self { id: Some(id), ..Self::default() }
    }

    /// Whether this one is among them.
    #[must_use]
    pub fn matches(&self, letter: &DeadLetter) -> bool {
        let key = letter.key.as_ref();
        let begins = |prefixes: &Vec<Text>| {
            key.is_some_and(|key| prefixes.iter().any(|prefix| key.lies_under(prefix)))
        };
        self.id.is_none_or(|id| id == letter.id)
            && self.hook.as_ref().is_none_or(|hook| *hook == letter.hook)
            && self.event.is_none_or(|event| event == letter.event)
            && self.key.as_ref().is_none_or(|wanted| Some(wanted) == key)
            && self.key_prefixes.as_ref().is_none_or(begins)
            && self.since.is_none_or(|since| letter.at >= since)
            && self.until.is_none_or(|until| letter.at < until)
    }
}

/// A page of dead letters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeadLetterPage {
    /// Newest first.
    pub items: Vec<std::sync::Arc<DeadLetter>>,
    /// Before which the next page begins, if there are older ones.
    pub next: Option<DeadLetterId>,
}

/// What is counted of dead letters since the server started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DeadLettersCounters {
    /// How many there are.
    pub kept: usize,
    /// Notices that were given up.
    pub added: u64,
    /// Letters that went because there were too many, or they were too old.
    pub dropped: u64,
    /// Letters that could not be written; they are in memory until the next start.
    pub unwritten: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_as_it_is_written_and_nothing_else_is_one() {
        for id in [0, 42, u64::MAX].map(DeadLetterId) {
            assert_eq!(id.to_string().parse(), Ok(id));
        }
        for text in ["", "dead_", "dead_g", "dlv_1", "dead_+1", "1", "dead_10000000000000000", "dead_1 "] {
            assert_eq!(text.parse::<DeadLetterId>(), Err(BadDeadLetterId), "{text}");
        }
    }
}
