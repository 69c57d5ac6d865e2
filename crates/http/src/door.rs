//! Who is let in: connections in all and of each address, over all addresses that are listened on.

use jackfield_media::Mono;
use jackfield_net::{Admission, ConnectionLimits, Origin, Seldom, TooMany};
use jackfield_runtime::clock;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Counts the connections of one server.
#[derive(Debug)]
pub(crate) struct Door {
    limits: ConnectionLimits,
    admission: Mutex<Admission>,
}

impl Door {
    pub(crate) fn new(limits: ConnectionLimits) -> Self {
        Self { limits, admission: Mutex::default() }
    }

    /// Lets this client in, besides the `open` ones; `None` if it must be closed unserved, which is logged.
    pub(crate) fn enter(self: &Arc<Self>, peer: SocketAddr, open: usize) -> Option<Inside> {
        let now = clock::now();
        let origin = self.limits.origin(peer.ip());
        let admitted = self.admission().admit(now, origin, open, &self.limits);
        match admitted {
            Ok(()) => Some(Inside { door: Arc::clone(self), origin }),
            Err(error) => {
                log(now, peer, error);
                None
            }
        }
    }

    fn admission(&self) -> MutexGuard<'_, Admission> {
        self.admission.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// That nobody is let in any more is not hidden behind one address that comes too often.
fn log(now: Mono, peer: SocketAddr, error: TooMany) {
    static FULL: Seldom = Seldom::new();
    static OF_ADDRESS: Seldom = Seldom::new();
    let seldom = if matches!(error, TooMany::Total(_)) { &FULL } else { &OF_ADDRESS };
    if let Some(times) = seldom.now(now) {
        tracing::warn!(proto = "http", %peer, %error, times, "Too many connections");
    }
}

/// A connection that was let in, and counts until this is dropped.
#[derive(Debug)]
pub(crate) struct Inside {
    door: Arc<Door>,
    origin: Option<Origin>,
}

impl Drop for Inside {
    fn drop(&mut self) {
        self.door.admission().release(self.origin);
    }
}
