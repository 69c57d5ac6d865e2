//! The few Linux calls the tool needs, declared by hand so that it has no dependencies.
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

pub const EPOLLIN: u32 = 0x001;
pub const EPOLLOUT: u32 = 0x004;
pub const EPOLLERR: u32 = 0x008;
pub const EPOLLHUP: u32 = 0x010;
const EPOLL_CTL_ADD: i32 = 1;
const EPOLL_CTL_DEL: i32 = 2;
const EPOLL_CTL_MOD: i32 = 3;
const EPOLL_CLOEXEC: i32 = 0o2000000;
const AF_INET: i32 = 2;
const AF_INET6: i32 = 10;
const SOCK_STREAM: i32 = 1;
const SOCK_NONBLOCK: i32 = 0o4000;
const SOCK_CLOEXEC: i32 = 0o2000000;
const EINPROGRESS: i32 = 115;
const SOL_SOCKET: i32 = 1;
const SO_ERROR: i32 = 4;
const SO_RCVBUF: i32 = 8;
const SO_LINGER: i32 = 13;
const IPPROTO_TCP: i32 = 6;
const TCP_NODELAY: i32 = 1;
const TCP_INFO: i32 = 11;
const TCP_QUICKACK: i32 = 12;
const RLIMIT_NOFILE: i32 = 7;
const SC_CLK_TCK: i32 = 2;
const MSG_TRUNC: i32 = 0x20;
const MSG_DONTWAIT: i32 = 0x40;

#[repr(C)]
#[cfg_attr(target_arch = "x86_64", repr(packed))]
#[derive(Clone, Copy)]
pub struct EpollEvent {
    pub events: u32,
    pub data: u64,
}

#[repr(C)]
struct RLimit {
    cur: u64,
    max: u64,
}

unsafe extern "C" {
    fn epoll_create1(flags: i32) -> i32;
    fn epoll_ctl(epfd: i32, op: i32, fd: i32, ev: *mut EpollEvent) -> i32;
    fn epoll_wait(epfd: i32, ev: *mut EpollEvent, max: i32, timeout: i32) -> i32;
    fn socket(domain: i32, ty: i32, proto: i32) -> i32;
    fn bind(fd: i32, addr: *const u8, len: u32) -> i32;
    fn connect(fd: i32, addr: *const u8, len: u32) -> i32;
    fn getsockopt(fd: i32, level: i32, name: i32, val: *mut i32, len: *mut u32) -> i32;
    fn setsockopt(fd: i32, level: i32, name: i32, val: *const i32, len: u32) -> i32;
    fn read(fd: i32, buf: *mut u8, n: usize) -> isize;
    fn write(fd: i32, buf: *const u8, n: usize) -> isize;
    fn recv(fd: i32, buf: *mut u8, n: usize, flags: i32) -> isize;
    fn close(fd: i32) -> i32;
    fn getrlimit(res: i32, lim: *mut RLimit) -> i32;
    fn setrlimit(res: i32, lim: *const RLimit) -> i32;
    fn sysconf(name: i32) -> i64;
}

pub struct Epoll(RawFd);

impl Epoll {
    pub fn new() -> io::Result<Self> {
        let fd = unsafe { epoll_create1(EPOLL_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Epoll(fd))
    }
    fn ctl(&self, op: i32, fd: RawFd, events: u32, data: u64) -> io::Result<()> {
        let mut ev = EpollEvent { events, data };
        if unsafe { epoll_ctl(self.0, op, fd, &mut ev) } < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }
    pub fn add(&self, fd: RawFd, events: u32, data: u64) -> io::Result<()> {
        self.ctl(EPOLL_CTL_ADD, fd, events, data)
    }
    pub fn modify(&self, fd: RawFd, events: u32, data: u64) -> io::Result<()> {
        self.ctl(EPOLL_CTL_MOD, fd, events, data)
    }
    pub fn del(&self, fd: RawFd) {
        let _ = self.ctl(EPOLL_CTL_DEL, fd, 0, 0);
    }
    pub fn wait(&self, out: &mut [EpollEvent], timeout_ms: i32) -> io::Result<usize> {
        let n = unsafe { epoll_wait(self.0, out.as_mut_ptr(), out.len() as i32, timeout_ms) };
        if n < 0 {
            let e = io::Error::last_os_error();
            if e.kind() == io::ErrorKind::Interrupted {
                return Ok(0);
            }
            return Err(e);
        }
        Ok(n as usize)
    }
}

/// An address as the kernel takes it, with its family.
fn raw_address(addr: &std::net::SocketAddr) -> (i32, Vec<u8>) {
    match addr {
        std::net::SocketAddr::V4(a) => {
            let mut b = vec![0u8; 16];
            b[0..2].copy_from_slice(&(AF_INET as u16).to_ne_bytes());
            b[2..4].copy_from_slice(&a.port().to_be_bytes());
            b[4..8].copy_from_slice(&a.ip().octets());
            (AF_INET, b)
        }
        std::net::SocketAddr::V6(a) => {
            let mut b = vec![0u8; 28];
            b[0..2].copy_from_slice(&(AF_INET6 as u16).to_ne_bytes());
            b[2..4].copy_from_slice(&a.port().to_be_bytes());
            b[8..24].copy_from_slice(&a.ip().octets());
            (AF_INET6, b)
        }
    }
}

/// Starts a non-blocking TCP connect; completion shows as EPOLLOUT.
pub fn tcp_connect(addr: &std::net::SocketAddr, rcvbuf: Option<i32>) -> io::Result<RawFd> {
    let (domain, raw) = raw_address(addr);
    let fd = unsafe { socket(domain, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    let one = 1i32;
    unsafe { setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, 4) };
    if let Some(n) = rcvbuf {
        unsafe { setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &n, 4) };
    }
    if unsafe { connect(fd, raw.as_ptr(), raw.len() as u32) } < 0 {
        let e = io::Error::last_os_error();
        if e.raw_os_error() != Some(EINPROGRESS) {
            unsafe { close(fd) };
            return Err(e);
        }
    }
    Ok(fd)
}

/// A TCP connection from this address of our own, opened before it is returned. Closing it resets it, so that its port is free at once.
pub fn connect_from(addr: &std::net::SocketAddr, source: std::net::Ipv4Addr) -> io::Result<OwnedFd> {
    let checked = |result: i32| if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) };
    let (_, from) = raw_address(&(source, 0).into());
    let (domain, to) = raw_address(addr);
    unsafe {
        let socket = OwnedFd::from_raw_fd(checked(socket(domain, SOCK_STREAM | SOCK_CLOEXEC, 0))?);
        let fd = socket.as_raw_fd();
        let linger = [1i32, 0];
        setsockopt(fd, SOL_SOCKET, SO_LINGER, linger.as_ptr(), 8);
        checked(bind(fd, from.as_ptr(), from.len() as u32))?;
        checked(connect(fd, to.as_ptr(), to.len() as u32))?;
        Ok(socket)
    }
}

/// Segments with data that came in, as the kernel counts them (`tcpi_data_segs_in` of tcp_info, Linux 4.6).
pub fn data_segments_in(fd: RawFd) -> Option<u32> {
    const AT: usize = 152 / 4;
    let mut info = [0i32; 64];
    let mut len = size_of_val(&info) as u32;
    let got = unsafe { getsockopt(fd, IPPROTO_TCP, TCP_INFO, info.as_mut_ptr(), &mut len) };
    (got == 0 && len as usize >= 4 * (AT + 1)).then(|| info[AT] as u32)
}

pub fn so_error(fd: RawFd) -> i32 {
    let mut v = 0i32;
    let mut l = 4u32;
    unsafe { getsockopt(fd, SOL_SOCKET, SO_ERROR, &mut v, &mut l) };
    v
}

/// Ok(None) means "would block".
pub fn read_fd(fd: RawFd, buf: &mut [u8]) -> io::Result<Option<usize>> {
    let n = unsafe { read(fd, buf.as_mut_ptr(), buf.len()) };
    wrap(n)
}
/// Throws away up to `n` bytes of a TCP socket without copying them (tcp(7), MSG_TRUNC); tells how many.
pub fn drain_fd(fd: RawFd, n: usize) -> io::Result<Option<usize>> {
    wrap(unsafe { recv(fd, std::ptr::null_mut(), n, MSG_TRUNC | MSG_DONTWAIT) })
}
pub fn write_fd(fd: RawFd, buf: &[u8]) -> io::Result<Option<usize>> {
    let n = unsafe { write(fd, buf.as_ptr(), buf.len()) };
    wrap(n)
}
fn wrap(n: isize) -> io::Result<Option<usize>> {
    if n >= 0 {
        return Ok(Some(n as usize));
    }
    let e = io::Error::last_os_error();
    match e.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(None),
        _ => Err(e),
    }
}
/// Acknowledge at once; the kernel forgets this, so it is set again around every read.
pub fn quickack(fd: RawFd) {
    let one = 1i32;
    unsafe { setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &one, 4) };
}
pub fn close_fd(fd: RawFd) {
    unsafe { close(fd) };
}
pub fn raise_nofile() {
    let mut l = RLimit { cur: 0, max: 0 };
    unsafe {
        if getrlimit(RLIMIT_NOFILE, &mut l) == 0 && l.cur < l.max {
            l.cur = l.max;
            setrlimit(RLIMIT_NOFILE, &l);
        }
    }
}
pub fn clk_tck() -> f64 {
    unsafe { sysconf(SC_CLK_TCK) as f64 }
}
