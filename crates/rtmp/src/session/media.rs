//! What publishers send: audio, video and data.

use super::ServerSession;
use super::event::Event;
use super::metadata::{self, DataMessage};
use super::streams::{Publishing, Role};
use crate::Error;
use crate::chunk::MessageHeader;
use crate::message::kind;
use bytes::Bytes;
use jackfield_media::TrackKind;

impl ServerSession {
    pub(super) fn on_media(&mut self, header: MessageHeader, body: Bytes) {
        let message_stream = header.message_stream;
        // librtmp sends empty audio messages to keep the connection busy.
        let Some(publishing) = self.publisher(message_stream).filter(|_| !body.is_empty()) else {
            self.counters.ignored_media += 1;
            return;
        };
        let timestamp = publishing.unwrap.unwrap(header.timestamp);
        let kind = if header.kind == kind::AUDIO { TrackKind::Audio } else { TrackKind::Video };
        self.events.push_back(Event::Media { message_stream, kind, timestamp, body });
    }

    pub(super) fn on_data(&mut self, header: MessageHeader, body: Bytes) -> Result<(), Error> {
        let message_stream = header.message_stream;
        let limits = self.limits;
        let Some(publishing) = self.publisher(message_stream) else {
            self.counters.ignored_media += 1;
            return Ok(());
        };
        let timestamp = publishing.unwrap.unwrap(header.timestamp);
        let event = match metadata::classify(body, &limits)? {
            DataMessage::Metadata { properties, body } => {
                Event::Metadata { message_stream, timestamp, properties, body }
            }
            DataMessage::Unreadable => {
                self.counters.unreadable_data += 1;
                return Ok(());
            }
            DataMessage::Other(body) => Event::Data { message_stream, timestamp, body },
        };
        self.events.push_back(event);
        Ok(())
    }

    /// The publish session of a message stream, asked or accepted; it is alive from now.
    fn publisher(&mut self, message_stream: u32) -> Option<&mut Publishing> {
        let now = self.pulse.now();
        match self.streams.role(message_stream) {
            Some(Role::Publishing(publishing) | Role::PublishAsked(publishing)) => {
                publishing.last_media = now;
                Some(publishing)
            }
            _ => None,
        }
    }
}
