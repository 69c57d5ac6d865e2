//! Events that did not happen: the catalogue's example with other values, to try a hook by.
//!
//! Used by the tools of hook authors and by the API. A fixture has ids that no client ever has (`c000000`,
//! `s000000`), and the mark `test` in its envelope.

use crate::{Event, EventSpec, EventType, FieldSpec, Kind, OrderedBy, Scope, Stamp};
use jackfield_media::{ConnId, Epoch, KeyError, SessionId, StreamKey};
use serde_json::{Map, Value};

/// The key of a fixture that is given none.
const KEY: (&str, &str) = ("live", "show");

/// What differs from the catalogue's example.
#[derive(Debug, Clone, Default)]
pub struct FixtureWish {
    /// Fields of `data` by name; `null` leaves a field out that may be absent.
    pub data: Map<String, Value>,
    /// The stream; of an event of a stream `app` and `stream_name` follow it.
    pub stream_key: Option<StreamKey>,
    /// The connection.
    pub conn_id: Option<ConnId>,
}

/// Why a fixture cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FixtureError {
    /// The event has no such field.
    #[error("`{event}` has no field `{field}` in its data")]
    UnknownField {
        /// The event.
        event: EventType,
        /// The field.
        field: String,
    },
    /// A value is of another type than the catalogue says.
    #[error("`{field}` is of type {expected}")]
    WrongType {
        /// The field.
        field: &'static str,
        /// `string`, `integer`, `boolean` or `array`.
        expected: &'static str,
    },
    /// A field is left out that is always there.
    #[error("`{0}` is never absent")]
    NeverAbsent(&'static str),
    /// `app` and `stream_name` make no stream key.
    #[error("`app` and `stream_name` make no stream key: {0}")]
    Key(#[from] KeyError),
    /// Events of a connection never carry a stream key.
    #[error("`{0}` is an event of a connection and has no stream key")]
    NoStream(EventType),
}

impl EventSpec {
    /// An event of this type with example values, but for what is wished.
    ///
    /// # Errors
    /// [`FixtureError`] if it would be an event that the catalogue does not know.
    pub fn fixture(&self, stamp: Stamp, wish: FixtureWish) -> Result<Event, FixtureError> {
        let FixtureWish { data: mut wished, stream_key, conn_id } = wish;
        let of_a_stream = self.ordered_by == OrderedBy::Stream;
        if stream_key.is_some() && !of_a_stream {
            return Err(FixtureError::NoStream(self.event_type));
        }
        let text = |field| wished.get(field).and_then(Value::as_str);
        let key = match stream_key {
            Some(key) => key,
            None => StreamKey::join(text("app").unwrap_or(KEY.0), text("stream_name").unwrap_or(KEY.1))?,
        };
        let mut data = Vec::with_capacity(self.fields.len());
        for field in self.fields {
            let value = match (wished.remove(field.name), field.name) {
                (Some(value), "app" | "stream_name") if !value.is_string() => {
                    return Err(self.wrong_type(field));
                }
                (_, "app") if of_a_stream => Value::from(key.app()),
                (_, "stream_name") if of_a_stream => Value::from(key.name()),
                (Some(Value::Null), _) if field.optional => continue,
                (Some(Value::Null), _) => return Err(FixtureError::NeverAbsent(field.name)),
                (Some(value), _) if field.takes(&value) => value,
                (Some(_), _) => return Err(self.wrong_type(field)),
                // No hook has failed.
                (None, "failopen") => continue,
                (None, _) => (field.example)(),
            };
            data.push((field.name, value));
        }
        if let Some((field, _)) = wished.into_iter().next() {
            return Err(FixtureError::UnknownField { event: self.event_type, field });
        }
        let of_a_client = self.is_of_a_client();
        let of_a_session = of_a_stream && of_a_client;
        let scope = Scope {
            conn_id: of_a_client.then(|| conn_id.unwrap_or(ConnId(0))),
            session_id: of_a_session.then_some(SessionId(0)),
            stream_key: of_a_stream.then_some(key),
            epoch: (of_a_session && self.kind == Kind::Notice).then_some(Epoch(1)),
        };
        Ok(Event::new(self.event_type, stamp, scope, data).as_test())
    }

    /// Whether it has a client: events of a stream itself and of the server have none.
    pub(crate) fn is_of_a_client(&self) -> bool {
        !matches!(
            self.event_type,
            EventType::StreamCreate
                | EventType::StreamDelete
                | EventType::ConnectionRefused
                | EventType::EventsLost
                | EventType::HookDisabled
        )
    }

    fn wrong_type(&self, field: &FieldSpec) -> FixtureError {
        FixtureError::WrongType { field: field.name, expected: field.json_type }
    }
}

impl FieldSpec {
    /// Whether a value is of the field's type.
    #[must_use]
    pub fn takes(&self, value: &Value) -> bool {
        match self.json_type {
            "string" => value.is_string(),
            "integer" => value.is_i64() || value.is_u64(),
            "boolean" => value.is_boolean(),
            "array" => value.as_array().is_some_and(|items| items.iter().all(Value::is_string)),
            _ => false,
        }
    }

    /// The value that somebody types for this field: `61`, `true`, `live`; a list is split at commas; nothing at
    /// all is `null`. `None` if the text is none of the field's type.
    #[must_use]
    pub fn read(&self, text: &str) -> Option<Value> {
        if text.is_empty() && self.optional {
            return Some(Value::Null);
        }
        match self.json_type {
            "integer" => {
                text.parse::<u64>().map(Value::from).or_else(|_big| text.parse::<i64>().map(Value::from)).ok()
            }
            "boolean" => text.parse::<bool>().ok().map(Value::from),
            "array" => Some(text.split(',').map(|part| Value::from(part.trim())).collect()),
            _ => Some(Value::from(text)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jackfield_media::UnixTime;
    use serde_json::json;

    fn stamp() -> Stamp {
        Stamp { id: ulid::Ulid(7), seq: 0, node: "n".into(), time: UnixTime(0) }
    }

    fn made(event: &str, data: Value) -> Result<Value, FixtureError> {
        let Value::Object(data) = data else { panic!("no object") };
        let spec = EventType::parse(event).unwrap().spec();
        let event = spec.fixture(stamp(), FixtureWish { data, ..FixtureWish::default() })?;
        Ok(serde_json::from_slice(event.json()).unwrap())
    }

    #[test]
    fn each_event_has_a_fixture_with_the_fields_of_its_example() {
        for event in EventType::ALL {
            let fixture = made(event.name(), json!({})).unwrap();
            let example = event.spec().example();
            assert_eq!(fixture["data"], example["data"], "{event}");
            for field in ["conn_id", "session_id", "stream_key", "epoch"] {
                assert_eq!(fixture.get(field).is_some(), example.get(field).is_some(), "{event}: {field}");
            }
        }
    }

    #[test]
    fn the_key_and_its_parts_agree() {
        let fixture =
            made("publish_start", json!({"app": "tv", "stream_name": "a/b", "query": null})).unwrap();
        assert_eq!((&fixture["stream_key"], &fixture["data"]["app"]), (&json!("tv/a/b"), &json!("tv")));
        assert_eq!(fixture["data"].get("query"), None);
        let spec = EventType::PlayStop.spec();
        let wish = FixtureWish { stream_key: Some(StreamKey::parse("x/y").unwrap()), ..Default::default() };
        let event = spec.fixture(stamp(), wish.clone()).unwrap();
        assert_eq!(event.field("stream_name"), Some(&json!("y")));
        let refused = EventType::ConnectionClose.spec().fixture(stamp(), wish);
        assert_eq!(refused.unwrap_err(), FixtureError::NoStream(EventType::ConnectionClose));
    }

    #[test]
    fn what_the_catalogue_does_not_know_is_refused() {
        for (data, error) in [
            (json!({"colour": "red"}), "`publish_start` has no field `colour` in its data"),
            (json!({"app": 5}), "`app` is of type string"),
            (json!({"client_port": "x"}), "`client_port` is of type integer"),
            (json!({"client_ip": null}), "`client_ip` is never absent"),
            (json!({"failopen": [1]}), "`failopen` is of type array"),
            (
                json!({"app": "a b"}),
                "`app` and `stream_name` make no stream key: the stream name has a character that is not allowed",
            ),
        ] {
            assert_eq!(made("publish_start", data).unwrap_err().to_string(), error);
        }
    }

    #[test]
    fn what_is_typed_becomes_a_value_of_the_fields_type() {
        let field = |event: EventType, name: &str| {
            event.spec().fields.iter().find(|field| field.name == name).unwrap().read("12")
        };
        assert_eq!(field(EventType::PublishStart, "client_port"), Some(json!(12)));
        assert_eq!(field(EventType::PublishStart, "app"), Some(json!("12")));
        assert_eq!(field(EventType::PublishStart, "failopen"), Some(json!(["12"])));
        assert_eq!(field(EventType::HandshakeComplete, "tls"), None);
    }
}
