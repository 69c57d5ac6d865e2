//! A server session in each of its phases: no input panics, memory stays bounded, the pieces make no
//! difference to what happens, and after the end nothing comes. Input is bytes, or messages of chosen types,
//! or the object of `connect`.
#![no_main]

use bytes::Bytes;
use jackfield_fuzz::pieces;
use jackfield_media::Mono;
use jackfield_rtmp::chunk::{ChunkLimits, ChunkWriter, HeaderForm, MessageHeader};
use jackfield_rtmp::{
    ClientConfig, ClientEvent, ClientSession, Event, Limits, Output, Packet, PublishKind, ServerConfig,
    ServerSession,
};
use libfuzzer_sys::fuzz_target;
use std::time::Duration;

/// Where the client's good manners end.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
enum Phase {
    Nothing,
    Shaken,
    Connected,
    Publishing,
    Playing,
}

fn config() -> ServerConfig {
    let chunk = ChunkLimits { message_bytes: 1 << 17, buffered_bytes: 1 << 18, ..ChunkLimits::default() };
    ServerConfig { limits: Limits { chunk, ..Limits::default() }, ..ServerConfig::default() }
}

/// A session that a well-behaved client has brought to this phase.
fn begin(phase: Phase) -> ServerSession {
    let mut server = ServerSession::new(config(), 1, Mono::ZERO);
    if phase == Phase::Nothing {
        return server;
    }
    if phase == Phase::Shaken {
        let mut hello = vec![0; 1 + 2 * 1536];
        hello[0] = 3;
        server.handle_input(Mono::ZERO, hello.into());
        while server.poll_output().is_some() {}
        return server;
    }
    let mut client = ClientSession::new(ClientConfig::new("live", "rtmp://h/live"), 2);
    loop {
        let mut quiet = true;
        while let Some(output) = client.poll_output() {
            match output {
                Output::Write(bytes) => {
                    quiet = false;
                    server.handle_input(Mono::ZERO, bytes);
                }
                Output::Event(ClientEvent::Connected { .. }) if phase > Phase::Connected => {
                    client.create_stream()
                }
                Output::Event(ClientEvent::StreamCreated { message_stream })
                    if phase == Phase::Publishing =>
                {
                    client.publish(message_stream, "show", PublishKind::Live);
                }
                Output::Event(ClientEvent::StreamCreated { message_stream }) => {
                    client.play(message_stream, "show")
                }
                _ => {}
            }
        }
        while let Some(output) = server.poll_output() {
            match output {
                Output::Write(bytes) => client.handle_input(bytes),
                Output::Event(event) => answer(&mut server, &event),
                Output::Closed(error) => panic!("a good client was sent away: {error}"),
            }
        }
        if quiet {
            return server;
        }
    }
}

/// What the application says: mostly yes.
fn answer(server: &mut ServerSession, event: &Event) {
    let given = match event {
        Event::Connect(connect) if connect.app.as_str() == "no" => server.reject_connect("No."),
        Event::Connect(_) => server.accept_connect(),
        Event::Publish(publish) => server.accept_publish(Mono::ZERO, publish.message_stream),
        Event::Play(play) => server.accept_play(play.message_stream),
        _ => Ok(()),
    };
    given.expect("who asks waits for the answer");
}

fn run(phase: Phase, pattern: u8, bytes: &[u8]) -> Vec<String> {
    let mut server = begin(phase);
    let mut seen = Vec::new();
    let mut now = Mono::ZERO;
    for piece in pieces(pattern, bytes) {
        server.handle_input(now, Bytes::copy_from_slice(piece));
        drain(&mut server, &mut seen);
        assert!(server.buffered_bytes() <= 1 << 19);
    }
    server.request_reconnect(Some("rtmp://h/live"), "Elsewhere.");
    drain(&mut server, &mut seen);
    // Time ends everything.
    for _ in 0..24 {
        now = server.poll_timeout().unwrap_or(now.after(Duration::from_secs(60)));
        server.handle_timeout(now);
        drain(&mut server, &mut seen);
    }
    assert_eq!(server.poll_timeout(), None);
    server.handle_input(now, Bytes::from_static(b"x"));
    assert!(server.poll_output().is_none());
    seen
}

fn drain(server: &mut ServerSession, seen: &mut Vec<String>) {
    while let Some(output) = server.poll_output() {
        match output {
            Output::Write(bytes) => assert!(!bytes.is_empty()),
            Output::Event(event) => {
                answer(server, &event);
                if let Event::Media { kind, timestamp, body, .. } = &event
                    && let Some(packet) = Packet::new(*kind, body, server.chunk_size())
                {
                    let head = packet.head(*timestamp as u32, 1);
                    assert_eq!(
                        packet.slices(&head, 0).map(<[u8]>::len).sum::<usize>(),
                        packet.wire_len(&head)
                    );
                }
                seen.push(format!("{event:?}"));
            }
            Output::Closed(error) => {
                assert!(server.poll_output().is_none());
                seen.push(error.to_string());
            }
        }
    }
}

/// `connect` with an object that is given in AMF0 or, behind its marker, in AMF3.
fn connect(bytes: &[u8]) -> Vec<u8> {
    let mut body = b"\x02\0\x07connect\0\x3f\xf0\0\0\0\0\0\0".to_vec();
    body.extend_from_slice(bytes);
    let mut out = Vec::new();
    let header = MessageHeader { chunk_stream: 3, message_stream: 0, kind: 20, timestamp: 0 };
    ChunkWriter::new(HeaderForm::Full).write(header, &body, &mut out);
    out
}

/// Messages: type, message stream, length, body.
fn messages(mut bytes: &[u8]) -> Vec<u8> {
    const KINDS: [u8; 12] = [1, 2, 4, 8, 9, 15, 16, 17, 18, 19, 20, 22];
    let mut out = Vec::new();
    let mut writer = ChunkWriter::new(HeaderForm::Shortest);
    while let [kind, stream, length, rest @ ..] = bytes {
        let (body, rest) = rest.split_at(rest.len().min(usize::from(*length)));
        bytes = rest;
        let header = MessageHeader {
            chunk_stream: 3 + u32::from(stream >> 6),
            message_stream: u32::from(stream & 3),
            kind: KINDS[usize::from(*kind) % KINDS.len()],
            timestamp: u32::from(stream >> 2 & 15) << 26,
        };
        writer.write(header, body, &mut out);
    }
    out
}

fuzz_target!(|data: &[u8]| {
    let [mode, pattern, bytes @ ..] = data else { return };
    let phase = match mode % 4 {
        0 => Phase::Nothing,
        1 => Phase::Connected,
        2 => Phase::Publishing,
        _ => Phase::Playing,
    };
    // The modes of old are those below 4, so that the corpus keeps its meaning.
    let (phase, input) = match (mode / 4 % 4, phase) {
        (0, phase) => (phase, bytes.to_vec()),
        (1 | 2, Phase::Nothing) => (Phase::Shaken, connect(bytes)),
        (_, phase) => (phase, messages(bytes)),
    };
    assert_eq!(run(phase, 0, &input), run(phase, *pattern, &input));
});
