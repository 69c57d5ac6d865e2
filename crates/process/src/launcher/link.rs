//! The helper process and the socket to it, for as long as that helper lives.

use super::LauncherConfig;
use crate::error::StartError;
use crate::helper::{MARKER, soft_open_files};
use crate::socket::{self, Received};
use crate::sys;
use crate::wire::{MAX_REPLY_BYTES, Reply};
use jackfield_runtime::clock;
use rustix::process::{Pid, PidfdFlags};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{self, Stdio};
use std::time::Duration;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// How long a helper may take until it is ready.
const READY_WITHIN: Duration = Duration::from_secs(10);

/// How long a helper may take to end after the socket to it was closed or SIGKILL sent.
const GONE_WITHIN: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct Link {
    /// Watched for replies only: that it takes messages again is news each time that the helper has taken one.
    socket: AsyncFd<OwnedFd>,
    /// The same socket, watched for room, while it did not take a message.
    room: Option<AsyncFd<OwnedFd>>,
    process: process::Child,
    /// Becomes readable when the process has ended, even if a program still holds its end of the socket.
    ended: AsyncFd<OwnedFd>,
    buffer: [u8; MAX_REPLY_BYTES],
}

/// The helper is gone, or talks nonsense, which is as bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Gone;

impl Link {
    pub(super) async fn start(config: &LauncherConfig) -> Result<Self, StartError> {
        let (ours, theirs) = socket::pair().map_err(StartError::Socket)?;
        let mut process = execute(config, theirs)?;
        let opened = Pid::from_raw(i32::try_from(process.id()).unwrap_or(0))
            .ok_or(rustix::io::Errno::SRCH)
            .and_then(|pid| rustix::process::pidfd_open(pid, PidfdFlags::empty()))
            .map_err(io::Error::from)
            .and_then(|pidfd| {
                let ended = sys::watched(pidfd, Interest::READABLE)?;
                Ok((sys::watched(ours, Interest::READABLE)?, ended))
            });
        let (socket, ended) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                process.kill().ok();
                process.wait().ok();
                return Err(StartError::Socket(error));
            }
        };
        let mut link = Self { socket, room: None, process, ended, buffer: [0; MAX_REPLY_BYTES] };
        match clock::until(clock::now().after(READY_WITHIN), link.next()).await {
            Some(Ok(Event::Reply(Reply::Ready))) => Ok(link),
            _ => {
                link.end().await.reap();
                Err(StartError::NotReady)
            }
        }
    }

    pub(super) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Waits for a reply, or until the socket takes messages if it did not take one. Cancel-safe.
    pub(super) async fn next(&mut self) -> Result<Event, Gone> {
        loop {
            let room = async {
                match &self.room {
                    Some(socket) => socket.writable().await.map(drop),
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                readable = self.socket.readable() => drop(readable.map_err(|_closed| Gone)?),
                writable = room => {
                    writable.map_err(|_closed| Gone)?;
                    self.room = None;
                    return Ok(Event::Room);
                }
                // What it said before is heard first: the socket is readable as long as there is such.
                _ended = self.ended.readable() => return Err(Gone),
            }
            let buffer = &mut self.buffer;
            match self.socket.try_io(Interest::READABLE, |socket| receive(socket, buffer)) {
                Ok(message) => {
                    let reply = self.buffer.get(..message).ok_or(Gone)?;
                    return Reply::decode(reply).map(Event::Reply).map_err(|_malformed| Gone);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return Err(Gone),
            }
        }
    }

    /// Sends without waiting.
    pub(super) fn try_send(&mut self, message: &[u8], descriptors: &[OwnedFd]) -> io::Result<Taken> {
        match socket::send(self.socket.get_ref().as_fd(), message, descriptors) {
            Ok(()) => Ok(Taken::Whole),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if self.room.is_none() {
                    let again = self.socket.get_ref().try_clone()?;
                    self.room = Some(sys::watched(again, Interest::WRITABLE)?);
                }
                Ok(Taken::NotNow)
            }
            Err(error) => Err(error),
        }
    }

    /// Ends the helper by closing the socket, which lets it end its programs first; by force if that takes long.
    /// Until what is returned is reaped, its number, which is its session's too, means nobody else.
    pub(super) async fn end(self) -> Ended {
        let Self { socket, room, mut process, ended, .. } = self;
        drop((socket, room));
        if clock::until(clock::now().after(GONE_WITHIN), ended.readable()).await.is_none() {
            process.kill().ok();
            clock::until(clock::now().after(GONE_WITHIN), ended.readable()).await;
        }
        Ended(process)
    }
}

/// A helper that has ended, not yet reaped.
#[derive(Debug)]
pub(super) struct Ended(process::Child);

impl Ended {
    /// The session that it led, in which its programs may live on.
    pub(super) fn session(&self) -> i32 {
        i32::try_from(self.0.id()).unwrap_or(0)
    }

    /// Gives up its number.
    pub(super) fn reap(mut self) {
        // It has ended, so that this only takes its status; or it never will, and we do not wait for that.
        self.0.try_wait().ok();
    }
}

/// One message, as its length; `WouldBlock` if there is none.
fn receive(socket: &OwnedFd, buffer: &mut [u8]) -> io::Result<usize> {
    match socket::receive(socket.as_fd(), buffer)? {
        Received::Message(length, _) => Ok(length),
        Received::Nothing => Err(io::ErrorKind::WouldBlock.into()),
        Received::Closed => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// What was waited for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Event {
    Reply(Reply),
    Room,
}

/// Whether a message was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    Whole,
    /// The helper is behind.
    NotNow,
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the one program that is not started through the helper"
)]
fn execute(config: &LauncherConfig, socket: OwnedFd) -> Result<process::Child, StartError> {
    // Not its name: that file may have been replaced by another version.
    let file = config.executable.clone().unwrap_or_else(|| PathBuf::from("/proc/self/exe"));
    let open_files = soft_open_files().map(|limit| limit.to_string()).unwrap_or_default();
    // No `pre_exec`, user or folder here: each would turn this into a fork, which stalls a large server.
    process::Command::new(&file)
        .arg0("jackfield-process-helper")
        .args([MARKER, &open_files])
        .stdin(Stdio::from(socket))
        .stdout(Stdio::null())
        .spawn()
        .map_err(|source| StartError::Exec { file, source })
}
