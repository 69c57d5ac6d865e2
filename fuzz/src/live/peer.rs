//! A client over one end of a pair of sockets, and what it may be given.

use super::tagged::Tag;
use bytes::Bytes;
use jackfield_media::TrackKind;
use jackfield_rtmp::{ClientConfig, ClientEvent, ClientSession, Output};
use std::collections::{BTreeMap, VecDeque};
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;

/// Bytes that a peer keeps which the server does not read; further ones are not said.
const MAX_PENDING: usize = 512 << 10;

/// What is known of the media that comes on one message stream.
#[derive(Debug, Default)]
struct Watch {
    /// Keys that were asked for on it.
    keys: Vec<u8>,
    /// The publisher whose media comes, and the number of the last of it.
    current: Option<(u32, u32)>,
    /// Publishers whose media came before.
    former: Vec<u32>,
    /// The client has ended it, and the server knows.
    over: bool,
}

/// One client.
pub struct Peer {
    socket: UnixStream,
    pub session: ClientSession,
    pending: VecDeque<u8>,
    pub reads: bool,
    gone: bool,
    shaken: bool,
    /// What it said does not stand in its own state machine, so the server may see something else than is known here.
    pub loose: bool,
    /// Bytes were said before the handshake was through.
    fouled: bool,
    /// Number of its app.
    pub app: u8,
    pub is_connected: bool,
    /// Message streams that the server made for it.
    pub streams: Vec<u32>,
    /// The tag of what is published, by message stream.
    pub publishing: BTreeMap<u32, (u8, u32)>,
    watches: BTreeMap<u32, Watch>,
    /// Streams that the client has ended since it was last settled.
    ended: Vec<u32>,
    /// Tagged frames that came.
    pub frames: usize,
    /// Time stamp of what it sends.
    pub now_ms: u32,
    /// Whether some byte came.
    pub heard: bool,
}

impl Peer {
    pub fn new(socket: UnixStream, config: ClientConfig, app: u8) -> Self {
        socket.set_nonblocking(true).expect("a socket");
        Self {
            socket,
            session: ClientSession::new(config, 2),
            pending: VecDeque::new(),
            reads: true,
            gone: false,
            shaken: false,
            loose: false,
            fouled: false,
            app,
            is_connected: false,
            streams: Vec::new(),
            publishing: BTreeMap::new(),
            watches: BTreeMap::new(),
            ended: Vec::new(),
            frames: 0,
            now_ms: 0,
            heard: false,
        }
    }

    /// Bytes past the state machine.
    pub fn say(&mut self, bytes: &[u8]) {
        self.loose = true;
        self.fouled |= !self.shaken;
        self.queue(bytes);
    }

    /// Whether more can be said.
    pub fn has_room(&self) -> bool {
        self.pending.len() < MAX_PENDING && !self.gone
    }

    /// The server has closed, or this client did.
    pub fn is_gone(&self) -> bool {
        self.gone
    }

    pub fn hang_up(&mut self) {
        self.gone |= self.socket.shutdown(Shutdown::Write).is_err();
    }

    /// Bytes that are held here and not by the server.
    pub fn held_bytes(&self) -> usize {
        self.pending.capacity()
    }

    /// From now on media of this key may come on the message stream.
    pub fn watch(&mut self, stream: u32, key: u8) {
        let watch = self.watches.entry(stream).or_default();
        watch.keys.push(key);
        watch.over = false;
        self.ended.retain(|ended| *ended != stream);
    }

    /// The client has ended what it used this message stream for.
    pub fn end(&mut self, stream: u32) {
        self.publishing.remove(&stream);
        self.ended.push(stream);
    }

    /// All that was said has been heard by both: what was ended is over.
    pub fn settled(&mut self) {
        let ended = std::mem::take(&mut self.ended);
        if self.loose || !self.reads || !self.pending.is_empty() {
            return;
        }
        for stream in ended {
            if let Some(watch) = self.watches.get_mut(&stream) {
                watch.over = true;
            }
        }
    }

    /// What it does not read waits on the server's side, as far as that goes.
    pub fn narrow(&self) {
        rustix::net::sockopt::set_socket_recv_buffer_size(&self.socket, 4096).expect("a socket");
    }

    /// Takes what its own state machine says; nothing has come that it could answer.
    pub fn queue_all(&mut self) {
        self.drain(&|_, _| true);
    }

    /// Queues bytes to be written.
    pub fn queue(&mut self, bytes: &[u8]) {
        if !self.gone {
            self.pending.extend(bytes);
        }
    }

    /// Writes and reads what there is. Returns whether there was anything. `same` says whether media published under
    /// one key is to be seen under another.
    pub fn pump(&mut self, same: &dyn Fn(u8, u8) -> bool) -> bool {
        let mut progress = self.drain(same);
        while !self.pending.is_empty() {
            match self.socket.write(self.pending.as_slices().0) {
                Ok(taken) => {
                    self.pending.drain(..taken);
                    progress = true;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_gone) => {
                    self.pending.clear();
                    break;
                }
            }
        }
        let mut buffer = [0; 16 << 10];
        while self.reads && !self.gone {
            match self.socket.read(&mut buffer) {
                Ok(0) => self.gone = true,
                Ok(count) => {
                    self.heard = true;
                    self.session.handle_input(Bytes::copy_from_slice(&buffer[..count]));
                    self.drain(same);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_reset) => self.gone = true,
            }
            progress = true;
        }
        progress
    }

    fn drain(&mut self, same: &dyn Fn(u8, u8) -> bool) -> bool {
        let mut progress = false;
        while let Some(output) = self.session.poll_output() {
            progress = true;
            match output {
                Output::Write(bytes) => self.queue(&bytes),
                Output::Event(event) => self.take(event, same),
                Output::Closed(error) => {
                    assert!(self.fouled, "the server is not understood: {error}");
                    self.gone = true;
                    // Somebody who hangs up.
                    let _gone = self.socket.shutdown(Shutdown::Both);
                }
            }
        }
        progress
    }

    fn take(&mut self, event: ClientEvent, same: &dyn Fn(u8, u8) -> bool) {
        match event {
            ClientEvent::HandshakeDone(_) => self.shaken = true,
            ClientEvent::Connected { .. } => self.is_connected = true,
            // It begins anew, with what is cached.
            ClientEvent::Status { message_stream, status } if &*status.code == "NetStream.Play.Start" => {
                if let Some(watch) = self.watches.get_mut(&message_stream) {
                    (watch.current, watch.former) = (None, Vec::new());
                }
            }
            ClientEvent::StreamCreated { message_stream } => {
                self.streams.retain(|stream| *stream != message_stream);
                self.streams.push(message_stream);
            }
            ClientEvent::Media { message_stream, kind, body, .. } => {
                if kind != TrackKind::Data {
                    self.take_media(message_stream, &body, same);
                }
            }
            _ => {}
        }
    }

    fn take_media(&mut self, stream: u32, body: &[u8], same: &dyn Fn(u8, u8) -> bool) {
        let watch = self.watches.get_mut(&stream);
        let Some(watch) = watch else {
            assert!(self.loose, "media on a message stream that asked for none");
            return;
        };
        assert!(!watch.over, "media after the client has ended the stream");
        let Some(tag) = Tag::find(body) else { return };
        self.frames += 1;
        if !self.loose {
            assert!(watch.keys.iter().any(|key| same(*key, tag.key)), "media of another stream: {tag:?}");
        }
        match watch.current {
            Some((session, last)) if session == tag.session => {
                assert!(tag.number > last, "media out of order: {last}, then {tag:?}");
            }
            Some((former, _)) => {
                watch.former.push(former);
                assert!(!watch.former.contains(&tag.session), "media of a former publisher: {tag:?}");
            }
            None => {}
        }
        watch.current = Some((tag.session, tag.number));
    }
}
