//! The event that a hook is tried with, as it is typed.

use crate::failed::{Exit, Failed, meant};
use jackfield_events::{Event, EventSpec, EventType, FixtureError, FixtureWish, Stamp};
use jackfield_media::{ConnId, StreamKey};
use jackfield_runtime::{clock, random};
use serde_json::{Map, Value};

/// The name of the node in events that never went through a server.
const NODE: &str = "test";

#[derive(Debug, Clone, clap::Args)]
pub(super) struct FixtureArgs {
    /// A field of the event's data: client_ip=192.0.2.1. An empty value leaves it out.
    #[arg(short, long, value_name = "FIELD=VALUE")]
    data: Vec<String>,

    /// The stream that it is about.
    #[arg(long, value_name = "STREAM", value_parser = key)]
    key: Option<StreamKey>,

    /// The connection that it is about: c000001.
    #[arg(long, value_name = "ID", value_parser = conn)]
    conn: Option<ConnId>,
}

fn key(text: &str) -> Result<StreamKey, String> {
    StreamKey::parse(text).map_err(|error| error.to_string())
}

fn conn(text: &str) -> Result<ConnId, String> {
    let number = text.strip_prefix('c').and_then(|digits| digits.parse().ok());
    number.map(ConnId).ok_or_else(|| "a connection is named like c000001".to_owned())
}

/// The event of this name, or a suggestion.
pub(super) fn event_type(name: &str) -> Result<EventType, Failed> {
    EventType::parse(name).ok_or_else(|| {
        let near = meant(name, EventType::ALL.iter().map(|event| event.name()));
        Failed::new(Exit::Usage, format!("unknown event `{name}`{near}"), "`jackfield events` lists them.")
    })
}

impl FixtureArgs {
    /// The fields that were typed, as values of their types.
    ///
    /// # Errors
    /// For a field that the event has not, or a text that is none of its type.
    pub(super) fn fields(&self, spec: &EventSpec) -> Result<Map<String, Value>, Failed> {
        self.data.iter().map(|text| read(spec, text)).collect()
    }

    /// The same for the API.
    pub(super) fn body(&self, spec: &EventSpec) -> Result<Map<String, Value>, Failed> {
        let mut body = Map::new();
        body.insert("event".to_owned(), spec.name.into());
        body.insert("data".to_owned(), self.fields(spec)?.into());
        body.extend(self.key.as_ref().map(|key| ("stream_key".to_owned(), key.as_str().into())));
        body.extend(self.conn.map(|conn| ("conn_id".to_owned(), conn.to_string().into())));
        Ok(body)
    }

    /// The event itself.
    pub(super) fn event(&self, spec: &EventSpec) -> Result<Event, Failed> {
        let wish = FixtureWish { data: self.fields(spec)?, stream_key: self.key.clone(), conn_id: self.conn };
        made(spec, wish)
    }
}

/// An event that did not happen.
pub(super) fn made(spec: &EventSpec, wish: FixtureWish) -> Result<Event, Failed> {
    let time = clock::unix_now();
    let millis = u64::try_from(time.0 / 1000).unwrap_or_default();
    let id = ulid::Ulid::from_parts(millis, u128::from(random::number()));
    let stamp = Stamp { id, seq: 0, node: NODE.into(), time };
    spec.fixture(stamp, wish).map_err(|error| refused(spec, &error))
}

fn read(spec: &EventSpec, text: &str) -> Result<(String, Value), Failed> {
    let Some((name, value)) = text.split_once('=') else {
        let wrong = format!("`{text}` is no FIELD=VALUE");
        return Err(Failed::new(Exit::Usage, wrong, "Write it like --data client_ip=192.0.2.1."));
    };
    let field = spec.fields.iter().find(|field| field.name == name);
    let error = |error| refused(spec, &error);
    let field = field.ok_or_else(|| {
        error(FixtureError::UnknownField { event: spec.event_type, field: name.to_owned() })
    })?;
    let value = field.read(value);
    let value = value
        .ok_or_else(|| error(FixtureError::WrongType { field: field.name, expected: field.json_type }))?;
    Ok((name.to_owned(), value))
}

fn refused(spec: &EventSpec, error: &FixtureError) -> Failed {
    let near = match error {
        FixtureError::UnknownField { field, .. } => meant(field, spec.fields.iter().map(|field| field.name)),
        _ => String::new(),
    };
    let next = format!("`jackfield events {}` shows its fields.", spec.name);
    Failed::new(Exit::Usage, format!("{error}{near}"), next)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(data: &[&str]) -> FixtureArgs {
        FixtureArgs { data: data.iter().map(ToString::to_string).collect(), key: None, conn: None }
    }

    #[test]
    fn typed_fields_become_an_event() {
        let args = args(&["client_port=7", "query=token=a=b", "page_url="]);
        let event = args.event(EventType::AuthorizePublish.spec()).unwrap();
        assert_eq!(event.field("client_port"), Some(&7.into()));
        assert_eq!(event.field("query"), Some(&"token=a=b".into()));
        assert_eq!(event.field("page_url"), None);
    }

    #[test]
    fn what_is_wrong_is_told_with_the_nearest_word() {
        for (data, expect) in [
            ("client_prot=7", "did you mean `client_port`?"),
            ("client_port=x", "`client_port` is of type integer"),
            ("client_port", "is no FIELD=VALUE"),
            ("client_ip=", "`client_ip` is of type string"),
        ] {
            match args(&[data]).event(EventType::PublishStart.spec()) {
                Err(error) => assert!(error.to_string().contains(expect), "{data}: {error}"),
                Ok(event) => assert_eq!((data, event.field("client_ip")), ("client_ip=", Some(&"".into()))),
            }
        }
        assert!(
            event_type("publish_strat").unwrap_err().to_string().contains("did you mean `publish_start`?")
        );
    }
}
