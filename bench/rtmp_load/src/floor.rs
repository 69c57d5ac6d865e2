//! `floor`: the least that a program can do to broadcast a clip to N sockets, as the mark beside which a server stands.
//!
//! One thread, no protocol, no queues: the bytes of each write are made once, and every socket is written to. `--batch-ms`
//! makes fewer and larger writes of them; without it, sound rides with the next picture, one write for each picture.
use crate::args::Args;
use crate::{chunk::Writer, flv};
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

pub fn run(a: &Args) -> Result<(), String> {
    let clip = flv::load(a.opt.get("flv").ok_or("--flv FILE")?)?;
    let viewers = a.num("n", 1.0)? as usize;
    let batch = Duration::from_secs_f64(a.num("batch-ms", 0.0)? / 1e3);
    let text = |e: std::io::Error| e.to_string();
    let listener =
        TcpListener::bind(a.opt.get("listen").map_or("127.0.0.1:0", |s| s.as_str())).map_err(text)?;
    println!("{{\"listen\":\"{}\"}}", listener.local_addr().map_err(text)?);
    let mut sockets = Vec::new();
    while sockets.len() < viewers {
        let (socket, _) = listener.accept().map_err(text)?;
        socket.set_nodelay(true).and_then(|()| socket.set_nonblocking(true)).map_err(text)?;
        sockets.push(socket);
    }
    let short = broadcast(&clip, sockets, batch);
    println!("{{\"short_writes\":{short}}}");
    Ok(())
}

/// Broadcasts until the last viewer has left; tells how many writes were not taken whole.
fn broadcast(clip: &flv::Flv, mut sockets: Vec<TcpStream>, batch: Duration) -> u64 {
    let writer = Writer { chunk: 4096 };
    let (mut out, mut short, mut base) = (Vec::new(), 0, 0);
    let start = Instant::now();
    let mut written = start;
    while !sockets.is_empty() {
        for tag in clip.tags.iter().filter(|tag| tag.type_id != 18) {
            let ts = base + tag.ts;
            let due = start + Duration::from_millis(ts as u64);
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            let csid = if tag.type_id == 9 { 6 } else { 4 };
            writer.msg(&mut out, csid, tag.type_id, 1, ts, &clip.data[tag.start..tag.start + tag.len]);
            if tag.type_id == 9 && written.elapsed() >= batch {
                written = Instant::now();
                sockets.retain_mut(|socket| match socket.write(&out) {
                    Ok(n) => {
                        short += u64::from(n < out.len());
                        true
                    }
                    Err(e) if e.kind() == ErrorKind::WouldBlock => {
                        short += 1;
                        true
                    }
                    Err(_left) => false,
                });
                out.clear();
            }
            if sockets.is_empty() {
                break;
            }
        }
        base += clip.duration;
    }
    short
}

/// `askfloor`: what it takes to ask a receiver, a worker or a program with no server between.
pub fn ask(a: &Args) -> Result<(), String> {
    let count = a.num("count", 200.0)? as usize;
    let event = format!(
        "{{\"v\":1,\"type\":\"authorize_publish\",\"data\":\"{}\"}}\n",
        "x".repeat(a.num("bytes", 600.0)? as usize)
    );
    // Who is asked seldom finds the machine cold.
    let gap = Duration::from_secs_f64(a.num("gap-ms", 0.0)? / 1e3);
    let mut times = Vec::new();
    let text = |e: std::io::Error| e.to_string();
    if let Some(address) = a.opt.get("url") {
        let mut asker = Post::open(address).map_err(text)?;
        times = timed(count, gap, || asker.ask(&event)).map_err(text)?;
    } else if let Some(command) = a.opt.get("worker") {
        let mut child = start(command).map_err(text)?;
        let mut to = child.stdin.take().ok_or("no stdin")?;
        let mut from = std::io::BufReader::new(child.stdout.take().ok_or("no stdout")?);
        let mut line = String::new();
        let mut ask = || {
            to.write_all(event.as_bytes())?;
            line.clear();
            match std::io::BufRead::read_line(&mut from, &mut line)? {
                0 => Err(ErrorKind::UnexpectedEof.into()),
                _ => Ok(()),
            }
        };
        ask().map_err(text)?; // the interpreter's own start does not count
        times = timed(count, gap, ask).map_err(text)?;
        drop(to);
        child.wait().map_err(text)?;
    } else if let Some(command) = a.opt.get("run") {
        times = timed(count, gap, || {
            let mut child = start(command)?;
            if let Some(mut to) = child.stdin.take() {
                // A program that reads nothing may be gone by now.
                let _unread = to.write_all(event.as_bytes());
            }
            child.wait_with_output().map(drop)
        })
        .map_err(text)?;
    }
    if times.is_empty() {
        return Err("askfloor needs --url, --worker or --run".into());
    }
    let mut o = crate::report::Out("{".into());
    o.dist("ask_ms", times);
    o.0.push('}');
    println!("{}", o.0);
    Ok(())
}

fn timed(
    count: usize,
    gap: Duration,
    mut ask: impl FnMut() -> std::io::Result<()>,
) -> std::io::Result<Vec<f64>> {
    (0..count)
        .map(|_| {
            std::thread::sleep(gap);
            let t = Instant::now();
            ask().map(|()| t.elapsed().as_secs_f64() * 1e3)
        })
        .collect()
}

fn start(command: &str) -> std::io::Result<std::process::Child> {
    let mut words = command.split_whitespace();
    std::process::Command::new(words.next().unwrap_or_default())
        .args(words)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
}

/// One kept connection to a receiver of hooks.
struct Post {
    socket: TcpStream,
    head: String,
}

impl Post {
    fn open(address: &str) -> std::io::Result<Post> {
        let socket = TcpStream::connect(address)?;
        socket.set_nodelay(true)?;
        let head = format!("POST / HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n");
        Ok(Post { socket, head })
    }
    fn ask(&mut self, event: &str) -> std::io::Result<()> {
        let request = format!("{}Content-Length: {}\r\n\r\n{event}", self.head, event.len());
        self.socket.write_all(request.as_bytes())?;
        // The receiver of `hook` answers in one short write.
        let mut answer = [0; 4096];
        match self.socket.read(&mut answer)? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}
