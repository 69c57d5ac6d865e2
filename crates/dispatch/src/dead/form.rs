//! Dead letters on disk: one record of the journal for each thing that happens to one.

use super::letter::{DeadLetter, DeadLetterId};
use jackfield_events::Event;
use jackfield_hooks::Outcome;
use jackfield_media::{Text, UnixTime};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// A record.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Form {
    /// A notice was given up; the record's position is the letter's id.
    Letter(Box<Letter>),
    /// A letter was replayed and given up again.
    Again(Again),
    /// Letters are no more there: delivered, or dropped.
    Gone(Vec<u64>),
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Letter {
    hook: String,
    hook_id: String,
    attempts: u32,
    outcome: String,
    detail: String,
    /// Microseconds since 1970, as the record's own time, which is when it was given up.
    first_at: i64,
    /// The envelope, byte for byte.
    event: Box<RawValue>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Again {
    pub(super) id: u64,
    pub(super) attempts: u32,
    pub(super) outcome: String,
    pub(super) detail: String,
}

impl Form {
    pub(super) fn letter(letter: &DeadLetter, event: &Event) -> Option<Self> {
        let event = std::str::from_utf8(event.json()).ok()?;
        Some(Self::Letter(Box::new(Letter {
            hook: letter.hook.to_string(),
            hook_id: letter.hook_id.to_string(),
            attempts: letter.attempts,
            outcome: letter.outcome.to_string(),
            detail: letter.detail.to_string(),
            first_at: letter.first_at.0,
            event: RawValue::from_string(event.to_owned()).ok()?,
        })))
    }

    pub(super) fn again(letter: &DeadLetter) -> Self {
        Self::Again(Again {
            id: letter.id.0,
            attempts: letter.attempts,
            outcome: letter.outcome.to_string(),
            detail: letter.detail.to_string(),
        })
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self)
            .expect("invariant: a record without maps of other keys always serialises into memory")
    }

    pub(super) fn read(body: &[u8]) -> Option<Self> {
        serde_json::from_slice(body).ok()
    }
}

impl Letter {
    /// The letter and its event, if this version knows such events.
    pub(super) fn open(&self, position: u64, at: UnixTime) -> Option<(DeadLetter, Event)> {
        let event = Event::parse(self.event.get().as_bytes()).ok()?;
        let scope = event.scope();
        let letter = DeadLetter {
            id: DeadLetterId(position),
            hook: self.hook.as_str().into(),
            hook_id: self.hook_id.as_str().into(),
            event: event.event_type(),
            event_id: event.stamp().id,
            seq: event.stamp().seq,
            key: scope.stream_key.clone(),
            conn_id: scope.conn_id,
            session_id: scope.session_id,
            attempts: self.attempts,
            outcome: outcome(&self.outcome)?,
            detail: Text::from(self.detail.as_str()),
            first_at: UnixTime(self.first_at),
            at,
        };
        Some((letter, event))
    }
}

/// Reads a record and writes it again, for the fuzzer.
#[must_use]
pub fn letter_again(body: &[u8]) -> Option<Vec<u8>> {
    let form = Form::read(body)?;
    if let Form::Letter(letter) = &form {
        drop(letter.open(1, UnixTime(0)));
    }
    Some(form.bytes())
}

pub(super) fn outcome(word: &str) -> Option<Outcome> {
    Outcome::ALL.iter().copied().find(|outcome| outcome.as_str() == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_record_of_ours_is_left_out_and_harms_nothing() {
        for body in [
            "",
            "{}",
            "null",
            r#"{"gone":[1,-2]}"#,
            r#"{"gone":"all"}"#,
            r#"{"again":{"id":1}}"#,
            r#"{"letter":{"hook":"a"}}"#,
            r#"{"other":[]}"#,
            "\u{0}",
        ] {
            assert!(Form::read(body.as_bytes()).is_none(), "{body}");
        }
        let known = r#"{"letter":{"hook":"a","hook_id":"a","attempts":1,"outcome":"timeout","detail":"","first_at":0,"event":{}}}"#;
        let Some(Form::Letter(letter)) = Form::read(known.as_bytes()) else { unreachable!("it is a letter") };
        assert!(letter.open(1, UnixTime(0)).is_none(), "and its event is none");
    }
}
