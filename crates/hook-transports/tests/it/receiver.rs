//! A receiver of webhooks that sends whatever bytes a test wants.

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// A listener on a free port.
pub(crate) struct Receiver {
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
}

/// One connection.
pub(crate) struct Exchange<S>(S);

/// A request as it came.
pub(crate) struct Request {
    pub(crate) line: String,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }
}

/// The bytes of a whole response.
pub(crate) fn respond(status: u16, headers: &str, body: &str) -> Vec<u8> {
    let length = if status == 204 { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    format!("HTTP/1.1 {status} X\r\n{headers}{length}\r\n{body}").into_bytes()
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        Self { listener: TcpListener::bind("127.0.0.1:0").await.unwrap(), tls: None }
    }

    /// With a certificate for this name, and asking for one.
    pub(crate) async fn start_tls(authority: &Authority, name: &str) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), Arc::clone(&provider));
        let issued = authority.issue(name);
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier.build().unwrap())
            .with_single_cert(
                vec![CertificateDer::from_pem_slice(issued.certificate.as_bytes()).unwrap()],
                PrivateKeyDer::from_pem_slice(issued.key.as_bytes()).unwrap(),
            )
            .unwrap();
        Self { tls: Some(TlsAcceptor::from(Arc::new(config))), ..Self::start().await }
    }

    pub(crate) fn url(&self) -> String {
        let port = self.listener.local_addr().unwrap().port();
        match self.tls {
            Some(_) => format!("https://localhost:{port}/hook"),
            None => format!("http://127.0.0.1:{port}/hook?a=b"),
        }
    }

    pub(crate) async fn accept(&mut self) -> Exchange<TcpStream> {
        Exchange(self.listener.accept().await.unwrap().0)
    }

    /// `None` if the handshake failed.
    pub(crate) async fn accept_tls(
        &mut self,
    ) -> Option<Exchange<tokio_rustls::server::TlsStream<TcpStream>>> {
        let (socket, _) = self.listener.accept().await.unwrap();
        self.tls.as_ref().unwrap().accept(socket).await.ok().map(Exchange)
    }

    /// Whether nobody else has connected.
    pub(crate) fn is_quiet(&self) -> bool {
        let mut fds = [rustix::event::PollFd::new(&self.listener, rustix::event::PollFlags::IN)];
        rustix::event::poll(&mut fds, Some(&rustix::event::Timespec::default())).unwrap() == 0
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Exchange<S> {
    pub(crate) async fn request(&mut self) -> Request {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.0.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap();
        let mut lines = head.lines();
        let line = lines.next().unwrap().to_owned();
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let mut request = Request { line, headers, body: Vec::new() };
        let length = request.header("content-length").unwrap().parse().unwrap();
        request.body = vec![0; length];
        self.0.read_exact(&mut request.body).await.unwrap();
        request
    }

    /// Sends, and says whether somebody listens.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> bool {
        self.0.write_all(bytes).await.is_ok() && self.0.flush().await.is_ok()
    }

    /// Waits until the other side has closed.
    pub(crate) async fn closed(mut self) {
        while self.0.read(&mut [0; 1024]).await.is_ok_and(|read| read > 0) {}
    }
}

impl Exchange<TcpStream> {
    pub(crate) fn reset(self) {
        self.0.set_zero_linger().unwrap();
    }
}

/// Issues certificates.
pub(crate) struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key as PEM.
pub(crate) struct Issued {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    pub(crate) fn pem(&self) -> &str {
        &self.pem
    }

    pub(crate) fn issue(&self, name: &str) -> Issued {
        let key = KeyPair::generate().unwrap();
        let certificate =
            CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &self.issuer);
        Issued { certificate: certificate.unwrap().pem(), key: key.serialize_pem() }
    }
}
