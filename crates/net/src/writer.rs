//! The sending side of a socket that several tasks share.
//!
//! A connection's own task writes replies, the tasks of the streams that it plays write media. Whoever
//! has something to say calls [`SocketWriter::send`]: it writes at once what the socket takes and queues
//! the rest, and never blocks. The connection's task calls [`SocketWriter::drive`], which sleeps until
//! something is queued and the socket takes more; so a player that keeps up wakes nobody.
//!
//! The queue is bounded by those who fill it: the hub looks at [`SocketWriter::backlog`] before each
//! batch and drops to the next key frame (full-policy `DropToKeyframe`), the connection's task stops
//! reading while too many [`Class::Control`] bytes wait.
//!
//! Under TLS the same holds of plaintext: it is encrypted when the socket may take it, and at most 64 KiB wait
//! encrypted. They count as waiting until the socket has taken all of them.

use crate::Socket;
use crate::tls::{Drained, TlsSocket};
use bytes::{Buf, Bytes};
use jackfield_media::Mono;
use rustix::net::SendFlags;
use socket2::SockRef;
use std::collections::VecDeque;
use std::fmt;
use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Slices of one write. The kernel takes 1024; few writes have more than a handful.
const SLICES: usize = 64;

/// What bytes are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Replies to the peer: it decides how many there are.
    Control,
    /// Media: the hub decides how many there are.
    Media,
}

/// Bytes to be written.
#[derive(Debug, Clone, Copy)]
pub enum Piece<'a> {
    /// Shared with others: if it must be queued, only a reference is.
    Shared(&'a Bytes),
    /// This writer's own: if it must be queued, it is copied.
    Own(&'a [u8]),
}

impl Piece<'_> {
    /// How many bytes it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.as_slice().len()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.as_slice().is_empty()
    }

    fn as_slice(&self) -> &[u8] {
        match self {
            Self::Shared(bytes) => bytes,
            Self::Own(bytes) => bytes,
        }
    }

    /// What is left after `skip` bytes.
    fn rest(&self, skip: usize) -> Bytes {
        match self {
            Self::Shared(bytes) => bytes.slice(skip.min(bytes.len())..),
            Self::Own(bytes) => Bytes::copy_from_slice(bytes.get(skip..).unwrap_or_default()),
        }
    }
}

/// What waits for the socket.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Bytes in the queue.
    pub bytes: usize,
    /// Those of them that are [`Class::Control`].
    pub control_bytes: usize,
    /// When the oldest of them was queued.
    pub since: Option<Mono>,
    /// Bytes that the socket has taken.
    pub sent_bytes: u64,
}

/// The sending side of a socket. Clones are the same one.
#[derive(Debug, Clone)]
pub struct SocketWriter(Arc<Inner>);

struct Inner {
    socket: Socket,
    state: Mutex<State>,
    /// Something was queued, or writing failed.
    queued: Notify,
    on_sent: Box<dyn Fn(usize) + Send + Sync>,
}

/// So many bytes are told at once to `on_sent`: what counts them lies elsewhere in memory, and a stream's task that writes
/// to hundreds of players would wait for that memory at each of them.
const TOLD_BYTES: usize = 64 << 10;

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Queued>,
    /// When the oldest bytes of the last write were given: those that may wait encrypted.
    written_at: Option<Mono>,
    bytes: usize,
    control_bytes: usize,
    sent_bytes: u64,
    /// Bytes of them that `on_sent` was not told yet.
    untold: usize,
    failed: Option<io::ErrorKind>,
}

#[derive(Debug)]
struct Queued {
    bytes: Bytes,
    class: Class,
    at: Mono,
}

impl SocketWriter {
    /// A writer for this socket. `on_sent` is told how many bytes the socket took, in plaintext; it must only count.
    /// It may lag by 64 KiB until [`SocketWriter::settle`].
    #[must_use]
    pub fn new(socket: impl Into<Socket>, on_sent: impl Fn(usize) + Send + Sync + 'static) -> Self {
        let (socket, on_sent) = (socket.into(), Box::new(on_sent));
        Self(Arc::new(Inner { socket, state: Mutex::default(), queued: Notify::new(), on_sent }))
    }

    /// Writes the pieces, one after the other and nothing between them; queues what the socket does not
    /// take. After a failure they are dropped, and [`SocketWriter::drive`] tells it. Returns what waits then.
    pub fn send(&self, now: Mono, class: Class, pieces: &[Piece<'_>]) -> Backlog {
        let inner = &*self.0;
        let mut state = inner.state();
        if state.failed.is_some() {
            return inner.backlog(&state);
        }
        let mut taken = 0;
        if inner.write_queue(&mut state) == Room::Some {
            state.written_at = Some(now);
            taken = inner.write_pieces(&mut state, pieces);
        }
        for piece in pieces {
            let len = piece.len();
            if taken >= len {
                taken -= len;
                continue;
            }
            state.push(Queued { bytes: piece.rest(taken), class, at: now });
            taken = 0;
        }
        let backlog = inner.backlog(&state);
        let wake = backlog.bytes > 0 || state.failed.is_some();
        drop(state);
        if wake {
            inner.queued.notify_one();
        }
        backlog
    }

    /// What waits for the socket.
    #[must_use]
    pub fn backlog(&self) -> Backlog {
        self.0.backlog(&self.0.state())
    }

    /// Tells `on_sent` what it was not told yet.
    pub fn settle(&self) {
        self.0.tell(&mut self.0.state());
    }

    /// Whether writing has failed: the peer is gone.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.0.state().failed.is_some()
    }

    /// Writes what is queued whenever the socket takes it, until writing fails. Cancel-safe; one task of
    /// a connection should be in here whenever it waits.
    pub async fn drive(&self) -> io::ErrorKind {
        loop {
            match self.flush().await {
                Ok(()) => self.0.queued.notified().await,
                Err(kind) => return kind,
            }
        }
    }

    /// Returns when nothing waits for the socket any more. Cancel-safe.
    ///
    /// # Errors
    /// When writing fails.
    pub async fn flush(&self) -> Result<(), io::ErrorKind> {
        let inner = &*self.0;
        loop {
            let waits = {
                let mut state = inner.state();
                let room = inner.write_queue(&mut state);
                if let Some(kind) = state.failed {
                    return Err(kind);
                }
                room == Room::None
            };
            if !waits {
                return Ok(());
            }
            inner.socket.tcp().writable().await.map_err(|error| error.kind())?;
        }
    }

    /// Tells the peer that nothing more will be written. What is queued must have been flushed.
    pub fn shut_down(&self) {
        let socket = &self.0.socket;
        if let Socket::Tls(tls) = socket {
            tls.say_end();
        }
        // The peer may have closed already: there is nobody to be told then.
        drop(SockRef::from(socket.tcp()).shutdown(Shutdown::Write));
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Room {
    /// The queue is empty and the socket may take more.
    Some,
    /// The socket takes nothing now.
    None,
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner").field("state", &self.state).finish_non_exhaustive()
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn backlog(&self, state: &State) -> Backlog {
        let sealed = self.sealed(state);
        let oldest = || state.queue.front().map(|queued| queued.at);
        Backlog {
            bytes: state.bytes + sealed,
            control_bytes: state.control_bytes,
            since: if sealed > 0 { state.written_at } else { oldest() },
            sent_bytes: state.sent_bytes.saturating_sub(sealed as u64),
        }
    }

    fn count_sent(&self, state: &mut State, bytes: usize) {
        state.sent_bytes += bytes as u64;
        state.untold += bytes;
        if state.untold >= TOLD_BYTES {
            self.tell(state);
        }
    }

    fn tell(&self, state: &mut State) {
        (self.on_sent)(std::mem::take(&mut state.untold));
    }

    /// Bytes that wait encrypted.
    fn sealed(&self, state: &State) -> usize {
        match &self.socket {
            Socket::Tls(tls) if state.failed.is_none() => tls.sealed(),
            _ => 0,
        }
    }

    /// Writes what waits encrypted.
    fn drain(tls: &TlsSocket, state: &mut State) -> Room {
        match tls.drain() {
            Ok(Drained::Yes) => return Room::Some,
            Ok(Drained::No) => {}
            Err(error) => state.fail(error.kind()),
        }
        Room::None
    }

    /// Writes from the queue until it is empty or the socket is full.
    fn write_queue(&self, state: &mut State) -> Room {
        while !state.queue.is_empty() && state.failed.is_none() {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let mut count = 0;
            for (slice, queued) in slices.iter_mut().zip(&state.queue) {
                *slice = IoSlice::new(&queued.bytes);
                count += 1;
            }
            match self.write(slices.get(..count).unwrap_or_default()) {
                Ok(taken) => {
                    state.written_at = state.queue.front().map(|queued| queued.at);
                    self.count_sent(state, taken);
                    state.pop(taken);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Room::None,
                Err(error) => state.fail(error.kind()),
            }
        }
        match &self.socket {
            _ if state.failed.is_some() => Room::None,
            Socket::Plain(_) => Room::Some,
            Socket::Tls(tls) => Self::drain(tls, state),
        }
    }

    /// Writes pieces without queueing; says how many bytes the socket took.
    fn write_pieces(&self, state: &mut State, pieces: &[Piece<'_>]) -> usize {
        let mut total = 0;
        for group in pieces.chunks(SLICES) {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let mut wanted = 0;
            for (slice, piece) in slices.iter_mut().zip(group) {
                *slice = IoSlice::new(piece.as_slice());
                wanted += slice.len();
            }
            match self.write_now(slices.get(..group.len()).unwrap_or_default()) {
                Ok(taken) => {
                    self.count_sent(state, taken);
                    total += taken;
                    // A short write: the socket is full, or nearly; the queue finds out.
                    if taken < wanted {
                        return total;
                    }
                }
                Err(error) => {
                    if error.kind() != io::ErrorKind::WouldBlock {
                        state.fail(error.kind());
                    }
                    return total;
                }
            }
        }
        total
    }

    fn write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        complete(slices, || match &self.socket {
            Socket::Plain(stream) => stream.try_write_vectored(slices),
            Socket::Tls(tls) => tls.write(slices),
        })
    }

    /// As [`Inner::write`], without asking the runtime first whether the socket was full lately: that is one more place in
    /// memory for each player, and mostly it was not. If it was, the kernel says so, and the queue asks the runtime.
    fn write_now(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        complete(slices, || match &self.socket {
            Socket::Plain(stream) => Ok(match slices {
                // One slice needs no list of them, and a socket no position of a file.
                [slice] => rustix::net::send(stream, slice, SendFlags::NOSIGNAL | SendFlags::DONTWAIT)?,
                slices => rustix::io::writev(stream, slices)?,
            }),
            Socket::Tls(tls) => tls.write(slices),
        })
    }
}

/// Writes until something was written or nothing can be.
fn complete(slices: &[IoSlice<'_>], write: impl Fn() -> io::Result<usize>) -> io::Result<usize> {
    if slices.iter().all(|slice| slice.is_empty()) {
        return Ok(0);
    }
    loop {
        match write() {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            written => return written,
        }
    }
}

impl State {
    fn push(&mut self, queued: Queued) {
        if self.failed.is_some() || queued.bytes.is_empty() {
            return;
        }
        self.count(&queued, queued.bytes.len());
        self.queue.push_back(queued);
    }

    fn count(&mut self, queued: &Queued, bytes: usize) {
        self.bytes += bytes;
        if queued.class == Class::Control {
            self.control_bytes += bytes;
        }
    }

    /// Forgets what the socket took.
    fn pop(&mut self, taken: usize) {
        let mut taken = taken;
        self.bytes = self.bytes.saturating_sub(taken);
        while let Some(front) = self.queue.front_mut() {
            let part = taken.min(front.bytes.len());
            front.bytes.advance(part);
            taken -= part;
            if front.class == Class::Control {
                self.control_bytes = self.control_bytes.saturating_sub(part);
            }
            if !front.bytes.is_empty() {
                return;
            }
            self.queue.pop_front();
        }
        // A queue that was long once must not hold its memory for ever.
        if self.queue.capacity() > SLICES {
            self.queue.shrink_to(SLICES);
        }
    }

    fn fail(&mut self, kind: io::ErrorKind) {
        let Self { sent_bytes, untold, .. } = *self;
        *self = Self { failed: Some(kind), sent_bytes, untold, ..Self::default() };
    }
}

#[cfg(test)]
mod tests;
