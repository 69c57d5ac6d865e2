//! Publishing: what reaches players and events.

use crate::kit::{AUDIO_CONFIG, Client, Server, Setup, Stream, VIDEO_CONFIG, audio, inter, keyframe, soon};
use jackfield_hub::Takeover;
use jackfield_media::TrackKind;
use jackfield_rtmp::amf::Value;
use jackfield_rtmp::chunk::MessageHeader;
use jackfield_rtmp::message::kind;

#[tokio::test]
async fn a_player_gets_what_the_publisher_sent_byte_for_byte() {
    let server = Server::start();
    let (mut publisher, stream) = Client::publishing(server.addr(), "show").await;
    let (mut player, _) = Client::playing(server.addr(), "show").await;
    let sent = Stream::of(3);
    publisher.send(stream, &sent.messages).await;
    let got = player.messages(sent.messages.len()).await;
    for kind in [TrackKind::Video, TrackKind::Audio] {
        let sent: Vec<&[u8]> =
            sent.messages.iter().filter(|(k, ..)| *k == kind).map(|(.., body)| &body[..]).collect();
        let got: Vec<&[u8]> = got.iter().filter(|(k, ..)| *k == kind).map(|(.., body)| &body[..]).collect();
        assert!(sent == got, "{kind}");
    }
    drop((publisher, player));
    server.quiet().await;
}

#[tokio::test]
async fn a_late_joiner_begins_with_the_configuration_and_the_last_key_frame() {
    let server = Server::start();
    let (mut publisher, stream) = Client::publishing(server.addr(), "show").await;
    let sent = Stream::of(2);
    publisher.send(stream, &sent.messages).await;
    // A first player tells when all has gone through the hub.
    let (mut witness, _) = Client::playing(server.addr(), "show").await;
    while witness.message().await.2 != audio(19) {}
    let (mut late, _) = Client::playing(server.addr(), "show").await;
    let got = late.messages(22).await;
    let configs: Vec<&[u8]> = got[..2].iter().map(|(.., body)| &body[..]).collect();
    assert!(configs.contains(&VIDEO_CONFIG) && configs.contains(&AUDIO_CONFIG));
    let (kind, timestamp, body) = &got[2];
    assert_eq!((*kind, *timestamp), (TrackKind::Video, 0));
    assert_eq!(body[..], keyframe(10, 20_000)[..]);
    let (_, timestamp, body) = &got[20];
    assert_eq!((*timestamp, &body[..]), (360, &inter(19, 3_000)[..]));
}

#[tokio::test]
async fn events_come_in_order_and_with_the_codecs() {
    let server = Server::start();
    let (mut publisher, stream) = Client::publishing(server.addr(), "show?token=x").await;
    publisher.send(stream, &Stream::of(1).messages).await;
    let video = server.events.first("codec_detected").await;
    assert_eq!(video.data("codec_string"), "avc1.42c01e");
    assert_eq!((video.data("width"), video.data("fps")), (&320.into(), &25.into()));
    let audio = server.events.nth("codec_detected", 2).await;
    assert_eq!((audio.data("codec"), audio.data("sample_rate")), (&"aac".into(), &44_100.into()));
    server.events.nth("media_start", 2).await;
    publisher.session.notify(0, "FCUnpublish", &["show?token=x".into()]);
    let stop = {
        publisher.flush().await;
        server.events.first("publish_stop").await
    };
    assert_eq!(stop.data("reason"), "unpublish");
    assert_eq!((stop.data("video_packets"), stop.data("audio_packets")), (&11.into(), &11.into()));
    drop(publisher);
    server.quiet().await;
    let names = server.events.names();
    let at = |name: &str| names.iter().position(|other| *other == name).unwrap();
    let order = [
        "connection_accept",
        "handshake_complete",
        "stream_create",
        "publish_start",
        "codec_detected",
        "publish_stop",
        "stream_delete",
        "connection_close",
    ];
    assert!(order.windows(2).all(|pair| at(pair[0]) < at(pair[1])), "{names:?}");
    let start = server.events.first("publish_start").await;
    assert_eq!(start.json["stream_key"], "live/show");
    assert_eq!(start.data("query"), "token=***");
}

#[tokio::test]
async fn each_way_to_stop_is_told_as_such() {
    let server = Server::start();
    for (number, (command, reason)) in [
        ("FCUnpublish", "unpublish"),
        ("deleteStream", "unpublish"),
        ("closeStream", "unpublish"),
        ("", "client_disconnect"),
    ]
    .into_iter()
    .enumerate()
    {
        let (mut publisher, stream) = Client::publishing(server.addr(), "show").await;
        match command {
            "FCUnpublish" => publisher.session.notify(0, command, &["show".into()]),
            "deleteStream" => publisher.session.notify(0, command, &[Value::Number(stream.into())]),
            "closeStream" => publisher.session.notify(stream, command, &[]),
            _ => {}
        }
        publisher.flush().await;
        let mut kept = Some(publisher);
        if command.is_empty() {
            kept = None;
        }
        let stop = server.events.nth("publish_stop", number + 1).await;
        assert_eq!(stop.data("reason"), reason, "{command}");
        drop(kept);
    }
    server.quiet().await;
}

#[tokio::test]
async fn a_message_stream_is_used_again_after_its_publish_ended() {
    let server = Server::start();
    let (mut publisher, stream) = Client::publishing(server.addr(), "one").await;
    publisher.session.notify(stream, "closeStream", &[]);
    publisher.status("NetStream.Unpublish.Success").await;
    assert_eq!(&*publisher.publish(stream, "two").await.code, "NetStream.Publish.Start");
    let second = publisher.stream().await;
    assert_eq!(&*publisher.publish(second, "three").await.code, "NetStream.Publish.Start");
    let third = publisher.stream().await;
    publisher.session.play(third, "two");
    publisher.status("NetStream.Play.Start").await;
    drop(publisher);
    server.quiet().await;
    assert_eq!(server.events.count("publish_stop"), 3);
}

#[tokio::test]
async fn a_second_publisher_is_refused_until_the_first_leaves() {
    let server = Server::with(Setup { takeover: Takeover::Refuse, ..Setup::default() });
    let (first, _) = Client::publishing(server.addr(), "show").await;
    let mut second = Client::connected(server.addr()).await;
    let stream = second.stream().await;
    let status = second.publish(stream, "show").await;
    assert_eq!(&*status.code, "NetStream.Publish.BadName");
    assert_eq!(&*status.description, "The stream is being published already.");
    assert!(second.next().await.is_none(), "a refused publisher is disconnected");
    drop(first);
    server.events.first("publish_stop").await;
    let (third, _) = Client::publishing(server.addr(), "show").await;
    drop(third);
    server.quiet().await;
    assert_eq!(server.events.count("publish_start"), 2);
}

#[tokio::test]
async fn a_superseded_publisher_hears_it_and_its_players_go_on() {
    let server = Server::with(Setup { takeover: Takeover::Replace, ..Setup::default() });
    let (mut first, stream) = Client::publishing(server.addr(), "show").await;
    first.send(stream, &Stream::of(1).messages).await;
    let (mut player, _) = Client::playing(server.addr(), "show").await;
    while player.message().await.2 != audio(9) {}
    let (mut second, stream) = Client::publishing(server.addr(), "show").await;
    let codes = first.until_closed().await;
    assert_eq!(codes, ["NetStream.Unpublish.Success", "NetConnection.Connect.Closed"]);
    let stop = server.events.first("publish_stop").await;
    assert_eq!((stop.data("reason"), &stop.json["epoch"]), (&"superseded".into(), &1.into()));
    assert_eq!(server.events.nth("publish_start", 2).await.json["epoch"], 2);
    second.send(stream, &[(TrackKind::Video, 0, keyframe(99, 10))]).await;
    let mut last = player.message().await;
    while last.2 != keyframe(99, 10) {
        last = player.message().await;
    }
    assert!(last.1 > 360, "the player's time goes on: {}", last.1);
    drop((second, player));
    server.quiet().await;
}

#[tokio::test]
async fn metadata_and_data_reach_players() {
    let server = Server::start();
    let (mut publisher, stream) = Client::publishing(server.addr(), "show").await;
    // "@setDataFrame" "onMetaData" { width: 320 }
    let mut metadata = vec![2, 0, 13];
    metadata.extend(b"@setDataFrame\x02\x00\x0aonMetaData\x08\x00\x00\x00\x01\x00\x05width\x00");
    metadata.extend(320f64.to_be_bytes());
    metadata.extend([0, 0, 9]);
    publisher.send(stream, &[(TrackKind::Data, 0, metadata)]).await;
    publisher.send(stream, &Stream::of(1).messages).await;
    let (mut player, _) = Client::playing(server.addr(), "show").await;
    let (kind, _, body) = player.message().await;
    assert_eq!(kind, TrackKind::Data);
    assert!(body.starts_with(b"\x02\x00\x0aonMetaData"), "{body:?}");
    while player.message().await.2 != audio(9) {}
    let cue = b"\x02\x00\x05onCue\x02\x00\x02hi".to_vec();
    publisher.send(stream, &[(TrackKind::Data, 500, cue.clone())]).await;
    let (kind, _, body) = player.message().await;
    assert_eq!((kind, &body[..]), (TrackKind::Data, &cue[..]));
}

#[tokio::test]
async fn enhanced_packets_pass_untouched() {
    let server = Server::start();
    let (mut publisher, stream) = Client::publishing(server.addr(), "show").await;
    let start = [&[0x90][..], b"hvc1", &[1, 2, 3]].concat();
    let key = [&[0x91][..], b"hvc1", &[0, 0, 0], &[9; 500]].concat();
    publisher.send(stream, &[(TrackKind::Video, 0, start.clone()), (TrackKind::Video, 0, key.clone())]).await;
    assert_eq!(server.events.first("codec_detected").await.data("codec"), "hevc");
    let (mut player, _) = Client::playing(server.addr(), "show").await;
    let got = player.messages(2).await;
    assert_eq!((&got[0].2[..], &got[1].2[..]), (&start[..], &key[..]));
}

#[tokio::test]
async fn a_publisher_that_said_its_end_and_is_gone_has_unpublished_though_it_takes_no_replies() {
    let server = Server::start();
    let (mut publisher, stream) = Client::publishing(server.addr(), "show").await;
    // It wants acknowledgements, and leaves a reply unread: the kernel resets what is closed like that.
    let header =
        MessageHeader { chunk_stream: 2, message_stream: 0, kind: kind::WINDOW_ACK_SIZE, timestamp: 0 };
    publisher.session.send_raw(header, &16_384_u32.to_be_bytes());
    publisher.session.create_stream();
    publisher.flush().await;
    soon("a reply", publisher.socket.readable()).await.unwrap();
    for number in 0..20 {
        publisher.session.send_media(stream, TrackKind::Video, number * 40, &inter(number, 3_000));
    }
    publisher.session.notify(0, "FCUnpublish", &["show".into()]);
    publisher.flush().await;
    drop(publisher);
    assert_eq!(server.events.first("publish_stop").await.data("reason"), "unpublish");
    server.quiet().await;
}
