//! Questions: nothing before their answer, and refusals in the protocol's words.

use crate::kit::{Client, Handler, Server, Setup, Stream, audio, inter, keyframe};
use jackfield_events::EventType;
use jackfield_media::TrackKind;
use jackfield_rtmp::{ClientEvent, PublishKind};
use jackfield_rtmp_server::{HoldLimits, RtmpConfig};
use std::time::Duration;

#[tokio::test]
async fn a_refused_connection_hears_the_public_reason() {
    let handler = Handler::new(Handler::deny("Members only."));
    let server = Server::with(Setup::default().decides(EventType::AuthorizeConnection, &handler));
    let mut client = Client::open(server.addr(), "live").await;
    assert_eq!(client.until_closed().await, ["NetConnection.Connect.Rejected Members only."]);
    assert_eq!(server.events.first("connection_close").await.data("reason"), "denied");
}

#[tokio::test]
async fn a_refused_publisher_hears_the_public_reason_and_was_never_there() {
    let handler = Handler::new(Handler::deny("Pay first."));
    let server = Server::with(Setup::default().decides(EventType::AuthorizePublish, &handler));
    let mut client = Client::connected(server.addr()).await;
    let stream = client.stream().await;
    let status = client.publish(stream, "show").await;
    assert_eq!((&*status.code, &*status.description), ("NetStream.Publish.BadName", "Pay first."));
    assert!(client.next().await.is_none());
    server.quiet().await;
    assert_eq!(server.events.first("connection_close").await.data("reason"), "denied");
    assert_eq!(server.events.count("publish_start") + server.events.count("stream_create"), 0);
}

#[tokio::test]
async fn a_refused_player_hears_the_public_reason() {
    let handler = Handler::new(Handler::deny("Not for you."));
    let server = Server::with(Setup::default().decides(EventType::AuthorizePlay, &handler));
    let (_publisher, _) = Client::publishing(server.addr(), "show").await;
    let mut client = Client::connected(server.addr()).await;
    let stream = client.stream().await;
    client.session.play(stream, "show");
    let status = client.any_status().await;
    assert_eq!((&*status.code, &*status.description), ("NetStream.Play.Failed", "Not for you."));
    assert!(client.next().await.is_none());
    assert_eq!(server.events.count("play_start"), 0);
}

#[tokio::test]
async fn a_refusal_ends_only_what_it_is_about() {
    let handler = Handler::new(Handler::deny("No."));
    let server = Server::with(Setup::default().decides(EventType::AuthorizePlay, &handler));
    let (mut client, stream) = Client::publishing(server.addr(), "show").await;
    let second = client.stream().await;
    client.session.play(second, "show");
    client.status("NetStream.Play.Failed").await;
    client.send(stream, &[(TrackKind::Video, 0, keyframe(0, 10))]).await;
    server.events.first("media_start").await;
    assert_eq!(server.events.count("publish_stop"), 0);
}

#[tokio::test]
async fn media_that_comes_before_the_answer_is_released_by_allow() {
    let handler = Handler::held(Handler::allow);
    let server = Server::with(Setup::default().decides(EventType::AuthorizePublish, &handler));
    let mut publisher = Client::connected(server.addr()).await;
    let stream = publisher.stream().await;
    publisher.session.publish(stream, "show", PublishKind::Live);
    publisher.flush().await;
    handler.is_asked().await;
    let sent = Stream::of(1);
    publisher.send(stream, &sent.messages).await;
    // What is read while it waits is read without an answer.
    let sync = publisher.session.call(0, "_checkbw", &[]);
    publisher
        .find("an answer", |event| match event {
            ClientEvent::Answer(command) if command.transaction == sync => Some(()),
            ClientEvent::Status { status, .. } => panic!("{status:?} before the verdict"),
            _ => None,
        })
        .await;
    assert_eq!(server.events.count("stream_create"), 0);
    handler.release();
    assert_eq!(&*publisher.any_status().await.code, "NetStream.Publish.Start");
    let (mut player, _) = Client::playing(server.addr(), "show").await;
    let got = player.messages(sent.messages.len()).await;
    assert_eq!(got.last().unwrap().2, audio(9));
}

#[tokio::test]
async fn held_media_is_bounded_by_not_reading_and_nothing_is_lost() {
    let handler = Handler::held(Handler::allow);
    let mut setup = Setup::default().decides(EventType::AuthorizePublish, &handler);
    setup.rtmp =
        RtmpConfig { hold: HoldLimits { bytes: 64 << 10, span: Duration::from_secs(3) }, ..setup.rtmp };
    let server = Server::with(setup);
    let mut publisher = Client::connected(server.addr()).await;
    let stream = publisher.stream().await;
    publisher.session.publish(stream, "show", PublishKind::Live);
    publisher.flush().await;
    handler.is_asked().await;
    let mut sent = vec![(TrackKind::Video, 0, keyframe(0, 100_000))];
    // More than all buffers of the kernel take.
    sent.extend((1..200).map(|number| (TrackKind::Video, number * 5, inter(number, 100_000))));
    let sending = async {
        publisher.send(stream, &sent).await;
        publisher
    };
    let releasing = async {
        let received = || server.connections.list()[0].bytes_received;
        // The server reads no more when two looks far apart see the same.
        let mut last = 0;
        loop {
            for _ in 0..2_000 {
                tokio::task::yield_now().await;
            }
            if received() > 64 << 10 && received() == last {
                break;
            }
            last = received();
        }
        assert!(last < 2 << 20, "{last} bytes were read");
        handler.release();
    };
    let (mut publisher, ()) = tokio::join!(sending, releasing);
    publisher.session.notify(stream, "closeStream", &[]);
    publisher.status("NetStream.Unpublish.Success").await;
    let stop = server.events.first("publish_stop").await;
    assert_eq!(stop.data("video_packets"), 200);
}

#[tokio::test]
async fn held_media_is_dropped_by_deny() {
    let handler = Handler::held(Handler::deny("No."));
    let server = Server::with(Setup::default().decides(EventType::AuthorizePublish, &handler));
    let mut publisher = Client::connected(server.addr()).await;
    let stream = publisher.stream().await;
    publisher.session.publish(stream, "show", PublishKind::Live);
    publisher.send(stream, &Stream::of(1).messages).await;
    handler.is_asked().await;
    handler.release();
    assert_eq!(publisher.until_closed().await, ["NetStream.Publish.BadName"]);
    server.quiet().await;
    assert_eq!(server.events.count("media_start"), 0);
}

#[tokio::test]
async fn a_publisher_that_leaves_while_it_is_asked_about_is_forgotten() {
    let handler = Handler::held(Handler::allow);
    let server = Server::with(Setup::default().decides(EventType::AuthorizePublish, &handler));
    let mut publisher = Client::connected(server.addr()).await;
    let stream = publisher.stream().await;
    publisher.session.publish(stream, "show", PublishKind::Live);
    publisher.flush().await;
    handler.is_asked().await;
    publisher.session.notify(0, "FCUnpublish", &["show".into()]);
    // The same message stream asks again, and this answer counts.
    publisher.session.publish(stream, "show", PublishKind::Live);
    publisher.flush().await;
    handler.is_asked_times(2).await;
    handler.release();
    assert_eq!(&*publisher.any_status().await.code, "NetStream.Publish.Start");
    drop(publisher);
    server.quiet().await;
    assert_eq!(server.events.count("publish_start"), 1);
}

#[tokio::test]
async fn a_renamed_publisher_is_played_under_its_new_name() {
    let handler = Handler::new(Handler::replace("live/public"));
    let server = Server::with(Setup::default().decides(EventType::ResolvePublish, &handler));
    let (mut publisher, stream) = Client::publishing(server.addr(), "secret-key").await;
    publisher.send(stream, &Stream::of(1).messages).await;
    let (mut player, _) = Client::playing(server.addr(), "public").await;
    player.message().await;
    // FCUnpublish refers to the name that the client knows.
    publisher.session.notify(0, "FCUnpublish", &["secret-key".into()]);
    publisher.flush().await;
    let stop = server.events.first("publish_stop").await;
    assert_eq!((&stop.json["stream_key"], stop.data("reason")), (&"live/public".into(), &"unpublish".into()));
    let start = server.events.first("publish_start").await;
    assert!(!start.json.to_string().contains("secret-key"), "{}", start.json);
}

#[tokio::test]
async fn bad_names_are_refused_before_anybody_is_asked() {
    let handler = Handler::new(Handler::allow);
    let setup = Setup::default()
        .decides(EventType::ResolvePublish, &handler)
        .decides(EventType::AuthorizePublish, &handler)
        .decides(EventType::ResolvePlay, &handler)
        .decides(EventType::AuthorizePlay, &handler);
    let server = Server::with(setup);
    let long = "x".repeat(10 << 10);
    for name in ["a%0ab", "a\0b", "../x", &long, "%ff%fe", "-rf", "a//b", "", "?token=1"] {
        for (command, code) in
            [("publish", "NetStream.Publish.BadName"), ("play", "NetStream.Play.StreamNotFound")]
        {
            let mut client = Client::connected(server.addr()).await;
            let stream = client.stream().await;
            match command {
                "publish" => client.session.publish(stream, name, PublishKind::Live),
                _ => client.session.play(stream, name),
            }
            assert_eq!(client.until_closed().await, [code], "{command} {name:?}");
        }
    }
    server.quiet().await;
    assert_eq!(handler.asked(), [""; 0]);
}

#[tokio::test]
async fn questions_know_what_the_client_said() {
    let seen: std::sync::Arc<std::sync::Mutex<Vec<serde_json::Value>>> = std::sync::Arc::default();
    let keep = std::sync::Arc::clone(&seen);
    let handler = Handler::new(move |event| {
        keep.lock().unwrap().push(serde_json::from_slice(event.json()).unwrap());
        Handler::allow(event)
    });
    let setup = Setup::default()
        .decides(EventType::AuthorizeConnection, &handler)
        .decides(EventType::AuthorizePublish, &handler);
    let server = Server::with(setup);
    let mut client = Client::open(server.addr(), "live?c=1").await;
    client.is_connected().await;
    let stream = client.stream().await;
    client.publish(stream, "a%2Fb?token=t").await;
    let seen = seen.lock().unwrap();
    let data: Vec<_> = seen.iter().map(|event| &event["data"]).collect();
    assert_eq!((&data[0]["app"], &data[0]["query"]), (&"live".into(), &"c=1".into()));
    assert_eq!(data[0]["flash_ver"], "FMLE/3.0 (compatible; Jackfield)");
    assert_eq!(seen[1]["stream_key"], "live/a/b");
    assert_eq!(data[1]["query"], "token=t&c=1");
    assert_eq!(data[1]["tc_url"], "rtmp://127.0.0.1/live?c=1");
    assert_eq!(data[1]["publish_type"], "live");
}
