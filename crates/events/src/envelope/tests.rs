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
