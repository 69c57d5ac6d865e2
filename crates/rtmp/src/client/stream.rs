//! One stream, published or played over one connection: [`StreamSession`].

use super::{ClientConfig, ClientEvent, ClientSession};
use crate::Error;
use crate::amf::Value;
use crate::chunk::MessageHeader;
use crate::message::{UserControl, chunk_stream, kind};
use crate::session::{Level, Output, PublishKind, Status, status};
use bytes::{Buf, Bytes};
use jackfield_media::{Mono, TrackKind};
use std::time::Duration;

/// What a server is told that a player holds back, as players tell it.
const BUFFER_MS: u32 = 3000;

/// What is to be done with a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To send it.
    Publish(PublishKind),
    /// To receive it.
    Play,
}

/// Settings of a [`StreamSession`].
#[derive(Debug, Clone, PartialEq)]
pub struct StreamConfig {
    /// Those of the connection.
    pub client: ClientConfig,
    /// To send or to receive.
    pub purpose: Purpose,
    /// The stream's name, with its query.
    pub name: String,
    /// From the connection's opening to the answer to `connect`.
    pub connect_timeout: Duration,
    /// For each later answer. A server may hold a player back for a while until the stream is there.
    pub answer_timeout: Duration,
    /// How long a server may send nothing to a player; halfway it is pinged.
    pub silence: Duration,
}

impl StreamConfig {
    /// Settings with time limits of 10, 30 and 30 s.
    #[must_use]
    pub fn new(client: ClientConfig, purpose: Purpose, name: &str) -> Self {
        Self {
            client,
            purpose,
            name: name.to_owned(),
            connect_timeout: Duration::from_secs(10),
            answer_timeout: Duration::from_secs(30),
            silence: Duration::from_secs(30),
        }
    }
}

/// What happened to the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamEvent {
    /// The handshake is done and `connect` was accepted.
    Connected,
    /// Media may be sent, or is about to come.
    Started,
    /// A message of the stream.
    Media {
        /// Audio, video or data.
        kind: TrackKind,
        /// Milliseconds, unwrapped.
        timestamp: i64,
        /// The body of an FLV tag.
        body: Bytes,
    },
    /// The server is about to stop and asks to come again (enhanced RTMP v2, "Reconnect Request"). The stream
    /// goes on until then.
    ReconnectRequested {
        /// Where; absent for the same place. It may be relative.
        tc_url: Option<String>,
        /// For people.
        description: String,
    },
}

/// Which answer did not come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Awaited {
    /// The handshake's.
    Handshake,
    /// That to `connect`.
    Connect,
    /// That to `createStream`.
    CreateStream,
    /// That to `publish` or `play`.
    Start,
}

impl std::fmt::Display for Awaited {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Handshake => "complete the handshake",
            Self::Connect => "answer connect",
            Self::CreateStream => "answer createStream",
            Self::Start => "say that the stream begins",
        })
    }
}

/// Why a stream's connection is over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StreamEnd {
    /// `connect` was refused. What a server that wants a login says is in here too.
    #[error("the server refused the connection: {}", told(.0))]
    Rejected(Status),
    /// `connect` was refused, and another place told.
    #[error("the server is to be found elsewhere")]
    Redirected {
        /// A `tcUrl`, which may be relative.
        tc_url: String,
    },
    /// Publishing or playing was refused, or ended by an error.
    #[error("the server refused the stream: {}", told(.0))]
    Refused(Status),
    /// The server told the stream's end.
    #[error("the stream has ended: {}", told(.0))]
    Finished(Status),
    /// We left.
    #[error("the stream was left")]
    Left,
    /// An answer did not come in time.
    #[error("the server did not {0} in time")]
    TimedOut(Awaited),
    /// Nothing came for too long.
    #[error("the server sent nothing for too long")]
    Silent,
    /// The server broke a rule of the protocol.
    #[error("the server does not speak RTMP as it should: {0}")]
    Protocol(#[from] Error),
}

/// A status for people.
fn told(status: &Status) -> String {
    match (status.code.is_empty(), status.description.is_empty()) {
        (_, true) => status.code.to_string(),
        (true, false) => status.description.to_string(),
        (false, false) => format!("{} ({})", &*status.description, &*status.code),
    }
}

/// What the owner of the session must do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamOutput {
    /// Write these bytes.
    Write(Bytes),
    /// Something happened.
    Event(StreamEvent),
    /// It is over; nothing comes any more. Write what came before, then close.
    Closed(StreamEnd),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Awaiting(Awaited),
    Running { pinged: Pinged },
    Over,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pinged {
    No,
    Yes,
}

/// Publishes or plays one stream over one connection: handshake, `connect`, `createStream`, `publish` or
/// `play`, media, and the end. As with the other sessions, call [`poll_output`](Self::poll_output) until it is
/// `None` after each other call, and [`handle_timeout`](Self::handle_timeout) when the time of
/// [`poll_timeout`](Self::poll_timeout) has come.
#[derive(Debug)]
pub struct StreamSession {
    session: ClientSession,
    config: StreamConfig,
    stage: Stage,
    /// Of the stage.
    deadline: Mono,
    last_input: Mono,
    now: Mono,
    message_stream: u32,
    /// Media that came before the server had said that it begins.
    early: Option<StreamEvent>,
    end: Option<StreamEnd>,
}

impl StreamSession {
    /// A session for a connection that was opened now. `seed` feeds the handshake's random bytes.
    #[must_use]
    pub fn new(config: StreamConfig, seed: u64, now: Mono) -> Self {
        Self {
            session: ClientSession::new(config.client.clone(), seed),
            stage: Stage::Awaiting(Awaited::Handshake),
            deadline: now.after(config.connect_timeout),
            last_input: now,
            now,
            message_stream: 0,
            early: None,
            end: None,
            config,
        }
    }

    /// Takes bytes that were read from the socket.
    pub fn handle_input(&mut self, now: Mono, bytes: Bytes) {
        if self.stage == Stage::Over || bytes.is_empty() {
            return;
        }
        self.now = now;
        self.last_input = now;
        if let Stage::Running { pinged } = &mut self.stage {
            *pinged = Pinged::No;
        }
        self.session.handle_input(bytes);
    }

    /// What to do next.
    pub fn poll_output(&mut self) -> Option<StreamOutput> {
        if let Some(event) = self.early.take() {
            return Some(StreamOutput::Event(event));
        }
        while let Some(output) = self.session.poll_output() {
            match output {
                Output::Write(bytes) => return Some(StreamOutput::Write(bytes)),
                Output::Closed(error) => self.finish(StreamEnd::Protocol(error)),
                // What comes after the end is of use to nobody.
                Output::Event(_) if self.stage == Stage::Over => {}
                Output::Event(event) => {
                    if let Some(event) = self.on_event(event) {
                        return Some(StreamOutput::Event(event));
                    }
                }
            }
        }
        self.end.take().map(StreamOutput::Closed)
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Mono> {
        match (self.stage, self.config.purpose) {
            (Stage::Over, _) | (Stage::Running { .. }, Purpose::Publish(_)) => None,
            (Stage::Awaiting(_), _) => Some(self.deadline),
            (Stage::Running { pinged: Pinged::No }, Purpose::Play) => {
                Some(self.last_input.after(self.config.silence / 2))
            }
            (Stage::Running { pinged: Pinged::Yes }, Purpose::Play) => {
                Some(self.last_input.after(self.config.silence))
            }
        }
    }

    /// Acts on a deadline that has passed. Harmless if none has.
    pub fn handle_timeout(&mut self, now: Mono) {
        if self.poll_timeout().is_none_or(|deadline| now < deadline) {
            return;
        }
        self.now = now;
        match &mut self.stage {
            Stage::Over => {}
            Stage::Awaiting(awaited) => {
                let end = StreamEnd::TimedOut(*awaited);
                self.finish(end);
            }
            Stage::Running { pinged: pinged @ Pinged::No } => {
                *pinged = Pinged::Yes;
                let stamp = now.since_origin().as_millis() & u128::from(u32::MAX);
                let stamp = u32::try_from(stamp).unwrap_or_default();
                self.session.send_user_control(UserControl::PingRequest(stamp));
            }
            Stage::Running { pinged: Pinged::Yes } => self.finish(StreamEnd::Silent),
        }
    }

    /// Sends a message of the stream. Before [`StreamEvent::Started`] and after the end nothing is sent, nor is
    /// a body of 2²⁴ bytes or more. `onMetaData` is told as the stream's, so that later players get it.
    pub fn send(&mut self, track: TrackKind, timestamp: u32, body: &[u8]) {
        if !matches!(self.stage, Stage::Running { .. }) {
            return;
        }
        if track == TrackKind::Data && body.starts_with(ON_META_DATA) {
            let body = [SET_DATA_FRAME, body].concat();
            return self.session.send_media(self.message_stream, track, timestamp, &body);
        }
        self.session.send_media(self.message_stream, track, timestamp, body);
    }

    /// Sends a message of any type on the stream.
    pub fn send_raw(&mut self, kind: u8, timestamp: u32, body: &[u8]) {
        if matches!(self.stage, Stage::Running { .. }) {
            let header = MessageHeader {
                chunk_stream: stream_of(kind),
                message_stream: self.message_stream,
                kind,
                timestamp,
            };
            self.session.send_raw(header, body);
        }
    }

    /// Ends the stream from our side, as encoders and players do.
    pub fn leave(&mut self) {
        if matches!(self.stage, Stage::Running { .. } | Stage::Awaiting(Awaited::Start)) {
            if let Purpose::Publish(_) = self.config.purpose {
                self.session.courtesy("FCUnpublish", &[self.config.name.as_str().into()]);
            }
            self.session.notify(0, "deleteStream", &[Value::Number(f64::from(self.message_stream))]);
        }
        self.finish(StreamEnd::Left);
    }

    fn await_next(&mut self, awaited: Awaited) {
        self.stage = Stage::Awaiting(awaited);
        self.deadline = match awaited {
            // One deadline for both.
            Awaited::Handshake | Awaited::Connect => self.deadline,
            _ => self.now.after(self.config.answer_timeout),
        };
    }

    fn finish(&mut self, end: StreamEnd) {
        if self.stage != Stage::Over {
            self.stage = Stage::Over;
            self.end = Some(end);
        }
    }

    fn on_event(&mut self, event: ClientEvent) -> Option<StreamEvent> {
        match event {
            ClientEvent::HandshakeDone(_) => self.await_next(Awaited::Connect),
            ClientEvent::Connected { .. } if self.stage == Stage::Awaiting(Awaited::Connect) => {
                self.on_connected();
                return Some(StreamEvent::Connected);
            }
            ClientEvent::Rejected(status) => self.finish(StreamEnd::Rejected(status)),
            ClientEvent::Redirected { tc_url } => self.finish(StreamEnd::Redirected { tc_url }),
            ClientEvent::StreamCreated { message_stream }
                if self.stage == Stage::Awaiting(Awaited::CreateStream) =>
            {
                self.on_created(message_stream);
            }
            ClientEvent::Failed(status) => self.finish(StreamEnd::Refused(status)),
            ClientEvent::Status { status, .. } => return self.on_status(status),
            ClientEvent::ReconnectRequested { tc_url, description } => {
                return Some(StreamEvent::ReconnectRequested { tc_url, description });
            }
            ClientEvent::Media { kind, timestamp, body, .. } => return self.on_media(kind, timestamp, body),
            _ => {}
        }
        None
    }

    fn on_connected(&mut self) {
        self.await_next(Awaited::CreateStream);
        if let Purpose::Publish(_) = self.config.purpose {
            // What encoders say and old servers want; the answers mean nothing.
            let name = [Value::from(self.config.name.as_str())];
            self.session.courtesy("releaseStream", &name);
            self.session.courtesy("FCPublish", &name);
        }
        self.session.create_stream();
    }

    fn on_created(&mut self, message_stream: u32) {
        self.message_stream = message_stream;
        self.await_next(Awaited::Start);
        match self.config.purpose {
            Purpose::Publish(kind) => self.session.publish(message_stream, &self.config.name, kind),
            Purpose::Play => {
                self.session.play(message_stream, &self.config.name);
                let length = UserControl::SetBufferLength { message_stream, ms: BUFFER_MS };
                self.session.send_user_control(length);
            }
        }
    }

    fn on_status(&mut self, status: Status) -> Option<StreamEvent> {
        let starts = match self.config.purpose {
            Purpose::Publish(_) => status::PUBLISH_START,
            Purpose::Play => status::PLAY_START,
        };
        let ends = [
            status::UNPUBLISH_SUCCESS,
            status::PLAY_STOP,
            status::PLAY_UNPUBLISH_NOTIFY,
            "NetStream.Play.Complete",
            status::CONNECT_CLOSED,
        ];
        if status.level == Level::Error {
            self.finish(StreamEnd::Refused(status));
        } else if ends.contains(&&*status.code) {
            self.finish(StreamEnd::Finished(status));
        } else if &*status.code == starts && self.stage == Stage::Awaiting(Awaited::Start) {
            self.stage = Stage::Running { pinged: Pinged::No };
            return Some(StreamEvent::Started);
        }
        None
    }

    /// Media of a player. What the server says by data messages, and not the publisher, is left out.
    fn on_media(&mut self, kind: TrackKind, timestamp: i64, mut body: Bytes) -> Option<StreamEvent> {
        if self.config.purpose != Purpose::Play || body.is_empty() {
            return None;
        }
        if kind == TrackKind::Data {
            if body.starts_with(SET_DATA_FRAME) {
                body.advance(SET_DATA_FRAME.len());
            }
            if body.starts_with(SAMPLE_ACCESS) || body.starts_with(ON_STATUS) {
                return None;
            }
        }
        // Some servers send media without having said that they begin.
        let media = StreamEvent::Media { kind, timestamp, body };
        match self.stage {
            Stage::Running { .. } => Some(media),
            Stage::Awaiting(Awaited::Start) => {
                self.stage = Stage::Running { pinged: Pinged::No };
                self.early = Some(media);
                Some(StreamEvent::Started)
            }
            _ => None,
        }
    }
}

/// Names of data messages as AMF0 strings.
const SET_DATA_FRAME: &[u8] = b"\x02\x00\x0d@setDataFrame";
const ON_META_DATA: &[u8] = b"\x02\x00\x0aonMetaData";
const SAMPLE_ACCESS: &[u8] = b"\x02\x00\x11|RtmpSampleAccess";
const ON_STATUS: &[u8] = b"\x02\x00\x08onStatus";

/// The chunk stream for a message type.
fn stream_of(kind: u8) -> u32 {
    match kind {
        kind::AUDIO => chunk_stream::AUDIO.into(),
        kind::VIDEO => chunk_stream::VIDEO.into(),
        _ => chunk_stream::DATA.into(),
    }
}
