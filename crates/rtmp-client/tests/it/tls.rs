//! RTMPS: whom the client believes.

use crate::peer::{Peer, listener, soon};
use jackfield_rtmp_client::{ClientError, Connector, Options, Playback, RtmpUrl, Trust, TrustError};
use rustls::pki_types::PrivateKeyDer;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// A self-signed certificate for `localhost`, as a server's settings and as PEM.
fn certificate() -> (TlsAcceptor, Vec<u8>) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    (TlsAcceptor::from(Arc::new(config)), made.cert.pem().into_bytes())
}

fn rtmps(host: &str, address: SocketAddr) -> RtmpUrl {
    RtmpUrl::parse(&format!("rtmps://{host}:{}/live/show", address.port())).unwrap()
}

/// Serves one client; `None` if there is no TLS handshake.
async fn serve(listener: &TcpListener, acceptor: &TlsAcceptor) -> Option<String> {
    let (socket, _) = listener.accept().await.unwrap();
    let stream = acceptor.accept(socket).await.ok()?;
    let name = stream.get_ref().1.server_name().map(str::to_owned);
    let mut peer = Peer::over(Box::new(stream));
    peer.begin().await;
    while peer.next().await.is_some() {}
    name
}

async fn check(trust: Trust, host: &str, expect: Result<(), &str>) {
    let (acceptor, _) = certificate();
    let (acceptor, trust) = match trust {
        Trust::Only(_) => {
            let (acceptor, pem) = certificate();
            (acceptor, Trust::Only(pem))
        }
        other => (acceptor, other),
    };
    let (listener, address) = listener().await;
    let client = async {
        let connector = Connector::new(&trust).unwrap();
        let opened =
            soon("an end", Playback::open(&connector, rtmps(host, address), Options::default())).await;
        match (opened, expect) {
            (Ok(playback), Ok(())) => drop(playback.close().await),
            (Err(error), Err(expect)) => {
                let told = error.to_string();
                assert!(told.contains(expect), "{told}");
                assert!(!error.is_retryable(), "{told}");
            }
            (opened, expect) => panic!("{opened:?} instead of {expect:?}"),
        }
    };
    let (name, ()) = tokio::join!(serve(&listener, &acceptor), client);
    if expect.is_ok() && host == "localhost" {
        assert_eq!(name.as_deref(), Some("localhost"), "SNI");
    }
}

#[tokio::test]
async fn a_certificate_of_a_trusted_authority_is_believed_for_its_name_only() {
    Box::pin(check(Trust::Only(Vec::new()), "localhost", Ok(()))).await;
    Box::pin(check(Trust::Only(Vec::new()), "127.0.0.1", Err("not valid for name"))).await;
}

#[tokio::test]
async fn any_certificate_is_believed_only_if_that_was_said() {
    Box::pin(check(Trust::Anybody, "127.0.0.1", Ok(()))).await;
    let (_, other) = certificate();
    let (acceptor, _) = certificate();
    let (listener, address) = listener().await;
    let client = async {
        let connector = Connector::new(&Trust::Only(other)).unwrap();
        let opened = Playback::open(&connector, rtmps("localhost", address), Options::default()).await;
        let error = opened.unwrap_err();
        assert!(matches!(error, ClientError::Tls { .. }), "{error}");
        assert!(!error.is_retryable(), "{error}");
    };
    tokio::join!(serve(&listener, &acceptor), client);
}

#[tokio::test]
async fn a_port_without_tls_is_told() {
    let (listener, address) = listener().await;
    let client = async {
        let mut connector = Connector::new(&Trust::Anybody).unwrap();
        connector.timeouts.tls = Duration::from_millis(200);
        let opened = Playback::open(&connector, rtmps("localhost", address), Options::default()).await;
        let told = opened.unwrap_err().to_string();
        assert!(told.contains("TLS"), "{told}");
    };
    let server = async {
        let mut peer = Peer::accept(&listener).await;
        // The first byte of TLS is not RTMP's version.
        while peer.next().await.is_some() {}
    };
    tokio::join!(client, server);
}

#[test]
fn what_is_no_certificate_is_refused() {
    assert!(matches!(Connector::new(&Trust::Only(b"hello".to_vec())), Err(TrustError::Certificate)));
}
