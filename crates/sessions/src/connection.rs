//! One connection, as its own task holds it.

use crate::Origin;
use crate::connections::{ConnectionSnapshot, Connections};
use jackfield_events::notices::{ConnectionAccept, ConnectionClose, HandshakeComplete};
use jackfield_events::{EndReason, Protocol, Scope};
use jackfield_media::{ConnId, Mono, SessionId, Text};
use jackfield_runtime::clock;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use tokio::sync::SetOnce;

/// Who is at the other end, and how it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// The client; behind a trusted proxy the one that the proxy told.
    pub client: SocketAddr,
    /// The address of ours that it reached.
    pub server: SocketAddr,
    /// Protocol of the listener.
    pub protocol: Protocol,
}

/// Whether a connection is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    /// In clear text.
    Off,
    /// By TLS.
    On,
}

/// Why somebody wants a connection gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kick {
    /// The reason that its stop events carry.
    pub reason: EndReason,
    /// What the client may be told.
    pub text: Text,
}

impl Kick {
    /// A kick with [`EndReason::Kicked`].
    #[must_use]
    pub fn by_operator(text: &str) -> Self {
        Self { reason: EndReason::Kicked, text: text.into() }
    }
}

/// Bytes through a connection's socket. Shared: the writer of the socket may hold it too.
#[derive(Debug, Default)]
pub struct Counters {
    received: AtomicU64,
    sent: AtomicU64,
}

impl Counters {
    /// Adds bytes that were read.
    pub fn add_received(&self, bytes: usize) {
        self.received.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Adds bytes that were written.
    pub fn add_sent(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Bytes read so far.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Bytes written so far.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }
}

/// How far a connection is, as far as the table knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The protocol's handshake is under way.
    Handshake,
    /// It has not been let in yet.
    Connecting,
    /// It was let in.
    Connected,
    /// It was told to go.
    Closing,
}

/// What has happened of a connection.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    shook_hands: AtomicBool,
    admitted: AtomicBool,
}

/// What the table and the connection's task share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) id: ConnId,
    pub(crate) peer: Peer,
    pub(crate) origin: Option<Origin>,
    pub(crate) opened_at: Mono,
    pub(crate) counters: Arc<Counters>,
    pub(crate) progress: Progress,
    pub(crate) kick: SetOnce<Kick>,
}

impl Shared {
    pub(crate) fn snapshot(&self, now: Mono) -> ConnectionSnapshot {
        ConnectionSnapshot {
            id: self.id,
            peer: self.peer,
            phase: self.phase(),
            age: now - self.opened_at,
            bytes_received: self.counters.received(),
            bytes_sent: self.counters.sent(),
        }
    }

    fn phase(&self) -> Phase {
        let Progress { shook_hands, admitted } = &self.progress;
        match (shook_hands.load(Ordering::Relaxed), admitted.load(Ordering::Relaxed)) {
            _ if self.kick.initialized() => Phase::Closing,
            (_, true) => Phase::Connected,
            (true, false) => Phase::Connecting,
            (false, false) => Phase::Handshake,
        }
    }
}

/// An open connection. Dropping it closes it with `client_disconnect`.
#[derive(Debug)]
pub struct Connection {
    table: Connections,
    shared: Arc<Shared>,
    /// Hooks that failed when the connection was asked about, and let it through.
    failopen: OnceLock<Vec<Text>>,
    end: EndReason,
}

impl Connection {
    /// Tells that it was accepted.
    pub(crate) fn accepted(table: Connections, shared: Arc<Shared>) -> Self {
        let Peer { client, server, protocol } = shared.peer;
        let end = EndReason::ClientDisconnect;
        let connection = Self { table, shared, failopen: OnceLock::new(), end };
        connection.table.bus().emit(
            &connection.scope(),
            &ConnectionAccept {
                client_ip: client.ip(),
                client_port: client.port(),
                server_ip: server.ip(),
                server_port: server.port(),
                protocol,
            },
        );
        connection
    }

    /// Its number.
    #[must_use]
    pub fn id(&self) -> ConnId {
        self.shared.id
    }

    /// Who is at the other end.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        &self.shared.peer
    }

    /// Under which the limits per address count it; `None` if they do not hold for it, as for loopback and proxies.
    #[must_use]
    pub fn origin(&self) -> Option<Origin> {
        self.shared.origin
    }

    /// When it was accepted.
    #[must_use]
    pub fn opened_at(&self) -> Mono {
        self.shared.opened_at
    }

    /// What events of the connection itself are about.
    #[must_use]
    pub fn scope(&self) -> Scope {
        Scope { conn_id: Some(self.shared.id), ..Scope::default() }
    }

    /// A number for a publish or play session of this connection, never given twice.
    #[must_use]
    pub fn next_session_id(&self) -> SessionId {
        self.table.next_session_id()
    }

    /// The gate let it in; these hooks failed and let it through. The first word counts.
    pub fn admit(&self, failopen: Vec<Text>) {
        // A client that connects twice is refused by its protocol.
        let _again = self.failopen.set(failopen);
        self.shared.progress.admitted.store(true, Ordering::Relaxed);
    }

    /// Hooks that failed when it was let in; its sessions carry them on.
    #[must_use]
    pub fn failopen(&self) -> &[Text] {
        self.failopen.get().map(Vec::as_slice).unwrap_or_default()
    }

    /// Counts bytes that were read from the socket.
    pub fn received(&self, bytes: usize) {
        self.shared.counters.add_received(bytes);
    }

    /// The counters, for whoever else reads or writes the socket.
    #[must_use]
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.shared.counters)
    }

    /// Tells that the protocol's handshake is done.
    pub fn handshake_complete(&self, tls: Tls) {
        self.shared.progress.shook_hands.store(true, Ordering::Relaxed);
        let elapsed = clock::now() - self.shared.opened_at;
        self.table.bus().emit(
            &self.scope(),
            &HandshakeComplete {
                client_ip: self.shared.peer.client.ip(),
                protocol: self.shared.peer.protocol,
                tls: tls == Tls::On,
                elapsed_ms: millis(elapsed),
            },
        );
    }

    /// Waits until somebody wants it gone. Cancel-safe, and may be asked again.
    pub async fn kicked(&self) -> Kick {
        self.kick().await
    }

    /// As [`Connection::kicked`], for a wait that lasts as long as the connection.
    pub fn kick(&self) -> impl Future<Output = Kick> + Send + use<> {
        let shared = Arc::clone(&self.shared);
        async move { shared.kick.wait().await.clone() }
    }

    /// Closes it: the socket is gone, or goes now.
    pub fn close(mut self, reason: EndReason) {
        self.end = reason;
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.table.forget(&self.shared);
        let open_for = clock::now() - self.shared.opened_at;
        self.table.bus().emit(
            &self.scope(),
            &ConnectionClose {
                client_ip: self.shared.peer.client.ip(),
                protocol: self.shared.peer.protocol,
                reason: self.end,
                duration_seconds: open_for.as_secs(),
                duration_ms: millis(open_for),
                bytes_received: self.shared.counters.received(),
                bytes_sent: self.shared.counters.sent(),
            },
        );
    }
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
