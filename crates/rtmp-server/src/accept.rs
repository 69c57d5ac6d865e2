//! From a socket that was accepted to a connection with a task.

use crate::read_buffer::{Read, ReadBuffer};
use crate::server::Shared;
use crate::task::ConnectionTask;
use bytes::{Buf, Bytes, BytesMut};
use jackfield_events::Protocol;
use jackfield_net::proxy::{self, Addresses, ProxyError, Start};
use jackfield_net::{Accepted, Listener};
use jackfield_runtime::clock;
use jackfield_sessions::Peer;
use std::sync::Arc;
use tokio::net::TcpStream;
use tracing::Instrument;

/// Accepts until the service stops. Each connection gets its task at once, so that no client is waited for.
pub(crate) async fn run(shared: Arc<Shared>, listener: Listener) {
    let stopping = shared.tasks.stopping();
    loop {
        tokio::select! {
            biased;
            () = stopping.cancelled() => return,
            accepted = listener.accept() => {
                drop(shared.tasks.spawn("rtmp-connection", serve(Arc::clone(&shared), accepted)));
            }
        }
    }
}

async fn serve(shared: Arc<Shared>, accepted: Accepted) {
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
    let peer = Peer { client: ends.client, server: ends.server, protocol: Protocol::Rtmp };
    match shared.deps.connections.open(peer) {
        Ok(connection) => {
            let span = tracing::info_span!("rtmp", conn = %connection.id());
            let task = ConnectionTask::new(shared, connection, stream, reader);
            // On the heap, so that a peer that never gets this far costs little.
            Box::pin(task.run(first)).instrument(span).await;
        }
        Err(error) => shared.counters.over_limit(peer.client, &error),
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
        match reader.read(stream) {
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
