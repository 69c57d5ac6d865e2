//! A server session and a client that is written out message by message: what it sends is exact, and
//! what it gets is told in words.

use bytes::Bytes;
use jackfield_media::Mono;
use jackfield_rtmp::amf::{self, Object, Value};
use jackfield_rtmp::chunk::{ChunkLimits, ChunkReader, ChunkWriter, HeaderForm, MessageHeader, RawMessage};
use jackfield_rtmp::message::{Command, Message, MessageLimits, UserControl, kind};
use jackfield_rtmp::{Error, Event, Input, Output, ServerConfig, ServerSession};

/// The client and its server.
pub(crate) struct Wire {
    pub(crate) server: ServerSession,
    pub(crate) now: Mono,
    pub(crate) events: Vec<Event>,
    pub(crate) closed: Option<Error>,
    /// What is sent comes in pieces of this size.
    pub(crate) piece: usize,
    writer: ChunkWriter,
    reader: ChunkReader,
    input: Input,
    out: Vec<u8>,
}

impl Wire {
    /// A connection of which nothing was sent yet.
    pub(crate) fn new(config: ServerConfig) -> Self {
        let now = Mono::ZERO;
        Self {
            server: ServerSession::new(config, 5, now),
            now,
            events: Vec::new(),
            closed: None,
            piece: usize::MAX,
            writer: ChunkWriter::new(HeaderForm::Full),
            reader: ChunkReader::new(ChunkLimits::default()),
            input: Input::default(),
            out: Vec::new(),
        }
    }

    /// A connection after a simple handshake.
    pub(crate) fn shaken() -> Self {
        Self::shaken_with(ServerConfig::default())
    }

    /// As [`shaken`](Self::shaken), with these settings.
    pub(crate) fn shaken_with(config: ServerConfig) -> Self {
        let mut wire = Self::new(config);
        wire.raw(&[&[3][..], &[0; 2 * 1536]].concat());
        let (writes, _) = wire.exchange_raw();
        assert_eq!(writes.iter().map(Bytes::len).sum::<usize>(), 1 + 2 * 1536);
        wire.events.clear();
        wire
    }

    /// A connection whose `connect` to the app `live` was accepted.
    pub(crate) fn connected() -> Self {
        Self::connected_with(ServerConfig::default())
    }

    /// As [`connected`](Self::connected), with these settings.
    pub(crate) fn connected_with(config: ServerConfig) -> Self {
        let mut wire = Self::shaken_with(config);
        wire.connect(Object::new().with("app", "live").with("tcUrl", "rtmp://localhost/live"));
        wire.exchange();
        wire.server.accept_connect().unwrap();
        assert_eq!(wire.exchange().last().unwrap(), "_result 1 NetConnection.Connect.Success");
        wire.events.clear();
        wire
    }

    /// A connection that publishes `live/show` on message stream 1.
    pub(crate) fn publishing() -> Self {
        let mut wire = Self::connected();
        wire.command(0, "createStream", 2.0, &[Value::Null]);
        wire.command(1, "publish", 3.0, &[Value::Null, "show".into(), "live".into()]);
        wire.exchange();
        wire.server.accept_publish(wire.now, 1).unwrap();
        assert_eq!(wire.exchange(), ["begin 1", "onStatus@1 status NetStream.Publish.Start"]);
        wire.events.clear();
        wire
    }

    /// A connection that plays `live/show` on message stream 1.
    pub(crate) fn playing() -> Self {
        let mut wire = Self::connected();
        wire.command(0, "createStream", 2.0, &[Value::Null]);
        wire.command(1, "play", 0.0, &[Value::Null, "show".into()]);
        wire.exchange();
        wire.server.accept_play(1).unwrap();
        wire.exchange();
        wire.events.clear();
        wire
    }

    pub(crate) fn connect(&mut self, object: Object) {
        self.command(0, "connect", 1.0, &[object.into()]);
    }

    pub(crate) fn command(&mut self, message_stream: u32, name: &str, transaction: f64, values: &[Value]) {
        let mut body = Vec::new();
        amf::write(&name.into(), &mut body);
        amf::write(&transaction.into(), &mut body);
        values.iter().for_each(|value| amf::write(value, &mut body));
        self.message(message_stream, kind::COMMAND_AMF0, 0, &body);
    }

    pub(crate) fn message(&mut self, message_stream: u32, kind: u8, timestamp: u32, body: &[u8]) {
        let header = MessageHeader { chunk_stream: 3, message_stream, kind, timestamp };
        self.writer.write(header, body, &mut self.out);
    }

    /// Tells the server a chunk size, and uses it.
    pub(crate) fn set_chunk_size(&mut self, size: u32) {
        self.message(0, kind::SET_CHUNK_SIZE, 0, &size.to_be_bytes());
        self.writer.set_chunk_size(size);
    }

    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// Bytes that the next exchange will send.
    pub(crate) fn take_unsent(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    /// Sends all, and returns the server's writes and what they say.
    pub(crate) fn exchange_writes(&mut self) -> (usize, Vec<String>) {
        let (writes, messages) = self.exchange_raw();
        (writes.len(), messages.into_iter().map(describe).collect())
    }

    /// Sends all, and returns the commands that came back.
    pub(crate) fn exchange_commands(&mut self) -> Vec<Command> {
        let command = |message| if let Message::Command(command) = message { Some(command) } else { None };
        self.exchange_raw().1.into_iter().filter_map(command).collect()
    }

    /// Sends all, and tells what came back.
    pub(crate) fn exchange(&mut self) -> Vec<String> {
        self.exchange_writes().1
    }

    fn exchange_raw(&mut self) -> (Vec<Bytes>, Vec<Message>) {
        let bytes = self.take_unsent();
        let mut writes = Vec::new();
        for piece in bytes.chunks(self.piece) {
            self.server.handle_input(self.now, Bytes::copy_from_slice(piece));
            self.poll(&mut writes);
        }
        self.poll(&mut writes);
        let handshake = writes.first().is_some_and(|w| w.len() == 1 + 2 * 1536);
        writes.iter().skip(usize::from(handshake)).for_each(|w| self.input.push(w.clone()));
        let mut messages = Vec::new();
        while let Some(raw) = self.reader.next_message(&mut self.input).unwrap() {
            messages.push(self.obey(raw));
        }
        (writes, messages)
    }

    fn poll(&mut self, writes: &mut Vec<Bytes>) {
        while let Some(output) = self.server.poll_output() {
            match output {
                Output::Write(bytes) => writes.push(bytes),
                Output::Event(event) => self.events.push(event),
                Output::Closed(error) => self.closed = Some(error),
            }
        }
    }

    fn obey(&mut self, raw: RawMessage) -> Message {
        let stream = raw.header.message_stream;
        let mut message = Message::decode(raw, &MessageLimits::default()).unwrap();
        match &mut message {
            Message::SetChunkSize(size) => self.reader.set_chunk_size(*size).unwrap(),
            // So that the description tells where it came from.
            Message::Command(command) if stream != 0 => command.name = format!("{}@{stream}", command.name),
            _ => {}
        }
        message
    }
}

fn describe(message: Message) -> String {
    match message {
        Message::SetChunkSize(size) => format!("chunk {size}"),
        Message::WindowAckSize(size) => format!("window {size}"),
        Message::SetPeerBandwidth { window, .. } => format!("bandwidth {window}"),
        Message::Acknowledgement(bytes) => format!("ack {bytes}"),
        Message::UserControl(UserControl::StreamBegin(id)) => format!("begin {id}"),
        Message::UserControl(UserControl::StreamEof(id)) => format!("eof {id}"),
        Message::UserControl(UserControl::PingRequest(n)) => format!("ping {n}"),
        Message::UserControl(UserControl::PingResponse(n)) => format!("pong {n}"),
        Message::Data(body) => {
            let name = amf::AmfReader::new(&body, amf::AmfLimits::default()).next_value().unwrap();
            format!("data {}", name.unwrap().as_str().unwrap())
        }
        Message::Command(command) => describe_command(&command),
        other => panic!("unexpected {other:?}"),
    }
}

fn describe_command(command: &Command) -> String {
    let status = command.argument(0).and_then(Value::as_object);
    let code = status.and_then(|o| o.text("code")).map(str::to_owned);
    let text = match (&code, command.argument(0)) {
        (Some(code), _) => code.clone(),
        (None, Some(Value::Number(number))) => number.to_string(),
        _ => "-".to_owned(),
    };
    if command.name.starts_with("onStatus") {
        let level = status.and_then(|o| o.text("level")).unwrap_or_default();
        return format!("{} {level} {text}", command.name);
    }
    format!("{} {} {text}", command.name, command.transaction)
}
