//! Writing AMF0.

use super::{Object, Value, marker};

/// Appends a value. What came from a reader is written as it was read, apart from the form of strings
/// (long only if they must be) and the count of an ECMA array (made true).
pub fn write(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Number(number) => {
            out.push(marker::NUMBER);
            out.extend_from_slice(&number.to_be_bytes());
        }
        Value::Boolean(on) => out.extend_from_slice(&[marker::BOOLEAN, u8::from(*on)]),
        Value::String(text) => string(text, out),
        Value::Object(object) => {
            out.push(marker::OBJECT);
            properties(object, out);
        }
        Value::Null => out.push(marker::NULL),
        Value::Undefined => out.push(marker::UNDEFINED),
        Value::Reference(number) => {
            out.push(marker::REFERENCE);
            out.extend_from_slice(&number.to_be_bytes());
        }
        Value::EcmaArray(object) => {
            out.push(marker::ECMA_ARRAY);
            count(object.len(), out);
            properties(object, out);
        }
        Value::StrictArray(values) => {
            out.push(marker::STRICT_ARRAY);
            count(values.len(), out);
            values.iter().for_each(|value| write(value, out));
        }
        Value::Date { unix_ms, zone } => {
            out.push(marker::DATE);
            out.extend_from_slice(&unix_ms.to_be_bytes());
            out.extend_from_slice(&zone.to_be_bytes());
        }
        Value::Unsupported => out.push(marker::UNSUPPORTED),
        Value::Xml(text) => {
            out.push(marker::XML);
            count(text.len(), out);
            out.extend_from_slice(text.as_bytes());
        }
        Value::Typed { class, object } => {
            out.push(marker::TYPED_OBJECT);
            name(class, out);
            properties(object, out);
        }
    }
}

fn string(text: &str, out: &mut Vec<u8>) {
    if u16::try_from(text.len()).is_ok() {
        out.push(marker::STRING);
        name(text, out);
    } else {
        out.push(marker::LONG_STRING);
        count(text.len(), out);
        out.extend_from_slice(text.as_bytes());
    }
}

fn properties(object: &Object, out: &mut Vec<u8>) {
    for (key, value) in object.iter() {
        name(key, out);
        write(value, out);
    }
    out.extend_from_slice(&[0, 0, marker::OBJECT_END]);
}

/// A name has 16 bits of length; a longer one cannot be expressed and is cut at a character.
fn name(text: &str, out: &mut Vec<u8>) {
    let mut end = text.len().min(usize::from(u16::MAX));
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let len = u16::try_from(end).unwrap_or(u16::MAX);
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(text.as_bytes().get(..end).unwrap_or_default());
}

fn count(len: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes());
}
