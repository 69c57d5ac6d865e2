//! A wall clock that a test sets while the server runs.
//!
//! The kernel has no clock of this kind for one process (a time namespace shifts the monotonic clocks only), so a library
//! that is loaded into the server before all others adds to the time what a file says that both map.

use crate::{Program, SOON, Scratch};
use anyhow::{Context, Result, ensure};
use std::ffi::OsString;
use std::fs::File;
use std::os::unix::fs::FileExt;

/// Adds the seconds in the file `$CLOCK_SHIFT` to what the calls for the wall clock return, those of glibc and so of
/// Rust's standard library. The monotonic clock stays as it is.
const LIBRARY: &str = r#"
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile long long *shift;

__attribute__((constructor)) static void map(void) {
    const char *path = getenv("CLOCK_SHIFT");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) return;
    void *page = mmap(NULL, sizeof *shift, PROT_READ, MAP_SHARED, file, 0);
    close(file);
    if (page != MAP_FAILED) shift = page;
}

static long long by(void) { return shift ? *shift : 0; }

int clock_gettime(clockid_t id, struct timespec *now) {
    int result = (int)syscall(SYS_clock_gettime, id, now);
    if (result == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) now->tv_sec += by();
    return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec exact;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &exact);
    now->tv_sec = exact.tv_sec;
    now->tv_usec = exact.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *into) {
    struct timespec exact;
    clock_gettime(CLOCK_REALTIME, &exact);
    if (into) *into = exact.tv_sec;
    return exact.tv_sec;
}
"#;

/// The shift of a server's wall clock.
#[derive(Debug)]
pub struct ClockShift {
    file: File,
    env: [(&'static str, OsString); 2],
    // Last: the file in it is mapped.
    _folder: Scratch,
}

impl ClockShift {
    /// Makes one of 0 seconds.
    ///
    /// # Errors
    /// When the library cannot be compiled.
    pub fn new() -> Result<Self> {
        let folder = Scratch::new()?;
        let source = folder.file("clock_shift.c", LIBRARY)?;
        let library = folder.path().join("clock_shift.so");
        // `_TIME_BITS` and the like would rename the functions; Debian's compiler sets them on small machines only.
        let cc =
            Program::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).args([&library, &source]).run(SOON)?;
        ensure!(cc.code == Some(0), "cc: {}", cc.stderr);
        let path = folder.file("shift", "\0\0\0\0\0\0\0\0")?;
        let file = File::options().write(true).open(&path).context("the shift")?;
        let env = [("LD_PRELOAD", library.into()), ("CLOCK_SHIFT", path.into())];
        Ok(Self { file, env, _folder: folder })
    }

    /// What the environment of the server must have.
    pub fn env(&self) -> impl Iterator<Item = (&'static str, OsString)> {
        self.env.iter().cloned()
    }

    /// Sets the clock to so many seconds from the true time, at once.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn set(&self, seconds: i64) -> Result<()> {
        self.file.write_all_at(&seconds.to_ne_bytes(), 0).context("the shift")
    }
}
