//! The lines that are sent to a worker.

use super::line::Form;
use jackfield_dispatch::{Call, DeliveryId};
use jackfield_events::DeliveryFields;
use jackfield_hooks::Mode;
use jackfield_media::Mono;
use std::io::Write;

/// A request in this form.
pub(super) fn request(form: Form, call: &Call, now: Mono) -> Vec<u8> {
    let deadline_ms = u64::try_from((call.deadline - now).as_millis()).unwrap_or(u64::MAX);
    match form {
        Form::Plain => {
            let delivery = DeliveryFields { hook: &call.hook, attempt: call.attempt, deadline_ms };
            let delivery = (call.mode == Mode::Decide).then_some(&delivery);
            let mut line = call.event.json_for(call.num_dropped, delivery).to_vec();
            line.push(b'\n');
            line
        }
        Form::Framed => {
            let hook = serde_json::Value::from(call.hook.as_str());
            let (delivery, mode, attempt) = (call.delivery, call.mode, call.attempt);
            let event = call.event.json_for(call.num_dropped, None);
            let mut line = Vec::with_capacity(event.len() + 200);
            write!(
                line,
                r#"{{"t":"event","d":"{delivery}","hook":{hook},"mode":"{mode}","attempt":{attempt},"deadline_ms":{deadline_ms},"event":"#
            )
            .expect("invariant: memory takes it");
            line.extend_from_slice(&event);
            line.extend_from_slice(b"}\n");
            line
        }
    }
}

/// Nobody waits for that answer any more.
pub(super) fn cancel(delivery: DeliveryId) -> Vec<u8> {
    format!("{{\"t\":\"cancel\",\"d\":\"{delivery}\"}}\n").into_bytes()
}

/// No request follows.
pub(super) const DRAIN: &[u8] = b"{\"t\":\"drain\"}\n";
