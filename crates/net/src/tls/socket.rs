//! A socket under TLS, shared by the one who reads it and those who write to it.
//!
//! The cryptographic state stands behind one lock that is never held across an await. Writing encrypts only as
//! much as the library's buffer holds (64 KiB), and nothing more before the socket has taken all of that: so what
//! waits stays plaintext in the writer's queue, where it is counted.

use super::ServerTls;
use bytes::{Buf, Bytes, BytesMut};
use rustls::{Connection, ServerConnection};
use std::fmt;
use std::io::{self, BufRead, IoSlice, Read, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::net::TcpStream;

/// The first byte of a TLS connection: a record that carries a handshake (RFC 8446 §5.1).
const HANDSHAKE_RECORD: u8 = 0x16;
/// The first byte of an RTMP connection, which is the most likely to come in clear text (RTMP 1.0 §5.2.2).
const RTMP_VERSION: u8 = 3;
/// Slices of plaintext that are encrypted at once.
const SLICES: usize = 64;

/// Why a handshake did not end well.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// The peer speaks something else.
    #[error("the first byte is {0:#04x}, not TLS{hint}", hint = hint(*_0))]
    NotTls(u8),
    /// The peer left.
    #[error("the peer left in the middle of the handshake")]
    Gone,
    /// The socket failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The two cannot agree, or the peer breaks the protocol.
    #[error(transparent)]
    Tls(#[from] rustls::Error),
}

fn hint(first: u8) -> &'static str {
    if first == RTMP_VERSION { " but RTMP in clear text" } else { "" }
}

/// What reading gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    /// Plaintext was added to the buffer.
    Some,
    /// Nothing waits.
    Nothing,
    /// The peer sends no more, whether it said so or was cut off: the protocol within knows whether it was done.
    End,
}

/// An encrypted socket.
pub struct TlsSocket {
    stream: TcpStream,
    state: Mutex<State>,
}

struct State {
    connection: Connection,
    /// Read from the socket before it was known to be encrypted.
    early: Bytes,
    /// The first byte of all.
    first: Option<u8>,
    /// Plaintext bytes that were encrypted last and whose ciphertext the socket has not taken whole.
    sealed: usize,
}

/// What a step of the handshake waits for.
enum Wants {
    Readable,
    Writable,
    Nothing,
}

impl TlsSocket {
    /// The server's side. `early` was read from the socket already, behind a proxy's header.
    ///
    /// # Errors
    /// When the settings cannot be used.
    pub fn server(stream: TcpStream, tls: &ServerTls, early: Bytes) -> Result<Self, rustls::Error> {
        let connection = ServerConnection::new(tls.config())?;
        Ok(Self::new(stream, connection.into(), early))
    }

    fn new(stream: TcpStream, connection: Connection, early: Bytes) -> Self {
        let state = State { connection, early, first: None, sealed: 0 };
        Self { stream, state: Mutex::new(state) }
    }

    /// The socket itself, to wait for it.
    #[must_use]
    pub fn tcp(&self) -> &TcpStream {
        &self.stream
    }

    /// Shakes hands. Cancel-safe; the caller brings the deadline.
    ///
    /// # Errors
    /// [`HandshakeError`]. The peer has been sent the alert for it, if the socket took it.
    pub async fn handshake(&self) -> Result<(), HandshakeError> {
        loop {
            let wants = self.state().shake(&self.stream)?;
            match wants {
                Wants::Nothing => return Ok(()),
                Wants::Readable => self.stream.readable().await?,
                Wants::Writable => self.stream.writable().await?,
            }
        }
    }

    /// The host name that the client asked for, and the version in use, once the handshake is done.
    #[must_use]
    pub fn agreed(&self) -> (Option<String>, Option<rustls::ProtocolVersion>) {
        let state = self.state();
        let name = match &state.connection {
            Connection::Server(server) => server.server_name().map(str::to_owned),
            Connection::Client(_) => None,
        };
        (name, state.connection.protocol_version())
    }

    /// Adds the plaintext that is there to the buffer, without waiting, until it has about `most` bytes. Before
    /// the next wait for the socket it must be called until it says [`Received::Nothing`] or has given fewer.
    ///
    /// # Errors
    /// As the socket says, and when the peer breaks the protocol.
    pub fn read(&self, buffer: &mut BytesMut, most: usize) -> io::Result<Received> {
        let mut state = self.state();
        loop {
            if state.take_plaintext(buffer)? == Received::End {
                return Ok(some_or(buffer, Received::End));
            }
            if buffer.len() >= most {
                return Ok(Received::Some);
            }
            match state.receive(&self.stream) {
                Ok(0) => return Ok(some_or(buffer, Received::End)),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Ok(some_or(buffer, Received::Nothing));
                }
                // What came before it counts; the next read finds the error again.
                Err(_) if !buffer.is_empty() => return Ok(Received::Some),
                Err(error) => return Err(error),
            }
        }
    }

    /// Encrypts and writes as much as the socket takes, and at most 64 KiB more, which it holds encrypted.
    /// Returns the bytes of plaintext; takes none while it holds any.
    pub(crate) fn write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut state = self.state();
        if state.drain(&self.stream)? == Drained::No {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let mut total = 0;
        loop {
            let taken = state.encrypt(slices, total)?;
            if taken == 0 {
                return Ok(total);
            }
            total += taken;
            state.sealed = taken;
            // A failure is found again by the next drain: the bytes stay.
            if !matches!(state.drain(&self.stream), Ok(Drained::Yes)) {
                return Ok(total);
            }
        }
    }

    /// Writes what is held encrypted.
    pub(crate) fn drain(&self) -> io::Result<Drained> {
        self.state().drain(&self.stream)
    }

    /// Bytes of plaintext that are held encrypted, at most 64 KiB. Up to as many more bytes than that may have
    /// been taken by the socket already.
    pub(crate) fn sealed(&self) -> usize {
        self.state().sealed
    }

    /// Tells the peer that nothing more will come (RFC 8446 §6.1).
    pub(crate) fn say_end(&self) {
        let mut state = self.state();
        state.connection.send_close_notify();
        // A socket that takes no more has a peer that does not listen.
        let _taken = state.drain(&self.stream);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for TlsSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsSocket").field("stream", &self.stream).finish_non_exhaustive()
    }
}

fn some_or(buffer: &BytesMut, otherwise: Received) -> Received {
    if buffer.is_empty() { otherwise } else { Received::Some }
}

/// Whether the socket has taken all ciphertext.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Drained {
    Yes,
    No,
}

impl State {
    /// Goes on with the handshake as far as the socket lets it.
    fn shake(&mut self, stream: &TcpStream) -> Result<Wants, HandshakeError> {
        loop {
            if self.drain(stream)? == Drained::No {
                return Ok(Wants::Writable);
            }
            if !self.connection.is_handshaking() {
                return Ok(Wants::Nothing);
            }
            match self.fill(stream) {
                Ok(0) => return Err(HandshakeError::Gone),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Wants::Readable),
                Err(error) => return Err(error.into()),
            }
            if let Some(first) = self.first.filter(|first| *first != HANDSHAKE_RECORD) {
                return Err(HandshakeError::NotTls(first));
            }
            self.process(stream)?;
        }
    }

    /// Reads from the socket and decrypts; returns how many bytes came.
    fn receive(&mut self, stream: &TcpStream) -> io::Result<usize> {
        let count = self.fill(stream)?;
        self.process(stream).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        Ok(count)
    }

    fn fill(&mut self, stream: &TcpStream) -> io::Result<usize> {
        let Self { connection, early, first, .. } = self;
        connection.read_tls(&mut Incoming { early, stream, first })
    }

    /// Takes in what was read, and answers where the protocol wants it; an alert goes out before its error.
    fn process(&mut self, stream: &TcpStream) -> Result<(), rustls::Error> {
        let processed = self.connection.process_new_packets();
        if self.connection.wants_write() {
            // Whoever writes next finds the failure again, and what was not taken.
            let _taken = self.drain(stream);
        }
        processed.map(drop)
    }

    /// Moves decrypted bytes to the buffer; `End` once the peer has said its end.
    fn take_plaintext(&mut self, buffer: &mut BytesMut) -> io::Result<Received> {
        let mut reader = self.connection.reader();
        loop {
            let count = match reader.fill_buf() {
                Ok([]) => return Ok(Received::End),
                Ok(bytes) => {
                    buffer.extend_from_slice(bytes);
                    bytes.len()
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Received::Nothing),
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(Received::End),
                Err(error) => return Err(error),
            };
            reader.consume(count);
        }
    }

    /// Encrypts these from `skip` bytes on, as much as the buffer takes.
    fn encrypt(&mut self, slices: &[IoSlice<'_>], skip: usize) -> io::Result<usize> {
        let mut skip = skip;
        let mut rest = [IoSlice::new(&[]); SLICES];
        let mut count = 0;
        for slice in slices {
            let part = skip.min(slice.len());
            skip -= part;
            if let (Some(bytes), Some(place)) =
                (slice.get(part..).filter(|b| !b.is_empty()), rest.get_mut(count))
            {
                *place = IoSlice::new(bytes);
                count += 1;
            }
        }
        if count == 0 {
            return Ok(0);
        }
        self.connection.writer().write_vectored(rest.get(..count).unwrap_or_default())
    }

    /// Writes ciphertext until there is none or the socket is full.
    fn drain(&mut self, stream: &TcpStream) -> io::Result<Drained> {
        while self.connection.wants_write() {
            match self.connection.write_tls(&mut Outgoing(stream)) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Drained::No),
                Err(error) => return Err(error),
            }
        }
        self.sealed = 0;
        Ok(Drained::Yes)
    }
}

/// What comes from the peer.
struct Incoming<'a> {
    early: &'a mut Bytes,
    stream: &'a TcpStream,
    first: &'a mut Option<u8>,
}

impl Read for Incoming<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = if self.early.is_empty() {
            self.stream.try_read(buffer)?
        } else {
            let count = self.early.len().min(buffer.len());
            self.early.copy_to_slice(buffer.get_mut(..count).unwrap_or_default());
            count
        };
        if self.first.is_none() && count > 0 {
            *self.first = buffer.first().copied();
        }
        Ok(count)
    }
}

/// What goes to the peer.
struct Outgoing<'a>(&'a TcpStream);

impl Write for Outgoing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
