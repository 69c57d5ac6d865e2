//! The calls that have no safe wrapper. All but [`watched`] are the helper's: it is one thread that holds
//! no locks, so that everything that may be done before a fork may be done after it as well.
#![allow(
    unsafe_code,
    reason = "fork, exec, signal masks, the user database and watched descriptors have no safe interface"
)]

mod exec;
mod raw;
mod shared;

pub(crate) use exec::{Arguments, Environment, exec, exec_by_shell};
pub(crate) use shared::{Shared, Stack};

use std::ffi::{CStr, CString, c_char, c_int, c_uint};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Which side of a fork this is.
pub(crate) enum Fork {
    Child,
    Parent(rustix::process::Pid),
}

/// Forks. To be called by the helper only, which has a single thread.
pub(crate) fn fork() -> io::Result<Fork> {
    // SAFETY: the helper never starts a second thread, so no lock can be held by a thread that the
    // child lacks, and the child may go on like any process.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Fork::Child),
        pid => rustix::process::Pid::from_raw(pid).map(Fork::Parent).ok_or_else(io::Error::last_os_error),
    }
}

/// Ends this process at once: no destructors, no exit handlers, nothing of the parent flushed twice.
pub(crate) fn exit_now(code: c_int) -> ! {
    // SAFETY: `_exit` takes any code and does not return.
    unsafe { libc::_exit(code) }
}

/// Gives every signal its default disposition, so that no program inherits an ignored one (the
/// standard library ignores SIGPIPE, `nohup` SIGHUP), and blocks them all: nothing but SIGKILL ends the helper.
pub(crate) fn reset_and_block_signals() -> io::Result<()> {
    // The kernel's own call and structure: all zero is the default disposition without flags on every machine,
    // and the C library's call would refuse the two signals that it keeps for itself.
    let default = [0_u64; 8];
    let set_bytes: usize = 8;
    for signal in 1..=64 {
        // SAFETY: the kernel reads a structure that is shorter than `default`, and installs no handler. It
        // refuses SIGKILL and SIGSTOP, which are never ignored.
        unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                signal as c_int,
                default.as_ptr(),
                ptr::null_mut::<u64>(),
                set_bytes,
            );
        }
    }
    set_mask(&full_set())
}

/// Lets all signals through again: the state in which a program expects to start.
pub(crate) fn unblock_signals() -> io::Result<()> {
    let mut none = MaybeUninit::uninit();
    // SAFETY: `sigemptyset` initialises the set that it is given.
    let none = unsafe {
        libc::sigemptyset(none.as_mut_ptr());
        none.assume_init()
    };
    set_mask(&none)
}

/// A descriptor that becomes readable when a child has ended.
pub(crate) fn child_signals() -> io::Result<OwnedFd> {
    let mut set = MaybeUninit::uninit();
    // SAFETY: `sigemptyset` initialises the set, then `sigaddset` adds to it; `signalfd` with -1 makes a new
    // descriptor, which is ours alone.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), libc::SIGCHLD);
        let descriptor = libc::signalfd(-1, set.as_ptr(), libc::SFD_CLOEXEC | libc::SFD_NONBLOCK);
        if descriptor < 0 { Err(io::Error::last_os_error()) } else { Ok(OwnedFd::from_raw_fd(descriptor)) }
    }
}

fn full_set() -> libc::sigset_t {
    let mut all = MaybeUninit::uninit();
    // SAFETY: `sigfillset` initialises the set that it is given.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        all.assume_init()
    }
}

fn set_mask(set: &libc::sigset_t) -> io::Result<()> {
    // SAFETY: the set is initialised, and the old one is not asked for.
    match unsafe { libc::sigprocmask(libc::SIG_SETMASK, set, ptr::null_mut()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Closes all descriptors from 3 on but the one to be kept. Their owners in this process must not be used
/// or dropped afterwards: only for a child that ends in [`exec`] or [`exit_now`].
pub(crate) fn close_all_but(kept: Option<RawFd>) {
    let close = |first: RawFd, last: c_uint| {
        if let Ok(first) = c_uint::try_from(first)
            && first <= last
        {
            // An old kernel without the call leaves them to their close-on-exec flags.
            raw::close_range(first, last).ok();
        }
    };
    match kept {
        Some(kept) => {
            close(3, c_uint::try_from(kept.saturating_sub(1)).unwrap_or(0));
            close(kept.saturating_add(1), c_uint::MAX);
        }
        None => close(3, c_uint::MAX),
    }
}

/// The descriptor of this number, in a child that has inherited it with all others.
pub(crate) fn inherited(number: RawFd) -> BorrowedFd<'static> {
    // SAFETY: a number that is not open makes a call fail, and the child closes none that it still uses.
    unsafe { BorrowedFd::borrow_raw(number) }
}

/// A descriptor in the hands of the runtime, which tells when it is ready.
pub(crate) fn watched(descriptor: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` is open, stays open and keeps its number for as long as it lives, and nobody can
    // replace the one in an `AsyncFd` that is never borrowed mutably.
    Ok(unsafe { AsyncFd::register_with_interest(descriptor, interest) }?)
}

/// A user as the system knows it.
pub(crate) struct Account {
    uid: libc::uid_t,
    gid: libc::gid_t,
    /// Without a name there are no supplementary groups.
    name: Option<CString>,
}

/// Looks a user up by name.
pub(crate) fn account_by_name(name: &CStr) -> io::Result<Account> {
    // SAFETY: all pointers are valid for the call, see `look_up`.
    let found = look_up(|entry, buffer, length, result| unsafe {
        libc::getpwnam_r(name.as_ptr(), entry, buffer, length, result)
    })?;
    found.ok_or_else(|| io::Error::from_raw_os_error(libc::ENOENT))
}

/// Looks a user up by number; one that is unknown has the group of the same number and no other.
pub(crate) fn account_by_id(uid: u32) -> io::Result<Account> {
    // SAFETY: all pointers are valid for the call, see `look_up`.
    let found = look_up(|entry, buffer, length, result| unsafe {
        libc::getpwuid_r(uid, entry, buffer, length, result)
    })?;
    Ok(found.unwrap_or(Account { uid, gid: uid, name: None }))
}

/// The signature that `getpwnam_r` and `getpwuid_r` have in common after their first argument.
fn look_up(
    call: impl Fn(*mut libc::passwd, *mut c_char, usize, *mut *mut libc::passwd) -> c_int,
) -> io::Result<Option<Account>> {
    let mut buffer: Vec<c_char> = vec![0; 1024];
    loop {
        let mut entry = MaybeUninit::<libc::passwd>::uninit();
        let mut result = ptr::null_mut();
        match call(entry.as_mut_ptr(), buffer.as_mut_ptr(), buffer.len(), &raw mut result) {
            0 if result.is_null() => return Ok(None),
            0 => {
                // SAFETY: the call succeeded and found someone: `result` points to `entry`, which it
                // filled, and the name in it to a NUL-terminated string in `buffer`.
                let account = unsafe {
                    let found = &*result;
                    let name = CStr::from_ptr(found.pw_name).to_owned();
                    Account { uid: found.pw_uid, gid: found.pw_gid, name: Some(name) }
                };
                return Ok(Some(account));
            }
            libc::ERANGE if buffer.len() < 1 << 20 => buffer.resize(buffer.len() * 2, 0),
            // "Not found" in the ways that POSIX allows besides an empty result.
            libc::ENOENT | libc::ESRCH => return Ok(None),
            error => return Err(io::Error::from_raw_os_error(error)),
        }
    }
}

impl Account {
    pub(crate) fn uid(&self) -> u32 {
        self.uid
    }

    /// Becomes this user with this user's groups, for good. Nothing to do for who is that user already.
    pub(crate) fn assume(&self) -> io::Result<()> {
        let check = |outcome: c_int| if outcome == 0 { Ok(()) } else { Err(io::Error::last_os_error()) };
        let privileged = rustix::process::geteuid().is_root();
        if !privileged && rustix::process::geteuid().as_raw() == self.uid {
            return Ok(());
        }
        // SAFETY: plain system calls on numbers and a NUL-terminated name; one thread, so that they
        // concern the whole process.
        unsafe {
            match &self.name {
                Some(name) => check(libc::initgroups(name.as_ptr(), self.gid))?,
                None => check(libc::setgroups(0, ptr::null()))?,
            }
            check(libc::setgid(self.gid))?;
            check(libc::setuid(self.uid))
        }
    }
}
