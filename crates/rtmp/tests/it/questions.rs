//! Questions and their answers: who is asked what, what is held meanwhile, and how a refusal reads.

use crate::wire::Wire;
use bytes::Bytes;
use jackfield_media::KeyError;
use jackfield_rtmp::amf::{Object, Value};
use jackfield_rtmp::url::NameError;
use jackfield_rtmp::{Error, Event, PlayEnd, Status, Withdrawn, status};

const NULL: Value = Value::Null;

fn app(app: &str) -> Object {
    Object::new().with("app", app).with("tcUrl", "rtmp://h/x")
}

#[test]
fn a_refused_connect_is_told_why_and_ends() {
    let mut wire = Wire::shaken();
    wire.connect(app("live"));
    wire.exchange();
    wire.server.reject_connect("Not you.").unwrap();
    assert_eq!(wire.exchange(), ["_error 1 NetConnection.Connect.Rejected"]);
    assert_eq!(wire.closed, Some(Error::Refused));
    assert_eq!(wire.server.accept_connect(), Err(Withdrawn));
    wire.raw(b"more");
    assert_eq!(wire.exchange(), [""; 0]);
}

#[test]
fn an_app_that_is_no_part_of_a_key_is_refused_before_anybody_is_asked() {
    for (name, error) in [
        ("", NameError::Key(KeyError::Empty)),
        ("../x", NameError::Key(KeyError::BadCharacter)),
        ("-live", NameError::Key(KeyError::BadCharacter)),
        ("li%0ave", NameError::Control),
        ("li\0ve", NameError::Control),
        ("li%ffve", NameError::Utf8),
        ("a//b", NameError::Key(KeyError::Empty)),
        ("a/b/c/d/e", NameError::Key(KeyError::TooManyParts)),
        ("live?a=\n", NameError::Control),
    ] {
        let mut wire = Wire::shaken();
        wire.connect(app(name));
        assert_eq!(wire.exchange(), ["_error 1 NetConnection.Connect.Rejected"], "{name:?}");
        assert_eq!((wire.closed, wire.events.len()), (Some(Error::BadConnect(error)), 0), "{name:?}");
    }
}

#[test]
fn the_query_comes_from_the_app_or_else_from_the_url() {
    let check = |object: Object, app: &str, query: &str, vhost: Option<&str>| {
        let mut wire = Wire::shaken();
        wire.connect(object);
        wire.exchange();
        let [Event::Connect(connect)] = wire.events.as_slice() else { panic!("{:?}", wire.events) };
        assert_eq!((&*connect.app, &*connect.query, connect.vhost.as_deref()), (app, query, vhost));
    };
    let object = |app: &str, tc_url: &str| Object::new().with("app", app).with("tcUrl", tc_url);
    check(object("live/?a=1&vhost=v", "rtmp://h/live?b=2"), "live", "a=1&vhost=v", Some("v"));
    check(object("live", "rtmp://h/live?b=2"), "live", "b=2", None);
    check(object("live/_definst_", "rtmp://h/live/_definst_"), "live", "", None);
    check(object("live/inst%61nce", ""), "live/instance", "", None);
}

#[test]
fn hostile_names_are_refused_with_a_status_before_anybody_is_asked() {
    let long = "x".repeat(10 * 1024);
    let names = [
        "a%0ab", "a\0b", "a%00", "../x", "..%2fx", &long, "%ff", "a%c3%28", "-rf", "", "?key=x", "a\nb", "%",
    ];
    for name in names {
        let mut wire = Wire::connected();
        wire.command(0, "createStream", 2.0, &[NULL]);
        wire.command(1, "publish", 3.0, &[NULL, name.into(), "live".into()]);
        wire.command(1, "play", 0.0, &[NULL, name.into()]);
        assert_eq!(
            wire.exchange(),
            [
                "_result 2 1",
                "onStatus@1 error NetStream.Publish.BadName",
                "onStatus@1 error NetStream.Play.StreamNotFound"
            ],
            "{name:?}"
        );
        assert!(wire.events.iter().all(|e| matches!(e, Event::Refused(_))), "{:?}", wire.events);
        assert_eq!(wire.server.accept_publish(wire.now, 1), Err(Withdrawn));
        assert_eq!(wire.closed, None);
    }
}

#[test]
fn a_name_that_is_not_utf8_on_the_wire_is_refused() {
    let mut wire = Wire::connected();
    wire.command(0, "createStream", 2.0, &[NULL]);
    wire.message(1, 20, 0, b"\x02\0\x07publish\0\0\0\0\0\0\0\0\0\x05\x02\0\x03a\xff\xfe");
    assert_eq!(wire.exchange().last().unwrap(), "onStatus@1 error NetStream.Publish.BadName");
}

#[test]
fn refusals_of_publish_and_play_leave_the_connection() {
    let mut wire = Wire::connected();
    wire.command(0, "createStream", 2.0, &[NULL]);
    wire.command(1, "publish", 3.0, &[NULL, "show".into()]);
    wire.exchange();
    wire.server.reject_publish(1, status::PUBLISH_BAD_NAME, "Taken.").unwrap();
    assert_eq!(wire.exchange(), ["onStatus@1 error NetStream.Publish.BadName"]);
    wire.command(1, "play", 3.0, &[NULL, "show".into()]);
    wire.exchange();
    wire.server.reject_play(1, status::PLAY_STREAM_NOT_FOUND, "Not there.").unwrap();
    assert_eq!(wire.exchange(), ["onStatus@1 error NetStream.Play.StreamNotFound"]);
    assert_eq!(wire.closed, None);
}

#[test]
fn an_answer_to_a_question_that_was_withdrawn_writes_nothing() {
    for end in [
        ("closeStream", vec![NULL]),
        ("deleteStream", vec![NULL, 1.0.into()]),
        ("FCUnpublish", vec![NULL, "show".into()]),
    ] {
        let mut wire = Wire::connected();
        wire.command(0, "createStream", 2.0, &[NULL]);
        wire.command(1, "publish", 3.0, &[NULL, "show".into()]);
        wire.exchange();
        wire.command(u32::from(end.0 == "closeStream"), end.0, 0.0, &end.1);
        assert_eq!(wire.exchange(), [""; 0]);
        assert_eq!(wire.events.last(), Some(&Event::Unpublish { message_stream: 1 }));
        assert_eq!(wire.server.accept_publish(wire.now, 1), Err(Withdrawn));
        assert_eq!(wire.server.reject_publish(1, "", ""), Err(Withdrawn));
        assert_eq!(wire.exchange(), [""; 0]);
    }
}

#[test]
fn a_message_stream_does_one_thing_at_a_time() {
    let mut wire = Wire::publishing();
    wire.command(1, "publish", 3.0, &[NULL, "other".into()]);
    wire.command(1, "play", 3.0, &[NULL, "other".into()]);
    wire.command(9, "publish", 3.0, &[NULL, "other".into()]);
    wire.command(9, "play", 3.0, &[NULL, "other".into()]);
    wire.command(1, "publish", 3.0, &[NULL, "other".into(), "mystery".into()]);
    assert_eq!(
        wire.exchange(),
        [
            "onStatus@1 error NetStream.Publish.BadName",
            "onStatus@1 error NetStream.Play.Failed",
            "onStatus@9 error NetStream.Publish.BadName",
            "onStatus@9 error NetStream.Play.Failed",
            "onStatus@1 error NetStream.Publish.BadName",
        ]
    );
}

#[test]
fn a_player_that_asks_for_another_stream_leaves_the_first() {
    let mut wire = Wire::playing();
    wire.command(1, "play", 3.0, &[NULL, "other".into()]);
    wire.exchange();
    assert!(matches!(wire.events.as_slice(), [Event::StopPlay { message_stream: 1 }, Event::Play(play)]
        if play.key.as_str() == "live/other"));
}

#[test]
fn what_follows_connect_waits_for_its_answer() {
    let mut wire = Wire::shaken();
    wire.connect(app("live"));
    wire.command(0, "createStream", 2.0, &[NULL]);
    assert_eq!(wire.exchange(), [""; 0]);
    assert!(wire.server.wants_input());
    wire.server.handle_input(wire.now, Bytes::from(vec![0; 64 << 10]));
    assert!(!wire.server.wants_input(), "the socket must not be read on");
    assert_eq!(wire.server.poll_output(), None);
}

#[test]
fn pipelined_commands_are_answered_in_one_write() {
    let mut wire = Wire::shaken();
    wire.connect(app("live"));
    wire.command(0, "createStream", 2.0, &[NULL]);
    wire.command(1, "publish", 3.0, &[NULL, "show".into()]);
    wire.message(1, 9, 0, b"early");
    wire.exchange();
    wire.server.accept_connect().unwrap();
    let (writes, said) = wire.exchange_writes();
    assert_eq!((writes, said.len()), (1, 5));
    assert!(
        wire.events.iter().any(|e| matches!(e, Event::Media { .. })),
        "media before the answer is handed out"
    );
}

#[test]
fn ends_from_our_side_are_told() {
    let mut wire = Wire::playing();
    wire.server.play_stopped(1, PlayEnd::Unpublished, "It has left.").unwrap();
    assert_eq!(
        wire.exchange(),
        [
            "eof 1",
            "onStatus@1 status NetStream.Play.UnpublishNotify",
            "onStatus@1 status NetStream.Play.Stop"
        ]
    );
    assert_eq!(wire.server.play_stopped(1, PlayEnd::Finished, ""), Err(Withdrawn));

    let mut wire = Wire::publishing();
    let status = Status::error(status::PUBLISH_BAD_NAME, "Another took its place.");
    wire.server.publish_stopped(1, &status).unwrap();
    wire.message(1, 9, 0, b"late");
    assert_eq!(wire.exchange(), ["onStatus@1 error NetStream.Publish.BadName"]);
    assert_eq!((wire.events.len(), wire.server.counters().ignored_media), (0, 1));

    for (mut wire, said) in [
        (Wire::publishing(), "onStatus@1 status NetStream.Unpublish.Success"),
        (Wire::playing(), "onStatus@1 status NetStream.Play.Stop"),
    ] {
        wire.server.close("The server stops.");
        let got = wire.exchange();
        assert_eq!(got.last().unwrap(), "onStatus status NetConnection.Connect.Closed");
        assert!(got.iter().any(|s| s == said), "{got:?}");
        assert_eq!(wire.closed, Some(Error::Closed));
    }
}

#[test]
fn message_streams_have_a_bound_and_ids_come_again() {
    let mut wire = Wire::connected();
    for _ in 0..17 {
        wire.command(0, "createStream", 2.0, &[NULL]);
    }
    let said = wire.exchange();
    assert_eq!(
        (said[15].as_str(), said[16].as_str()),
        ("_result 2 16", "_error 2 NetConnection.Call.Failed")
    );
    wire.command(0, "deleteStream", 0.0, &[NULL, 3.0.into()]);
    wire.command(0, "deleteStream", 0.0, &[NULL, 99.0.into()]);
    wire.command(0, "deleteStream", 0.0, &[NULL, f64::NAN.into()]);
    wire.command(0, "createStream", 2.0, &[NULL]);
    assert_eq!(wire.exchange(), ["_result 2 3"]);
}
