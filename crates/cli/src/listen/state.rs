//! How far a listener came, and what it signs with: a file for each server, URL and filter, so that the next run goes on
//! where this one stopped.

use crate::remote::Since;
use anyhow::{Context, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jackfield_media::Mono;
use jackfield_runtime::{clock, random};
use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often it is written at most, but at the end: an event that was posted may be posted again after a crash.
const OFTEN: Duration = Duration::from_millis(200);
/// Bytes of a random secret.
const SECRET_BYTES: usize = 24;
/// Bytes of a file that may be one of ours.
const MAX_BYTES: u64 = 64 * 1024;

/// What is kept.
#[derive(Debug)]
pub(super) struct State {
    file: PathBuf,
    api: String,
    forward: String,
    secret: Option<String>,
    after: Option<u64>,
    written: Mono,
}

impl State {
    /// Reads the file, or begins one.
    ///
    /// # Errors
    /// When it is there and cannot be read, or is none of ours: it is not written over.
    pub(super) fn open(
        file: Option<PathBuf>,
        api: &str,
        forward: &str,
        query: &[(&str, String)],
    ) -> anyhow::Result<Self> {
        let file = file.map_or_else(|| usual(&format!("{api} {forward} {query:?}")), Ok)?;
        let mut state = Self {
            file,
            api: api.to_owned(),
            forward: forward.to_owned(),
            secret: None,
            after: None,
            written: Mono::ZERO,
        };
        match fs::metadata(&state.file) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(state),
            Err(error) => return Err(error).with_context(|| state.file.display().to_string()),
            Ok(metadata) if metadata.len() > MAX_BYTES => {
                bail!("{} is no state of `listen`", state.file.display())
            }
            Ok(_) => {}
        }
        let text = fs::read_to_string(&state.file).with_context(|| state.file.display().to_string())?;
        let kept: Value = serde_json::from_str(&text).unwrap_or_default();
        if kept.get("api").and_then(Value::as_str) != Some(api) {
            let of = kept.get("api").and_then(Value::as_str).unwrap_or("no server");
            bail!("{} is the state of {of}; name another by --state", state.file.display());
        }
        state.secret = kept.get("secret").and_then(Value::as_str).map(str::to_owned);
        state.after = kept.get("after").and_then(Value::as_str).and_then(|seq| seq.parse().ok());
        Ok(state)
    }

    /// What signs: what is kept, or a new one.
    pub(super) fn secret(&mut self) -> anyhow::Result<String> {
        if let Some(kept) = &self.secret {
            return Ok(kept.clone());
        }
        let mut bytes = [0; SECRET_BYTES];
        random::fill(&mut bytes);
        let secret = format!("whsec_{}", STANDARD.encode(bytes));
        self.secret = Some(secret.clone());
        self.keep()?;
        Ok(secret)
    }

    /// The last event that was answered.
    pub(super) fn after(&self) -> Option<Since> {
        self.after.and_then(|after| after.to_string().parse().ok())
    }

    /// This event was answered.
    pub(super) fn reached(&mut self, seq: &str) -> anyhow::Result<()> {
        self.after = seq.parse().ok().or(self.after);
        if clock::now() - self.written < OFTEN { Ok(()) } else { self.keep() }
    }

    /// Writes the file, whole or not at all, for this user alone.
    pub(super) fn keep(&mut self) -> anyhow::Result<()> {
        self.written = clock::now();
        let kept = json!({
            "api": self.api, "forward": self.forward, "secret": self.secret,
            "after": self.after.map(|after| after.to_string()),
        });
        self.write(&kept).with_context(|| format!("cannot write {}", self.file.display()))
    }

    fn write(&self, kept: &Value) -> std::io::Result<()> {
        if let Some(folder) = self.file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        let mut new = self.file.clone().into_os_string();
        new.push(".new");
        let new = PathBuf::from(new);
        let mut file =
            fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(format!("{kept:#}\n").as_bytes())?;
        drop(file);
        fs::rename(&new, &self.file)
    }
}

/// The file in the user's state folder (XDG base directories).
fn usual(of: &str) -> anyhow::Result<PathBuf> {
    let folder = |name, below: &str| {
        std::env::var_os(name)
            .filter(|path| Path::new(path).is_absolute())
            .map(|path| PathBuf::from(path).join(below))
    };
    let folder = folder("XDG_STATE_HOME", "").or_else(|| folder("HOME", ".local/state"));
    let folder = folder.context("there is neither HOME nor XDG_STATE_HOME: name a file by --state")?;
    Ok(folder.join("jackfield").join(format!("listen-{:016x}.json", fnv1a(of.as_bytes()))))
}

/// FNV-1a: the same name for the same text in every version.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_next_run_goes_on_where_this_one_stopped_with_the_same_secret() {
        let folder = std::env::temp_dir().join(format!("jackfield-listen-{}", std::process::id()));
        let file = Some(folder.join("a/state.json"));
        let open = |api: &str| State::open(file.clone(), api, "http://127.0.0.1:1/", &[]);
        let mut state = open("http://a").unwrap();
        assert_eq!(state.after(), None);
        let secret = state.secret().unwrap();
        state.reached("41").unwrap();
        state.reached("42").unwrap();
        state.keep().unwrap();
        let mut next = open("http://a").unwrap();
        assert_eq!(next.after().map(|since| since.text()), Some("42".to_owned()));
        assert_eq!(next.secret().unwrap(), secret);
        let mode = fs::metadata(folder.join("a/state.json")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        // The numbers of another server mean something else.
        assert!(open("http://b").unwrap_err().to_string().contains("is the state of http://a"));
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_file_that_is_none_of_ours_is_not_written_over() {
        let this = PathBuf::from(file!()).file_name().map(|name| std::env::temp_dir().join(name)).unwrap();
        fs::write(&this, "notes").unwrap();
        assert!(
            State::open(Some(this.clone()), "a", "b", &[]).unwrap_err().to_string().contains("no server")
        );
        assert_eq!(fs::read_to_string(&this).unwrap(), "notes");
        fs::remove_file(this).unwrap();
        assert!(State::open(Some("/dev/null/x".into()), "a", "b", &[]).is_err());
        assert_ne!(fnv1a(b"a"), fnv1a(b"b"));
    }
}
