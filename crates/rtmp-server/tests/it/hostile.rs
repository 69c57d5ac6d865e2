//! Bad input, by the rows of the project's table.

use crate::kit::{Client, Handler, Server, Setup, soon};
use jackfield_events::EventType;
use jackfield_rtmp::chunk::MessageHeader;
use std::io::Write;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test]
async fn what_is_not_rtmp_is_closed_counted_and_reaches_no_question() {
    let handler = Handler::new(Handler::allow);
    let server = Server::with(Setup::default().decides(EventType::AuthorizeConnection, &handler));
    let tls = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
    let inputs: [&[u8]; 4] = [b"GET / HTTP/1.1\r\n\r\n", tls, &[0xa7; 5000], &[6; 1537]];
    for (number, input) in inputs.into_iter().enumerate() {
        let mut socket = TcpStream::connect(server.addr()).await.unwrap();
        socket.write_all(input).await.unwrap();
        let read = soon("the close", socket.read(&mut [0; 1])).await;
        assert_eq!(read.unwrap_or(0), 0);
        let close = server.events.nth("connection_close", number + 1).await;
        assert_eq!(close.data("reason"), "protocol_error");
    }
    assert_eq!(server.running.counters().garbage, 4);
    assert_eq!(server.running.counters().protocol_errors, 0);
    server.quiet().await;
    assert_eq!(handler.asked(), [""; 0]);
    assert!(server.events.names().iter().all(|name| name.starts_with("connection_")));
}

#[tokio::test]
async fn random_bytes_after_the_handshake_are_closed_too() {
    let server = Server::start();
    let mut client = Client::connected(server.addr()).await;
    // A chunk size of zero.
    let header = MessageHeader { chunk_stream: 2, message_stream: 0, kind: 1, timestamp: 0 };
    client.session.send_raw(header, &[0; 4]);
    assert_eq!(client.until_closed().await, [""; 0]);
    assert_eq!(server.events.first("connection_close").await.data("reason"), "protocol_error");
    assert_eq!(server.running.counters().protocol_errors, 1);
}

#[tokio::test]
async fn silent_and_slow_peers_are_closed_at_the_deadline() {
    let mut setup = Setup::default();
    setup.rtmp.session.handshake_timeout = Duration::from_millis(300);
    let server = Server::with(setup);
    let mut silent = TcpStream::connect(server.addr()).await.unwrap();
    let mut slow = TcpStream::connect(server.addr()).await.unwrap();
    let dripping = async {
        let mut pace = tokio::time::interval(Duration::from_millis(20));
        loop {
            pace.tick().await;
            if slow.write_all(&[3]).await.is_err() {
                return;
            }
        }
    };
    let mut byte = [0];
    let reading = silent.read(&mut byte);
    let ((), silent) = soon("both to be closed", async { tokio::join!(dripping, reading) }).await;
    assert_eq!(silent.unwrap_or(0), 0);
    for number in 1..=2 {
        let close = server.events.nth("connection_close", number).await;
        assert_eq!(close.data("reason"), "timeout");
    }
    server.quiet().await;
}

#[tokio::test]
async fn a_peer_that_never_pauses_is_closed_at_the_deadline_too() {
    let mut setup = Setup::default();
    setup.rtmp.session.handshake_timeout = Duration::from_millis(300);
    let server = Server::with(setup);
    let mut socket = TcpStream::connect(server.addr()).await.unwrap();
    let mut hello = [0; 1537];
    hello[0] = 3;
    socket.write_all(&hello).await.unwrap();
    let mut answer = vec![0; 1 + 2 * 1536];
    soon("the handshake", socket.read_exact(&mut answer)).await.unwrap();
    socket.write_all(&answer[1..1537]).await.unwrap();
    // Acknowledgements, which may come at any time and ask for nothing.
    let flood = [2, 0, 0, 0, 0, 0, 4, 3, 0, 0, 0, 0, 0, 0, 0, 1].repeat(1 << 16);
    let mut socket = socket.into_std().unwrap();
    socket.set_nonblocking(false).unwrap();
    let flooding = server.tasks.blocking("flood", move || while socket.write_all(&flood).is_ok() {});
    let close = server.events.first("connection_close").await;
    assert_eq!(close.data("reason"), "timeout");
    soon("the end of the flood", flooding.join()).await.unwrap();
    server.quiet().await;
}

#[tokio::test]
async fn a_thousand_idle_peers_do_not_keep_a_client_out() {
    let server = Server::start();
    let mut idle = Vec::new();
    for _ in 0..1000 {
        idle.push(TcpStream::connect(server.addr()).await.unwrap());
    }
    let (publisher, _) = Client::publishing(server.addr(), "show").await;
    assert_eq!(server.connections.count(), 1001);
    drop((publisher, idle));
    server.quiet().await;
}

#[tokio::test]
async fn a_client_that_does_not_read_its_replies_is_not_read() {
    let mut setup = Setup::default();
    setup.rtmp.session.ping_interval = Duration::from_millis(100);
    setup.rtmp.session.ping_timeout = Duration::from_millis(100);
    let server = Server::with(setup);
    let mut client = Client::connected(server.addr()).await;
    // It asks and never reads an answer, until the server hears no more of it.
    for _ in 0..200 {
        for _ in 0..2000 {
            client.session.call(0, "getStreamLength", &["show".into()]);
        }
        let mut requests = Vec::new();
        while let Some(output) = client.session.poll_output() {
            if let jackfield_rtmp::Output::Write(bytes) = output {
                requests.extend_from_slice(&bytes);
            }
        }
        let writing = client.socket.write_all(&requests);
        if tokio::time::timeout(Duration::from_secs(5), writing).await.is_ok_and(|result| result.is_err()) {
            break;
        }
        if server.events.count("connection_close") > 0 {
            break;
        }
    }
    let close = server.events.first("connection_close").await;
    assert_eq!(close.data("reason"), "timeout");
}

#[tokio::test]
async fn a_player_that_answers_no_ping_is_ended_and_one_that_does_stays() {
    let mut setup = Setup::default();
    setup.rtmp.session.ping_interval = Duration::from_millis(100);
    setup.rtmp.session.ping_timeout = Duration::from_millis(300);
    let server = Server::with(setup);
    let mut lively = Client::connected(server.addr()).await;
    let deaf = Client::connected(server.addr()).await;
    tokio::select! {
        // It answers pings while it waits for something to happen.
        event = lively.next() => panic!("{event:?}"),
        close = server.events.first("connection_close") => {
            assert_eq!((close.data("reason"), &close.json["conn_id"]), (&"timeout".into(), &"c000002".into()));
        }
    }
    drop(deaf);
}

#[tokio::test]
async fn a_silent_publisher_is_ended() {
    let mut setup = Setup::default();
    setup.rtmp.session.publisher_silence = Duration::from_millis(50);
    let server = Server::with(setup);
    let (publisher, _) = Client::publishing(server.addr(), "show").await;
    assert_eq!(server.events.first("publish_stop").await.data("reason"), "timeout");
    assert_eq!(server.events.first("connection_close").await.data("reason"), "timeout");
    drop(publisher);
    server.quiet().await;
}

#[tokio::test]
async fn malformed_media_is_dropped_and_the_rest_goes_on() {
    use crate::kit::keyframe;
    use jackfield_media::TrackKind;
    let server = Server::start();
    let (mut publisher, stream) = Client::publishing(server.addr(), "show").await;
    publisher
        .send(stream, &[(TrackKind::Video, 0, vec![0x17, 1]), (TrackKind::Video, 0, keyframe(0, 10))])
        .await;
    let (mut player, _) = Client::playing(server.addr(), "show").await;
    assert_eq!(player.message().await.2, keyframe(0, 10));
    assert_eq!(server.running.counters().malformed_media, 1);
}

#[tokio::test]
async fn messages_that_are_left_out_are_counted_when_the_connection_has_ended() {
    let server = Server::start();
    let (mut publisher, stream) = Client::publishing(server.addr(), "show").await;
    // Shared objects in both forms, AMF3 that AMF0 cannot tell (an array of bytes), and a type that nobody has defined.
    let bytes_in_amf3 = b"\x02\0\x03onX\x11\x0c\x03a";
    for (kind, body) in [(19, &b"\0"[..]), (16, b"\0"), (18, bytes_in_amf3), (99, b"?")] {
        let header = MessageHeader { chunk_stream: 5, message_stream: stream, kind, timestamp: 0 };
        publisher.session.send_raw(header, body);
    }
    publisher.flush().await;
    drop(publisher);
    server.quiet().await;
    let left_out = server.running.counters().left_out;
    assert_eq!((left_out.shared_objects, left_out.unreadable_data, left_out.unknown_messages), (2, 1, 1));
}

#[tokio::test]
async fn a_connect_that_cannot_be_read_is_told_why_before_the_close() {
    let server = Server::start();
    let mut socket = TcpStream::connect(server.addr()).await.unwrap();
    let mut hello = [0; 1537];
    hello[0] = 3;
    socket.write_all(&hello).await.unwrap();
    let mut answer = vec![0; 1 + 2 * 1536];
    soon("the handshake", socket.read_exact(&mut answer)).await.unwrap();
    // The command object is of a class that only its own program can read.
    let body = b"\0\x02\0\x07connect\0\x3f\xf0\0\0\0\0\0\0\x11\x0a\x07\x0bClass\x01";
    let head = [3, 0, 0, 0, 0, 0, u8::try_from(body.len()).unwrap(), 17, 0, 0, 0, 0];
    socket.write_all(&[&answer[1..1537], &head, body].concat()).await.unwrap();
    let mut told = Vec::new();
    soon("the close", socket.read_to_end(&mut told)).await.unwrap();
    let holds = |text: &[u8]| told.windows(text.len()).any(|window| window == text);
    assert!(holds(b"_error") && holds(b"Class"), "{:?}", String::from_utf8_lossy(&told));
    assert_eq!(server.events.first("connection_close").await.data("reason"), "protocol_error");
}
