//! `StreamSession` against servers that answer in every way: what it says, what it makes of the answers, when it goes.

use bytes::Bytes;
use jackfield_media::{Mono, TrackKind};
use jackfield_rtmp::amf::{self, Object, Value};
use jackfield_rtmp::chunk::{ChunkLimits, ChunkReader, ChunkWriter, HeaderForm, MessageHeader};
use jackfield_rtmp::handshake::{Progress, ServerHandshake};
use jackfield_rtmp::message::{Command, Message, MessageLimits, UserControl};
use jackfield_rtmp::{
    Approach, Awaited, ClientConfig, HandshakeChoice, Input, Next, PublishKind, Purpose, RtmpUrl, Scheme,
    StreamConfig, StreamEnd, StreamEvent, StreamOutput, StreamSession,
};
use std::time::Duration;

const LIVE: Purpose = Purpose::Publish(PublishKind::Live);

/// A session, and a server's end that says what a test wants.
struct Wire {
    client: StreamSession,
    now: Mono,
    input: Input,
    reader: ChunkReader,
    writer: ChunkWriter,
    events: Vec<StreamEvent>,
    end: Option<StreamEnd>,
}

impl Wire {
    /// With the handshake done.
    fn new(purpose: Purpose) -> Self {
        let config = ClientConfig::new("live", "rtmp://h/live");
        let mut wire = Self {
            client: StreamSession::new(StreamConfig::new(config, purpose, "show?k=v"), 1, Mono::ZERO),
            now: Mono::ZERO,
            input: Input::default(),
            reader: ChunkReader::new(ChunkLimits::default()),
            writer: ChunkWriter::new(HeaderForm::Full),
            events: Vec::new(),
            end: None,
        };
        let mut handshake = ServerHandshake::new(2);
        let mut progress = Progress::Pending;
        while progress == Progress::Pending {
            wire.drain();
            let mut out = Vec::new();
            progress = handshake.advance(&mut wire.input, &mut out).unwrap();
            wire.client.handle_input(wire.now, out.into());
        }
        wire
    }

    /// Up to where media may flow.
    fn running(purpose: Purpose) -> Self {
        let mut wire = Self::new(purpose);
        wire.answer_connect();
        let created = wire.number_of("createStream");
        wire.say("_result", created, 0, &[Value::Null, Value::Number(7.0)]);
        let code = if purpose == Purpose::Play { "NetStream.Play.Start" } else { "NetStream.Publish.Start" };
        wire.status(7, "status", code);
        assert_eq!(wire.events, [StreamEvent::Connected, StreamEvent::Started]);
        wire.events.clear();
        wire
    }

    fn answer_connect(&mut self) {
        let connect = self.number_of("connect");
        self.say("_result", connect, 0, &[Value::Null, Object::new().into()]);
    }

    fn drain(&mut self) {
        while let Some(output) = self.client.poll_output() {
            match output {
                StreamOutput::Write(bytes) => self.input.push(bytes),
                StreamOutput::Event(event) => self.events.push(event),
                StreamOutput::Closed(end) => {
                    assert!(self.client.poll_output().is_none(), "nothing comes after the end");
                    self.end = Some(end);
                }
            }
        }
    }

    fn raw(&mut self, kind: u8, message_stream: u32, timestamp: u32, body: &[u8]) {
        let mut out = Vec::new();
        let header = MessageHeader { chunk_stream: 3, message_stream, kind, timestamp };
        self.writer.write(header, body, &mut out);
        self.client.handle_input(self.now, out.into());
        self.drain();
    }

    fn say(&mut self, name: &str, transaction: f64, message_stream: u32, values: &[Value]) {
        let mut body = Vec::new();
        amf::write(&name.into(), &mut body);
        amf::write(&transaction.into(), &mut body);
        values.iter().for_each(|value| amf::write(value, &mut body));
        self.raw(20, message_stream, 0, &body);
    }

    fn status(&mut self, message_stream: u32, level: &str, code: &str) {
        let status = Object::new().with("level", level).with("code", code).with("description", "So.");
        self.say("onStatus", 0.0, message_stream, &[Value::Null, status.into()]);
    }

    /// The next message of the client.
    fn heard(&mut self) -> Option<(MessageHeader, Message)> {
        self.drain();
        let raw = self.reader.next_message(&mut self.input).unwrap()?;
        let header = raw.header;
        let message = Message::decode(raw, &MessageLimits::default()).unwrap();
        if let Message::SetChunkSize(size) = message {
            self.reader.set_chunk_size(size).unwrap();
        }
        Some((header, message))
    }

    fn heard_commands(&mut self) -> Vec<Command> {
        let heard = std::iter::from_fn(|| self.heard());
        heard
            .filter_map(
                |(_, message)| if let Message::Command(command) = message { Some(command) } else { None },
            )
            .collect()
    }

    /// The transaction of the command of this name, which was said just now.
    fn number_of(&mut self, name: &str) -> f64 {
        self.heard_commands().into_iter().find(|command| command.name == name).unwrap().transaction
    }

    /// Lets time go to the next deadline.
    fn wait(&mut self) -> Duration {
        let deadline = self.client.poll_timeout().unwrap();
        let waited = deadline - self.now;
        self.now = deadline;
        self.client.handle_timeout(deadline);
        self.drain();
        waited
    }

    fn said(commands: &[Command]) -> Vec<(&str, Option<&str>)> {
        commands.iter().map(|command| (command.name.as_str(), command.text(0))).collect()
    }
}

#[test]
fn a_publisher_says_what_encoders_say() {
    let mut wire = Wire::new(LIVE);
    wire.answer_connect();
    let commands = wire.heard_commands();
    let said = [("releaseStream", Some("show?k=v")), ("FCPublish", Some("show?k=v")), ("createStream", None)];
    assert_eq!(Wire::said(&commands), said);
    // What servers answer to the courtesies means nothing.
    wire.say(
        "_error",
        commands[0].transaction,
        0,
        &[Value::Null, Object::new().with("level", "error").into()],
    );
    wire.say("_result", commands[1].transaction, 0, &[]);
    wire.say("onFCPublish", 0.0, 0, &[Value::Null, Object::new().into()]);
    wire.say("onBWDone", 0.0, 0, &[Value::Null]);
    wire.say("_result", commands[2].transaction, 0, &[Value::Null, Value::Number(1.0)]);
    let commands = wire.heard_commands();
    assert_eq!(Wire::said(&commands), [("publish", Some("show?k=v"))]);
    assert_eq!(commands[0].text(1), Some("live"));
    wire.client.send(TrackKind::Video, 0, b"too early");
    assert!(wire.heard().is_none());
    wire.status(1, "status", "NetStream.Publish.Start");
    assert_eq!(wire.events, [StreamEvent::Connected, StreamEvent::Started]);
    assert_eq!(wire.client.poll_timeout(), None);

    wire.client.send(TrackKind::Data, 0, b"\x02\x00\x0aonMetaData\x05");
    let Some((_, Message::Data(data))) = wire.heard() else { panic!("no data") };
    assert_eq!(data, b"\x02\x00\x0d@setDataFrame\x02\x00\x0aonMetaData\x05"[..]);
    wire.client.send(TrackKind::Data, 0, b"\x02\x00\x05onCue\x05");
    let Some((_, Message::Data(data))) = wire.heard() else { panic!("no data") };
    assert_eq!(data, b"\x02\x00\x05onCue\x05"[..]);
    wire.client.leave();
    let commands = wire.heard_commands();
    assert_eq!(Wire::said(&commands), [("FCUnpublish", Some("show?k=v")), ("deleteStream", None)]);
    assert_eq!(wire.end, Some(StreamEnd::Left));
}

#[test]
fn a_player_gets_the_streams_messages_and_not_the_servers() {
    let mut wire = Wire::running(Purpose::Play);
    for (kind, body) in [
        (18, &b"\x02\x00\x11|RtmpSampleAccess\x01\x01"[..]),
        (18, b"\x02\x00\x08onStatus\x05"),
        (18, b"\x02\x00\x0d@setDataFrame\x02\x00\x01x"),
        (8, b""),
        (9, b"\x17"),
        (15, b"\x00\x02\x00\x01y"),
    ] {
        wire.raw(kind, 7, 5, body);
    }
    let body = |event: &StreamEvent| match event {
        StreamEvent::Media { kind, body, timestamp: 5 } => (*kind, body.to_vec()),
        other => panic!("{other:?}"),
    };
    let got: Vec<_> = wire.events.iter().map(body).collect();
    let data = |name: &[u8]| (TrackKind::Data, [b"\x02\x00\x01", name].concat());
    assert_eq!(got, [data(b"x"), (TrackKind::Video, vec![0x17]), data(b"y")]);
}

#[test]
fn media_without_a_word_before_is_a_beginning() {
    let mut wire = Wire::new(Purpose::Play);
    wire.answer_connect();
    let created = wire.number_of("createStream");
    wire.say("_result", created, 0, &[Value::Null, Value::Number(1.0)]);
    wire.raw(9, 1, 0, b"\x17");
    assert_eq!(wire.events.get(1), Some(&StreamEvent::Started));
    assert!(matches!(wire.events.get(2), Some(StreamEvent::Media { .. })));
}

#[test]
fn every_end_has_its_reason() {
    for (level, code, finished) in [
        ("status", "NetStream.Play.Stop", true),
        ("status", "NetStream.Play.Complete", true),
        ("status", "NetStream.Play.UnpublishNotify", true),
        ("status", "NetConnection.Connect.Closed", true),
        ("error", "NetStream.Play.Failed", false),
        ("error", "", false),
    ] {
        let mut wire = Wire::running(Purpose::Play);
        wire.status(7, level, code);
        let end = wire.end.clone().unwrap_or_else(|| panic!("{code} is no end"));
        assert_eq!(matches!(end, StreamEnd::Finished(_)), finished, "{code}: {end:?}");
        assert!(end.to_string().contains("So."), "{end}");
        wire.raw(9, 7, 0, b"\x17");
        wire.client.leave();
        wire.drain();
        assert_eq!((wire.events.len(), wire.client.poll_timeout()), (0, None), "nothing after the end");
    }
    for code in ["NetStream.Play.Reset", "NetStream.Play.PublishNotify", "NetStream.Data.Start", ""] {
        let mut wire = Wire::running(Purpose::Play);
        wire.status(7, "status", code);
        assert_eq!(wire.end, None, "{code}");
    }
}

#[test]
fn refusals_and_redirects_of_connect_are_told_apart() {
    let refuse = |information: Object| {
        let mut wire = Wire::new(Purpose::Play);
        let connect = wire.number_of("connect");
        wire.say("_error", connect, 0, &[Value::Null, information.into()]);
        wire.end.unwrap()
    };
    let information =
        || Object::new().with("code", "NetConnection.Connect.Rejected").with("description", "No.");
    let ex = |code: f64, place: &str| {
        information().with("ex", Object::new().with("code", code).with("redirect", place))
    };
    assert!(matches!(refuse(information()), StreamEnd::Rejected(_)));
    assert!(matches!(refuse(ex(403.0, "rtmp://h/x")), StreamEnd::Rejected(_)));
    assert!(matches!(refuse(Object::new()), StreamEnd::Rejected(_)));
    assert_eq!(refuse(ex(302.0, "rtmp://h/x")), StreamEnd::Redirected { tc_url: "rtmp://h/x".to_owned() });
    // Nobody needs a place that is longer than any URL.
    assert!(matches!(refuse(ex(302.0, &"x".repeat(9000))), StreamEnd::Rejected(_)));

    // Some servers leave the command object out.
    let mut wire = Wire::new(Purpose::Play);
    let connect = wire.number_of("connect");
    wire.say("_error", connect, 0, &[information().into()]);
    let Some(StreamEnd::Rejected(status)) = wire.end else { panic!("{:?}", wire.end) };
    assert_eq!(status.description.as_str(), "No.");
}

#[test]
fn a_request_to_reconnect_is_told_and_the_stream_goes_on() {
    let mut wire = Wire::running(Purpose::Play);
    let request = |place: Option<&str>| {
        let mut object =
            Object::new().with("code", "NetConnection.Connect.ReconnectRequest").with("description", "d");
        if let Some(place) = place {
            object.push("tcUrl".to_owned(), place.into());
        }
        object
    };
    for place in [None, Some("/other")] {
        wire.say("onStatus", 0.0, 0, &[Value::Null, request(place).into()]);
        let tc_url = place.map(str::to_owned);
        let expect = StreamEvent::ReconnectRequested { tc_url, description: "d".to_owned() };
        assert_eq!(wire.events.pop(), Some(expect));
    }
    assert_eq!(wire.end, None);
}

#[test]
fn every_answer_has_a_deadline() {
    let config = StreamConfig::new(ClientConfig::new("live", "rtmp://h/live"), Purpose::Play, "show");
    let mut silent = StreamSession::new(config, 1, Mono::ZERO);
    assert_eq!(silent.poll_timeout(), Some(Mono::ZERO.after(Duration::from_secs(10))));
    silent.handle_timeout(Mono::ZERO.after(Duration::from_secs(10)));
    let end = std::iter::from_fn(|| silent.poll_output()).last();
    assert_eq!(end, Some(StreamOutput::Closed(StreamEnd::TimedOut(Awaited::Handshake))));

    let mut wire = Wire::new(LIVE);
    assert_eq!(
        (wire.wait(), wire.end.clone()),
        (Duration::from_secs(10), Some(StreamEnd::TimedOut(Awaited::Connect)))
    );

    let mut wire = Wire::new(LIVE);
    wire.answer_connect();
    assert_eq!(
        (wire.wait(), wire.end.clone()),
        (Duration::from_secs(30), Some(StreamEnd::TimedOut(Awaited::CreateStream)))
    );

    let mut wire = Wire::new(LIVE);
    wire.answer_connect();
    let created = wire.number_of("createStream");
    wire.say("_result", created, 0, &[Value::Null, Value::Number(1.0)]);
    assert_eq!(
        (wire.wait(), wire.end.clone()),
        (Duration::from_secs(30), Some(StreamEnd::TimedOut(Awaited::Start)))
    );
}

#[test]
fn a_silent_server_is_pinged_and_then_left() {
    let mut wire = Wire::running(Purpose::Play);
    while wire.heard().is_some() {}
    assert_eq!(wire.wait(), Duration::from_secs(15));
    assert!(matches!(wire.heard(), Some((_, Message::UserControl(UserControl::PingRequest(_))))));
    // Any word is a sign of life.
    wire.raw(4, 0, 0, &[0, 7, 0, 0, 0, 0]);
    assert_eq!(wire.wait(), Duration::from_secs(15));
    assert_eq!((wire.wait(), wire.end), (Duration::from_secs(15), Some(StreamEnd::Silent)));
}

#[test]
fn pings_are_answered_and_windows_acknowledged() {
    let mut wire = Wire::running(Purpose::Play);
    while wire.heard().is_some() {}
    wire.raw(4, 0, 0, &[0, 6, 1, 2, 3, 4]);
    let ping = UserControl::PingResponse(0x0102_0304);
    assert_eq!(wire.heard().map(|(_, message)| message), Some(Message::UserControl(ping)));
    // A window that is tiny does not make us write all the time.
    wire.raw(5, 0, 0, &[0, 0, 0, 1]);
    wire.raw(9, 7, 0, &[0; 1000]);
    assert!(wire.heard().is_none());
    wire.raw(9, 7, 0, &[0; 20_000]);
    assert!(matches!(wire.heard(), Some((_, Message::Acknowledgement(count))) if count > 21_000));
}

#[test]
fn a_hostile_server_is_left_or_ignored_within_bounds() {
    // Answers that are none.
    for values in [
        &[][..],
        &[Value::Null, Value::Null],
        &[Value::Null, Value::Number(-1.0)],
        &[Value::Null, Value::Number(0.5)],
    ] {
        let mut wire = Wire::new(LIVE);
        wire.answer_connect();
        let created = wire.number_of("createStream");
        wire.say("_result", created, 0, values);
        assert!(matches!(wire.end, Some(StreamEnd::Refused(_))), "{values:?}: {:?}", wire.end);
    }
    // Answers to what was never asked, and everything twice.
    let mut wire = Wire::running(Purpose::Play);
    for number in 0..200 {
        wire.say("_result", f64::from(number), 0, &[Value::Null, Value::Number(3.0)]);
        wire.say("_error", f64::from(number), 0, &[Value::Null, Object::new().into()]);
        wire.status(7, "status", "NetStream.Play.Start");
    }
    assert_eq!((wire.events.len(), wire.end.clone()), (0, None));
    // Media on streams that nobody has asked for.
    for stream in 0..1000 {
        wire.raw(9, stream, 0, b"\x17");
    }
    assert!(wire.events.len() <= 17, "{}", wire.events.len());
    // Malformed AMF, chunk size 0, a huge message.
    for (kind, body) in [(20, &b"\xff"[..]), (1, &[0, 0, 0, 0]), (22, b"x"), (4, b"")] {
        let mut wire = Wire::running(Purpose::Play);
        wire.raw(kind, 0, 0, body);
        assert!(matches!(wire.end, Some(StreamEnd::Protocol(_))), "{kind}: {:?}", wire.end);
    }
    // More input than may be held.
    let mut wire = Wire::running(Purpose::Play);
    wire.client.handle_input(Mono::ZERO, Bytes::from(vec![0xff; 32 << 20]));
    wire.drain();
    assert!(matches!(wire.end, Some(StreamEnd::Protocol(_))));
}

#[test]
fn a_flood_of_pings_is_answered_piece_by_piece() {
    let mut wire = Wire::running(Purpose::Play);
    while wire.heard().is_some() {}
    let mut flood = Vec::new();
    let header = MessageHeader { chunk_stream: 2, message_stream: 0, kind: 4, timestamp: 0 };
    for _ in 0..10_000 {
        wire.writer.write(header, &[0, 6, 0, 0, 0, 1], &mut flood);
    }
    wire.client.handle_input(wire.now, flood.into());
    let mut total = 0;
    while let Some(output) = wire.client.poll_output() {
        let StreamOutput::Write(bytes) = output else { panic!("{output:?}") };
        assert!(bytes.len() < 32 << 10, "{}", bytes.len());
        total += bytes.len();
    }
    assert!(total >= 10_000 * 7, "{total}");
}

#[test]
fn an_approach_leads_on_from_what_servers_say() {
    let url = RtmpUrl::parse("rtmp://user:pass@h/live/show").unwrap();
    let mut approach = Approach::new(url, HandshakeChoice::Simple);
    let end = StreamEnd::Redirected { tc_url: "rtmps://other/live".to_owned() };
    assert_eq!(approach.after(&end, 1), Next::Again);
    assert_eq!((approach.url().scheme(), approach.url().port()), (Scheme::Rtmps, 443));
    assert_eq!(approach.after(&StreamEnd::Silent, 1), Next::GiveUp(None));
}
