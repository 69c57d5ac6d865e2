//! A proxy before the server that makes each request a client of its own, for programs that send many and are one: each comes
//! from another address of the loopback. An answer without an end is ended after a moment, so that such a program can judge it.

use crate::SOON;
use anyhow::{Context, Result, ensure};
use socket2::{Domain, SockAddr, Socket, Type};
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// How much there is of an answer without an end.
const MOMENT: Duration = Duration::from_millis(500);
/// A request's head; the server takes less.
const MAX_HEAD_BYTES: usize = 1024 * 1024;

/// The proxy. It ends with the test.
#[derive(Debug)]
pub struct Front {
    address: SocketAddr,
}

/// Whether an answer ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Whole,
    Endless,
}

#[derive(Debug)]
struct Back {
    server: SocketAddr,
    /// The path whose answer has no end.
    endless: String,
    /// The line of a head that shows a token, in the place of whatever a client shows.
    token: Option<String>,
    clients: AtomicU32,
}

impl Front {
    /// Before this server, whose answers under the path `endless` are ended.
    ///
    /// # Errors
    /// When no port is free.
    pub fn of(server: SocketAddr, endless: &str) -> Result<Self> {
        Self::start(server, endless, None)
    }

    /// The same, as if the server heeded no tokens: every request has this line in its head. What a test makes of that shows
    /// whether it would find such a server out.
    ///
    /// # Errors
    /// When no port is free.
    pub fn heedless(server: SocketAddr, endless: &str, token: String) -> Result<Self> {
        Self::start(server, endless, Some(token))
    }

    fn start(server: SocketAddr, endless: &str, token: Option<String>) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("the proxy's port")?;
        let address = listener.local_addr()?;
        let back = Arc::new(Back { server, endless: endless.to_owned(), token, clients: AtomicU32::new(0) });
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let back = Arc::clone(&back);
                // What goes wrong here closes both, which is what the client sees.
                std::thread::spawn(move || back.serve(client).unwrap_or_default());
            }
        });
        Ok(Self { address })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Back {
    /// One request, which ends the connection.
    fn serve(&self, mut client: TcpStream) -> Result<()> {
        client.set_read_timeout(Some(SOON))?;
        let mut read = Vec::new();
        let end = loop {
            if let Some(at) = read.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break at + 4;
            }
            ensure!(read.len() < MAX_HEAD_BYTES, "a head without end");
            let mut block = [0; 16 * 1024];
            let count = client.read(&mut block)?;
            ensure!(count > 0, "it left");
            read.extend_from_slice(block.get(..count).unwrap_or_default());
        };
        let (head, body) = read.split_at(end);
        let endless = head.starts_with(format!("GET {}", self.endless).as_bytes());
        let answer = if endless { Answer::Endless } else { Answer::Whole };
        let mut server = self.connect()?;
        server.write_all(&closing(head, answer, self.token.as_deref()))?;
        server.write_all(body)?;
        client.set_read_timeout(None)?;
        let (mut from, mut to) = (client.try_clone()?, server.try_clone()?);
        // Whoever closes its half still waits for the answer.
        std::thread::spawn(move || std::io::copy(&mut from, &mut to).map(drop).unwrap_or_default());
        if answer == Answer::Endless {
            copy_for_a_moment(&mut server, &mut client)?;
            server.shutdown(Shutdown::Both)?;
        } else {
            std::io::copy(&mut server, &mut client)?;
        }
        Ok(client.shutdown(Shutdown::Both)?)
    }

    /// From the next address of 127.1.0.0 and what comes after it.
    fn connect(&self) -> Result<TcpStream> {
        let number = self.clients.fetch_add(1, Ordering::Relaxed);
        let own = Ipv4Addr::from_bits(Ipv4Addr::new(127, 1, 0, 1).to_bits() + number);
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.bind(&SockAddr::from(SocketAddr::new(IpAddr::V4(own), 0)))?;
        socket.connect_timeout(&SockAddr::from(self.server), SOON)?;
        Ok(socket.into())
    }
}

/// The head, for one request only. One whose answer has no end becomes one of HTTP/1.0, where the end of the connection is that
/// of the answer.
fn closing(head: &[u8], answer: Answer, token: Option<&str>) -> Vec<u8> {
    let mut lines = head.split(|byte| *byte == b'\n');
    let first = lines.next().unwrap_or_default().strip_suffix(b"\r").unwrap_or_default();
    let first = match first.strip_suffix(b"HTTP/1.1") {
        Some(start) if answer == Answer::Endless => [start, b"HTTP/1.0"].concat(),
        _ => first.to_vec(),
    };
    let token = token.unwrap_or_default();
    let mut closing = [&first, b"\r\nConnection: close\r\n".as_slice(), token.as_bytes()].concat();
    let names: &[&[u8]] =
        if token.is_empty() { &[b"connection:"] } else { &[b"connection:", b"authorization:"] };
    let others = lines.filter(|line| {
        let line = line.to_ascii_lowercase();
        !names.iter().any(|name| line.starts_with(name))
    });
    closing.extend_from_slice(&others.collect::<Vec<_>>().join(&b'\n'));
    closing
}

fn copy_for_a_moment(server: &mut TcpStream, client: &mut TcpStream) -> Result<()> {
    let end = Instant::now() + MOMENT;
    let mut block = [0; 16 * 1024];
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        server.set_read_timeout(Some(left))?;
        match server.read(&mut block) {
            Ok(0) | Err(_) => return Ok(()),
            Ok(count) => client.write_all(block.get(..count).unwrap_or_default())?,
        }
    }
}
