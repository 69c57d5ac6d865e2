//! From a socket that was accepted to a connection with a task.

use crate::read_buffer::{Read, ReadBuffer};
use crate::server::Shared;
use crate::task::ConnectionTask;
use bytes::{Buf, Bytes, BytesMut};
use jackfield_events::{EndReason, Protocol};
use jackfield_net::proxy::{self, Addresses, ProxyError, Start};
use jackfield_net::tls::{HandshakeError, ServerTls, TlsSocket};
use jackfield_net::{Accepted, Listener};
use jackfield_runtime::clock;
use jackfield_sessions::{Connection, Peer};
use std::sync::Arc;
use tokio::net::TcpStream;
use tracing::Instrument;

/// Accepts until the service closes or stops. Each connection gets its task at once, so that no client is waited for.
pub(crate) async fn run(shared: Arc<Shared>, listener: Listener, tls: Option<ServerTls>) {
    let closing = shared.closing.clone();
    loop {
        tokio::select! {
            biased;
            () = closing.cancelled() => return,
            accepted = listener.accept() => {
                let serving = serve(Arc::clone(&shared), accepted, tls.clone());
                drop(shared.tasks.spawn("rtmp-connection", serving));
            }
        }
    }
}

/// Serves one client to its end.
pub(crate) async fn serve(shared: Arc<Shared>, accepted: Accepted, tls: Option<ServerTls>) {
    let Accepted { stream, peer, local } = accepted;
    let mut reader = ReadBuffer::new();
    let mut ends = Addresses { client: peer, server: local };
    let mut first = Bytes::new();
    if shared.config.trusted_proxies.contains(peer.ip()) {
        let deadline = clock::now().after(shared.config.session.handshake_timeout);
        match clock::until(deadline, behind_proxy(&stream, &mut reader)).await {
            Some(Ok(Some(behind))) => {
                ends = behind.addresses.unwrap_or(ends);
                first = behind.first;
            }
            // A proxy that looks whether we listen, and goes again.
            Some(Ok(None)) => return,
            Some(Err(error)) => return shared.counters.bad_proxy(peer, &error),
            None => return shared.counters.bad_proxy(peer, &ProxyError::Short),
        }
    }
    let protocol = if tls.is_some() { Protocol::Rtmps } else { Protocol::Rtmp };
    let peer = Peer { client: ends.client, server: ends.server, protocol };
    let connection = match shared.deps.connections.open(peer) {
        Ok(connection) => connection,
        Err(error) => return shared.counters.over_limit(peer.client, &error),
    };
    let span = tracing::info_span!("rtmp", conn = %connection.id());
    let served = async {
        let (socket, first) = match tls {
            None => (Arc::new(stream).into(), first),
            // On the heap, so that who needs none of it does not pay for it.
            Some(tls) => match Box::pin(handshake(&shared, &connection, stream, &tls, first)).await {
                Ok(socket) => (socket.into(), Bytes::new()),
                Err(reason) => return connection.close(reason),
            },
        };
        let task = Box::new(ConnectionTask::new(shared, connection, socket, reader));
        // On the heap, so that a peer that never gets this far costs little.
        Box::pin(task.run(first)).await;
    };
    served.instrument(span).await;
}

/// Shakes hands within the time that a client has for its whole handshake.
async fn handshake(
    shared: &Shared,
    connection: &Connection,
    stream: TcpStream,
    tls: &ServerTls,
    first: Bytes,
) -> Result<Arc<TlsSocket>, EndReason> {
    let client = connection.peer().client;
    let socket = match TlsSocket::server(stream, tls, first) {
        Ok(socket) => Arc::new(socket),
        Err(error) => {
            tracing::error!(%error, "TLS cannot be served");
            return Err(EndReason::ProtocolError);
        }
    };
    let deadline = connection.opened_at().after(shared.config.session.handshake_timeout);
    let stopping = shared.tasks.stopping();
    let shaken = tokio::select! {
        biased;
        () = stopping.cancelled() => return Err(EndReason::ServerShutdown),
        kick = connection.kicked() => return Err(kick.reason),
        shaken = clock::until(deadline, socket.handshake()) => shaken,
    };
    match shaken {
        Some(Ok(())) => {
            let (server_name, version) = socket.agreed();
            tracing::debug!(?version, server_name, "TLS handshake done");
            Ok(socket)
        }
        Some(Err(HandshakeError::Gone | HandshakeError::Io(_))) => Err(EndReason::ClientDisconnect),
        Some(Err(error)) => {
            shared.counters.bad_tls(client, &error);
            Err(EndReason::ProtocolError)
        }
        None => {
            tracing::debug!("The TLS handshake took too long");
            Err(EndReason::Timeout)
        }
    }
}

/// What a trusted proxy told, and what came after it.
struct Behind {
    addresses: Option<Addresses>,
    first: Bytes,
}

/// Reads the PROXY header. `None` if the peer left before it sent anything that counts.
async fn behind_proxy(stream: &TcpStream, reader: &mut ReadBuffer) -> Result<Option<Behind>, ProxyError> {
    let mut input = BytesMut::new();
    loop {
        if stream.readable().await.is_err() {
            return Ok(None);
        }
        match reader.read_plain(stream) {
            Ok(Read::Some(bytes)) => input.extend_from_slice(&bytes),
            Ok(Read::Nothing) => continue,
            Ok(Read::End) | Err(_) if input.is_empty() => return Ok(None),
            Ok(Read::End) | Err(_) => return Err(ProxyError::Short),
        }
        match proxy::read(&input)? {
            Start::Partial => {}
            Start::Absent => return Ok(Some(Behind { addresses: None, first: input.freeze() })),
            Start::Header { addresses, length } => {
                input.advance(length.min(input.len()));
                return Ok(Some(Behind { addresses, first: input.freeze() }));
            }
        }
    }
}
