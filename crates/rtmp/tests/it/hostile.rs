//! What hostile peers send: each gets a protocol error, and the memory of its connection stays bounded.

use crate::memory::peak_of;
use crate::wire::Wire;
use bytes::Bytes;
use jackfield_media::Mono;
use jackfield_rtmp::amf::AmfError;
use jackfield_rtmp::message::kind;
use jackfield_rtmp::{Error, Event, Output, ServerConfig, ServerSession};

/// More than any connection may hold that has not begun a long message.
const SMALL: usize = 512 << 10;

/// Feeds bytes after the handshake, in pieces as a socket gives them; what the session ends with.
fn feed(session: &mut ServerSession, bytes: &[u8]) -> Option<Error> {
    for piece in bytes.chunks(16 << 10) {
        session.handle_input(Mono::ZERO, Bytes::copy_from_slice(piece));
        while let Some(output) = session.poll_output() {
            if let Output::Closed(error) = output {
                return Some(error);
            }
        }
    }
    None
}

fn check(bytes: &[u8], expect: Error, limit: usize) {
    let mut wire = Wire::publishing();
    let mut got = None;
    let peak = peak_of(|| got = feed(&mut wire.server, bytes));
    assert_eq!(got, Some(expect));
    assert!(peak <= limit, "{peak} bytes for {got:?}");
}

/// A command or data message in one chunk stream, chunked by 128 bytes.
fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut wire = Wire::new(ServerConfig::default());
    wire.message(1, kind, 0, body);
    wire.take_unsent()
}

#[test]
fn random_bytes_http_and_tls_are_closed_at_the_first_byte() {
    for bytes in [
        &b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..],
        b"\x16\x03\x01\x02\0\x01\0",
        b"\0\0\0",
        b"\xff\xfe",
        b"PROXY",
    ] {
        let mut session = ServerSession::new(ServerConfig::default(), 1, Mono::ZERO);
        assert_eq!(feed(&mut session, bytes), Some(Error::Version(bytes[0])));
        assert_eq!(session.buffered_bytes(), 0);
    }
}

#[test]
fn garbage_after_a_handshake_ends_or_is_within_bounds() {
    let mut seed = 7_u64;
    for _ in 0..300 {
        let mut wire = Wire::shaken();
        let garbage: Vec<u8> = (0..20_000)
            .map(|_| {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                seed.to_be_bytes()[0]
            })
            .collect();
        let peak = peak_of(|| {
            feed(&mut wire.server, &garbage);
        });
        assert!(peak < SMALL, "{peak}");
    }
}

#[test]
fn chunk_sizes_out_of_bounds_end_the_session() {
    for size in [0, (1 << 20) + 1, 1 << 31, u32::MAX] {
        check(
            &message(kind::SET_CHUNK_SIZE, &size.to_be_bytes()),
            Error::ChunkSize { size, limit: 1 << 20 },
            SMALL,
        );
    }
}

#[test]
fn ten_thousand_chunk_streams_end_the_session() {
    let wire: Vec<u8> = (0..10_000_u32)
        .flat_map(|id| {
            let [low, high, ..] = id.to_le_bytes();
            // One chunk of a message of 1 MiB each.
            [&[1, low, high][..], b"\0\0\0\x10\0\0\x09\x01\0\0\0", &[0; 128]].concat()
        })
        .collect();
    // One more stream is the client's commands.
    check(&wire, Error::TooManyChunkStreams(64), SMALL);
}

#[test]
fn the_longest_message_takes_memory_only_as_it_comes() {
    let header = b"\x06\0\0\0\xff\xff\xff\x09\x01\0\0\0";
    let mut wire = Wire::publishing();
    let peak = peak_of(|| assert_eq!(feed(&mut wire.server, &[&header[..], &[0; 128]].concat()), None));
    assert!(peak < 64 << 10, "{peak}");
}

#[test]
fn many_long_messages_at_once_end_at_the_bound_for_all() {
    // Each chunk stream begins a message of 16 MiB - 1 and sends 1 MiB of it.
    let mut wire = message(kind::SET_CHUNK_SIZE, &(1_u32 << 20).to_be_bytes());
    for id in 4..64 {
        wire.push(id);
        wire.extend_from_slice(b"\0\0\0\xff\xff\xff\x09\x01\0\0\0");
        wire.resize(wire.len() + (1 << 20), 0);
    }
    check(&wire, Error::TooMuchBuffered(20 << 20), 24 << 20);
}

#[test]
fn amf_nested_ten_thousand_deep_ends_the_session() {
    for opener in [&b"\x03\0\x01a"[..], b"\x0a\0\0\0\x01", b"\x08\0\0\0\x01\0\x01a", b"\x10\0\x01C\0\x01a"] {
        // The longer forms would be refused for the length of the command.
        let nested = opener.repeat((60_000 / opener.len()).min(10_000));
        let command = [&b"\x02\0\x07connect\0\0\0\0\0\0\0\0\0"[..], &nested].concat();
        check(&message(kind::COMMAND_AMF0, &command), Error::Amf(AmfError::TooDeep(32)), SMALL);
        for name in [
            &b"\x02\0\x0aonMetaData"[..],
            b"\x02\0\x0d@setDataFrame\x02\0\x0aonMetaData",
            b"\x02\0\x06onText",
        ] {
            let data = [name, &nested].concat();
            check(&message(kind::DATA_AMF0, &data), Error::Amf(AmfError::TooDeep(32)), SMALL);
        }
    }
}

#[test]
fn a_string_longer_than_its_message_ends_the_session() {
    let prefix = &b"\x02\0\x07publish\0\0\0\0\0\0\0\0\0\x05"[..];
    for string in [&b"\x02\xff\xffabc"[..], b"\x0c\xff\xff\xff\xffabc"] {
        check(
            &message(kind::COMMAND_AMF0, &[prefix, string].concat()),
            Error::Amf(AmfError::Truncated),
            SMALL,
        );
    }
}

#[test]
fn values_without_end_and_commands_too_long_end_the_session() {
    let prefix = &b"\x02\0\x07publish\0\0\0\0\0\0\0\0\0\x05"[..];
    let many = [prefix, &[5; 10_000]].concat();
    check(&message(kind::COMMAND_AMF0, &many), Error::Amf(AmfError::TooManyValues(4096)), 2 << 20);
    let long = [prefix, &[5; 70_000]].concat();
    let expect = Error::CommandTooLong { size: long.len(), limit: 64 << 10 };
    check(&message(kind::COMMAND_AMF0, &long), expect, SMALL);
}

#[test]
fn what_is_no_command_ends_the_session() {
    check(&message(kind::COMMAND_AMF0, b"\x05"), Error::NotACommand, SMALL);
    check(&message(kind::COMMAND_AMF0, b""), Error::NotACommand, SMALL);
    check(&message(kind::COMMAND_AMF0, b"\x02\0\x01a\x02\0\x01b"), Error::NotACommand, SMALL);
    check(&message(kind::COMMAND_AMF3, b"\0\x11"), Error::Amf(AmfError::Truncated), SMALL);
    check(&message(kind::USER_CONTROL, b"\0\x03\0\0"), Error::ShortControl(4), SMALL);
    check(&message(kind::WINDOW_ACK_SIZE, b"\0"), Error::ShortControl(5), SMALL);
    check(&message(kind::AGGREGATE, b"\x08\0\0\x09"), Error::Aggregate, SMALL);
    check(&message(kind::AGGREGATE, b"\x08\0\0\x09\0\0\0\0\0\0\0a"), Error::Aggregate, SMALL);
    check(&message(kind::AGGREGATE, b"\x16\0\0\0\0\0\0\0\0\0\0"), Error::Aggregate, SMALL);
}

#[test]
fn a_command_before_connect_and_a_second_connect_end_the_session() {
    let mut wire = Wire::shaken();
    assert_eq!(
        feed(&mut wire.server, &message(kind::COMMAND_AMF0, b"\x02\0\x04play\0\0\0\0\0\0\0\0\0")),
        Some(Error::NotConnected)
    );
    check(&message(kind::COMMAND_AMF0, b"\x02\0\x07connect\0\0\0\0\0\0\0\0\0"), Error::ConnectedTwice, SMALL);
}

#[test]
fn tiny_messages_are_handed_out_one_by_one() {
    // 30,000 audio messages of one byte, by type 3 headers, in one input.
    let mut wire = Wire::publishing();
    let mut bytes = b"\x04\0\0\0\0\0\x01\x08\x01\0\0\0a".to_vec();
    bytes.extend(b"\xc4a".repeat(30_000));
    let input = Bytes::from(bytes);
    let mut seen = 0;
    let peak = peak_of(|| {
        wire.server.handle_input(Mono::ZERO, input);
        while let Some(output) = wire.server.poll_output() {
            assert!(matches!(output, Output::Event(Event::Media { .. })));
            seen += 1;
        }
    });
    assert_eq!(seen, 30_001);
    assert!(peak < 16 << 10, "{peak}");
}

#[test]
fn a_flood_of_questions_is_answered_within_bounds() {
    let mut wire = Wire::connected();
    for _ in 0..20_000 {
        wire.command(0, "mystery", 9.0, &[]);
    }
    let bytes = Bytes::from(wire.take_unsent());
    let peak = peak_of(|| {
        wire.server.handle_input(Mono::ZERO, bytes);
        while let Some(output) = wire.server.poll_output() {
            assert!(matches!(output, Output::Write(bytes) if bytes.len() < 32 << 10));
        }
    });
    assert!(peak < 128 << 10, "{peak}");
}

#[test]
fn every_ending_byte_of_a_connection_is_survived() {
    // A whole publish, cut off everywhere, then followed by nonsense.
    let mut whole = Wire::new(ServerConfig::default());
    whole.raw(&[3; 1 + 2 * 1536]);
    whole.connect(jackfield_rtmp::amf::Object::new().with("app", "live"));
    whole.command(0, "createStream", 2.0, &[jackfield_rtmp::amf::Value::Null]);
    whole.command(1, "publish", 3.0, &[jackfield_rtmp::amf::Value::Null, "a".into()]);
    whole.message(1, 9, 5, &[1; 400]);
    let bytes = whole.take_unsent();
    for end in 3000..bytes.len() {
        let mut session = ServerSession::new(ServerConfig::default(), 1, Mono::ZERO);
        for piece in [&bytes[..end], &[0x33; 300]] {
            session.handle_input(Mono::ZERO, Bytes::copy_from_slice(piece));
            while let Some(output) = session.poll_output() {
                if let Output::Event(event) = output {
                    crate::link::accept(&mut session, &event);
                }
            }
        }
    }
}
