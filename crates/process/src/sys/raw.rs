//! System calls that leave `errno` alone. It is a thread's own, and a child that shares its parent's memory
//! shares the parent's thread-local storage too: neither may find there what the other has met.

use rustix::io::Errno;
use std::ffi::{CStr, c_char, c_int, c_long, c_uint};

/// Whether this machine has these calls. If not, they set `errno`, and no child may share memory.
pub(super) const SPARE_ERRNO: bool = cfg!(any(target_arch = "x86_64", target_arch = "aarch64"));

/// Executes a program; returns only the reason why that failed.
///
/// # Safety
/// Both arrays end with a null pointer, and all before it point to NUL-terminated strings.
pub(super) unsafe fn execve(file: &CStr, argv: *const *const c_char, env: *const *const c_char) -> Errno {
    // SAFETY: the caller vouches for the arrays; the kernel only reads.
    let returned = unsafe { call(libc::SYS_execve, file.as_ptr() as usize, argv as usize, env as usize) };
    check(returned).err().unwrap_or(Errno::INVAL)
}

/// Closes the descriptors of these numbers.
pub(super) fn close_range(first: c_uint, last: c_uint) -> Result<(), Errno> {
    // SAFETY: closes numbers of descriptors, which is memory-safe; whose they were is for the caller to care.
    check(unsafe { call(libc::SYS_close_range, first as usize, last as usize, 0) })
}

fn check(returned: c_long) -> Result<(), Errno> {
    match c_int::try_from(returned) {
        Ok(error @ -4095..=-1) => Err(Errno::from_raw_os_error(-error)),
        _ => Ok(()),
    }
}

#[cfg(target_arch = "x86_64")]
unsafe fn call(number: c_long, a: usize, b: usize, c: usize) -> c_long {
    let returned: c_long;
    // SAFETY: the kernel's calling convention: it changes rax, rcx and r11 and no memory but what the call says.
    unsafe {
        std::arch::asm!(
            "syscall",
            inlateout("rax") number => returned,
            in("rdi") a, in("rsi") b, in("rdx") c,
            lateout("rcx") _, lateout("r11") _,
            options(nostack),
        );
    }
    returned
}

#[cfg(target_arch = "aarch64")]
unsafe fn call(number: c_long, a: usize, b: usize, c: usize) -> c_long {
    let returned: c_long;
    // SAFETY: the kernel's calling convention: it changes x0 and no memory but what the call says.
    unsafe {
        std::arch::asm!(
            "svc 0",
            in("x8") number,
            inlateout("x0") a => returned,
            in("x1") b, in("x2") c,
            options(nostack),
        );
    }
    returned
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
unsafe fn call(number: c_long, a: usize, b: usize, c: usize) -> c_long {
    // SAFETY: as the caller vouches for the number and its arguments.
    let returned = unsafe { libc::syscall(number, a, b, c) };
    if returned == -1 {
        let error = std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EINVAL);
        return -c_long::from(error);
    }
    returned
}
