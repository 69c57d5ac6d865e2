//! What client and server tell each other of enhanced RTMP in `connect`, and the request to reconnect.

use crate::wire::Wire;
use jackfield_media::{Codec, TrackKind};
use jackfield_rtmp::amf::{Object, Value};
use jackfield_rtmp::{Capabilities, Event};

/// Connects with these properties after `app`; the event's capabilities and the answer's properties.
fn negotiate(object: &Object) -> (Capabilities, Object, Wire) {
    let mut wire = Wire::shaken();
    let mut connect = Object::new().with("app", "live");
    object.iter().for_each(|(name, value)| connect.push(name.to_owned(), value.clone()));
    wire.connect(connect.with("type", "nonprivate").with("tcUrl", "rtmp://localhost/live"));
    wire.exchange();
    let Some(Event::Connect(asked)) = wire.events.pop() else { panic!("{:?}", wire.closed) };
    wire.server.accept_connect().unwrap();
    let answer = wire.exchange_commands().remove(0);
    (asked.capabilities, answer.object().unwrap().clone(), wire)
}

fn four_ccs(names: &[&str]) -> Object {
    let names = names.iter().map(|name| Value::from(*name)).collect();
    Object::new().with("fourCcList", Value::StrictArray(names))
}

#[test]
fn a_client_that_announced_nothing_gets_the_answer_of_old() {
    let (capabilities, answer, _) = negotiate(&Object::new().with("videoCodecs", 252.0));
    assert!(!capabilities.is_enhanced());
    let names: Vec<&str> = answer.iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["fmsVer", "capabilities", "mode"]);
}

/// As ffmpeg does with `-rtmp_enhanced_codecs hvc1,av01,vp09,Opus`: a strict array before `type`.
#[test]
fn a_client_that_announced_codecs_is_told_ours() {
    let (capabilities, answer, _) = negotiate(&four_ccs(&["hvc1", "av01", "vp09", "Opus"]));
    assert!(capabilities.has_announced() && capabilities.takes(TrackKind::Video, Codec::Hevc));
    assert!(!capabilities.takes(TrackKind::Audio, Codec::Flac));
    let ours = Capabilities::parse(&answer);
    assert!(
        ours.takes(TrackKind::Video, Codec::FourCc(*b"new1")),
        "this server forwards what it does not know"
    );
    let any = answer.find("videoFourCcInfoMap").and_then(Value::as_object).and_then(|map| map.find("*"));
    assert_eq!(any, Some(&Value::Number(4.0)));
    assert_eq!(answer.find("capsEx"), Some(&Value::Number(15.0)));
}

#[test]
fn extended_capabilities_alone_are_answered_too() {
    let (capabilities, answer, _) = negotiate(&Object::new().with("capsEx", 1.0));
    assert!(capabilities.takes_reconnect() && !capabilities.has_announced());
    assert!(answer.find("capsEx").is_some());
}

#[test]
fn a_reconnect_is_asked_only_of_those_who_heed_it() {
    let (.., mut wire) = negotiate(&Object::new().with("capsEx", 15.0));
    wire.server.request_reconnect(Some("rtmp://other/live"), "The server stops.");
    wire.server.request_reconnect(None, "The server stops.");
    let commands = wire.exchange_commands();
    let tell = |index: usize| commands[index].argument(0).and_then(Value::as_object).unwrap();
    assert_eq!(commands[0].name, "onStatus");
    assert_eq!(tell(0).text("code"), Some("NetConnection.Connect.ReconnectRequest"));
    assert_eq!(tell(0).text("level"), Some("status"));
    assert_eq!(tell(0).text("tcUrl"), Some("rtmp://other/live"));
    assert_eq!(tell(1).find("tcUrl"), None);
    assert_eq!(wire.closed, None, "the session goes on");

    for caps in [Object::new(), Object::new().with("capsEx", 14.0)] {
        let (.., mut wire) = negotiate(&caps);
        wire.server.request_reconnect(None, "The server stops.");
        assert_eq!(wire.exchange(), [""; 0]);
    }
}

#[test]
fn nobody_is_asked_to_reconnect_before_or_after_the_connection() {
    let mut wire = Wire::shaken();
    wire.connect(Object::new().with("app", "live").with("capsEx", 15.0));
    wire.exchange();
    wire.server.request_reconnect(None, "");
    assert_eq!(wire.exchange(), [""; 0]);
    wire.server.accept_connect().unwrap();
    wire.exchange();
    wire.server.close("Bye.");
    wire.exchange();
    wire.server.request_reconnect(None, "");
    assert_eq!(wire.exchange(), [""; 0]);
}
