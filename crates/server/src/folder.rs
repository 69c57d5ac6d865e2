//! The data folder: made when it is not there, and held by one server at a time.

use rustix::fs::{FlockOperation, flock};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Why a server cannot have its data folder.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// It cannot be made or used.
    #[error("cannot use the data folder {}: {source}", path.display())]
    Io {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another server runs with it.
    #[error("the data folder {} belongs to another running server{}; give this one its own by --data-dir", path.display(), process(*pid))]
    Taken {
        /// The folder.
        path: PathBuf,
        /// The other server's process, if its file says so.
        pid: Option<u32>,
    },
}

fn process(pid: Option<u32>) -> String {
    pid.map_or(String::new(), |pid| format!(" (process {pid})"))
}

/// The data folder, held as long as this lives.
#[derive(Debug)]
pub(crate) struct DataFolder {
    path: PathBuf,
    /// The kernel lets go of the lock when it is closed, however the process ends.
    _lock: File,
}

impl DataFolder {
    /// Makes it if it is not there, with mode 0700, and takes it.
    ///
    /// # Errors
    /// [`FolderError`].
    pub(crate) fn take(path: &Path) -> Result<Self, FolderError> {
        let failed = |source| FolderError::Io { path: path.to_owned(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut lock = options.open(path.join("lock")).map_err(failed)?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let mut text = String::new();
                // Who holds it is told if it can be; that it is held is what counts.
                drop(lock.take(32).read_to_string(&mut text));
                return Err(FolderError::Taken { path: path.to_owned(), pid: text.trim().parse().ok() });
            }
            Err(error) => return Err(failed(error.into())),
        }
        lock.set_len(0).and_then(|()| writeln!(lock, "{}", std::process::id())).map_err(failed)?;
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// Where it is kept what became of deliveries.
    pub(crate) fn deliveries(&self) -> PathBuf {
        self.path.join("deliveries")
    }

    /// Where events are kept.
    pub(crate) fn events(&self) -> PathBuf {
        self.path.join("events")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_data_folder_is_private_and_belongs_to_one_server_at_a_time() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("a/b");
        let first = DataFolder::take(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        let refused = DataFolder::take(&path).unwrap_err();
        let told = format!("belongs to another running server (process {})", std::process::id());
        assert!(refused.to_string().contains(&told), "{refused}");
        drop(first);
        DataFolder::take(&path).unwrap();
        std::fs::write(parent.path().join("file"), "").unwrap();
        assert!(matches!(DataFolder::take(&parent.path().join("file")), Err(FolderError::Io { .. })));
    }
}
