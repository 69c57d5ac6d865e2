//! Listening sockets: where they bind, and an accept loop that neither spins nor gives up.

use crate::Seldom;
use jackfield_runtime::clock;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

/// Connections that the kernel keeps ready for us. It cuts this to its own limit.
const BACKLOG: i32 = 4096;
/// How long accepting rests when descriptors or memory have run out: trying again at once would only
/// burn what is left.
const REST: Duration = Duration::from_millis(100);

/// Where to listen: `:1935` is every address of the machine, `127.0.0.1:0` a port that the kernel picks,
/// `[::1]:1936` an IPv6 address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListenAddr {
    /// `None` is `[::]` with IPv4 on the same socket, or `0.0.0.0` on a machine without IPv6.
    ip: Option<IpAddr>,
    port: u16,
}

/// A text that is no [`ListenAddr`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a listen address: write `:1935`, `127.0.0.1:1935` or `[::1]:1935`")]
pub struct ListenAddrError(String);

impl ListenAddr {
    /// Whether only this machine can connect to it.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.ip.is_some_and(|ip| ip.to_canonical().is_loopback())
    }
}

impl FromStr for ListenAddr {
    type Err = ListenAddrError;

    fn from_str(text: &str) -> Result<Self, ListenAddrError> {
        let bad = || ListenAddrError(text.to_owned());
        if let Some(port) = text.strip_prefix(':') {
            // `u16::from_str` would take a plus sign.
            let digits = port.bytes().all(|byte| byte.is_ascii_digit());
            let port = port.parse().ok().filter(|_| digits).ok_or_else(bad)?;
            return Ok(Self { ip: None, port });
        }
        let addr: SocketAddr = text.parse().map_err(|_source| bad())?;
        Ok(Self { ip: Some(addr.ip()), port: addr.port() })
    }
}

impl fmt::Display for ListenAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ip {
            Some(ip) => SocketAddr::new(ip, self.port).fmt(f),
            None => write!(f, ":{}", self.port),
        }
    }
}

/// A listener that could not be bound.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {addr}: {source}")]
pub struct BindError {
    /// What was asked for.
    pub addr: ListenAddr,
    /// What the kernel said.
    pub source: io::Error,
}

/// A listening TCP socket.
#[derive(Debug)]
pub struct Listener {
    listener: TcpListener,
    local: SocketAddr,
}

/// An accepted connection. TCP_NODELAY is set.
#[derive(Debug)]
pub struct Accepted {
    /// The socket.
    pub stream: TcpStream,
    /// The peer; IPv4 as IPv4, also on a dual-stack socket.
    pub peer: SocketAddr,
    /// The address that the peer reached.
    pub local: SocketAddr,
}

impl Listener {
    /// Binds and listens. Call it within the runtime.
    ///
    /// # Errors
    /// [`BindError`], as the kernel says.
    pub fn bind(addr: ListenAddr) -> Result<Self, BindError> {
        let bind = || -> io::Result<Self> {
            let socket = match addr.ip {
                Some(ip) => bound(SocketAddr::new(ip, addr.port), DualStack::No)?,
                None => match bound((Ipv6Addr::UNSPECIFIED, addr.port).into(), DualStack::Yes) {
                    Err(error) if no_ipv6(&error) => {
                        bound((Ipv4Addr::UNSPECIFIED, addr.port).into(), DualStack::No)?
                    }
                    socket => socket?,
                },
            };
            socket.listen(BACKLOG)?;
            let listener = TcpListener::from_std(socket.into())?;
            let local = listener.local_addr()?;
            Ok(Self { listener, local })
        };
        bind().map_err(|source| BindError { addr, source })
    }

    /// The address that was bound, with the port that the kernel picked.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Tells the log that this listener is up, in the form that people and tests wait for.
    pub fn log_listening(&self, proto: &str) {
        tracing::info!(%proto, addr = %self.local, "Listening");
    }

    /// The next connection. Errors of a single connection are passed over; when descriptors or memory
    /// have run out it rests a moment and tries again. Cancel-safe.
    pub async fn accept(&self) -> Accepted {
        static EXHAUSTED: Seldom = Seldom::new();
        loop {
            let error = match self.listener.accept().await {
                Ok((stream, peer)) => match accepted(stream, peer) {
                    Ok(accepted) => return accepted,
                    // It has gone again.
                    Err(_gone) => continue,
                },
                Err(error) => error,
            };
            // accept(2): errors of the connection itself come out of accept too.
            if is_exhaustion(&error) {
                if let Some(times) = EXHAUSTED.now(clock::now()) {
                    tracing::error!(addr = %self.local, %error, times, "Cannot accept connections");
                }
                clock::sleep(REST).await;
            }
        }
    }
}

fn accepted(stream: TcpStream, peer: SocketAddr) -> io::Result<Accepted> {
    stream.set_nodelay(true)?;
    let local = stream.local_addr()?;
    Ok(Accepted { stream, peer: canonical(peer), local: canonical(local) })
}

/// Has the kernel acknowledge what comes next without delay (tcp(7), `TCP_QUICKACK`; it holds for a moment
/// only). A client that sends its requests in several small writes and leaves Nagle's algorithm on waits
/// for our acknowledgement before each of them: 40 ms, three times before a publish.
pub fn acknowledge_at_once(stream: &TcpStream) {
    // A hint: without it the client waits longer, and nothing else changes.
    let _hint = rustix::net::sockopt::set_tcp_quickack(stream, true);
}

/// Whether something of the peer lies in the kernel that was not read: bytes, its end, or an error.
///
/// The runtime may not have told of it yet. When the whole process stood still, as on a machine that was paused, the kernel
/// interrupts the runtime's wait, and deadlines that have passed are told before what came meanwhile. Who ends a connection
/// for its peer's silence asks this first; the peer is then about to be [`readable`](TcpStream::readable).
#[must_use]
pub fn has_unread(stream: &TcpStream) -> bool {
    use rustix::net::{RecvFlags, recv};
    let peeked = recv(stream, &mut [0_u8; 1], RecvFlags::PEEK | RecvFlags::DONTWAIT);
    !matches!(peeked, Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR))
}

/// An IPv4 address as such, where a dual-stack socket wraps it into IPv6.
fn canonical(addr: SocketAddr) -> SocketAddr {
    SocketAddr::new(addr.ip().to_canonical(), addr.port())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum DualStack {
    Yes,
    No,
}

fn bound(addr: SocketAddr, dual_stack: DualStack) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    if addr.is_ipv6() {
        socket.set_only_v6(dual_stack == DualStack::No)?;
    }
    // A restart must not wait for the connections of the former run to time out.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::from(addr))?;
    Ok(socket)
}

fn no_ipv6(error: &io::Error) -> bool {
    use rustix::io::Errno;
    [Errno::AFNOSUPPORT, Errno::ADDRNOTAVAIL].iter().any(|errno| is(error, *errno))
}

fn is_exhaustion(error: &io::Error) -> bool {
    use rustix::io::Errno;
    [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM].iter().any(|errno| is(error, *errno))
}

fn is(error: &io::Error, errno: rustix::io::Errno) -> bool {
    error.raw_os_error() == Some(errno.raw_os_error())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: Option<&str>) {
        let got = text.parse::<ListenAddr>().ok().map(|addr| addr.to_string());
        assert_eq!(got.as_deref(), expect, "{text:?}");
    }

    #[test]
    fn only_addresses_of_this_machine_alone_are_loopback() {
        for (text, expect) in [
            ("127.0.0.1:0", true),
            ("127.1.2.3:80", true),
            ("[::1]:80", true),
            ("[::ffff:127.0.0.1]:80", true),
            (":80", false),
            ("0.0.0.0:80", false),
            ("[::]:80", false),
            ("192.0.2.1:80", false),
        ] {
            assert_eq!(text.parse::<ListenAddr>().unwrap().is_loopback(), expect, "{text}");
        }
    }

    #[test]
    fn addresses_are_read_and_nonsense_is_refused() {
        check(":1935", Some(":1935"));
        check("127.0.0.1:0", Some("127.0.0.1:0"));
        check("[::1]:1936", Some("[::1]:1936"));
        for nonsense in ["", "1935", ":", ":+80", ":99999", "::1:1936", "localhost", "127.0.0.1", "[::1]"] {
            check(nonsense, None);
        }
    }

    #[tokio::test]
    async fn every_address_takes_both_families_and_ipv4_looks_like_ipv4() {
        let listener = Listener::bind(":0".parse().unwrap()).unwrap();
        let port = listener.local_addr().port();
        let client = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap();
        let accepted = listener.accept().await;
        assert_eq!(accepted.peer, client.local_addr().unwrap());
        assert_eq!(accepted.local, client.peer_addr().unwrap());
        assert!(accepted.stream.nodelay().unwrap());
        if listener.local_addr().is_ipv6() {
            let _client = TcpStream::connect((Ipv6Addr::LOCALHOST, port)).await.unwrap();
            assert!(listener.accept().await.peer.is_ipv6());
        }
    }

    #[tokio::test]
    async fn what_a_peer_has_sent_is_seen_without_the_runtime() {
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let mut client = std::net::TcpStream::connect(listener.local_addr()).unwrap();
        let accepted = listener.accept().await.stream;
        assert!(!has_unread(&accepted));
        io::Write::write_all(&mut client, b"x").unwrap();
        assert!(has_unread(&accepted));
        accepted.readable().await.unwrap();
        accepted.try_read(&mut [0; 8]).unwrap();
        assert!(!has_unread(&accepted));
        drop(client);
        assert!(has_unread(&accepted));
    }

    #[tokio::test]
    async fn a_taken_port_is_an_error_that_names_it() {
        let first = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let taken = first.local_addr().to_string();
        let error = Listener::bind(taken.parse().unwrap()).unwrap_err();
        assert!(error.to_string().starts_with(&format!("cannot listen on {taken}: ")), "{error}");
    }
}
