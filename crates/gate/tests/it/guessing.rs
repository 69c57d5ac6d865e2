//! Clients that are denied often wait; nobody else does.

use crate::kit::{Kit, connect_ask, field, play_ask, publish_ask};
use jackfield_bus::Bus;
use jackfield_events::EventType::{AuthorizeConnection, AuthorizePlay, AuthorizePublish, ResolvePublish};
use jackfield_events::{Decision, Event, Masker, OnError, Protocol};
use jackfield_gate::{Refusal, RefusalKind};
use jackfield_hub::Takeover;
use jackfield_runtime::{Joining, Tasks, clock};
use jackfield_sessions::{Connection, ConnectionLimits, Connections, Peer};
use std::num::NonZeroU32;
use std::time::Duration;

/// A gate whose hook knows one secret, and five denials a minute are free.
fn guarded() -> Kit {
    let kit = Kit::new(Takeover::Stale, &[AuthorizePublish, AuthorizePlay], None, only_the_secret);
    kit.gate.slow_guessing(NonZeroU32::new(5));
    kit
}

fn only_the_secret(event: &Event) -> Option<Decision> {
    Some(if field(event, "stream_name") == "s3cret" { Decision::Allow } else { Decision::Deny })
}

fn from(address: &str) -> Connection {
    let connections = Connections::new(Bus::new("n", Masker::default()), ConnectionLimits::default());
    let (client, server) = (format!("{address}:5000"), "198.51.100.1:1935".parse().unwrap());
    let protocol = Protocol::Rtmp;
    connections.open(Peer { client: client.parse().unwrap(), server, protocol }).unwrap()
}

/// What became of a publish, and after how many seconds.
async fn publish(kit: &Kit, who: &Connection, key: &str) -> (Result<(), Refusal>, u64) {
    let begun = clock::now();
    let answer = kit.gate.publish(who, publish_ask(key)).await.map(drop);
    (answer, (clock::now() - begun).as_secs())
}

async fn deny_often(kit: &Kit, who: &Connection) {
    for number in 0..20 {
        let (answer, _) = publish(kit, who, &format!("guess{number}")).await;
        assert_eq!(answer.unwrap_err().kind, RefusalKind::Denied);
    }
}

#[tokio::test(start_paused = true)]
async fn each_guess_after_the_fifth_waits_longer() {
    let (kit, guesser) = (guarded(), from("203.0.113.7"));
    let mut waits = Vec::new();
    for number in 0..9 {
        waits.push(publish(&kit, &guesser, &format!("guess{number}")).await.1);
    }
    // While it waits, what it did leaks away.
    assert_eq!(waits, [0, 0, 0, 0, 0, 1, 2, 4, 8]);
    assert_eq!(kit.asked().len(), 9);
}

#[tokio::test(start_paused = true)]
async fn the_true_publisher_of_a_key_never_waits_for_what_others_guess() {
    let kit = guarded();
    for number in 1..100 {
        let guesser = from(&format!("198.51.100.{number}"));
        assert!(publish(&kit, &guesser, "guess").await.0.is_err());
    }
    assert_eq!(publish(&kit, &from("198.51.100.7"), "guess").await.1, 1);
    assert_eq!(publish(&kit, &from("203.0.113.9"), "s3cret").await, (Ok(()), 0));
}

#[tokio::test(start_paused = true)]
async fn who_is_slowed_down_gets_through_with_the_right_key_later() {
    let (kit, guesser) = (guarded(), from("203.0.113.7"));
    deny_often(&kit, &guesser).await;
    let (answer, waited) = publish(&kit, &guesser, "s3cret").await;
    assert_eq!(answer, Ok(()));
    assert!((8..=10).contains(&waited), "{waited}");
    tokio::time::advance(Duration::from_secs(60)).await;
    assert_eq!(publish(&kit, &guesser, "s3cret").await, (Ok(()), 0));
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_guesses_is_refused_unasked_in_the_same_words_and_told_once() {
    let (kit, guesser) = (guarded(), from("203.0.113.7"));
    deny_often(&kit, &guesser).await;
    let asked = kit.asked().len();
    let (one, two, three) = tokio::join!(
        publish(&kit, &guesser, "guess"),
        publish(&kit, &guesser, "guess"),
        kit.gate.resolve_play(&guesser, play_ask("guess")),
    );
    assert_eq!(kit.asked().len(), asked + 1);
    assert!(one.1 >= 8 && two.1 == 0, "{} {}", one.1, two.1);
    // The hook's own words are the hook's to choose.
    assert_eq!(one.0.unwrap_err().public.as_str(), "No ticket.");
    for unasked in [two.0.unwrap_err(), three.unwrap_err()] {
        assert_eq!((unasked.kind, unasked.public.as_str()), (RefusalKind::Denied, "Refused."));
    }
    assert_eq!(field(&kit.told("auth_failed").unwrap(), "unasked"), "2");
}

#[tokio::test(start_paused = true)]
async fn a_denial_is_told_without_the_name_that_was_guessed() {
    let (kit, guesser) = (guarded(), from("203.0.113.7"));
    for _ in 0..6 {
        publish(&kit, &guesser, "nearly-s3cret").await.0.unwrap_err();
    }
    let told = kit.told("auth_failed").unwrap();
    let fields =
        ["client_ip", "protocol", "question", "app", "hook", "code", "denials", "delay_ms", "unasked"];
    assert_eq!(
        fields.map(|name| field(&told, name)),
        ["203.0.113.7", "rtmp", "authorize_publish", "live", "auth", "no_ticket", "6", "2000", "0"]
    );
    assert_eq!(told.scope().conn_id, Some(guesser.id()));
    assert_eq!(told.scope().stream_key, None);
    let line = String::from_utf8_lossy(told.json());
    assert!(!line.contains("nearly"), "{line}");
}

#[tokio::test(start_paused = true)]
async fn loopback_is_told_of_and_never_waits() {
    let (kit, local) = (guarded(), from("127.0.0.1"));
    deny_often(&kit, &local).await;
    assert_eq!(publish(&kit, &local, "s3cret").await, (Ok(()), 0));
    let told = kit.told("auth_failed").unwrap();
    assert_eq!([field(&told, "denials"), field(&told, "delay_ms")], ["", "0"]);
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_fails_says_nothing_of_the_client() {
    let kit = Kit::new(Takeover::Stale, &[AuthorizePublish], Some(OnError::Deny), |_| None);
    kit.gate.slow_guessing(NonZeroU32::new(5));
    let client = from("203.0.113.7");
    for _ in 0..20 {
        let (answer, waited) = publish(&kit, &client, "show").await;
        assert_eq!((answer.unwrap_err().kind, waited), (RefusalKind::Denied, 0));
    }
    assert!(kit.told("auth_failed").is_none());
}

#[tokio::test(start_paused = true)]
async fn every_question_counts_and_every_wish_waits() {
    let on = [AuthorizeConnection, ResolvePublish];
    let kit = Kit::new(Takeover::Stale, &on, None, |_| Some(Decision::Deny));
    kit.gate.slow_guessing(NonZeroU32::new(2));
    let client = from("203.0.113.7");
    kit.gate.connection(&client, connect_ask()).await.unwrap_err();
    publish(&kit, &client, "show").await.0.unwrap_err();
    assert_eq!(field(&kit.told("auth_failed").unwrap(), "question"), "resolve_publish");
    let begun = clock::now();
    kit.gate.connection(&client, connect_ask()).await.unwrap_err();
    assert_eq!((clock::now() - begun).as_secs(), 1);
    assert_eq!(publish(&kit, &client, "show").await.1, 2);
    // Nobody is asked about playing, so there is nothing to guess.
    let begun = clock::now();
    kit.gate.resolve_play(&client, play_ask("show")).await.unwrap();
    assert_eq!((clock::now() - begun).as_secs(), 0);
}

#[tokio::test(start_paused = true)]
async fn it_can_be_turned_off() {
    let (kit, client) = (guarded(), from("203.0.113.7"));
    kit.gate.slow_guessing(None);
    deny_often(&kit, &client).await;
    assert_eq!(publish(&kit, &client, "guess").await.1, 0);
}

/// A hook that takes a second for each answer and knows the one secret, and a client that guesses from many connections.
fn beleaguered(connections: usize) -> (Kit, Vec<Joining<Result<(), Refusal>>>, Tasks) {
    let second = Duration::from_secs(1);
    let kit = Kit::slow(Takeover::Stale, &[AuthorizePublish], None, second, only_the_secret);
    kit.gate.slow_guessing(NonZeroU32::new(5));
    let tasks = Tasks::new();
    let guess = |number| {
        let (gate, guesser) = (kit.gate.clone(), from("203.0.113.7"));
        tasks.spawn("guess", async move {
            gate.publish(&guesser, publish_ask(&format!("guess{number}"))).await.map(drop)
        })
    };
    let guesses = (0..connections).map(guess).collect();
    (kit, guesses, tasks)
}

#[tokio::test(start_paused = true)]
async fn many_guesses_at_once_are_not_asked_before_the_first_is_denied() {
    let (kit, guesses, _tasks) = beleaguered(1000);
    clock::sleep(Duration::from_millis(500)).await;
    let at_once = kit.asked().len();
    assert_eq!(at_once, 32);
    for guess in guesses {
        assert_eq!(guess.join().await.unwrap().unwrap_err().kind, RefusalKind::Denied);
    }
    // Those that waited for a place stood behind the denials then.
    assert!(kit.asked().len() < at_once + 10, "{}", kit.asked().len());
}

#[tokio::test(start_paused = true)]
async fn who_asks_much_at_once_does_not_hold_up_others() {
    let (kit, _guesses, _tasks) = beleaguered(1000);
    clock::sleep(Duration::from_millis(500)).await;
    assert_eq!(publish(&kit, &from("203.0.113.8"), "s3cret").await, (Ok(()), 1));
}

#[tokio::test(start_paused = true)]
async fn a_crowd_behind_one_address_is_let_in_one_after_the_other() {
    let second = Duration::from_secs(1);
    let kit = Kit::slow(Takeover::Stale, &[AuthorizeConnection], None, second, |_| Some(Decision::Allow));
    kit.gate.slow_guessing(NonZeroU32::new(5));
    let tasks = Tasks::new();
    let come = |_| {
        let (gate, client) = (kit.gate.clone(), from("203.0.113.7"));
        tasks.spawn("come", async move { gate.connection(&client, connect_ask()).await })
    };
    let crowd: Vec<_> = (0..100).map(come).collect();
    let begun = clock::now();
    for client in crowd {
        assert_eq!(client.join().await, Some(Ok(())));
    }
    assert_eq!((clock::now() - begun).as_secs(), 4);
}
