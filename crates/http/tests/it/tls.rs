//! HTTPS: HTTP/2 for who takes it, HTTP/1.1 for others, and clients that stall.

use super::{rest, slow_route};
use axum::Router;
use axum::http::{Request, Version};
use axum::routing::get;
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::TokioIo;
use jackfield_http::{HttpConfig, HttpServer};
use jackfield_net::tls::{CertificateFiles, Certificates, ServerTls, TlsMax, Within};
use jackfield_runtime::{Tasks, clock};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::ring};

/// The settings of a TLS listener, and the certificate that it shows.
fn config() -> (HttpConfig, CertificateDer<'static>) {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = certificate.self_signed(&key).unwrap();
    let id = std::process::id();
    let path = |end: &str| std::env::temp_dir().join(format!("jackfield-http-{id}-{:p}.{end}", &key));
    let files = CertificateFiles { certificate: path("pem"), key: path("key") };
    std::fs::write(&files.certificate, certificate.pem()).unwrap();
    std::fs::write(&files.key, key.serialize_pem()).unwrap();
    let certificates = Certificates::load(vec![files.clone()]).unwrap();
    std::fs::remove_file(&files.certificate).unwrap();
    std::fs::remove_file(&files.key).unwrap();
    let tls = ServerTls::new(&certificates, TlsMax::Tls13, Within::Http).unwrap();
    let listen_tls = vec![("127.0.0.1:0".parse().unwrap(), tls)];
    (HttpConfig { listen_tls, ..HttpConfig::default() }, certificate.der().clone())
}

async fn connect(
    server: &HttpServer,
    certificate: &CertificateDer<'static>,
    protocols: &[&[u8]],
) -> TlsStream<TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    let mut client = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    client.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    let stream = TcpStream::connect(server.addrs()[0]).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(client)).connect(name, stream).await.unwrap()
}

/// Spawns for the client's side of HTTP/2.
#[derive(Clone)]
struct OnTasks(Tasks);

impl<F: Future<Output = ()> + Send + 'static> hyper::rt::Executor<F> for OnTasks {
    fn execute(&self, future: F) {
        drop(self.0.spawn("client", future));
    }
}

async fn http2(stream: TlsStream<TcpStream>, tasks: &Tasks) -> http2::SendRequest<Empty<Bytes>> {
    let handshake = http2::handshake(OnTasks(tasks.clone()), TokioIo::new(stream));
    let (sender, connection) = handshake.await.unwrap();
    drop(tasks.spawn("client", async move { drop(connection.await) }));
    sender
}

fn request(version: Version) -> Request<Empty<Bytes>> {
    let uri = if version == Version::HTTP_2 { "https://localhost/" } else { "/" };
    Request::builder().uri(uri).header("host", "localhost").version(version).body(Empty::new()).unwrap()
}

#[tokio::test]
async fn the_client_chooses_the_version_of_http() {
    let (config, certificate) = config();
    let tasks = Tasks::new();
    let routes = Router::new().route("/", get(|| async { "hello" }));
    let server = HttpServer::start(config, routes, &tasks).unwrap();

    let stream = connect(&server, &certificate, &[b"h2", b"http/1.1"]).await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let mut sender = http2(stream, &tasks).await;
    let two = tokio::join!(
        sender.clone().send_request(request(Version::HTTP_2)),
        sender.send_request(request(Version::HTTP_2))
    );
    for response in [two.0.unwrap(), two.1.unwrap()] {
        assert_eq!(response.version(), Version::HTTP_2);
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "hello");
    }

    for protocols in [&[&b"http/1.1"[..]][..], &[]] {
        let stream = connect(&server, &certificate, protocols).await;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        drop(tasks.spawn("client", async move { drop(connection.await) }));
        let response = sender.send_request(request(Version::HTTP_11)).await.unwrap();
        assert_eq!(response.version(), Version::HTTP_11);
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "hello");
    }
}

#[tokio::test]
async fn clients_that_say_nothing_are_closed_wherever_they_stop() {
    let (config, certificate) = config();
    let config = HttpConfig { header_timeout: Duration::from_millis(50), ..config };
    let server = HttpServer::start(config, Router::new(), &Tasks::new()).unwrap();
    // Before the handshake, and within it.
    for begun in [&b""[..], &[22, 3, 1]] {
        let mut client = TcpStream::connect(server.addrs()[0]).await.unwrap();
        client.write_all(begun).await.unwrap();
        assert_eq!(rest(&mut client).await, "");
    }
    // After it; before the preface of HTTP/2, and after the preface and its settings.
    for begun in [&b""[..], b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"] {
        let mut client = connect(&server, &certificate, &[b"h2"]).await;
        client.write_all(begun).await.unwrap();
        let mut said = Vec::new();
        drop(client.read_to_end(&mut said).await);
    }
    let mut client = connect(&server, &certificate, &[]).await;
    client.write_all(b"GET / HTTP/1.1\r\nHost:").await.unwrap();
    let mut said = Vec::new();
    drop(client.read_to_end(&mut said).await);
}

#[tokio::test]
async fn clear_text_on_the_tls_listener_is_closed_at_once() {
    let (config, _certificate) = config();
    let config = HttpConfig { header_timeout: Duration::from_secs(3600), ..config };
    let server = HttpServer::start(config, Router::new(), &Tasks::new()).unwrap();
    let mut client = TcpStream::connect(server.addrs()[0]).await.unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    let mut said = Vec::new();
    drop(client.read_to_end(&mut said).await);
    // At most an alert.
    assert!(said.is_empty() || said.first() == Some(&21), "{said:?}");
}

#[tokio::test]
async fn a_stop_lets_the_answers_of_http2_under_way_end() {
    let (config, certificate) = config();
    let tasks = Tasks::new();
    let (route, asked, go) = slow_route();
    let server = HttpServer::start(config, Router::new().route("/", route), &Tasks::new()).unwrap();
    let mut sender = http2(connect(&server, &certificate, &[b"h2"]).await, &tasks).await;
    let answer = tasks.spawn("client", async move {
        let response = sender.send_request(request(Version::HTTP_2)).await.unwrap();
        response.into_body().collect().await.unwrap().to_bytes()
    });
    asked.notified().await;
    let addr = server.addrs()[0];
    let stop = server.stop(clock::now().after(Duration::from_secs(30)));
    let (left, ()) = tokio::join!(stop, async {
        while TcpStream::connect(addr).await.is_ok() {
            tokio::task::yield_now().await;
        }
        go.notify_one();
    });
    assert_eq!(left, 0);
    assert_eq!(answer.join().await.unwrap(), "done");
}
