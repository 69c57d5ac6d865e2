//! The list of all events, and sets of them.

use crate::{EventSpec, Fact, notices, questions};
use std::fmt;

macro_rules! catalogue {
    ($($module:ident :: $name:ident),* $(,)?) => {
        /// One event of the catalogue.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        #[expect(missing_docs, reason = "each is documented at the struct of its name")]
        pub enum EventType { $($name),* }

        impl EventType {
            /// All of them, in the order of the documentation.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// What the catalogue says of it.
            #[must_use]
            pub fn spec(self) -> &'static EventSpec {
                match self { $(Self::$name => const { &<$module::$name as Fact>::SPEC }),* }
            }
        }
    };
}

catalogue! {
    notices::ConnectionAccept,
    notices::HandshakeComplete,
    notices::ConnectionClose,
    notices::ConnectionRefused,
    notices::AuthFailed,
    notices::StreamCreate,
    notices::StreamDelete,
    notices::PublishStart,
    notices::PublishStop,
    notices::MediaStart,
    notices::MediaStop,
    notices::CodecDetected,
    notices::PlayStart,
    notices::PlayStop,
    notices::EventsLost,
    notices::HookDisabled,
    questions::AuthorizeConnection,
    questions::ResolvePublish,
    questions::AuthorizePublish,
    questions::ResolvePlay,
    questions::AuthorizePlay,
}

impl EventType {
    /// Its name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.spec().name
    }

    /// The event of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|event| event.name() == name)
    }

    /// The events whose name matches a pattern in which `*` stands for anything.
    pub fn matching(pattern: &str) -> impl Iterator<Item = Self> {
        Self::ALL.iter().copied().filter(move |event| fits(pattern, event.name()))
    }
}

/// Whether a name matches a pattern in which `*` stands for anything. The time is bounded by their lengths, whatever
/// stars the pattern has.
fn fits(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|head| name.strip_prefix(head)) else { return false };
    let Some(tail) = pattern.rsplit_once('*').map(|(_, tail)| tail) else { return rest.is_empty() };
    let middle = parts.clone().count().saturating_sub(1);
    for part in parts.take(middle) {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(tail)
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of events, one bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EventSet(u64);

const _: () = assert!(EventType::ALL.len() <= 64, "EventSet has 64 bits");

impl EventSet {
    /// No event.
    pub const EMPTY: Self = Self(0);

    /// Whether the event is in the set.
    #[must_use]
    pub const fn contains(self, event: EventType) -> bool {
        self.0 & (1 << event as u8) != 0
    }

    /// Both sets together.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The set with this event.
    #[must_use]
    pub const fn with(self, event: EventType) -> Self {
        Self(self.0 | 1 << event as u8)
    }

    /// Whether it is empty.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// All notices of the catalogue.
    #[must_use]
    pub fn notices() -> Self {
        EventType::ALL.iter().copied().filter(|event| !event.spec().kind.is_question()).collect()
    }

    /// The set as bits, to keep it in an atomic.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// The set of these bits.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The events of the set, in the catalogue's order.
    pub fn iter(self) -> impl Iterator<Item = EventType> {
        EventType::ALL.iter().copied().filter(move |&event| self.contains(event))
    }
}

impl FromIterator<EventType> for EventSet {
    fn from_iter<I: IntoIterator<Item = EventType>>(events: I) -> Self {
        events.into_iter().fold(Self::EMPTY, Self::with)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_part_of_a_name() {
        for (pattern, name, expect) in [
            ("publish_start", "publish_start", true),
            ("publish_start", "publish_starts", false),
            ("publish_*", "publish_stop", true),
            ("*_start", "play_start", true),
            ("*", "anything", true),
            ("p*_*t", "play_start", true),
            ("p*y*p", "play_start", false),
            ("*_s*t", "play_start", true),
            ("publish_*", "play_start", false),
            ("a*a", "a", false),
            ("", "x", false),
        ] {
            assert_eq!(fits(pattern, name), expect, "{pattern} {name}");
        }
    }

    #[test]
    fn a_pattern_of_many_stars_is_tried_in_bounded_time() {
        let stars = "*".repeat(1 << 16);
        assert_eq!(EventType::matching(&format!("publ{stars}x_start")).count(), 0);
        assert_eq!(EventType::matching(&format!("publish{stars}_start")).count(), 1);
    }
}
