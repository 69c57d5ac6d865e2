//! What can be asked of the deliveries that are kept.

use super::delivery::{Delivery, QuestionTrace};
use jackfield_events::EventType;
use jackfield_hooks::Outcome;
use jackfield_media::{ConnId, SessionId, StreamKey, Text, UnixTime};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use ulid::Ulid;

/// Which deliveries: those that fit everything that is set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeliveryFilter {
    /// Of this hook.
    pub hook: Option<Text>,
    /// Of events of this type.
    pub event: Option<EventType>,
    /// About this stream.
    pub key: Option<StreamKey>,
    /// About streams whose key begins with the parts of one of these; events without a stream are then left out. For tokens
    /// that may see some streams only.
    pub key_prefixes: Option<Vec<Text>>,
    /// Ended so.
    pub outcome: Option<Outcome>,
    /// Of this session.
    pub session_id: Option<SessionId>,
    /// Of this connection.
    pub conn_id: Option<ConnId>,
    /// Of this event.
    pub event_id: Option<Ulid>,
    /// Ended then or later.
    pub since: Option<UnixTime>,
    /// Ended before then.
    pub until: Option<UnixTime>,
}

impl DeliveryFilter {
    /// Whether this one is among them.
    #[must_use]
    pub fn matches(&self, delivery: &Delivery) -> bool {
        fits(self.hook.as_ref(), Some(&delivery.hook))
            && fits(self.event.as_ref(), Some(&delivery.event))
            && fits(self.key.as_ref(), delivery.key.as_ref())
            && fits(self.outcome.as_ref(), Some(&delivery.outcome))
            && fits(self.session_id.as_ref(), delivery.session_id.as_ref())
            && fits(self.conn_id.as_ref(), delivery.conn_id.as_ref())
            && fits(self.event_id.as_ref(), Some(&delivery.event_id))
            && self.since.is_none_or(|since| delivery.at >= since)
            && self.until.is_none_or(|until| delivery.at < until)
            && self.key_prefixes.as_ref().is_none_or(|prefixes| begins_with(delivery.key.as_ref(), prefixes))
    }
}

fn fits<T: PartialEq>(wanted: Option<&T>, is: Option<&T>) -> bool {
    wanted.is_none() || wanted == is
}

fn begins_with(key: Option<&StreamKey>, prefixes: &[Text]) -> bool {
    key.is_some_and(|key| prefixes.iter().any(|prefix| key.lies_under(prefix)))
}

/// Which page of a list: newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageOf {
    /// Only what is older than this: `next` of the page before.
    pub before: Option<DeliveryCursor>,
    /// At most so many; at least 1.
    pub limit: usize,
}

/// A place in the list of deliveries. It stays good while others are added and retired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeliveryCursor {
    /// The record.
    pub(crate) position: u64,
    /// How many of the record's deliveries are older: a question's calls are one record.
    pub(crate) within: u32,
}

impl fmt::Display for DeliveryCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}.{:x}", self.position, self.within)
    }
}

/// The text is no cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no cursor of deliveries: use the `next` of the page before")]
pub struct BadCursor;

impl FromStr for DeliveryCursor {
    type Err = BadCursor;

    fn from_str(text: &str) -> Result<Self, BadCursor> {
        let hex = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let (position, within) = text.split_once('.').filter(|(a, b)| hex(a) && hex(b)).ok_or(BadCursor)?;
        match (u64::from_str_radix(position, 16), u32::from_str_radix(within, 16)) {
            (Ok(position), Ok(within)) => Ok(Self { position, within }),
            _ => Err(BadCursor),
        }
    }
}

/// A page of deliveries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeliveryPage {
    /// Newest first.
    pub items: Vec<Arc<Delivery>>,
    /// Where the next page begins, if there may be older ones. A page can be short, even empty, and still have a
    /// next one: each looks at a bounded number of records.
    pub next: Option<DeliveryCursor>,
    /// Records that were read for it.
    pub looked_at: u64,
}

/// Whose questions are explained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// Those of a session, and those of its connection before it had one.
    Session(SessionId),
    /// All of a connection.
    Connection(ConnId),
}

/// All questions of a session or connection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Explanation {
    /// The connection, if a question was found.
    pub conn_id: Option<ConnId>,
    /// The questions in their order.
    pub questions: Vec<Arc<QuestionTrace>>,
    /// Since when it is complete, if the search ended before the oldest record; older questions may be missing.
    pub complete_since: Option<UnixTime>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_as_it_is_written_and_nothing_else_is_one() {
        for cursor in [
            DeliveryCursor { position: 0, within: 0 },
            DeliveryCursor { position: u64::MAX, within: u32::MAX },
            DeliveryCursor { position: 4096, within: 3 },
        ] {
            assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }
        for text in ["", ".", "1", "1.", ".1", "-1.0", "+1.0", "1.1ffffffff", "g.0", "1.0 ", "1.0.0"] {
            assert_eq!(text.parse::<DeliveryCursor>(), Err(BadCursor), "{text}");
        }
    }
}
