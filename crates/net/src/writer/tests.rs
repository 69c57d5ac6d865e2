//! Pairs of sockets over loopback.

use super::*;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};

async fn pair() -> (SocketWriter, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (server, _) = listener.accept().await.unwrap();
    (SocketWriter::new(Arc::new(server), |_| {}), client)
}

fn at(ms: u64) -> Mono {
    Mono::ZERO.after(Duration::from_millis(ms))
}

#[tokio::test]
async fn what_the_socket_takes_is_written_at_once() {
    let (writer, mut client) = pair().await;
    let shared = Bytes::from_static(b"world");
    writer.send(at(1), Class::Media, &[Piece::Own(b"hello "), Piece::Shared(&shared)]);
    assert_eq!(writer.backlog(), Backlog { sent_bytes: 11, ..Backlog::default() });
    let mut got = [0; 11];
    client.read_exact(&mut got).await.unwrap();
    assert_eq!(&got, b"hello world");
}

#[tokio::test]
async fn the_rest_is_queued_in_order_and_flushed_when_the_peer_reads() {
    let (writer, mut client) = pair().await;
    let block: Bytes = (0..1u32 << 18).flat_map(u32::to_be_bytes).collect();
    let mut expect = Vec::new();
    for round in 0..40u8 {
        let head = [round; 3];
        writer.send(at(u64::from(round)), Class::Media, &[Piece::Own(&head), Piece::Shared(&block)]);
        expect.extend_from_slice(&head);
        expect.extend_from_slice(&block);
    }
    writer.send(at(99), Class::Control, &[Piece::Own(b"end")]);
    expect.extend_from_slice(b"end");
    let backlog = writer.backlog();
    assert_eq!(backlog.bytes as u64 + backlog.sent_bytes, expect.len() as u64);
    assert_eq!(backlog.control_bytes, 3);
    assert!(backlog.since.is_some_and(|since| since < at(99)));

    let mut got = vec![0; expect.len()];
    let reading = client.read_exact(&mut got);
    let (flushed, read) = tokio::join!(writer.flush(), reading);
    flushed.unwrap();
    read.unwrap();
    assert!(got == expect);
    let sent_bytes = expect.len() as u64;
    assert_eq!(writer.backlog(), Backlog { sent_bytes, ..Backlog::default() });
}

#[tokio::test]
async fn driving_wakes_for_what_another_task_queued() {
    let (writer, mut client) = pair().await;
    let block = Bytes::from(vec![7; 32 << 20]);
    let driver = writer.clone();
    tokio::select! {
        kind = driver.drive() => panic!("{kind}"),
        () = async {
            tokio::task::yield_now().await;
            writer.send(at(0), Class::Media, &[Piece::Shared(&block)]);
            let mut got = vec![0; block.len()];
            client.read_exact(&mut got).await.unwrap();
        } => {}
    }
    assert_eq!(writer.backlog().bytes, 0);
}

#[tokio::test]
async fn a_peer_that_has_gone_ends_the_drive_and_frees_the_queue() {
    let (writer, client) = pair().await;
    let block = Bytes::from(vec![7; 32 << 20]);
    writer.send(at(0), Class::Media, &[Piece::Shared(&block)]);
    assert!(writer.backlog().bytes > 0);
    drop(client);
    let kind = writer.drive().await;
    assert!(matches!(kind, io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe), "{kind}");
    writer.send(at(1), Class::Media, &[Piece::Shared(&block)]);
    assert_eq!(writer.backlog().bytes, 0);
}

#[tokio::test]
async fn shutting_down_is_seen_as_the_end_after_the_last_byte() {
    let (writer, mut client) = pair().await;
    writer.send(at(0), Class::Control, &[Piece::Own(b"bye")]);
    writer.flush().await.unwrap();
    writer.shut_down();
    let mut got = Vec::new();
    client.read_to_end(&mut got).await.unwrap();
    assert_eq!(got, b"bye");
}

#[tokio::test]
async fn all_that_the_socket_took_is_told_once_at_the_latest_when_it_is_settled() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (server, _) = listener.accept().await.unwrap();
    let told = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = Arc::clone(&told);
    let add = move |bytes| {
        count.fetch_add(bytes, std::sync::atomic::Ordering::Relaxed);
    };
    let writer = SocketWriter::new(Arc::new(server), add);
    let told = || told.load(std::sync::atomic::Ordering::Relaxed) as u64;

    writer.send(at(0), Class::Control, &[Piece::Own(b"hello")]);
    assert_eq!(told(), 0, "little is told later");
    writer.send(at(1), Class::Media, &[Piece::Own(&vec![1; TOLD_BYTES])]);
    writer.send(at(2), Class::Media, &[Piece::Own(b"more")]);
    client.read_exact(&mut vec![0; 9 + TOLD_BYTES]).await.unwrap();
    writer.flush().await.unwrap();
    assert!(told() >= 5 + TOLD_BYTES as u64);
    for _ in 0..2 {
        writer.settle();
        assert_eq!(told(), 9 + TOLD_BYTES as u64);
    }
    // What a peer took that is gone now counts too.
    writer.send(at(3), Class::Media, &[Piece::Own(b"last words")]);
    writer.send(at(4), Class::Media, &[Piece::Shared(&Bytes::from(vec![7; 32 << 20]))]);
    drop(client);
    writer.drive().await;
    writer.settle();
    assert!(told() > 19 + TOLD_BYTES as u64 && told() == writer.backlog().sent_bytes);
}
