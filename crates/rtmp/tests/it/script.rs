//! Exchanges written down as text, and replayed against a server session.
//!
//! | line | what it does |
//! |---|---|
//! | `# …` | a comment |
//! | `> command STREAM NAME TRANSACTION VALUE…` | the client calls, in AMF0 |
//! | `> flash STREAM NAME TRANSACTION VALUE…` | the same as a message of the AMF3 type that begins with a byte 0 |
//! | `> data STREAM TIME VALUE…` | a data message |
//! | `> audio STREAM TIME HEX`, `> video …` | media |
//! | `> message KIND STREAM TIME HEX` | any message |
//! | `> chunk SIZE` | Set Chunk Size, which holds from then on |
//! | `> control EVENT NUMBER…` | User Control |
//! | `> raw HEX` | bytes as they are, chunk headers included |
//! | `accept`, `reject REASON` | the application answers the last question |
//! | `after MS` | time passes |
//! | `< REPLY` | what the server has written since the last such lines, all of it |
//! | `= EVENT` | what has happened, likewise |
//!
//! Values: `null undefined true false 1.5 "text" {name: value} ecma{name: value} [value]`.

use crate::wire::Wire;
use jackfield_rtmp::amf::{self, Object, Value};
use jackfield_rtmp::message::kind;
use jackfield_rtmp::{Event, status};
use std::time::Duration;

/// Replays a script, in pieces of several sizes.
pub(crate) fn replay(script: &str) {
    for piece in [usize::MAX, 61, 1] {
        let mut player = Player { wire: Wire::shaken(), question: None };
        player.wire.piece = piece;
        player.play(script);
    }
}

struct Player {
    wire: Wire,
    question: Option<Event>,
}

impl Player {
    fn play(&mut self, script: &str) {
        let (mut replies, mut events) = (Vec::new(), Vec::new());
        let lines = script.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        for line in lines {
            let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
            match verb {
                "<" => replies.push(rest.to_owned()),
                "=" => events.push(rest.to_owned()),
                _ => {
                    self.check(&mut replies, &mut events, line);
                    self.act(verb, rest);
                }
            }
        }
        self.check(&mut replies, &mut events, "the end");
        assert_eq!(self.wire.closed, None);
    }

    fn check(&mut self, replies: &mut Vec<String>, events: &mut Vec<String>, before: &str) {
        if replies.is_empty() && events.is_empty() {
            return;
        }
        let said = self.wire.exchange();
        let happened = std::mem::take(&mut self.wire.events);
        let named: Vec<String> = happened.iter().map(name).collect();
        assert_eq!((&said, &named), (&*replies, &*events), "before {before:?}: {:?}", self.wire.closed);
        let is_question =
            |event: &Event| matches!(event, Event::Connect(_) | Event::Publish(_) | Event::Play(_));
        if let Some(question) = happened.into_iter().rfind(is_question) {
            self.question = Some(question);
        }
        replies.clear();
        events.clear();
    }

    fn act(&mut self, verb: &str, rest: &str) {
        match verb {
            ">" => self.send(rest),
            "accept" | "reject" => {
                let now = self.wire.now;
                let server = &mut self.wire.server;
                let bad_name = status::PUBLISH_BAD_NAME;
                let answered = match (verb, self.question.take().expect("nothing was asked")) {
                    ("accept", Event::Connect(_)) => server.accept_connect(),
                    ("accept", Event::Publish(publish)) => server.accept_publish(now, publish.message_stream),
                    ("accept", Event::Play(play)) => server.accept_play(play.message_stream),
                    (_, Event::Publish(publish)) => {
                        server.reject_publish(publish.message_stream, bad_name, rest)
                    }
                    (_, other) => panic!("{other:?} is not rejected here"),
                };
                answered.expect("the answer is awaited");
            }
            "after" => {
                self.wire.now = self.wire.now.after(Duration::from_millis(rest.parse().unwrap()));
                self.wire.server.handle_timeout(self.wire.now);
            }
            other => panic!("unknown line {other:?}"),
        }
    }

    fn send(&mut self, line: &str) {
        let mut words = Words(line);
        let verb = words.word();
        let wire = &mut self.wire;
        match verb {
            "command" | "flash" => {
                let (stream, name) = (words.number(), words.word());
                let mut values = vec![Value::from(name)];
                values.extend(words.values());
                let flash = verb == "flash";
                let body = [&[0][..usize::from(flash)], &encode(&values)].concat();
                wire.message(stream, if flash { kind::COMMAND_AMF3 } else { kind::COMMAND_AMF0 }, 0, &body);
            }
            "data" => {
                let (stream, time) = (words.number(), words.number());
                wire.message(stream, kind::DATA_AMF0, time, &encode(&words.values()));
            }
            "audio" | "video" | "message" => {
                let kind = match verb {
                    "audio" => kind::AUDIO,
                    "video" => kind::VIDEO,
                    _ => u8::try_from(words.number()).unwrap(),
                };
                let (stream, time) = (words.number(), words.number());
                wire.message(stream, kind, time, &words.hex());
            }
            "chunk" => wire.set_chunk_size(words.number()),
            "control" => {
                let event = u16::try_from(words.number()).unwrap();
                let numbers: Vec<u32> = std::iter::from_fn(|| words.more().then(|| words.number())).collect();
                let body: Vec<u8> = event
                    .to_be_bytes()
                    .into_iter()
                    .chain(numbers.iter().flat_map(|n| n.to_be_bytes()))
                    .collect();
                wire.message(0, kind::USER_CONTROL, 0, &body);
            }
            "raw" => wire.raw(&words.hex()),
            other => panic!("unknown verb {other:?}"),
        }
    }
}

fn encode(values: &[Value]) -> Vec<u8> {
    let mut body = Vec::new();
    values.iter().for_each(|value| amf::write(value, &mut body));
    body
}

/// An event in words.
fn name(event: &Event) -> String {
    match event {
        Event::Connect(connect) => format!("connect {} {:?}", connect.app, connect.flash_ver.as_str()),
        Event::Publish(publish) => {
            let query = if publish.query.is_empty() { String::new() } else { format!(" ?{}", publish.query) };
            format!("publish {} {}{query}", publish.key, publish.kind.as_str())
        }
        Event::Play(play) => format!("play {} {}", play.key, play.start),
        Event::Media { message_stream, kind, timestamp, body } => {
            format!("{kind} {message_stream} {timestamp} {} bytes", body.len())
        }
        Event::Metadata { timestamp, properties, .. } => {
            let names: Vec<&str> = properties.iter().map(|(name, _)| name).collect();
            format!("metadata {timestamp} {}", names.join(" ")).trim_end().to_owned()
        }
        Event::Data { timestamp, body, .. } => format!("data {timestamp} {} bytes", body.len()),
        Event::BufferLength { length, .. } => format!("buffer {}", length.as_millis()),
        Event::Pause { paused, .. } => format!("pause {paused}"),
        Event::Receive { kind, wanted, .. } => format!("receive {kind} {wanted}"),
        Event::Refused(refusal) => format!("refused {}", refusal.status.code),
        Event::Unpublish { message_stream } => format!("unpublish {message_stream}"),
        Event::StopPlay { message_stream } => format!("stop {message_stream}"),
        other => format!("{other:?}"),
    }
}

/// What is left of a line.
struct Words<'a>(&'a str);

impl<'a> Words<'a> {
    fn more(&mut self) -> bool {
        self.0 = self.0.trim_start();
        !self.0.is_empty()
    }

    fn word(&mut self) -> &'a str {
        assert!(self.more(), "the line is too short");
        let end = self.0.find(|c: char| c.is_whitespace() || ",:]}".contains(c)).unwrap_or(self.0.len());
        let (word, rest) = self.0.split_at(end);
        self.0 = rest;
        word
    }

    fn number(&mut self) -> u32 {
        self.word().parse().expect("a number")
    }

    /// The rest of the line as bytes; `7*128` stands for 128 bytes of 7.
    fn hex(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        while self.more() {
            let word = self.word();
            if let Some((byte, times)) = word.split_once('*') {
                let byte = u8::from_str_radix(byte, 16).unwrap();
                bytes.extend(vec![byte; times.parse().unwrap()]);
                continue;
            }
            let digits = word.as_bytes().chunks(2).map(|two| std::str::from_utf8(two).unwrap());
            bytes.extend(digits.map(|two| u8::from_str_radix(two, 16).unwrap()));
        }
        bytes
    }

    fn values(&mut self) -> Vec<Value> {
        std::iter::from_fn(|| self.more().then(|| self.value())).collect()
    }

    fn skip(&mut self, token: &str) -> bool {
        self.more();
        let rest = self.0.strip_prefix(token);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    fn value(&mut self) -> Value {
        self.more();
        if self.skip("ecma{") {
            return Value::EcmaArray(self.object());
        }
        if self.skip("{") {
            return Value::Object(self.object());
        }
        if self.skip("[") {
            let mut values = Vec::new();
            while !self.skip("]") {
                values.push(self.value());
                self.skip(",");
            }
            return Value::StrictArray(values);
        }
        if self.skip("\"") {
            let (text, rest) = self.0.split_once('"').expect("a quote");
            self.0 = rest;
            return text.into();
        }
        match self.word() {
            "null" => Value::Null,
            "undefined" => Value::Undefined,
            "true" => Value::Boolean(true),
            "false" => Value::Boolean(false),
            number => Value::Number(number.parse().expect("a value")),
        }
    }

    fn object(&mut self) -> Object {
        let mut object = Object::new();
        while !self.skip("}") {
            let name = self.word().to_owned();
            assert!(self.skip(":"), "a colon before {:?}", self.0);
            object.push(name, self.value());
            self.skip(",");
        }
        object
    }
}
