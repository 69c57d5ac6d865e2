//! A network namespace with a device whose packets come to us.

use crate::{Program, SOON};
use anyhow::{Context, Result, bail};
use rustix::fs::{Mode, OFlags};
use rustix::ioctl::{Setter, opcode};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::fs::File;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The name of the device. A namespace has only this one, besides its loopback.
const DEVICE: &str = "badlink";

/// A network of its own, with a loopback and one device to the outside. It goes when nobody is in it any more.
#[derive(Debug)]
pub(super) struct Namespace(File);

impl Namespace {
    /// Makes one that has the address `own` and reaches `peer` through its device.
    ///
    /// # Errors
    /// Without the rights to it.
    pub(super) fn new(own: Ipv4Addr, peer: Ipv4Addr) -> Result<Self> {
        let script = format!(
            "ip link set lo up
             ip tuntap add mode tun name {DEVICE}
             ip address add {own} peer {peer} dev {DEVICE}
             ip link set {DEVICE} up
             echo ready
             exec sleep 60"
        );
        let mut maker = Program::new("unshare").args(["--net", "sh", "-ec", &script]).start()?;
        let ready = maker.stdout().wait("network namespace", SOON, |lines| lines.first().cloned());
        if ready.is_err() {
            maker.wait(SOON)?;
            maker.stderr().wait_closed("what it says", SOON)?;
            bail!("a network namespace cannot be made:{}", maker.last_words());
        }
        let path = format!("/proc/{}/ns/net", maker.pid());
        // Our descriptor keeps it when its maker goes.
        File::open(&path).map(Self).context(path)
    }

    /// Calls a function of which all sockets, threads and programs belong to this network.
    ///
    /// # Errors
    /// Without the rights to it.
    pub(super) fn inside<R>(&self, call: impl FnOnce() -> R) -> Result<R> {
        let path = "/proc/thread-self/ns/net";
        let _home = Home(File::open(path).context(path)?);
        enter(self.0.as_fd()).context("entering a network namespace")?;
        Ok(call())
    }

    /// The other end of its device: reading returns a packet that was sent into it, writing delivers one.
    ///
    /// # Errors
    /// Without the rights to it.
    pub(super) fn device(&self) -> Result<OwnedFd> {
        self.inside(|| {
            let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
            let device = rustix::fs::open("/dev/net/tun", flags, Mode::empty()).context("/dev/net/tun")?;
            attach(device.as_fd()).context("attaching to the device")?;
            Ok(device)
        })?
    }
}

/// Brings the thread back, even if it panics meanwhile.
struct Home(File);

impl Drop for Home {
    fn drop(&mut self) {
        enter(self.0.as_fd()).expect("invariant: a thread may go back to where it came from");
    }
}

fn enter(namespace: BorrowedFd<'_>) -> rustix::io::Result<()> {
    move_into_link_name_space(namespace, Some(LinkNameSpaceType::Network))
}

/// netdevice(7) `struct ifreq`, as far as TUNSETIFF reads it.
#[repr(C)]
struct InterfaceRequest {
    name: [u8; 16],
    flags: i16,
    rest: [u8; 22],
}

/// TUNSETIFF: this descriptor is the other end of the device.
#[expect(unsafe_code, reason = "TUNSETIFF has no wrapper; one call of the test kit")]
fn attach(device: BorrowedFd<'_>) -> rustix::io::Result<()> {
    // linux/if_tun.h: layer 3, and nothing before the packet.
    const IFF_TUN: i16 = 0x0001;
    const IFF_NO_PI: i16 = 0x1000;
    const TUNSETIFF: rustix::ioctl::Opcode = opcode::write::<i32>(b'T', 202);
    let mut request = InterfaceRequest { name: [0; 16], flags: IFF_TUN | IFF_NO_PI, rest: [0; 22] };
    for (to, from) in request.name.iter_mut().zip(DEVICE.bytes()) {
        *to = from;
    }
    // SAFETY: TUNSETIFF reads a `struct ifreq` of 40 bytes, which `InterfaceRequest` is, and keeps no pointer to it.
    unsafe { rustix::ioctl::ioctl(device, Setter::<TUNSETIFF, InterfaceRequest>::new(request)) }
}
