//! The orders in which real clients ask, and what they wait for.

use crate::wire::Wire;
use jackfield_media::TrackKind;
use jackfield_rtmp::amf::{Object, Value};
use jackfield_rtmp::message::{UserControl, kind};
use jackfield_rtmp::{Event, ServerConfig};

const NULL: Value = Value::Null;
/// What every client gets for `connect`, in one write.
const WELCOME: [&str; 4] =
    ["window 2500000", "bandwidth 2500000", "chunk 4096", "_result 1 NetConnection.Connect.Success"];

fn welcome(object: Object) -> Wire {
    let mut wire = Wire::shaken();
    wire.connect(object);
    assert_eq!(wire.exchange(), [""; 0], "nothing is said before the answer");
    assert!(matches!(wire.events.as_slice(), [Event::Connect(_)]), "{:?}", wire.events);
    wire.server.accept_connect().unwrap();
    assert_eq!(wire.exchange_writes(), (1, WELCOME.map(str::to_owned).to_vec()));
    wire.events.clear();
    wire
}

fn control(wire: &mut Wire, event: UserControl) {
    wire.message(0, kind::USER_CONTROL, 0, &event.encode());
}

#[test]
fn ffmpeg_publishes() {
    let mut wire = welcome(
        Object::new()
            .with("app", "live")
            .with("type", "nonprivate")
            .with("flashVer", "FMLE/3.0 (compatible; Lavf59.27.100)")
            .with("tcUrl", "rtmp://127.0.0.1:1935/live"),
    );
    wire.command(0, "releaseStream", 2.0, &[NULL, "show?key=k".into()]);
    wire.command(0, "FCPublish", 3.0, &[NULL, "show?key=k".into()]);
    wire.command(0, "createStream", 4.0, &[NULL]);
    wire.command(0, "_checkbw", 5.0, &[NULL]);
    assert_eq!(
        wire.exchange_writes(),
        (1, ["_result 2 -", "_result 3 -", "_result 4 1", "_result 5 -"].map(str::to_owned).to_vec())
    );
    wire.command(1, "publish", 6.0, &[NULL, "show?key=k".into(), "live".into()]);
    assert_eq!(wire.exchange(), [""; 0], "nothing is said before the answer");
    wire.server.accept_publish(wire.now, 1).unwrap();
    let (writes, said) = wire.exchange_writes();
    assert_eq!(writes, 1);
    assert_eq!(
        said,
        ["begin 1", "onFCPublish 0 NetStream.Publish.Start", "onStatus@1 status NetStream.Publish.Start"]
    );
    wire.command(0, "FCUnpublish", 7.0, &[NULL, "show?key=k".into()]);
    wire.command(0, "deleteStream", 8.0, &[NULL, 1.0.into()]);
    let (writes, said) = wire.exchange_writes();
    assert_eq!(writes, 1);
    assert_eq!(
        said,
        [
            "_result 7 -",
            "onFCUnpublish 0 NetStream.Unpublish.Success",
            "onStatus@1 status NetStream.Unpublish.Success"
        ]
    );
    let ends = wire.events.iter().filter(|e| matches!(e, Event::Unpublish { message_stream: 1 })).count();
    assert_eq!(ends, 1, "FCUnpublish and deleteStream are one end");
}

#[test]
fn a_query_may_be_missing_where_a_name_is_repeated() {
    let mut wire = welcome(Object::new().with("app", "live").with("tcUrl", "rtmp://h/live"));
    wire.command(0, "FCPublish", 0.0, &[NULL, "show".into()]);
    wire.command(0, "createStream", 2.0, &[NULL]);
    wire.command(1, "publish", 0.0, &[NULL, "show?key=k".into(), "live".into()]);
    wire.exchange();
    wire.server.accept_publish(wire.now, 1).unwrap();
    assert!(wire.exchange().contains(&"onFCPublish 0 NetStream.Publish.Start".to_owned()));
    wire.command(0, "FCUnpublish", 0.0, &[NULL, "other".into()]);
    assert_eq!(wire.exchange(), [""; 0]);
    wire.command(0, "FCUnpublish", 0.0, &[NULL, "show".into()]);
    wire.exchange();
    assert_eq!(wire.events.last(), Some(&Event::Unpublish { message_stream: 1 }));
}

#[test]
fn rtmp2sink_publishes_and_wants_no_answer_to_transaction_0() {
    let mut wire = welcome(Object::new().with("app", "live").with("tcUrl", "rtmp://h/live"));
    wire.message(0, kind::WINDOW_ACK_SIZE, 0, &2_500_000_u32.to_be_bytes());
    wire.command(0, "releaseStream", 0.0, &[NULL, "show".into()]);
    wire.command(0, "FCPublish", 0.0, &[NULL, "show".into()]);
    wire.command(0, "createStream", 2.0, &[NULL]);
    assert_eq!(wire.exchange(), ["_result 2 1"]);
    wire.command(1, "publish", 0.0, &[NULL, "show".into(), "live".into()]);
    wire.exchange();
    wire.server.accept_publish(wire.now, 1).unwrap();
    assert_eq!(wire.exchange().last().unwrap(), "onStatus@1 status NetStream.Publish.Start");
    wire.command(0, "deleteStream", 0.0, &[NULL, 1.0.into()]);
    assert_eq!(wire.exchange(), [""; 0]);
    assert!(matches!(wire.events.last(), Some(Event::Unpublish { message_stream: 1 })));
}

#[test]
fn obs_publishes_with_the_url_as_swf_and_closes_by_command() {
    let mut wire = welcome(
        Object::new()
            .with("app", "live")
            .with("type", "nonprivate")
            .with("supportsGoAway", Value::Boolean(true))
            .with("flashVer", "FMLE/3.0 (compatible; FMSc/1.0)")
            .with("swfUrl", "rtmp://h/live")
            .with("tcUrl", "rtmp://h/live"),
    );
    wire.command(0, "releaseStream", 2.0, &[NULL, "show".into()]);
    wire.command(0, "FCPublish", 3.0, &[NULL, "show".into()]);
    wire.command(0, "createStream", 4.0, &[NULL]);
    assert_eq!(wire.exchange(), ["_result 2 -", "_result 3 -", "_result 4 1"]);
    wire.command(1, "publish", 5.0, &[NULL, "show".into(), "live".into()]);
    wire.exchange();
    wire.server.accept_publish(wire.now, 1).unwrap();
    wire.exchange();
    wire.command(1, "closeStream", 0.0, &[NULL]);
    assert_eq!(wire.exchange(), ["onStatus@1 status NetStream.Unpublish.Success"]);
    wire.command(1, "publish", 6.0, &[NULL, "again".into(), "live".into()]);
    wire.exchange();
    assert!(matches!(wire.events.last(), Some(Event::Publish(p)) if p.key.as_str() == "live/again"));
}

#[test]
fn rtmpdump_plays() {
    let mut wire = welcome(
        Object::new()
            .with("app", "live")
            .with("flashVer", "LNX 10,0,32,18")
            .with("tcUrl", "rtmp://h/live")
            .with("fpad", Value::Boolean(false))
            .with("capabilities", 15.0)
            .with("audioCodecs", 4071.0)
            .with("videoCodecs", 252.0)
            .with("videoFunction", 1.0),
    );
    // librtmp begins the control chunk stream with a header of type 1.
    wire.raw(b"\x42\0\0\0\0\0\x04\x05\0\x26\x25\xa0");
    control(&mut wire, UserControl::SetBufferLength { message_stream: 0, ms: 300 });
    wire.command(0, "createStream", 2.0, &[NULL]);
    wire.command(0, "FCSubscribe", 3.0, &[NULL, "show".into()]);
    assert_eq!(wire.exchange(), ["_result 2 1", "_result 3 -"]);
    wire.command(1, "play", 4.0, &[NULL, "show".into(), (-1000.0).into()]);
    control(&mut wire, UserControl::SetBufferLength { message_stream: 1, ms: 36_000_000 });
    assert_eq!(wire.exchange(), [""; 0], "nothing is said before the answer");
    wire.server.accept_play(1).unwrap();
    let (writes, said) = wire.exchange_writes();
    assert_eq!(writes, 1);
    assert_eq!(
        said,
        [
            "begin 1",
            "onFCSubscribe 0 NetStream.Play.Start",
            "onStatus@1 status NetStream.Play.Reset",
            "onStatus@1 status NetStream.Play.Start",
            "data |RtmpSampleAccess"
        ]
    );
    wire.command(0, "deleteStream", 5.0, &[NULL, 1.0.into()]);
    assert_eq!(wire.exchange(), [""; 0]);
    assert!(matches!(wire.events.last(), Some(Event::StopPlay { message_stream: 1 })));
}

#[test]
fn ffmpeg_plays_and_asks_for_a_length() {
    let mut wire = welcome(Object::new().with("app", "live").with("objectEncoding", 3.0));
    wire.command(0, "createStream", 2.0, &[NULL]);
    wire.command(0, "getStreamLength", 3.0, &[NULL, "show".into()]);
    assert_eq!(wire.exchange(), ["_result 2 1", "_result 3 0"]);
    wire.command(
        1,
        "play",
        0.0,
        &[NULL, "show".into(), (-2000.0).into(), (-1.0).into(), Value::Boolean(false)],
    );
    wire.exchange();
    wire.server.accept_play(1).unwrap();
    assert_eq!(
        wire.exchange(),
        ["begin 1", "onStatus@1 status NetStream.Play.Start", "data |RtmpSampleAccess"],
        "no reset was asked for"
    );
}

#[test]
fn a_flash_player_speaks_in_messages_of_the_amf3_types() {
    let mut wire = Wire::shaken();
    let mut body = vec![0];
    body.extend_from_slice(b"\x02\0\x07connect\0\x3f\xf0\0\0\0\0\0\0\x03\0\x03app\x02\0\x04live\0\0\x09");
    wire.message(0, kind::COMMAND_AMF3, 0, &body);
    wire.exchange();
    assert!(matches!(wire.events.as_slice(), [Event::Connect(connect)] if &*connect.app == "live"));
}

#[test]
fn a_player_pauses_chooses_and_cannot_seek() {
    let mut wire = Wire::playing();
    wire.command(1, "pause", 0.0, &[NULL, Value::Boolean(true), 1000.0.into()]);
    wire.command(1, "pause", 0.0, &[NULL, Value::Boolean(false), 1000.0.into()]);
    wire.command(1, "receiveVideo", 0.0, &[NULL, Value::Boolean(false)]);
    wire.command(1, "seek", 0.0, &[NULL, 1000.0.into()]);
    wire.command(1, "play2", 0.0, &[NULL, Object::new().into()]);
    wire.command(0, "mystery", 9.0, &[NULL]);
    wire.command(0, "mystery", 0.0, &[NULL]);
    assert_eq!(
        wire.exchange(),
        [
            "eof 1",
            "onStatus@1 status NetStream.Pause.Notify",
            "begin 1",
            "onStatus@1 status NetStream.Unpause.Notify",
            "onStatus@1 error NetStream.Seek.Failed",
            "onStatus@1 error NetStream.Play.Failed",
            "_error 9 NetConnection.Call.Failed",
        ]
    );
    assert_eq!(wire.events[0], Event::Pause { message_stream: 1, paused: true });
    assert_eq!(wire.events[1], Event::Pause { message_stream: 1, paused: false });
    assert_eq!(wire.events[2], Event::Receive { message_stream: 1, kind: TrackKind::Video, wanted: false });
    assert_eq!(wire.server.counters().unknown_commands, 2);
    assert_eq!(wire.closed, None);
}

#[test]
fn pings_are_answered_and_what_is_received_is_acknowledged() {
    let config = ServerConfig { window_bytes: 100_000, ..ServerConfig::default() };
    let mut wire = Wire::connected_with(config);
    control(&mut wire, UserControl::PingRequest(77));
    assert_eq!(wire.exchange(), ["pong 77"]);
    wire.message(0, 99, 0, &vec![0; 100_000]);
    let said = wire.exchange();
    assert!(matches!(said.as_slice(), [one] if one.starts_with("ack 1")), "{said:?}");
    wire.message(0, kind::WINDOW_ACK_SIZE, 0, &20_000_u32.to_be_bytes());
    wire.message(0, 99, 0, &vec![0; 20_000]);
    assert_eq!(wire.exchange().len(), 1, "the client's window counts");
    wire.message(0, kind::WINDOW_ACK_SIZE, 0, &0_u32.to_be_bytes());
    wire.message(0, 99, 0, &[0; 100]);
    assert_eq!(wire.exchange(), [""; 0], "but not if it is absurd");
    wire.message(0, kind::ACKNOWLEDGEMENT, 0, &4321_u32.to_be_bytes());
    wire.message(0, kind::SET_PEER_BANDWIDTH, 0, b"\0\0\x10\0\0");
    assert_eq!(wire.exchange(), ["window 4096"]);
    assert_eq!(wire.server.acknowledged(), Some(4321));
}

#[test]
fn aggregates_are_taken_apart() {
    let mut wire = Wire::publishing();
    let tag = |kind: u8, ms: u8, body: &[u8]| {
        let size = u8::try_from(body.len()).unwrap();
        [&[kind, 0, 0, size, 0, 0, ms, 0, 0, 0, 0][..], body, &[0, 0, 0, size + 11]].concat()
    };
    let body = [tag(8, 100, b"a"), tag(9, 120, b"bc"), tag(8, 123, b"d")].concat();
    // The last back pointer may be missing.
    wire.message(1, kind::AGGREGATE, 1000, &body[..body.len() - 4]);
    wire.exchange();
    let got: Vec<(TrackKind, i64, usize)> = wire
        .events
        .iter()
        .map(|event| match event {
            Event::Media { kind, timestamp, body, .. } => (*kind, *timestamp, body.len()),
            other => panic!("unexpected {other:?}"),
        })
        .collect();
    assert_eq!(got, [(TrackKind::Audio, 1000, 1), (TrackKind::Video, 1020, 2), (TrackKind::Audio, 1023, 1)]);
}

#[test]
fn time_stamps_go_on_beyond_32_bits() {
    let mut wire = Wire::publishing();
    for (kind, timestamp) in [(9, 0xffff_fff0), (8, 0xffff_fffa), (9, 0x10), (8, 0x05), (9, 0x30)] {
        wire.message(1, kind, timestamp, b"x");
    }
    wire.exchange();
    let got: Vec<i64> = wire
        .events
        .iter()
        .filter_map(|e| if let Event::Media { timestamp, .. } = e { Some(*timestamp) } else { None })
        .collect();
    let base = 1_i64 << 32;
    assert_eq!(got, [base - 16, base - 6, base + 16, base + 5, base + 48]);
}

#[test]
fn data_is_passed_on_without_the_instruction_to_the_server() {
    let mut wire = Wire::publishing();
    wire.message(1, kind::DATA_AMF0, 7, b"\x02\0\x0d@setDataFrame\x02\0\x06onText\x05");
    wire.message(1, kind::DATA_AMF0, 8, b"\x02\0\x06onText\x06");
    wire.message(1, kind::DATA_AMF3, 9, b"\0\x02\0\x06onText\x05");
    wire.message(1, kind::DATA_AMF0, 10, b"\x02\0\x0f@clearDataFrame\x02\0\x0aonMetaData");
    wire.message(1, kind::SHARED_OBJECT_AMF0, 0, b"x");
    wire.message(1, 8, 0, b"");
    wire.message(5, 8, 0, b"x");
    wire.exchange();
    let bodies: Vec<&[u8]> = wire
        .events
        .iter()
        .map(|event| match event {
            Event::Data { body, .. } => body.as_ref(),
            Event::Metadata { properties, .. } if properties.is_empty() => b"cleared".as_slice(),
            other => panic!("unexpected {other:?}"),
        })
        .collect();
    assert_eq!(
        bodies,
        [b"\x02\0\x06onText\x05", b"\x02\0\x06onText\x06".as_slice(), b"\x02\0\x06onText\x05", b"cleared"]
    );
    let counters = wire.server.counters();
    assert_eq!((counters.shared_objects, counters.ignored_media), (1, 2));
}
