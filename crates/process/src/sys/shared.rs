//! A child that shares this process's memory until it executes its program.
//!
//! A fork copies the tables of the memory, and afterwards parent and child fault for each page that one of them touches: half
//! of all that the start of a small program took. This child has a stack of its own and shares the rest, like a
//! thread, but with its own descriptors, signals and folder. Unlike after `vfork(2)` the parent goes on meanwhile, so that
//! a program that hangs before it executes holds up nobody.

use super::raw;
use rustix::io::Errno;
use rustix::process::Pid;
use std::ffi::{c_int, c_void};
use std::io;
use std::mem::ManuallyDrop;
use std::ptr;
use std::sync::atomic::{AtomicI32, Ordering};

/// Ample: the child's deepest call takes a few hundred bytes in an optimised build.
const STACK_BYTES: usize = 64 * 1024;

/// Below the stack, not accessible: at least one page of any machine.
const GUARD_BYTES: usize = 64 * 1024;

/// The stack of such a child.
#[derive(Debug)]
pub(crate) struct Stack {
    lowest: *mut c_void,
}

impl Stack {
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: a new mapping where the kernel likes; its lower part is then closed.
        unsafe {
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK;
            let protection = libc::PROT_READ | libc::PROT_WRITE;
            let bytes = GUARD_BYTES + STACK_BYTES;
            let lowest = libc::mmap(ptr::null_mut(), bytes, protection, flags, -1, 0);
            if lowest == libc::MAP_FAILED {
                return Err(io::Error::last_os_error());
            }
            let stack = Self { lowest };
            match libc::mprotect(lowest, GUARD_BYTES, libc::PROT_NONE) {
                0 => Ok(stack),
                _ => Err(io::Error::last_os_error()),
            }
        }
    }

    /// Where it begins: stacks grow down.
    fn top(&self) -> *mut c_void {
        self.lowest.wrapping_byte_add(GUARD_BYTES + STACK_BYTES)
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and nobody runs on a stack that is dropped, see `Shared`.
        unsafe { libc::munmap(self.lowest, GUARD_BYTES + STACK_BYTES) };
    }
}

/// What a child works with while it shares our memory. If this is dropped before the child has left, it is leaked.
#[derive(Debug)]
pub(crate) struct Shared<T> {
    work: ManuallyDrop<Box<Work<T>>>,
    stack: ManuallyDrop<Stack>,
}

#[derive(Debug)]
struct Work<T> {
    /// The kernel writes zero here when the child has left: when it executes its program, or ends.
    child: AtomicI32,
    run: fn(&T) -> c_int,
    argument: T,
}

impl<T: Sync> Shared<T> {
    /// Starts a child that runs this and ends with what it returns, if it does. To be called by a process with a single
    /// thread, all of whose signals are blocked.
    ///
    /// The child must not allocate, panic, touch thread-local storage (`errno` is such), or unblock a signal that has
    /// a handler.
    ///
    /// # Errors
    /// The argument and the stack come back, for a fork.
    pub(crate) fn start(stack: Stack, argument: T, run: fn(&T) -> c_int) -> Result<(Pid, Self), Refused<T>> {
        if !raw::SPARE_ERRNO {
            return Err(Refused { argument, stack, errno: Errno::NOSYS });
        }
        let work = Box::new(Work { child: AtomicI32::new(0), run, argument });
        let flags = libc::CLONE_VM | libc::CLONE_PARENT_SETTID | libc::CLONE_CHILD_CLEARTID | libc::SIGCHLD;
        let tid = work.child.as_ptr();
        let to_work = ptr::from_ref(&*work).cast_mut().cast::<c_void>();
        // SAFETY: the stack is the child's alone, and it and the work live until the child has left, see `drop`.
        // What both use meanwhile is only read, or atomic.
        let number = unsafe {
            libc::clone(enter::<T>, stack.top(), flags, to_work, tid, ptr::null_mut::<c_void>(), tid)
        };
        match Pid::from_raw(number.max(0)) {
            Some(pid) => Ok((pid, Self { work: ManuallyDrop::new(work), stack: ManuallyDrop::new(stack) })),
            None => {
                let errno = Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::INVAL);
                Err(Refused { argument: work.argument, stack, errno })
            }
        }
    }
}

/// No child was made.
#[derive(Debug)]
pub(crate) struct Refused<T> {
    pub(crate) argument: T,
    pub(crate) stack: Stack,
    pub(crate) errno: Errno,
}

impl<T> Shared<T> {
    fn is_left(&self) -> bool {
        self.work.child.load(Ordering::Acquire) == 0
    }

    /// The stack, to be used again, if the child has left.
    pub(crate) fn into_stack(self) -> Option<Stack> {
        if !self.is_left() {
            return None;
        }
        let mut this = ManuallyDrop::new(self);
        // SAFETY: the child has left; each is taken out once, and `this` is not dropped.
        unsafe {
            ManuallyDrop::drop(&mut this.work);
            Some(ManuallyDrop::take(&mut this.stack))
        }
    }
}

impl<T> Drop for Shared<T> {
    fn drop(&mut self) {
        if self.is_left() {
            // SAFETY: the child has left, and neither is used again.
            unsafe {
                ManuallyDrop::drop(&mut self.work);
                ManuallyDrop::drop(&mut self.stack);
            }
        }
    }
}

extern "C" fn enter<T>(work: *mut c_void) -> c_int {
    // SAFETY: it is what `start` passed, and lives until this child has left.
    let work = unsafe { &*work.cast::<Work<T>>() };
    (work.run)(&work.argument)
}
