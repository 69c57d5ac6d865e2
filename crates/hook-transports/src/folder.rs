//! Where a program works: the server's folder, a given one, or one of its own for the time it lives.

use jackfield_runtime::random;
use rustix::fs::{Gid, Uid};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// The working folder of a hook's programs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Cwd {
    /// The server's own, which existing scripts expect.
    #[default]
    Server,
    /// This one; a relative path starts at the base folder.
    Folder(PathBuf),
    /// A new empty one below the system's temporary folder, closed to others, removed when the program and
    /// what holds its outputs have ended.
    Private,
}

/// A folder that goes when this is dropped.
#[derive(Debug)]
pub(crate) struct PrivateFolder(PathBuf);

impl PrivateFolder {
    /// Makes one that belongs to this user, or to the server's.
    pub(crate) fn make(owner: Option<u32>) -> io::Result<Self> {
        let path = std::env::temp_dir().join(format!("jackfield-{:016x}", random::number()));
        std::fs::DirBuilder::new().mode(0o700).create(&path)?;
        let folder = Self(path);
        if let Some(uid) = owner {
            rustix::fs::chown(folder.path(), Some(Uid::from_raw(uid)), None::<Gid>)?;
        }
        Ok(folder)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for PrivateFolder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(folder = %self.0.display(), %error, "Cannot remove a private folder");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_private_folder_is_closed_to_others_and_goes_with_what_is_in_it() {
        let folder = PrivateFolder::make(None).unwrap();
        let path = folder.path().to_owned();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        std::fs::write(path.join("left"), "x").unwrap();
        drop(folder);
        assert!(!path.exists());
    }
}
