//! A stream that goes on over a new connection.

use crate::peer::{CONFIG, INTER, KEY, Peer, SOUND, listener, metadata, soon, url};
use bytes::Bytes;
use jackfield_media::TrackKind::{Audio, Data, Video};
use jackfield_rtmp::{Event, PlayEnd};
use jackfield_rtmp_client::{Connector, Options, Playback, Publication, Reconnect};
use jackfield_runtime::clock;
use std::time::Duration;

/// Quick tries.
fn stubborn(tries: u32) -> Options {
    let moment = Duration::from_millis(10);
    Options { reconnect: Reconnect { first: moment, longest: moment, tries }, ..Options::default() }
}

/// What a publisher sends, until it is told to go elsewhere.
async fn send_all(publication: &mut Publication, from: u32) {
    for (timestamp, kind, body) in
        [(from, Video, INTER), (from, Audio, SOUND), (from + 40, Video, KEY), (from + 40, Audio, SOUND)]
    {
        soon("room", publication.send(kind, timestamp, &Bytes::from_static(body))).await.unwrap();
    }
}

async fn expect_new_beginning(peer: &mut Peer) {
    peer.begin().await;
    assert!(matches!(peer.next().await, Some(Event::Metadata { .. })));
    let mut got = Vec::new();
    for _ in 0..3 {
        let (kind, _, body) = peer.media().await;
        got.push((kind, body));
    }
    let expect = [(Video, CONFIG), (Video, KEY), (Audio, SOUND)];
    assert_eq!(got, expect.map(|(kind, body)| (kind, Bytes::from_static(body))));
}

#[tokio::test]
async fn a_publisher_heeds_a_request_to_reconnect() {
    let (first, from) = listener().await;
    let (second, to) = listener().await;
    let client = async {
        let options = Options::default();
        let mut publication = Publication::open(&Connector::default(), url(from), options).await.unwrap();
        publication.send(Data, 0, &metadata()).await.unwrap();
        publication.send(Video, 0, &Bytes::from_static(CONFIG)).await.unwrap();
        publication.send(Video, 0, &Bytes::from_static(KEY)).await.unwrap();
        // Until the request has come and was heeded.
        while publication.statistics().reconnects == 0 {
            soon("the move", publication.tend(clock::now().after(Duration::from_millis(5)))).await.unwrap();
        }
        assert_eq!(publication.url().port(), to.port());
        send_all(&mut publication, 40).await;
        let statistics = publication.close().await;
        assert_eq!((statistics.messages, statistics.left_out), (5, 2));
    };
    let server = async {
        let mut peer = Peer::accept(&first).await;
        peer.begin().await;
        assert_eq!(peer.media().await.2, CONFIG);
        assert_eq!(peer.media().await.2, KEY);
        peer.session.request_reconnect(Some(&format!("rtmp://{to}/live")), "Maintenance.");
        assert!(matches!(peer.next().await, Some(Event::Unpublish { .. })), "it says goodbye");
        let mut peer = Peer::accept(&second).await;
        expect_new_beginning(&mut peer).await;
    };
    tokio::join!(client, server);
}

#[tokio::test]
async fn a_publisher_comes_back_after_a_loss() {
    let (listener, address) = listener().await;
    let client = async {
        let mut publication =
            Publication::open(&Connector::default(), url(address), stubborn(3)).await.unwrap();
        publication.send(Data, 0, &metadata()).await.unwrap();
        publication.send(Video, 0, &Bytes::from_static(CONFIG)).await.unwrap();
        publication.flush().await.unwrap();
        while publication.statistics().reconnects == 0 {
            soon("the way back", publication.tend(clock::now().after(Duration::from_millis(5))))
                .await
                .unwrap();
        }
        send_all(&mut publication, 40).await;
        publication.close().await;
    };
    let server = async {
        let mut peer = Peer::accept(&listener).await;
        peer.begin().await;
        peer.media().await;
        drop(peer);
        // The first try is not even answered.
        drop(listener.accept().await.unwrap());
        drop(listener.accept().await.unwrap());
        let mut peer = Peer::accept(&listener).await;
        expect_new_beginning(&mut peer).await;
    };
    tokio::join!(client, server);
}

#[tokio::test]
async fn a_publisher_whose_former_connection_still_has_the_name_tries_on() {
    let (listener, address) = listener().await;
    let client = async {
        let mut publication =
            Publication::open(&Connector::default(), url(address), stubborn(3)).await.unwrap();
        while publication.statistics().reconnects == 0 {
            soon("the way back", publication.tend(clock::now().after(Duration::from_millis(5))))
                .await
                .unwrap();
        }
        publication.close().await;
        // Who comes first is told at once.
        let error = Publication::open(&Connector::default(), url(address), stubborn(3)).await.unwrap_err();
        assert!(error.is_taken_name() && !error.is_retryable(), "{error}");
    };
    let server = async {
        let mut peer = Peer::accept(&listener).await;
        peer.begin().await;
        drop(peer);
        Peer::accept(&listener).await.refuse_publish().await;
        let mut peer = Peer::accept(&listener).await;
        peer.begin().await;
        while peer.next().await.is_some() {}
        drop(peer);
        Peer::accept(&listener).await.refuse_publish().await;
    };
    tokio::join!(client, server);
}

#[tokio::test]
async fn tries_have_an_end() {
    let (listener, address) = listener().await;
    let client = async {
        let mut publication =
            Publication::open(&Connector::default(), url(address), stubborn(2)).await.unwrap();
        let far = clock::now().after(Duration::from_secs(3600));
        let error = soon("the end", publication.tend(far)).await.unwrap_err();
        assert!(error.to_string().contains("cannot connect"), "{error}");
        soon("the end again", publication.tend(far)).await.unwrap_err();
    };
    let server = async {
        let mut peer = Peer::accept(&listener).await;
        drop(listener);
        peer.begin().await;
    };
    tokio::join!(client, server);
}

#[tokio::test]
async fn a_player_comes_back_and_its_time_line_goes_on() {
    let (listener, address) = listener().await;
    let client = async {
        let mut playback = Playback::open(&Connector::default(), url(address), stubborn(3)).await.unwrap();
        let mut got = Vec::new();
        while let Some(message) = soon("a message", playback.next()).await.unwrap() {
            got.push((message.kind, message.timestamp_ms));
        }
        let (before, after) = got.split_at(3);
        assert_eq!(before, [(Video, 100_000), (Video, 100_000), (Video, 100_040)]);
        let times: Vec<i64> = after.iter().map(|(_, time)| *time).collect();
        let [header, first, second] = times.try_into().unwrap();
        assert_eq!((header, second - first), (100_040, 40));
        assert!((100_041..110_000).contains(&first), "{first}");
        assert_eq!(playback.statistics().reconnects, 1);
    };
    let server = async {
        let mut peer = Peer::accept(&listener).await;
        let stream = peer.begin().await;
        for (timestamp, body) in [(100_000, CONFIG), (100_000, KEY), (100_040, INTER)] {
            peer.send(stream, Video, timestamp, body).await;
        }
        peer.session.play_stopped(stream, PlayEnd::Unpublished, "It has left.").unwrap();
        while peer.next().await.is_some() {}
        let mut peer = Peer::accept(&listener).await;
        let stream = peer.begin().await;
        for (timestamp, body) in [(0, CONFIG), (0, KEY), (40, INTER)] {
            peer.send(stream, Video, timestamp, body).await;
        }
        peer.session.play_stopped(stream, PlayEnd::Unpublished, "It has left.").unwrap();
        while peer.next().await.is_some() {}
        // From now on the stream is not there.
        for _ in 0..3 {
            let mut peer = Peer::accept(&listener).await;
            peer.asked().await;
            peer.session.accept_connect().unwrap();
            while let Some(event) = peer.next().await {
                if let Event::Play(play) = event {
                    let code = "NetStream.Play.StreamNotFound";
                    peer.session.reject_play(play.message_stream, code, "Gone.").unwrap();
                }
            }
        }
    };
    tokio::join!(client, server);
}
