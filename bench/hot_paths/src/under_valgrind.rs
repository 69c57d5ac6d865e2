//! A system call that valgrind does not know before its version 3.21.

use std::ffi::{CStr, c_long};
use std::sync::OnceLock;

type Syscall = unsafe extern "C" fn(c_long, ...) -> c_long;

/// syscall(2) of the C library. Where pidfd_open(2) is not known, as under an old valgrind, it yields a descriptor on which
/// nothing ever comes: that of a process that does not end.
///
/// The linker finds this one first. An argument too many is passed on unread, as the C library does itself.
///
/// # Safety
/// That of the system call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn syscall(
    number: c_long,
    a: c_long,
    b: c_long,
    c: c_long,
    d: c_long,
    e: c_long,
    f: c_long,
) -> c_long {
    // SAFETY: the caller keeps the contract of this system call.
    let result = unsafe { real()(number, a, b, c, d, e, f) };
    let unknown = || std::io::Error::last_os_error().raw_os_error() == Some(libc::ENOSYS);
    if number == libc::SYS_pidfd_open && result == -1 && unknown() {
        // SAFETY: two numbers go in, and a new descriptor or -1 with errno comes out.
        return unsafe { libc::eventfd(0, libc::EFD_CLOEXEC) }.into();
    }
    result
}

fn real() -> Syscall {
    static REAL: OnceLock<Syscall> = OnceLock::new();
    const NAME: &CStr = c"syscall";
    *REAL.get_or_init(|| {
        // SAFETY: the name ends in a zero byte.
        let found = unsafe { libc::dlsym(libc::RTLD_NEXT, NAME.as_ptr()) };
        assert!(!found.is_null(), "the C library has no `syscall`");
        // SAFETY: what has this name in the C library is this function.
        unsafe { std::mem::transmute::<*mut libc::c_void, Syscall>(found) }
    })
}
