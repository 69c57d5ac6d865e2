//! The stamped event that hooks get: its JSON line and its environment variables.

use crate::{EventSpec, EventType, Masker};
use bytes::Bytes;
use jackfield_media::{ConnId, Epoch, KeyError, SessionId, StreamKey, Text, UnixTime};
use serde_json::{Map, Value};
use std::fmt;
use std::io::Write as _;
use std::sync::OnceLock;
use ulid::Ulid;

mod parse;

pub use parse::ParseError;

/// Version of `data` (`v` in the envelope).
const SCHEMA_VERSION: u32 = 1;
/// Room for a line, so that most are written without moving.
const USUAL_LINE: usize = 640;
/// What an event takes in memory beside its fields: itself and the envelope's own part of its line.
const HELD_BYTES: usize = 512;
/// What a field takes beside its text: itself, its name in the line and what surrounds it.
const HELD_BYTES_OF_FIELD: usize = 64;

/// What an event is about.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    /// The connection.
    pub conn_id: Option<ConnId>,
    /// The publish or play session.
    pub session_id: Option<SessionId>,
    /// The stream; never set on events that are ordered by their connection.
    pub stream_key: Option<StreamKey>,
    /// The publish session of that key.
    pub epoch: Option<Epoch>,
}

/// What makes an event this event: set once, the same for all hooks and all attempts.
#[derive(Debug, Clone)]
pub struct Stamp {
    /// Its id.
    pub id: Ulid,
    /// Its place in the order of this node.
    pub seq: u64,
    /// The node's name.
    pub node: Text,
    /// When it happened.
    pub time: UnixTime,
}

/// What differs per delivery of a question.
#[derive(Debug, Clone)]
pub struct DeliveryFields<'a> {
    /// The hook's name.
    pub hook: &'a str,
    /// Number of the try, from 1.
    pub attempt: u32,
    /// Milliseconds left when the call is sent.
    pub deadline_ms: u64,
}

/// A stamped event. Built once, serialised once, shared.
#[derive(Debug)]
pub struct Event {
    event_type: EventType,
    stamp: Stamp,
    scope: Scope,
    data: Vec<(&'static str, Value)>,
    purpose: Purpose,
    json: OnceLock<Bytes>,
}

/// Whether an event happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Fact,
    Test,
}

impl Event {
    /// An event of this type with rendered `data`.
    #[must_use]
    pub fn new(event_type: EventType, stamp: Stamp, scope: Scope, data: Vec<(&'static str, Value)>) -> Self {
        Self { event_type, stamp, scope, data, purpose: Purpose::Fact, json: OnceLock::new() }
    }

    /// The same event as one that did not happen: hooks read `"test":true` in its envelope.
    #[must_use]
    pub fn as_test(self) -> Self {
        Self { purpose: Purpose::Test, json: OnceLock::new(), ..self }
    }

    /// Whether it did not happen, but was made to try hooks.
    #[must_use]
    pub fn is_test(&self) -> bool {
        self.purpose == Purpose::Test
    }

    /// About how many bytes of memory it takes, once it is serialised.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        let text = |value: &Value| value.as_str().map_or(0, str::len);
        self.data.iter().fold(HELD_BYTES, |sum, (_, value)| sum + HELD_BYTES_OF_FIELD + 2 * text(value))
    }

    /// Its place in the catalogue.
    #[must_use]
    pub fn event_type(&self) -> EventType {
        self.event_type
    }

    /// What the catalogue says of it.
    #[must_use]
    pub fn spec(&self) -> &'static EventSpec {
        self.event_type.spec()
    }

    /// Its stamp.
    #[must_use]
    pub fn stamp(&self) -> &Stamp {
        &self.stamp
    }

    /// What it is about.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Its fields in the catalogue's order.
    #[must_use]
    pub fn data(&self) -> &[(&'static str, Value)] {
        &self.data
    }

    /// One field of `data`.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Value> {
        self.data.iter().find(|(field, _)| *field == name).map(|(_, value)| value)
    }

    /// The question as the next hook of its chain sees it after a hook replaced its key. A value
    /// without a slash keeps the app.
    ///
    /// # Errors
    /// [`KeyError`] if the value is no stream key.
    pub fn with_key(&self, value: &str) -> Result<Self, KeyError> {
        let key = match &self.scope.stream_key {
            Some(current) => current.sibling(value)?,
            None => StreamKey::parse(value)?,
        };
        let mut next = self.copy();
        for (name, field) in &mut next.data {
            match *name {
                "app" => *field = Value::from(key.app()),
                "stream_name" => *field = Value::from(key.name()),
                _ => {}
            }
        }
        next.scope.stream_key = Some(key);
        Ok(next)
    }

    /// The question as later hooks see it after one failed and was let through.
    #[must_use]
    pub fn with_failopen(&self, hook: &str) -> Self {
        let mut next = self.copy();
        match next.data.iter_mut().find(|(name, _)| *name == "failopen") {
            Some((_, Value::Array(names))) => names.push(Value::from(hook)),
            _ => next.data.push(("failopen", Value::from(vec![hook]))),
        }
        next
    }

    /// The event with its secrets masked, for logs and whatever is kept.
    #[must_use]
    pub fn masked(&self, masker: &Masker) -> Self {
        let mut next = self.copy();
        for (name, value) in &mut next.data {
            let secret = self.spec().fields.iter().any(|field| field.masked && field.name == *name);
            if let (true, Value::String(text)) = (secret, &mut *value) {
                *text = masker.mask(text);
            }
        }
        next
    }

    fn copy(&self) -> Self {
        Self {
            event_type: self.event_type,
            stamp: self.stamp.clone(),
            scope: self.scope.clone(),
            data: self.data.clone(),
            purpose: self.purpose,
            json: OnceLock::new(),
        }
    }

    /// The envelope as one line of JSON without a newline, made at the first call.
    #[must_use]
    pub fn json(&self) -> &Bytes {
        self.json.get_or_init(|| self.line(0, None).into())
    }

    /// The envelope with what belongs to one delivery: how many events this hook lost before it
    /// (0 = no field), and a question's delivery fields.
    #[must_use]
    pub fn json_for(&self, num_dropped: u64, delivery: Option<&DeliveryFields<'_>>) -> Bytes {
        if num_dropped == 0 && delivery.is_none() {
            return self.json().clone();
        }
        self.line(num_dropped, delivery).into()
    }

    fn line(&self, num_dropped: u64, delivery: Option<&DeliveryFields<'_>>) -> Vec<u8> {
        let (Stamp { id, seq, node, time }, scope) = (&self.stamp, &self.scope);
        let mut out = JsonLine::new();
        out.text("type", self.event_type.name());
        out.number("timestamp", time.seconds());
        out.plain("id", id);
        out.plain("seq", seq);
        out.text("node", node);
        if let Some(conn) = scope.conn_id {
            out.plain("conn_id", conn);
        }
        if let Some(session) = scope.session_id {
            out.plain("session_id", session);
        }
        if let Some(key) = &scope.stream_key {
            out.text("stream_key", key.as_str());
        }
        if let Some(epoch) = scope.epoch {
            out.number("epoch", epoch);
        }
        out.plain("time", rfc3339(*time));
        out.number("v", SCHEMA_VERSION);
        if self.is_test() {
            out.number("test", true);
        }
        if num_dropped > 0 {
            out.number("num_dropped", num_dropped);
        }
        if let Some(delivery) = delivery {
            out.text("hook", delivery.hook);
            out.number("attempt", delivery.attempt);
            out.number("deadline_ms", delivery.deadline_ms);
        }
        out.object("data", &self.data);
        out.finish()
    }

    /// `id seq node conn_id session_id stream_key epoch time`: what is known of them.
    fn identity(&self) -> Vec<(&'static str, Value)> {
        let scope = &self.scope;
        let known = [
            ("id", Some(Value::from(self.stamp.id.to_string()))),
            ("seq", Some(Value::from(self.stamp.seq.to_string()))),
            ("node", Some(Value::from(self.stamp.node.as_str()))),
            ("conn_id", scope.conn_id.map(|id| Value::from(id.to_string()))),
            ("session_id", scope.session_id.map(|id| Value::from(id.to_string()))),
            ("stream_key", scope.stream_key.as_ref().map(|key| Value::from(key.as_str()))),
            ("epoch", scope.epoch.map(|epoch| Value::from(epoch.0))),
            ("time", Some(Value::from(rfc3339(self.stamp.time)))),
        ];
        known.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }

    /// The variables of a one-shot program, without their prefix: `TYPE`, `TIMESTAMP`, `CONN_ID`,
    /// `STREAM_KEY`, then each scalar of `data` in the catalogue's order, then `ID SEQ NODE
    /// SESSION_ID EPOCH TIME`, and `TEST`, which is `true`, for one that did not happen. The flag says whether the historic name has `RTMP_EVENT_` instead of `RTMP_`.
    #[must_use]
    pub fn variables(&self) -> Vec<Variable> {
        let identity: Map<String, Value> =
            self.identity().into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let mut out = vec![Variable {
            name: "TYPE".to_owned(),
            historic: "RTMP_EVENT_TYPE".to_owned(),
            value: self.event_type.name().to_owned(),
        }];
        let mut push = |name: &str, value: &Value| {
            let text = match value {
                Value::String(text) => text.clone(),
                Value::Number(number) => number.to_string(),
                Value::Bool(flag) => flag.to_string(),
                _ => return,
            };
            let name = name.to_ascii_uppercase();
            out.push(Variable { historic: format!("RTMP_{name}"), name, value: text });
        };
        push("timestamp", &Value::from(self.stamp.time.seconds()));
        let push_known = |names: &[&str], push: &mut dyn FnMut(&str, &Value)| {
            for name in names {
                if let Some(value) = identity.get(*name) {
                    push(name, value);
                }
            }
        };
        push_known(&["conn_id", "stream_key"], &mut push);
        for (name, value) in &self.data {
            push(name, value);
        }
        push_known(&["id", "seq", "node", "session_id", "epoch", "time"], &mut push);
        if self.is_test() {
            push("test", &Value::Bool(true));
        }
        out
    }

    /// The environment of a one-shot program: every variable as `RTMP_…` (the event-hook
    /// specification's names) and as `JACKFIELD_EVENT_…`.
    #[must_use]
    pub fn environment(&self) -> Vec<(String, String)> {
        let mut out = Vec::new();
        for variable in self.variables() {
            out.push((variable.historic, variable.value.clone()));
            out.push((format!("JACKFIELD_EVENT_{}", variable.name), variable.value));
        }
        out
    }
}

/// One environment variable of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    /// The name without a prefix: `STREAM_KEY`.
    pub name: String,
    /// The name in the event-hook specification: `RTMP_STREAM_KEY`.
    pub historic: String,
    /// The value as text.
    pub value: String,
}

/// RFC 3339 in UTC with microseconds.
fn rfc3339(time: UnixTime) -> String {
    jiff::Timestamp::from_microsecond(time.0)
        .map_or_else(|_out_of_range| String::from("1970-01-01T00:00:00.000000Z"), |at| format!("{at:.6}"))
}

/// Writes one object in the order of the calls. Names are those of the catalogue and need no escapes.
struct JsonLine {
    out: Vec<u8>,
}

impl JsonLine {
    fn new() -> Self {
        Self { out: Vec::with_capacity(USUAL_LINE) }
    }

    fn text(&mut self, name: &str, text: &str) {
        self.name(name);
        write_json(&mut self.out, text);
    }

    /// Text that is plain ASCII without quotes.
    fn plain(&mut self, name: &str, text: impl fmt::Display) {
        self.name(name);
        write!(self.out, "\"{text}\"").expect("invariant: memory takes all");
    }

    /// A number, or `true` or `false`.
    fn number(&mut self, name: &str, number: impl fmt::Display) {
        self.name(name);
        write!(self.out, "{number}").expect("invariant: memory takes all");
    }

    fn object(&mut self, name: &str, fields: &[(&'static str, Value)]) {
        self.name(name);
        self.out.push(b'{');
        for (index, (name, value)) in fields.iter().enumerate() {
            if index > 0 {
                self.out.push(b',');
            }
            self.quoted(name);
            write_json(&mut self.out, value);
        }
        self.out.push(b'}');
    }

    fn name(&mut self, name: &str) {
        self.out.push(if self.out.is_empty() { b'{' } else { b',' });
        self.quoted(name);
    }

    fn quoted(&mut self, name: &str) {
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    fn finish(mut self) -> Vec<u8> {
        self.out.push(b'}');
        self.out
    }
}

fn write_json<T: serde::Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    serde_json::to_writer(out, value)
        .expect("invariant: a JSON value without maps of other keys always serialises into memory");
}

#[cfg(test)]
mod tests;
