//! Certificates made for one test, the server side of TLS for the [`Receiver`](crate::Receiver), and the client side for a
//! [`tunnel`](crate::tunnel()).

use crate::Journal;
use anyhow::{Context, Result};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig, ServerConnection, SupportedProtocolVersion};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;

/// A certificate authority of our own.
#[derive(Debug)]
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate with its key.
#[derive(Debug)]
pub struct Identity {
    certificate: rcgen::Certificate,
    key: KeyPair,
}

impl Authority {
    /// Makes one.
    ///
    /// # Errors
    /// When the cryptography fails.
    pub fn new() -> Result<Self> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "Test authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issuer =
            CertifiedIssuer::self_signed(params, KeyPair::generate()?).context("signing the authority")?;
        Ok(Self { issuer })
    }

    /// Its certificate, for `ca = "…"`.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A certificate for these names or addresses: `localhost`, `127.0.0.1`, or another host's.
    ///
    /// # Errors
    /// When a name is none.
    pub fn identity(&self, names: &[&str]) -> Result<Identity> {
        self.sign(params(names)?)
    }

    /// A certificate for these names that has expired.
    ///
    /// # Errors
    /// When a name is none.
    pub fn expired_identity(&self, names: &[&str]) -> Result<Identity> {
        let mut params = params(names)?;
        params.not_after = rcgen::date_time_ymd(2020, 1, 1);
        self.sign(params)
    }

    fn sign(&self, params: CertificateParams) -> Result<Identity> {
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer).context("signing")?;
        Ok(Identity { certificate, key })
    }

    /// A TLS client that trusts this authority alone.
    ///
    /// # Errors
    /// When rustls does not take it.
    pub fn client(&self, versions: &[&'static SupportedProtocolVersion]) -> Result<Arc<ClientConfig>> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .context("TLS versions")?
            .with_root_certificates(self.roots()?)
            .with_no_client_auth();
        Ok(Arc::new(config))
    }

    fn roots(&self) -> Result<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).context("our own authority")?;
        Ok(roots)
    }
}

fn params(names: &[&str]) -> Result<CertificateParams> {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    CertificateParams::new(names).context("names of a certificate")
}

impl Identity {
    /// The certificate, for `cert = "…"`.
    pub fn certificate_pem(&self) -> String {
        self.certificate.pem()
    }

    /// The key, for `key = "…"`.
    pub fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }

    /// Listens with this certificate and says nothing after the handshake. The journal tells for each client in turn whether
    /// it went on to say something.
    ///
    /// # Errors
    /// When there is no port, or rustls does not take the certificate.
    pub fn silent_server(&self) -> Result<(SocketAddr, Journal<bool>)> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("a port")?;
        let address = listener.local_addr()?;
        let (config, went_on) = (self.server(None)?, Journal::default());
        let journal = went_on.clone();
        // It ends with the test's process.
        std::thread::spawn(move || {
            for mut socket in listener.incoming().flatten() {
                let Ok(mut tls) = ServerConnection::new(Arc::clone(&config)) else { return };
                let mut result = Ok((0, 0));
                while tls.is_handshaking() && result.is_ok() {
                    result = tls.complete_io(&mut socket);
                }
                // In TLS 1.3 the client's alert comes when the server's part is over, in the place of its first word.
                went_on.push(result.is_ok() && tls.complete_io(&mut socket).is_ok());
            }
        });
        Ok((address, journal))
    }

    /// A TLS server that shows this certificate; with `clients`, one that wants a certificate of that authority.
    ///
    /// # Errors
    /// When rustls does not take it.
    pub fn server(&self, clients: Option<&Authority>) -> Result<Arc<ServerConfig>> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .context("TLS versions")?;
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(authority.roots()?), provider);
                builder.with_client_cert_verifier(verifier.build().context("client verifier")?)
            }
        };
        let key = PrivateKeyDer::Pkcs8(self.key.serialize_der().into());
        let config =
            builder.with_single_cert(vec![self.certificate.der().clone()], key).context("certificate")?;
        Ok(Arc::new(config))
    }
}
