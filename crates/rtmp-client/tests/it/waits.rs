//! Servers that say nothing or take nothing: every wait ends.

use crate::peer::{INTER, Peer, hasty, listener, soon, url};
use bytes::Bytes;
use jackfield_media::TrackKind::Video;
use jackfield_rtmp_client::{ClientError, Options, Playback, Publication, Statistics};
use jackfield_runtime::clock;
use std::time::Duration;
use tokio::io::AsyncReadExt;

#[tokio::test]
async fn a_server_without_a_word_is_left() {
    let (listener, address) = listener().await;
    let (connector, options) = hasty();
    let client = async {
        let error = soon("the end", Playback::open(&connector, url(address), options)).await.unwrap_err();
        assert_eq!(error.to_string(), "the server did not complete the handshake in time");
        assert!(error.is_retryable());
    };
    let server = async {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut all = Vec::new();
        // Until the client is gone.
        let _gone = socket.read_to_end(&mut all).await;
    };
    tokio::join!(client, server);
}

#[tokio::test]
async fn questions_without_answer_are_not_waited_for() {
    let (listener, address) = listener().await;
    let (connector, options) = hasty();
    let client = async {
        let error = soon("the end", Playback::open(&connector, url(address), options)).await.unwrap_err();
        assert_eq!(error.to_string(), "the server did not answer connect in time");
        let error = soon("the end", Publication::open(&connector, url(address), options)).await.unwrap_err();
        assert_eq!(error.to_string(), "the server did not say that the stream begins in time");
    };
    let server = async {
        let mut peer = Peer::accept(&listener).await;
        while peer.next().await.is_some() {}
        let mut peer = Peer::accept(&listener).await;
        peer.asked().await;
        peer.session.accept_connect().unwrap();
        while peer.next().await.is_some() {}
    };
    tokio::join!(client, server);
}

#[tokio::test]
async fn a_server_that_asks_much_and_reads_nothing_is_left() {
    let (listener, address) = listener().await;
    let (mut connector, options) = hasty();
    connector.timeouts.silence = Duration::from_secs(2);
    let client = async {
        let mut publication = Publication::open(&connector, url(address), options).await.unwrap();
        let far = clock::now().after(Duration::from_secs(3600));
        let error = soon("the end", publication.tend(far)).await.unwrap_err();
        assert!(matches!(error, ClientError::Stalled), "{error}");
        // An answer has a third of a question's bytes at least. What the system has not taken is little.
        let Statistics { received_bytes, sent_bytes, .. } = publication.statistics();
        assert!(received_bytes < 3 * (sent_bytes + (2 << 20)), "{received_bytes}, {sent_bytes}");
    };
    let server = async {
        let mut peer = Peer::accept(&listener).await;
        peer.begin().await;
        // Ping requests.
        let one = [2, 0, 0, 0, 0, 0, 6, 4, 0, 0, 0, 0, 0, 6, 0, 0, 0, 1];
        peer.flood(&one.repeat(1 << 16)).await;
    };
    tokio::join!(client, server);
}

#[tokio::test]
async fn a_player_leaves_a_server_that_falls_silent() {
    let (listener, address) = listener().await;
    let (connector, options) = hasty();
    let client = async {
        let mut playback = Playback::open(&connector, url(address), options).await.unwrap();
        let error = soon("the end", playback.next()).await.unwrap_err();
        assert_eq!(error.to_string(), "the server sent nothing for too long");
    };
    let server = async {
        let mut peer = Peer::accept(&listener).await;
        peer.begin().await;
        peer.hold_until_closed().await;
    };
    tokio::join!(client, server);
}

#[tokio::test]
async fn a_publisher_waits_for_a_slow_server_and_leaves_a_dead_one() {
    let (listener, address) = listener().await;
    let (connector, options) = hasty();
    let client = async {
        let mut publication = Publication::open(&connector, url(address), options).await.unwrap();
        let body = Bytes::from([INTER, vec![0; 1 << 20].as_slice()].concat());
        let mut error = None;
        for number in 0..100 {
            if let Err(over) = soon("room", publication.send(Video, number, &body)).await {
                error = Some(over);
                break;
            }
        }
        assert!(matches!(error, Some(ClientError::Stalled)), "{error:?}");
    };
    let server = async {
        let mut peer = Peer::accept(&listener).await;
        peer.begin().await;
        // It reads nothing.
        peer
    };
    let ((), _peer) = tokio::join!(client, server);
}

#[tokio::test]
async fn nobody_listening_is_told_with_the_address() {
    let (listener, address) = listener().await;
    drop(listener);
    let (connector, _) = hasty();
    let error = Playback::open(&connector, url(address), Options::default()).await.unwrap_err();
    assert!(error.to_string().starts_with(&format!("cannot connect to {address}: ")), "{error}");
    let nowhere = jackfield_rtmp_client::RtmpUrl::parse("rtmp://nowhere.invalid/live/show").unwrap();
    let error =
        soon("no address", Playback::open(&connector, nowhere, Options::default())).await.unwrap_err();
    assert!(matches!(error, ClientError::Resolve { .. } | ClientError::ResolveTimeout(_)), "{error}");
}

#[tokio::test]
async fn what_speaks_no_rtmp_is_told() {
    let (listener, address) = listener().await;
    let (connector, options) = hasty();
    let client = async {
        let error = Playback::open(&connector, url(address), options).await.unwrap_err();
        let told = "the server does not speak RTMP as it should: the first byte is 0x48, not RTMP version 3";
        assert_eq!(error.to_string(), told);
    };
    let server = async {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut c0_c1 = [0; 1537];
        socket.read_exact(&mut c0_c1).await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut socket, b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        let _gone = socket.read(&mut c0_c1).await;
    };
    tokio::join!(client, server);
}
