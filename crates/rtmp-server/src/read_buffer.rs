//! The receiving side of a socket: one buffer that grows with what comes.

use bytes::{Bytes, BytesMut};
use jackfield_net::Socket;
use jackfield_net::tls::{Received, TlsSocket};
use socket2::SockRef;
use std::io::{self, Read as _};
use tokio::io::Interest;
use tokio::net::TcpStream;

/// What a buffer begins with: room for a handshake. Most connections are players, who send little.
const LEAST: usize = 4 << 10;
/// What it grows to: a read of a publisher's key frame.
const MOST: usize = 64 << 10;

/// What a read gave.
#[derive(Debug)]
pub(crate) enum Read {
    /// Bytes; slices of them may be kept.
    Some(Bytes),
    /// Nothing waits.
    Nothing,
    /// The peer sends no more.
    End,
}

/// One connection's buffer.
#[derive(Debug)]
pub(crate) struct ReadBuffer {
    buffer: BytesMut,
    size: usize,
}

impl ReadBuffer {
    pub(crate) fn new() -> Self {
        Self { buffer: BytesMut::new(), size: LEAST }
    }

    /// Reads what is there, about a buffer full, without waiting.
    pub(crate) fn read(&mut self, socket: &Socket) -> io::Result<Read> {
        match socket {
            Socket::Plain(stream) => self.read_plain(stream),
            Socket::Tls(socket) => self.read_tls(socket),
        }
    }

    /// The plaintext that is there. It comes in records of at most 16 KiB, so the buffer grows as needed.
    fn read_tls(&mut self, socket: &TlsSocket) -> io::Result<Read> {
        Ok(match socket.read(&mut self.buffer, MOST)? {
            // Its memory goes with the bytes: most of the connections are players, who say little.
            Received::Some => Read::Some(std::mem::take(&mut self.buffer).freeze()),
            Received::Nothing => Read::Nothing,
            Received::End => Read::End,
        })
    }

    /// Reads what is there, at most a buffer full, without waiting.
    ///
    /// A sender with Nagle's algorithm holds the rest of a message back until its head is acknowledged, which
    /// reading the head does. So a second read finds more, and one pass serves both.
    pub(crate) fn read_plain(&mut self, stream: &TcpStream) -> io::Result<Read> {
        if self.buffer.capacity() - self.buffer.len() < LEAST / 4 {
            self.buffer.reserve(self.size);
        }
        match stream.try_read_buf(&mut self.buffer) {
            Ok(0) => return Ok(Read::End),
            Ok(_) => {}
            Err(error) if is_nothing(&error) => return Ok(Read::Nothing),
            Err(error) => return Err(error),
        }
        if !self.is_full() {
            self.read_rest(stream);
        }
        let full = self.is_full();
        let bytes = self.buffer.split().freeze();
        if full {
            self.size = (self.size * 2).min(MOST);
        } else if self.size == LEAST {
            // Players say little and seldom: what is left of the buffer would only be held.
            self.buffer = BytesMut::new();
        }
        Ok(Read::Some(bytes))
    }

    /// As [`ReadBuffer::read_plain`], but asks the kernel also when the runtime has told nothing of the socket.
    pub(crate) fn read_unasked(&mut self, stream: &TcpStream) -> io::Result<Read> {
        self.size = MOST;
        if self.buffer.capacity() - self.buffer.len() < MOST / 2 {
            self.buffer.reserve(self.size);
        }
        // A few times a second; that it is filled with zeros first is not felt.
        self.buffer.resize(self.buffer.capacity(), 0);
        let got = loop {
            match (&*SockRef::from(stream)).read(&mut self.buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                got => break got,
            }
        };
        self.buffer.truncate(got.as_ref().copied().unwrap_or_default());
        match got {
            Ok(0) => Ok(Read::End),
            Ok(_) => Ok(Read::Some(self.buffer.split().freeze())),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Read::Nothing),
            Err(error) => Err(error),
        }
    }

    /// Reads into the room that is left. What ends the socket is left to the next read, which sees it again.
    fn read_rest(&mut self, stream: &TcpStream) {
        let room = self.buffer.capacity() - self.buffer.len();
        // A read that leaves room has emptied the socket (epoll(7), question 9). Told as nothing, it has the
        // runtime wait for more, and saves the read that would only find that out.
        let _emptied = stream.try_io(Interest::READABLE, || match stream.try_read_buf(&mut self.buffer) {
            Ok(count) if (1..room).contains(&count) => Err(io::ErrorKind::WouldBlock.into()),
            other => other,
        });
    }

    fn is_full(&self) -> bool {
        self.buffer.len() == self.buffer.capacity()
    }
}

fn is_nothing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (here, there) =
            tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
        (here.unwrap(), there.unwrap().0)
    }

    /// Reads as a connection's task does until so many bytes have come.
    async fn bytes(buffer: &mut ReadBuffer, stream: &TcpStream, count: usize) -> Vec<u8> {
        let mut got = Vec::new();
        while got.len() < count {
            stream.readable().await.unwrap();
            match buffer.read_plain(stream).unwrap() {
                Read::Some(bytes) => got.extend_from_slice(&bytes),
                Read::Nothing => {}
                Read::End => panic!("the end came after {} bytes", got.len()),
            }
        }
        got
    }

    #[tokio::test]
    async fn all_comes_in_order_whatever_its_pieces_and_the_end_after_it() {
        let (mut here, there) = pair().await;
        let mut buffer = ReadBuffer::new();
        // Less than the buffer, all of it, more than all.
        for count in [1, 8, LEAST - 1, LEAST, LEAST + 1, 3 * MOST, 5, 0] {
            let sent: Vec<u8> = (0..count).map(|at| u8::try_from(at % 251).unwrap()).collect();
            let (written, got) = tokio::join!(here.write_all(&sent), bytes(&mut buffer, &there, count));
            written.unwrap();
            assert_eq!(got, sent, "{count}");
        }
        here.write_all(b"last").await.unwrap();
        drop(here);
        assert_eq!(bytes(&mut buffer, &there, 4).await, b"last");
        there.readable().await.unwrap();
        assert!(matches!(buffer.read_plain(&there), Ok(Read::End)));
    }

    #[tokio::test]
    async fn a_socket_that_was_emptied_wakes_for_what_comes_later() {
        let (mut here, there) = pair().await;
        let mut buffer = ReadBuffer::new();
        for round in 0..100_u8 {
            here.write_all(&[round; 10]).await.unwrap();
            assert_eq!(bytes(&mut buffer, &there, 10).await, [round; 10]);
        }
    }
}
