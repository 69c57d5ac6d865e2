//! The console's files as a browser gets them.

use jackfield_api::console::{Exposure, routes};
use jackfield_http::{HttpConfig, HttpServer};
use jackfield_runtime::Tasks;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What is answered to a request line with these headers, to the end of the connection.
async fn ask(exposure: Exposure, request: &str, headers: &str) -> String {
    let config = HttpConfig { listen: vec!["127.0.0.1:0".parse().unwrap()], ..HttpConfig::default() };
    let server = HttpServer::start(config, routes(exposure), &Tasks::new()).unwrap();
    let mut client = TcpStream::connect(server.addrs()[0]).await.unwrap();
    let head = format!("{request} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{headers}\r\n");
    client.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    answer
}

/// A header of an answer.
fn header<'a>(answer: &'a str, name: &str) -> &'a str {
    let head = answer.split("\r\n\r\n").next().unwrap();
    let line = head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    assert!(line.is_some(), "no {name} in {head}");
    line.unwrap_or_default()
}

#[tokio::test]
async fn each_file_has_its_type_and_a_strict_policy() {
    for (path, kind) in [
        ("/", "text/html; charset=utf-8"),
        ("/console/app.js", "text/javascript; charset=utf-8"),
        ("/console/views/streams.js", "text/javascript; charset=utf-8"),
        ("/console/style.css", "text/css; charset=utf-8"),
        ("/console/icon.svg", "image/svg+xml"),
    ] {
        let answer = ask(Exposure::Closed, &format!("GET {path}"), "").await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
        assert_eq!(header(&answer, "content-type"), kind, "{path}");
        assert_eq!(header(&answer, "x-content-type-options"), "nosniff", "{path}");
        assert_eq!(header(&answer, "referrer-policy"), "no-referrer", "{path}");
        assert_eq!(header(&answer, "cache-control"), "no-cache", "{path}");
        let policy = header(&answer, "content-security-policy");
        for rule in [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self' data:",
            "connect-src 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "form-action 'self'",
        ] {
            assert!(policy.split("; ").any(|one| one == rule), "{path}: {rule} is not in {policy}");
        }
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
    }
}

#[tokio::test]
async fn a_version_that_the_browser_has_is_not_sent_again() {
    let first = ask(Exposure::Closed, "GET /", "").await;
    let tag = header(&first, "etag").to_owned();
    let again = ask(Exposure::Closed, "GET /", &format!("If-None-Match: {tag}\r\n")).await;
    assert!(again.starts_with("HTTP/1.1 304") && again.ends_with("\r\n\r\n"), "{again}");
    // The page that warns is another version.
    let open = ask(Exposure::Open, "GET /", &format!("If-None-Match: {tag}\r\n")).await;
    assert!(open.starts_with("HTTP/1.1 200"), "{open}");
}

#[tokio::test]
async fn the_page_is_marked_when_tokens_could_be_read_on_their_way() {
    let closed = ask(Exposure::Closed, "GET /", "").await;
    assert!(closed.contains("<html lang=\"en\" data-exposure=\"closed\">"), "{closed}");
    let open = ask(Exposure::Open, "GET /", "").await;
    assert!(open.contains("<html lang=\"en\" data-exposure=\"open\">"), "{open}");
}

#[tokio::test]
async fn nothing_is_there_but_the_files() {
    for path in [
        "/console",
        "/console/",
        "/console/nothing.js",
        "/console/../console.rs",
        "/console/%2e%2e/Cargo.toml",
        "/index.html",
    ] {
        let answer = ask(Exposure::Closed, &format!("GET {path}"), "").await;
        assert!(answer.starts_with("HTTP/1.1 404"), "{path}: {answer}");
    }
    let answer = ask(Exposure::Closed, "POST /", "Content-Length: 0\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 405"), "{answer}");
    assert_eq!(header(&answer, "content-type"), "application/problem+json");
    let answer = ask(Exposure::Closed, "HEAD /", "").await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("\r\n\r\n"), "{answer}");
}
