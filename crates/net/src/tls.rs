//! TLS for listeners: certificates that can be replaced, the settings of a listener, and the encrypted socket.
//!
//! [`Certificates`] are read from files and chosen by the name that the client asks for; [`Certificates::watch`]
//! replaces them when the files change. A [`ServerTls`] is what one listener needs of them. A media protocol puts
//! it under a socket by [`TlsSocket`], which its writer and its reader share; HTTP takes [`ServerTls::config`].
//!
//! Versions are 1.2 and 1.3. Clients may resume by tickets, whose keys change by themselves and never leave the
//! process. Renegotiation is not supported.

mod certificates;
mod names;
mod socket;
#[cfg(test)]
mod tests;
mod validity;

pub use certificates::{
    Blame, CertificateError, CertificateFiles, Certificates, Lasts, Readers, Replaced, check_authorities,
};
pub(crate) use socket::Drained;
pub use socket::{HandshakeError, Received, TlsSocket};

pub use rustls::Error as TlsError;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::version::{TLS12, TLS13};
use std::fmt;
use std::sync::Arc;

/// The newest version that a listener speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TlsMax {
    /// For clients whose handshake of 1.3 fails.
    Tls12,
    /// Everything that there is.
    #[default]
    Tls13,
}

/// What is spoken within, as clients are told (RFC 7301).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Within {
    /// A protocol that has no name there, such as RTMP.
    Unnamed,
    /// HTTP/2 or HTTP/1.1.
    Http,
}

/// The TLS side of one listener. Clones are the same.
#[derive(Clone)]
pub struct ServerTls(Arc<ServerConfig>);

impl ServerTls {
    /// Settings that take their certificate from these at each handshake.
    ///
    /// # Errors
    /// When the kernel gives no randomness for the keys of tickets.
    pub fn new(certificates: &Certificates, max: TlsMax, within: Within) -> Result<Self, rustls::Error> {
        let versions = match max {
            TlsMax::Tls12 => &[&TLS12][..],
            TlsMax::Tls13 => &[&TLS13, &TLS12][..],
        };
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(versions)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(certificates.clone()));
        config.ticketer = ring::Ticketer::new()?;
        if within == Within::Http {
            config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        }
        Ok(Self(Arc::new(config)))
    }

    /// As rustls takes it.
    #[must_use]
    pub fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.0)
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls").finish_non_exhaustive()
    }
}
