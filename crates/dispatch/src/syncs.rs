//! What is kept of hooks is made safe from a power failure: files before they take their names, and the names.

use jackfield_bus::Fsync;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

/// What is synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    /// The journal of dead letters.
    Letters,
    /// A hook's place in the log, under the name that it is written with.
    Cursor,
    /// The names of places.
    Names,
}

/// Syncs, if the configuration wants that, and counts it. Every call blocks on the disk.
#[derive(Debug)]
pub(crate) struct Syncs {
    wanted: bool,
    done: AtomicU64,
    failed: AtomicU64,
    /// What was tried, and what the disk refuses.
    #[cfg(test)]
    pub(crate) tried: std::sync::Mutex<(Vec<What>, Option<What>)>,
}

impl Syncs {
    pub(crate) fn new(fsync: Fsync) -> Self {
        Self {
            wanted: fsync != Fsync::Off,
            done: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            #[cfg(test)]
            tried: std::sync::Mutex::default(),
        }
    }

    /// Syncs a file that was written.
    pub(crate) fn cursor(&self, file: &File) -> io::Result<()> {
        self.sync(What::Cursor, || file.sync_data())
    }

    /// Syncs what a folder calls its files, where the file system can.
    pub(crate) fn names(&self, folder: &Path) -> io::Result<()> {
        self.sync(What::Names, || match File::open(folder)?.sync_all() {
            Err(error) if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) => Ok(()),
            synced => synced,
        })
    }

    /// Syncs by this call.
    pub(crate) fn sync(&self, what: What, call: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        if !self.wanted {
            return Ok(());
        }
        let result = self.attempt(what, call);
        let counter = if result.is_ok() { &self.done } else { &self.failed };
        counter.fetch_add(1, Ordering::Relaxed);
        result
    }

    #[cfg(not(test))]
    fn attempt(&self, _what: What, call: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        call()
    }

    #[cfg(test)]
    fn attempt(&self, what: What, call: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let mut tried = self.tried.lock().unwrap();
        tried.0.push(what);
        if tried.1 == Some(what) { Err(ErrorKind::Other.into()) } else { call() }
    }

    /// How many were done, and how many failed.
    pub(crate) fn counted(&self) -> (u64, u64) {
        (self.done.load(Ordering::Relaxed), self.failed.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_system_that_syncs_no_folders_is_no_failure() {
        let syncs = Syncs::new(Fsync::Always);
        let folder = Path::new("/proc");
        assert_eq!(File::open(folder).unwrap().sync_all().unwrap_err().kind(), ErrorKind::InvalidInput);
        syncs.names(folder).unwrap();
        assert!(syncs.names(Path::new("/no/such/folder")).is_err());
        assert_eq!(syncs.counted(), (1, 1));
    }
}
