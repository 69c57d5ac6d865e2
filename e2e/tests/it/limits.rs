//! How many connections may come and how slow they may be: `docs/security.md` names these tests.

use anyhow::{Context, Result, ensure};
use jackfield_e2e::rtmp::{Client, proxy_header};
use jackfield_e2e::{SOON, Server, ServerBuilder};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::time::Duration;

/// A server for which clients on the loopback are proxies, so that a test can be many clients.
fn behind_proxies(config: &str) -> ServerBuilder {
    Server::builder().config(format!("[security]\ntrusted_proxies = [\"127.0.0.1\"]\n{config}"))
}

fn client(last: u8) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::new(203, 0, 113, last), 5000)
}

#[test]
fn one_address_connects_at_a_rate_and_others_do_not_notice() -> Result<()> {
    let server = behind_proxies("[server]\nmax_connection_rate_per_address = 2\n").start()?;
    let tries: Vec<bool> =
        (0..40).map(|_| Client::behind_proxy(server.rtmp(), client(7), "live").is_ok()).collect();
    let let_in = tries.iter().filter(|served| **served).count();
    // Four at once, and two for each second that the test took.
    ensure!((4..30).contains(&let_in), "{let_in} of 40 were let in");
    ensure!(tries.iter().take(4).all(|served| *served), "the first were refused");
    Client::behind_proxy(server.rtmp(), client(8), "live")?.publish("show").context("another client")?;
    // The proxies themselves never count.
    for _ in 0..40 {
        Client::connect(server.rtmp(), "live").context("a client on the loopback")?;
    }
    let told = server.events().wait_for("connection_refused", SOON, |_| true)?;
    super::usage_events::check_kind(&told)?;
    ensure!(told.data("reason") == Some("max_connection_rate_per_address"), "{told:?}");
    ensure!(told.data("client_ip") == Some("203.0.113.7") && told.number("times") == Some(1), "{told:?}");
    server.stop().map(drop)
}

/// How far a client gets before it becomes slow.
#[derive(Debug, Clone, Copy)]
enum Stage {
    /// It is a proxy, and its header does not end.
    ProxyHeader,
    /// It sends a handshake that does not end.
    Handshake,
    /// It has shaken hands and sends a `connect` that does not end.
    Connect,
    /// It is connected and sends a command that does not end.
    Connected,
}

/// The beginning of a message of AMF0 with 1000 bytes on chunk stream 3.
const ENDLESS: &[u8] = b"\x03\0\0\0\0\x03\xe8\x14\0\0\0\0\x02\0\x07connect";

impl Stage {
    /// A socket that has got so far, and what it goes on with.
    fn reach(self, server: &Server) -> Result<(TcpStream, Vec<u8>)> {
        if matches!(self, Self::Connected) {
            let client = Client::connect(server.rtmp(), "live")?;
            return Ok((client.socket().try_clone()?, ENDLESS.to_vec()));
        }
        let mut socket = TcpStream::connect_timeout(&server.rtmp(), SOON)?;
        socket.set_read_timeout(Some(SOON))?;
        Ok(match self {
            Self::ProxyHeader => {
                let header = proxy_header(client(7));
                (socket, header.get(..20).unwrap_or_default().to_vec())
            }
            Self::Handshake => (socket, vec![3; 1000]),
            Self::Connect | Self::Connected => {
                socket.write_all(&[&[3][..], &[0; 1536]].concat())?;
                socket.read_exact(&mut [0; 1 + 2 * 1536])?;
                socket.write_all(&[0; 1536])?;
                (socket, ENDLESS.to_vec())
            }
        })
    }
}

/// Sends the bytes one at a time, then goes on with zeros, until the server closes.
fn dribble(mut socket: TcpStream, bytes: &[u8]) -> Result<()> {
    socket.set_read_timeout(Some(Duration::from_millis(100)))?;
    for byte in bytes.iter().copied().chain(std::iter::repeat_n(0, 200)) {
        if socket.write_all(&[byte]).is_err() {
            return Ok(());
        }
        match socket.read(&mut [0; 4096]) {
            Ok(0) => return Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return Ok(()),
            _ => {}
        }
    }
    anyhow::bail!("the server still listens")
}

#[test]
fn slow_clients_are_closed_at_the_deadline_of_each_stage_and_hold_up_nobody() -> Result<()> {
    let config = "[rtmp]\nhandshake_timeout = \"1s\"\nidle_timeout = \"1s\"\n";
    let server = behind_proxies(config).start()?;
    std::thread::scope(|scope| {
        let stages = [Stage::ProxyHeader, Stage::Handshake, Stage::Connect, Stage::Connected];
        let slow = stages.map(|stage| {
            let server = &server;
            (
                stage,
                scope.spawn(move || {
                    let (socket, bytes) = stage.reach(server)?;
                    dribble(socket, &bytes)
                }),
            )
        });
        Client::connect(server.rtmp(), "live")?.publish("beside").context("a client beside them")?;
        for (stage, slow) in slow {
            slow.join()
                .map_err(|_panic| anyhow::anyhow!("the test panicked"))?
                .with_context(|| format!("{stage:?}"))?;
        }
        anyhow::Ok(())
    })?;
    let ended = server.stop()?;
    let timeouts = ended.events.kinds(|event| event.data("reason") == Some("timeout"))?;
    // The one with half a PROXY header was nobody's connection yet.
    ensure!(timeouts == ["connection_close"; 3], "{timeouts:?}");
    Ok(())
}
