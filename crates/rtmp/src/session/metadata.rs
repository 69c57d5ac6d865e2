//! Data messages: which are metadata, and what of it is kept.

use crate::Error;
use crate::amf::{self, AmfError, AmfReader, Form, Object, Value};
use crate::message::MessageLimits;
use bytes::Bytes;
use std::collections::BTreeSet;

/// What a data message is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum DataMessage {
    /// `onMetaData`, cleaned.
    Metadata { properties: Object, body: Bytes },
    /// Anything else, as it is to be passed on.
    Other(Bytes),
    /// It has what AMF0 cannot say, or what only its class can read.
    Unreadable,
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

/// A message's length has 24 bits.
const MAX_BODY: usize = 1 << 24;

/// The instruction to a server to keep what follows for later players.
const SET_DATA_FRAME: &str = "@setDataFrame";

/// Tells metadata from other messages. `@setDataFrame` is an instruction to the server and is taken off.
///
/// What players get is AMF0. A message that has values in AMF3 is told anew, or left out if AMF0 cannot say
/// all of it; of metadata only what is kept must be sayable.
pub(super) fn classify(body: Bytes, limits: &MessageLimits) -> Result<DataMessage, Error> {
    match read(&body, limits) {
        Ok(message) => Ok(message),
        Err(Unfit::Error(Error::Amf(AmfError::Externalizable(_))) | Unfit::Reduced) => {
            Ok(DataMessage::Unreadable)
        }
        Err(Unfit::Error(error)) => Err(error),
    }
}

enum Unfit {
    Error(Error),
    /// AMF0 cannot say all of it.
    Reduced,
}

impl<E: Into<Error>> From<E> for Unfit {
    fn from(error: E) -> Self {
        Self::Error(error.into())
    }
}

fn read(body: &Bytes, limits: &MessageLimits) -> Result<DataMessage, Unfit> {
    let mut reader = AmfReader::new(body, limits.amf);
    let mut name = reader.next_value()?;
    // The message without the instruction begins here.
    let mut begin = 0;
    if name.as_ref().and_then(Value::as_str) == Some(SET_DATA_FRAME) {
        let inner = body.len() - reader.rest().len();
        match reader.next_value()? {
            Some(value @ Value::String(_)) => (name, begin) = (Some(value), inner),
            value => return pass(reader, body.clone(), name.into_iter().chain(value).collect()),
        }
    }
    match name.as_ref().and_then(Value::as_str) {
        Some("@clearDataFrame") => return Ok(metadata(Object::new())),
        Some("onMetaData") => {}
        _ => return pass(reader, body.slice(begin..), name.into_iter().collect()),
    }
    let (size, limit) = (reader.rest().len(), limits.command_bytes);
    if size > limit {
        return Err(Error::CommandTooLong { size, limit }.into());
    }
    let value = reader.next_value()?;
    Ok(metadata(value.as_ref().and_then(Value::as_object).map(clean).unwrap_or_default()))
}

/// A message that is passed on. All of it is read, so that it does no harm to the players that read it;
/// `values` are those that were read already.
fn pass(mut reader: AmfReader<'_>, passed: Bytes, mut values: Vec<Value>) -> Result<DataMessage, Unfit> {
    values.append(&mut reader.all()?);
    match reader.form() {
        Form::Amf0 => Ok(DataMessage::Other(passed)),
        Form::Converted => {
            let mut body = Vec::with_capacity(passed.len());
            values.iter().for_each(|value| amf::write(value, &mut body));
            if body.len() < MAX_BODY { Ok(DataMessage::Other(body.into())) } else { Err(Unfit::Reduced) }
        }
        Form::Reduced => Err(Unfit::Reduced),
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

/// The properties that can be handed on: named, finite, printable, true of a live stream. Of several of one name the
/// first.
fn clean(object: &Object) -> Object {
    let (mut cleaned, mut names) = (Object::new(), BTreeSet::new());
    for (name, value) in object.iter() {
        let named = is_printable(name) && !name.is_empty() && !FILE_PROPERTIES.contains(&name);
        if let Some(value) = clean_value(value).filter(|_| named && names.insert(name)) {
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
