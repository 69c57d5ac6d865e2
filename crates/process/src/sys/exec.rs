//! Executing a program, with arrays that are made before its process is: nothing here allocates.

use super::raw;
use rustix::io::Errno;
use std::ffi::{CStr, CString, c_char};
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

const SHELL: &CStr = c"/bin/sh";

/// What a program is called with, its own name first.
#[derive(Debug)]
pub(crate) struct Arguments {
    /// To these point the pointers; neither changes as long as this lives.
    _texts: Vec<CString>,
    /// A place in front for the shell, then the arguments, then null.
    pointers: Vec<AtomicPtr<c_char>>,
}

impl Arguments {
    pub(crate) fn new(texts: Vec<CString>) -> Self {
        let shell = AtomicPtr::new(SHELL.as_ptr().cast_mut());
        let pointers = [shell].into_iter().chain(pointers(&texts)).collect();
        Self { _texts: texts, pointers }
    }

    fn from(&self, first: usize) -> *const *const c_char {
        self.pointers.get(first..).unwrap_or_default().as_ptr().cast()
    }
}

/// What a program finds in its environment: texts of the form `NAME=value`.
#[derive(Debug)]
pub(crate) struct Environment {
    _texts: Vec<CString>,
    pointers: Vec<AtomicPtr<c_char>>,
}

impl Environment {
    pub(crate) fn new(texts: Vec<CString>) -> Self {
        let pointers = pointers(&texts).collect();
        Self { _texts: texts, pointers }
    }
}

fn pointers(texts: &[CString]) -> impl Iterator<Item = AtomicPtr<c_char>> {
    let null = AtomicPtr::new(ptr::null_mut());
    texts.iter().map(|text| AtomicPtr::new(text.as_ptr().cast_mut())).chain([null])
}

/// Replaces this process by the program; returns only the reason why that failed.
pub(crate) fn exec(file: &CStr, arguments: &Arguments, environment: &Environment) -> Errno {
    // SAFETY: both arrays end with a null pointer; the others point to the texts that live beside them. An
    // `AtomicPtr` has the representation of a pointer.
    unsafe { raw::execve(file, arguments.from(1), environment.pointers.as_ptr().cast()) }
}

/// Has the shell run the file, which takes the place of the program's name; returns only the reason why that failed.
pub(crate) fn exec_by_shell(file: &CStr, arguments: &Arguments, environment: &Environment) -> Errno {
    // The last of them is null, and stays.
    let [_shell, name, _, ..] = arguments.pointers.as_slice() else { return Errno::NOEXEC };
    name.store(file.as_ptr().cast_mut(), Ordering::Relaxed);
    // SAFETY: as above; the first pointer is to a constant, the second to a text that lives to the end of this call.
    unsafe { raw::execve(SHELL, arguments.from(0), environment.pointers.as_ptr().cast()) }
}
