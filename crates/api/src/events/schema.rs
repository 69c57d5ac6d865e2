//! The JSON Schema of an event's envelope, out of the catalogue.

use jackfield_events::{EventSpec, FieldSpec};
use serde_json::{Map, Value, json};

/// JSON Schema 2020-12 of the envelope. Fields that it does not name may come with a later version.
pub(super) fn of(spec: &EventSpec) -> Value {
    let is_question = spec.kind.is_question();
    let mut envelope = json!({
        "type": {"const": spec.name},
        "timestamp": {"type": "integer", "description": "Unix seconds."},
        "id": {"type": "string", "pattern": "^[0-7][0-9A-HJKMNP-TV-Z]{25}$", "description": "ULID, the same over retries and for all hooks."},
        "seq": {"type": "string", "pattern": "^[0-9]+$", "description": "Order on this node."},
        "node": {"type": "string"},
        "conn_id": {"type": "string", "pattern": "^c[0-9]+$"},
        "session_id": {"type": "string", "pattern": "^s[0-9]+$"},
        "stream_key": {"type": "string", "description": "`app/name`."},
        "epoch": {"type": "integer", "minimum": 1},
        "time": {"type": "string", "format": "date-time"},
        "v": {"const": 1, "description": "Version of `data`."},
        "num_dropped": {"type": "integer", "minimum": 1},
        "test": {"const": true, "description": "It did not happen: it tries a hook."},
    });
    let mut required = vec!["type", "timestamp", "id", "seq", "node", "time", "v", "data"];
    if is_question {
        envelope["hook"] = json!({"type": "string"});
        envelope["attempt"] = json!({"type": "integer", "minimum": 1});
        envelope["deadline_ms"] = json!({"type": "integer", "minimum": 0});
        required.extend(["hook", "attempt", "deadline_ms"]);
    }
    let fields: Map<String, Value> =
        spec.fields.iter().map(|field| (field.name.to_owned(), of_field(field))).collect();
    let always: Vec<&str> =
        spec.fields.iter().filter(|field| !field.optional).map(|field| field.name).collect();
    envelope["data"] = json!({"type": "object", "properties": fields, "required": always});
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": spec.name,
        "description": spec.when.trim(),
        "type": "object",
        "properties": envelope,
        "required": required,
    })
}

fn of_field(field: &FieldSpec) -> Value {
    let mut schema = json!({
        "type": field.json_type, "description": field.about.trim(), "examples": [(field.example)()],
    });
    if field.json_type == "array" {
        schema["items"] = json!({"type": "string"});
    }
    schema
}
