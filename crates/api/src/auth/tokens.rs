//! The tokens there are: `admin.token` and `tokens.json` in the data folder.
//!
//! [`TokenStore`] is the server's side: it makes the admin token at the first start, and looks at both files at each request,
//! reading what has changed; so a token that was revoked is refused from then on. [`TokenFile`] is the command line's side: it
//! makes, lists and revokes the tokens of `tokens.json`, with or without a running server.
//!
//! `admin.token` (0600) is the bare token and a newline; it may do everything. An operator may write it, with at least 32
//! characters. `tokens.json` (0600) has no token, only the SHA-256 of each: whoever reads it cannot use it.
//!
//! All calls block.

mod digest;
mod file;

pub use super::scope::{BadPrefix, Scope, StreamPrefix, UnknownScope};
pub use digest::Digest;
pub use file::{Created, NewToken, Secret, TokenEntry, TokenFile};

use super::caller::Caller;
use super::scope::Grant;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jackfield_net::Seldom;
use jackfield_runtime::{clock, random};
use std::fmt;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// What a token that we make begins with, so that whoever finds one knows what it is.
const MARK: &str = "jf_";
/// Characters of a token that an operator wrote, at least: what is shorter may be guessed.
const MIN_CHARS: usize = 32;
/// Bytes of a file of tokens at most.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// Why tokens cannot be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// A file or folder.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which one.
        path: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
    /// The admin token is one that may be guessed, or cannot be sent.
    #[error("{}: a token must have at least {MIN_CHARS} characters of ASCII without spaces; remove the file, and the server makes one", .0.display())]
    Weak(PathBuf),
    /// `tokens.json` is not what it was when we wrote it.
    #[error("{}: {text}; mend it, or remove it and make new tokens", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        text: String,
    },
    /// Another command is changing the tokens.
    #[error("another command is changing the tokens; try again")]
    Locked,
    /// There is a token of that name.
    #[error("there is a token named `{0}`; revoke it first, or take another name")]
    Taken(String),
    /// There is none of that name or id.
    #[error("there is no token `{0}`; `jackfield token list` shows them")]
    Unknown(String),
    /// A name that cannot be shown.
    #[error("a name has 1 to 64 letters, digits, and `._-` within")]
    BadName,
    /// A token that may do nothing.
    #[error("a token needs a scope: read, operate or hooks")]
    NoScope,
    /// More than can be kept.
    #[error("there are too many tokens; revoke some")]
    TooMany,
}

impl TokenError {
    fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }
}

/// A token that there is.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    digest: Digest,
    caller: Caller,
}

impl Known {
    pub(crate) fn caller(&self) -> Caller {
        self.caller.clone()
    }

    pub(crate) fn digest(&self) -> Digest {
        self.digest
    }
}

/// The tokens of a running server. Clones are the same.
#[derive(Clone)]
pub struct TokenStore(Arc<Inner>);

struct Inner {
    admin: PathBuf,
    file: TokenFile,
    seen: Mutex<Seen>,
}

/// What was read of the files, and how they looked then.
#[derive(Default)]
struct Seen {
    admin: (Option<Look>, Option<Known>),
    others: (Option<Look>, Vec<Known>),
}

/// What changes when a file is written or replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Look {
    inode: u64,
    bytes: u64,
    written: (i64, i64),
    changed: (i64, i64),
}

impl Look {
    fn at(path: &Path) -> Option<Self> {
        let file = fs::metadata(path).ok()?;
        Some(Self {
            inode: file.ino(),
            bytes: file.len(),
            written: (file.mtime(), file.mtime_nsec()),
            changed: (file.ctime(), file.ctime_nsec()),
        })
    }
}

impl TokenStore {
    /// The tokens of this data folder. Makes the folder (0700) and the admin token (0600) if they are not there.
    ///
    /// # Errors
    /// [`TokenError`]: without an admin token nobody could ask for anything.
    pub fn open(folder: &Path) -> Result<Self, TokenError> {
        make_folder(folder)?;
        let admin = folder.join("admin.token");
        if fs::metadata(&admin).map_or(true, |file| file.len() == 0) {
            make_admin(&admin)?;
            tracing::info!(path = %admin.display(), "The token of the API has been made");
        }
        read_admin(&admin)?;
        let inner = Inner { admin, file: TokenFile::of(folder), seen: Mutex::default() };
        inner.file.read()?;
        Ok(Self(Arc::new(inner)))
    }

    /// The token, if there is one like it.
    pub(crate) fn find(&self, token: &str) -> Option<Known> {
        self.find_digest(&Digest::of(token.as_bytes()))
    }

    /// The token of this digest. Compares with all, so that the time says nothing.
    pub(crate) fn find_digest(&self, digest: &Digest) -> Option<Known> {
        let mut seen = self.0.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.look_again(&self.0);
        let all = seen.admin.1.iter().chain(&seen.others.1);
        let mut found = None;
        for known in all {
            if known.digest.equals(digest) {
                found = Some(known);
            }
        }
        found.cloned()
    }
}

impl Seen {
    fn look_again(&mut self, inner: &Inner) {
        let look = Look::at(&inner.admin);
        if self.admin.0 != look || look.is_none() {
            self.admin = (look, read_admin(&inner.admin).map_err(|error| tell(&error)).ok());
        }
        let look = Look::at(inner.file.path());
        if self.others.0 != look {
            // What cannot be read allows nothing: it may be there to revoke.
            let entries = inner.file.read().map_err(|error| tell(&error)).unwrap_or_default();
            self.others = (look, entries.iter().filter_map(TokenEntry::known).collect());
        }
    }
}

fn tell(error: &TokenError) {
    static UNREADABLE: Seldom = Seldom::new();
    if let Some(times) = UNREADABLE.now(clock::now()) {
        tracing::error!(%error, times, "The tokens of the API cannot be read");
    }
}

fn read_admin(path: &Path) -> Result<Known, TokenError> {
    let text = read_text(path)?;
    let token = text.trim_end_matches(['\r', '\n']);
    if token.len() < MIN_CHARS || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(TokenError::Weak(path.to_owned()));
    }
    let grants = Scope::ALL.map(|scope| Grant { scope, stream_prefix: None });
    let caller = Caller::new("admin".into(), grants.into());
    Ok(Known { digest: Digest::of(token.as_bytes()), caller })
}

fn make_admin(path: &Path) -> Result<(), TokenError> {
    write_whole(path, format!("{MARK}{}\n", chance()).as_bytes())
}

/// 256 bits of chance as text.
pub(crate) fn chance() -> String {
    let mut bytes = [0; 32];
    random::fill(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
}

fn make_folder(folder: &Path) -> Result<(), TokenError> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(TokenError::io(folder))
}

fn read_text(path: &Path) -> Result<String, TokenError> {
    let read = || {
        let mut text = String::new();
        // To open a pipe would be to wait for a writer, and the request would wait with us.
        if !fs::metadata(path)?.is_file() {
            return Err(io::Error::new(ErrorKind::InvalidInput, "not a file"));
        }
        File::open(path)?.take(MAX_FILE_BYTES + 1).read_to_string(&mut text)?;
        if text.len() as u64 > MAX_FILE_BYTES {
            return Err(io::Error::new(ErrorKind::FileTooLarge, "larger than 1 MiB"));
        }
        Ok(text)
    };
    read().map_err(TokenError::io(path))
}

/// Puts a file (0600) in the place of another, whole or not at all. Of root's files in a folder of somebody else's, that one
/// becomes the owner: it is the server that must read them.
fn write_whole(path: &Path, content: &[u8]) -> Result<(), TokenError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let new = PathBuf::from(name);
    let write = || {
        fs::remove_file(&new).or_else(|error| match error.kind() {
            ErrorKind::NotFound => Ok(()),
            _ => Err(error),
        })?;
        let mut file = File::options().write(true).create_new(true).mode(0o600).open(&new)?;
        file.write_all(content)?;
        file.sync_all()?;
        let folder = path.parent().unwrap_or(Path::new("."));
        if rustix::process::geteuid().is_root() {
            let owner = fs::metadata(folder)?;
            std::os::unix::fs::fchown(&file, Some(owner.uid()), Some(owner.gid()))?;
        }
        fs::rename(&new, path)?;
        File::open(folder)?.sync_all()
    };
    write().map_err(TokenError::io(path))
}

impl fmt::Debug for TokenStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenStore").field("admin", &self.0.admin).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
