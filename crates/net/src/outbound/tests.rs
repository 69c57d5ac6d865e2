//! Servers that misbehave, and what a client makes of them.

use super::*;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi";

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

async fn read_request(socket: &mut TcpStream) -> String {
    let mut got = Vec::new();
    while !got.ends_with(b"\r\n\r\n") {
        got.push(socket.read_u8().await.unwrap());
    }
    String::from_utf8(got).unwrap()
}

fn client() -> Client {
    Outbound::new(4, "jackfield/test").client(ClientConfig::default()).unwrap()
}

async fn fetch(client: &Client, address: SocketAddr) -> Result<Response, SendError> {
    let url = Url::parse(&format!("http://{address}/x?token=secret")).unwrap();
    client.send(client.place().await, Request::new(Method::GET, url)).await
}

#[tokio::test]
async fn a_connection_is_kept_and_a_dead_one_is_replaced_once() {
    let (listener, address) = listener().await;
    let client = client();
    let server = async {
        let (mut socket, _) = listener.accept().await.unwrap();
        for _ in 0..2 {
            assert!(read_request(&mut socket).await.contains("user-agent: jackfield/test"));
            socket.write_all(OK).await.unwrap();
        }
        // The third request meets a connection that ends without an answer.
        read_request(&mut socket).await;
        drop(socket);
        let (mut socket, _) = listener.accept().await.unwrap();
        read_request(&mut socket).await;
        socket.write_all(OK).await.unwrap();
    };
    let requests = async {
        for kept in [false, true, false] {
            let response = fetch(&client, address).await.unwrap();
            assert_eq!(response.connect().is_zero(), kept);
            assert_eq!(&*response.body(2).await.unwrap(), b"hi");
        }
    };
    tokio::join!(server, requests);
}

#[tokio::test]
async fn a_new_connection_that_breaks_is_a_transport_error_and_is_not_tried_again() {
    let (listener, address) = listener().await;
    let client = client();
    let server = async {
        let (mut socket, _) = listener.accept().await.unwrap();
        read_request(&mut socket).await;
        listener
    };
    let (_listener, answer) = tokio::join!(server, fetch(&client, address));
    let Err(SendError::Transport(detail)) = answer else { panic!("{answer:?}") };
    assert!(!detail.contains("secret"), "{detail}");
}

#[tokio::test]
async fn nobody_listening_is_a_connect_error_that_hides_the_url() {
    let (listener, address) = listener().await;
    drop(listener);
    let answer = fetch(&client(), address).await;
    let Err(SendError::Connect(detail)) = answer else { panic!("{answer:?}") };
    assert!(detail.contains("refused") && !detail.contains("secret"), "{detail}");
}

#[tokio::test]
async fn a_body_over_the_limit_is_not_kept_in_memory() {
    for head in ["content-length: 1000000000", "transfer-encoding: chunked"] {
        let (listener, address) = listener().await;
        let client = client();
        let server = async {
            let (mut socket, _) = listener.accept().await.unwrap();
            read_request(&mut socket).await;
            let head = format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n1000\r\n");
            let _closed = socket.write_all(head.as_bytes()).await;
            let _closed = socket.write_all(&[b'x'; 0x1000]).await;
            // Until the client is gone.
            let _ended = socket.read(&mut [0]).await;
        };
        let request = async { fetch(&client, address).await.unwrap().body(100).await };
        let ((), body) = tokio::join!(server, request);
        assert_eq!(body, Err(SendError::TooLong { limit: 100 }));
    }
}

#[tokio::test]
async fn places_bound_the_requests_under_way() {
    let client = Outbound::new(1, "x").client(ClientConfig::default()).unwrap();
    let held = client.place().await;
    let waiting = client.place();
    tokio::pin!(waiting);
    assert!(futures_util::poll!(&mut waiting).is_pending());
    drop(held);
    waiting.await;
}

#[test]
fn what_is_no_certificate_is_refused() {
    let outbound = Outbound::new(1, "x");
    let trust = Trust::Only(b"hello".to_vec());
    assert!(matches!(
        outbound.client(ClientConfig { trust, ..ClientConfig::default() }),
        Err(ClientError::Certificate)
    ));
}

/// A client of somebody who is not the operator.
fn guarded(allowed: Option<&str>) -> Client {
    let besides = allowed.into_iter().map(|network| network.parse().unwrap()).collect();
    let config = ClientConfig { reach: Reach::Public { besides }, ..ClientConfig::default() };
    Outbound::new(4, "x").client(config).unwrap()
}

#[tokio::test]
async fn a_guarded_client_reaches_this_machine_neither_by_address_nor_by_name() {
    let (listener, address) = listener().await;
    for host in ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "127.1", "[::ffff:7f00:1]", "0.0.0.0"] {
        let url = Url::parse(&format!("http://{host}:{}/?token=secret", address.port())).unwrap();
        let client = guarded(None);
        let sent = client.send(client.place().await, Request::new(Method::GET, url)).await;
        let Err(SendError::Connect(detail)) = sent else { panic!("{host}: {sent:?}") };
        assert!(detail.contains("no public address") && !detail.contains("127."), "{host}: {detail}");
    }
    // Nobody knocked.
    assert!(futures_util::poll!(std::pin::pin!(listener.accept())).is_pending());
}

#[tokio::test]
async fn a_guarded_client_goes_where_it_is_allowed_and_follows_nobody_further() {
    let (inside, forbidden) = listener().await;
    let (listener, address) = listener().await;
    let client = guarded(Some("127.0.0.1"));
    let server = async {
        let (mut socket, _) = listener.accept().await.unwrap();
        read_request(&mut socket).await;
        let head = format!("HTTP/1.1 307 x\r\nlocation: http://{forbidden}/\r\ncontent-length: 0\r\n\r\n");
        socket.write_all(head.as_bytes()).await.unwrap();
    };
    let ((), answer) = tokio::join!(server, fetch(&client, address));
    assert_eq!(answer.unwrap().status(), StatusCode::TEMPORARY_REDIRECT);
    assert!(futures_util::poll!(std::pin::pin!(inside.accept())).is_pending());
}
