//! Farewells: kicks and the server's stop.

use crate::kit::{Client, Server, Stream, audio, later};
use jackfield_events::EndReason;
use jackfield_media::ConnId;
use jackfield_rtmp::amf::Object;
use jackfield_sessions::Kick;
use std::time::Duration;

#[tokio::test]
async fn a_stop_says_farewell_to_all_and_closes_every_pair() {
    let server = Server::start();
    let (mut publisher, stream) = Client::publishing(server.addr(), "show").await;
    publisher.send(stream, &Stream::of(1).messages).await;
    let (mut player, _) = Client::playing(server.addr(), "show").await;
    while player.message().await.2 != audio(9) {}
    let mut idle = Client::connected(server.addr()).await;
    let addr = server.addr();
    let (left, publisher, player, idle) = tokio::join!(
        server.running.stop(later(Duration::from_secs(10))),
        publisher.until_closed(),
        player.until_closed(),
        idle.until_closed(),
    );
    assert_eq!(left, 0);
    assert_eq!(publisher, ["NetStream.Unpublish.Success", "NetConnection.Connect.Closed"]);
    assert!(player.iter().any(|code| code == "NetStream.Play.Stop"), "{player:?}");
    assert_eq!(player.last().unwrap(), "NetConnection.Connect.Closed");
    assert_eq!(idle, ["NetConnection.Connect.Closed"]);
    server.quiet().await;
    assert_eq!(server.events.first("publish_stop").await.data("reason"), "server_shutdown");
    for number in 1..=3 {
        let close = server.events.nth("connection_close", number).await;
        assert_eq!(close.data("reason"), "server_shutdown");
    }
    assert!(tokio::net::TcpStream::connect(addr).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn clients_that_heed_it_are_asked_to_reconnect_before_their_farewell() {
    let server = Server::start();
    let heeding = || Client::telling(server.addr(), Object::new().with("capsEx", 1.0));
    let (mut publisher, mut idle) = (heeding().await, heeding().await);
    let stream = publisher.stream().await;
    publisher.publish(stream, "show").await;
    publisher.send(stream, &Stream::of(1).messages).await;
    let (mut player, _) = heeding().await.plays("show").await;
    while player.message().await.2 != audio(9) {}
    let mut other = Client::telling(server.addr(), Object::new().with("capsEx", 2.0)).await;
    let (left, publisher, player, idle, other) = tokio::join!(
        server.running.stop(later(Duration::from_secs(10))),
        publisher.until_closed(),
        player.until_closed(),
        idle.until_closed(),
        other.until_closed(),
    );
    assert_eq!(left, 0);
    let asked = "reconnect None The server stops.";
    assert_eq!(publisher, [asked, "NetStream.Unpublish.Success", "NetConnection.Connect.Closed"]);
    assert_eq!(idle, [asked, "NetConnection.Connect.Closed"]);
    assert_eq!(other, ["NetConnection.Connect.Closed"]);
    let (first, last) = (player.iter().position(|code| code == asked), player.last());
    assert!(first < player.iter().position(|code| code == "NetStream.Play.Stop"), "{player:?}");
    assert_eq!(player.iter().filter(|code| *code == asked).count(), 1);
    assert_eq!(last.unwrap(), "NetConnection.Connect.Closed");
    server.quiet().await;
}

#[tokio::test]
async fn a_kick_asks_nobody_to_reconnect() {
    let server = Server::start();
    let mut client = Client::telling(server.addr(), Object::new().with("capsEx", 1.0)).await;
    server.connections.kick(ConnId(1), Kick::by_operator("Maintenance.")).unwrap();
    assert_eq!(client.until_closed().await, ["NetConnection.Connect.Closed"]);
}

#[tokio::test]
async fn a_kicked_connection_hears_why() {
    let server = Server::start();
    let (mut publisher, _) = Client::publishing(server.addr(), "show").await;
    server.connections.kick(ConnId(1), Kick::by_operator("Maintenance.")).unwrap();
    let closed = publisher
        .find("the farewell", |event| match event {
            jackfield_rtmp::ClientEvent::Status { status, .. }
                if &*status.code == "NetConnection.Connect.Closed" =>
            {
                Some(status.description.clone())
            }
            _ => None,
        })
        .await;
    assert_eq!(&*closed, "Maintenance.");
    drop(publisher);
    server.quiet().await;
    assert_eq!(server.events.first("publish_stop").await.data("reason"), "kicked");
    assert_eq!(server.events.first("connection_close").await.data("reason"), "kicked");
}

#[tokio::test]
async fn a_kick_by_the_hub_ends_the_connection_of_its_only_session() {
    let server = Server::start();
    let (mut publisher, stream) = Client::publishing(server.addr(), "show").await;
    publisher.send(stream, &Stream::of(1).messages).await;
    let key = jackfield_media::StreamKey::parse("show").unwrap();
    server.hub.kick_publisher(&key, EndReason::Kicked).await.unwrap();
    let codes = publisher.until_closed().await;
    assert_eq!(codes, ["NetStream.Unpublish.Success", "NetConnection.Connect.Closed"]);
    assert_eq!(server.events.first("connection_close").await.data("reason"), "kicked");
}

#[tokio::test]
async fn clients_that_do_not_leave_are_left_after_the_linger() {
    let server = Server::start();
    // It neither reads nor closes.
    let client = Client::connected(server.addr()).await;
    assert_eq!(server.running.stop(later(Duration::from_secs(10))).await, 0);
    server.quiet().await;
    drop(client);
}
