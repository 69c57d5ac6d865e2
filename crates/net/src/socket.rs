//! A connected socket, in clear text or under TLS.

use crate::tls::TlsSocket;
use std::sync::Arc;
use tokio::net::TcpStream;

/// A socket that its reader and its writers share. Clones are the same one.
#[derive(Debug, Clone)]
pub enum Socket {
    /// In clear text.
    Plain(Arc<TcpStream>),
    /// Encrypted.
    Tls(Arc<TlsSocket>),
}

impl Socket {
    /// The socket itself, to wait for it and to set its options; what is written to it goes past TLS.
    #[must_use]
    pub fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(socket) => socket.tcp(),
        }
    }
}

impl From<Arc<TcpStream>> for Socket {
    fn from(stream: Arc<TcpStream>) -> Self {
        Self::Plain(stream)
    }
}

impl From<Arc<TlsSocket>> for Socket {
    fn from(socket: Arc<TlsSocket>) -> Self {
        Self::Tls(socket)
    }
}
