//! A stream with viewers: the whole server, from the publisher's bytes to the viewers' sockets.
//!
//! Server, publisher and viewers are one thread; what the viewers do is a system call per picture, which is not counted.

use crate::client::{Client, PICTURE_BYTES};
use anyhow::{Context, Result, bail};
use jackfield_bus::Bus;
use jackfield_dispatch::{Dispatch, DispatchConfig};
use jackfield_events::Masker;
use jackfield_gate::Gate;
use jackfield_hub::{Hub, HubConfig, Takeover};
use jackfield_rtmp_server::{Deps, RtmpConfig, RtmpServer, Running};
use jackfield_runtime::Tasks;
use jackfield_sessions::{ConnectionLimits, Connections};
use std::io::{ErrorKind, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use tokio::task::yield_now;

/// So many looks for something that does not come are an error, not a hang.
const LOOKS: usize = 100_000;

/// So many pictures for so many viewers. The first of them is there before the viewers.
pub async fn serve(viewers: usize, turns: usize) -> Result<()> {
    let server = start()?;
    let addr = *server.addrs().first().context("no listener")?;
    let mut client = Client::connecting();
    client.publish();
    client.configuration();
    client.picture(0);
    let mut publisher = Socket::connect(addr)?;
    publisher.send(&client.take()).await?;
    publisher.receives(1).await?;
    let mut all = Vec::new();
    for _ in 0..viewers {
        let mut viewer = Socket::connect(addr)?;
        let mut player = Client::connecting();
        player.play();
        viewer.send(&player.take()).await?;
        viewer.receives(PICTURE_BYTES).await?;
        all.push(viewer);
    }
    for number in 1..=u32::try_from(turns)? {
        client.picture(number);
        publisher.send(&client.take()).await?;
        for viewer in &mut all {
            viewer.receives(PICTURE_BYTES).await?;
        }
    }
    Ok(())
}

fn start() -> Result<Running> {
    let tasks = Tasks::new();
    let bus = Bus::new("n", Masker::default());
    let dispatch = Dispatch::new(DispatchConfig::default(), Masker::default(), &tasks);
    let (hub, minter) = Hub::new(HubConfig::default(), bus.clone(), tasks.clone());
    let connections = Connections::new(bus.clone(), ConnectionLimits::default());
    let gate = Gate::new(dispatch, hub.clone(), minter, bus, Takeover::default());
    let listen = vec!["127.0.0.1:0".parse()?];
    let config = RtmpConfig { listen, ..RtmpConfig::default() };
    Ok(RtmpServer::start(config, Deps { gate, hub, connections, tasks })?)
}

/// A client's socket. It never waits in the kernel: the server is in the same thread.
struct Socket(TcpStream);

impl Socket {
    fn connect(addr: SocketAddr) -> Result<Self> {
        // On loopback this ends before the server accepts.
        let socket = TcpStream::connect(addr)?;
        socket.set_nonblocking(true)?;
        socket.set_nodelay(true)?;
        Ok(Self(socket))
    }

    async fn send(&mut self, mut bytes: &[u8]) -> Result<()> {
        for _ in 0..LOOKS {
            match self.0.write(bytes) {
                Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
            if bytes.is_empty() {
                return Ok(());
            }
            yield_now().await;
        }
        bail!("the server does not read")
    }

    /// Throws away at least so many bytes, which come sooner or later.
    async fn receives(&mut self, bytes: usize) -> Result<()> {
        let mut came = 0;
        for _ in 0..LOOKS {
            came += self.discard()?;
            if came >= bytes {
                return Ok(());
            }
            yield_now().await;
        }
        bail!("{came} of {bytes} bytes came")
    }

    fn discard(&self) -> Result<usize> {
        let flags = libc::MSG_TRUNC | libc::MSG_DONTWAIT;
        // SAFETY: with MSG_TRUNC a TCP socket stores nothing (tcp(7)), so it needs no buffer.
        let got = unsafe { libc::recv(self.0.as_raw_fd(), std::ptr::null_mut(), 1 << 20, flags) };
        match usize::try_from(got) {
            Ok(0) => bail!("the server has closed a connection"),
            Ok(got) => Ok(got),
            Err(_negative) => match std::io::Error::last_os_error() {
                error if error.kind() == ErrorKind::WouldBlock => Ok(0),
                error => Err(error.into()),
            },
        }
    }
}
