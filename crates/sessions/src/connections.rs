//! The table of all connections.

use crate::connection::{Connection, Kick, Peer, Phase, Progress, Shared};
use crate::refusals::{RefusalPace, reason};
use crate::{ConnectionLimits, TooMany};
use jackfield_bus::Bus;
use jackfield_events::notices::ConnectionRefused;
use jackfield_events::{ConnectionRefusal, Scope};
use jackfield_media::{ConnId, SessionId};
use jackfield_net::Admission;
use jackfield_runtime::clock;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::SetOnce;

/// There is no connection of that number, or not any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no connection {0}")]
pub struct Unknown(pub ConnId);

/// A connection as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionSnapshot {
    /// Its number.
    pub id: ConnId,
    /// Who is at the other end.
    pub peer: Peer,
    /// How far it is.
    pub phase: Phase,
    /// How long it has been open.
    pub age: Duration,
    /// Bytes read from its socket.
    pub bytes_received: u64,
    /// Bytes written to its socket.
    pub bytes_sent: u64,
}

/// What the table has counted since the server started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConnectionTotals {
    /// Connections that were taken in.
    pub opened: u64,
    /// Those that were turned away, by reason.
    pub refused: Vec<(ConnectionRefusal, u64)>,
    /// Bytes read from all sockets, those of connections that have ended included.
    pub bytes_received: u64,
    /// Bytes written to them.
    pub bytes_sent: u64,
}

/// All open connections. Clones are the same table.
#[derive(Clone)]
pub struct Connections(Arc<Inner>);

struct Inner {
    bus: Bus,
    limits: ConnectionLimits,
    next_session: AtomicU64,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    last: u64,
    open: BTreeMap<ConnId, Arc<Shared>>,
    opened: u64,
    /// Bytes of the connections that have ended: received and sent.
    ended: (u64, u64),
    admission: Admission,
    refused: RefusalPace,
}

impl Connections {
    /// An empty table.
    #[must_use]
    pub fn new(bus: Bus, limits: ConnectionLimits) -> Self {
        Self::numbered_after(bus, limits, ConnId(0), SessionId(0))
    }

    /// An empty table whose connections and sessions are numbered on from these.
    #[must_use]
    pub fn numbered_after(bus: Bus, limits: ConnectionLimits, last: ConnId, session: SessionId) -> Self {
        Self(Arc::new(Inner {
            bus,
            limits,
            next_session: AtomicU64::new(session.0 + 1),
            table: Mutex::new(Table { last: last.0, ..Table::default() }),
        }))
    }

    /// Takes in a peer that was accepted, numbers it and tells `connection_accept`.
    ///
    /// # Errors
    /// [`TooMany`] when a limit is reached: close the socket. No event of the connection was told; that some are
    /// turned away is told now and then, by `connection_refused`.
    pub fn open(&self, peer: Peer) -> Result<Connection, TooMany> {
        let origin = self.0.limits.origin(peer.client.ip());
        let now = clock::now();
        let shared = {
            let mut table = self.table();
            let open = table.open.len();
            if let Err(error) = table.admission.admit(now, origin, open, &self.0.limits) {
                let due = table.refused.one(now, reason(error));
                drop(table);
                self.refused(peer, error, due);
                return Err(error);
            }
            table.last += 1;
            table.opened += 1;
            let shared = Arc::new(Shared {
                id: ConnId(table.last),
                peer,
                origin,
                opened_at: now,
                counters: Arc::default(),
                progress: Progress::default(),
                kick: SetOnce::new(),
            });
            table.open.insert(shared.id, Arc::clone(&shared));
            shared
        };
        Ok(Connection::accepted(self.clone(), shared))
    }

    /// Tells a connection's own task that it must go. The first kick counts.
    ///
    /// # Errors
    /// [`Unknown`] if it is not open.
    pub fn kick(&self, id: ConnId, kick: Kick) -> Result<(), Unknown> {
        let shared = self.table().open.get(&id).map(Arc::clone).ok_or(Unknown(id))?;
        // It leaves already if it was kicked before.
        drop(shared.kick.set(kick));
        Ok(())
    }

    /// All open connections, in the order of their numbers.
    #[must_use]
    pub fn list(&self) -> Vec<ConnectionSnapshot> {
        let now = clock::now();
        let open: Vec<Arc<Shared>> = self.table().open.values().map(Arc::clone).collect();
        open.iter().map(|shared| shared.snapshot(now)).collect()
    }

    /// The connection of this number, if it is open.
    #[must_use]
    pub fn find(&self, id: ConnId) -> Option<ConnectionSnapshot> {
        let shared = self.table().open.get(&id).map(Arc::clone)?;
        Some(shared.snapshot(clock::now()))
    }

    /// How many are open.
    #[must_use]
    pub fn count(&self) -> usize {
        self.table().open.len()
    }

    /// What has been counted since the server started.
    #[must_use]
    pub fn totals(&self) -> ConnectionTotals {
        let table = self.table();
        let open = || table.open.values().map(|shared| &shared.counters);
        ConnectionTotals {
            opened: table.opened,
            refused: table.refused.all(),
            bytes_received: table.ended.0 + open().map(|counters| counters.received()).sum::<u64>(),
            bytes_sent: table.ended.1 + open().map(|counters| counters.sent()).sum::<u64>(),
        }
    }

    /// The number of the next publish or play session.
    #[must_use]
    pub fn next_session_id(&self) -> SessionId {
        SessionId(self.0.next_session.fetch_add(1, Ordering::Relaxed))
    }

    pub(crate) fn bus(&self) -> &Bus {
        &self.0.bus
    }

    pub(crate) fn forget(&self, shared: &Shared) {
        let mut table = self.table();
        if table.open.remove(&shared.id).is_some() {
            table.ended.0 += shared.counters.received();
            table.ended.1 += shared.counters.sent();
            table.admission.release(shared.origin);
        }
    }

    /// Tells that connections are turned away, if that is due: `times` since it was told last.
    fn refused(&self, peer: Peer, error: TooMany, times: Option<u64>) {
        if let Some(times) = times {
            let (client_ip, protocol, reason) = (peer.client.ip(), peer.protocol, reason(error));
            self.0.bus.emit(&Scope::default(), &ConnectionRefused { client_ip, protocol, reason, times });
        }
    }

    fn table(&self) -> std::sync::MutexGuard<'_, Table> {
        self.0.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections").field("count", &self.count()).finish_non_exhaustive()
    }
}
