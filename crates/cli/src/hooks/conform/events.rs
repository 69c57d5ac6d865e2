//! The events of the checks: as the catalogue has them, with more in them, and larger than usual.

use crate::hooks::fixture::made;
use jackfield_events::{Event, EventType, FixtureWish};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// Characters of a query that is longer than any that people type. Twice as many with their escapes are still less
/// than what one variable of a program's environment may hold (128 KiB).
const LONG: usize = 32 * 1024;

/// The event with the catalogue's example values.
pub(super) fn usual(event: EventType) -> Arc<Event> {
    of(event, Map::new())
}

/// The same with nothing in it that may be absent.
pub(super) fn bare(event: EventType) -> Arc<Event> {
    let optional = event.spec().fields.iter().filter(|field| field.optional);
    of(event, optional.map(|field| (field.name.to_owned(), Value::Null)).collect())
}

/// The same with long and odd texts in it: what clients send as they like.
pub(super) fn odd(event: EventType) -> [Arc<Event>; 2] {
    let odd = "a=\"b\" 'c' $HOME `x` \\ %00 \u{1f3a5} \u{202e} \n\r\t;&|<>* é";
    let texts = ["query", "tc_url", "page_url", "flash_ver"];
    let with = |text: &str| {
        let fields = event.spec().fields.iter().filter(|field| texts.contains(&field.name));
        of(event, fields.map(|field| (field.name.to_owned(), Value::from(text))).collect())
    };
    let long = |text: &str| {
        let field = event.spec().fields.iter().find(|field| texts.contains(&field.name));
        of(event, field.into_iter().map(|field| (field.name.to_owned(), Value::from(text))).collect())
    };
    [with(odd), long(&"x=1&".repeat(LONG / 4))]
}

/// An envelope with fields that a later version may have, in each of its places.
pub(super) fn of_the_future(envelope: &mut Value) {
    let later = json!({"list": [1, "two", null, {"three": 3.5}], "flag": true});
    envelope["some_later_field"] = later.clone();
    if let Some(data) = envelope.get_mut("data").and_then(Value::as_object_mut) {
        data.insert("some_later_field".to_owned(), later);
    }
}

fn of(event: EventType, data: Map<String, Value>) -> Arc<Event> {
    let spec = event.spec();
    let made = made(spec, FixtureWish { data, ..FixtureWish::default() });
    Arc::new(made.expect("invariant: these are values of the catalogue's types"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_can_be_played_in_every_form() {
        for event in EventType::ALL.iter().copied() {
            let mut envelope: Value = serde_json::from_slice(usual(event).json()).unwrap();
            of_the_future(&mut envelope);
            assert!(envelope["data"]["some_later_field"].is_object());
            assert!(bare(event).json().len() <= usual(event).json().len());
            assert_eq!(odd(event).len(), 2);
        }
        assert!(odd(EventType::AuthorizePublish)[1].json().len() > LONG);
    }
}
