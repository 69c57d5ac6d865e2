//! The listener against clients that behave, and such that do not.

#![allow(clippy::unwrap_used, clippy::large_futures, reason = "a test fails by panicking, and has memory")]

mod tls;

use axum::body::{Body, Bytes};
use axum::routing::{MethodRouter, get};
use axum::{Extension, Router};
use jackfield_http::{ConnectionLimits, ConnectionRate, HttpConfig, HttpServer, Line};
use jackfield_runtime::{Tasks, clock};
use std::convert::Infallible;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Notify;

fn config() -> HttpConfig {
    HttpConfig { listen: vec!["127.0.0.1:0".parse().unwrap()], ..HttpConfig::default() }
}

/// None, and they hold for the loopback.
fn limits() -> ConnectionLimits {
    ConnectionLimits { exempt: Arc::new(|_| false), ..ConnectionLimits::default() }
}

async fn connect(server: &HttpServer) -> TcpStream {
    TcpStream::connect(server.addrs()[0]).await.unwrap()
}

async fn ask(server: &HttpServer, request: &str) -> String {
    let mut client = connect(server).await;
    client.write_all(request.as_bytes()).await.unwrap();
    rest(&mut client).await
}

/// Everything until the server closes.
async fn rest(client: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    // A reset is a close too: the server leaves with bytes unread.
    drop(client.read_to_end(&mut answer).await);
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn a_path_that_nobody_serves_is_a_problem_document() {
    let server = HttpServer::start(config(), Router::new(), &Tasks::new()).unwrap();
    let answer = ask(&server, "GET /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 404 Not Found\r\n"), "{answer}");
    assert!(answer.contains("content-type: application/problem+json\r\n"), "{answer}");
    assert!(answer.contains(r#""status":404"#), "{answer}");
}

#[tokio::test]
async fn a_client_that_does_not_finish_its_head_is_closed() {
    let config = HttpConfig { header_timeout: Duration::from_millis(20), ..config() };
    let server = HttpServer::start(config, Router::new(), &Tasks::new()).unwrap();
    for begun in ["", "GET / HTTP/1.1\r\nHost:"] {
        let mut client = connect(&server).await;
        client.write_all(begun.as_bytes()).await.unwrap();
        let answer = rest(&mut client).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer}");
    }
}

#[tokio::test]
async fn nonsense_is_answered_or_closed_and_the_next_client_is_served() {
    let config = HttpConfig { header_timeout: Duration::from_secs(1), ..config() };
    let server = HttpServer::start(config, Router::new(), &Tasks::new()).unwrap();
    for nonsense in ["\u{16}\u{3}\u{1}\0\0\0", "GET\r\n\r\n", "\0\0\0\0\r\n\r\n"] {
        let answer = ask(&server, nonsense).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    let long = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "a".repeat(1_000_000));
    let answer = ask(&server, &long).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
    let answer = ask(&server, "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
}

#[tokio::test]
async fn one_connection_over_the_cap_is_closed_unserved() {
    let config = HttpConfig { limits: ConnectionLimits { max_total: 1, ..limits() }, ..config() };
    let routes = Router::new().route("/", get(|| async { "hello" }));
    let server = HttpServer::start(config, routes, &Tasks::new()).unwrap();
    let mut first = connect(&server).await;
    first.write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    let mut answered = [0; 12];
    first.read_exact(&mut answered).await.unwrap();
    assert_eq!(&answered, b"HTTP/1.1 200");
    assert_eq!(ask(&server, "").await, "");
}

/// A connection from this address that has been answered.
async fn answered(server: &HttpServer, from: &str) -> Option<TcpStream> {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(format!("{from}:0").parse().unwrap()).unwrap();
    let mut client = socket.connect(server.addrs()[0]).await.unwrap();
    let mut answered = [0; 12];
    // One that is closed unserved may be reset before it has asked.
    drop(client.write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").await);
    client.read_exact(&mut answered).await.ok().map(|_| client)
}

#[tokio::test]
async fn one_address_takes_its_share_and_leaves_the_others_theirs() {
    let config = HttpConfig { limits: ConnectionLimits { max_per_address: 2, ..limits() }, ..config() };
    let server = HttpServer::start(config, Router::new(), &Tasks::new()).unwrap();
    let first = answered(&server, "127.0.0.1").await.unwrap();
    let _second = answered(&server, "127.0.0.1").await.unwrap();
    assert!(answered(&server, "127.0.0.1").await.is_none());
    assert!(answered(&server, "127.0.0.2").await.is_some());
    // Who leaves makes room; the server hears of it a moment later.
    drop(first);
    let room = async { while answered(&server, "127.0.0.1").await.is_none() {} };
    assert!(clock::until(clock::now().after(Duration::from_secs(30)), room).await.is_some());
}

#[tokio::test]
async fn one_address_comes_at_a_rate_and_the_loopback_never_counts_by_itself() {
    let rate_per_address = NonZeroU32::new(1).map(ConnectionRate::per_second);
    let config = HttpConfig { limits: ConnectionLimits { rate_per_address, ..limits() }, ..config() };
    let server = HttpServer::start(config.clone(), Router::new(), &Tasks::new()).unwrap();
    let mut let_in = 0;
    for _ in 0..20 {
        let_in += u32::from(answered(&server, "127.0.0.1").await.is_some());
    }
    assert!((2..20).contains(&let_in), "{let_in}");
    let exempt = ConnectionLimits::default().exempt;
    let config = HttpConfig { limits: ConnectionLimits { exempt, ..config.limits }, ..config };
    let server = HttpServer::start(config, Router::new(), &Tasks::new()).unwrap();
    for _ in 0..20 {
        assert!(answered(&server, "127.0.0.1").await.is_some());
    }
}

#[tokio::test]
async fn a_client_that_asks_and_never_reads_is_closed() {
    let config = HttpConfig { stall_timeout: Duration::from_millis(200), ..config() };
    let routes = Router::new().route("/", get(|| async { "hello" }));
    let server = HttpServer::start(config, routes, &Tasks::new()).unwrap();
    let mut client = connect(&server).await;
    let requests = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n".repeat(1000);
    // The server reads no further until its answers go out, so this stands still, and fails when the server has left.
    let ended = async { while client.write_all(&requests).await.is_ok() {} };
    assert!(clock::until(clock::now().after(Duration::from_secs(30)), ended).await.is_some());
}

/// A route that says when it is asked, and answers when it is told.
fn slow_route() -> (MethodRouter, Arc<Notify>, Arc<Notify>) {
    let (asked, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (in_asked, in_go) = (Arc::clone(&asked), Arc::clone(&go));
    let route = get(move || async move {
        in_asked.notify_one();
        in_go.notified().await;
        "done"
    });
    (route, asked, go)
}

#[tokio::test]
async fn a_stop_lets_the_answer_under_way_end_and_accepts_no_more() {
    let (slow, asked, go) = slow_route();
    let server = HttpServer::start(config(), Router::new().route("/", slow), &Tasks::new()).unwrap();
    let addr = server.addrs()[0];
    let mut client = connect(&server).await;
    client.write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    asked.notified().await;
    let stop = server.stop(clock::now().after(Duration::from_secs(30)));
    let (left, answer) = tokio::join!(stop, async {
        while TcpStream::connect(addr).await.is_ok() {
            tokio::task::yield_now().await;
        }
        go.notify_one();
        rest(&mut client).await
    });
    assert_eq!(left, 0);
    assert!(answer.ends_with("done"), "{answer}");
}

#[tokio::test]
async fn a_client_is_cut_off_whose_answer_asks_for_it_and_one_without_end_hears_of_the_stop() {
    let endless = |name: &'static str, line: Line| {
        let told = Arc::new(Notify::new());
        let notify = Arc::clone(&told);
        drop(Tasks::new().spawn(name, async move {
            if name == "cut" {
                line.cut();
            } else {
                line.ending().await;
                notify.notify_one();
            }
        }));
        // Nothing comes of it until the server stops.
        let body = futures_util::stream::unfold(told, |told| async move {
            told.notified().await;
            None::<(Result<Bytes, Infallible>, Arc<Notify>)>
        });
        Body::from_stream(body)
    };
    let routes = Router::new()
        .route("/cut", get(move |Extension(line): Extension<Line>| async move { endless("cut", line) }))
        .route("/end", get(move |Extension(line): Extension<Line>| async move { endless("end", line) }));
    let server = HttpServer::start(config(), routes, &Tasks::new()).unwrap();
    let answer = ask(&server, "GET /cut HTTP/1.1\r\nHost: h\r\n\r\n").await;
    assert!(!answer.ends_with("0\r\n\r\n"), "it has no end: {answer}");
    let mut client = connect(&server).await;
    client.write_all(b"GET /end HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    let mut head = [0; 15];
    client.read_exact(&mut head).await.unwrap();
    assert_eq!(server.stop(clock::now().after(Duration::from_secs(10))).await, 0);
    assert!(rest(&mut client).await.ends_with("0\r\n\r\n"));
}
