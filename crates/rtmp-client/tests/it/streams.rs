//! What is sent and received.

use crate::peer::{CONFIG, INTER, KEY, Peer, SOUND, listener, metadata, soon, url};
use bytes::Bytes;
use jackfield_media::TrackKind::{Audio, Data, Video};
use jackfield_rtmp::{Event, PlayEnd};
use jackfield_rtmp_client::{ClientError, Connector, Options, Playback, Publication};
use jackfield_runtime::clock;
use std::time::Duration;

#[tokio::test]
async fn a_publication_sends_what_it_is_given_and_says_goodbye() {
    let (listener, address) = listener().await;
    let long: Bytes = [&[0x27, 1, 0, 0, 0], vec![9; 300_000].as_slice()].concat().into();
    let client = async {
        let options = Options::default();
        let mut publication = Publication::open(&Connector::default(), url(address), options).await.unwrap();
        publication.send(Data, 0, &metadata()).await.unwrap();
        publication.send(Video, 5, &Bytes::from_static(KEY)).await.unwrap();
        publication.send(Video, 45, &long).await.unwrap();
        publication.send(Audio, u32::MAX, &Bytes::from_static(SOUND)).await.unwrap();
        let statistics = publication.close().await;
        assert_eq!((statistics.messages, statistics.left_out, statistics.reconnects), (4, 0, 0));
        assert!(statistics.sent_bytes > 300_000);
    };
    let server = async {
        let mut peer = Peer::accept(&listener).await;
        let connect = peer.asked().await;
        assert!(connect.capabilities.has_announced() && connect.capabilities.takes_reconnect());
        peer.session.accept_connect().unwrap();
        peer.begin().await;
        let Some(Event::Metadata { properties, .. }) = peer.next().await else { panic!("no metadata") };
        assert_eq!(properties.find("width").and_then(|width| width.as_number()), Some(1280.0));
        assert_eq!(peer.media().await, (Video, 5, Bytes::from_static(KEY)));
        assert_eq!(peer.media().await, (Video, 45, long.clone()));
        assert_eq!(peer.media().await, (Audio, -1, Bytes::from_static(SOUND)));
        assert!(matches!(peer.next().await, Some(Event::Unpublish { .. })));
        assert_eq!(peer.next().await, None);
    };
    tokio::join!(client, server);
}

#[tokio::test]
async fn what_was_sent_last_arrives_at_a_server_that_is_slow_and_has_something_to_say() {
    let (listener, address) = listener().await;
    let (sent, all_sent) = tokio::sync::oneshot::channel();
    let (told, all_told) = tokio::sync::oneshot::channel();
    let body: Bytes = [INTER, vec![9; 1 << 16].as_slice()].concat().into();
    let client = async {
        let options = Options::default();
        let mut publication = Publication::open(&Connector::default(), url(address), options).await.unwrap();
        for number in 0..16 {
            publication.send(Video, number, &body).await.unwrap();
        }
        publication.flush().await.unwrap();
        sent.send(()).unwrap();
        all_told.await.unwrap();
        publication.close().await;
    };
    let server = async {
        let mut peer = Peer::accept(&listener).await;
        peer.begin().await;
        all_sent.await.unwrap();
        // An acknowledgement that the client will not have read when it closes.
        peer.raw(3, 0, &[0, 0, 0, 1]).await;
        told.send(()).unwrap();
        // Until the client has closed, or waits for us.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        for _ in 0..16 {
            assert_eq!(peer.media().await.2, body);
        }
        assert!(matches!(peer.next().await, Some(Event::Unpublish { .. })));
    };
    tokio::join!(client, server);
}

#[tokio::test]
async fn a_playback_receives_what_is_sent_until_the_end_is_told() {
    let (listener, address) = listener().await;
    let client = async {
        let options = Options::default();
        let mut playback = Playback::open(&Connector::default(), url(address), options).await.unwrap();
        let mut got = Vec::new();
        while let Some(message) = soon("a message", playback.next()).await.unwrap() {
            got.push((message.kind, message.timestamp_ms, message.body));
        }
        let sent = [
            (Data, 0, metadata()),
            (Video, 0, Bytes::from_static(CONFIG)),
            (Video, 0, Bytes::from_static(KEY)),
            (Audio, 20, Bytes::from_static(SOUND)),
            (Video, 40, Bytes::from_static(INTER)),
        ];
        assert_eq!(got, sent, "without what the server says of itself");
        assert_eq!(playback.close().await.messages, 5);
    };
    let server = async {
        let mut peer = Peer::accept(&listener).await;
        let stream = peer.begin().await;
        peer.send(stream, Data, 0, &metadata()).await;
        for (kind, timestamp, body) in
            [(Video, 0, CONFIG), (Video, 0, KEY), (Audio, 20, SOUND), (Video, 40, INTER)]
        {
            peer.send(stream, kind, timestamp, body).await;
        }
        peer.session.play_stopped(stream, PlayEnd::Unpublished, "It has left.").unwrap();
        while peer.next().await.is_some() {}
    };
    tokio::join!(client, server);
}

#[tokio::test]
async fn a_refusal_is_told_with_its_reason() {
    let (listener, address) = listener().await;
    let client = async {
        let (connector, options) = (Connector::default(), Options::default());
        let refused = Publication::open(&connector, url(address), options).await.unwrap_err();
        assert_eq!(
            refused.to_string(),
            "the server refused the stream: Not today. (NetStream.Publish.BadName)"
        );
        assert!(!refused.is_retryable());
        let refused = Playback::open(&connector, url(address), options).await.unwrap_err();
        assert_eq!(
            refused.to_string(),
            "the server refused the stream: Nobody sends it. (NetStream.Play.StreamNotFound)"
        );
        assert!(refused.is_retryable(), "somebody may send it later");
        let refused = Playback::open(&connector, url(address), options).await.unwrap_err();
        assert_eq!(
            refused.to_string(),
            "the server refused the connection: Go away. (NetConnection.Connect.Rejected)"
        );
    };
    let server = async {
        for _ in 0..2 {
            let mut peer = Peer::accept(&listener).await;
            while let Some(event) = peer.next().await {
                match event {
                    Event::Connect(_) => peer.session.accept_connect().unwrap(),
                    Event::Publish(publish) => {
                        let code = "NetStream.Publish.BadName";
                        peer.session.reject_publish(publish.message_stream, code, "Not today.").unwrap();
                    }
                    Event::Play(play) => {
                        let code = "NetStream.Play.StreamNotFound";
                        peer.session.reject_play(play.message_stream, code, "Nobody sends it.").unwrap();
                    }
                    _ => {}
                }
            }
        }
        let mut peer = Peer::accept(&listener).await;
        peer.asked().await;
        peer.session.reject_connect("Go away.").unwrap();
        while peer.next().await.is_some() {}
    };
    tokio::join!(client, server);
}

#[tokio::test]
async fn a_publisher_that_waits_answers_pings() {
    let (listener, address) = listener().await;
    let client = async {
        let options = Options::default();
        let mut publication = Publication::open(&Connector::default(), url(address), options).await.unwrap();
        let far = clock::now().after(Duration::from_secs(3600));
        // The server goes when it has its answer.
        let error = publication.tend(far).await.unwrap_err();
        assert!(matches!(error, ClientError::ServerClosed | ClientError::Lost(_)), "{error}");
    };
    let server = async {
        let mut peer = Peer::accept(&listener).await;
        peer.begin().await;
        // User control 6: a ping.
        peer.raw(4, 0, &[0, 6, 0, 0, 0, 1]).await;
        let before = peer.session.counters();
        // Whatever answers is read by the session, which asked for nothing.
        peer.read_some().await;
        assert_eq!(peer.session.counters(), before);
    };
    tokio::join!(client, server);
}
