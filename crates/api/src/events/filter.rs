//! Which events somebody asks for and may see, and the words that name them.

use crate::auth::{Caller, Scope};
use crate::problem::Problem;
use jackfield_events::{Event, EventSet, EventType};
use jackfield_hooks::Selector;
use jackfield_media::{ConnId, SessionId, StreamKey, UnixTime};
use serde::{Deserialize, Deserializer, de};
use utoipa::IntoParams;

/// The types of events in a query: names between commas, `*` for any part of a name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EventTypes(EventSet);

/// One type of event in a query.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EventName(pub(crate) EventType);

/// Globs of stream keys in a query, between commas, as the `streams` of a hook.
#[derive(Debug, Clone)]
pub(crate) struct Streams(Selector);

/// A session in a query, as `s000001`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SessionName(pub(crate) SessionId);

/// A connection in a query, as `c000001`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ConnName(pub(crate) ConnId);

/// A place among the events: after this one, or from this time on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Since {
    /// After the event of this `seq`.
    Seq(u64),
    /// From this time on.
    Time(UnixTime),
}

/// Which events: what the log and the stream of them have in common.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct EventsQuery {
    /// Names of events between commas; `*` for any part of a name.
    #[param(value_type = Option<String>, example = "publish_*")]
    r#type: Option<EventTypes>,
    /// Globs of stream keys between commas, as the `streams` of a hook.
    #[param(value_type = Option<String>, example = "live/**")]
    key: Option<Streams>,
    /// Of this session, as `s000001`.
    #[param(value_type = Option<String>)]
    session: Option<SessionName>,
    /// Of this connection, as `c000001`.
    #[param(value_type = Option<String>)]
    conn: Option<ConnName>,
    /// After the event of this `seq`, or from this time on.
    #[param(value_type = Option<String>)]
    since: Option<Since>,
}

impl EventsQuery {
    /// What is asked for, as this caller may see it, and from where on.
    pub(super) fn filter(self, caller: Caller) -> (EventFilter, Option<Since>) {
        let Self { r#type, key, session, conn, since } = self;
        (EventFilter { types: r#type, streams: key, session, conn, caller }, since)
    }
}

/// Which events are shown.
#[derive(Debug, Clone)]
pub(crate) struct EventFilter {
    types: Option<EventTypes>,
    streams: Option<Streams>,
    session: Option<SessionName>,
    conn: Option<ConnName>,
    pub(super) caller: Caller,
}

impl EventFilter {
    /// Whether this event is asked for, and who asks may see it.
    pub(crate) fn shows(&self, event: &Event) -> bool {
        let scope = event.scope();
        self.shows_type(event.event_type())
            && self.shows_key(scope.stream_key.as_ref())
            && self.session.is_none_or(|session| scope.session_id == Some(session.0))
            && self.conn.is_none_or(|conn| scope.conn_id == Some(conn.0))
    }

    /// The same of a delivery.
    pub(crate) fn shows_delivery(&self, delivery: &jackfield_dispatch::Delivery) -> bool {
        self.shows_type(delivery.event)
            && self.shows_key(delivery.key.as_ref())
            && self.session.is_none_or(|session| delivery.session_id == Some(session.0))
            && self.conn.is_none_or(|conn| delivery.conn_id == Some(conn.0))
    }

    fn shows_type(&self, event: EventType) -> bool {
        self.types.is_none_or(|types| types.0.contains(event))
    }

    /// What is no stream's is shown to those who see everything, unless streams are asked for.
    fn shows_key(&self, key: Option<&StreamKey>) -> bool {
        let asked = self.streams.as_ref().is_none_or(|streams| key.is_some() && streams.0.matches(key));
        asked && self.caller.can(Scope::Read, key)
    }
}

impl<'de> Deserialize<'de> for EventTypes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let mut all = EventSet::EMPTY;
        for pattern in text.split(',') {
            let found: EventSet = EventType::matching(pattern).collect();
            if found.is_empty() {
                return Err(de::Error::custom(no_event(pattern)));
            }
            all = all.union(found);
        }
        Ok(Self(all))
    }
}

impl<'de> Deserialize<'de> for EventName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        EventType::parse(&text).map(Self).ok_or_else(|| de::Error::custom(no_event(&text)))
    }
}

impl<'de> Deserialize<'de> for Streams {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let globs: Vec<&str> = text.split(',').collect();
        Selector::parse(&globs).map(Self).map_err(|error| de::Error::custom(format!("`key`: {error}")))
    }
}

impl<'de> Deserialize<'de> for SessionName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let id = numbered('s', &text).map(|number| Self(SessionId(number)));
        id.ok_or_else(|| de::Error::custom("`session` is the id of a session, as `s000001`"))
    }
}

impl<'de> Deserialize<'de> for ConnName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let id = numbered('c', &text).map(|number| Self(ConnId(number)));
        id.ok_or_else(|| de::Error::custom("`conn` is the id of a connection, as `c000001`"))
    }
}

impl<'de> Deserialize<'de> for Since {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let time = |text: &str| text.parse().ok().map(|crate::query::Time(time)| Self::Time(time));
        let found = seq(&text).map(Self::Seq).or_else(|| time(&text));
        found.ok_or_else(|| {
            de::Error::custom("`since` is the `seq` of an event, or a time as `2026-11-21T10:00:00Z`")
        })
    }
}

/// A `seq` as it is written.
pub(crate) fn seq(text: &str) -> Option<u64> {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

/// The number of an id such as `s000001`.
pub(crate) fn numbered(letter: char, text: &str) -> Option<u64> {
    seq(text.strip_prefix(letter)?)
}

/// The key of a stream in a query; without a slash the app is `live`.
///
/// # Errors
/// 400.
pub(crate) fn key_of(text: &str) -> Result<StreamKey, Problem> {
    let bad =
        |error| Problem::bad_request(format!("`key` is no key of a stream: {error}.")).with("field", "key");
    StreamKey::parse(text).map_err(bad)
}

/// What is said of a name that no event has.
pub(crate) fn no_event(name: &str) -> String {
    let name: String = name.chars().take(100).collect();
    let alike = EventType::ALL.iter().map(|event| (strsim::jaro_winkler(&name, event.name()), event.name()));
    let near = alike.filter(|(likeness, _)| *likeness > 0.8).max_by(|(a, _), (b, _)| a.total_cmp(b));
    match near {
        Some((_, near)) => format!("there is no event `{name}`: did you mean `{near}`?"),
        None => format!("there is no event `{name}`: `GET /api/v1/events` lists them"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_places_are_plain_digits() {
        assert_eq!((seq("12"), numbered('s', "s000001")), (Some(12), Some(1)));
        for wrong in ["", "-1", "+1", "1.0", " 1", "99999999999999999999", "s1"] {
            assert_eq!(seq(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_wrong_name_is_told_the_nearest() {
        assert!(no_event("publish_strat").contains("did you mean `publish_start`?"));
        assert!(no_event("xyz").contains("lists them"));
    }
}
