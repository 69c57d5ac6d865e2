//! One RTMP client connection (player or publisher), driven by the event loop in main.
use crate::amf::{self, Val};
use crate::chunk::{Msg, Reader, Writer};
use crate::reference::{Place, Reference};
use crate::sys;
use std::os::fd::RawFd;
use std::time::{Duration, Instant};

#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Kind {
    Play,
    Publish,
    Raw, // whatever comes is thrown away: the floor program's viewers
}

/// How a viewer reads.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Reading {
    Parse, // every message is looked at
    Check, // and each frame must be the next of the clip
    Drain, // up to the first key frame as Parse, then bytes are counted and thrown away
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub enum State {
    Tcp,
    Shake,
    Connect,
    Create,
    Asked, // play or publish sent
    Live,
    Done,
}

#[derive(Clone)]
pub struct Url {
    pub addr: std::net::SocketAddr,
    pub host: String,
    pub app: String,
    pub stream: String,
}

impl Url {
    /// rtmp://host[:port]/app[/more]/stream[?query]; the last path part is the stream.
    pub fn parse(s: &str) -> Result<Url, String> {
        use std::net::ToSocketAddrs;
        let rest = s.strip_prefix("rtmp://").ok_or("the URL must start with rtmp://")?;
        let (host, path) = rest.split_once('/').ok_or("the URL has no path")?;
        let (path_only, query) = match path.split_once('?') {
            Some((p, q)) => (p, Some(q)),
            None => (path, None),
        };
        let (app, name) = path_only.rsplit_once('/').ok_or("the path must be app/stream")?;
        let hp = if host.rsplit(':').next().is_some_and(|p| p.parse::<u16>().is_ok()) && host.contains(':') {
            host.to_string()
        } else {
            format!("{host}:1935")
        };
        let addr = hp.to_socket_addrs().map_err(|e| format!("{hp}: {e}"))?.next().ok_or("no address")?;
        let stream = match query {
            Some(q) => format!("{name}?{q}"),
            None => name.to_string(),
        };
        Ok(Url { addr, host: hp, app: app.to_string(), stream })
    }
}

/// Moments since the TCP connect call.
#[derive(Default, Clone)]
pub struct Marks {
    pub tcp: Option<Duration>,
    pub shake: Option<Duration>,
    pub connected: Option<Duration>,
    pub started: Option<Duration>, // NetStream.Play.Start or NetStream.Publish.Start
    pub first_video: Option<Duration>,
    pub first_key: Option<Duration>,
    pub first_audio: Option<Duration>,
    pub asked_at: Option<Duration>, // when play/publish was sent
}

#[derive(Default, Clone)]
pub struct Counters {
    pub bytes: u64,
    pub video: u64,
    pub keys: u64,
    pub audio: u64,
    pub backwards: u64,
    pub headers: u64,      // video sequence headers
    pub meta: u64,         // data messages (onMetaData and the like)
    pub max_gap: Duration, // longest silence between video messages after the first key frame
    pub first_ts: Option<u32>,
    pub last_ts: u32,
    pub last_video: Option<Instant>,
}

pub struct Session {
    pub fd: RawFd,
    pub kind: Kind,
    pub state: State,
    pub url: Url,
    pub t0: Instant,
    pub marks: Marks,
    pub n: Counters,
    pub error: Option<String>,
    pub status: String,
    pub out: Vec<u8>,
    out_pos: usize,
    pub w: Writer,
    r: Reader,
    shake: usize,
    pub stream_id: u32,
    ack_window: u64,
    acked: u64,
    pub slow_bps: u64, // 0 = read as fast as possible
    pub budget: f64,
    pub last_fill: Instant,
    pub latency: Vec<u32>, // of video, microseconds
    pub audio_latency: Vec<u32>,
    pub paused: bool,
    pub reading: Reading,
    pub video: Place,
    pub audio: Place,
    pub wrong_headers: u64,
    ponged: Instant,
}

const SHAKE: usize = 1536;

/// --quickack: no delayed ACKs on our side, which hides a server's Nagle stalls.
pub static QUICKACK: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);

fn quick(fd: RawFd) {
    if QUICKACK.load(std::sync::atomic::Ordering::Relaxed) {
        sys::quickack(fd);
    }
}

impl Session {
    pub fn open(kind: Kind, url: &Url, slow_bps: u64, reading: Reading) -> Result<Session, String> {
        let t0 = Instant::now();
        let rcv = if slow_bps > 0 { Some(32 * 1024) } else { None };
        let fd = sys::tcp_connect(&url.addr, rcv).map_err(|e| e.to_string())?;
        Ok(Session {
            fd,
            kind,
            state: State::Tcp,
            url: url.clone(),
            t0,
            marks: Marks::default(),
            n: Counters::default(),
            error: None,
            status: String::new(),
            out: Vec::new(),
            out_pos: 0,
            w: Writer::new(),
            r: if reading == Reading::Check { Reader::hashing() } else { Reader::new() },
            shake: 0,
            stream_id: 1,
            ack_window: 0,
            acked: 0,
            slow_bps,
            budget: 0.0,
            last_fill: t0,
            latency: Vec::new(),
            audio_latency: Vec::new(),
            paused: false,
            reading,
            video: Place::default(),
            audio: Place::default(),
            wrong_headers: 0,
            ponged: t0,
        })
    }

    pub fn want_write(&self) -> bool {
        self.state == State::Tcp || self.out_pos < self.out.len()
    }

    pub fn pending_out(&self) -> usize {
        self.out.len() - self.out_pos
    }

    pub fn fail(&mut self, why: impl Into<String>) {
        if self.error.is_none() {
            self.error = Some(why.into());
        }
        self.state = State::Done;
    }

    pub fn on_writable(&mut self) {
        if self.state == State::Tcp {
            let e = sys::so_error(self.fd);
            if e != 0 {
                return self.fail(format!("connect: {}", std::io::Error::from_raw_os_error(e)));
            }
            self.marks.tcp = Some(self.t0.elapsed());
            quick(self.fd);
            if self.kind == Kind::Raw {
                self.state = State::Live;
                return;
            }
            self.state = State::Shake;
            self.out.push(3);
            self.out.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 0]); // time, version 0: the simple handshake
            let mut x = self.fd as u32 ^ 0x9e37_79b9;
            for _ in 0..SHAKE - 8 {
                x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                self.out.push((x >> 24) as u8);
            }
        }
        self.flush();
    }

    pub fn flush(&mut self) {
        while self.out_pos < self.out.len() {
            match sys::write_fd(self.fd, &self.out[self.out_pos..]) {
                Ok(Some(n)) => self.out_pos += n,
                Ok(None) => return,
                Err(e) => return self.fail(format!("write: {e}")),
            }
        }
        self.out.clear();
        self.out_pos = 0;
    }

    /// Reads what there is (one buffer, or the slow reader's allowance).
    pub fn on_readable(&mut self, buf: &mut [u8], reference: Option<&Reference>) {
        let mut allow = buf.len();
        if self.slow_bps > 0 && self.state == State::Live {
            let now = Instant::now();
            self.budget += now.duration_since(self.last_fill).as_secs_f64() * self.slow_bps as f64 / 8.0;
            self.budget = self.budget.min(self.slow_bps as f64 / 8.0);
            self.last_fill = now;
            allow = (self.budget as usize).min(buf.len());
            if allow < 512 {
                self.paused = true; // the loop stops polling this socket for a while
                return;
            }
        }
        let drain = self.draining();
        quick(self.fd);
        let got =
            if drain { sys::drain_fd(self.fd, 1 << 20) } else { sys::read_fd(self.fd, &mut buf[..allow]) };
        quick(self.fd);
        match got {
            Ok(Some(0)) => {
                let s = format!("closed by the server in state {:?} {}", self.state, self.status);
                self.fail(s)
            }
            Ok(Some(n)) => {
                self.budget -= n as f64;
                self.n.bytes += n as u64;
                if !drain {
                    self.take(&buf[..n], reference);
                }
                if self.ack_window > 0 && self.n.bytes - self.acked >= self.ack_window / 2 {
                    self.acked = self.n.bytes;
                    let v = (self.n.bytes as u32).to_be_bytes();
                    self.w.msg(&mut self.out, 2, 3, 0, 0, &v);
                }
                self.flush();
            }
            Ok(None) => {}
            Err(e) => self.fail(format!("read: {e}")),
        }
    }

    /// Whether this viewer only counts bytes by now.
    pub fn draining(&self) -> bool {
        self.kind == Kind::Raw || self.reading == Reading::Drain && self.marks.first_key.is_some()
    }

    /// A viewer that does not read cannot see a server's pings: it answers now and then without having been asked.
    pub fn pong(&mut self) {
        if self.kind == Kind::Play && self.draining() && self.ponged.elapsed() > Duration::from_secs(10) {
            self.ponged = Instant::now();
            self.w.msg(&mut self.out, 2, 4, 0, 0, &[0, 7, 0, 0, 0, 0]);
            self.flush();
        }
    }

    fn take(&mut self, mut b: &[u8], reference: Option<&Reference>) {
        if self.state == State::Shake {
            // S0 S1 S2; S1 is echoed as C2 (its content does not matter to a simple client)
            let need = 1 + 2 * SHAKE;
            let n = (need - self.shake).min(b.len());
            for (i, x) in b[..n].iter().enumerate() {
                let p = self.shake + i;
                if p == 0 && *x != 3 {
                    return self.fail(format!("server answered version {x}"));
                }
                if (1..1 + SHAKE).contains(&p) {
                    self.out.push(*x);
                }
            }
            self.shake += n;
            b = &b[n..];
            if self.shake < need {
                return;
            }
            self.marks.shake = Some(self.t0.elapsed());
            self.send_connect();
            self.state = State::Connect;
        }
        if b.is_empty() {
            return;
        }
        let mut r = std::mem::replace(&mut self.r, Reader::new());
        let res = r.feed(b, &mut |m| self.on_msg(m, reference));
        self.r = r;
        if let Err(e) = res {
            self.fail(e);
        }
    }

    fn command(&mut self, stream: u32, csid: u8, f: impl FnOnce(&mut Vec<u8>)) {
        let mut b = Vec::new();
        f(&mut b);
        self.w.msg(&mut self.out, csid, 20, stream, 0, &b);
    }

    fn send_connect(&mut self) {
        let tc = format!("rtmp://{}/{}", self.url.host, self.url.app);
        let app = self.url.app.clone();
        let publish = self.kind == Kind::Publish;
        self.command(0, 3, |b| {
            amf::string(b, "connect");
            amf::num(b, 1.0);
            amf::obj_start(b);
            amf::key(b, "app");
            amf::string(b, &app);
            if publish {
                amf::key(b, "type");
                amf::string(b, "nonprivate");
            }
            amf::key(b, "flashVer");
            amf::string(b, if publish { "FMLE/3.0 (compatible; rtmp_load)" } else { "LNX 9,0,124,2" });
            amf::key(b, "tcUrl");
            amf::string(b, &tc);
            if !publish {
                amf::key(b, "fpad");
                amf::boolean(b, false);
                amf::key(b, "capabilities");
                amf::num(b, 15.0);
                amf::key(b, "audioCodecs");
                amf::num(b, 4071.0);
                amf::key(b, "videoCodecs");
                amf::num(b, 252.0);
                amf::key(b, "videoFunction");
                amf::num(b, 1.0);
            }
            amf::obj_end(b);
        });
    }

    fn on_msg(&mut self, m: Msg, reference: Option<&Reference>) -> Result<(), String> {
        match m.type_id {
            4 if m.head.len() >= 6 && m.head[1] == 6 => {
                let mut b = vec![0, 7];
                b.extend_from_slice(&m.head[2..6]);
                self.w.msg(&mut self.out, 2, 4, 0, 0, &b);
            }
            5 if m.head.len() >= 4 => {
                self.ack_window = u32::from_be_bytes([m.head[0], m.head[1], m.head[2], m.head[3]]) as u64;
            }
            8 => {
                self.n.audio += 1;
                if let (Reading::Check, Some(r)) = (self.reading, reference) {
                    if crate::reference::is_header(8, m.head) {
                        self.wrong_headers += u64::from(!r.has_header(m.hash));
                    } else if let Some(t) = self.audio.next(&r.audio, m.hash, m.ts) {
                        self.audio_latency.push(micros(t));
                    }
                }
                if self.marks.first_audio.is_none() {
                    self.marks.first_audio = Some(self.t0.elapsed());
                }
            }
            9 => self.on_video(&m, reference),
            15 | 18 => self.n.meta += 1,
            20 | 17 => {
                let h = if m.type_id == 17 && m.head.first() == Some(&0) { &m.head[1..] } else { m.head };
                self.on_command(amf::decode_all(h))?;
            }
            _ => {}
        }
        Ok(())
    }

    fn on_video(&mut self, m: &Msg, reference: Option<&Reference>) {
        let Some(b0) = m.head.first() else { return };
        let enhanced = b0 & 0x80 != 0;
        let frame = (b0 >> 4) & 7;
        let (coded, header) = if enhanced {
            let p = b0 & 15;
            (p == 1 || p == 3 || p == 6, p == 0)
        } else {
            let codec = b0 & 15;
            let p = m.head.get(1).copied().unwrap_or(255);
            if codec == 7 || codec == 12 { (p == 1, p == 0) } else { (true, false) }
        };
        let el = self.t0.elapsed();
        if self.marks.first_video.is_none() {
            self.marks.first_video = Some(el);
        }
        if header {
            self.n.headers += 1;
            if let (Reading::Check, Some(r)) = (self.reading, reference) {
                self.wrong_headers += u64::from(!r.has_header(m.hash));
            }
        }
        if header || !coded {
            return;
        }
        let now = Instant::now();
        self.n.video += 1;
        if frame == 1 {
            self.n.keys += 1;
            if self.marks.first_key.is_none() {
                self.marks.first_key = Some(el);
                self.n.first_ts = Some(m.ts);
                self.n.last_ts = m.ts;
            }
        }
        if self.marks.first_key.is_some() {
            if m.ts < self.n.last_ts {
                self.n.backwards += 1;
            }
            self.n.last_ts = m.ts;
            if let Some(l) = self.n.last_video {
                self.n.max_gap = self.n.max_gap.max(now.duration_since(l));
            }
            self.n.last_video = Some(now);
        }
        if let (Reading::Check, Some(r)) = (self.reading, reference) {
            if let Some(t) = self.video.next(&r.video, m.hash, m.ts) {
                self.latency.push(micros(t));
            }
        }
    }

    fn on_command(&mut self, v: Vec<Val>) -> Result<(), String> {
        let name = v.first().and_then(|x| x.as_str()).unwrap_or("").to_string();
        let txn = v.get(1).and_then(|x| x.as_num()).unwrap_or(0.0);
        match name.as_str() {
            "_result" if txn == 1.0 && self.state == State::Connect => {
                self.marks.connected = Some(self.t0.elapsed());
                self.state = State::Create;
                let s = self.url.stream.clone();
                if self.kind == Kind::Publish {
                    self.w.msg(&mut self.out, 2, 1, 0, 0, &4096u32.to_be_bytes());
                    self.w.chunk = 4096;
                    for (i, c) in ["releaseStream", "FCPublish"].iter().enumerate() {
                        self.command(0, 3, |b| {
                            amf::string(b, c);
                            amf::num(b, 2.0 + i as f64);
                            amf::null(b);
                            amf::string(b, &s);
                        });
                    }
                } else {
                    self.w.msg(&mut self.out, 2, 5, 0, 0, &2_500_000u32.to_be_bytes());
                }
                self.command(0, 3, |b| {
                    amf::string(b, "createStream");
                    amf::num(b, 4.0);
                    amf::null(b);
                });
            }
            "_result" if txn == 4.0 && self.state == State::Create => {
                self.stream_id = v.iter().skip(2).filter_map(|x| x.as_num()).next().unwrap_or(1.0) as u32;
                self.state = State::Asked;
                self.marks.asked_at = Some(self.t0.elapsed());
                let (s, id) = (self.url.stream.clone(), self.stream_id);
                if self.kind == Kind::Publish {
                    self.command(id, 8, |b| {
                        amf::string(b, "publish");
                        amf::num(b, 5.0);
                        amf::null(b);
                        amf::string(b, &s);
                        amf::string(b, "live");
                    });
                } else {
                    self.command(id, 8, |b| {
                        amf::string(b, "play");
                        amf::num(b, 5.0);
                        amf::null(b);
                        amf::string(b, &s);
                        amf::num(b, -2000.0);
                    });
                    let mut b = vec![0, 3];
                    b.extend_from_slice(&id.to_be_bytes());
                    b.extend_from_slice(&3000u32.to_be_bytes());
                    self.w.msg(&mut self.out, 2, 4, 0, 0, &b);
                }
            }
            "_error" if txn == 1.0 || txn == 4.0 => return Err(format!("server error: {v:?}")),
            "onStatus" => {
                let info = v.iter().find(|x| x.get("code").is_some());
                let code =
                    info.and_then(|x| x.get("code")).and_then(|x| x.as_str()).unwrap_or("").to_string();
                let level =
                    info.and_then(|x| x.get("level")).and_then(|x| x.as_str()).unwrap_or("").to_string();
                match code.as_str() {
                    "NetStream.Play.Start" | "NetStream.Publish.Start" => {
                        if self.marks.started.is_none() {
                            self.marks.started = Some(self.t0.elapsed());
                            self.state = State::Live;
                            self.last_fill = Instant::now();
                        }
                    }
                    _ if level == "error" => return Err(format!("onStatus {code}")),
                    _ => {}
                }
                self.status = code;
            }
            _ => {}
        }
        Ok(())
    }
}

fn micros(since: Instant) -> u32 {
    since.elapsed().as_micros().min(u32::MAX as u128) as u32
}
