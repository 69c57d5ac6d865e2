//! Which variables a program gets: the policy of one hook, applied once, and the event's own on top.

use jackfield_dispatch::Call;
use jackfield_process::Env;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// What the server reads itself: a program gets such a variable only if its hook names it. So it is with the variables
/// that hold secrets of other hooks.
const OWN_PREFIX: &[u8] = b"JACKFIELD_";

/// Where a program's environment starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Inherit {
    /// From the server's own variables, without `JACKFIELD_…` and those that are kept back.
    #[default]
    Server,
    /// From nothing (`env_clear`).
    Nothing,
}

/// One entry of `env`.
#[derive(Clone, PartialEq, Eq)]
pub enum EnvEntry {
    /// The server's variables of this name are passed on; `*` stands for any characters.
    Pass(String),
    /// This variable is set to this value.
    Set(String, String),
}

/// Why a text is no entry of `env`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is neither NAME nor NAME=value")]
pub struct EnvError(String);

impl EnvEntry {
    /// Reads `NAME` (a glob) or `NAME=value`.
    ///
    /// # Errors
    /// [`EnvError`] if there is no name, or a NUL byte.
    pub fn parse(text: &str) -> Result<Self, EnvError> {
        let entry = match text.split_once('=') {
            Some((name, value)) => Self::Set(name.to_owned(), value.to_owned()),
            None => Self::Pass(text.to_owned()),
        };
        let (Self::Set(name, _) | Self::Pass(name)) = &entry;
        if name.is_empty() || text.contains('\0') { Err(EnvError(text.to_owned())) } else { Ok(entry) }
    }
}

impl std::fmt::Debug for EnvEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Pass(name) => f.debug_tuple("Pass").field(name).finish(),
            Self::Set(name, _secret) => f.debug_tuple("Set").field(name).field(&"…").finish(),
        }
    }
}

/// The variables that all programs of a hook get, whatever the event.
pub(crate) fn lasting(server: &Env, inherit: Inherit, kept_back: &[String], entries: &[EnvEntry]) -> Env {
    let named = |name: &OsStr| {
        entries.iter().any(|entry| match entry {
            EnvEntry::Pass(glob) => glob_matches(glob.as_bytes(), name.as_bytes()),
            EnvEntry::Set(..) => false,
        })
    };
    let mut env = server.clone();
    env.retain(|name| {
        let is_kept =
            name.as_bytes().starts_with(OWN_PREFIX) || kept_back.iter().any(|kept| name == kept.as_str());
        (inherit == Inherit::Server && !is_kept) || named(name)
    });
    for entry in entries {
        if let EnvEntry::Set(name, value) = entry {
            env.set(name, value);
        }
    }
    env
}

/// The variables of one call's program. The event's win over all others.
pub(crate) fn of_call(lasting: &Env, call: &Call) -> Env {
    let mut env = lasting.clone();
    env.extend(call.event.environment());
    if call.num_dropped > 0 {
        for name in ["RTMP_NUM_DROPPED", "JACKFIELD_EVENT_NUM_DROPPED"] {
            env.set(name, call.num_dropped.to_string());
        }
    }
    env
}

/// Whether the text is the glob, whose `*` stands for any bytes. Time is bounded by the product of the
/// lengths.
fn glob_matches(glob: &[u8], text: &[u8]) -> bool {
    let mut reached = vec![false; text.len() + 1];
    if let Some(start) = reached.first_mut() {
        *start = true;
    }
    for &token in glob {
        let mut before = false;
        let bytes = std::iter::once(None).chain(text.iter().map(Some));
        for (place, byte) in reached.iter_mut().zip(bytes) {
            let here = *place;
            if token == b'*' {
                *place |= before;
                before = *place;
            } else {
                *place = before && byte == Some(&token);
                before = here;
            }
        }
    }
    reached.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(inherit: Inherit, entries: &[&str], expect: &str) {
        let server: Env = [
            ("HOME", "/root"),
            ("PATH", "/bin"),
            ("JACKFIELD_LISTEN", ":1"),
            ("JACKFIELD_TOKEN", "secret"),
            ("AWS_KEY", "k"),
            ("HOOK_SECRET", "s"),
        ]
        .into_iter()
        .collect();
        let entries: Vec<EnvEntry> = entries.iter().map(|entry| EnvEntry::parse(entry).unwrap()).collect();
        let env = lasting(&server, inherit, &["HOOK_SECRET".to_owned()], &entries);
        let names: Vec<String> =
            env.iter().map(|(name, value)| format!("{}={}", name.display(), value.display())).collect();
        assert_eq!(names.join(" "), expect);
    }

    #[test]
    fn a_program_gets_the_servers_variables_without_those_that_the_server_reads() {
        check(Inherit::Server, &[], "AWS_KEY=k HOME=/root PATH=/bin");
        check(Inherit::Server, &["JACKFIELD_TOKEN"], "AWS_KEY=k HOME=/root JACKFIELD_TOKEN=secret PATH=/bin");
        check(Inherit::Server, &["HOME=/tmp", "NEW=a=b"], "AWS_KEY=k HOME=/tmp NEW=a=b PATH=/bin");
        check(Inherit::Server, &["HOOK_*"], "AWS_KEY=k HOME=/root HOOK_SECRET=s PATH=/bin");
        check(Inherit::Nothing, &[], "");
        check(Inherit::Nothing, &["P*H", "AWS_*", "X="], "AWS_KEY=k PATH=/bin X=");
    }

    #[test]
    fn a_nameless_entry_is_refused() {
        assert!(EnvEntry::parse("").is_err());
        assert!(EnvEntry::parse("=x").is_err());
        assert!(EnvEntry::parse("A\0=x").is_err());
        assert_eq!(format!("{:?}", EnvEntry::parse("A=secret").unwrap()), "Set(\"A\", \"…\")");
    }
}
