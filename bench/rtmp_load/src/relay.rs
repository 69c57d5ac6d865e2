//! `relay` and `relayed`: what it takes to be woken, as the mark beside latency and first key frame.
//!
//! The relay is one thread with one epoll and no protocol. Who says `V` gets the frames that come from who says `P`, as they
//! came; who says `D` is answered as a player is: as many bytes, as often. `relayed` is the load's side of both: it paces a
//! clip's pictures and sounds through the relay to some viewers, and has newcomers go through the steps of a player's start.
use crate::args::Args;
use crate::report::Out;
use crate::{flv, sys};
use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, RawFd};
use std::time::{Duration, Instant};

/// What a player says until it gets media, and what it is answered: handshake, `connect`, `createStream`, `play`. The key
/// frame of the clip goes with the last answer.
const STEPS: [(usize, usize); 4] = [(1537, 3073), (1736, 320), (40, 41), (60, 220)];
/// A frame's length stands before it.
const HEAD: usize = 4;

enum Role {
    New,
    Publisher(Vec<u8>),
    Viewer,
    Dialogue { step: usize, got: usize },
}

struct Peer {
    socket: TcpStream,
    role: Role,
}

pub fn relay(a: &Args) -> Result<(), String> {
    let key = vec![0; key_frame(&flv::load(a.opt.get("flv").ok_or("--flv FILE")?)?)];
    let text = |e: std::io::Error| e.to_string();
    let listener = TcpListener::bind("127.0.0.1:0").map_err(text)?;
    println!("{{\"listen\":\"{}\"}}", listener.local_addr().map_err(text)?);
    listener.set_nonblocking(true).map_err(text)?;
    let epoll = sys::Epoll::new().map_err(text)?;
    epoll.add(listener.as_raw_fd(), sys::EPOLLIN, u64::MAX).map_err(text)?;
    let mut peers: Vec<Option<Peer>> = Vec::new();
    let mut buffer = vec![0; 256 << 10];
    let mut events = [sys::EpollEvent { events: 0, data: 0 }; 64];
    loop {
        let count = epoll.wait(&mut events, -1).map_err(text)?;
        for event in &events[..count] {
            let data = event.data;
            let Ok(at) = usize::try_from(data)
                .map_err(drop)
                .and_then(|at| if data == u64::MAX { Err(()) } else { Ok(at) })
            else {
                while let Ok((socket, _)) = listener.accept() {
                    ready(&socket).map_err(text)?;
                    epoll.add(socket.as_raw_fd(), sys::EPOLLIN, peers.len() as u64).map_err(text)?;
                    peers.push(Some(Peer { socket, role: Role::New }));
                }
                continue;
            };
            let Some(peer) = &mut peers[at] else { continue };
            let frames = match peer.socket.read(&mut buffer) {
                Ok(n) if n > 0 => peer.take(&buffer[..n], &key),
                Err(e) if e.kind() == ErrorKind::WouldBlock => continue,
                _ => {
                    peers[at] = None;
                    continue;
                }
            };
            if !frames.is_empty() {
                for viewer in peers.iter_mut().flatten().filter(|peer| matches!(peer.role, Role::Viewer)) {
                    whole(&mut viewer.socket, &frames);
                }
            }
        }
    }
}

impl Peer {
    /// Takes what came; gives the whole frames among it.
    fn take(&mut self, mut bytes: &[u8], key: &[u8]) -> Vec<u8> {
        if matches!(self.role, Role::New) {
            self.role = match bytes[0] {
                b'P' => Role::Publisher(Vec::new()),
                b'V' => Role::Viewer,
                _ => Role::Dialogue { step: 0, got: 0 },
            };
            bytes = &bytes[1..];
        }
        match &mut self.role {
            Role::Publisher(held) => {
                held.extend_from_slice(bytes);
                let mut end = 0;
                while let Some(head) = held.get(end..end + HEAD) {
                    let next = end + HEAD + u32::from_be_bytes(head.try_into().unwrap()) as usize;
                    if next > held.len() {
                        break;
                    }
                    end = next;
                }
                return held.drain(..end).collect();
            }
            Role::Dialogue { step, got } => {
                *got += bytes.len();
                while *step < STEPS.len() && *got >= STEPS[*step].0 {
                    *got -= STEPS[*step].0;
                    let mut answer = vec![0; STEPS[*step].1];
                    *step += 1;
                    if *step == STEPS.len() {
                        answer.extend_from_slice(key);
                    }
                    whole(&mut self.socket, &answer);
                }
            }
            Role::New | Role::Viewer => {}
        }
        Vec::new()
    }
}

/// Writes all of it. Who has left is found out when it is read.
fn whole(socket: &mut TcpStream, bytes: &[u8]) {
    let _left = socket
        .set_nonblocking(false)
        .and_then(|()| socket.write_all(bytes))
        .and_then(|()| socket.set_nonblocking(true));
}

fn ready(socket: &TcpStream) -> std::io::Result<()> {
    socket.set_nodelay(true)?;
    socket.set_nonblocking(true)
}

/// The size of the clip's first key frame.
fn key_frame(clip: &flv::Flv) -> usize {
    let is_key = |tag: &&flv::Tag| tag.type_id == 9 && clip.data[tag.start] >> 4 == 1 && tag.len > 1000;
    clip.tags.iter().find(is_key).map_or(50_000, |tag| tag.len)
}

/// Frames on their way to one viewer: where each ends, and when it was sent if it is a picture.
struct Viewer {
    socket: TcpStream,
    got: u64,
    coming: VecDeque<(u64, Option<Instant>)>,
}

/// Somebody who goes through the steps.
struct Newcomer {
    socket: TcpStream,
    began: Instant,
    step: usize,
    got: usize,
}

/// The load's side.
struct Relayed {
    epoll: sys::Epoll,
    viewers: Vec<Viewer>,
    newcomer: Option<Newcomer>,
    /// Bytes of the key frame that a newcomer waits for.
    key: usize,
    latency: Vec<f64>,
    first_key: Vec<f64>,
    buffer: Vec<u8>,
}

const NEWCOMER: u64 = u64::MAX;

pub fn relayed(a: &Args) -> Result<(), String> {
    let clip = flv::load(a.opt.get("flv").ok_or("--flv FILE")?)?;
    let address = a.url()?;
    let text = |e: std::io::Error| e.to_string();
    let newcomers = a.num("arrivals", 0.0)? as usize;
    let gap = Duration::from_secs_f64(a.num("gap-ms", 210.0)? / 1e3);
    let lasts = Duration::from_secs_f64(a.num("secs", 10.0)?).max(gap * newcomers as u32);
    let mut load = Relayed {
        epoll: sys::Epoll::new().map_err(text)?,
        viewers: Vec::new(),
        newcomer: None,
        key: key_frame(&clip),
        latency: Vec::new(),
        first_key: Vec::new(),
        buffer: vec![0; 256 << 10],
    };
    for at in 0..a.num("n", 5.0)? as usize {
        let socket = load.open(address, b"V", at as u64).map_err(text)?;
        load.viewers.push(Viewer { socket, got: 0, coming: VecDeque::new() });
    }
    let mut publisher = TcpStream::connect(address).map_err(text)?;
    publisher.set_nodelay(true).map_err(text)?;
    publisher.write_all(b"P").map_err(text)?;
    let (start, mut base, mut sent, mut next_arrival) = (Instant::now(), 0, 0_u64, gap);
    let mut out = Vec::new();
    'clips: loop {
        for tag in clip.tags.iter().filter(|tag| tag.type_id != 18) {
            let due = start + Duration::from_millis(u64::from(base + tag.ts));
            loop {
                let arrives = (load.first_key.len() < newcomers).then(|| start + next_arrival);
                let now = Instant::now();
                if arrives.is_some_and(|at| at <= now) && load.newcomer.is_none() {
                    next_arrival += gap;
                    load.arrive(address).map_err(text)?;
                }
                if due <= now {
                    break;
                }
                let until =
                    arrives.filter(|at| *at > now && load.newcomer.is_none()).map_or(due, |at| at.min(due));
                load.turn(until - now).map_err(text)?;
            }
            if start.elapsed() > lasts && load.first_key.len() >= newcomers {
                break 'clips;
            }
            out.clear();
            out.extend_from_slice(&(tag.len as u32).to_be_bytes());
            out.extend_from_slice(&clip.data[tag.start..tag.start + tag.len]);
            sent += out.len() as u64;
            let picture = (tag.type_id == 9).then(Instant::now);
            load.viewers.iter_mut().for_each(|viewer| viewer.coming.push_back((sent, picture)));
            publisher.write_all(&out).map_err(text)?;
        }
        base += clip.duration;
    }
    let mut o = Out("{".into());
    o.dist("latency_ms", load.latency);
    o.dist("first_key_ms", load.first_key);
    o.0.push('}');
    println!("{}", o.0);
    Ok(())
}

impl Relayed {
    fn open(&self, address: &str, word: &[u8], data: u64) -> std::io::Result<TcpStream> {
        let mut socket = TcpStream::connect(address)?;
        socket.set_nodelay(true)?;
        socket.write_all(word)?;
        socket.set_nonblocking(true)?;
        self.epoll.add(socket.as_raw_fd(), sys::EPOLLIN, data)?;
        Ok(socket)
    }

    fn arrive(&mut self, address: &str) -> std::io::Result<()> {
        let began = Instant::now();
        let mut word = vec![0; 1 + STEPS[0].0];
        word[0] = b'D';
        let socket = self.open(address, &word, NEWCOMER)?;
        self.newcomer = Some(Newcomer { socket, began, step: 0, got: 0 });
        Ok(())
    }

    /// Waits that long at most for something to come, and takes it.
    fn turn(&mut self, wait: Duration) -> std::io::Result<()> {
        let mut events = [sys::EpollEvent { events: 0, data: 0 }; 64];
        let count = self.epoll.wait(&mut events, wait.as_micros().div_ceil(1000) as i32)?;
        for event in &events[..count] {
            let data = event.data;
            match data {
                NEWCOMER => self.answered()?,
                at => self.seen(at as usize)?,
            }
        }
        Ok(())
    }

    fn seen(&mut self, at: usize) -> std::io::Result<()> {
        let viewer = &mut self.viewers[at];
        let n = match viewer.socket.read(&mut self.buffer) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
            n => n?,
        };
        viewer.got += n as u64;
        let now = Instant::now();
        while let Some((end, picture)) = viewer.coming.front().copied() {
            if end > viewer.got {
                break;
            }
            viewer.coming.pop_front();
            self.latency.extend(picture.map(|sent| (now - sent).as_secs_f64() * 1e3));
        }
        Ok(())
    }

    fn answered(&mut self) -> std::io::Result<()> {
        let Some(newcomer) = &mut self.newcomer else { return Ok(()) };
        match newcomer.socket.read(&mut self.buffer) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
            n => newcomer.got += n?,
        }
        let last = newcomer.step + 1 == STEPS.len();
        let answer = STEPS[newcomer.step].1 + if last { self.key } else { 0 };
        if newcomer.got < answer {
            return Ok(());
        }
        newcomer.got -= answer;
        newcomer.step += 1;
        if let Some((say, _)) = STEPS.get(newcomer.step) {
            return newcomer.socket.write_all(&vec![0; *say]);
        }
        self.first_key.push(newcomer.began.elapsed().as_secs_f64() * 1e3);
        let fd: RawFd = newcomer.socket.as_raw_fd();
        self.epoll.del(fd);
        self.newcomer = None;
        Ok(())
    }
}
