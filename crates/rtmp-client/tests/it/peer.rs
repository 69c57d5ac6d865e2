//! A server for one test: a socket and `ServerSession`, told what to do step by step.

use bytes::{Bytes, BytesMut};
use jackfield_media::TrackKind;
use jackfield_rtmp::amf::{self, Object, Value};
use jackfield_rtmp::chunk::{ChunkWriter, HeaderForm, MessageHeader};
use jackfield_rtmp::{Event, Output, Packet, ServerConfig, ServerSession};
use jackfield_rtmp_client::{Connector, Options, RtmpUrl};
use jackfield_runtime::clock;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;

/// Longer than any step takes, shorter than the patience of whoever runs the tests.
const SOON: Duration = Duration::from_secs(20);

/// The future's output; a test that hangs says where.
pub(crate) async fn soon<F: Future>(what: &str, future: F) -> F::Output {
    let output = clock::until(clock::now().after(SOON), future).await;
    output.unwrap_or_else(|| panic!("{what} did not come"))
}

pub(crate) async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

pub(crate) fn url(address: SocketAddr) -> RtmpUrl {
    RtmpUrl::parse(&format!("rtmp://{address}/live/show?key=k")).unwrap()
}

/// A connector and options without patience.
pub(crate) fn hasty() -> (Connector, Options) {
    let mut connector = Connector::default();
    connector.timeouts.handshake = Duration::from_millis(200);
    connector.timeouts.answer = Duration::from_millis(200);
    connector.timeouts.silence = Duration::from_millis(200);
    (connector, Options::default())
}

pub(crate) trait Io: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

/// The server's end of a connection.
pub(crate) struct Peer {
    socket: Box<dyn Io>,
    pub(crate) session: ServerSession,
    events: VecDeque<Event>,
}

impl Peer {
    pub(crate) async fn accept(listener: &TcpListener) -> Self {
        let (socket, _) = soon("a connection", listener.accept()).await.unwrap();
        Self::over(Box::new(socket))
    }

    pub(crate) fn over(socket: Box<dyn Io>) -> Self {
        let session = ServerSession::new(ServerConfig::default(), 7, clock::now());
        Self { socket, session, events: VecDeque::new() }
    }

    /// The next event; `None` when the client has closed.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        loop {
            self.flush().await;
            if let Some(event) = self.events.pop_front() {
                return Some(event);
            }
            let mut buffer = BytesMut::with_capacity(64 << 10);
            match soon("bytes of the client", self.socket.read_buf(&mut buffer)).await {
                Ok(0) | Err(_) => return None,
                Ok(_) => self.session.handle_input(clock::now(), buffer.freeze()),
            }
        }
    }

    pub(crate) async fn flush(&mut self) {
        while let Some(output) = self.session.poll_output() {
            match output {
                // The client may be gone: the reader finds out.
                Output::Write(bytes) => drop(self.socket.write_all(&bytes).await),
                Output::Event(event) => self.events.push_back(event),
                Output::Closed(_) => drop(self.socket.shutdown().await),
            }
        }
    }

    /// Passes events over until `connect` asks.
    pub(crate) async fn asked(&mut self) -> Box<jackfield_rtmp::Connect> {
        loop {
            if let Event::Connect(connect) = self.next().await.expect("a connect") {
                return connect;
            }
        }
    }

    /// Refuses `connect` with this information object, as other servers do.
    pub(crate) async fn reject(mut self, information: Object) {
        let mut body = Vec::new();
        for value in ["_error".into(), Value::Number(1.0), Value::Null, information.into()] {
            amf::write(&value, &mut body);
        }
        self.raw(20, 0, &body).await;
        drop(self.socket.shutdown().await);
        // Until the client has gone, so that it reads the refusal.
        while self.next().await.is_some() {}
    }

    /// Writes a message past the session.
    pub(crate) async fn raw(&mut self, kind: u8, message_stream: u32, body: &[u8]) {
        let mut out = Vec::new();
        let header = MessageHeader { chunk_stream: 3, message_stream, kind, timestamp: 0 };
        ChunkWriter::new(HeaderForm::Full).write(header, body, &mut out);
        self.socket.write_all(&out).await.unwrap();
    }

    /// Says yes to everything until media may flow; the message stream.
    pub(crate) async fn begin(&mut self) -> u32 {
        loop {
            match self.next().await.expect("a question") {
                Event::Connect(_) => self.session.accept_connect().unwrap(),
                Event::Publish(publish) => {
                    let now = clock::now();
                    self.session.accept_publish(now, publish.message_stream).unwrap();
                    self.flush().await;
                    return publish.message_stream;
                }
                Event::Play(play) => {
                    self.session.accept_play(play.message_stream).unwrap();
                    self.flush().await;
                    return play.message_stream;
                }
                _ => {}
            }
        }
    }

    /// Says yes to all but the publishing itself.
    pub(crate) async fn refuse_publish(mut self) {
        while let Some(event) = self.next().await {
            match event {
                Event::Connect(_) => self.session.accept_connect().unwrap(),
                Event::Publish(publish) => {
                    let (stream, code) = (publish.message_stream, "NetStream.Publish.BadName");
                    self.session.reject_publish(stream, code, "Somebody publishes there.").unwrap();
                }
                _ => {}
            }
        }
    }

    /// Sends a message to a player.
    pub(crate) async fn send(&mut self, stream: u32, kind: TrackKind, timestamp: u32, body: &[u8]) {
        let packet = Packet::new(kind, &Bytes::copy_from_slice(body), self.session.chunk_size()).unwrap();
        let head = packet.head(timestamp, stream);
        let wire: Vec<u8> = packet.slices(&head, 0).flatten().copied().collect();
        self.socket.write_all(&wire).await.unwrap();
    }

    /// Writes this again and again and reads nothing, until the client has closed.
    pub(crate) async fn flood(&mut self, bytes: &[u8]) {
        while soon("room for a flood", self.socket.write_all(bytes)).await.is_ok() {}
    }

    /// Reads once, whatever comes.
    pub(crate) async fn read_some(&mut self) {
        let mut buffer = BytesMut::with_capacity(4096);
        assert_ne!(soon("bytes of the client", self.socket.read_buf(&mut buffer)).await.unwrap(), 0);
        self.session.handle_input(clock::now(), buffer.freeze());
        self.flush().await;
    }

    /// Reads and says nothing, until the client has closed.
    pub(crate) async fn hold_until_closed(&mut self) {
        let mut buffer = [0; 512];
        while soon("the client's end", self.socket.read(&mut buffer)).await.is_ok_and(|count| count > 0) {}
    }

    /// The next picture or sound of a publisher: kind, time stamp, body.
    pub(crate) async fn media(&mut self) -> (TrackKind, i64, Bytes) {
        loop {
            if let Event::Media { kind, timestamp, body, .. } = self.next().await.expect("media") {
                return (kind, timestamp, body);
            }
        }
    }
}

pub(crate) const CONFIG: &[u8] = &[0x17, 0, 0, 0, 0, 1, 2, 3];
pub(crate) const KEY: &[u8] = &[0x17, 1, 0, 0, 0, 5, 6, 7];
pub(crate) const INTER: &[u8] = &[0x27, 1, 0, 0, 0, 8, 9];
pub(crate) const SOUND: &[u8] = &[0xaf, 1, 4, 4];

/// `onMetaData` with one property.
pub(crate) fn metadata() -> Bytes {
    let mut body = Vec::new();
    amf::write(&"onMetaData".into(), &mut body);
    amf::write(&Value::EcmaArray(Object::new().with("width", 1280.0)), &mut body);
    body.into()
}
