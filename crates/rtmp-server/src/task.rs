//! The task of one connection: everything that can happen to it, in one `select!`.
//!
//! It owns the socket's receiving side and the protocol's state machine. After each thing that happens it
//! pumps the machine's outputs dry: bytes to the writer, events to `connecting`, `publishing` and `playing`.
//! There are as many of these tasks as players, so what is rare is on the heap only while it happens.
//! When an [`End`] is set it leaves: `leaving` closes all sessions, says farewell and closes the socket.

mod connecting;
mod leaving;
mod playing;
mod publishing;
mod resting;
mod tracks;

use crate::format::taste::Taste;
use crate::read_buffer::{Read, ReadBuffer};
use crate::role::Roles;
use crate::server::Shared;
use crate::waits::{Boxed, Waits};
use bytes::Bytes;
use connecting::Told;
use jackfield_events::EndReason;
use jackfield_gate::Refusal;
use jackfield_hub::{Busy, NotFound, PlayGrant, PublishGrant, Publisher, Subscriber};
use jackfield_media::Text;
use jackfield_net::Socket;
use jackfield_net::writer::{Class, Piece, SocketWriter};
use jackfield_rtmp::{Event, Output, ServerSession, Status};
use jackfield_runtime::clock::Alarm;
use jackfield_runtime::{CancellationToken, clock, random};
use jackfield_sessions::{Connection, Kick, Tls};
use resting::Rest;
use std::io;
use std::sync::Arc;
use tracks::Judged;

/// A client that lets more replies than this wait is not read until it has taken them.
const MAX_CONTROL_BYTES: usize = 64 << 10;
/// So much is read of a client after its deadline: what came in time is judged, and may lie in the kernel if we stood still. Who
/// goes on without a pause has no more time than who is silent.
const MAX_LATE_BYTES: usize = 1 << 20;
/// What the connection itself waits for is listed under this number, which no message stream has.
const CONNECTION: u32 = 0;

/// Why the connection ends, and what the client hears of it.
#[derive(Debug)]
struct End {
    reason: EndReason,
    parting: Parting,
}

/// What is still to be said.
#[derive(Debug)]
enum Parting {
    /// The client is gone, or speaks another language.
    Silent,
    /// What is queued reaches the client.
    Flush,
    /// So does a farewell of the protocol.
    Farewell(Text),
}

/// What a wait brought.
enum Happened {
    /// The gate's answer to `connect`.
    Connect(Result<(), Refusal>),
    /// The gate's answer to `publish`.
    PublishAnswer(Result<Box<PublishGrant>, Refusal>),
    /// The hub's.
    Registered(Result<Publisher, Busy>),
    /// The gate's answer to `play`.
    PlayAnswer(Result<PlayGrant, playing::Unplayable>),
    /// The hub's.
    Attached(Result<(Subscriber, Option<Taste>), NotFound>),
    /// The hub ended a session.
    Ended(EndReason),
    /// A player's tracks have changed: what it is told of those that it does not get.
    Judged(Option<Status>, Judged),
}

/// Whether the client is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reads {
    Yes,
    /// It must take its replies first, or be answered, or hold its media back.
    No,
}

/// A connection, as its task sees it.
pub(crate) struct ConnectionTask {
    shared: Arc<Shared>,
    /// Shared with the questions that are asked about it.
    connection: Arc<Connection>,
    socket: Socket,
    writer: SocketWriter,
    reader: ReadBuffer,
    session: ServerSession,
    told: Told,
    roles: Roles,
    waits: Waits<Happened>,
    /// For the deadline of `session`.
    alarm: Alarm,
    /// The service stops.
    stopping: CancellationToken,
    standing: Standing,
    rest: Rest,
    /// Bytes that were read since a deadline of the client passed.
    late_bytes: usize,
    end: Option<End>,
}

/// What is waited for all the time. These futures are made once, so that they need not enlist with their wakers for each
/// message that comes, and leave them again.
struct Standing {
    interrupted: Boxed<Interrupt>,
    driven: Boxed<io::ErrorKind>,
}

/// Somebody ends the connection.
enum Interrupt {
    Stop,
    Kick(Kick),
}

impl Standing {
    fn new(connection: &Connection, stopping: &CancellationToken, writer: &SocketWriter) -> Self {
        let (kicked, stopping, writer) = (connection.kick(), stopping.clone(), writer.clone());
        Self {
            interrupted: Box::pin(async move {
                tokio::select! {
                    biased;
                    () = stopping.cancelled() => Interrupt::Stop,
                    kick = kicked => Interrupt::Kick(kick),
                }
            }),
            driven: Box::pin(async move { writer.drive().await }),
        }
    }
}

impl ConnectionTask {
    pub(crate) fn new(
        shared: Arc<Shared>,
        connection: Connection,
        socket: Socket,
        reader: ReadBuffer,
    ) -> Self {
        let counters = connection.counters();
        let stopping = shared.tasks.stopping();
        let writer = SocketWriter::new(socket.clone(), move |bytes| counters.add_sent(bytes));
        Self {
            standing: Standing::new(&connection, &stopping, &writer),
            writer,
            // One deadline for all handshakes, that of TLS included.
            session: ServerSession::new(shared.config.session, random::number(), connection.opened_at()),
            connection: Arc::new(connection),
            socket,
            reader,
            told: Told::default(),
            roles: Roles::default(),
            waits: Waits::new(),
            alarm: Alarm::default(),
            stopping,
            rest: Rest::default(),
            late_bytes: 0,
            end: None,
            shared,
        }
    }

    /// Serves the client until it or we end the connection. `first` was read already.
    ///
    /// It lies on the heap before: a future has room for its argument and for the variable that it becomes.
    pub(crate) async fn run(mut self: Box<Self>, first: Bytes) {
        if !first.is_empty() {
            self.received(first);
        }
        // What came with the end of a TLS handshake is in our hands: the socket does not tell of it again.
        if matches!(self.socket, Socket::Tls(_)) {
            self.read();
        }
        let end = loop {
            self.pump().await;
            if let Some(end) = self.end.take() {
                break end;
            }
            // A client that always has more to say must let other tasks on.
            tokio::task::consume_budget().await;
            self.wait().await;
        };
        Box::pin(self.leave(&end)).await;
        self.close_socket(end.reason);
    }

    /// Waits until something happens, and takes it in.
    async fn wait(&mut self) {
        if self.late_bytes > MAX_LATE_BYTES {
            self.late_bytes = 0;
            return self.session.handle_timeout(clock::now());
        }
        self.rest();
        let choked = self.writer.backlog().control_bytes > MAX_CONTROL_BYTES;
        let reads = match !choked && self.session.wants_input() && !self.is_holding_enough() {
            true => Reads::Yes,
            false => Reads::No,
        };
        let look = self.rest.until().filter(|_| reads == Reads::Yes);
        let deadline = self.session.poll_timeout().into_iter().chain(look).min();
        tokio::select! {
            biased;
            interrupt = &mut self.standing.interrupted => self.on_interrupt(interrupt),
            (stream, happened) = self.waits.next() => Box::pin(self.on_happened(stream, happened)).await,
            // Before writing: a client that said its end and went is heard, though it takes no reply any more.
            ready = readable(&self.socket), if reads == Reads::Yes => {
                if ready.is_ok() { self.read() } else { self.lost() }
            }
            // The socket takes nothing any more.
            _failed = &mut self.standing.driven => self.lost(),
            // The client must take its replies first. What it does not take, the other arm finds out.
            _flushed = self.writer.flush(), if choked => {}
            () = self.alarm.wait_until(deadline) => self.on_deadline(reads).await,
        }
    }

    fn on_interrupt(&mut self, interrupt: Interrupt) {
        match interrupt {
            Interrupt::Stop => self.close(EndReason::ServerShutdown, "The server stops.".into()),
            Interrupt::Kick(kick) => self.close(kick.reason, kick.text),
        }
    }

    fn read(&mut self) {
        if self.roles.is_empty() {
            jackfield_net::acknowledge_at_once(self.socket.tcp());
        }
        let read = self.reader.read(&self.socket);
        self.on_read(read);
    }

    fn on_read(&mut self, read: io::Result<Read>) {
        match read {
            Ok(Read::Some(bytes)) => self.received(bytes),
            Ok(Read::Nothing) => {}
            Ok(Read::End) | Err(_) => self.lost(),
        }
    }

    fn received(&mut self, bytes: Bytes) {
        let (now, count) = (clock::now(), bytes.len());
        self.connection.received(count);
        self.session.handle_input(now, bytes);
        let is_late = self.session.poll_timeout().is_some_and(|deadline| deadline <= now);
        self.late_bytes = if is_late { self.late_bytes + count } else { 0 };
    }

    /// Takes all outputs of the state machine, then hands media to the hub and attaches new players.
    async fn pump(&mut self) {
        while let Some(output) = self.session.poll_output() {
            match output {
                Output::Write(bytes) => self.write(&bytes),
                Output::Event(event) => self.on_event(event).await,
                Output::Closed(error) => self.on_closed(&error),
            }
        }
        self.deliver_all().await;
        self.attach_granted();
    }

    fn write(&self, bytes: &Bytes) {
        self.writer.send(clock::now(), Class::Control, &[Piece::Shared(bytes)]);
    }

    async fn on_event(&mut self, event: Event) {
        match event {
            Event::HandshakeDone(_) => self.connection.handshake_complete(match self.socket {
                Socket::Plain(_) => Tls::Off,
                Socket::Tls(_) => Tls::On,
            }),
            Event::Connect(connect) => self.on_connect(*connect),
            Event::Publish(publish) => self.on_publish(publish),
            Event::Play(play) => self.on_play(play),
            Event::Refused(refusal) => self.on_refused(&refusal),
            Event::Media { message_stream, kind, timestamp, body } => {
                self.on_media(message_stream, timestamp, crate::hold::Media::Message(kind, body));
            }
            Event::Metadata { message_stream, timestamp, body, .. } => {
                self.on_media(message_stream, timestamp, crate::hold::Media::Metadata(body));
            }
            Event::Data { message_stream, timestamp, body } => {
                let kind = jackfield_media::TrackKind::Data;
                self.on_media(message_stream, timestamp, crate::hold::Media::Message(kind, body));
            }
            Event::Unpublish { message_stream } => Box::pin(self.on_unpublish(message_stream)).await,
            Event::StopPlay { message_stream } => Box::pin(self.on_stop_play(message_stream)).await,
            Event::Pause { message_stream, paused } => self.on_pause(message_stream, paused),
            Event::Receive { message_stream, kind, wanted } => {
                self.on_receive(message_stream, kind, wanted);
            }
            Event::BufferLength { .. } | Event::Pong { .. } => {}
        }
    }

    async fn on_happened(&mut self, stream: u32, happened: Happened) {
        match happened {
            Happened::Connect(answer) => self.on_connect_answer(answer),
            Happened::PublishAnswer(answer) => self.on_publish_answer(stream, answer),
            Happened::Registered(answer) => self.on_registered(stream, answer).await,
            Happened::PlayAnswer(answer) => self.on_play_answer(stream, answer),
            Happened::Attached(answer) => self.on_attached(stream, answer),
            Happened::Ended(reason) => self.on_ended(stream, reason),
            Happened::Judged(news, judged) => self.on_judged(stream, news.as_ref(), judged),
        }
    }

    /// The hub ended a publisher or a player of ours.
    fn on_ended(&mut self, stream: u32, reason: EndReason) {
        match self.roles.remove(stream) {
            Some(crate::role::Role::Publishing { .. }) => self.tell_publisher(stream, reason),
            Some(crate::role::Role::Playing(_)) => self.tell_player(stream, reason),
            _ => {}
        }
    }

    /// The client is gone.
    fn lost(&mut self) {
        self.end_with(EndReason::ClientDisconnect, Parting::Silent);
    }

    /// We end the connection, in the protocol's words.
    fn close(&mut self, reason: EndReason, text: Text) {
        self.end_with(reason, Parting::Farewell(text));
    }

    /// A refusal was written: the connection ends if nothing else goes on in it.
    fn end_if_idle(&mut self, reason: EndReason) {
        if self.roles.is_empty() {
            self.end_with(reason, Parting::Flush);
        }
    }

    /// The first end counts.
    fn end_with(&mut self, reason: EndReason, parting: Parting) {
        if self.end.is_none() {
            self.end = Some(End { reason, parting });
        }
    }
}

/// Waits until the socket has something to read. Only the connection's own task may: of several waits the last one counts,
/// which is what makes it cheap.
async fn readable(socket: &Socket) -> io::Result<()> {
    std::future::poll_fn(|context| socket.tcp().poll_read_ready(context)).await
}

/// What the client may know of a refusal; the rest goes to the log.
fn public(refusal: Refusal) -> Text {
    tracing::info!(detail = %refusal, "Client refused");
    refusal.public
}
