//! Deadlines: time is a parameter, so nothing here waits.

use crate::wire::Wire;
use jackfield_media::Mono;
use jackfield_rtmp::amf::{Object, Value};
use jackfield_rtmp::message::{UserControl, kind};
use jackfield_rtmp::{Error, Event, ServerConfig};
use std::time::Duration;

fn at(seconds: u64) -> Mono {
    Mono::from_origin(Duration::from_secs(seconds))
}

/// Lets the deadline pass that the session asks for.
fn pass(wire: &mut Wire) -> Vec<String> {
    wire.now = wire.server.poll_timeout().expect("a deadline");
    wire.server.handle_timeout(wire.now);
    wire.exchange()
}

#[test]
fn handshake_and_connect_have_one_deadline_that_slow_bytes_do_not_move() {
    let mut wire = Wire::new(ServerConfig::default());
    for second in 1..10 {
        wire.now = at(second);
        wire.raw(&[3]);
        wire.exchange();
        assert_eq!(wire.server.poll_timeout(), Some(at(10)));
    }
    wire.server.handle_timeout(at(9));
    assert_eq!(wire.exchange(), [""; 0]);
    assert_eq!(wire.closed, None, "not yet");
    pass(&mut wire);
    assert_eq!(wire.closed, Some(Error::HandshakeTimeout));
    assert_eq!(wire.server.poll_timeout(), None);

    let mut wire = Wire::shaken();
    assert_eq!(wire.server.poll_timeout(), Some(at(10)));
    pass(&mut wire);
    assert_eq!(wire.closed, Some(Error::HandshakeTimeout));
}

#[test]
fn while_the_application_is_asked_nothing_runs_out() {
    let mut wire = Wire::shaken();
    wire.connect(Object::new().with("app", "live"));
    wire.exchange();
    assert_eq!(wire.server.poll_timeout(), None);
}

#[test]
fn a_publisher_without_media_is_ended_and_pings_do_not_save_it() {
    let mut wire = Wire::publishing();
    wire.now = at(20);
    wire.message(1, kind::AUDIO, 0, b"x");
    wire.exchange();
    assert_eq!(wire.server.poll_timeout(), Some(at(50)));
    wire.now = at(40);
    wire.message(0, kind::USER_CONTROL, 0, &UserControl::PingRequest(1).encode());
    assert_eq!(wire.exchange(), ["pong 1"]);
    pass(&mut wire);
    assert_eq!((wire.closed, wire.now), (Some(Error::PublisherSilent), at(50)));
}

#[test]
fn the_time_that_an_answer_took_is_no_silence_of_the_publisher() {
    let mut wire = Wire::connected();
    wire.command(0, "createStream", 2.0, &[Value::Null]);
    wire.command(1, "publish", 3.0, &[Value::Null, "show".into(), "live".into()]);
    wire.exchange();
    wire.now = at(29);
    wire.server.accept_publish(wire.now, 1).unwrap();
    wire.exchange();
    assert_eq!(wire.server.poll_timeout(), Some(at(59)));
}

#[test]
fn a_player_is_pinged_and_judged_by_its_answer_not_by_its_silence() {
    let mut wire = Wire::playing();
    for round in 1..5 {
        let said = pass(&mut wire);
        assert_eq!(said, [format!("ping {}", round * 30_000)]);
        let stamp = said[0].trim_start_matches("ping ").parse().unwrap();
        wire.message(0, kind::USER_CONTROL, 0, &UserControl::PingResponse(stamp).encode());
        wire.exchange();
        assert_eq!(wire.events.pop(), Some(Event::Pong { after: Duration::ZERO }));
    }
    assert_eq!(pass(&mut wire).len(), 1);
    assert_eq!(wire.closed, None);
    pass(&mut wire);
    assert_eq!((wire.closed, wire.now), (Some(Error::PingTimeout), at(180)));
}

#[test]
fn any_byte_answers_a_ping_and_a_false_answer_is_no_pong() {
    let mut wire = Wire::playing();
    pass(&mut wire);
    wire.now = at(50);
    wire.message(0, kind::USER_CONTROL, 0, &UserControl::PingResponse(4).encode());
    wire.exchange();
    assert_eq!((wire.events.len(), wire.server.poll_timeout()), (0, Some(at(80))));
}

#[test]
fn a_publisher_that_has_stopped_is_pinged_like_anybody() {
    let mut wire = Wire::publishing();
    wire.now = at(10);
    wire.command(1, "closeStream", 0.0, &[Value::Null]);
    wire.exchange();
    assert_eq!(wire.server.poll_timeout(), Some(at(40)));
    assert_eq!(pass(&mut wire), ["ping 40000"]);
}

#[test]
fn a_client_that_uses_nothing_is_ended_and_slow_bytes_do_not_save_it() {
    let mut wire = Wire::connected();
    wire.now = at(20);
    wire.command(0, "createStream", 2.0, &[Value::Null]);
    wire.exchange();
    for second in [31, 59] {
        wire.now = at(second);
        wire.message(0, kind::USER_CONTROL, 0, &UserControl::PingRequest(1).encode());
        assert_eq!(wire.exchange(), ["pong 1"]);
    }
    assert_eq!(wire.server.poll_timeout(), Some(at(60)));
    pass(&mut wire);
    assert_eq!((wire.closed, wire.now), (Some(Error::Unused), at(60)));
}

#[test]
fn who_has_played_may_ask_again_for_a_while() {
    let mut wire = Wire::playing();
    wire.now = at(100);
    wire.message(0, kind::USER_CONTROL, 0, &UserControl::PingRequest(1).encode());
    wire.exchange();
    wire.now = at(110);
    wire.command(1, "closeStream", 0.0, &[Value::Null]);
    wire.exchange();
    assert_eq!(pass(&mut wire), ["ping 140000"]);
    wire.message(0, kind::USER_CONTROL, 0, &UserControl::PingResponse(140_000).encode());
    wire.exchange();
    assert_eq!(wire.server.poll_timeout(), Some(at(170)));
    pass(&mut wire);
    assert_eq!(wire.closed, Some(Error::Unused));
}
