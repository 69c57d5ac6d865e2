//! The event stream that the server prints, as a list to wait on.

use crate::journal::Journal;
use anyhow::{Context, Result};
use serde_json::Value;
use std::time::Duration;

/// One event as the server printed it.
#[derive(Debug, Clone, PartialEq)]
pub struct Event(Value);

impl Event {
    /// Wraps an envelope.
    #[cfg(test)]
    pub(crate) fn new(envelope: Value) -> Self {
        Self(envelope)
    }

    /// Reads one line of standard output, with or without the prefix that processors look for.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(line: &str) -> Result<Self> {
        let json = line.strip_prefix("RTMP_EVENT: ").unwrap_or(line);
        let value: Value = serde_json::from_str(json).with_context(|| format!("no event: {line}"))?;
        value
            .get("type")
            .and_then(Value::as_str)
            .with_context(|| format!("an event without type: {line}"))?;
        Ok(Self(value))
    }

    /// Its name: `publish_start`.
    pub fn kind(&self) -> &str {
        self.text("/type").unwrap_or_default()
    }

    /// The connection it is about.
    pub fn conn_id(&self) -> Option<&str> {
        self.text("/conn_id")
    }

    /// The stream it is about.
    pub fn stream_key(&self) -> Option<&str> {
        self.text("/stream_key")
    }

    /// A field of its `data` that is a string.
    pub fn data(&self, field: &str) -> Option<&str> {
        self.0.get("data")?.get(field)?.as_str()
    }

    /// A field of its `data` that is a whole number.
    pub fn number(&self, field: &str) -> Option<u64> {
        self.0.get("data")?.get(field)?.as_u64()
    }

    /// The whole event.
    pub fn json(&self) -> &Value {
        &self.0
    }

    fn text(&self, pointer: &str) -> Option<&str> {
        self.0.pointer(pointer)?.as_str()
    }
}

/// All events that a server has printed so far, in order.
#[derive(Debug, Clone)]
pub struct Events {
    lines: Journal<String>,
}

impl Events {
    pub(crate) fn new(lines: Journal<String>) -> Self {
        Self { lines }
    }

    /// The events until now.
    ///
    /// # Errors
    /// When a line is none: nothing else may stand on standard output.
    pub fn all(&self) -> Result<Vec<Event>> {
        self.lines.read(|lines| lines.iter().map(|line| Event::parse(line)).collect())
    }

    /// The names of the events until now that `which` picks.
    ///
    /// # Errors
    /// When a line is no event.
    pub fn kinds(&self, which: impl Fn(&Event) -> bool) -> Result<Vec<String>> {
        let all = self.all()?;
        Ok(all.iter().filter(|event| which(event)).map(|event| event.kind().to_owned()).collect())
    }

    /// Waits for an event of this name that `which` picks; one that is there already counts.
    ///
    /// # Errors
    /// When it has not come `within` that time or before the server ended; the error shows the last lines.
    pub fn wait_for(&self, kind: &str, within: Duration, which: impl Fn(&Event) -> bool) -> Result<Event> {
        self.wait(kind, within, |event| event.kind() == kind && which(event))
    }

    /// Waits for an event that `which` picks; `what` describes it in the error.
    ///
    /// # Errors
    /// As [`Events::wait_for`].
    pub fn wait(&self, what: &str, within: Duration, which: impl Fn(&Event) -> bool) -> Result<Event> {
        let mut seen = 0;
        self.lines.wait(what, within, |lines| {
            let fresh = lines.get(seen..).unwrap_or_default();
            seen = lines.len();
            fresh.iter().filter_map(|line| Event::parse(line).ok()).find(|event| which(event))
        })
    }

    /// The raw lines.
    pub fn lines(&self) -> &Journal<String> {
        &self.lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SOON;

    const LINE: &str = r#"{"type":"publish_start","conn_id":"c000001","stream_key":"live/a","data":{"app":"live","client_port":5}}"#;

    #[test]
    fn an_event_is_read_with_and_without_its_prefix() {
        let event = Event::parse(LINE).unwrap();
        assert_eq!(event, Event::parse(&format!("RTMP_EVENT: {LINE}")).unwrap());
        assert_eq!(
            (event.kind(), event.conn_id(), event.stream_key()),
            ("publish_start", Some("c000001"), Some("live/a"))
        );
        assert_eq!(
            (event.data("app"), event.number("client_port"), event.data("gone")),
            (Some("live"), Some(5), None)
        );
    }

    #[test]
    fn a_line_that_is_no_event_is_an_error_and_does_not_stop_a_wait() {
        let lines = Journal::default();
        lines.push("banner".to_owned());
        lines.push(LINE.to_owned());
        lines.close();
        let events = Events::new(lines);
        assert!(events.all().is_err());
        assert!(events.wait_for("publish_start", SOON, |event| event.stream_key() == Some("live/a")).is_ok());
        assert!(
            events.wait_for("publish_start", SOON, |event| event.stream_key() == Some("live/b")).is_err()
        );
    }
}
