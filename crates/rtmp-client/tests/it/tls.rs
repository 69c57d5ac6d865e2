//! RTMPS: whom the client believes.

use crate::peer::{Peer, listener, soon};
use jackfield_rtmp_client::{ClientError, Connector, Options, Playback, RtmpUrl, Trust, TrustError};
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// A self-signed certificate for `localhost`, as a server's settings and as PEM.
fn certificate() -> (TlsAcceptor, Vec<u8>) {
    self_signed(IsCa::NoCa)
}

fn self_signed(is_ca: IsCa) -> (TlsAcceptor, Vec<u8>) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    params.is_ca = is_ca;
    let cert = params.self_signed(&key).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    (TlsAcceptor::from(Arc::new(config)), cert.pem().into_bytes())
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

async fn check(acceptor: TlsAcceptor, trust: Trust, host: &str, expect: Result<(), &str>) {
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
async fn a_certificate_that_is_listed_is_believed_for_its_name_only() {
    // With `openssl req -x509` it calls itself an authority.
    for is_ca in [IsCa::NoCa, IsCa::Ca(BasicConstraints::Unconstrained)] {
        for (host, expect) in [("localhost", Ok(())), ("127.0.0.1", Err("not valid for name"))] {
            let (acceptor, pem) = self_signed(is_ca);
            Box::pin(check(acceptor, Trust::Only(pem), host, expect)).await;
        }
    }
}

#[tokio::test]
async fn any_certificate_is_believed_only_if_that_was_said() {
    Box::pin(check(certificate().0, Trust::Anybody, "127.0.0.1", Ok(()))).await;
    let (_, other) = certificate();
    let (acceptor, _) = certificate();
    let (listener, address) = listener().await;
    let client = async {
        let connector = Connector::new(&Trust::Only(other)).unwrap();
        let opened = Playback::open(&connector, rtmps("localhost", address), Options::default()).await;
        let error = opened.unwrap_err();
        assert!(matches!(error, ClientError::Tls { .. }) && error.is_distrust(), "{error}");
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
