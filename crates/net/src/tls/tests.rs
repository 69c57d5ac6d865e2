//! Certificates in files, and the encrypted socket over loopback with a client of its own kind at the other end.

mod certificates;
mod socket;

use super::*;
use bytes::Bytes;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::path::{Path, PathBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// A folder of its own for one test, gone with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("jackfield-tls-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// Writes a new certificate for these names, in the place of what was there.
    fn certificate(&self, file: &str, names: &[&str]) -> (CertificateFiles, CertificateDer<'static>) {
        let key = rcgen::KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let certificate = rcgen::CertificateParams::new(names).unwrap().self_signed(&key).unwrap();
        let files = CertificateFiles {
            certificate: self.put(&format!("{file}.pem"), &certificate.pem()),
            key: self.put(&format!("{file}.key"), &key.serialize_pem()),
        };
        (files, certificate.der().clone())
    }

    /// By renaming, so that nobody sees half of it.
    fn put(&self, file: &str, text: &str) -> PathBuf {
        let path = self.path(file);
        let new = self.path("new");
        std::fs::write(&new, text).unwrap();
        std::fs::rename(&new, &path).unwrap();
        path
    }

    fn path(&self, file: &str) -> PathBuf {
        self.0.join(file)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// One certificate for `localhost`, and a client's trust in it.
fn localhost(folder: &Folder) -> (ServerTls, Arc<ClientConfig>) {
    let (files, der) = folder.certificate("localhost", &["localhost"]);
    let certificates = Certificates::load(vec![files]).unwrap();
    (ServerTls::new(&certificates, TlsMax::Tls13, Within::Unnamed).unwrap(), trusting(&[der]))
}

/// A client that believes these certificates.
fn trusting(certificates: &[CertificateDer<'static>]) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        roots.add(certificate.clone()).unwrap();
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}

/// The two ends of a connection.
async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (client, server) =
        tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
    (client.unwrap(), server.unwrap().0)
}

fn server_side(stream: TcpStream, tls: &ServerTls) -> TlsSocket {
    TlsSocket::server(stream, tls, Bytes::new()).unwrap()
}

/// Both ends after the handshake.
async fn shaken(
    tls: &ServerTls,
    client: &Arc<ClientConfig>,
    name: &str,
) -> Result<(TlsStream<TcpStream>, Arc<TlsSocket>), String> {
    let (here, there) = pair().await;
    let socket = Arc::new(server_side(there, tls));
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let connecting = TlsConnector::from(Arc::clone(client)).connect(name, here);
    let (connected, shaken) = tokio::join!(connecting, socket.handshake());
    let connected = connected.map_err(|error| error.to_string())?;
    shaken.map_err(|error| error.to_string())?;
    Ok((connected, socket))
}
