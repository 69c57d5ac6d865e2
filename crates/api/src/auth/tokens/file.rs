//! `tokens.json`: who else may ask, by the digests of their tokens.

use super::{
    Caller, Digest, Grant, Known, MARK, Scope, StreamPrefix, TokenError, chance, make_folder, read_text,
    write_whole,
};
use jackfield_media::UnixTime;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Tokens at most: each is compared with at each request.
const MAX_TOKENS: usize = 1000;
/// Characters of a name at most.
const MAX_NAME: usize = 64;

/// The tokens besides the admin token, in a file.
#[derive(Debug, Clone)]
pub struct TokenFile {
    folder: PathBuf,
    path: PathBuf,
}

/// A token to be made.
#[derive(Debug, Clone)]
pub struct NewToken {
    /// What it is for; no other has the name.
    pub name: String,
    /// What it may.
    pub scopes: Vec<Scope>,
    /// For these streams only; everything when empty.
    pub stream_prefixes: Vec<StreamPrefix>,
}

/// A token that was made.
#[derive(Debug, Clone)]
pub struct Created {
    /// What is kept of it.
    pub entry: TokenEntry,
    /// The token itself: this is the only time that it is there to be read.
    pub token: Secret,
}

/// A token to be shown once: `Debug` shows `…`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The token itself.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

/// What is kept of a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenEntry {
    /// Its id, `tok_…`.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What it may.
    pub scopes: Vec<Scope>,
    /// For these streams only; everything when empty.
    pub stream_prefixes: Vec<StreamPrefix>,
    /// When it was made, RFC 3339.
    pub created_at: String,
    /// SHA-256 of it, in hexadecimal digits.
    sha256: String,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    tokens: Vec<TokenEntry>,
}

impl TokenFile {
    /// The file in this data folder, which need not be there.
    #[must_use]
    pub fn of(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), path: folder.join("tokens.json") }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// All tokens, the oldest first; none if there is no file.
    ///
    /// # Errors
    /// [`TokenError`] of a file that cannot be read or is not ours.
    pub fn read(&self) -> Result<Vec<TokenEntry>, TokenError> {
        let text = match read_text(&self.path) {
            Ok(text) => text,
            Err(TokenError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {
                return Ok(Vec::new());
            }
            Err(error) => return Err(error),
        };
        let corrupt = |text: String| TokenError::Corrupt { path: self.path.clone(), text };
        let content: Content = serde_json::from_str(&text).map_err(|error| {
            // Its place, not the parser's words: they may be those of a file that is none of ours.
            corrupt(format!("line {} is not what `jackfield token` writes there", error.line()))
        })?;
        match content.tokens.iter().find(|entry| Digest::from_hex(&entry.sha256).is_none()) {
            Some(entry) => Err(corrupt(format!("the token `{}` has no SHA-256", entry.id))),
            None => Ok(content.tokens),
        }
    }

    /// Makes a token.
    ///
    /// # Errors
    /// [`TokenError`]; then none was made.
    pub fn create(&self, new: NewToken, now: UnixTime) -> Result<Created, TokenError> {
        check_name(&new.name)?;
        if new.scopes.is_empty() {
            return Err(TokenError::NoScope);
        }
        make_folder(&self.folder)?;
        let _lock = self.lock()?;
        let mut tokens = self.read()?;
        if tokens.iter().any(|entry| entry.name == new.name) {
            return Err(TokenError::Taken(new.name));
        }
        if tokens.len() >= MAX_TOKENS {
            return Err(TokenError::TooMany);
        }
        let token = Secret(format!("{MARK}{}", chance()));
        let mut scopes = new.scopes;
        scopes.sort_by_key(|scope| Scope::ALL.iter().position(|other| other == scope));
        scopes.dedup();
        let digest = Digest::of(token.reveal().as_bytes());
        let entry = TokenEntry {
            id: id(&tokens, &digest),
            name: new.name,
            scopes,
            stream_prefixes: new.stream_prefixes,
            created_at: crate::query::rfc3339(now),
            sha256: digest.to_hex(),
        };
        tokens.push(entry.clone());
        self.write(tokens)?;
        Ok(Created { entry, token })
    }

    /// Takes a token back, by its name or id.
    ///
    /// # Errors
    /// [`TokenError`]; then nothing has changed.
    pub fn revoke(&self, which: &str) -> Result<TokenEntry, TokenError> {
        let unknown = || TokenError::Unknown(which.to_owned());
        if !self.path.exists() {
            return Err(unknown());
        }
        let _lock = self.lock()?;
        let mut tokens = self.read()?;
        let at =
            tokens.iter().position(|entry| entry.id == which || entry.name == which).ok_or_else(unknown)?;
        let gone = tokens.remove(at);
        self.write(tokens)?;
        Ok(gone)
    }

    fn write(&self, tokens: Vec<TokenEntry>) -> Result<(), TokenError> {
        let text =
            serde_json::to_string_pretty(&Content { tokens }).expect("invariant: tokens are plain values");
        write_whole(&self.path, (text + "\n").as_bytes())
    }

    /// Keeps other commands from changing the file, until it is dropped.
    pub(super) fn lock(&self) -> Result<File, TokenError> {
        let path = self.folder.join("tokens.lock");
        let open = File::options().write(true).create(true).truncate(false).mode(0o600).open(&path);
        let file = open.map_err(TokenError::io(&path))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(file),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(TokenError::Locked),
            Err(error) => Err(TokenError::io(&path)(error.into())),
        }
    }
}

/// Short, and not that of another: it is typed by hand.
fn id(tokens: &[TokenEntry], digest: &Digest) -> String {
    let hex = digest.to_hex();
    let ids = (8..=hex.len()).map(|digits| format!("tok_{}", hex.get(..digits).unwrap_or_default()));
    ids.into_iter().find(|id| tokens.iter().all(|entry| entry.id != *id)).unwrap_or(hex)
}

fn check_name(name: &str) -> Result<(), TokenError> {
    let good = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let begins = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    if begins && name.len() <= MAX_NAME && name.chars().all(good) { Ok(()) } else { Err(TokenError::BadName) }
}

impl TokenEntry {
    /// What the server keeps of it.
    pub(super) fn known(&self) -> Option<Known> {
        let prefixes: Vec<Option<StreamPrefix>> = match self.stream_prefixes.as_slice() {
            [] => vec![None],
            some => some.iter().cloned().map(Some).collect(),
        };
        let grants = self.scopes.iter().flat_map(|scope| {
            prefixes.iter().map(|prefix| Grant { scope: *scope, stream_prefix: prefix.clone() })
        });
        let caller = Caller::new(self.name.as_str().into(), grants.collect());
        Some(Known { digest: Digest::from_hex(&self.sha256)?, caller })
    }
}
