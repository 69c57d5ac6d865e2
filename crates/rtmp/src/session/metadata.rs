//! Data messages: which are metadata, and what of it is kept.

use crate::Error;
use crate::amf::{self, AmfError, AmfReader, Object, Value};
use crate::message::{MessageLimits, data_name};
use bytes::{Buf, Bytes};

/// What a data message is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum DataMessage {
    /// `onMetaData`, cleaned.
    Metadata { properties: Object, body: Bytes },
    /// Anything else, as it is to be passed on.
    Other(Bytes),
}

/// Properties that describe a file. Of a live stream they are untrue, and mislead players.
const FILE_PROPERTIES: [&str; 9] = [
    "duration",
    "filesize",
    "keyframes",
    "hasKeyframes",
    "lasttimestamp",
    "lastkeyframetimestamp",
    "lastkeyframelocation",
    "canSeekToEnd",
    "cuePoints",
];

/// Texts of metadata are cut off the list if they are longer than this many bytes.
const MAX_VALUE_BYTES: usize = 1024;

/// Tells metadata from other messages. `@setDataFrame` is an instruction to the server and is taken off.
pub(super) fn classify(body: Bytes, limits: &MessageLimits) -> Result<DataMessage, Error> {
    let Some((name, rest)) = data_name(&body, limits)? else {
        return Ok(DataMessage::Other(body));
    };
    let (name, values) = match name.as_str() {
        "@setDataFrame" => match data_name(rest, limits)? {
            Some((inner, values)) => (inner, values),
            None => return Ok(DataMessage::Other(body)),
        },
        "@clearDataFrame" => return Ok(metadata(Object::new())),
        _ => (name, rest),
    };
    if name == "onMetaData" {
        let limit = limits.command_bytes;
        if values.len() > limit {
            return Err(Error::CommandTooLong { size: values.len(), limit });
        }
        let value = AmfReader::new(values, limits.amf).next_value()?;
        let properties = value.as_ref().and_then(Value::as_object).map(clean).unwrap_or_default();
        return Ok(metadata(properties));
    }
    check(values, limits)?;
    let mut passed = body.clone();
    if passed.get(3..).is_some_and(|after| after.starts_with(b"@setDataFrame")) {
        // Marker, length, text.
        passed.advance(3 + "@setDataFrame".len());
    }
    Ok(DataMessage::Other(passed))
}

/// What is passed on unread must not harm the players that read it.
fn check(values: &[u8], limits: &MessageLimits) -> Result<(), Error> {
    match AmfReader::new(values, limits.amf).all() {
        // Beyond the switch to AMF3 nothing can be checked, and Flash players can read it.
        Ok(_) | Err(AmfError::Amf3) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn metadata(properties: Object) -> DataMessage {
    let mut body = Vec::with_capacity(512);
    amf::write(&"onMetaData".into(), &mut body);
    let value = Value::EcmaArray(properties);
    amf::write(&value, &mut body);
    let Value::EcmaArray(properties) = value else {
        return DataMessage::Other(body.into());
    };
    DataMessage::Metadata { properties, body: body.into() }
}

/// The properties that can be handed on: named, finite, printable, true of a live stream.
fn clean(object: &Object) -> Object {
    let mut cleaned = Object::new();
    for (name, value) in object.iter() {
        let named = is_printable(name) && !name.is_empty() && !FILE_PROPERTIES.contains(&name);
        if let Some(value) = clean_value(value).filter(|_| named && cleaned.find(name).is_none()) {
            cleaned.push(name.to_owned(), value);
        }
    }
    cleaned
}

fn clean_value(value: &Value) -> Option<Value> {
    match value {
        Value::Number(number) if number.is_finite() => Some(Value::Number(*number)),
        Value::Boolean(on) => Some(Value::Boolean(*on)),
        Value::String(text) if is_printable(text) => Some(Value::String(text.clone())),
        // Multitrack encoders describe each track in an object of its own.
        Value::Object(object) | Value::EcmaArray(object) => Some(Value::Object(clean(object))),
        Value::Date { unix_ms, zone } if unix_ms.is_finite() => {
            Some(Value::Date { unix_ms: *unix_ms, zone: *zone })
        }
        _ => None,
    }
}

fn is_printable(text: &str) -> bool {
    text.len() <= MAX_VALUE_BYTES && !text.chars().any(char::is_control)
}
