//! A proxy between clients and the server that is slow, stalls, or breaks off.

use super::emulator::Chance;
use anyhow::{Context, Result};
use socket2::{SockRef, Socket};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What the proxy reads at once, and how many of that may be on their way: so much is taken from a sender whose receiver
/// takes nothing.
const BLOCK: usize = 4096;
const BLOCKS: usize = 16;
/// Buffers of the proxy's own sockets, so that a sender soon feels a slow receiver.
const SOCKET_BUFFER: usize = 32 * 1024;

/// What a direction does to bytes. The default passes them on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flow {
    /// How long bytes are on their way.
    pub delay: Duration,
    /// How much shorter or longer that may be; order is kept.
    pub jitter: Duration,
    /// Bits per second; 0 is no cap.
    pub cap: u64,
    /// Bytes of one write; 0 is no limit. 1 is a dribble.
    pub piece: usize,
}

/// A proxy on a free port of the loopback. Its connections break when it goes.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    server: SocketAddr,
    /// Client to server, server to client.
    flows: [Flow; 2],
    valve: Mutex<Valve>,
    turned: Condvar,
    connections: Mutex<Vec<(Socket, Socket)>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Valve {
    Open,
    Shut,
    /// The proxy is gone.
    Broken,
}

impl Proxy {
    /// Starts one before `server`; `inwards` is what happens to the bytes of clients, `outwards` to those of the server.
    ///
    /// # Errors
    /// When no port is free.
    pub fn start(server: SocketAddr, inwards: Flow, outwards: Flow) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("the proxy's port")?;
        // Inherited by what it accepts: the window is settled when a connection begins.
        SockRef::from(&listener).set_recv_buffer_size(SOCKET_BUFFER)?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            server,
            flows: [inwards, outwards],
            valve: Mutex::new(Valve::Open),
            turned: Condvar::new(),
            connections: Mutex::default(),
        });
        let mine = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                if mine.valve() == Valve::Broken {
                    return;
                }
                if let Ok(client) = client {
                    // A client that cannot be served is closed.
                    mine.serve(client).unwrap_or_default();
                }
            }
        });
        Ok(Self { address, shared })
    }

    /// Where clients connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of a stream: `live/a`.
    pub fn url(&self, key: &str) -> String {
        format!("rtmp://{}/{key}", self.address)
    }

    /// From now on nothing is passed on, in neither direction; the sockets stay open.
    pub fn stall(&self) {
        self.shared.turn(Valve::Shut);
    }

    /// What was held is passed on, and what comes.
    pub fn resume(&self) {
        self.shared.turn(Valve::Open);
    }

    /// Resets all connections, to both ends.
    ///
    /// # Errors
    /// When a socket does not let itself be reset.
    pub fn reset(&self) -> Result<()> {
        for (client, server) in self.shared.connections().drain(..) {
            for socket in [client, server] {
                // connect(2): AF_UNSPEC dissolves the association, which TCP tells by RST.
                rustix::net::connect_unspec(&socket).context("resetting a connection")?;
            }
        }
        Ok(())
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.turn(Valve::Broken);
        for (client, server) in self.shared.connections().drain(..) {
            for socket in [client, server] {
                socket.shutdown(Shutdown::Both).unwrap_or_default();
            }
        }
        // The listener looks up at the next connection: this one.
        drop(TcpStream::connect(self.address));
    }
}

impl Shared {
    /// Forwards one connection, each direction for itself: the end of one leaves the other open.
    fn serve(self: &Arc<Self>, client: TcpStream) -> Result<()> {
        let server = Socket::new(socket2::Domain::for_address(self.server), socket2::Type::STREAM, None)?;
        server.set_recv_buffer_size(SOCKET_BUFFER)?;
        server.connect(&self.server.into()).context("connecting to the server")?;
        let server = TcpStream::from(server);
        for socket in [&client, &server] {
            SockRef::from(socket).set_send_buffer_size(SOCKET_BUFFER)?;
            socket.set_nodelay(true)?;
        }
        self.connections().push((Socket::from(client.try_clone()?), Socket::from(server.try_clone()?)));
        let ends = [(client.try_clone()?, server.try_clone()?), (server, client)];
        for ((from, to), flow) in ends.into_iter().zip(self.flows) {
            let (send, received) = sync_channel(BLOCKS);
            let shared = Arc::clone(self);
            std::thread::spawn(move || read(from, flow, &send));
            std::thread::spawn(move || shared.write(to, flow, &received));
        }
        Ok(())
    }

    fn write(&self, mut to: TcpStream, flow: Flow, blocks: &Receiver<Block>) {
        let piece = if flow.piece == 0 { BLOCK } else { flow.piece };
        for Block { due, bytes } in blocks {
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            for bytes in bytes.chunks(piece) {
                if self.wait_open() == Valve::Broken || to.write_all(bytes).is_err() {
                    return;
                }
                if let Some(micros) = (bytes.len() as u64 * 8_000_000).checked_div(flow.cap) {
                    std::thread::sleep(Duration::from_micros(micros));
                }
            }
        }
        // The sender has ended: so does this direction, when it may.
        if self.wait_open() == Valve::Open {
            to.shutdown(Shutdown::Write).unwrap_or_default();
        }
    }

    fn valve(&self) -> Valve {
        *self.valve.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_open(&self) -> Valve {
        let valve = self.valve.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.turned.wait_while(valve, |valve| *valve == Valve::Shut);
        *waited.unwrap_or_else(PoisonError::into_inner)
    }

    fn turn(&self, to: Valve) {
        *self.valve.lock().unwrap_or_else(PoisonError::into_inner) = to;
        self.turned.notify_all();
    }

    fn connections(&self) -> std::sync::MutexGuard<'_, Vec<(Socket, Socket)>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bytes, and when they arrive.
struct Block {
    due: Instant,
    bytes: Vec<u8>,
}

fn read(mut from: TcpStream, flow: Flow, into: &SyncSender<Block>) {
    let mut chance = Chance::new(1);
    let mut bytes = vec![0; BLOCK];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        let due = Instant::now() + chance.around(flow.delay, flow.jitter);
        let bytes = bytes.get(..count).unwrap_or_default().to_vec();
        if into.send(Block { due, bytes }).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SOON;
    use std::io::ErrorKind;

    /// A proxy with both ends in our hands.
    fn pair(inwards: Flow, outwards: Flow) -> (Proxy, TcpStream, TcpStream) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let proxy = Proxy::start(listener.local_addr().unwrap(), inwards, outwards).unwrap();
        let client = TcpStream::connect(proxy.address()).unwrap();
        let (server, _) = listener.accept().unwrap();
        for socket in [&client, &server] {
            socket.set_read_timeout(Some(SOON)).unwrap();
        }
        (proxy, client, server)
    }

    fn said(socket: &mut TcpStream, length: usize) -> String {
        let mut bytes = vec![0; length];
        socket.read_exact(&mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn bytes_go_both_ways_and_the_end_of_one_leaves_the_other() {
        let delay = Duration::from_millis(5);
        let slow = Flow { delay, jitter: delay, cap: 1_000_000, piece: 1 };
        let (_proxy, mut client, mut server) = pair(slow, Flow::default());
        client.write_all(b"question").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut heard = String::new();
        server.read_to_string(&mut heard).unwrap();
        assert_eq!(heard, "question");
        server.write_all(b"answer").unwrap();
        assert_eq!(said(&mut client, 6), "answer");
    }

    #[test]
    fn what_was_said_in_a_stall_comes_after_it() {
        let (proxy, mut client, mut server) = pair(Flow::default(), Flow::default());
        proxy.stall();
        client.write_all(b"late").unwrap();
        server.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        assert_eq!(server.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
        server.set_read_timeout(Some(SOON)).unwrap();
        proxy.resume();
        assert_eq!(said(&mut server, 4), "late");
    }

    #[test]
    fn a_reset_is_heard_as_such_by_both() {
        let (proxy, mut client, mut server) = pair(Flow::default(), Flow::default());
        client.write_all(b"x").unwrap();
        assert_eq!(said(&mut server, 1), "x");
        proxy.reset().unwrap();
        for socket in [&mut client, &mut server] {
            assert_eq!(socket.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
        }
    }
}
