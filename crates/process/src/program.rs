//! What to start: the program, its arguments, environment, pipes and bounds.

use crate::sys;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// A program to start. Its environment is exactly [`Program::env`]; nothing is inherited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// The file to execute, if it is another than `argv[0]`. A name without a slash is searched in `PATH`
    /// of [`Program::env`], or in `/usr/local/bin:/usr/bin:/bin` without one; a relative path counts from [`Program::cwd`].
    pub file: Option<PathBuf>,
    /// The arguments as the program sees them, its own name first. Not empty.
    pub argv: Vec<OsString>,
    /// The whole environment.
    pub env: Env,
    /// The working folder; `None` is the server's own.
    pub cwd: Option<PathBuf>,
    /// Whom it runs as; `None` is the server's own user. Another needs a server that runs as root.
    pub user: Option<User>,
    /// Bounds beyond those that every program gets (no core file, no new privileges).
    pub limits: Limits,
    /// Where its standard input comes from.
    pub stdin: Stdin,
    /// Where its standard output goes.
    pub stdout: Output,
    /// Where its standard error goes.
    pub stderr: Output,
}

impl Program {
    /// A program with these arguments (its own name first), an empty environment, the server's folder and
    /// user, no input, and its outputs in pipes.
    #[must_use]
    pub fn new<A: Into<OsString>>(argv: impl IntoIterator<Item = A>) -> Self {
        Self {
            file: None,
            argv: argv.into_iter().map(Into::into).collect(),
            env: Env::empty(),
            cwd: None,
            user: None,
            limits: Limits::default(),
            stdin: Stdin::Null,
            stdout: Output::Pipe,
            stderr: Output::Pipe,
        }
    }

    /// The file that will be executed.
    pub(crate) fn path(&self) -> Option<&OsStr> {
        self.file.as_ref().map(|file| file.as_os_str()).or_else(|| self.argv.first().map(OsString::as_os_str))
    }
}

/// Where a program's standard input comes from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Stdin {
    /// It reads nothing.
    #[default]
    Null,
    /// A pipe whose other end is `Child::stdin`.
    Pipe,
    /// A pipe that holds these bytes when the program starts, and then ends. What is more than a pipe takes at once is
    /// left to be written: `Child::unwritten`.
    Bytes(Vec<u8>),
}

/// Where a program's output goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Output {
    /// It is thrown away.
    Null,
    /// A pipe whose other end is in the `Child`.
    #[default]
    Pipe,
}

/// Environment variables: the whole of what a program gets.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Env(BTreeMap<OsString, OsString>);

impl Env {
    /// No variables.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// The server's own variables, all of them; what a program must not see is taken out by
    /// [`Env::retain`].
    #[must_use]
    pub fn of_the_server() -> Self {
        std::env::vars_os().collect()
    }

    /// Sets a variable, replacing one of the same name.
    pub fn set(&mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> &mut Self {
        self.0.insert(name.into(), value.into());
        self
    }

    /// Takes a variable out.
    pub fn unset(&mut self, name: impl AsRef<OsStr>) -> &mut Self {
        self.0.remove(name.as_ref());
        self
    }

    /// Keeps the variables whose name is wanted.
    pub fn retain(&mut self, mut wanted: impl FnMut(&OsStr) -> bool) -> &mut Self {
        self.0.retain(|name, _| wanted(name));
        self
    }

    /// A variable's value.
    #[must_use]
    pub fn value(&self, name: impl AsRef<OsStr>) -> Option<&OsStr> {
        self.0.get(name.as_ref()).map(OsString::as_os_str)
    }

    /// All variables, ordered by name.
    pub fn iter(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.0.iter().map(|(name, value)| (name.as_os_str(), value.as_os_str()))
    }
}

impl<N: Into<OsString>, V: Into<OsString>> FromIterator<(N, V)> for Env {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(variables: I) -> Self {
        Self(variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

impl<N: Into<OsString>, V: Into<OsString>> Extend<(N, V)> for Env {
    fn extend<I: IntoIterator<Item = (N, V)>>(&mut self, variables: I) {
        self.0.extend(variables.into_iter().map(|(name, value)| (name.into(), value.into())));
    }
}

/// The user that a program runs as, with that user's groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum User {
    /// A name from the user database.
    Name(String),
    /// A number. One that the user database does not know gets the group of the same number and no other.
    Id(u32),
}

impl User {
    /// Its number, looked up in the user database if it is a name. Blocks as that does.
    ///
    /// # Errors
    /// `NotFound` for a name that nobody has, else what the system says.
    pub fn uid(&self) -> io::Result<u32> {
        match self {
            Self::Id(uid) => Ok(*uid),
            Self::Name(name) => {
                let name = CString::new(name.as_str()).map_err(io::Error::other)?;
                sys::account_by_name(&name).map(|account| account.uid())
            }
        }
    }
}

impl FromStr for User {
    type Err = Infallible;

    /// A text of digits that fits is a number, everything else a name.
    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(text.parse().map_or_else(|_| Self::Name(text.to_owned()), Self::Id))
    }
}

/// Resource limits of one program (`setrlimit(2)`, soft and hard alike); `None` keeps the server's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Processor time, rounded up to a second.
    pub cpu: Option<Duration>,
    /// Address space in bytes.
    pub memory_bytes: Option<u64>,
    /// Size in bytes of a file that it writes.
    pub file_bytes: Option<u64>,
    /// Open descriptors.
    pub open_files: Option<u64>,
    /// Processes of its user, counted over the whole machine.
    pub processes: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_a_user_number_and_the_rest_a_name() {
        assert_eq!("1000".parse(), Ok(User::Id(1000)));
        assert_eq!("www-data".parse(), Ok(User::Name("www-data".to_owned())));
        assert_eq!("99999999999".parse(), Ok(User::Name("99999999999".to_owned())));
    }

    #[test]
    fn a_later_value_of_a_variable_replaces_the_earlier() {
        let mut env: Env = [("A", "1"), ("B", "2")].into_iter().collect();
        env.set("A", "3").unset("B");
        assert_eq!(env.iter().collect::<Vec<_>>(), [(OsStr::new("A"), OsStr::new("3"))]);
    }
}
