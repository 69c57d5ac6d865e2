//! A client: a socket and the state machine of `jackfield_rtmp`.

use super::soon;
use bytes::{Bytes, BytesMut};
use jackfield_media::TrackKind;
use jackfield_rtmp::amf::Object;
use jackfield_rtmp::{ClientConfig, ClientEvent, ClientSession, Output, PublishKind, Status};
use std::collections::VecDeque;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) struct Client {
    pub(crate) socket: TcpStream,
    pub(crate) session: ClientSession,
    events: VecDeque<ClientEvent>,
}

/// A message that came.
pub(crate) type Message = (TrackKind, i64, Bytes);

impl Client {
    /// Connects the socket and begins the handshake.
    pub(crate) async fn open(addr: SocketAddr, app: &str) -> Self {
        let socket = TcpStream::connect(addr).await.unwrap();
        Self::over(socket, app).await
    }

    pub(crate) async fn over(socket: TcpStream, app: &str) -> Self {
        Self::with(socket, ClientConfig::new(app, &format!("rtmp://127.0.0.1/{app}"))).await
    }

    /// Connected, having told these properties.
    pub(crate) async fn telling(addr: SocketAddr, properties: Object) -> Self {
        let socket = TcpStream::connect(addr).await.unwrap();
        let config = ClientConfig { properties, ..ClientConfig::new("live", "rtmp://127.0.0.1/live") };
        let mut client = Self::with(socket, config).await;
        client.is_connected().await;
        client
    }

    async fn with(socket: TcpStream, config: ClientConfig) -> Self {
        socket.set_nodelay(true).unwrap();
        let mut client = Self { socket, session: ClientSession::new(config, 7), events: VecDeque::new() };
        client.flush().await;
        client
    }

    /// Connected, with the answer to `connect` in.
    pub(crate) async fn connected(addr: SocketAddr) -> Self {
        let mut client = Self::open(addr, "live").await;
        client.is_connected().await;
        client
    }

    pub(crate) async fn is_connected(&mut self) -> Object {
        self.find("Connected", |event| match event {
            ClientEvent::Connected { properties } => Some(properties.clone()),
            _ => None,
        })
        .await
    }

    /// A new message stream.
    pub(crate) async fn stream(&mut self) -> u32 {
        self.session.create_stream();
        self.find("StreamCreated", |event| match event {
            ClientEvent::StreamCreated { message_stream } => Some(*message_stream),
            _ => None,
        })
        .await
    }

    /// Publishes, and expects that it may.
    pub(crate) async fn publishing(addr: SocketAddr, name: &str) -> (Self, u32) {
        let mut client = Self::connected(addr).await;
        let stream = client.stream().await;
        let status = client.publish(stream, name).await;
        assert_eq!(&*status.code, "NetStream.Publish.Start");
        (client, stream)
    }

    /// Plays, and expects that it may.
    pub(crate) async fn playing(addr: SocketAddr, name: &str) -> (Self, u32) {
        Self::connected(addr).await.plays(name).await
    }

    pub(crate) async fn plays(self, name: &str) -> (Self, u32) {
        let mut client = self;
        let stream = client.stream().await;
        client.session.play(stream, name);
        client.status("NetStream.Play.Start").await;
        (client, stream)
    }

    pub(crate) async fn publish(&mut self, stream: u32, name: &str) -> Status {
        self.session.publish(stream, name, PublishKind::Live);
        self.any_status().await
    }

    pub(crate) async fn send(&mut self, stream: u32, messages: &[(TrackKind, u32, Vec<u8>)]) {
        for (kind, ms, body) in messages {
            self.session.send_media(stream, *kind, *ms, body);
        }
        self.flush().await;
    }

    /// Writes what the session has to say.
    pub(crate) async fn flush(&mut self) {
        while let Some(output) = self.session.poll_output() {
            match output {
                Output::Write(bytes) => {
                    // The server may have closed: the reader finds out.
                    if self.socket.write_all(&bytes).await.is_err() {
                        return;
                    }
                }
                Output::Event(event) => self.events.push_back(event),
                Output::Closed(error) => panic!("{error}"),
            }
        }
    }

    /// The next event; `None` when the server has closed.
    pub(crate) async fn next(&mut self) -> Option<ClientEvent> {
        loop {
            self.flush().await;
            if let Some(event) = self.events.pop_front() {
                return Some(event);
            }
            let mut buffer = BytesMut::with_capacity(64 << 10);
            match soon("bytes of the server", self.socket.read_buf(&mut buffer)).await {
                Ok(0) | Err(_) => return None,
                Ok(_) => self.session.handle_input(buffer.freeze()),
            }
        }
    }

    /// Passes events over until this finds what it wants.
    pub(crate) async fn find<T>(&mut self, what: &str, mut want: impl FnMut(&ClientEvent) -> Option<T>) -> T {
        while let Some(event) = self.next().await {
            if let Some(found) = want(&event) {
                return found;
            }
        }
        panic!("the server closed before {what}")
    }

    pub(crate) async fn any_status(&mut self) -> Status {
        self.find("a status", |event| match event {
            ClientEvent::Status { status, .. } => Some(status.clone()),
            _ => None,
        })
        .await
    }

    pub(crate) async fn status(&mut self, code: &str) -> Status {
        self.find(code, |event| match event {
            ClientEvent::Status { status, .. } if &*status.code == code => Some(status.clone()),
            _ => None,
        })
        .await
    }

    /// The next message that carries media, or data other than sample access.
    pub(crate) async fn message(&mut self) -> Message {
        self.find("media", |event| match event {
            ClientEvent::Media { kind, body, .. }
                if *kind == TrackKind::Data && body.get(3) == Some(&b'|') =>
            {
                None
            }
            ClientEvent::Media { kind, timestamp, body, .. } => Some((*kind, *timestamp, body.clone())),
            _ => None,
        })
        .await
    }

    pub(crate) async fn messages(&mut self, count: usize) -> Vec<Message> {
        let mut messages = Vec::with_capacity(count);
        while messages.len() < count {
            messages.push(self.message().await);
        }
        messages
    }

    /// Reads until the server closes; the codes of the statuses on the way.
    pub(crate) async fn until_closed(&mut self) -> Vec<String> {
        let mut codes = Vec::new();
        while let Some(event) = self.next().await {
            match event {
                ClientEvent::Status { status, .. } => codes.push(status.code.to_string()),
                ClientEvent::ReconnectRequested { tc_url, description } => {
                    codes.push(format!("reconnect {tc_url:?} {description}"));
                }
                ClientEvent::Rejected(status) => {
                    codes.push(format!("{} {}", &*status.code, &*status.description));
                }
                _ => {}
            }
        }
        codes
    }
}
