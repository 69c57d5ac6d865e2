//! A connected socket, in clear text or under TLS.

use crate::tls::TlsSocket;
use socket2::SockRef;
use std::sync::Arc;
use std::time::Duration;
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

    /// Bounds what the kernel keeps of this socket after it is closed: without, a peer that is alive and takes nothing has
    /// it keep all that was written, megabytes, for as long as it likes.
    ///
    /// As long as the peer takes something the rest is delivered; once it has taken nothing for `silence`, it is dropped
    /// (RFC 5482, tcp(7) `TCP_USER_TIMEOUT`).
    pub fn give_up_after(&self, silence: Duration) {
        let milliseconds = u32::try_from(silence.as_millis()).unwrap_or(u32::MAX);
        // A socket that is not connected any more holds nothing.
        let _gone = rustix::net::sockopt::set_tcp_user_timeout(self.tcp(), milliseconds);
    }

    /// When it is closed, what the peer has not taken is dropped, and the peer is told by RST (socket(7), `SO_LINGER`).
    pub fn reset_on_close(&self) {
        let _gone = SockRef::from(self.tcp()).set_linger(Some(Duration::ZERO));
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
