//! Certificates made for one test, and the server side of TLS for the [`Receiver`](crate::Receiver).

use anyhow::{Context, Result};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
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
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new(names)?.signed_by(&key, &self.issuer).context("signing")?;
        Ok(Identity { certificate, key })
    }

    fn roots(&self) -> Result<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).context("our own authority")?;
        Ok(roots)
    }
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
