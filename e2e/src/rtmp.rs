//! An RTMP client of our own, for what no program does: a thousand sessions in a few seconds, bodies that are known to the
//! byte, silence, and a player that does not read.
//!
//! It drives the server's own client state machine over a blocking socket. That its two ends agree proves little about
//! RTMP; the tables of real clients do that. What it is told by the server, and in which order, proves a lot.

use crate::{Clip, SOON};
use anyhow::{Context, Result, bail};
use bytes::Bytes;
pub use jackfield_media::TrackKind;
use jackfield_rtmp::amf::Value;
use jackfield_rtmp::{ClientConfig, ClientEvent, ClientSession, Output, PublishKind, Status};
use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, SocketAddrV4, TcpStream};
use std::time::{Duration, Instant};

/// A refusal, as the client reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// `NetStream.Publish.BadName` …
    pub code: String,
    /// For people.
    pub description: String,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "refused with {}: {}", self.code, self.description)
    }
}

impl std::error::Error for Refused {}

impl From<Status> for Refused {
    fn from(status: Status) -> Self {
        Self { code: status.code.to_string(), description: status.description.to_string() }
    }
}

/// One message with media.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Media {
    /// Audio, video or data.
    pub kind: TrackKind,
    /// Milliseconds.
    pub timestamp: i64,
    /// The body of an FLV tag.
    pub body: Bytes,
}

/// A connection. When it goes the socket is closed, without a word of the protocol.
#[derive(Debug)]
pub struct Client {
    server: SocketAddr,
    config: ClientConfig,
    socket: TcpStream,
    session: ClientSession,
    /// What came and nobody has asked for yet.
    events: VecDeque<ClientEvent>,
    closed: bool,
}

impl Client {
    /// Connects, and waits until `connect` is answered.
    ///
    /// # Errors
    /// [`Refused`], or what else went wrong.
    pub fn connect(server: SocketAddr, app: &str) -> Result<Self> {
        let mut client = Self::open(server, ClientConfig::new(app, &format!("rtmp://{server}/{app}")))?;
        client.connected()?;
        Ok(client)
    }

    /// Connects with these settings, and waits for nothing.
    ///
    /// # Errors
    /// When nobody listens.
    pub fn open(server: SocketAddr, config: ClientConfig) -> Result<Self> {
        let socket = TcpStream::connect_timeout(&server, SOON).context("connecting")?;
        Self::over(socket, server, config)
    }

    /// Connects as the client that a proxy with this address stands for, and waits until `connect` is answered. The server
    /// must trust proxies on the loopback.
    ///
    /// # Errors
    /// [`Refused`], or what else went wrong.
    pub fn behind_proxy(server: SocketAddr, client: SocketAddrV4, app: &str) -> Result<Self> {
        let mut socket = TcpStream::connect_timeout(&server, SOON).context("connecting")?;
        socket.write_all(&proxy_header(client)).context("writing the PROXY header")?;
        let config = ClientConfig::new(app, &format!("rtmp://{server}/{app}"));
        let mut client = Self::over(socket, server, config)?;
        client.connected()?;
        Ok(client)
    }

    fn over(socket: TcpStream, server: SocketAddr, config: ClientConfig) -> Result<Self> {
        socket.set_nodelay(true)?;
        let session = ClientSession::new(config.clone(), 1);
        let mut client = Self { server, config, socket, session, events: VecDeque::new(), closed: false };
        client.pump()?;
        Ok(client)
    }

    /// Waits until `connect` is answered.
    ///
    /// # Errors
    /// [`Refused`], or what else went wrong.
    pub fn connected(&mut self) -> Result<()> {
        self.wait("answer to connect", SOON, |event| match event {
            ClientEvent::Connected { .. } => Some(Ok(())),
            ClientEvent::Rejected(status) => Some(Err(Refused::from(status.clone()))),
            _ => None,
        })??;
        Ok(())
    }

    /// Asks for a message stream.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn create_stream(&mut self) -> Result<u32> {
        self.session.create_stream();
        self.pump()?;
        self.wait("answer to createStream", SOON, |event| match event {
            ClientEvent::StreamCreated { message_stream } => Some(*message_stream),
            _ => None,
        })
    }

    /// Publishes under a name, and returns the message stream when the server says that it may.
    ///
    /// # Errors
    /// [`Refused`], or what else went wrong.
    pub fn publish(&mut self, name: &str) -> Result<u32> {
        let stream = self.ask_publish(name)?;
        self.published(stream)?;
        Ok(stream)
    }

    /// Says `publish`, and does not wait for the answer.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn ask_publish(&mut self, name: &str) -> Result<u32> {
        let stream = self.create_stream()?;
        self.session.publish(stream, name, PublishKind::Live);
        self.pump()?;
        Ok(stream)
    }

    /// Waits for the answer to `publish`.
    ///
    /// # Errors
    /// [`Refused`], or what else went wrong.
    pub fn published(&mut self, stream: u32) -> Result<()> {
        self.expect_status(stream, "NetStream.Publish.Start", SOON)
    }

    /// Plays a name, and returns the message stream when the server says that it may.
    ///
    /// # Errors
    /// [`Refused`], or what else went wrong.
    pub fn play(&mut self, name: &str) -> Result<u32> {
        let stream = self.create_stream()?;
        self.session.play(stream, name);
        self.pump()?;
        self.expect_status(stream, "NetStream.Play.Start", SOON)?;
        Ok(stream)
    }

    /// Waits for this status; others that are no errors are passed over.
    ///
    /// # Errors
    /// [`Refused`], or what else went wrong.
    pub fn expect_status(&mut self, stream: u32, code: &str, within: Duration) -> Result<()> {
        self.wait(code, within, |event| match event {
            ClientEvent::Status { message_stream, status } if *message_stream == stream => {
                let good = status.code.as_str() == code;
                let bad = status.level == jackfield_rtmp::Level::Error;
                (good || bad).then(|| if good { Ok(()) } else { Err(Refused::from(status.clone())) })
            }
            _ => None,
        })??;
        Ok(())
    }

    /// Sends a message with media.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn send(&mut self, stream: u32, media: &Media) -> Result<()> {
        let low = u32::try_from(media.timestamp & i64::from(u32::MAX)).context("a time stamp")?;
        self.session.send_media(stream, media.kind, low, &media.body);
        self.pump()
    }

    /// Waits for the next message with media.
    ///
    /// # Errors
    /// When none came `within` that time, or the connection is gone.
    pub fn media(&mut self, within: Duration) -> Result<Media> {
        self.wait("media", within, media_of)
    }

    /// Codes of the statuses that came and were not waited for.
    pub fn statuses(&self) -> Vec<String> {
        let code = |event: &ClientEvent| match event {
            ClientEvent::Status { status, .. } => Some(status.code.to_string()),
            _ => None,
        };
        self.events.iter().filter_map(code).collect()
    }

    /// What the server says at the end: waits until it has closed the connection, and returns the descriptions of all
    /// statuses that came.
    ///
    /// # Errors
    /// When it is still open after `within`.
    pub fn farewell(&mut self, within: Duration) -> Result<Vec<String>> {
        self.wait_closed(within)?;
        let description = |event: &ClientEvent| match event {
            ClientEvent::Status { status, .. } => Some(status.description.to_string()),
            _ => None,
        };
        Ok(self.events.iter().filter_map(description).collect())
    }

    /// How often the server has asked to connect anew.
    pub fn reconnect_requests(&self) -> usize {
        self.events.iter().filter(|event| matches!(event, ClientEvent::ReconnectRequested { .. })).count()
    }

    /// The media that came and was not waited for.
    pub fn came_media(&self) -> Vec<Media> {
        self.events.iter().filter_map(media_of).collect()
    }

    /// What real encoders say at their end: FCUnpublish and deleteStream.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn unpublish(&mut self, stream: u32, name: &str) -> Result<()> {
        self.session.notify(0, "FCUnpublish", &[name.into()]);
        self.command("deleteStream", &[Value::Number(f64::from(stream))])
    }

    /// Sends a command of the connection that wants no answer.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn command(&mut self, name: &str, arguments: &[Value]) -> Result<()> {
        self.session.notify(0, name, arguments);
        self.pump()
    }

    /// Sends a command of a message stream that wants no answer.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn command_of(&mut self, stream: u32, name: &str, arguments: &[Value]) -> Result<()> {
        self.session.notify(stream, name, arguments);
        self.pump()
    }

    /// A new connection with the same settings.
    ///
    /// # Errors
    /// As [`Client::connect`].
    pub fn again(&self) -> Result<Self> {
        let mut client = Self::open(self.server, self.config.clone())?;
        client.connected()?;
        Ok(client)
    }

    /// Waits until the server has closed the connection; what comes meanwhile is read and kept.
    ///
    /// # Errors
    /// When it is still open after `within`.
    pub fn wait_closed(&mut self, within: Duration) -> Result<()> {
        let deadline = Instant::now() + within;
        while !self.closed {
            self.read(deadline).context("the server did not close the connection")?;
        }
        Ok(())
    }

    /// The socket, for what the protocol does not have.
    pub fn socket(&self) -> &TcpStream {
        &self.socket
    }

    /// Closes the sending side, as a client that ends does.
    pub fn shut_down(&self) {
        self.socket.shutdown(Shutdown::Write).unwrap_or_default();
    }

    /// Takes the first event that `look` finds something in.
    fn wait<R>(
        &mut self,
        what: &str,
        within: Duration,
        look: impl Fn(&ClientEvent) -> Option<R>,
    ) -> Result<R> {
        let deadline = Instant::now() + within;
        let mut seen = 0;
        loop {
            while let Some(event) = self.events.get(seen) {
                if let Some(found) = look(event) {
                    self.events.remove(seen);
                    return Ok(found);
                }
                seen += 1;
            }
            if self.closed {
                bail!("no {what} before the connection was closed; what came:{}", self.came());
            }
            self.read(deadline).with_context(|| format!("no {what}; what came:{}", self.came()))?;
        }
    }

    fn came(&self) -> String {
        let lines = self.events.iter().filter(|event| !matches!(event, ClientEvent::Media { .. }));
        lines.map(|event| format!("\n  {event:?}")).collect()
    }

    /// Reads once.
    fn read(&mut self, deadline: Instant) -> Result<()> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            bail!("the time is up");
        }
        self.socket.set_read_timeout(Some(left))?;
        let mut block = vec![0; 64 * 1024];
        match self.socket.read(&mut block) {
            Ok(0) => self.closed = true,
            Ok(count) => {
                block.truncate(count);
                self.session.handle_input(block.into());
                self.pump()?;
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => self.closed = true,
            Err(error) => return Err(error).context("reading"),
        }
        Ok(())
    }

    fn pump(&mut self) -> Result<()> {
        while let Some(output) = self.session.poll_output() {
            match output {
                Output::Write(bytes) => self.socket.write_all(&bytes).context("writing")?,
                Output::Event(event) => self.events.push_back(event),
                Output::Closed(error) => return Err(error).context("the server speaks no RTMP"),
            }
        }
        Ok(())
    }
}

/// A header of the PROXY protocol, version 2, of a client that reached 198.51.100.1:1935.
pub fn proxy_header(client: SocketAddrV4) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".to_vec();
    header.extend(client.ip().octets());
    header.extend([198, 51, 100, 1]);
    header.extend(client.port().to_be_bytes());
    header.extend(1935_u16.to_be_bytes());
    header
}

fn media_of(event: &ClientEvent) -> Option<Media> {
    match event {
        ClientEvent::Media { kind, timestamp, body, .. } => {
            Some(Media { kind: *kind, timestamp: *timestamp, body: body.clone() })
        }
        _ => None,
    }
}

/// What a publisher sends first: the codec configurations of a clip.
pub fn configurations(clip: &Clip) -> Vec<Media> {
    let body = |head: &[u8], config: &[u8]| Bytes::from([head, config].concat());
    let recording = clip.recording();
    vec![
        Media {
            kind: TrackKind::Video,
            timestamp: 0,
            body: body(&[0x17, 0, 0, 0, 0], &recording.video.config),
        },
        Media { kind: TrackKind::Audio, timestamp: 0, body: body(&[0xaf, 0], &recording.audio.config) },
    ]
}

/// A picture of `length` bytes that stands for the clip's; `number` makes it differ from others, and each 25th is a key
/// frame. Servers do not look into it.
pub fn picture(number: u32, length: usize) -> Media {
    let first = if number.is_multiple_of(25) { 0x17 } else { 0x27 };
    Media {
        kind: TrackKind::Video,
        timestamp: i64::from(number) * 40,
        body: payload(&[first, 1, 0, 0, 0], number, length),
    }
}

/// Sound of `length` bytes, as [`picture`].
pub fn sound(number: u32, length: usize) -> Media {
    Media {
        kind: TrackKind::Audio,
        timestamp: i64::from(number) * 40,
        body: payload(&[0xaf, 1], number, length),
    }
}

/// One NAL unit with its length before it, filled with a sequence that depends on `number`.
fn payload(head: &[u8], number: u32, length: usize) -> Bytes {
    let mut body = head.to_vec();
    body.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
    let mut state = u64::from(number) | 1 << 40;
    body.extend((0..length).map(|_| {
        // xorshift64: any sequence without repetition will do.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    }));
    body.into()
}
