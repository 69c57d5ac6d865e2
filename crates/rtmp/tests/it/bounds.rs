//! Bounds at their very edge, and numbers that belong together.

use crate::link::Link;
use crate::wire::Wire;
use bytes::Bytes;
use jackfield_media::Mono;
use jackfield_rtmp::amf::Value;
use jackfield_rtmp::{ClientConfig, ClientEvent, ClientSession, Error, Output, ServerConfig, ServerSession};

/// The first byte of a handshake, and more that waits for the rest of it.
fn begun(bytes: usize) -> Bytes {
    let mut begun = vec![0; bytes];
    begun[0] = 3;
    begun.into()
}

fn end<E>(mut poll: impl FnMut() -> Option<Output<E>>) -> Option<Error> {
    std::iter::from_fn(&mut poll).find_map(|output| match output {
        Output::Closed(error) => Some(error),
        _ => None,
    })
}

#[test]
fn input_may_wait_up_to_its_bound_at_either_end() {
    for (bytes, expect) in [(1000, None), (1001, Some(Error::TooMuchInput(1000)))] {
        let mut config = ClientConfig::new("live", "rtmp://h/live");
        config.limits.chunk.buffered_bytes = 1000;
        let mut client = ClientSession::new(config, 1);
        client.handle_input(begun(bytes));
        assert_eq!(end(|| client.poll_output()), expect, "client, {bytes}");

        let mut config = ServerConfig::default();
        config.limits.chunk.buffered_bytes = 1000;
        let mut server = ServerSession::new(config, 1, Mono::ZERO);
        server.handle_input(Mono::ZERO, begun(bytes));
        assert_eq!(end(|| server.poll_output()), expect, "server, {bytes}");
    }
}

#[test]
fn input_that_waits_is_counted_as_held() {
    let mut server = ServerSession::new(ServerConfig::default(), 1, Mono::ZERO);
    server.handle_input(Mono::ZERO, begun(100));
    assert_eq!(server.buffered_bytes(), 100);
}

#[test]
fn an_answer_has_the_number_that_its_call_returned() {
    let mut link = Link::new(ClientConfig::new("live", "rtmp://h/live"), 1000);
    link.run_accepting();
    link.client_events.clear();
    let numbers = [0, 1].map(|_| link.client.call(0, "createStream", &[]));
    link.run_accepting();
    let answered: Vec<f64> = link
        .client_events
        .iter()
        .filter_map(|event| match event {
            ClientEvent::Answer(command) => Some(command.transaction),
            _ => None,
        })
        .collect();
    assert_eq!(answered, numbers);
}

#[test]
fn what_answers_a_question_that_nobody_asked_is_passed_over() {
    let mut wire = Wire::connected();
    for name in ["_result", "_error", "onStatus"] {
        wire.command(0, name, 7.0, &[Value::Null]);
        assert_eq!(wire.exchange(), Vec::<String>::new(), "{name}");
    }
    assert_eq!(wire.server.counters().unknown_commands, 0);
    wire.command(0, "whatever", 8.0, &[Value::Null]);
    wire.exchange();
    assert_eq!(wire.server.counters().unknown_commands, 1);
}
