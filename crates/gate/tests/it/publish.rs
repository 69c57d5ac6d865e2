//! Connections and publishers.

use crate::kit::{Kit, connect_ask, field, key, publish_ask};
use jackfield_events::EventType::{AuthorizeConnection, AuthorizePublish, ResolvePublish};
use jackfield_events::{Decision, EndReason, OnError};
use jackfield_gate::RefusalKind;
use jackfield_hub::{Busy, Presence, Takeover};
use jackfield_media::{ConnId, SessionId};

#[tokio::test(start_paused = true)]
async fn without_a_hook_nobody_is_asked_and_all_is_granted() {
    let kit = Kit::new(Takeover::Stale, &[], None, |_| None);
    kit.gate.connection(&kit.connection, connect_ask()).await.unwrap();
    let grant = kit.gate.publish(&kit.connection, publish_ask("show")).await.unwrap();
    assert_eq!(grant.key(), &key("live/show"));
    assert!(kit.asked().is_empty());
    let publisher = kit.hub.publish(grant).await.unwrap();
    let start = kit.told("publish_start").unwrap();
    assert_eq!(field(&start, "stream_name"), "show");
    assert_eq!(field(&start, "query"), "token=***&camera=2");
    assert_eq!(start.scope().conn_id, Some(ConnId(1)));
    assert_eq!(start.scope().session_id, Some(SessionId(1)));
    drop(publisher);
}

#[tokio::test(start_paused = true)]
async fn a_publish_asks_in_order_and_with_secrets_whole() {
    let on = [AuthorizeConnection, ResolvePublish, AuthorizePublish];
    let kit = Kit::new(Takeover::Stale, &on, None, |_| Some(Decision::Allow));
    kit.gate.connection(&kit.connection, connect_ask()).await.unwrap();
    kit.gate.publish(&kit.connection, publish_ask("show")).await.unwrap();
    assert_eq!(kit.asked(), ["authorize_connection", "resolve_publish", "authorize_publish"]);
    let questions = kit.questions();
    assert_eq!(field(&questions[0], "flash_ver"), "LNX");
    assert_eq!(field(&questions[0], "tc_url"), "rtmp://h/live?token=abc");
    assert_eq!(questions[0].scope().stream_key, None);
    assert_eq!(field(&questions[2], "query"), "token=abc&camera=2");
    assert_eq!(questions[1].scope().session_id, questions[2].scope().session_id);
}

#[tokio::test(start_paused = true)]
async fn a_deny_is_the_end_and_only_its_public_reason_is_for_the_client() {
    for denied in [ResolvePublish, AuthorizePublish] {
        let kit = Kit::new(Takeover::Stale, &[ResolvePublish, AuthorizePublish], None, move |event| {
            Some(if event.event_type() == denied { Decision::Deny } else { Decision::Pass })
        });
        let refusal = kit.gate.publish(&kit.connection, publish_ask("show")).await.unwrap_err();
        assert_eq!(refusal.kind, RefusalKind::Denied);
        assert_eq!(refusal.public.as_str(), "No ticket.");
        assert_eq!(refusal.to_string(), format!("{denied} by auth: no_ticket: ticket 7 is used"));
        assert_eq!(kit.asked().last(), Some(&denied.name()));
        assert_eq!(kit.hub.presence(&key("show")), Presence::Absent);
        assert!(kit.told("publish_start").is_none() && kit.told("stream_create").is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_fails_denies() {
    let kit = Kit::new(Takeover::Stale, &[AuthorizeConnection], None, |_| None);
    let refusal = kit.gate.connection(&kit.connection, connect_ask()).await.unwrap_err();
    assert_eq!((refusal.kind, refusal.public.as_str()), (RefusalKind::Denied, "Refused."));
}

#[tokio::test(start_paused = true)]
async fn what_got_through_by_failure_is_marked_in_all_that_follows() {
    let on = [AuthorizeConnection, ResolvePublish, AuthorizePublish];
    let kit = Kit::new(Takeover::Stale, &on, Some(OnError::Allow), |_| None);
    kit.gate.connection(&kit.connection, connect_ask()).await.unwrap();
    let grant = kit.gate.publish(&kit.connection, publish_ask("show")).await.unwrap();
    let questions = kit.questions();
    assert_eq!(field(&questions[1], "failopen"), r#"["auth"]"#);
    assert_eq!(field(&questions[2], "failopen"), r#"["auth"]"#);
    let _publisher = kit.hub.publish(grant).await.unwrap();
    assert_eq!(field(&kit.told("publish_start").unwrap(), "failopen"), r#"["auth"]"#);
}

#[tokio::test(start_paused = true)]
async fn after_a_rename_nothing_that_is_told_carries_the_old_name() {
    let kit = Kit::new(Takeover::Stale, &[ResolvePublish, AuthorizePublish], None, |event| {
        let renames = event.event_type() == ResolvePublish;
        Some(if renames { Decision::Replace("show".into()) } else { Decision::Allow })
    });
    let mut ask = publish_ask("live/s3cret");
    ask.tc_url = "rtmp://h/live/s3cret".into();
    ask.query = "again=s3cret&camera=2".into();
    let grant = kit.gate.publish(&kit.connection, ask).await.unwrap();
    assert_eq!(grant.key(), &key("live/show"));
    let authorize = &kit.questions()[1];
    assert_eq!(
        (field(authorize, "stream_name").as_str(), authorize.scope().stream_key.clone()),
        ("show", Some(key("show")))
    );
    let publisher = kit.hub.publish(grant).await.unwrap();
    publisher.finish(EndReason::Unpublish).await;
    let start = kit.told("publish_start").unwrap();
    assert_eq!(field(&start, "tc_url"), "rtmp://h");
    assert_eq!(field(&start, "query"), "again=***&camera=2");
    for name in ["stream_create", "publish_start", "publish_stop", "stream_delete"] {
        let line = String::from_utf8(kit.told(name).unwrap().json().to_vec()).unwrap();
        assert!(!line.contains("s3cret"), "{line}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_busy_key_is_refused_before_the_second_question_and_looked_up_after_the_rename() {
    for takeover in [Takeover::Stale, Takeover::Refuse] {
        let kit = Kit::new(takeover, &[ResolvePublish, AuthorizePublish], None, |event| {
            let renames = event.event_type() == ResolvePublish;
            Some(if renames { Decision::Replace("same".into()) } else { Decision::Allow })
        });
        let grant = kit.gate.publish(&kit.connection, publish_ask("one")).await.unwrap();
        let _publisher = kit.hub.publish(grant).await.unwrap();
        let refusal = kit.gate.publish(&kit.connection, publish_ask("two")).await.unwrap_err();
        assert_eq!(refusal.kind, RefusalKind::Busy);
        assert_eq!(kit.asked(), ["resolve_publish", "authorize_publish", "resolve_publish"]);
    }
}

#[tokio::test(start_paused = true)]
async fn the_hub_decides_once_more_when_two_were_allowed() {
    let kit = Kit::new(Takeover::Stale, &[AuthorizePublish], None, |_| Some(Decision::Allow));
    let first = kit.gate.publish(&kit.connection, publish_ask("show")).await.unwrap();
    let second = kit.gate.publish(&kit.connection, publish_ask("show")).await.unwrap();
    let _publisher = kit.hub.publish(first).await.unwrap();
    assert_eq!(kit.hub.publish(second).await.unwrap_err(), Busy::Publisher);
}

#[tokio::test(start_paused = true)]
async fn a_publisher_that_was_silent_for_as_long_as_is_allowed_no_longer_keeps_its_key() {
    let kit = Kit::new(Takeover::Stale, &[], None, |_| None);
    let grant = kit.gate.publish(&kit.connection, publish_ask("show")).await.unwrap();
    let _publisher = kit.hub.publish(grant).await.unwrap();
    let stale = kit.hub.config().stale;
    let silent_for = || match kit.hub.presence(&key("show")) {
        Presence::Live { silent_for } => silent_for,
        other => unreachable!("it is published: {other:?}"),
    };
    tokio::time::advance(stale - silent_for()).await;
    assert_eq!(silent_for(), stale);
    let grant = kit.gate.publish(&kit.connection, publish_ask("show")).await.unwrap();
    kit.hub.publish(grant).await.expect("the hub draws the same line");
}
