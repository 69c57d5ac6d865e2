//! What a server's commands say: answers, statuses, redirects, requests to reconnect.

use super::{Call, ClientEvent, ClientSession};
use crate::amf::{Object, Value};
use crate::message::Command;
use crate::session::{Status, status};

/// The longest place that a server may send us to, in bytes: room for a signed token.
const MAX_PLACE_BYTES: usize = crate::url::MAX_TEXT_BYTES;
/// Of a redirect, as in HTTP.
const MOVED: f64 = 302.0;

impl ClientSession {
    pub(super) fn on_command(&mut self, message_stream: u32, command: Command) {
        let known = self.calls.iter().position(|(number, _)| f64::from(*number) == command.transaction);
        let event = match (command.name.as_str(), known) {
            ("onStatus", _) => on_status(message_stream, &command),
            ("_result", Some(index)) => match self.calls.swap_remove(index).1 {
                Call::Courtesy => return,
                Call::Connect => {
                    ClientEvent::Connected { properties: command.object().cloned().unwrap_or_default() }
                }
                Call::CreateStream => match command.argument(0).and_then(Value::as_number).and_then(to_id) {
                    Some(message_stream) => ClientEvent::StreamCreated { message_stream },
                    None => ClientEvent::Failed(Status::error("", "createStream was answered without an id")),
                },
                Call::Other => ClientEvent::Answer(command),
            },
            ("_error", Some(index)) => match self.calls.swap_remove(index).1 {
                Call::Courtesy => return,
                Call::Connect => on_rejection(&command),
                _ => ClientEvent::Failed(failure(&command)),
            },
            _ => ClientEvent::Command { message_stream, command },
        };
        self.events.push_back(event);
    }
}

/// The information object of an answer or status: the first argument, or for servers that leave the command
/// object out, whatever object there is.
fn information(command: &Command) -> Option<&Object> {
    let first = command.argument(0).and_then(Value::as_object);
    first.or_else(|| command.values.iter().find_map(Value::as_object))
}

fn failure(command: &Command) -> Status {
    let mut status = information(command).map_or_else(|| Status::error("", ""), Status::from_object);
    status.level = crate::session::Level::Error;
    status
}

/// A refusal of `connect`. A redirect is one with `ex`, an object with a code and a place.
fn on_rejection(command: &Command) -> ClientEvent {
    let ex = information(command).and_then(|info| info.find("ex")).and_then(Value::as_object);
    if let Some(ex) = ex
        && ex.find("code").and_then(Value::as_number) == Some(MOVED)
        && let Some(tc_url) = ex.text("redirect").filter(|place| place.len() <= MAX_PLACE_BYTES)
    {
        return ClientEvent::Redirected { tc_url: tc_url.to_owned() };
    }
    ClientEvent::Rejected(failure(command))
}

fn on_status(message_stream: u32, command: &Command) -> ClientEvent {
    let object = information(command);
    let status = object.map_or_else(|| Status::note("", ""), Status::from_object);
    if &*status.code == status::RECONNECT_REQUEST {
        let place = object.and_then(|object| object.text("tcUrl"));
        return ClientEvent::ReconnectRequested {
            tc_url: place.filter(|place| place.len() <= MAX_PLACE_BYTES).map(str::to_owned),
            description: status.description.to_string(),
        };
    }
    ClientEvent::Status { message_stream, status }
}

/// A message stream id, if the number is one.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked")]
fn to_id(number: f64) -> Option<u32> {
    (number.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&number)).then_some(number as u32)
}
