//! One connection: a socket and the session of a stream, driven together.

use crate::error::ClientError;
use crate::socket::Socket;
use bytes::{Buf, Bytes};
use jackfield_media::{Mono, TrackKind};
use jackfield_rtmp::{StreamEnd, StreamEvent, StreamOutput, StreamSession};
use jackfield_runtime::clock::{self, Alarm};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes that one read takes at most.
const READ_BYTES: usize = 64 << 10;
/// What may wait to be written before whoever sends has to wait. Bounds memory; a key frame in high
/// definition is a few hundred kilobytes.
const WAITING_BYTES: usize = 256 << 10;
/// What may wait to be written before the server is not listened to any more. Bounds the answers that a server can
/// make us write without taking them.
const REPLIES_BYTES: usize = 1 << 20;
/// How long farewells are given.
const FAREWELL: Duration = Duration::from_secs(2);
/// How long a server may take to read what a publisher has sent last.
const LAST_WORDS: Duration = Duration::from_secs(10);

/// How to leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leave {
    /// The server is to have read all that was sent.
    Heard,
    /// It had a moment to.
    Soon,
}

/// What to drive a link for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Goal {
    /// The next event, however long it takes.
    Event,
    /// The next event, or this time.
    Time(Mono),
    /// Little enough waits to be written.
    Room,
    /// Nothing waits to be written.
    Written,
}

/// What a link was driven to.
#[derive(Debug)]
pub(crate) enum Driven {
    Event(StreamEvent),
    /// The goal, which is no event.
    There,
}

#[derive(Debug)]
pub(crate) struct Link {
    socket: Socket,
    session: StreamSession,
    waiting: VecDeque<Bytes>,
    waiting_bytes: usize,
    /// When the socket last took a byte, or there was nothing for it to take.
    taken: Mono,
    stall: Duration,
    scratch: Vec<u8>,
    alarm: Alarm,
    received: u64,
    sent: u64,
    /// How the session ended, told once all before it was handed out.
    end: Option<StreamEnd>,
}

impl Link {
    /// `stall` is how long the server may take no byte while some wait.
    pub(crate) fn new(socket: Socket, session: StreamSession, stall: Duration) -> Self {
        Self {
            socket,
            session,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            taken: clock::now(),
            stall,
            scratch: vec![0; READ_BYTES],
            alarm: Alarm::default(),
            received: 0,
            sent: 0,
            end: None,
        }
    }

    /// Bytes from and to the server.
    pub(crate) fn bytes(&self) -> (u64, u64) {
        (self.received, self.sent)
    }

    /// Queues a message of the stream.
    pub(crate) fn queue(&mut self, kind: TrackKind, timestamp: u32, body: &[u8]) {
        self.session.send(kind, timestamp, body);
    }

    /// Reads and writes until the goal is reached. Cancel-safe.
    ///
    /// # Errors
    /// The connection is over.
    pub(crate) async fn drive(&mut self, goal: Goal) -> Result<Driven, ClientError> {
        loop {
            if let Some(event) = self.outputs() {
                return Ok(Driven::Event(event));
            }
            if let Some(end) = self.end.take() {
                self.write_rest().await;
                return Err(end.into());
            }
            // Each message is offered to the socket at once, and what has come is read.
            let mut deadline = self.session.poll_timeout();
            if !self.waiting.is_empty() {
                deadline = earlier(deadline, self.taken.after(self.stall));
            }
            if let Goal::Time(at) = goal {
                deadline = earlier(deadline, at);
            }
            let io = poll_fn(|context| {
                poll_io(
                    &mut self.socket,
                    &mut self.waiting,
                    &mut self.waiting_bytes,
                    &mut self.scratch,
                    goal,
                    context,
                )
            });
            let moved = tokio::select! {
                biased;
                moved = io => Some(moved?),
                () = self.alarm.wait_until(deadline) => None,
            };
            if let Some(moved) = moved {
                self.on_moved(moved)?;
            }
            // A server that always has something to say holds up no deadline.
            let now = clock::now();
            if deadline.is_some_and(|deadline| now >= deadline) {
                self.session.handle_timeout(now);
                if !self.waiting.is_empty() && now >= self.taken.after(self.stall) {
                    return Err(ClientError::Stalled);
                }
                if let Goal::Time(at) = goal
                    && now >= at
                {
                    return Ok(Driven::There);
                }
            }
            let there = match goal {
                Goal::Room => self.waiting_bytes < WAITING_BYTES,
                Goal::Written => self.waiting.is_empty(),
                Goal::Event | Goal::Time(_) => false,
            };
            if there {
                // What was read along with it may say more.
                return Ok(self.outputs().map_or(Driven::There, Driven::Event));
            }
        }
    }

    /// Says goodbye and closes.
    pub(crate) async fn leave(&mut self, how: Leave) {
        self.session.leave();
        while self.outputs().is_some() {}
        self.write_rest().await;
        if how == Leave::Heard {
            self.listen_to_the_end().await;
        }
    }

    /// Waits until the server has closed. A socket that is closed while something comes in, such as an
    /// acknowledgement, throws away what it has not sent yet (RFC 9293 §3.10.4): the end of the stream would be lost.
    async fn listen_to_the_end(&mut self) {
        let (socket, scratch) = (&mut self.socket, &mut self.scratch);
        let end = async {
            while tokio::io::AsyncReadExt::read(socket, scratch).await.is_ok_and(|count| count > 0) {}
        };
        // A server that never closes has had its time.
        let _heard: Option<()> = clock::until(clock::now().after(LAST_WORDS), end).await;
    }

    fn on_moved(&mut self, moved: Moved) -> Result<(), ClientError> {
        let now = clock::now();
        if moved.written > 0 || self.waiting.is_empty() {
            self.taken = now;
        }
        self.sent += moved.written as u64;
        match moved.read {
            Read::Nothing => {}
            Read::End => return Err(ClientError::ServerClosed),
            Read::Bytes(bytes) => {
                self.received += bytes.len() as u64;
                self.session.handle_input(now, bytes);
            }
        }
        Ok(())
    }

    /// Takes out what the session has to say, up to the next event.
    fn outputs(&mut self) -> Option<StreamEvent> {
        while let Some(output) = self.session.poll_output() {
            match output {
                StreamOutput::Write(bytes) => {
                    if self.waiting.is_empty() {
                        self.taken = clock::now();
                    }
                    self.waiting_bytes += bytes.len();
                    self.waiting.push_back(bytes);
                }
                StreamOutput::Event(event) => return Some(event),
                StreamOutput::Closed(end) => self.end = Some(end),
            }
        }
        None
    }

    /// Writes what waits, as far as the server takes it in a moment, and closes the sending side.
    async fn write_rest(&mut self) {
        let farewell = async {
            while let Some(front) = self.waiting.front() {
                tokio::io::AsyncWriteExt::write_all(&mut self.socket, front).await?;
                self.waiting.pop_front();
            }
            tokio::io::AsyncWriteExt::shutdown(&mut self.socket).await
        };
        // A server that is gone hears no farewell.
        let _gone: Option<io::Result<()>> = clock::until(clock::now().after(FAREWELL), farewell).await;
        self.waiting.clear();
        self.waiting_bytes = 0;
    }
}

fn earlier(one: Option<Mono>, other: Mono) -> Option<Mono> {
    Some(one.map_or(other, |one| one.min(other)))
}

/// What a turn at the socket came to.
struct Moved {
    written: usize,
    read: Read,
}

enum Read {
    Nothing,
    Bytes(Bytes),
    End,
}

/// Writes what the socket takes and reads what there is. Ready when bytes came, the input ended, or there is
/// room for whoever sends.
fn poll_io(
    socket: &mut Socket,
    waiting: &mut VecDeque<Bytes>,
    waiting_bytes: &mut usize,
    scratch: &mut [u8],
    goal: Goal,
    context: &mut Context<'_>,
) -> Poll<io::Result<Moved>> {
    let mut moved = Moved { written: 0, read: Read::Nothing };
    while let Some(front) = waiting.front_mut() {
        match Pin::new(&mut *socket).poll_write(context, front) {
            Poll::Pending => break,
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            Poll::Ready(Ok(count)) => {
                moved.written += count;
                *waiting_bytes -= count;
                front.advance(count);
                if front.is_empty() {
                    waiting.pop_front();
                }
            }
        }
    }
    // Under TLS what was written may lie encrypted in our memory.
    if let Poll::Ready(Err(error)) = Pin::new(&mut *socket).poll_flush(context) {
        return Poll::Ready(Err(error));
    }
    if *waiting_bytes < REPLIES_BYTES {
        let mut read = ReadBuf::new(scratch);
        match Pin::new(&mut *socket).poll_read(context, &mut read) {
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) => {
                moved.read = match read.filled() {
                    [] => Read::End,
                    bytes => Read::Bytes(Bytes::copy_from_slice(bytes)),
                };
                return Poll::Ready(Ok(moved));
            }
            Poll::Pending => {}
        }
    }
    let room = match goal {
        Goal::Room => *waiting_bytes < WAITING_BYTES,
        Goal::Written => waiting.is_empty(),
        Goal::Event | Goal::Time(_) => false,
    };
    if room || moved.written > 0 { Poll::Ready(Ok(moved)) } else { Poll::Pending }
}
