//! Whom a client believes and who it says it is.

use super::ClientError;
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::fmt;
use std::sync::{Arc, OnceLock};

/// Whose certificates are believed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Trust {
    /// Whom the system believes.
    #[default]
    System,
    /// Only these authorities: one or more certificates as PEM.
    Only(Vec<u8>),
}

/// A certificate of ours.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    /// The certificate and those between it and its authority, as PEM.
    pub certificates: Vec<u8>,
    /// Its private key, as PEM.
    pub key: Vec<u8>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity(…)")
    }
}

pub(super) fn config(
    trust: Trust,
    identity: Option<Identity>,
    system_roots: &OnceLock<Arc<RootCertStore>>,
) -> Result<rustls::ClientConfig, ClientError> {
    let roots = match trust {
        Trust::System => Arc::clone(system_roots.get_or_init(|| Arc::new(load_system_roots()))),
        Trust::Only(pem) => Arc::new(roots_of(&pem)?),
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(ClientError::Identity)?
        .with_root_certificates(roots);
    let Some(identity) = identity else {
        return Ok(builder.with_no_client_auth());
    };
    let chain = certificates(&identity.certificates)?;
    let key = PrivateKeyDer::from_pem_slice(&identity.key).map_err(|_broken| ClientError::Key)?;
    builder.with_client_auth_cert(chain, key).map_err(ClientError::Identity)
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, ClientError> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    all.ok().filter(|all| !all.is_empty()).ok_or(ClientError::Certificate)
}

fn roots_of(pem: &[u8]) -> Result<RootCertStore, ClientError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(pem)? {
        roots.add(certificate).map_err(|_broken| ClientError::Certificate)?;
    }
    Ok(roots)
}

/// A system without roots is no error here: only https to a public host fails then, and says why.
fn load_system_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let loaded = rustls_native_certs::load_native_certs();
    for error in &loaded.errors {
        tracing::warn!(%error, "Cannot read some of the system's trusted certificates");
    }
    let (_added, _unusable) = roots.add_parsable_certificates(loaded.certs);
    roots
}
