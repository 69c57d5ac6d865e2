//! The API over a socket.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use jackfield_api::{Health, routes};
use jackfield_http::{HttpConfig, HttpServer};
use jackfield_runtime::Tasks;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn check(health: &Health, request: &str, status: &str, body: &str) {
    let config = HttpConfig { listen: vec!["127.0.0.1:0".parse().unwrap()], ..HttpConfig::default() };
    let server = HttpServer::start(config, routes(health.clone()), &Tasks::new()).unwrap();
    let mut client = TcpStream::connect(server.addrs()[0]).await.unwrap();
    let head = format!("{request} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    client.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{request}: {answer}");
    assert!(answer.ends_with(body), "{request}: {answer}");
}

#[tokio::test]
async fn health_says_ok_until_the_server_drains() {
    let health = Health::default();
    check(&health, "GET /api/v1/health", "200", r#"{"status":"ok"}"#).await;
    health.drain();
    check(&health, "GET /api/v1/health", "503", r#"{"status":"draining"}"#).await;
}

#[tokio::test]
async fn nothing_else_is_open() {
    for request in
        ["GET /api", "GET /api/", "GET /api/v1/streams", "DELETE /api/v1/connections/c1", "GET /api/x"]
    {
        check(&Health::default(), request, "401", "}").await;
    }
}
