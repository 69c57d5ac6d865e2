//! Hooks that were made by the HTTP API: kept in `<data_dir>/hooks.json` as they were given, and read and checked
//! against the configuration at the start, at each reload and at each change. The loop that owns the hooks calls it.
//!
//! The file holds secrets and is the server's alone (0600). A hook of it that the configuration does not allow (any
//! more) stays in it and is not in force; the log says why.

use crate::config::{Config, FieldProblem, Hook};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The file in the data folder.
const FILE: &str = "hooks.json";
/// Bytes of the file; what is larger we have not written.
const MAX_FILE_BYTES: u64 = 64 * 1024 * 1024;
/// Bytes of one hook.
pub(crate) const MAX_HOOK_BYTES: usize = 16 * 1024;
/// Hooks that the API may make: each may cost a connection pool and a place in every chain.
pub(crate) const MAX_HOOKS: usize = 1000;

/// The hooks of the API. A change makes another one, which is put in its place once it is in force and on disk.
#[derive(Clone)]
pub(crate) struct ApiHooks {
    path: PathBuf,
    hooks: Vec<Map<String, Value>>,
}

/// What the file holds.
#[derive(Serialize, Deserialize)]
struct File {
    version: u32,
    hooks: Vec<Map<String, Value>>,
}

/// The file cannot be read or is none of ours.
#[derive(Debug, thiserror::Error)]
#[error("{}: {cause}", .path.display())]
pub struct ApiHooksError {
    path: PathBuf,
    cause: Cause,
}

#[derive(Debug, thiserror::Error)]
enum Cause {
    #[error("{0}")]
    Io(#[from] io::Error),
    // The parser's own words may show a secret.
    #[error("it is not what the server writes there; line {0}")]
    Form(usize),
    #[error("it is larger than {MAX_FILE_BYTES} bytes")]
    Size,
    #[error("it is of version {0}, which this version of the server does not know")]
    Version(u32),
}

/// A hook of the file that is not in force.
pub(crate) struct Idle {
    pub(crate) name: String,
    pub(crate) problems: Vec<FieldProblem>,
}

impl Idle {
    /// Says in the log why it is not called.
    pub(crate) fn warn(&self) {
        let said: Vec<String> = self.problems.iter().map(ToString::to_string).collect();
        tracing::warn!(
            hook = self.name,
            problems = said.join("; "),
            "A hook made by the API is not in force"
        );
    }
}

impl ApiHooks {
    /// Reads the hooks of this data folder; without a file there is none.
    ///
    /// # Errors
    /// [`ApiHooksError`].
    pub(crate) fn load(data_dir: &Path) -> Result<Self, ApiHooksError> {
        let path = data_dir.join(FILE);
        match read(&path) {
            Ok(hooks) => Ok(Self { path, hooks }),
            Err(cause) => Err(ApiHooksError { path, cause }),
        }
    }

    /// What of them this configuration allows, in the order in which they were made, and what it does not.
    pub(crate) fn read(&self, config: &Config) -> (Vec<Hook>, Vec<Idle>) {
        let mut hooks: Vec<Hook> = Vec::new();
        let mut idle = Vec::new();
        for body in &self.hooks {
            let problems = match config.read_api_hook(body) {
                Ok(hook) if config.hook.iter().chain(&hooks).all(|other| other.id() != hook.id()) => {
                    hooks.push(hook);
                    continue;
                }
                Ok(hook) => {
                    let problem = format!("another hook has the id `{}`", hook.id());
                    vec![FieldProblem { field: Some("id".to_owned()), problem }]
                }
                Err(problems) => problems,
            };
            idle.push(Idle { name: name_of(body).to_owned(), problems });
        }
        (hooks, idle)
    }

    /// Whether there is one of this name, in force or not.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.hooks.iter().any(|body| name_of(body) == name)
    }

    /// How many there are, in force or not.
    pub(crate) fn count(&self) -> usize {
        self.hooks.len()
    }

    /// With this hook, in the place of the one of its name or at the end.
    #[must_use]
    pub(crate) fn with(&self, body: Map<String, Value>) -> Self {
        let mut next = self.clone();
        match next.hooks.iter_mut().find(|other| name_of(other) == name_of(&body)) {
            Some(other) => *other = body,
            None => next.hooks.push(body),
        }
        next
    }

    /// Without the one of this name.
    #[must_use]
    pub(crate) fn without(&self, name: &str) -> Self {
        let mut next = self.clone();
        next.hooks.retain(|body| name_of(body) != name);
        next
    }

    /// Writes the file, whole or not at all.
    ///
    /// # Errors
    /// What the system says; then the former file is there.
    pub(crate) fn save(&self) -> io::Result<()> {
        let file = File { version: 1, hooks: self.hooks.clone() };
        let text = serde_json::to_vec_pretty(&file)?;
        let next = self.path.with_extension("json.new");
        let mut open = std::fs::OpenOptions::new();
        let mut out = open.write(true).create(true).truncate(true).mode(0o600).open(&next)?;
        out.write_all(&text)?;
        out.sync_all()?;
        std::fs::rename(&next, &self.path)?;
        let folder = self.path.parent().unwrap_or(Path::new("."));
        std::fs::File::open(folder)?.sync_all()
    }
}

/// Secrets stand in the bodies.
impl std::fmt::Debug for ApiHooks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.hooks.iter().map(name_of)).finish()
    }
}

fn name_of(body: &Map<String, Value>) -> &str {
    body.get("name").and_then(Value::as_str).unwrap_or_default()
}

fn read(path: &Path) -> Result<Vec<Map<String, Value>>, Cause> {
    // To open a pipe would be to wait for a writer.
    let open = || match std::fs::metadata(path)?.is_file() {
        true => std::fs::File::open(path),
        false => Err(io::Error::new(io::ErrorKind::InvalidInput, "not a file")),
    };
    let file = match open() {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let mut text = Vec::new();
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut text)?;
    if u64::try_from(text.len()).unwrap_or(u64::MAX) > MAX_FILE_BYTES {
        return Err(Cause::Size);
    }
    let File { version, hooks } = serde_json::from_slice(&text).map_err(|error| Cause::Form(error.line()))?;
    if version != 1 {
        return Err(Cause::Version(version));
    }
    Ok(hooks)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    struct Folder(PathBuf);

    impl Drop for Folder {
        fn drop(&mut self) {
            std::fs::remove_dir_all(&self.0).unwrap();
        }
    }

    fn folder(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("jackfield-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn hook(name: &str, url: &str) -> Map<String, Value> {
        let Value::Object(body) = json!({"name": name, "on": "publish_start", "url": url}) else { panic!() };
        body
    }

    #[test]
    fn what_was_saved_is_there_again_in_its_order_and_for_the_server_alone() {
        use std::os::unix::fs::PermissionsExt;
        let folder = folder("api-hooks");
        let none = ApiHooks::load(&folder.0).unwrap();
        assert_eq!(none.count(), 0);
        let two = none.with(hook("a", "https://a.example/")).with(hook("b", "https://b.example/"));
        let changed = two.with(hook("a", "https://c.example/"));
        changed.save().unwrap();
        let mode = std::fs::metadata(folder.0.join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let again = ApiHooks::load(&folder.0).unwrap();
        assert_eq!(again.hooks, [hook("a", "https://c.example/"), hook("b", "https://b.example/")]);
        assert!(again.has("a") && !again.without("a").has("a") && !again.has("c"));
        let shown = format!("{again:?}");
        assert!(shown.contains('a') && !shown.contains("example"), "{shown}");
    }

    #[test]
    fn what_is_not_ours_is_refused_without_being_shown() {
        let folder = folder("api-hooks-bad");
        for text in [
            "",
            "{",
            "[]",
            "{\"version\": 1, \"hooks\": [{\"secret\": whsec_hush}]}",
            "{\"version\": 2, \"hooks\": []}",
        ] {
            std::fs::write(folder.0.join(FILE), text).unwrap();
            let error = ApiHooks::load(&folder.0).unwrap_err().to_string();
            assert!(!error.contains("hush"), "{error}");
        }
    }
}
