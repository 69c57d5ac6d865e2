//! A client session for one stream, in each of its phases: no input panics, memory stays bounded, the pieces make no
//! difference to what happens, deadlines end everything, and after the end nothing comes. What the server says of
//! redirects and logins leads somewhere or ends, in a bounded number of connections.
#![no_main]

use bytes::Bytes;
use jackfield_fuzz::pieces;
use jackfield_media::{Mono, TrackKind};
use jackfield_rtmp::amf::{self, Object, Value};
use jackfield_rtmp::chunk::{ChunkLimits, ChunkWriter, HeaderForm, MessageHeader};
use jackfield_rtmp::handshake::{Progress, ServerHandshake};
use jackfield_rtmp::{
    Approach, Event, HandshakeChoice, Input, Limits, Next, Output, PublishKind, Purpose, RtmpUrl,
    ServerConfig, ServerSession, StreamConfig, StreamEnd, StreamEvent, StreamOutput, StreamSession,
};
use libfuzzer_sys::fuzz_target;

/// Where the server's good manners end.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
enum Phase {
    Nothing,
    Handshake,
    Connected,
    Running,
}

/// Connections that one approach may take: redirects, a login for each place, handshakes.
const MOST_CONNECTIONS: usize = 40;

fn config(approach: &Approach, purpose: Purpose) -> StreamConfig {
    let mut client = approach.config();
    let chunk = ChunkLimits { message_bytes: 1 << 17, buffered_bytes: 1 << 18, ..ChunkLimits::default() };
    client.limits = Limits { chunk, ..Limits::default() };
    StreamConfig::new(client, purpose, approach.url().name())
}

/// A session that a well-behaved server has brought to this phase.
fn begin(phase: Phase, approach: &Approach, purpose: Purpose) -> StreamSession {
    let mut client = StreamSession::new(config(approach, purpose), 2, Mono::ZERO);
    match phase {
        Phase::Nothing => return client,
        // The server's own machine would refuse some apps that redirects lead to.
        Phase::Handshake => return shake_hands(client),
        Phase::Connected | Phase::Running => {}
    }
    let mut server = ServerSession::new(ServerConfig::default(), 1, Mono::ZERO);
    loop {
        let mut quiet = true;
        while let Some(output) = client.poll_output() {
            match output {
                StreamOutput::Write(bytes) => {
                    quiet = false;
                    server.handle_input(Mono::ZERO, bytes);
                }
                StreamOutput::Closed(end) => panic!("a good server was left: {end}"),
                StreamOutput::Event(_) => {}
            }
        }
        while let Some(output) = server.poll_output() {
            match output {
                Output::Write(bytes) => client.handle_input(Mono::ZERO, bytes),
                Output::Event(Event::Connect(_)) => {
                    server.accept_connect().expect("it has just asked");
                }
                Output::Event(Event::Publish(publish)) if phase == Phase::Running => {
                    server.accept_publish(Mono::ZERO, publish.message_stream).expect("it has just asked");
                }
                Output::Event(Event::Play(play)) if phase == Phase::Running => {
                    server.accept_play(play.message_stream).expect("it has just asked");
                }
                Output::Event(_) => {}
                Output::Closed(error) => panic!("a good client was sent away: {error}"),
            }
        }
        if quiet {
            return client;
        }
    }
}

/// A session with the handshake done, and its `connect` unanswered.
fn shake_hands(mut client: StreamSession) -> StreamSession {
    let (mut server, mut input) = (ServerHandshake::new(1), Input::default());
    loop {
        while let Some(output) = client.poll_output() {
            if let StreamOutput::Write(bytes) = output {
                input.push(bytes);
            }
        }
        let mut out = Vec::new();
        let progress = server.advance(&mut input, &mut out).expect("the client knows the handshake");
        client.handle_input(Mono::ZERO, out.into());
        if let Progress::Done(_) = progress {
            return client;
        }
    }
}

/// Takes out all there is; how it ended, if it did.
fn drain(client: &mut StreamSession, seen: &mut Vec<String>) -> Option<StreamEnd> {
    while let Some(output) = client.poll_output() {
        match output {
            StreamOutput::Write(bytes) => assert!(!bytes.is_empty()),
            StreamOutput::Event(event) => {
                if let StreamEvent::Media { body, .. } = &event {
                    assert!(!body.is_empty());
                }
                seen.push(format!("{event:?}"));
            }
            StreamOutput::Closed(end) => {
                assert!(client.poll_output().is_none());
                seen.push(end.to_string());
                return Some(end);
            }
        }
    }
    None
}

fn run(
    phase: Phase,
    purpose: Purpose,
    approach: &Approach,
    pattern: u8,
    bytes: &[u8],
) -> (Vec<String>, StreamEnd) {
    let mut client = begin(phase, approach, purpose);
    let mut seen = Vec::new();
    let mut now = Mono::ZERO;
    let mut end = None;
    for piece in pieces(pattern, bytes) {
        client.handle_input(now, Bytes::copy_from_slice(piece));
        end = end.or(drain(&mut client, &mut seen));
    }
    client.send(TrackKind::Video, 0, b"x");
    end = end.or(drain(&mut client, &mut seen));
    // Time ends everything but a publisher, who leaves.
    while let Some(deadline) = client.poll_timeout() {
        assert!(deadline > now || deadline == now && now == Mono::ZERO);
        now = deadline;
        client.handle_timeout(now);
        end = end.or(drain(&mut client, &mut seen));
    }
    client.leave();
    end = end.or(drain(&mut client, &mut seen));
    assert_eq!(client.poll_timeout(), None);
    client.handle_input(now, Bytes::from_static(b"x"));
    assert!(client.poll_output().is_none());
    (seen, end.expect("every session ends"))
}

/// Makes messages of the input: well-formed chunks around whatever follows, so that mutations get past the framing.
/// Each record is a type, a message stream, a time stamp, a length and as much of a body; a type of 0 makes a command
/// or status of the kinds that clients act on, with texts from the input.
fn messages(mut bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = ChunkWriter::new(HeaderForm::Full);
    while let [kind, stream, time, length, rest @ ..] = bytes {
        let (body, rest) = rest.split_at(rest.len().min(usize::from(*length)));
        bytes = rest;
        let header = MessageHeader {
            chunk_stream: 3 + u32::from(stream % 4),
            message_stream: u32::from(stream >> 4),
            kind: if *kind == 0 { 20 } else { *kind },
            timestamp: u32::from(*time) << 24 | u32::from(*length),
        };
        if *kind == 0 {
            writer.write(header, &command(*time, &String::from_utf8_lossy(body)), &mut out);
        } else {
            writer.write(header, body, &mut out);
        }
        if *kind == 1
            && let Some(size) = body.first_chunk().map(|four| u32::from_be_bytes(*four))
            && (1..=1 << 20).contains(&size)
        {
            writer.set_chunk_size(size);
        }
    }
    out
}

/// What servers say: answers, refusals, redirects, statuses.
fn command(which: u8, text: &str) -> Vec<u8> {
    let code = match which % 8 {
        0 => "NetConnection.Connect.Rejected",
        1 => "NetConnection.Connect.ReconnectRequest",
        2 => "NetStream.Play.Start",
        3 => "NetStream.Publish.Start",
        4 => "NetStream.Play.UnpublishNotify",
        5 => "NetConnection.Connect.Success",
        6 => "NetStream.Publish.BadName",
        _ => text,
    };
    let name = match which >> 3 & 3 {
        0 => "_result",
        1 => "_error",
        2 => "onStatus",
        _ => text,
    };
    let ex = Object::new().with("code", 302.0).with("redirect", text);
    let mut information = Object::new()
        .with("code", code)
        .with("description", text)
        .with("tcUrl", text)
        .with("level", "status");
    if which & 0x20 != 0 {
        information.push("ex".to_owned(), ex.into());
    }
    let transaction = f64::from(which >> 6) + 1.0;
    let second: Value = if which & 0x40 != 0 { 1.0.into() } else { information.into() };
    let mut body = Vec::new();
    for value in [name.into(), transaction.into(), Value::Null, second] {
        amf::write(&value, &mut body);
    }
    body
}

/// Every connection meets a server that says the same: it ends after a bounded number of them.
fn approach_ends(approach: &mut Approach, purpose: Purpose, bytes: &[u8]) {
    for _connection in 0..MOST_CONNECTIONS {
        let (_, end) = run(Phase::Handshake, purpose, approach, 0, bytes);
        assert!(approach.url().to_string().len() < 16 << 10);
        if let Next::GiveUp(_) = approach.after(&end, 5) {
            return;
        }
    }
    panic!("an approach has no end");
}

fuzz_target!(|data: &[u8]| {
    let [mode, pattern, bytes @ ..] = data else { return };
    let phase = match mode % 4 {
        0 => Phase::Nothing,
        1 => Phase::Handshake,
        2 => Phase::Connected,
        _ => Phase::Running,
    };
    let purpose = if mode & 4 == 0 { Purpose::Play } else { Purpose::Publish(PublishKind::Live) };
    let choice = if mode & 8 == 0 { HandshakeChoice::DigestFirst } else { HandshakeChoice::Simple };
    let url = RtmpUrl::parse("rtmp://u:p@h/live/inst/show?k=v").expect("it is a URL");
    let mut approach = Approach::new(url, choice);
    let made;
    let bytes = if mode & 16 == 0 {
        bytes
    } else {
        made = messages(bytes);
        &made
    };
    let (all, _) = run(phase, purpose, &approach, 0, bytes);
    assert_eq!(all, run(phase, purpose, &approach, *pattern, bytes).0);
    approach_ends(&mut approach, purpose, bytes);
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(url) = RtmpUrl::parse(text)
    {
        drop(RtmpUrl::parse(&url.tc_url()).expect("what we tell is a URL"));
    }
});
