//! Players.

use crate::kit::{Kit, connect_ask, field, key, play_ask};
use jackfield_events::Decision;
use jackfield_events::EventType::{AuthorizeConnection, AuthorizePlay, ResolvePlay};
use jackfield_events::OnError;
use jackfield_gate::RefusalKind;
use jackfield_hub::Takeover;

#[tokio::test(start_paused = true)]
async fn a_play_is_resolved_then_waits_and_is_authorized_under_its_new_key() {
    let kit = Kit::new(Takeover::Stale, &[ResolvePlay, AuthorizePlay], None, |event| {
        let renames = event.event_type() == ResolvePlay;
        Some(if renames { Decision::Replace("other/b".into()) } else { Decision::Allow })
    });
    let resolved = kit.gate.resolve_play(&kit.connection, play_ask("show")).await.unwrap();
    assert_eq!(resolved.key(), &key("other/b"));
    assert_eq!(kit.asked(), ["resolve_play"]);
    let grant = kit.gate.authorize_play(&kit.connection, resolved).await.unwrap();
    assert_eq!(grant.key(), &key("other/b"));
    let questions = kit.questions();
    assert_eq!(kit.asked(), ["resolve_play", "authorize_play"]);
    assert_eq!(field(&questions[1], "app"), "other");
    assert_eq!(field(&questions[1], "client_port"), "51234");
    assert_eq!(questions[0].scope().session_id, questions[1].scope().session_id);
}

#[tokio::test(start_paused = true)]
async fn a_denied_player_is_refused_at_either_question() {
    for denied in [ResolvePlay, AuthorizePlay] {
        let kit = Kit::new(Takeover::Stale, &[ResolvePlay, AuthorizePlay], None, move |event| {
            Some(if event.event_type() == denied { Decision::Deny } else { Decision::Pass })
        });
        let refusal = match kit.gate.resolve_play(&kit.connection, play_ask("show")).await {
            Err(refusal) => refusal,
            Ok(resolved) => kit.gate.authorize_play(&kit.connection, resolved).await.unwrap_err(),
        };
        assert_eq!((refusal.kind, refusal.public.as_str()), (RefusalKind::Denied, "No ticket."));
        assert_eq!(kit.asked().last(), Some(&denied.name()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_at_connect_is_carried_to_the_player() {
    let on = [AuthorizeConnection, AuthorizePlay];
    let kit = Kit::new(Takeover::Stale, &on, Some(OnError::Allow), |event| {
        (event.event_type() != AuthorizeConnection).then_some(Decision::Allow)
    });
    kit.gate.connection(&kit.connection, connect_ask()).await.unwrap();
    let resolved = kit.gate.resolve_play(&kit.connection, play_ask("show")).await.unwrap();
    kit.gate.authorize_play(&kit.connection, resolved).await.unwrap();
    assert_eq!(field(&kit.questions()[1], "failopen"), r#"["auth"]"#);
}
