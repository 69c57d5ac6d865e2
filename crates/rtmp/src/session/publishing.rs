//! Publishing: from `publish` to its end.

use super::event::{Event, Publish, PublishKind, Refusal};
use super::status::{self, Status};
use super::streams::{Publishing, Role};
use super::{ServerSession, Unwrap, Withdrawn};
use crate::message::{Command, UserControl};
use crate::url::{self, NameError};
use jackfield_media::{Mono, StreamKey, Text};

/// A stream name of a client, taken apart.
pub(super) struct StreamName {
    pub(super) key: StreamKey,
    pub(super) name: Text,
    pub(super) query: Text,
}

impl ServerSession {
    pub(super) fn on_publish(&mut self, id: u32, command: &Command) {
        let raw_name = command.text(0).unwrap_or_default();
        let kind = match command.text(1).map(str::to_ascii_lowercase).as_deref() {
            None | Some("live" | "") => PublishKind::Live,
            Some("record") => PublishKind::Record,
            Some("append") => PublishKind::Append,
            Some(_) => return self.refuse(id, status::PUBLISH_BAD_NAME, "The publish type is unknown."),
        };
        let named = match self.stream_name(raw_name) {
            Ok(named) => named,
            Err(error) => {
                return self.refuse(id, status::PUBLISH_BAD_NAME, &sentence(error));
            }
        };
        self.hold_announcement(raw_name);
        let now = self.pulse.now();
        match self.streams.role(id) {
            None => self.refuse(id, status::PUBLISH_BAD_NAME, "There is no such message stream."),
            Some(role @ Role::Idle) => {
                let raw_name = raw_name.to_owned();
                let publishing = Publishing { raw_name, unwrap: Unwrap::default(), last_media: now };
                *role = Role::PublishAsked(publishing);
                let StreamName { key, name, query } = named;
                let publish = Publish { message_stream: id, key, name, query, kind };
                self.events.push_back(Event::Publish(publish));
            }
            Some(_) => self.refuse(id, status::PUBLISH_BAD_NAME, "The message stream is in use."),
        }
    }

    /// Answers `publish`: it may. From `now` on it must send media; however long the answer took does not
    /// count.
    ///
    /// # Errors
    /// [`Withdrawn`] if no answer is awaited on this message stream.
    pub fn accept_publish(&mut self, now: Mono, message_stream: u32) -> Result<(), Withdrawn> {
        let Some(role) = self.streams.role(message_stream) else {
            return Err(Withdrawn);
        };
        let Role::PublishAsked(mut publishing) = std::mem::replace(role, Role::Idle) else {
            return Err(Withdrawn);
        };
        publishing.last_media = now;
        let name = publishing.raw_name.clone();
        *role = Role::Publishing(publishing);
        let status = Status::note(status::PUBLISH_START, "Publishing has begun.");
        self.outbox.user_control(UserControl::StreamBegin(message_stream));
        self.announce(&name, &status);
        status.write(&mut self.outbox, message_stream);
        Ok(())
    }

    /// Answers `publish`: it may not. `code` is one of [`status`](super::status), usually
    /// [`PUBLISH_BAD_NAME`](status::PUBLISH_BAD_NAME). The connection stays; close it if it is to end.
    ///
    /// # Errors
    /// [`Withdrawn`] if no answer is awaited on this message stream.
    pub fn reject_publish(
        &mut self,
        message_stream: u32,
        code: &str,
        description: &str,
    ) -> Result<(), Withdrawn> {
        match self.streams.role(message_stream) {
            Some(role @ Role::PublishAsked(_)) => *role = Role::Idle,
            _ => return Err(Withdrawn),
        }
        Status::error(code, description).write(&mut self.outbox, message_stream);
        Ok(())
    }

    /// Ends a publish session from our side, and tells the client by this status. What it sends from
    /// now on is ignored.
    ///
    /// # Errors
    /// [`Withdrawn`] if nothing is published on this message stream.
    pub fn publish_stopped(&mut self, message_stream: u32, status: &Status) -> Result<(), Withdrawn> {
        match self.streams.role(message_stream) {
            Some(role @ Role::Publishing(_)) => *role = Role::Idle,
            _ => return Err(Withdrawn),
        }
        status.write(&mut self.outbox, message_stream);
        Ok(())
    }

    /// A name as `publish` and `play` have it: percent-encoded, with a query.
    pub(super) fn stream_name(&self, raw: &str) -> Result<StreamName, NameError> {
        let (raw_name, query) = url::split_query(raw);
        url::check_text(query)?;
        let name = url::percent_decode(raw_name)?;
        let key = StreamKey::join(&self.app, &name)?;
        let query = url::join_queries(query, &self.connect_query).into();
        Ok(StreamName { key, name: name.into(), query })
    }

    /// Refuses a request without asking anybody.
    pub(super) fn refuse(&mut self, message_stream: u32, code: &str, description: &str) {
        let status = Status::error(code, description);
        status.write(&mut self.outbox, message_stream);
        self.events.push_back(Event::Refused(Refusal { message_stream, status }));
    }
}

/// The error for people.
pub(super) fn sentence(error: NameError) -> String {
    match error {
        NameError::Key(error) => format!("Refused: {error}."),
        error => format!("The stream name is refused: {error}."),
    }
}
