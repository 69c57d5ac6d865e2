//! What handlers answer, read: the native form of answers.
//!
//! All transports read answers here, so that a script, a worker and a webhook mean the same by the same
//! words. Answers come from outside: they are bounded in size and depth and never panic.

use crate::{Failure, Outcome};
use jackfield_events::{Answer, Decision, Kind, Reason};
use jackfield_media::Text;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use ulid::Ulid;

/// Bytes of an answer. More is a `protocol_error`: no decision needs it, and it is memory for each call.
pub const ANSWER_CAP: usize = 64 * 1024;
/// Objects and arrays within each other.
const MAX_DEPTH: usize = 16;
const MAX_TAGS: usize = 64;
/// Bytes of a reason's code, of a tag's name and of its value.
const MAX_WORD_BYTES: usize = 256;
const MAX_TEXT_BYTES: usize = 1024;
/// Bytes of the text for the client, which some protocols carry in a short string.
const MAX_PUBLIC_BYTES: usize = 200;
/// Fields that order something for an allowed session; an object that has one of them and no decision
/// allows. Apart from `tags` they are accepted and mean nothing yet.
const ORDERS: [&str; 5] = ["record", "tags", "ttl_ms", "recheck_ms", "room"];
/// Fields that say something beside a decision, and the delivery id of a worker's answer.
const OTHERS: [&str; 4] = ["decision", "value", "reason", "d"];

/// Reads the answer to an event of this kind and id.
///
/// | answer | means |
/// |---|---|
/// | nothing, white space, `{}` | pass |
/// | an object with `decision` | `allow` and `keep`, `deny`, `replace` with `value`, `pass` |
/// | an object with the event's `id` and no `decision` (the event echoed) | pass |
/// | an object with one of `record tags ttl_ms recheck_ms room` and no `decision` | allow |
/// | anything else | a failure |
///
/// `reason` is an object of `code`, `text` and `public`, or a string, which is `public`. Fields that are
/// not known are counted. Of a notice's answer nothing is read.
///
/// # Errors
/// A [`Failure`] with [`Outcome::ProtocolError`].
pub fn parse_answer(kind: Kind, event_id: Ulid, bytes: &[u8]) -> Result<Answer, Failure> {
    if !kind.is_question() {
        return Ok(Answer::bare(Decision::Pass));
    }
    let Some(mut object) = parse_object(bytes)? else { return Ok(Answer::bare(Decision::Pass)) };
    object.remove("d");
    if object.is_empty() {
        return Ok(Answer::bare(Decision::Pass));
    }
    let unknown = object.keys().filter(|name| !is_known(name)).count();
    let decision = match object.get("decision") {
        None | Some(Value::Null) if is_echo(&object, event_id) => return Ok(Answer::bare(Decision::Pass)),
        None | Some(Value::Null) if ORDERS.iter().any(|name| object.contains_key(*name)) => Decision::Allow,
        None | Some(Value::Null) => return Err(wrong("an object without `decision`")),
        Some(Value::String(word)) => decision(kind, word, object.get("value"))?,
        Some(_) => return Err(wrong("`decision` is not a word")),
    };
    Ok(Answer {
        decision,
        reason: object.get("reason").map_or_else(|| Ok(Reason::default()), reason)?,
        tags: object.get("tags").map_or_else(|| Ok(BTreeMap::new()), tags)?,
        unknown_fields: u32::try_from(unknown).unwrap_or(u32::MAX),
    })
}

/// The reason in the body of an answer that denies by other means, such as HTTP 403: of a JSON object
/// its `reason`; of anything else none.
#[must_use]
pub fn parse_reason(bytes: &[u8]) -> Reason {
    let object = parse_object(bytes).ok().flatten();
    object.and_then(|object| reason(object.get("reason")?).ok()).unwrap_or_default()
}

fn wrong(detail: &str) -> Failure {
    Failure::new(Outcome::ProtocolError, detail)
}

/// `None` if there is nothing but white space.
fn parse_object(bytes: &[u8]) -> Result<Option<Map<String, Value>>, Failure> {
    if bytes.len() > ANSWER_CAP {
        return Err(wrong("the answer is larger than 64 KiB"));
    }
    if bytes.trim_ascii().is_empty() {
        return Ok(None);
    }
    if depth(bytes) > MAX_DEPTH {
        return Err(wrong("the answer is nested too deep"));
    }
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(object)) => Ok(Some(object)),
        Ok(_) => Err(wrong("the answer is no object")),
        Err(error) => Err(wrong(&format!("the answer is no JSON: {error}"))),
    }
}

/// How deep brackets stand within each other, read without building anything.
fn depth(bytes: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0usize, 0usize);
    let (mut quoted, mut escaped) = (false, false);
    for byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'{' | b'[' if !quoted => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

fn is_known(name: &str) -> bool {
    ORDERS.contains(&name) || OTHERS.contains(&name)
}

fn is_echo(object: &Map<String, Value>, event_id: Ulid) -> bool {
    object.get("id").and_then(Value::as_str).is_some_and(|id| id == event_id.to_string())
}

fn decision(kind: Kind, word: &str, value: Option<&Value>) -> Result<Decision, Failure> {
    match word {
        "pass" => Ok(Decision::Pass),
        "allow" | "keep" => Ok(Decision::Allow),
        "deny" => Ok(Decision::Deny),
        "replace" if kind != Kind::Resolve => {
            Err(wrong("`replace` to a question that has nothing to replace"))
        }
        "replace" => match value {
            Some(Value::String(value)) if !value.is_empty() => Ok(Decision::Replace(value.as_str().into())),
            _ => Err(wrong("`replace` without a `value`")),
        },
        word => Err(wrong(&format!("`{}` is no decision", cleaned(word, 40)))),
    }
}

fn reason(value: &Value) -> Result<Reason, Failure> {
    let text = |field: &Value, most| match field {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(cleaned(text, most)).filter(|text| !text.is_empty()).map(Text::from)),
        _ => Err(wrong("a part of `reason` is no text")),
    };
    match value {
        Value::Object(object) => {
            let part = |name, most| object.get(name).map_or(Ok(None), |field| text(field, most));
            Ok(Reason {
                code: part("code", MAX_WORD_BYTES)?,
                text: part("text", MAX_TEXT_BYTES)?,
                public: part("public", MAX_PUBLIC_BYTES)?,
            })
        }
        Value::String(_) | Value::Null => {
            Ok(Reason { public: text(value, MAX_PUBLIC_BYTES)?, ..Reason::default() })
        }
        _ => Err(wrong("`reason` is neither an object nor a text")),
    }
}

fn tags(value: &Value) -> Result<BTreeMap<Text, Text>, Failure> {
    let object = match value {
        Value::Object(object) if object.len() <= MAX_TAGS => object,
        Value::Object(_) => return Err(wrong("`tags` has more than 64 tags")),
        Value::Null => return Ok(BTreeMap::new()),
        _ => return Err(wrong("`tags` is no object")),
    };
    let tag = |(name, value): (&String, &Value)| {
        let value = match value {
            Value::String(text) => cleaned(text, MAX_WORD_BYTES),
            Value::Number(number) => number.to_string(),
            Value::Bool(flag) => flag.to_string(),
            _ => return Err(wrong("a tag is neither text, number nor boolean")),
        };
        Ok((Text::from(cleaned(name, MAX_WORD_BYTES)), Text::from(value)))
    };
    object.iter().map(tag).collect()
}

/// The text without control characters, cut to so many bytes: it goes to clients, logs and terminals.
fn cleaned(text: &str, most: usize) -> String {
    let mut out = String::with_capacity(text.len().min(most));
    for c in text.trim().chars() {
        let c = if c.is_control() { ' ' } else { c };
        if out.len() + c.len_utf8() > most {
            break;
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests;
