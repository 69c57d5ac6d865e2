//! Why a stream could not be opened or went on no longer, for people and for retries.

use jackfield_rtmp::{ApproachError, StreamEnd, status};
use std::io;
use std::net::SocketAddr;

/// Why there is no connection, or no stream any more.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The URL names an app but no stream.
    #[error("the URL names no stream: it should end with /app/name")]
    NoName,
    /// The host's name has no address.
    #[error("cannot find the host {host}: {source}")]
    Resolve {
        /// The host's name.
        host: String,
        /// What the system says.
        source: io::Error,
    },
    /// The name server did not answer in time.
    #[error("the address of {0} was not found in time")]
    ResolveTimeout(String),
    /// No connection to any of the host's addresses; this is about the last.
    #[error("cannot connect to {address}: {source}")]
    Connect {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The TLS handshake failed.
    #[error("no TLS connection to {host}: {source}")]
    Tls {
        /// The host's name.
        host: String,
        /// Why.
        source: io::Error,
    },
    /// The TLS handshake was not complete in time.
    #[error("{0} did not complete the TLS handshake in time; does this port speak TLS?")]
    TlsTimeout(String),
    /// TLS could not be set up on our side.
    #[error("{0}")]
    Trust(#[from] crate::tls::TrustError),
    /// The session ended.
    #[error(transparent)]
    End(#[from] StreamEnd),
    /// Login or redirects came to nothing.
    #[error(transparent)]
    Approach(#[from] ApproachError),
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Lost(#[from] io::Error),
    /// The server closed the connection without a word.
    #[error("the server closed the connection")]
    ServerClosed,
    /// The server took no byte for too long.
    #[error("the server took no more data")]
    Stalled,
}

impl ClientError {
    /// Whether trying again later may help: the network and the server's state may change, an address that is
    /// wrong does not. A refusal stays one.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::NoName | Self::Trust(_) | Self::Approach(_) => false,
            Self::Resolve { .. } | Self::ResolveTimeout(_) | Self::Connect { .. } => true,
            Self::Tls { source, .. } => source.kind() != io::ErrorKind::InvalidData,
            Self::TlsTimeout(_) | Self::Lost(_) | Self::ServerClosed | Self::Stalled => true,
            Self::End(end) => match end {
                StreamEnd::TimedOut(_) | StreamEnd::Silent | StreamEnd::Finished(_) => true,
                // It is not there now; it may be later.
                StreamEnd::Refused(_) => self.is_absence(),
                StreamEnd::Rejected(_)
                | StreamEnd::Redirected { .. }
                | StreamEnd::Left
                | StreamEnd::Protocol(_) => false,
            },
        }
    }

    /// Whether the server said that there is no such stream.
    #[must_use]
    pub fn is_absence(&self) -> bool {
        let Self::End(StreamEnd::Refused(status)) = self else { return false };
        &*status.code == status::PLAY_STREAM_NOT_FOUND
    }

    /// Whether the server said that a publisher may not have this name. To one that comes back it mostly means that its
    /// former connection still has it.
    #[must_use]
    pub fn is_taken_name(&self) -> bool {
        let Self::End(StreamEnd::Refused(status)) = self else { return false };
        &*status.code == status::PUBLISH_BAD_NAME
    }

    /// Whether the server's certificate is not believed.
    #[must_use]
    pub fn is_distrust(&self) -> bool {
        let Self::Tls { source, .. } = self else { return false };
        let cause = source.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>());
        matches!(cause, Some(rustls::Error::InvalidCertificate(_)))
    }

    /// Whether the server said that the stream is over.
    #[must_use]
    pub fn is_finish(&self) -> bool {
        matches!(self, Self::End(StreamEnd::Finished(_)))
    }
}
