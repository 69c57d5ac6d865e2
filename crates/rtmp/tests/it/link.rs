//! A client and a server session and the wire between them, cut as a test likes.

use bytes::Bytes;
use jackfield_media::Mono;
use jackfield_rtmp::{
    ClientConfig, ClientEvent, ClientSession, Error, Event, Output, ServerConfig, ServerSession,
};

/// Both ends of a connection.
pub(crate) struct Link {
    pub(crate) client: ClientSession,
    pub(crate) server: ServerSession,
    pub(crate) now: Mono,
    /// Bytes of each piece that arrives.
    pub(crate) piece: usize,
    pub(crate) server_events: Vec<Event>,
    pub(crate) client_events: Vec<ClientEvent>,
    /// Writes of the server, as it made them.
    pub(crate) server_writes: Vec<Bytes>,
    pub(crate) closed: Option<Error>,
}

impl Link {
    pub(crate) fn new(config: ClientConfig, piece: usize) -> Self {
        let now = Mono::ZERO;
        Self {
            client: ClientSession::new(config, 1),
            server: ServerSession::new(ServerConfig::default(), 2, now),
            now,
            piece,
            server_events: Vec::new(),
            client_events: Vec::new(),
            server_writes: Vec::new(),
            closed: None,
        }
    }

    /// Moves bytes until both ends are quiet; `answer` sees each event of the server.
    pub(crate) fn run(&mut self, mut answer: impl FnMut(&mut ServerSession, &Event)) {
        loop {
            let to_server = self.drain_client();
            for piece in to_server.chunks(self.piece) {
                self.server.handle_input(self.now, Bytes::copy_from_slice(piece));
                self.drain_server(&mut answer);
            }
            self.drain_server(&mut answer);
            let to_client: Vec<u8> = self.server_writes.drain(..).flatten().collect();
            for piece in to_client.chunks(self.piece) {
                self.client.handle_input(Bytes::copy_from_slice(piece));
            }
            if to_server.is_empty() && to_client.is_empty() {
                return;
            }
        }
    }

    /// As [`run`](Self::run), saying yes to every question.
    pub(crate) fn run_accepting(&mut self) {
        self.run(accept);
    }

    fn drain_client(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        while let Some(output) = self.client.poll_output() {
            match output {
                Output::Write(piece) => bytes.extend_from_slice(&piece),
                Output::Event(event) => self.client_events.push(event),
                Output::Closed(error) => panic!("the client failed: {error}"),
            }
        }
        bytes
    }

    fn drain_server(&mut self, answer: &mut impl FnMut(&mut ServerSession, &Event)) {
        while let Some(output) = self.server.poll_output() {
            match output {
                Output::Write(piece) => self.server_writes.push(piece),
                Output::Event(event) => {
                    answer(&mut self.server, &event);
                    self.server_events.push(event);
                }
                Output::Closed(error) => self.closed = Some(error),
            }
        }
    }
}

/// Says yes to a question.
pub(crate) fn accept(server: &mut ServerSession, event: &Event) {
    match event {
        Event::Connect(_) => server.accept_connect().unwrap(),
        Event::Publish(publish) => server.accept_publish(Mono::ZERO, publish.message_stream).unwrap(),
        Event::Play(play) => server.accept_play(play.message_stream).unwrap(),
        _ => {}
    }
}
