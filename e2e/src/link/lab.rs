//! Two networks, and a router between them that does what the weather is like.

use super::emulator::{Counts, Emulator, Weather};
use super::namespace::Namespace;
use anyhow::{Context, Result};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

const NEAR: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
const FAR: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);
/// More than a device's packet has.
const PACKET: usize = 64 * 1024;

/// A direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From the far side to the server.
    In,
    /// From the server to the far side.
    Out,
    /// Both.
    Both,
}

/// The server's network and a far one, with a bad link between them. Within a network, on its loopback, all is well.
///
/// It goes with this value and those who are in it.
#[derive(Debug)]
pub struct Lab {
    near: Namespace,
    far: Namespace,
    sky: Arc<Mutex<Sky>>,
    /// Closed, it ends the router.
    _router: OwnedFd,
}

#[derive(Debug)]
struct Sky {
    inwards: Weather,
    outwards: Weather,
    counts: [Counts; 2],
}

impl Lab {
    /// Makes one with a clear sky; `seed` repeats the router's choices. Where it cannot be made, says why and returns none:
    /// the test is to be left out.
    ///
    /// # Errors
    /// When the router fails.
    #[expect(clippy::print_stderr, reason = "a test that is left out says so")]
    pub fn or_skip(seed: u64) -> Result<Option<Self>> {
        match Self::new(seed) {
            Ok(lab) => Ok(Some(lab)),
            Err(error) => {
                eprintln!("skipped: this test needs root, /dev/net/tun and iproute2: {error:#}");
                Ok(None)
            }
        }
    }

    fn new(seed: u64) -> Result<Self> {
        let (near, far) = (Namespace::new(NEAR, FAR)?, Namespace::new(FAR, NEAR)?);
        let (inner, outer) = (near.device()?, far.device()?);
        let clear = Weather::CLEAR;
        let sky = Arc::new(Mutex::new(Sky { inwards: clear, outwards: clear, counts: Default::default() }));
        let (ended, router) = rustix::pipe::pipe().context("a pipe")?;
        let now = Instant::now();
        let router_of = Router {
            ended,
            inwards: Link { from: Arc::new(outer), emulator: Emulator::new(seed, now) },
            outwards: Link { from: Arc::new(inner), emulator: Emulator::new(!seed, now) },
            sky: Arc::clone(&sky),
        };
        // It ends when its pipe is closed. What goes wrong in it is a link that is dead, which the test sees.
        std::thread::spawn(move || router_of.run().unwrap_or_default());
        Ok(Self { near, far, sky, _router: router })
    }

    /// The server's address, as the far side reaches it.
    pub fn address(&self) -> Ipv4Addr {
        NEAR
    }

    /// The address of who is on the far side.
    pub fn far_address(&self) -> Ipv4Addr {
        FAR
    }

    /// Calls a function on the server's side: its sockets, threads and programs belong there.
    ///
    /// # Errors
    /// When the network cannot be entered, or those of the function.
    pub fn near<R>(&self, call: impl FnOnce() -> Result<R>) -> Result<R> {
        self.near.inside(call)?
    }

    /// Calls a function on the far side.
    ///
    /// # Errors
    /// As [`Lab::near`].
    pub fn far<R>(&self, call: impl FnOnce() -> Result<R>) -> Result<R> {
        self.far.inside(call)?
    }

    /// From now on the weather is this. Packets that are on their way arrive as they would have.
    pub fn set(&self, way: Way, weather: Weather) {
        let mut sky = self.sky.lock().unwrap_or_else(PoisonError::into_inner);
        if way != Way::Out {
            sky.inwards = weather;
        }
        if way != Way::In {
            sky.outwards = weather;
        }
    }

    /// What became of the packets so far: of those to the server, and of those from it.
    pub fn counts(&self) -> [Counts; 2] {
        self.sky.lock().unwrap_or_else(PoisonError::into_inner).counts
    }
}

struct Link {
    from: Arc<OwnedFd>,
    emulator: Emulator,
}

struct Router {
    ended: OwnedFd,
    inwards: Link,
    outwards: Link,
    sky: Arc<Mutex<Sky>>,
}

impl Router {
    fn run(mut self) -> Result<()> {
        let mut packet = vec![0; PACKET];
        loop {
            let next = self.inwards.emulator.next().into_iter().chain(self.outwards.emulator.next()).min();
            let wait = next.map(|at| at.saturating_duration_since(Instant::now()));
            let mut watched = [
                PollFd::new(&self.ended, PollFlags::IN),
                PollFd::new(&self.inwards.from, PollFlags::IN),
                PollFd::new(&self.outwards.from, PollFlags::IN),
            ];
            let timeout = wait.map(timespec).transpose()?;
            match poll(&mut watched, timeout.as_ref()) {
                Err(rustix::io::Errno::INTR) => continue,
                polled => polled.context("poll")?,
            };
            if watched.first().is_some_and(|fd| !fd.revents().is_empty()) {
                return Ok(());
            }
            let mut sky = self.sky.lock().unwrap_or_else(PoisonError::into_inner);
            let (inwards, outwards) = (sky.inwards, sky.outwards);
            self.inwards.take(&inwards, &mut packet);
            self.outwards.take(&outwards, &mut packet);
            sky.counts = [self.inwards.emulator.counts(), self.outwards.emulator.counts()];
            drop(sky);
            let (near, far) = (Arc::clone(&self.outwards.from), Arc::clone(&self.inwards.from));
            self.inwards.deliver(near.as_fd());
            self.outwards.deliver(far.as_fd());
        }
    }
}

impl Link {
    /// Takes what was sent into the device.
    fn take(&mut self, weather: &Weather, packet: &mut [u8]) {
        while let Ok(length) = rustix::io::read(&self.from, &mut *packet) {
            let now = Instant::now();
            self.emulator.push(now, weather, packet.get(..length).unwrap_or_default());
        }
    }

    /// Hands over what has arrived. A device that takes nothing loses it, as a network does.
    fn deliver(&mut self, to: BorrowedFd<'_>) {
        while let Some(packet) = self.emulator.pop(Instant::now()) {
            rustix::io::write(to, &packet).map(drop).unwrap_or_default();
        }
    }
}

/// A little more than the time, so that the packet has arrived when the wait ends.
fn timespec(wait: Duration) -> Result<Timespec> {
    Timespec::try_from(wait + Duration::from_micros(50)).context("a time")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SOON;
    use std::io::{Read, Write};
    use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};

    fn connected(lab: &Lab) -> Result<(TcpStream, TcpStream)> {
        let listener = lab.near(|| Ok(TcpListener::bind((lab.address(), 0))?))?;
        let address: SocketAddr = listener.local_addr()?;
        let client = lab.far(|| Ok(TcpStream::connect_timeout(&address, SOON)?))?;
        let (server, _) = listener.accept()?;
        server.set_read_timeout(Some(SOON))?;
        Ok((client, server))
    }

    #[test]
    fn tcp_gets_through_bad_weather_whole() -> Result<()> {
        let Some(lab) = Lab::or_skip(1)? else { return Ok(()) };
        let (mut client, mut server) = connected(&lab)?;
        let (delay, jitter) = (Duration::from_millis(5), Duration::from_millis(2));
        lab.set(Way::Both, Weather { loss: 20, duplicates: 20, reordered: 20, delay, jitter, cap: 0 });
        let sent: Vec<u8> = (0..500_000_u32).flat_map(u32::to_be_bytes).collect();
        let mut came = vec![];
        std::thread::scope(|scope| {
            scope.spawn(|| client.write_all(&sent).and_then(|()| client.shutdown(std::net::Shutdown::Write)));
            server.read_to_end(&mut came)
        })?;
        anyhow::ensure!(came == sent, "{} of {} bytes", came.len(), sent.len());
        let [inwards, outwards] = lab.counts();
        anyhow::ensure!(inwards.lost > 0 && inwards.doubled > 0 && inwards.reordered > 0, "{inwards:?}");
        anyhow::ensure!(outwards.packets > 0, "{outwards:?}");
        Ok(())
    }

    #[test]
    fn a_black_hole_takes_all_and_heals() -> Result<()> {
        let Some(lab) = Lab::or_skip(2)? else { return Ok(()) };
        let (mut client, mut server) = connected(&lab)?;
        lab.set(Way::Both, Weather::BLACK_HOLE);
        client.write_all(b"x")?;
        server.set_read_timeout(Some(Duration::from_millis(50)))?;
        anyhow::ensure!(server.read(&mut [0]).is_err(), "something came");
        lab.set(Way::Both, Weather::CLEAR);
        server.set_read_timeout(Some(SOON))?;
        anyhow::ensure!(server.read(&mut [0])? == 1, "nothing came");
        Ok(())
    }

    #[test]
    fn the_networks_are_apart_from_ours_and_the_thread_comes_back() -> Result<()> {
        let Some(lab) = Lab::or_skip(3)? else { return Ok(()) };
        lab.near(|| Ok(UdpSocket::bind((NEAR, 0))?))?;
        anyhow::ensure!(UdpSocket::bind((NEAR, 0)).is_err(), "the address is ours");
        anyhow::ensure!(
            lab.far(|| Ok(UdpSocket::bind((NEAR, 0)).is_err()))?,
            "the address is the far side's"
        );
        Ok(())
    }
}
