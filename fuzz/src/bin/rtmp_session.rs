//! A server session in each of its phases: no input panics, memory stays bounded, the pieces make no
//! difference to what happens, and after the end nothing comes.
#![no_main]

use bytes::Bytes;
use jackfield_fuzz::pieces;
use jackfield_media::Mono;
use jackfield_rtmp::chunk::ChunkLimits;
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
    // Time ends everything.
    for _ in 0..4 {
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

fuzz_target!(|data: &[u8]| {
    let [mode, pattern, bytes @ ..] = data else { return };
    let phase = match mode % 4 {
        0 => Phase::Nothing,
        1 => Phase::Connected,
        2 => Phase::Publishing,
        _ => Phase::Playing,
    };
    assert_eq!(run(phase, 0, bytes), run(phase, *pattern, bytes));
});
