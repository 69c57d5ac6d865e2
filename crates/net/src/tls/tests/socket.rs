//! The encrypted socket: what it carries, and peers that misbehave.

use super::*;
use crate::writer::{Backlog, Class, Piece, SocketWriter};
use bytes::BytesMut;
use jackfield_media::Mono;
use jackfield_runtime::clock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Reads as a connection's task does until so many bytes have come, or the end.
async fn read(socket: &TlsSocket, count: usize) -> (Vec<u8>, Option<std::io::Error>) {
    let mut got = BytesMut::new();
    while got.len() < count {
        let mut buffer = BytesMut::new();
        match socket.read(&mut buffer, 64 << 10) {
            Ok(Received::Some) => got.extend_from_slice(&buffer),
            Ok(Received::Nothing) => socket.tcp().readable().await.unwrap(),
            Ok(Received::End) => break,
            Err(error) => return (got.to_vec(), Some(error)),
        }
    }
    (got.to_vec(), None)
}

/// Sends this both ways.
pub(super) async fn exchange(client: &mut TlsStream<TcpStream>, server: &Arc<TlsSocket>, bytes: &[u8]) {
    client.write_all(bytes).await.unwrap();
    client.flush().await.unwrap();
    assert_eq!(read(server, bytes.len()).await.0, bytes);
    let writer = SocketWriter::new(Arc::clone(server), |_| {});
    writer.send(Mono::ZERO, Class::Control, &[Piece::Own(bytes)]);
    writer.flush().await.unwrap();
    let mut got = vec![0; bytes.len()];
    client.read_exact(&mut got).await.unwrap();
    assert_eq!(got, bytes);
}

fn at(ms: u64) -> Mono {
    Mono::ZERO.after(Duration::from_millis(ms))
}

#[tokio::test]
async fn bytes_of_any_size_pass_both_ways() {
    let folder = Folder::new("both");
    let (tls, client) = localhost(&folder);
    let (mut client, server) = shaken(&tls, &client, "localhost").await.unwrap();
    assert_eq!(server.agreed(), (Some("localhost".to_owned()), Some(rustls::ProtocolVersion::TLSv1_3)));
    for count in [1, 100, 16_384, 16_385, 60_000] {
        let bytes: Vec<u8> = (0..count).map(|at: u32| u8::try_from(at % 251).unwrap()).collect();
        exchange(&mut client, &server, &bytes).await;
    }
}

#[tokio::test]
async fn what_a_slow_reader_leaves_is_counted_and_comes_whole() {
    let folder = Folder::new("slow");
    let (tls, client) = localhost(&folder);
    let (mut client, server) = shaken(&tls, &client, "localhost").await.unwrap();
    let sent = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&sent);
    let writer = SocketWriter::new(server, move |bytes| {
        counted.fetch_add(bytes, Ordering::Relaxed);
    });
    let block: Bytes = (0..1u32 << 16).flat_map(u32::to_be_bytes).collect();
    let mut expect = Vec::new();
    for round in 0..60u8 {
        let head = [round; 3];
        writer.send(at(u64::from(round)), Class::Media, &[Piece::Own(&head), Piece::Shared(&block)]);
        expect.extend_from_slice(&head);
        expect.extend_from_slice(&block);
    }
    writer.send(at(99), Class::Control, &[Piece::Own(b"end")]);
    expect.extend_from_slice(b"end");
    let backlog = writer.backlog();
    // Every byte either was taken by the socket or waits, those that wait encrypted among them.
    assert_eq!(backlog.bytes as u64 + backlog.sent_bytes, expect.len() as u64);
    assert_eq!(backlog.control_bytes, 3);
    assert!(backlog.since.is_some_and(|since| since < at(99)));

    let mut got = vec![0; expect.len()];
    let (flushed, read) = tokio::join!(writer.flush(), client.read_exact(&mut got));
    flushed.unwrap();
    read.unwrap();
    assert!(got == expect);
    assert_eq!(writer.backlog(), Backlog { sent_bytes: expect.len() as u64, ..Backlog::default() });
    assert_eq!(sent.load(Ordering::Relaxed), expect.len());
}

#[tokio::test]
async fn little_that_waits_encrypted_only_is_flushed_too() {
    let folder = Folder::new("little");
    let (tls, client) = localhost(&folder);
    let (mut client, server) = shaken(&tls, &client, "localhost").await.unwrap();
    let writer = SocketWriter::new(server, |_| {});
    let block = Bytes::from(vec![7; 10_000]);
    let mut count = 0;
    // Until the socket is full; what is sent last may be nowhere but in the buffer of ciphertext.
    while writer.backlog().bytes == 0 {
        writer.send(at(count), Class::Media, &[Piece::Shared(&block)]);
        count += 1;
    }
    assert_eq!(writer.backlog().since, Some(at(count - 1)));
    let mut got = vec![0; usize::try_from(count).unwrap() * block.len()];
    let (flushed, read) = tokio::join!(writer.flush(), client.read_exact(&mut got));
    flushed.unwrap();
    read.unwrap();
    assert_eq!(writer.backlog().bytes, 0);
}

#[tokio::test]
async fn shutting_down_says_the_end_and_so_does_the_client() {
    let folder = Folder::new("end");
    let (tls, client) = localhost(&folder);
    let (mut client, server) = shaken(&tls, &client, "localhost").await.unwrap();
    let writer = SocketWriter::new(Arc::clone(&server), |_| {});
    writer.send(at(0), Class::Control, &[Piece::Own(b"bye")]);
    writer.flush().await.unwrap();
    writer.shut_down();
    let mut got = Vec::new();
    // Without close_notify this would be an error.
    client.read_to_end(&mut got).await.unwrap();
    assert_eq!(got, b"bye");
    client.write_all(b"and you").await.unwrap();
    client.shutdown().await.unwrap();
    let (got, error) = read(&server, 100).await;
    assert_eq!((got.as_slice(), error.is_none()), (&b"and you"[..], true));
}

#[tokio::test]
async fn a_client_that_is_cut_off_has_ended_after_what_it_sent() {
    let folder = Folder::new("cut");
    let (tls, client) = localhost(&folder);
    let (mut client, server) = shaken(&tls, &client, "localhost").await.unwrap();
    client.write_all(b"last words").await.unwrap();
    client.flush().await.unwrap();
    let (tcp, _) = client.into_inner();
    drop(tcp);
    let (got, error) = read(&server, 100).await;
    assert_eq!((got.as_slice(), error.is_none()), (&b"last words"[..], true));
}

#[tokio::test]
async fn nonsense_after_the_handshake_is_an_error_after_what_came_before() {
    let folder = Folder::new("nonsense");
    let (tls, client) = localhost(&folder);
    let (mut client, server) = shaken(&tls, &client, "localhost").await.unwrap();
    client.write_all(b"good").await.unwrap();
    client.flush().await.unwrap();
    let (mut tcp, _) = client.into_inner();
    tcp.write_all(&[23, 3, 3, 0, 20, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20])
        .await
        .unwrap();
    let (got, error) = read(&server, 100).await;
    assert_eq!(got, b"good");
    assert_eq!(error.unwrap().kind(), std::io::ErrorKind::InvalidData);
}

/// What the handshake says of a client that sends this and leaves.
async fn refused(tls: &ServerTls, bytes: &[u8]) -> HandshakeError {
    let (mut client, there) = pair().await;
    client.write_all(bytes).await.unwrap();
    client.shutdown().await.unwrap();
    server_side(there, tls).handshake().await.unwrap_err()
}

#[tokio::test]
async fn what_is_not_tls_is_refused_at_its_first_byte() {
    let folder = Folder::new("garbage");
    let (tls, _client) = localhost(&folder);
    for (bytes, first) in [(&b"\x03"[..], 3), (b"GET / HTTP/1.1\r\n\r\n", b'G'), (&[0; 2000], 0)] {
        let error = refused(&tls, bytes).await;
        assert!(matches!(error, HandshakeError::NotTls(byte) if byte == first), "{error}");
    }
    // What begins like TLS and goes on otherwise is the library's to refuse.
    assert!(matches!(refused(&tls, &[22, 3, 1, 255, 255, 1, 2, 3]).await, HandshakeError::Tls(_)));
    assert!(matches!(refused(&tls, &[22, 3, 1, 0, 5, 1, 0, 0, 1, 0]).await, HandshakeError::Tls(_)));
}

#[tokio::test]
async fn a_handshake_that_is_cut_anywhere_ends() {
    let folder = Folder::new("truncated");
    let (tls, client) = localhost(&folder);
    let name = ServerName::try_from("localhost").unwrap();
    let mut hello = Vec::new();
    rustls::ClientConnection::new(client, name).unwrap().write_tls(&mut hello).unwrap();
    for cut in (0..hello.len()).step_by(7) {
        let error = refused(&tls, &hello[..cut]).await;
        assert!(matches!(error, HandshakeError::Gone), "{cut}: {error}");
    }
    assert!(matches!(refused(&tls, &hello).await, HandshakeError::Gone | HandshakeError::Io(_)));
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_stalls_waits_for_no_longer_than_its_deadline() {
    let folder = Folder::new("stalled");
    let (tls, _client) = localhost(&folder);
    let (mut client, there) = pair().await;
    client.write_all(&[22, 3, 1]).await.unwrap();
    let deadline = clock::now().after(Duration::from_secs(10));
    assert!(clock::until(deadline, server_side(there, &tls).handshake()).await.is_none());
}

#[tokio::test]
async fn bytes_that_came_behind_a_proxys_header_are_the_beginning() {
    let folder = Folder::new("early");
    let (tls, client) = localhost(&folder);
    let (here, there) = pair().await;
    let name = ServerName::try_from("localhost").unwrap();
    let connecting = TlsConnector::from(client).connect(name, here);
    let serving = async {
        let mut early = BytesMut::new();
        while early.is_empty() {
            there.readable().await.unwrap();
            let _again = there.try_read_buf(&mut early);
        }
        let socket = TlsSocket::server(there, &tls, early.freeze()).unwrap();
        socket.handshake().await.unwrap();
        socket
    };
    let (connected, socket) = tokio::join!(connecting, serving);
    exchange(&mut connected.unwrap(), &Arc::new(socket), b"hello").await;
}

#[tokio::test]
async fn the_newest_version_is_the_listeners_to_say() {
    let folder = Folder::new("versions");
    let (files, der) = folder.certificate("c", &["localhost"]);
    let certificates = Certificates::load(vec![files]).unwrap();
    let client = trusting(&[der]);
    for (max, expect) in
        [(TlsMax::Tls12, rustls::ProtocolVersion::TLSv1_2), (TlsMax::Tls13, rustls::ProtocolVersion::TLSv1_3)]
    {
        let tls = ServerTls::new(&certificates, max, Within::Unnamed).unwrap();
        let (mut client, server) = shaken(&tls, &client, "localhost").await.unwrap();
        assert_eq!(client.get_ref().1.protocol_version(), Some(expect));
        exchange(&mut client, &server, b"hello").await;
    }
}
