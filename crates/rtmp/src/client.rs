//! The client's side: [`ClientSession`] speaks the protocol on one connection, [`StreamSession`] publishes or
//! plays one stream over one connection, with deadlines. [`Approach`] says which connections it takes to get there:
//! redirects, login, handshakes that a server does not know.

mod answers;
mod approach;
mod config;
mod event;
mod login;
mod stream;
mod url;

pub use approach::{Approach, ApproachError, HandshakeChoice, Next};
pub use config::{Announce, ClientConfig};
pub use event::ClientEvent;
pub use login::LoginError;
pub use stream::{Awaited, Purpose, StreamConfig, StreamEnd, StreamEvent, StreamOutput, StreamSession};
pub use url::{Credentials, RtmpUrl, Scheme, UrlError};

use crate::amf::{Object, Value};
use crate::chunk::{ChunkReader, MessageHeader, RawMessage};
use crate::handshake::{ClientHandshake, Progress};
use crate::message::{Aggregate, Message, Outbox, UserControl, chunk_stream, kind};
use crate::session::{Output, PublishKind, Step, Unwrap};
use crate::{Capabilities, Error, Input};
use bytes::Bytes;
use jackfield_media::TrackKind;
use std::collections::VecDeque;

/// Replies are handed out at this size even if more input waits, so that they stay bounded.
const FLUSH_BYTES: usize = 16 << 10;
/// A server may ask for an acknowledgement every so many bytes, but not more often. Bounds how much a hostile
/// window makes us write.
const MIN_WINDOW: u32 = 16 << 10;
/// Calls whose answer is still to come. A server that answers none makes us forget the oldest.
const MAX_CALLS: usize = 64;

/// The client's side of a connection, as a state machine without I/O. As with the server's, call
/// [`poll_output`](Self::poll_output) until it is `None` after each other call.
#[derive(Debug)]
pub struct ClientSession {
    config: ClientConfig,
    phase: Phase,
    input: Input,
    reader: ChunkReader,
    aggregate: Option<Aggregate>,
    outbox: Outbox,
    events: VecDeque<ClientEvent>,
    end: Option<Error>,
    last_transaction: u32,
    /// Calls that were not answered yet.
    calls: Vec<(u32, Call)>,
    /// One time line for each message stream that plays.
    unwraps: Vec<(u32, Unwrap)>,
    received: u64,
    acknowledged: u64,
    /// How many bytes the server sends ahead of our acknowledgement.
    window: u32,
}

#[derive(Debug)]
enum Phase {
    Handshake(ClientHandshake),
    Open,
    Closed,
}

/// What a transaction asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Call {
    Connect,
    CreateStream,
    /// What is said because others say it: no answer to it means anything.
    Courtesy,
    Other,
}

impl ClientSession {
    /// A session for a connection that was just opened. `seed` feeds the handshake's random bytes.
    #[must_use]
    pub fn new(config: ClientConfig, seed: u64) -> Self {
        let mut outbox = Outbox::new(config.header_form);
        let handshake = ClientHandshake::start(config.handshake, seed, outbox.raw());
        Self {
            phase: Phase::Handshake(handshake),
            input: Input::default(),
            reader: ChunkReader::new(config.limits.chunk),
            aggregate: None,
            outbox,
            events: VecDeque::new(),
            end: None,
            last_transaction: 0,
            calls: Vec::new(),
            unwraps: Vec::new(),
            received: 0,
            acknowledged: 0,
            window: config.window_bytes.max(MIN_WINDOW),
            config,
        }
    }

    /// Takes bytes that were read from the socket.
    pub fn handle_input(&mut self, bytes: Bytes) {
        if matches!(self.phase, Phase::Closed) {
            return;
        }
        self.received += bytes.len() as u64;
        self.input.push(bytes);
        let limit = self.config.limits.chunk.buffered_bytes;
        if self.input.len() > limit {
            self.finish(Error::TooMuchInput(limit));
        }
    }

    /// What to do next; see [`ServerSession::poll_output`](crate::ServerSession::poll_output).
    pub fn poll_output(&mut self) -> Option<Output<ClientEvent>> {
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
        if matches!(self.phase, Phase::Open) && self.received - self.acknowledged >= u64::from(self.window) {
            self.acknowledged = self.received;
            let sequence = u32::try_from(self.received & u64::from(u32::MAX)).unwrap_or_default();
            self.outbox.acknowledgement(sequence);
        }
        if let Some(bytes) = self.outbox.take() {
            return Some(Output::Write(bytes));
        }
        self.end.take().map(Output::Closed)
    }

    /// Asks for a message stream; [`ClientEvent::StreamCreated`] answers.
    pub fn create_stream(&mut self) {
        let transaction = self.next_transaction(Call::CreateStream);
        self.outbox.command(0, "createStream", transaction, &[Value::Null]);
    }

    /// Publishes on a message stream; a [`ClientEvent::Status`] answers.
    pub fn publish(&mut self, message_stream: u32, name: &str, kind: PublishKind) {
        let transaction = self.next_transaction(Call::Other);
        let values = [Value::Null, name.into(), kind.as_str().into()];
        self.outbox.command(message_stream, "publish", transaction, &values);
    }

    /// Plays on a message stream; a [`ClientEvent::Status`] answers, then media comes.
    pub fn play(&mut self, message_stream: u32, name: &str) {
        self.outbox.command(message_stream, "play", 0.0, &[Value::Null, name.into(), Value::Number(-2.0)]);
    }

    /// Sends a command and asks for an answer, which comes as [`ClientEvent::Answer`] with the number that
    /// is returned. The command object is null.
    pub fn call(&mut self, message_stream: u32, name: &str, arguments: &[Value]) -> f64 {
        let transaction = self.next_transaction(Call::Other);
        self.send_command(message_stream, name, transaction, arguments);
        transaction
    }

    /// Sends a command whose answer is passed over, whatever it says: `releaseStream`, `FCPublish`.
    pub fn courtesy(&mut self, name: &str, arguments: &[Value]) {
        let transaction = self.next_transaction(Call::Courtesy);
        self.send_command(0, name, transaction, arguments);
    }

    /// Sends a command that wants no answer.
    pub fn notify(&mut self, message_stream: u32, name: &str, arguments: &[Value]) {
        self.send_command(message_stream, name, 0.0, arguments);
    }

    /// Sends audio, video or data (AMF0 values, which begin with a name). A body of 2²⁴ bytes or more is
    /// not sent.
    pub fn send_media(&mut self, message_stream: u32, track: TrackKind, timestamp: u32, body: &[u8]) {
        let (stream, kind) = match track {
            TrackKind::Audio => (chunk_stream::AUDIO, kind::AUDIO),
            TrackKind::Video => (chunk_stream::VIDEO, kind::VIDEO),
            TrackKind::Data => (chunk_stream::DATA, kind::DATA_AMF0),
        };
        self.send_raw(MessageHeader { chunk_stream: stream.into(), message_stream, kind, timestamp }, body);
    }

    /// Sends any message. A body of 2²⁴ bytes or more is not sent.
    pub fn send_raw(&mut self, header: MessageHeader, body: &[u8]) {
        if body.len() < 1 << 24 {
            self.outbox.message(header, body);
        }
    }

    /// Tells the server a new chunk size, and uses it.
    pub fn set_chunk_size(&mut self, size: u32) {
        self.outbox.set_chunk_size(size);
    }

    /// Sends a user control event.
    pub fn send_user_control(&mut self, event: UserControl) {
        self.outbox.user_control(event);
    }

    fn send_command(&mut self, message_stream: u32, name: &str, transaction: f64, arguments: &[Value]) {
        let mut values = vec![Value::Null];
        values.extend_from_slice(arguments);
        self.outbox.command(message_stream, name, transaction, &values);
    }

    fn next_transaction(&mut self, call: Call) -> f64 {
        self.last_transaction += 1;
        if self.calls.len() >= MAX_CALLS {
            self.calls.remove(0);
        }
        self.calls.push((self.last_transaction, call));
        f64::from(self.last_transaction)
    }

    fn step(&mut self) -> Result<Step, Error> {
        match &mut self.phase {
            Phase::Closed => Ok(Step::Idle),
            Phase::Handshake(handshake) => {
                let Progress::Done(kind) = handshake.advance(&mut self.input, self.outbox.raw())? else {
                    return Ok(Step::Idle);
                };
                self.phase = Phase::Open;
                self.events.push_back(ClientEvent::HandshakeDone(kind));
                self.write_connect();
                Ok(Step::Progress)
            }
            Phase::Open => {
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

    fn write_connect(&mut self) {
        let transaction = self.next_transaction(Call::Connect);
        let mut object = Object::new()
            .with("app", self.config.app.as_str())
            .with("flashVer", self.config.flash_ver.as_str())
            .with("tcUrl", self.config.tc_url.as_str());
        if self.config.announce == Announce::Everything {
            Capabilities::announce_forwarder(&mut object);
        }
        for (name, value) in self.config.properties.iter() {
            object.push(name.to_owned(), value.clone());
        }
        self.outbox.command(0, "connect", transaction, &[object.into()]);
        self.outbox.set_chunk_size(self.config.chunk_size.max(1));
    }

    fn on_message(&mut self, raw: RawMessage) -> Result<(), Error> {
        let header = raw.header;
        match Message::decode(raw, &self.config.limits.message)? {
            Message::SetChunkSize(size) => self.reader.set_chunk_size(size)?,
            Message::Abort(chunk_stream) => self.reader.abort(chunk_stream),
            Message::WindowAckSize(window) => self.window = window.max(MIN_WINDOW),
            Message::SetPeerBandwidth { window, .. } => self.outbox.window_ack_size(window),
            Message::UserControl(UserControl::PingRequest(number)) => {
                self.outbox.user_control(UserControl::PingResponse(number));
            }
            Message::UserControl(event) => self.events.push_back(ClientEvent::UserControl(event)),
            Message::Command(command) => self.on_command(header.message_stream, command),
            Message::Audio(body) => self.on_media(header, TrackKind::Audio, body),
            Message::Video(body) => self.on_media(header, TrackKind::Video, body),
            Message::Data(body) => self.on_media(header, TrackKind::Data, body),
            Message::Aggregate(aggregate) => self.aggregate = Some(aggregate),
            Message::Acknowledgement(_) | Message::SharedObject | Message::Unknown(_) => {}
        }
        Ok(())
    }

    fn on_media(&mut self, header: MessageHeader, kind: TrackKind, body: Bytes) {
        let message_stream = header.message_stream;
        let known = self.unwraps.iter().position(|(id, _)| *id == message_stream);
        // Bounds what a server can make us remember by media on streams that nobody has asked for.
        if known.is_none() && self.unwraps.len() >= self.config.limits.message_streams {
            return;
        }
        let index = known.unwrap_or_else(|| {
            self.unwraps.push((message_stream, Unwrap::default()));
            self.unwraps.len() - 1
        });
        let Some((_, unwrap)) = self.unwraps.get_mut(index) else {
            return;
        };
        let timestamp = unwrap.unwrap(header.timestamp);
        self.events.push_back(ClientEvent::Media { message_stream, kind, timestamp, body });
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
}
