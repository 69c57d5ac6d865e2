//! How an event looks on a standard stream.

use jackfield_events::Event;
use std::io::Write;

/// What processors tell events from other lines by.
const PREFIX: &[u8] = b"RTMP_EVENT: ";

/// The form of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StdioFormat {
    /// `RTMP_EVENT: {…}`: the prefix and the envelope.
    #[default]
    Json,
    /// `{…}`: the bare envelope.
    Ndjson,
    /// `RTMP_EVENT: RTMP_EVENT_TYPE=… RTMP_TIMESTAMP=… …`: the variables of a program, quoted for a shell.
    Env,
}

impl StdioFormat {
    /// Adds the event's line, which tells how many were dropped before it.
    pub(super) fn render(self, event: &Event, num_dropped: u64, out: &mut Vec<u8>) {
        if self != Self::Ndjson {
            out.extend_from_slice(PREFIX);
        }
        match self {
            Self::Json | Self::Ndjson => out.extend_from_slice(&event.json_for(num_dropped, None)),
            Self::Env => variables(event, num_dropped, out),
        }
        out.push(b'\n');
    }
}

fn variables(event: &Event, num_dropped: u64, out: &mut Vec<u8>) {
    for (index, variable) in event.variables().into_iter().enumerate() {
        if index > 0 {
            out.push(b' ');
        }
        // A line is an event, whatever a client calls itself.
        let value: String = variable
            .value
            .chars()
            .map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c })
            .collect();
        let quoted =
            shlex::try_quote(&value).expect("invariant: control characters, and NUL with them, are gone");
        out.extend_from_slice(variable.historic.as_bytes());
        out.push(b'=');
        out.extend_from_slice(quoted.as_bytes());
    }
    if num_dropped > 0 {
        write!(out, " RTMP_NUM_DROPPED={num_dropped}").expect("invariant: memory takes it");
    }
}
