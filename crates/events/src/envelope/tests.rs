//! The envelope is a contract with users' scripts: these tests are its letter.

use super::*;
use crate::notices::PublishStart;
use crate::{Exposure, Fact, Protocol, PublishType};

fn publish_start() -> Event {
    let fact = PublishStart {
        app: "live".into(),
        stream_name: "show".into(),
        publish_type: PublishType::Live,
        client_ip: "::ffff:203.0.113.7".parse().unwrap(),
        client_port: 51234,
        protocol: Protocol::Rtmp,
        tc_url: "rtmp://h/live?token=abc".into(),
        query: "token=abc&camera=2".into(),
        failopen: Vec::new(),
    };
    let masker = Masker::default();
    let stamp = Stamp {
        id: Ulid::from_parts(1, 2),
        seq: 7,
        node: "n1".into(),
        time: UnixTime(1_700_000_000_123_456),
    };
    let scope = Scope {
        conn_id: Some(ConnId(1)),
        session_id: Some(SessionId(2)),
        stream_key: Some(StreamKey::parse("live/show").unwrap()),
        epoch: Some(Epoch(3)),
    };
    Event::new(PublishStart::TYPE, stamp, scope, fact.data(Exposure::Masked(&masker)))
}

#[test]
fn the_envelope_is_one_line_of_json_with_the_fields_of_the_contract() {
    let line = String::from_utf8(publish_start().json().to_vec()).unwrap();
    assert_eq!(
        line,
        concat!(
            r#"{"type":"publish_start","timestamp":1700000000,"id":"00000000010000000000000002","seq":"7","#,
            r#""node":"n1","conn_id":"c000001","session_id":"s000002","stream_key":"live/show","epoch":3,"#,
            r#""time":"2023-11-14T22:13:20.123456Z","v":1,"data":{"app":"live","stream_name":"show","#,
            r#""publish_type":"live","client_ip":"203.0.113.7","client_port":51234,"protocol":"rtmp","#,
            r#""tc_url":"rtmp://h/live?token=***","query":"token=***&camera=2"}}"#,
        )
    );
}

#[test]
fn variables_come_in_the_order_of_the_contract_under_both_names() {
    let event = publish_start();
    let names: Vec<String> = event.variables().into_iter().map(|v| v.historic).collect();
    assert_eq!(
        names.join(" "),
        "RTMP_EVENT_TYPE RTMP_TIMESTAMP RTMP_CONN_ID RTMP_STREAM_KEY RTMP_APP RTMP_STREAM_NAME \
         RTMP_PUBLISH_TYPE RTMP_CLIENT_IP RTMP_CLIENT_PORT RTMP_PROTOCOL RTMP_TC_URL RTMP_QUERY RTMP_ID \
         RTMP_SEQ RTMP_NODE RTMP_SESSION_ID RTMP_EPOCH RTMP_TIME"
    );
    let environment = event.environment();
    let lookup = |name: &str| environment.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
    assert_eq!(lookup("JACKFIELD_EVENT_TYPE"), Some("publish_start"));
    assert_eq!(lookup("JACKFIELD_EVENT_STREAM_KEY"), Some("live/show"));
    assert_eq!(lookup("RTMP_STREAM_KEY"), Some("live/show"));
}

#[test]
fn delivery_fields_and_drops_stand_in_the_envelope() {
    let event = publish_start();
    let delivery = DeliveryFields { hook: "auth", attempt: 1, deadline_ms: 1999 };
    let value: Value = serde_json::from_slice(&event.json_for(4, Some(&delivery))).unwrap();
    assert_eq!(value["num_dropped"], 4);
    assert_eq!(
        (&value["hook"], &value["attempt"], &value["deadline_ms"]),
        (&"auth".into(), &1.into(), &1999.into())
    );
    assert!(serde_json::from_slice::<Value>(event.json()).unwrap().get("hook").is_none());
}

#[test]
fn a_replaced_key_keeps_the_app_when_it_has_no_slash() {
    let event = publish_start().with_key("other").unwrap();
    assert_eq!(event.scope().stream_key.as_ref().unwrap().as_str(), "live/other");
    assert_eq!(event.field("stream_name"), Some(&Value::from("other")));
    assert!(event.with_key("../x").is_err());
    let event = event.with_failopen("a").with_failopen("b");
    assert_eq!(event.field("failopen"), Some(&Value::from(vec!["a", "b"])));
}

#[test]
fn a_stored_event_is_read_back_as_it_was_written() {
    for event in [publish_start(), publish_start().as_test()] {
        let line = event.json();
        let read = Event::parse(line).unwrap();
        assert_eq!(read.json(), line);
        assert_eq!((read.event_type(), read.is_test()), (event.event_type(), event.is_test()));
        assert_eq!(read.data(), event.data());
        assert_eq!(read.scope().epoch, Some(Epoch(3)));
        assert_eq!(read.variables(), event.variables());
    }
    for event in EventType::ALL.iter().filter(|event| !event.spec().kind.is_question()) {
        let spec = event.spec();
        let data = spec.fields.iter().map(|field| (field.name, (field.example)())).collect();
        let event = Event::new(*event, publish_start().stamp, Scope::default(), data);
        assert_eq!(Event::parse(event.json()).unwrap().json(), event.json(), "{}", spec.name);
    }
}

#[test]
fn what_this_server_did_not_write_is_no_event() {
    let line = String::from_utf8(publish_start().json().to_vec()).unwrap();
    let parse = |from: &str, to: &str| {
        assert!(line.contains(from), "{from}");
        Event::parse(line.replacen(from, to, 1).as_bytes()).unwrap_err()
    };
    for (from, to, error) in [
        ("publish_start", "publish_begin", ParseError::UnknownType("publish_begin".into())),
        ("\"seq\":\"7\"", "\"seq\":\"-7\"", ParseError::BadField("seq")),
        ("\"seq\":\"7\"", "\"seq\":\"07\"", ParseError::NotCanonical),
        ("\"seq\":\"7\",", "", ParseError::BadField("seq")),
        ("live/show", "../show", ParseError::BadField("stream_key")),
        ("c000001", "c1", ParseError::NotCanonical),
        ("\"v\":1", "\"v\":2", ParseError::BadField("v")),
        ("\"v\":1", "\"v\":1,\"v\":1", ParseError::NotCanonical),
        ("51234", "\"51234\"", ParseError::BadField("client_port")),
        ("\"app\"", "\"apb\"", ParseError::UnknownField("apb".into())),
        ("1700000000,", "1700000001,", ParseError::NotCanonical),
        ("{", "{ ", ParseError::NotCanonical),
        ("{", "[", ParseError::NotJson),
    ] {
        assert_eq!(parse(from, to), error, "{from} -> {to}");
    }
    assert_eq!(Event::parse(&vec![b' '; 2 << 20]).unwrap_err(), ParseError::TooLong);
}
