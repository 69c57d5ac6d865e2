//! Playing: waiting, holding back, and the ends of it.

use crate::kit::{Client, Server, Setup, Stream, audio, inter, keyframe, soon};
use jackfield_hub::HubConfig;
use jackfield_media::TrackKind;
use jackfield_rtmp::ClientEvent;
use jackfield_rtmp::amf::Value;
use jackfield_rtmp::message::UserControl;
use jackfield_rtmp_server::PlayClock;
use std::time::Duration;

#[tokio::test]
async fn a_player_may_come_before_the_publisher() {
    let server = Server::start();
    let mut player = Client::connected(server.addr()).await;
    let stream = player.stream().await;
    player.session.play(stream, "show");
    // It is served while it waits.
    let answer = player.session.call(0, "getStreamLength", &["show".into()]);
    player
        .find("an answer", |event| match event {
            ClientEvent::Answer(command) if command.transaction == answer => Some(()),
            ClientEvent::Status { status, .. } => panic!("{status:?} before there is a stream"),
            _ => None,
        })
        .await;
    assert_eq!(server.events.count("stream_create"), 0);
    let (mut publisher, stream) = Client::publishing(server.addr(), "show").await;
    player.status("NetStream.Play.Start").await;
    publisher.send(stream, &Stream::of(1).messages).await;
    player.messages(22).await;
    server.events.first("play_start").await;
}

#[tokio::test]
async fn a_stream_that_does_not_come_is_not_found_and_leaves_no_trace() {
    let hub = HubConfig { wait: Duration::from_millis(30), ..HubConfig::default() };
    let server = Server::with(Setup { hub, ..Setup::default() });
    let mut player = Client::connected(server.addr()).await;
    let stream = player.stream().await;
    player.session.play(stream, "nobody");
    let status = player.any_status().await;
    assert_eq!(&*status.code, "NetStream.Play.StreamNotFound");
    // It may try again on the same message stream.
    let (_publisher, _) = Client::publishing(server.addr(), "nobody").await;
    player.session.play(stream, "nobody");
    player.status("NetStream.Play.Start").await;
    assert_eq!(server.events.count("play_start"), 0);
}

#[tokio::test]
async fn a_player_that_leaves_while_it_waits_is_forgotten() {
    let server = Server::start();
    let mut player = Client::connected(server.addr()).await;
    let stream = player.stream().await;
    player.session.play(stream, "nobody");
    player.flush().await;
    drop(player);
    server.quiet().await;
    assert_eq!(server.events.names().last(), Some(&"connection_close"));
}

#[tokio::test]
async fn players_are_told_when_their_publisher_leaves() {
    let server = Server::start();
    let (mut publisher, stream) = Client::publishing(server.addr(), "show").await;
    publisher.send(stream, &Stream::of(1).messages).await;
    let (mut player, playing) = Client::playing(server.addr(), "show").await;
    while player.message().await.2 != audio(9) {}
    drop(publisher);
    let mut heard = Vec::new();
    soon("the end", async {
        while heard.len() < 3 {
            match player.next().await.unwrap() {
                ClientEvent::UserControl(UserControl::StreamEof(id)) if id == playing => {
                    heard.push("eof".into())
                }
                ClientEvent::Status { status, .. } => heard.push(status.code.to_string()),
                _ => {}
            }
        }
    })
    .await;
    assert_eq!(heard, ["eof", "NetStream.Play.UnpublishNotify", "NetStream.Play.Stop"]);
    let stop = server.events.first("play_stop").await;
    assert_eq!(stop.data("reason"), "unpublish");
    assert!(stop.data("bytes_sent").as_u64().unwrap() > 20_000);
    drop(player);
    server.quiet().await;
}

#[tokio::test]
async fn a_paused_player_gets_nothing_until_it_goes_on_with_a_key_frame() {
    let server = Server::start();
    let (mut publisher, stream) = Client::publishing(server.addr(), "show").await;
    publisher.send(stream, &Stream::of(1).messages).await;
    let (mut player, playing) = Client::playing(server.addr(), "show").await;
    while player.message().await.2 != audio(9) {}
    let pause = |on| [Value::Boolean(on), Value::Number(0.0)];
    player.session.notify(playing, "pause", &pause(true));
    player.status("NetStream.Pause.Notify").await;
    // A second player tells when what is sent now has gone through the hub.
    let (mut witness, _) = Client::playing(server.addr(), "show").await;
    publisher.send(stream, &[(TrackKind::Video, 400, inter(70, 10))]).await;
    while witness.message().await.2 != inter(70, 10) {}
    player.session.notify(playing, "pause", &pause(false));
    player.status("NetStream.Unpause.Notify").await;
    publisher
        .send(stream, &[(TrackKind::Video, 440, inter(71, 10)), (TrackKind::Video, 480, keyframe(72, 10))])
        .await;
    let mut pictures = Vec::new();
    while pictures.last() != Some(&keyframe(72, 10)) {
        let (kind, _, body) = player.message().await;
        // Configuration may come again after the gap.
        if kind == TrackKind::Video && body[1] == 1 {
            pictures.push(body.to_vec());
        }
    }
    assert_eq!(pictures, [keyframe(72, 10)]);
}

#[tokio::test]
async fn a_player_may_do_without_pictures() {
    let server = Server::start();
    let (mut publisher, stream) = Client::publishing(server.addr(), "show").await;
    let (mut player, playing) = Client::playing(server.addr(), "show").await;
    player.session.notify(playing, "receiveVideo", &[Value::Boolean(false)]);
    let sync = player.session.call(0, "_checkbw", &[]);
    player
        .find("an answer", |event| match event {
            ClientEvent::Answer(command) if command.transaction == sync => Some(()),
            _ => None,
        })
        .await;
    // The wish reaches the hub when the player is attached, at the latest.
    while server.hub.streams()[0].viewers == 0 {
        tokio::task::yield_now().await;
    }
    publisher.send(stream, &Stream::of(1).messages).await;
    let mut pictures = 0;
    loop {
        let (kind, _, body) = player.message().await;
        pictures += usize::from(kind == TrackKind::Video && body[1] == 1);
        if body == audio(9) {
            break;
        }
    }
    assert_eq!(pictures, 0);
}

#[tokio::test]
async fn another_play_on_the_same_message_stream_leaves_the_first() {
    let server = Server::start();
    let (mut one, stream_one) = Client::publishing(server.addr(), "one").await;
    one.send(stream_one, &[(TrackKind::Video, 0, keyframe(1, 10))]).await;
    let (mut two, stream_two) = Client::publishing(server.addr(), "two").await;
    two.send(stream_two, &[(TrackKind::Video, 0, keyframe(2, 10))]).await;
    let (mut player, playing) = Client::playing(server.addr(), "one").await;
    assert_eq!(player.message().await.2, keyframe(1, 10));
    player.session.play(playing, "two");
    assert_eq!(player.message().await.2, keyframe(2, 10));
    let stop = server.events.first("play_stop").await;
    assert_eq!(
        (&stop.json["stream_key"], stop.data("reason")),
        (&"live/one".into(), &"client_disconnect".into())
    );
    player.session.notify(playing, "closeStream", &[]);
    player.status("NetStream.Play.Stop").await;
    drop((one, two, player));
    server.quiet().await;
    assert_eq!(server.events.count("play_stop"), 2);
}

#[tokio::test]
async fn several_plays_share_a_connection() {
    let server = Server::start();
    let (mut publisher, stream) = Client::publishing(server.addr(), "show").await;
    publisher.send(stream, &Stream::of(1).messages).await;
    let mut player = Client::connected(server.addr()).await;
    let (first, second) = (player.stream().await, player.stream().await);
    player.session.play(first, "show");
    player.session.play(second, "show");
    let mut ends = [first, second].map(|id| (id, false));
    while ends.iter().any(|(_, done)| !done) {
        if let Some(ClientEvent::Media { message_stream, body, .. }) = player.next().await
            && body == audio(9)
        {
            ends.iter_mut().filter(|(id, _)| *id == message_stream).for_each(|(_, done)| *done = true);
        }
    }
    drop((publisher, player));
    server.quiet().await;
    assert_eq!(server.events.count("play_stop"), 2);
}

#[tokio::test]
async fn a_player_that_does_not_read_is_ended_and_slows_nobody() {
    let hub = HubConfig {
        queue_bytes: 256 << 10,
        queue: Duration::from_secs(60),
        slow: Duration::from_millis(50),
        ..HubConfig::default()
    };
    let server = Server::with(Setup { hub, ..Setup::default() });
    let (mut publisher, stream) = Client::publishing(server.addr(), "show").await;
    publisher.send(stream, &[(TrackKind::Video, 0, keyframe(0, 10))]).await;
    let (mut slow, _) = Client::playing(server.addr(), "show").await;
    let (mut quick, _) = Client::playing(server.addr(), "show").await;
    slow.message().await;
    assert_eq!(quick.message().await.2, keyframe(0, 10));
    let mut number = 0;
    let stop = loop {
        number += 1;
        publisher.send(stream, &[(TrackKind::Video, number * 40, keyframe(number, 400_000))]).await;
        let (.., body) = quick.message().await;
        assert!(body == keyframe(number, 400_000), "the quick one misses nothing");
        if server.events.count("play_stop") > 0 {
            break server.events.first("play_stop").await;
        }
    };
    assert_eq!(stop.data("reason"), "slow_subscriber");
    let close = server.events.first("connection_close").await;
    assert_eq!(close.data("reason"), "slow_subscriber");
    drop(slow);
}

#[tokio::test]
async fn time_stamps_beyond_24_bits_reach_players() {
    let mut setup = Setup::default();
    setup.rtmp.play_clock = PlayClock::Stream;
    let server = Server::with(setup);
    let (mut publisher, stream) = Client::publishing(server.addr(), "show").await;
    let start = 0x00ff_fff0;
    let sent: Vec<_> =
        (0..4u32).map(|number| (TrackKind::Video, start + number * 10, keyframe(number, 20_000))).collect();
    publisher.send(stream, &sent[..1]).await;
    let (mut player, _) = Client::playing(server.addr(), "show").await;
    let first = player.message().await;
    publisher.send(stream, &sent[1..]).await;
    let mut got = vec![first];
    got.extend(player.messages(3).await);
    let stamps: Vec<i64> = got.iter().map(|(_, timestamp, _)| *timestamp).collect();
    assert_eq!(stamps, [0x00ff_fff0, 0x00ff_fffa, 0x0100_0004, 0x0100_000e]);
    assert!(got.iter().zip(&sent).all(|(got, sent)| got.2 == sent.2));
}

#[tokio::test]
async fn sound_from_before_a_players_first_key_frame_is_left_out_and_the_rest_keeps_its_time() {
    let server = Server::start();
    let (mut publisher, stream) = Client::publishing(server.addr(), "show").await;
    let (mut player, _) = Client::playing(server.addr(), "show").await;
    // Sound lags behind the pictures, as it does when an encoder is short of time.
    let sent = [
        (TrackKind::Video, 1000, keyframe(1, 100)),
        (TrackKind::Audio, 880, audio(2)),
        (TrackKind::Audio, 1020, audio(3)),
        (TrackKind::Video, 1040, inter(4, 100)),
    ];
    publisher.send(stream, &sent[..1]).await;
    let mut got = vec![player.message().await];
    publisher.send(stream, &sent[1..]).await;
    got.extend(player.messages(2).await);
    let stamps: Vec<(TrackKind, i64)> = got.iter().map(|(kind, timestamp, _)| (*kind, *timestamp)).collect();
    assert_eq!(stamps, [(TrackKind::Video, 0), (TrackKind::Audio, 20), (TrackKind::Video, 40)]);
}

#[tokio::test]
async fn who_joins_begins_with_the_earliest_of_all_that_is_cached_though_the_picture_comes_first() {
    let server = Server::start();
    let (mut publisher, stream) = Client::publishing(server.addr(), "show").await;
    let sent = [
        (TrackKind::Video, 1000, keyframe(1, 100)),
        (TrackKind::Audio, 880, audio(2)),
        (TrackKind::Audio, 1020, audio(3)),
        (TrackKind::Video, 1040, inter(4, 100)),
    ];
    publisher.send(stream, &sent).await;
    server.events.nth("media_start", 2).await;
    let (mut player, _) = Client::playing(server.addr(), "show").await;
    let got = player.messages(4).await;
    for ((kind, ms, body), got) in sent.into_iter().zip(got) {
        assert_eq!(got, (kind, i64::from(ms) - 880, body.into()));
    }
}

#[tokio::test]
async fn a_stream_of_data_alone_is_played() {
    let server = Server::start();
    let (mut publisher, stream) = Client::publishing(server.addr(), "show").await;
    let (mut player, _) = Client::playing(server.addr(), "show").await;
    // AMF0: the name "onCue" and a number.
    let cue = |number: u8| [b"\x02\0\x05onCue\0@\0\0\0\0\0\0".as_slice(), &[number]].concat();
    let sent: Vec<_> = (0..4u8).map(|n| (TrackKind::Data, u32::from(n) * 100, cue(n))).collect();
    publisher.send(stream, &sent).await;
    let got = player.messages(4).await;
    assert!(got.iter().zip(&sent).all(|(got, sent)| got.2 == sent.2), "{got:?}");
    server.events.first("play_start").await;
    publisher.session.notify(0, "FCUnpublish", &["show".into()]);
    publisher.flush().await;
    let stop = server.events.first("publish_stop").await;
    assert_eq!(stop.data("reason"), "unpublish");
}
