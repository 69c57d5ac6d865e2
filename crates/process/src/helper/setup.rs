//! How a process becomes the helper: the first line of `main`, before any thread is.

use super::Helper;
use crate::{socket, sys};
use rustix::fs::{Mode, OFlags};
use rustix::io::FdFlags;
use rustix::process::{Resource, Rlimit};
use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::OnceLock;

/// The first argument of a process that is to be the helper; its standard input is the socket to the server.
pub(crate) const MARKER: &str = "--jackfield-process-helper";

/// The soft limit of open descriptors with which this process was started.
static SOFT_OPEN_FILES: OnceLock<Option<u64>> = OnceLock::new();

/// Makes this process the helper and does not return, if it was started as such; returns at once otherwise.
///
/// It is the first line of `main`, before any thread is started or signal handled. It also remembers
/// the limit of open descriptors, which programs are given as it was, however far the server raises its own.
pub fn run_helper_if_asked() {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().as_deref() != Some(OsStr::new(MARKER)) {
        let limit = rustix::process::getrlimit(Resource::Nofile);
        SOFT_OPEN_FILES.get_or_init(|| limit.current);
        return;
    }
    let open_files = arguments.next().and_then(|limit| limit.to_str()?.parse().ok());
    let code = match become_helper(open_files).and_then(|mut helper| helper.run()) {
        Ok(()) => 0,
        Err(error) => {
            complain(&error);
            1
        }
    };
    sys::exit_now(code)
}

/// The soft limit of open descriptors that programs are to have; `None` is no limit.
pub(crate) fn soft_open_files() -> Option<u64> {
    SOFT_OPEN_FILES.get().copied().unwrap_or_else(|| rustix::process::getrlimit(Resource::Nofile).current)
}

#[expect(clippy::print_stderr, reason = "the helper has no log, and its standard error is the server's")]
fn complain(error: &io::Error) {
    eprintln!("jackfield: process helper: {error}");
}

fn become_helper(open_files: Option<u64>) -> io::Result<Helper> {
    if !socket::is_ours(rustix::stdio::stdin()) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is started by the server only"));
    }
    sys::reset_and_block_signals()?;
    sys::close_all_but(None);
    let socket = take_socket()?;
    // Away from the server's terminal and process group: Ctrl-C there is for the server, which then ends the
    // programs in good order. Refused only to a group's leader, which a helper never is.
    rustix::process::setsid().ok();
    rustix::thread::set_name(c"jackfield-procs")?;
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    rustix::thread::set_no_new_privs(true)?;
    rustix::process::setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    let limit = rustix::process::getrlimit(Resource::Nofile);
    rustix::process::setrlimit(Resource::Nofile, Rlimit { current: open_files.or(limit.current), ..limit })?;
    Ok(Helper::new(socket, sys::child_signals()?))
}

/// Moves the socket off standard input, and leaves the null device there and on standard output.
fn take_socket() -> io::Result<OwnedFd> {
    let socket = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?;
    let null = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    debug_assert_eq!(
        rustix::io::fcntl_getfd(&socket),
        Ok(FdFlags::CLOEXEC),
        "no program inherits the socket"
    );
    Ok(socket)
}
