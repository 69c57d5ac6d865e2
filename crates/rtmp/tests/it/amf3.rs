//! Commands and data of the AMF3 types, and AMF3 inside messages of AMF0.

use crate::wire::Wire;
use jackfield_rtmp::amf::{AmfError, Object, Value};
use jackfield_rtmp::message::kind;
use jackfield_rtmp::{Error, Event};

/// `connect` of AMF0 with the command object `{app: "live", objectEncoding: 3}` in AMF3.
const CONNECT: &[u8] =
    b"\x02\0\x07connect\0\x3f\xf0\0\0\0\0\0\0\x11\x0a\x0b\x01\x07app\x06\x09live\x1dobjectEncoding\x04\x03\x01";

fn send(kind: u8, prefix: &[u8], body: &[u8]) -> Wire {
    let mut wire = Wire::shaken();
    wire.message(0, kind, 0, &[prefix, body].concat());
    wire.exchange();
    wire
}

#[test]
fn a_command_is_read_in_every_form_that_clients_write() {
    // AMF3 from the first byte on.
    let bare = b"\x06\x0fconnect\x04\x01\x0a\x0b\x01\x07app\x06\x09live\x1dobjectEncoding\x04\x03\x01";
    for (kind, prefix, body) in [
        (kind::COMMAND_AMF3, &b"\0"[..], CONNECT),
        (kind::COMMAND_AMF3, b"", CONNECT),
        (kind::COMMAND_AMF3, b"", bare),
        (kind::COMMAND_AMF0, b"", CONNECT),
    ] {
        let mut wire = send(kind, prefix, body);
        let [Event::Connect(connect)] = wire.events.as_slice() else { panic!("{:?}", wire.closed) };
        assert_eq!((&*connect.app, connect.object_encoding), ("live", 3));
        wire.server.accept_connect().unwrap();
        let answer = wire.exchange_commands().remove(0);
        assert_eq!(answer.name, "_result");
        let status = answer.argument(0).and_then(Value::as_object).unwrap();
        assert_eq!(status.find("objectEncoding"), Some(&Value::Number(3.0)), "Flash fails if it is another");
    }
}

#[test]
fn a_whole_conversation_of_the_amf3_type_publishes() {
    let mut wire = send(kind::COMMAND_AMF3, b"\0", CONNECT);
    wire.server.accept_connect().unwrap();
    wire.exchange();
    wire.message(0, kind::COMMAND_AMF3, 0, b"\0\x02\0\x0ccreateStream\0\x40\0\0\0\0\0\0\0\x05");
    assert_eq!(wire.exchange(), ["_result 2 1"]);
    wire.message(
        1,
        kind::COMMAND_AMF3,
        0,
        b"\0\x02\0\x07publish\0\0\0\0\0\0\0\0\0\x05\x11\x06\x09show\x02\0\x04live",
    );
    wire.exchange();
    assert!(
        matches!(wire.events.last(), Some(Event::Publish(publish)) if publish.key.as_str() == "live/show")
    );
}

fn metadata(wire: &Wire) -> (Object, Vec<u8>) {
    match wire.events.last() {
        Some(Event::Metadata { properties, body, .. }) => (properties.clone(), body.to_vec()),
        other => panic!("unexpected {other:?}"),
    }
}

#[test]
fn metadata_in_amf3_becomes_what_players_of_amf0_read() {
    let object = b"\x0a\x0b\x01\x0bwidth\x04\x85\x00\x0dtables\x0c\x05ab\x01";
    let array = b"\x09\x01\x0bwidth\x04\x85\x00\x01";
    let bare = b"\x06\x1b@setDataFrame\x06\x15onMetaData\x0a\x0b\x01\x0bwidth\x04\x85\x00\x01";
    let switched = |value: &[u8]| [b"\x02\0\x0d@setDataFrame\x02\0\x0aonMetaData\x11", value].concat();
    for (kind, body) in [
        (kind::DATA_AMF3, [b"\0".to_vec(), switched(object)].concat()),
        (kind::DATA_AMF3, [b"\0".to_vec(), switched(array)].concat()),
        (kind::DATA_AMF3, switched(object)),
        (kind::DATA_AMF0, switched(object)),
        (kind::DATA_AMF3, bare.to_vec()),
    ] {
        let mut wire = Wire::publishing();
        wire.message(1, kind, 0, &body);
        wire.exchange();
        let (properties, body) = metadata(&wire);
        assert_eq!(properties, Object::new().with("width", 640.0), "what AMF0 has no word for is left out");
        assert!(body.starts_with(b"\x02\0\x0aonMetaData\x08\0\0\0\x01\0\x05width\x00"), "{body:x?}");
    }
}

#[test]
fn data_in_amf3_is_told_anew_if_amf0_can_say_all_of_it() {
    let mut wire = Wire::publishing();
    let said = b"\x02\0\x06onText\x03\0\x04text\x02\0\x02hi\0\0\x09";
    for (kind, body) in [
        (kind::DATA_AMF3, &b"\0\x02\0\x06onText\x11\x0a\x0b\x01\x09text\x06\x05hi\x01"[..]),
        (kind::DATA_AMF3, b"\x06\x0donText\x0a\x0b\x01\x09text\x06\x05hi\x01"),
        (kind::DATA_AMF0, b"\x02\0\x06onText\x11\x0a\x0b\x01\x09text\x06\x05hi\x01"),
        (kind::DATA_AMF0, b"\x02\0\x0d@setDataFrame\x02\0\x06onText\x11\x0a\x0b\x01\x09text\x06\x05hi\x01"),
        (kind::DATA_AMF3, b"\0\x02\0\x06onText\x03\0\x04text\x02\0\x02hi\0\0\x09"),
    ] {
        wire.message(1, kind, 0, body);
        wire.exchange();
        let Some(Event::Data { body, .. }) = wire.events.last() else { panic!("{:?}", wire.events) };
        assert_eq!(&body[..], said);
    }
}

#[test]
fn data_that_amf0_cannot_say_is_left_out_and_counted() {
    let mut wire = Wire::publishing();
    for body in [
        // A byte array, a cycle, an externalizable object.
        &b"\0\x02\0\x06onText\x11\x0c\x05ab"[..],
        b"\0\x02\0\x06onText\x11\x0a\x0b\x01\x09self\x0a\0\x01",
        b"\0\x02\0\x06onText\x11\x0a\x07\x03C\x01",
        b"\x06\x0donText\x0a\x07\x03C\x01",
    ] {
        wire.message(1, kind::DATA_AMF3, 0, body);
    }
    wire.exchange();
    assert_eq!((wire.events.as_slice(), &wire.closed), (&[][..], &None));
    assert_eq!(wire.server.counters().unreadable_data, 4);
}

#[test]
fn a_command_with_an_externalizable_object_is_answered_with_its_class() {
    let mut wire = Wire::connected();
    wire.message(
        0,
        kind::COMMAND_AMF3,
        0,
        b"\0\x02\0\x04call\0\x40\x08\0\0\0\0\0\0\x05\x11\x0a\x07\x0bClass\x01",
    );
    let answer = wire.exchange_commands().remove(0);
    assert_eq!((answer.name.as_str(), answer.transaction), ("_error", 3.0));
    let status = answer.argument(0).and_then(Value::as_object).unwrap();
    assert!(status.text("description").unwrap().contains("\"Class\""), "{status:?}");
    assert_eq!((wire.server.counters().unknown_commands, &wire.closed), (1, &None));
    // What connect says must be known.
    let wire =
        send(kind::COMMAND_AMF3, b"\0", b"\x02\0\x07connect\0\x3f\xf0\0\0\0\0\0\0\x11\x0a\x07\x03C\x01");
    assert_eq!(wire.closed, Some(Error::Amf(AmfError::Externalizable("C".into()))));
}

#[test]
fn shared_objects_of_both_types_are_ignored_and_counted() {
    let mut wire = Wire::connected();
    wire.message(0, kind::SHARED_OBJECT_AMF0, 0, b"\0\x04name");
    wire.message(0, kind::SHARED_OBJECT_AMF3, 0, b"\0\0\x04name");
    assert_eq!(wire.exchange(), [""; 0]);
    assert_eq!((wire.server.counters().shared_objects, &wire.closed), (2, &None));
}
