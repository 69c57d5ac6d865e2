//! A server, its peers, and what must hold whatever they do.

use super::peer::Peer;
use super::said::{
    NAMES, NOBODY, UNKNOWN, aggregate, configure, control, message, say, send_tagged, stream_id,
};
use super::script::{self, Action, Bytes, Ending, Head, Opening, Step};
use super::server::Server;
use crate::memory;
use crate::messages::{Choices, Message};
use jackfield_events::{EndReason, EventType};
use jackfield_media::{Mono, StreamKey};
use jackfield_net::Accepted;
use jackfield_rtmp::amf::{Object, Value};
use jackfield_rtmp::handshake::{DigestScheme, HandshakeKind};
use jackfield_rtmp::{Announce, ClientConfig, PublishKind};
use jackfield_runtime::clock;
use jackfield_sessions::Kick;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// Steps of one input.
const MAX_STEPS: usize = 96;
/// What the server may hold when it has come to rest, and at any time: three clients and what they publish, under
/// the limits of `Settings`.
const STEADY_BYTES: usize = 6 << 20;
const PEAK_BYTES: usize = 24 << 20;
/// After this time everybody who said nothing has been sent away.
const PATIENCE: Duration = Duration::from_secs(300);
const APPS: [&str; 2] = ["live", "stage/one"];

/// Number of a key: of its app, then of its name.
fn key_number(app: u8, name: u8) -> u8 {
    app * NAMES.len() as u8 + name
}

fn key_text(name: usize) -> String {
    let name = NAMES[name].split('?').next().expect("a first part");
    format!("{}/{name}", APPS[0])
}

/// Plays an input. Panics when a rule is broken.
pub async fn run(input: &[u8]) {
    let mut bytes = Bytes::new(input);
    let head = script::head(&mut bytes);
    memory::take_peak();
    let mut world = World::new(&head);
    for _ in 0..MAX_STEPS {
        let Some(Step { peer, settles, action }) = script::step(&mut bytes) else { break };
        world.act(usize::from(peer), action).await;
        if settles {
            world.settle().await;
        }
    }
    world.end(head.end).await;
}

struct World {
    server: Server,
    peers: [Option<Peer>; 3],
    renames: [u8; 4],
    /// Connections so far; the address of each is its own.
    opened: u16,
    sessions: u32,
    frames: u32,
    base_bytes: usize,
}

impl World {
    fn new(head: &Head) -> Self {
        let base_bytes = memory::live();
        let renames = (0..4).filter(|name| usize::from(head.renames[*name]) != *name);
        let renames = renames.map(|name| (key_text(name), key_text(usize::from(head.renames[name]))));
        let server = Server::start(head.settings, head.plan.clone(), renames.collect());
        let renames = if head.settings.is_asked() { head.renames } else { [0, 1, 2, 3] };
        Self { server, peers: [None, None, None], renames, opened: 0, sessions: 0, frames: 0, base_bytes }
    }

    /// Lets everybody go on until nothing happens any more without time passing.
    async fn settle(&mut self) {
        let renames = self.renames;
        let named = |key: u8| renames.get(usize::from(key)).map_or(key, |name| *name);
        let same = |asked: u8, got: u8| got == UNKNOWN || (got != NOBODY && named(asked) == named(got));
        let (mut quiet, mut turns) = (0, 0);
        let mut seen = (0, 0);
        while quiet < 3 {
            tokio::task::yield_now().await;
            let now = (self.server.facts.count(), self.server.handler.asked.load(Relaxed));
            let mut progress = std::mem::replace(&mut seen, now) != now;
            for peer in self.peers.iter_mut().flatten() {
                progress |= peer.pump(&same);
            }
            quiet = if progress { 0 } else { quiet + 1 };
            turns += 1;
            assert!(turns < 50_000, "the server does not come to rest");
        }
        if self.server.handler.waiting.load(Relaxed) == 0 {
            self.peers.iter_mut().flatten().for_each(Peer::settled);
        }
        let own: usize = self.peers.iter().flatten().map(Peer::held_bytes).sum();
        let held = memory::live().saturating_sub(self.base_bytes + own);
        assert!(held <= STEADY_BYTES, "{held} bytes are held");
    }

    async fn pass(&mut self, time: Duration) {
        let mut left = time;
        while !left.is_zero() {
            let step = left.min(Duration::from_secs(2));
            left -= step;
            tokio::time::advance(step).await;
            self.settle().await;
        }
    }

    async fn act(&mut self, who: usize, action: Action<'_>) {
        match action {
            Action::Open(opening, app, garbage) => return self.open(who, opening, app, garbage).await,
            Action::Publish { key, kind } => return self.publish(who, key, kind).await,
            Action::Play { key } => return self.play(who, key).await,
            Action::Time(byte) => return self.pass(time(byte)).await,
            Action::Answer => return self.server.handler.release(),
            Action::End(ending) => return self.end_peer(who, ending),
            _ => {}
        }
        if self.peers[who].is_none() {
            self.open(who, Opening::Plain, 0, &[]).await;
        }
        let Some(peer) = self.peers[who].as_mut().filter(|peer| peer.has_room()) else { return };
        match action {
            Action::Configure => configure(peer),
            Action::Media { stream, framing, size, step, count } => {
                // Large ones are rare and few, or there would be few inputs a second.
                let size = if size < 240 { u16::from(size) } else { u16::from(size - 239) << 11 };
                for _ in 0..if size < 240 { count } else { count.min(8) } {
                    send_tagged(peer, &mut self.frames, stream, framing, size, u32::from(step));
                }
            }
            Action::Enhanced { stream, choices } => {
                let id = stream_id(peer, stream);
                let mut choices = Choices::new(choices);
                while let Some(message) = Message::choose(&mut choices) {
                    let body = choices.damage(&message.body());
                    peer.session.send_media(id, message.kind, peer.now_ms, &body);
                }
            }
            Action::Aggregate { stream, framings } => {
                aggregate(peer, &mut self.frames, stream, &framings[..framings.len().min(16)]);
            }
            Action::Say { stream, word } => say(peer, stream, word),
            Action::Message { stream, kind, body } => message(peer, stream, kind, body),
            Action::Raw(bytes) => peer.say(bytes),
            Action::ChunkSize(byte) => {
                // Sizes beyond the limit end the session, and end what both know of each other.
                peer.loose |= byte == 255;
                peer.session.set_chunk_size([1 + u32::from(byte) * 64, 1 << 24][usize::from(byte == 255)]);
            }
            Action::Control { kind, value } => control(peer, kind, u32::from(value)),
            Action::Read(reads) => peer.reads = reads,
            _ => {}
        }
        // What was said goes to the socket, whether the server reads it now or not.
        peer.queue_all();
    }

    fn connect(&mut self, who: usize, config: ClientConfig, app: u8) -> &mut Peer {
        let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
        theirs.set_nonblocking(true).expect("a socket");
        // A stream socket like any other: what only TCP knows is passed over by those who set it.
        let stream = std::net::TcpStream::from(OwnedFd::from(theirs));
        let stream = tokio::net::TcpStream::from_std(stream).expect("a socket");
        self.opened += 1;
        let peer = ([203, 0, 113, (self.opened % 200) as u8 + 1], 1024 + self.opened).into();
        let local = ([198, 51, 100, 1], 1935).into();
        self.server.running.serve(Accepted { stream, peer, local });
        self.peers[who].insert(Peer::new(ours, config, app))
    }

    async fn open(&mut self, who: usize, opening: Opening, app: u8, garbage: &[u8]) {
        let app = app % APPS.len() as u8;
        let name = APPS[usize::from(app)];
        let mut config = ClientConfig::new(name, &format!("rtmp://127.0.0.1/{name}"));
        match opening {
            Opening::Enhanced => config.announce = Announce::Everything,
            Opening::Choosy => {
                let list = Value::StrictArray(vec!["hvc1".into(), "mp4a".into()]);
                config.properties = Object::new().with("fourCcList", list).with("capsEx", 0.0);
            }
            Opening::Digest => config.handshake = HandshakeKind::Digest(DigestScheme::Scheme0),
            _ => {}
        }
        let peer = self.connect(who, config, app);
        match opening {
            Opening::Garbage => {
                // Its own handshake is never said.
                while peer.session.poll_output().is_some() {}
                peer.say(garbage);
            }
            Opening::Narrow => peer.narrow(),
            Opening::Pieces => {
                let mut hello = Vec::new();
                while let Some(jackfield_rtmp::Output::Write(bytes)) = peer.session.poll_output() {
                    hello.extend_from_slice(&bytes);
                }
                let (first, last) = hello.split_at(hello.len() / 3);
                let (first, last) = (first.to_vec(), last.to_vec());
                peer.queue(&first);
                self.settle().await;
                if let Some(peer) = &mut self.peers[who] {
                    peer.queue(&last);
                }
            }
            _ => {}
        }
    }

    /// Brings a client to where it has a message stream, if it gets there.
    async fn ready(&mut self, who: usize) -> Option<&mut Peer> {
        if self.peers[who].is_none() {
            self.open(who, Opening::Plain, 0, &[]).await;
        }
        if self.peers[who].as_ref()?.streams.is_empty() {
            self.settle().await;
            let peer = self.peers[who].as_mut()?;
            if peer.is_connected && peer.has_room() {
                peer.session.create_stream();
                self.settle().await;
            }
        }
        self.peers[who].as_mut().filter(|peer| peer.has_room() && !peer.streams.is_empty())
    }

    async fn publish(&mut self, who: usize, name: u8, choice: u8) {
        self.sessions += 1;
        let session = self.sessions;
        let Some(peer) = self.ready(who).await else { return };
        let id = stream_id(peer, choice >> 4);
        let kind = [PublishKind::Live, PublishKind::Record, PublishKind::Append][usize::from(choice % 3)];
        peer.session.publish(id, NAMES[usize::from(name)], kind);
        // A second publish on a stream may be refused, so that the first goes on.
        let key = if peer.publishing.contains_key(&id) { UNKNOWN } else { key_number(peer.app, name) };
        peer.publishing.insert(id, (key, session));
    }

    async fn play(&mut self, who: usize, name: u8) {
        let Some(peer) = self.ready(who).await else { return };
        let id = stream_id(peer, 0);
        peer.session.play(id, NAMES[usize::from(name)]);
        peer.watch(id, key_number(peer.app, name));
    }

    fn end_peer(&mut self, who: usize, ending: Ending) {
        match ending {
            Ending::Close => self.peers[who] = None,
            Ending::HangUp => {
                if let Some(peer) = &mut self.peers[who] {
                    peer.hang_up();
                }
            }
            Ending::Kick => {
                if let Some(connection) = self.server.connections.list().get(who) {
                    let _gone = self.server.connections.kick(connection.id, Kick::by_operator("as scripted"));
                }
            }
            Ending::KickPublisher(name) => {
                let hub = self.server.hub.clone();
                let key = StreamKey::parse(&key_text(usize::from(name))).expect("a good key");
                let kicking = async move { hub.kick_publisher(&key, EndReason::Kicked).await.is_ok() };
                drop(self.server.tasks.spawn("kick", kicking));
            }
        }
    }

    /// Everybody leaves, in one of several ways; then nothing may be left.
    async fn end(mut self, how: u8) {
        match how & 3 {
            0 => self.peers = [None, None, None],
            1 => self.peers.iter_mut().flatten().for_each(Peer::hang_up),
            // They stay, and say nothing.
            2 => self.peers.iter_mut().flatten().for_each(|peer| peer.reads = false),
            _ => {
                let running = Arc::clone(&self.server.running);
                let deadline = clock::now().after(Duration::from_secs(5));
                let stopping = async move { running.stop(deadline).await };
                drop(self.server.tasks.spawn("stop", stopping));
            }
        }
        let silent = how & 3 == 2;
        self.empties(silent).await;
        if std::env::var_os("FUZZ_FACTS").is_some() {
            self.server.facts.print();
        }
        self.server.facts.check();
        if how & 3 != 3 && how & 4 != 0 {
            self.still_serves().await;
            self.peers = [None, None, None];
            self.empties(false).await;
        }
        let peak = memory::take_peak().saturating_sub(self.base_bytes);
        assert!(peak <= PEAK_BYTES, "{peak} bytes were held at once");
        self.stop().await;
    }

    async fn empties(&mut self, silent: bool) {
        let mut waited = Duration::ZERO;
        loop {
            if silent {
                self.peers.iter_mut().flatten().for_each(|peer| peer.reads = false);
            }
            self.settle().await;
            let (connections, streams) = (self.server.connections.count(), self.server.hub.streams());
            if connections == 0 && streams.is_empty() {
                return;
            }
            assert!(waited < PATIENCE, "{connections} connections and {streams:?} are left");
            waited += Duration::from_secs(2);
            tokio::time::advance(Duration::from_secs(2)).await;
        }
    }

    /// Somebody new can publish, and somebody else sees it.
    async fn still_serves(&mut self) {
        self.server.handler.relent();
        self.peers = [None, None, None];
        self.open(0, Opening::Plain, 0, &[]).await;
        self.publish(0, 3, 0).await;
        self.play(1, 3).await;
        self.settle().await;
        let publisher = self.peers[0].as_mut().expect("it is there");
        configure(publisher);
        for framing in [0, 1, 3, 1] {
            send_tagged(publisher, &mut self.frames, 0, framing, 100, 40);
        }
        self.settle().await;
        self.pass(Duration::from_secs(1)).await;
        let viewer = self.peers[1].as_ref().expect("it is there");
        assert_eq!(viewer.frames, 4, "a new viewer sees what a new publisher sends");
    }

    /// The server stops, and none of its tasks is left.
    async fn stop(self) {
        let Server { running, hub, dispatch, tasks, facts, handler, .. } = self.server;
        handler.relent();
        drop(self.peers);
        let deadline = || -> Mono { clock::now().after(Duration::from_secs(10)) };
        assert_eq!(running.stop(deadline()).await, 0, "connections are left");
        hub.stop(EndReason::ServerShutdown).await;
        dispatch.drain(deadline()).await;
        assert_eq!(tasks.stop(deadline()).await, 0, "tasks are left");
        facts.check();
        let (accepted, closed) = (EventType::ConnectionAccept, EventType::ConnectionClose);
        assert_eq!(facts.count_of(accepted), facts.count_of(closed));
        assert_eq!(tokio::runtime::Handle::current().metrics().num_alive_tasks(), 0, "tasks are left");
    }
}

fn time(byte: u8) -> Duration {
    const MILLIS: [u64; 16] =
        [0, 1, 10, 40, 100, 350, 1000, 2000, 3000, 5000, 5100, 10_000, 15_500, 30_500, 31_000, 61_000];
    Duration::from_millis(MILLIS[usize::from(byte & 15)])
}
