//! What is known of the load on our side: who publishes what, whose end was wanted, who was kicked.

use crate::findings::Findings;
use crate::sequence::Terms;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use tokio::sync::{Notify, mpsc};

/// Terms of a stream that are remembered.
const TERMS: usize = 16;

/// Shared by the whole load.
#[derive(Debug)]
pub(crate) struct Board {
    pub(crate) findings: Arc<Findings>,
    pub(crate) streams: Vec<Stream>,
    /// Where the server listens.
    pub(crate) address: std::net::SocketAddr,
    pub(crate) counts: Counts,
    /// All players leave at once, and come again.
    pub(crate) storm: Notify,
    next_viewer: AtomicU64,
    kicked: Mutex<HashSet<u64>>,
    /// Connections by what stands in their query.
    playing: Mutex<HashMap<u64, u64>>,
    publishing: Mutex<HashMap<(u16, u32), u64>>,
}

/// For the lines on the screen.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) viewers: AtomicU64,
    pub(crate) joined: AtomicU64,
    pub(crate) publishers: AtomicU64,
    pub(crate) frames: AtomicU64,
    pub(crate) events: AtomicU64,
    pub(crate) kicks: AtomicU64,
    pub(crate) takeovers: AtomicU64,
    pub(crate) visits: AtomicU64,
    /// How many milliseconds a player of a stream on the air waited for its stream at most, since the last line.
    pub(crate) join_ms: AtomicU64,
    /// By how many milliseconds the load itself was late at most, since the last line.
    pub(crate) late_ms: AtomicU64,
}

/// Why a term ends, as far as we want it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The publisher says goodbye.
    Clean,
    /// Its socket just closes.
    Broken,
    /// It is kicked.
    Kicked,
    /// Another publisher takes over.
    Superseded,
}

/// One publisher of a stream, from its start to its end.
#[derive(Debug)]
pub(crate) struct Term {
    pub(crate) number: u32,
    /// Pictures that were sent.
    pub(crate) sent: AtomicU32,
    fate: OnceLock<Fate>,
}

impl Term {
    pub(crate) fn fate(&self) -> Option<Fate> {
        self.fate.get().copied()
    }

    pub(crate) fn sent(&self) -> u32 {
        self.sent.load(Ordering::Acquire)
    }
}

/// What somebody does to a stream from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// Another publisher takes it over.
    TakeOver,
}

/// A stream and its publishers.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) number: u16,
    pub(crate) orders: mpsc::Sender<Order>,
    /// Even while it is on the air, odd while it is not or may not be.
    life: AtomicU64,
    terms: Mutex<BTreeMap<u32, Arc<Term>>>,
}

impl Stream {
    pub(crate) fn new(number: u16, orders: mpsc::Sender<Order>) -> Self {
        Self { number, orders, life: AtomicU64::new(1), terms: Mutex::default() }
    }

    /// Its name on the server, without the app.
    pub(crate) fn name(&self) -> String {
        format!("s{:02}", self.number)
    }

    /// Another publisher is about to begin.
    pub(crate) fn begin_term(&self) -> Arc<Term> {
        let mut terms = locked(&self.terms);
        let number = terms.last_key_value().map_or(1, |(last, _)| last + 1);
        let term = Arc::new(Term { number, sent: AtomicU32::new(0), fate: OnceLock::new() });
        terms.insert(number, Arc::clone(&term));
        while terms.len() > TERMS {
            terms.pop_first();
        }
        term
    }

    /// It was told that it may send.
    pub(crate) fn on_air(&self) {
        self.life.fetch_add(self.life.load(Ordering::Acquire) % 2, Ordering::AcqRel);
    }

    /// Says why a term is to end, before anything is done to it; whether nobody else has.
    pub(crate) fn end(&self, term: &Term, fate: Fate) -> bool {
        if term.fate.set(fate).is_err() {
            return false;
        }
        if fate != Fate::Superseded {
            self.off_air();
        }
        true
    }

    /// Its players must expect their end.
    pub(crate) fn off_air(&self) {
        self.life.fetch_add((self.life.load(Ordering::Acquire) + 1) % 2, Ordering::AcqRel);
    }

    /// Another number once players had to expect their end; odd while they do.
    pub(crate) fn life(&self) -> u64 {
        self.life.load(Ordering::Acquire)
    }

    /// Whether nobody who began to look then had to expect an end.
    pub(crate) fn was_on_air_since(&self, life: u64) -> bool {
        life.is_multiple_of(2) && self.life() == life
    }

    pub(crate) fn term(&self, number: u32) -> Option<Arc<Term>> {
        locked(&self.terms).get(&number).cloned()
    }

    /// The newest.
    pub(crate) fn current(&self) -> Option<Arc<Term>> {
        locked(&self.terms).last_key_value().map(|(_, term)| Arc::clone(term))
    }
}

impl Terms for Stream {
    fn sent(&self, term: u32) -> Option<u32> {
        self.term(term).map(|term| term.sent())
    }
}

impl Board {
    pub(crate) fn new(findings: Arc<Findings>, address: std::net::SocketAddr, streams: Vec<Stream>) -> Self {
        Self {
            findings,
            streams,
            address,
            counts: Counts::default(),
            storm: Notify::new(),
            next_viewer: AtomicU64::new(1),
            kicked: Mutex::default(),
            playing: Mutex::default(),
            publishing: Mutex::default(),
        }
    }

    pub(crate) fn url(&self, name: &str) -> String {
        format!("rtmp://{}/live/{name}", self.address)
    }

    pub(crate) fn next_viewer(&self) -> u64 {
        self.next_viewer.fetch_add(1, Ordering::Relaxed)
    }

    /// Says that a player will be kicked, before it is.
    pub(crate) fn kick(&self, viewer: u64) {
        locked(&self.kicked).insert(viewer);
    }

    /// Whether it was; asked once, when it has gone.
    pub(crate) fn was_kicked(&self, viewer: u64) -> bool {
        locked(&self.kicked).contains(&viewer)
    }

    /// It has gone, and nobody asks any more.
    pub(crate) fn forget(&self, viewer: u64) {
        locked(&self.kicked).remove(&viewer);
    }

    /// The server told of a player's connection, or of its end.
    pub(crate) fn plays(&self, viewer: u64, connection: Option<u64>) {
        keep(&self.playing, viewer, connection);
    }

    /// The server told of a publisher's connection, or of its end.
    pub(crate) fn publishes(&self, stream: u16, term: u32, connection: Option<u64>) {
        keep(&self.publishing, (stream, term), connection);
    }

    /// Any player, with its connection.
    pub(crate) fn any_player(&self, chance: u64) -> Option<(u64, u64)> {
        let playing = locked(&self.playing);
        let at = usize::try_from(chance).unwrap_or(0) % playing.len().max(1);
        playing.iter().nth(at).map(|(viewer, connection)| (*viewer, *connection))
    }

    /// The connection of a publisher.
    pub(crate) fn publisher(&self, stream: u16, term: u32) -> Option<u64> {
        locked(&self.publishing).get(&(stream, term)).copied()
    }
}

fn keep<K: Eq + std::hash::Hash>(map: &Mutex<HashMap<K, u64>>, key: K, connection: Option<u64>) {
    let mut map = locked(map);
    match connection {
        Some(connection) => map.insert(key, connection),
        None => map.remove(&key),
    };
}

pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_takeover_is_no_reason_to_leave_and_every_other_end_is() {
        let stream = Stream::new(1, mpsc::channel(1).0);
        assert!(!stream.was_on_air_since(stream.life()));
        let first = stream.begin_term();
        stream.on_air();
        let life = stream.life();
        assert!(stream.end(&first, Fate::Superseded) && !stream.end(&first, Fate::Clean));
        let second = stream.begin_term();
        stream.on_air();
        assert!(stream.was_on_air_since(life));
        assert!(stream.end(&second, Fate::Kicked));
        assert!(!stream.was_on_air_since(life) && !stream.was_on_air_since(stream.life()));
        stream.begin_term();
        stream.on_air();
        assert!(!stream.was_on_air_since(life) && stream.was_on_air_since(stream.life()));
        assert_eq!((first.fate(), second.fate()), (Some(Fate::Superseded), Some(Fate::Kicked)));
    }
}
