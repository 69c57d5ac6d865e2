//! Reading a stored event back from its line of JSON.

use super::{Event, SCHEMA_VERSION, Scope, Stamp};
use crate::{EventType, FieldSpec};
use jackfield_media::{ConnId, Epoch, SessionId, StreamKey, UnixTime};
use serde_json::{Map, Value};
use ulid::Ulid;

/// The longest line that is taken for an event.
const MAX_LINE: usize = 1024 * 1024;

/// Why bytes are no event that this server wrote.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// More than 1 MiB.
    #[error("longer than 1 MiB")]
    TooLong,
    /// No object of JSON.
    #[error("no object of JSON")]
    NotJson,
    /// An event of another version of the catalogue.
    #[error("there is no event `{0}`")]
    UnknownType(String),
    /// A field is missing, of another type, or no value of its kind.
    #[error("the field `{0}` is missing or not as it must be")]
    BadField(&'static str),
    /// A field of `data` that the event does not have.
    #[error("`{0}` is no field of the event")]
    UnknownField(String),
    /// All fields are right, but this is not how they are written.
    #[error("not written as events are")]
    NotCanonical,
}

impl Event {
    /// The event of a line that [`Event::json`] made; rendered again, it is the same bytes.
    ///
    /// # Errors
    /// [`ParseError`] for everything else.
    pub fn parse(line: &[u8]) -> Result<Self, ParseError> {
        if line.len() > MAX_LINE {
            return Err(ParseError::TooLong);
        }
        let Ok(mut object) = serde_json::from_slice::<Map<String, Value>>(line) else {
            return Err(ParseError::NotJson);
        };
        let name = required(&object, "type", Value::as_str)?;
        let event_type = EventType::parse(name).ok_or_else(|| ParseError::UnknownType(name.to_owned()))?;
        if required(&object, "v", Value::as_u64)? != u64::from(SCHEMA_VERSION) {
            return Err(ParseError::BadField("v"));
        }
        let (stamp, scope) = (stamp(&object)?, scope(&object)?);
        let test = optional(&object, "test", Value::as_bool)?.unwrap_or_default();
        let Some(Value::Object(data)) = object.get_mut("data").map(Value::take) else {
            return Err(ParseError::BadField("data"));
        };
        let event = Self::new(event_type, stamp, scope, fields(event_type, data)?);
        let event = if test { event.as_test() } else { event };
        if *event.json() != *line {
            return Err(ParseError::NotCanonical);
        }
        Ok(event)
    }
}

fn stamp(object: &Map<String, Value>) -> Result<Stamp, ParseError> {
    let time = required(object, "time", |value| value.as_str()?.parse::<jiff::Timestamp>().ok())?;
    Ok(Stamp {
        id: required(object, "id", |value| Ulid::from_string(value.as_str()?).ok())?,
        seq: required(object, "seq", |value| value.as_str()?.parse().ok())?,
        node: required(object, "node", Value::as_str)?.into(),
        time: UnixTime(time.as_microsecond()),
    })
}

fn scope(object: &Map<String, Value>) -> Result<Scope, ParseError> {
    Ok(Scope {
        conn_id: optional(object, "conn_id", |value| number(value, 'c'))?.map(ConnId),
        session_id: optional(object, "session_id", |value| number(value, 's'))?.map(SessionId),
        stream_key: optional(object, "stream_key", |value| StreamKey::parse(value.as_str()?).ok())?,
        epoch: optional(object, "epoch", Value::as_u64)?.map(Epoch),
    })
}

/// The number of an id such as `c000001`.
fn number(value: &Value, prefix: char) -> Option<u64> {
    value.as_str()?.strip_prefix(prefix)?.parse().ok()
}

fn required<'a, T>(
    object: &'a Map<String, Value>,
    name: &'static str,
    read: impl FnOnce(&'a Value) -> Option<T>,
) -> Result<T, ParseError> {
    optional(object, name, read)?.ok_or(ParseError::BadField(name))
}

fn optional<'a, T>(
    object: &'a Map<String, Value>,
    name: &'static str,
    read: impl FnOnce(&'a Value) -> Option<T>,
) -> Result<Option<T>, ParseError> {
    object.get(name).map(|value| read(value).ok_or(ParseError::BadField(name))).transpose()
}

/// The fields of `data` in the catalogue's order. One that a former version did not write yet may be missing.
fn fields(event: EventType, mut data: Map<String, Value>) -> Result<Vec<(&'static str, Value)>, ParseError> {
    let mut fields = Vec::with_capacity(data.len());
    for spec in event.spec().fields {
        let Some(value) = data.remove(spec.name) else { continue };
        if !is_of_type(&value, spec) {
            return Err(ParseError::BadField(spec.name));
        }
        fields.push((spec.name, value));
    }
    match data.into_iter().next() {
        Some((name, _)) => Err(ParseError::UnknownField(name)),
        None => Ok(fields),
    }
}

fn is_of_type(value: &Value, spec: &FieldSpec) -> bool {
    match spec.json_type {
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "boolean" => value.is_boolean(),
        _ => value.as_array().is_some_and(|list| list.iter().all(Value::is_string)),
    }
}
