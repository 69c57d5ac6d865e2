//! The server's side of a connection: [`ServerSession`].
//!
//! The owner of a socket hands in what it reads, takes out what to write and what happened, and answers
//! the questions that `connect`, `publish` and `play` are. State and behaviour are divided by phase:
//! `connecting` (handshake, `connect`), `streams` (the table of message streams), `publishing`,
//! `playing`, `flash` (FCPublish and the like), `commands` (all other commands), `media`, `pulse`
//! (acknowledgements, pings, deadlines).

mod commands;
mod config;
mod connecting;
mod event;
mod flash;
mod media;
mod metadata;
mod playing;
mod publishing;
mod pulse;
pub mod status;
mod streams;
mod unwrap;

pub use config::{Limits, ServerConfig};
pub use event::{Connect, Counters, Event, Output, Play, Publish, PublishKind, Refusal, Reset};
pub use playing::PlayEnd;
pub use status::{Level, Status};

pub(crate) use unwrap::Unwrap;

use crate::amf::Value;
use crate::chunk::{ChunkReader, HeaderForm, MessageHeader, RawMessage};
use crate::handshake::ServerHandshake;
use crate::message::{Aggregate, Message, MessageLimits, Outbox};
use crate::{Capabilities, Error, Input};
use bytes::Bytes;
use flash::Promise;
use jackfield_media::{Mono, Text};
use pulse::Pulse;
use std::collections::VecDeque;
use streams::MessageStreams;

/// Replies are handed out at this size even if more input waits, so that they stay bounded.
const FLUSH_BYTES: usize = 16 << 10;
/// While an answer to `connect` is awaited, input up to this much is held; then
/// [`ServerSession::wants_input`] says no.
const HELD_INPUT_BYTES: usize = 64 << 10;

/// The client took back what it had asked, or the session has ended: the answer came too late, and
/// nothing was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the client did not wait for the answer")]
pub struct Withdrawn;

/// The server's side of a connection, as a state machine without I/O.
#[derive(Debug)]
pub struct ServerSession {
    config: ServerConfig,
    limits: MessageLimits,
    phase: Phase,
    input: Input,
    reader: ChunkReader,
    aggregate: Option<Aggregate>,
    outbox: Outbox,
    events: VecDeque<Event>,
    end: Option<Error>,
    streams: MessageStreams,
    pulse: Pulse,
    counters: Counters,
    app: Text,
    connect_query: Text,
    capabilities: Capabilities,
    /// What FCPublish named, until its success message was sent.
    announced: Vec<Promise>,
    /// The last FCSubscribe, likewise.
    subscribed: Option<Promise>,
}

#[derive(Debug)]
enum Phase {
    Handshake(ServerHandshake),
    /// The handshake is done; nothing but `connect` may be asked.
    AwaitConnect,
    /// The application is asked whether this client may connect. Input is held.
    Connecting {
        transaction: f64,
        object_encoding: u8,
    },
    Connected,
    Closed,
}

/// What a step of a session, on either side, came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Something was parsed.
    Progress,
    /// There is nothing to parse, or it must wait.
    Idle,
}

impl ServerSession {
    /// A session for a connection that was accepted now. `seed` feeds the handshake's random bytes and
    /// should differ between connections.
    #[must_use]
    pub fn new(config: ServerConfig, seed: u64, now: Mono) -> Self {
        let limits = config.limits;
        Self {
            pulse: Pulse::new(&config, now),
            limits: limits.message,
            phase: Phase::Handshake(ServerHandshake::new(seed)),
            input: Input::default(),
            reader: ChunkReader::new(limits.chunk),
            aggregate: None,
            outbox: Outbox::new(HeaderForm::Full),
            events: VecDeque::new(),
            end: None,
            streams: MessageStreams::new(limits.message_streams),
            counters: Counters::default(),
            app: Text::default(),
            connect_query: Text::default(),
            capabilities: Capabilities::default(),
            announced: Vec::new(),
            subscribed: None,
            config,
        }
    }

    /// Takes bytes that were read from the socket. Nothing is parsed before
    /// [`poll_output`](Self::poll_output) is called.
    pub fn handle_input(&mut self, now: Mono, bytes: Bytes) {
        if matches!(self.phase, Phase::Closed) || bytes.is_empty() {
            return;
        }
        self.pulse.received(now, bytes.len());
        if self.streams.in_use() {
            self.pulse.used(now);
        }
        self.input.push(bytes);
        let limit = self.config.limits.chunk.buffered_bytes;
        if self.input.len() > limit {
            self.finish(Error::TooMuchInput(limit));
        }
    }

    /// What to do next. Call it until it says `None`, after every other call that takes `&mut self`,
    /// and before waiting for anything: events come one by one as the input is parsed, and one
    /// [`Output::Write`] with all replies at the end.
    pub fn poll_output(&mut self) -> Option<Output> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Some(Output::Event(event));
            }
            if self.outbox.len() >= FLUSH_BYTES {
                break;
            }
            match self.step() {
                Ok(Step::Progress) => {}
                Ok(Step::Idle) => break,
                Err(error) => {
                    self.finish(error);
                    break;
                }
            }
        }
        if !matches!(self.phase, Phase::Closed) {
            self.pulse.acknowledge(&mut self.outbox);
        }
        if let Some(bytes) = self.outbox.take() {
            return Some(Output::Write(bytes));
        }
        self.end.take().map(Output::Closed)
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called. It may move with every other
    /// call.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Mono> {
        match self.phase {
            Phase::Closed => None,
            Phase::Handshake(_) | Phase::AwaitConnect => Some(self.pulse.setup_deadline()),
            // The application's own deadline bounds this.
            Phase::Connecting { .. } => None,
            Phase::Connected => {
                let sign_of_life = self.sign_of_life();
                Some(self.next_promise().map_or(sign_of_life, |promise| promise.min(sign_of_life)))
            }
        }
    }

    /// By when a publisher must have sent media, others must be pinged, and who uses nothing must have asked for something.
    fn sign_of_life(&self) -> Mono {
        match self.streams.publishing_since() {
            Some(last_media) => self.pulse.silence_deadline(last_media),
            None if self.streams.in_use() => self.pulse.ping_deadline(),
            None => self.pulse.ping_deadline().min(self.pulse.idle_deadline()),
        }
    }

    /// Acts on deadlines that have passed. Harmless if none has.
    pub fn handle_timeout(&mut self, now: Mono) {
        if self.poll_timeout().is_none_or(|deadline| now < deadline) {
            return;
        }
        match self.phase {
            Phase::Closed | Phase::Connecting { .. } => {}
            Phase::Handshake(_) | Phase::AwaitConnect => self.finish(Error::HandshakeTimeout),
            Phase::Connected if now < self.sign_of_life() => self.keep_promises(now),
            Phase::Connected if self.streams.publishing_since().is_some() => {
                self.finish(Error::PublisherSilent);
            }
            Phase::Connected if !self.streams.in_use() && now >= self.pulse.idle_deadline() => {
                self.finish(Error::Unused);
            }
            Phase::Connected => {
                self.keep_promises(now);
                if self.pulse.ping(now, &mut self.outbox) == pulse::Ping::Unanswered {
                    self.finish(Error::PingTimeout);
                }
            }
        }
    }

    /// The payload bytes of the chunks that this client was told to expect: what
    /// [`Packet::new`](crate::Packet::new) needs.
    #[must_use]
    pub fn chunk_size(&self) -> u32 {
        self.config.chunk_size.clamp(128, 65_536)
    }

    /// Whether more input may be handed in. While `connect` waits for its answer, input is held and not
    /// parsed; when this says no, stop reading the socket.
    #[must_use]
    pub fn wants_input(&self) -> bool {
        match self.phase {
            Phase::Connecting { .. } => self.input.len() < HELD_INPUT_BYTES,
            Phase::Closed => false,
            _ => true,
        }
    }

    /// Ends the session with a farewell to every message stream: players get the end of their stream,
    /// publishers a status, the client `NetConnection.Connect.Closed`. [`Output::Closed`] follows.
    pub fn close(&mut self, description: &str) {
        if matches!(self.phase, Phase::Connected) {
            for id in self.streams.playing() {
                playing::write_end(&mut self.outbox, id, PlayEnd::Finished, description);
            }
            for id in self.streams.publishing() {
                let status = Status::note(status::UNPUBLISH_SUCCESS, description);
                status.write(&mut self.outbox, id);
            }
            Status::note(status::CONNECT_CLOSED, description).write(&mut self.outbox, 0);
        }
        self.finish(Error::Closed);
    }

    /// Asks the client to connect anew, here or, if a URL is given, there (Enhanced RTMP v2, "Reconnect
    /// Request"). The session goes on; who asks decides when to [`close`](Self::close) it. Nothing is
    /// written to a client that did not announce that it heeds this.
    pub fn request_reconnect(&mut self, tc_url: Option<&str>, description: &str) {
        if matches!(self.phase, Phase::Connected) && self.capabilities.takes_reconnect() {
            let status = Status::note(status::RECONNECT_REQUEST, description);
            let mut object = status.to_object();
            if let Some(url) = tc_url {
                object.push("tcUrl".to_owned(), url.into());
            }
            self.outbox.command(0, "onStatus", 0.0, &[Value::Null, object.into()]);
        }
    }

    /// What the client told in `connect` that it can take.
    #[must_use]
    pub fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    /// What was left out of account.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Bytes that the client says it has received, modulo 2³²; `None` before its first word about it.
    #[must_use]
    pub fn acknowledged(&self) -> Option<u32> {
        self.pulse.acknowledged()
    }

    /// Bytes of input and of unfinished messages that are held.
    #[must_use]
    pub fn buffered_bytes(&self) -> usize {
        self.input.len() + self.reader.buffered_bytes()
    }

    /// Ends the session; what was encoded before is still handed out.
    fn finish(&mut self, error: Error) {
        if !matches!(self.phase, Phase::Closed) {
            self.phase = Phase::Closed;
            self.input = Input::default();
            self.aggregate = None;
            self.end = Some(error);
        }
    }

    fn step(&mut self) -> Result<Step, Error> {
        match &mut self.phase {
            Phase::Closed | Phase::Connecting { .. } => Ok(Step::Idle),
            Phase::Handshake(_) => self.advance_handshake(),
            Phase::AwaitConnect | Phase::Connected => {
                let Some(raw) = self.next_raw()? else {
                    return Ok(Step::Idle);
                };
                self.on_message(raw)?;
                Ok(Step::Progress)
            }
        }
    }

    fn next_raw(&mut self) -> Result<Option<RawMessage>, Error> {
        if let Some(aggregate) = &mut self.aggregate {
            if let Some(raw) = aggregate.next_message()? {
                return Ok(Some(raw));
            }
            self.aggregate = None;
        }
        self.reader.next_message(&mut self.input)
    }

    fn on_message(&mut self, raw: RawMessage) -> Result<(), Error> {
        let message_stream = self.streams.meant(raw.header.message_stream);
        let header = MessageHeader { message_stream, ..raw.header };
        match Message::decode(raw, &self.limits)? {
            Message::SetChunkSize(size) => self.reader.set_chunk_size(size)?,
            Message::Abort(chunk_stream) => self.reader.abort(chunk_stream),
            Message::Acknowledgement(bytes) => self.pulse.on_acknowledgement(bytes),
            Message::WindowAckSize(window) => self.pulse.on_window(window),
            Message::SetPeerBandwidth { window, limit } => {
                self.pulse.on_peer_bandwidth(window, limit, &mut self.outbox);
            }
            Message::UserControl(event) => self.on_user_control(event),
            Message::Command(command) => self.on_command(header.message_stream, &command)?,
            Message::Audio(body) | Message::Video(body) => self.on_media(header, body),
            Message::Data(body) => self.on_data(header, body)?,
            Message::Aggregate(aggregate) => self.aggregate = Some(aggregate),
            Message::SharedObject => self.counters.shared_objects += 1,
            Message::Unknown(_) => self.counters.unknown_messages += 1,
        }
        Ok(())
    }
}
