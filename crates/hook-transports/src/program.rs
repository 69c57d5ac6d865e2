//! The program of a `run` or `worker`: its words, where it is found, and what is wrong with it at start.

use crate::environment::{self, EnvEntry, Inherit};
use crate::folder::{Cwd, PrivateFolder};
use jackfield_dispatch::Call;
use jackfield_media::Text;
use jackfield_process::{Env, Program, Stdin, User};
use rustix::fs::Access;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The search path of a program that is given none.
const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// How the programs of one hook are started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgramConfig {
    /// The hook's name, for the log.
    pub hook: Text,
    /// The program and its arguments as they are; [`words`] makes them of a text. A program with a slash
    /// that is not absolute starts at `base`; one without a slash is searched in `PATH`.
    pub words: Vec<String>,
    /// The folder of the configuration file, or the working folder for hooks of flags. Absolute.
    pub base: PathBuf,
    /// Where the environment starts.
    pub inherit: Inherit,
    /// Variables of the server that are not passed on unless `env` names them: they hold secrets of other hooks.
    pub kept_back: Vec<String>,
    /// What is passed on or set beyond that.
    pub env: Vec<EnvEntry>,
    /// The working folder.
    pub cwd: Cwd,
    /// Whom it runs as; `None` is the server's own user.
    pub user: Option<User>,
}

impl ProgramConfig {
    /// A program with the defaults of the configuration.
    #[must_use]
    pub fn new(hook: &str, words: Vec<String>, base: PathBuf) -> Self {
        Self {
            hook: hook.into(),
            words,
            base,
            inherit: Inherit::default(),
            kept_back: Vec::new(),
            env: Vec::new(),
            cwd: Cwd::default(),
            user: None,
        }
    }
}

/// What is wrong with a program, as far as it can be known before it is started.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// The text ends within quotes or after a backslash.
    #[error("the command ends within quotes: {0}")]
    Unfinished(String),
    /// There is no program in it.
    #[error("no program is named")]
    Empty,
    /// There is no such file.
    #[error("{} does not exist", .0.display())]
    Missing(PathBuf),
    /// It is in no folder of `PATH`.
    #[error("`{name}` is in no folder of PATH{}", hint(.name, *.beside))]
    NotInPath {
        /// The name.
        name: String,
        /// Whether there is such a file in the base folder.
        beside: Beside,
    },
    /// It is a folder.
    #[error("{} is a folder", .0.display())]
    Folder(PathBuf),
    /// It is there and may not be executed.
    #[error("{} has no execute permission (chmod +x)", .0.display())]
    NotExecutable(PathBuf),
    /// The file cannot be looked at.
    #[error("{}: {source}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The working folder is none.
    #[error("the working folder {} is no folder", .0.display())]
    Cwd(PathBuf),
    /// There is no such user.
    #[error("there is no user {user}: {source}")]
    User {
        /// The name or number.
        user: String,
        /// What the system says.
        source: io::Error,
    },
}

/// Whether a file of the same name lies in the base folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beside {
    /// It does: `./` is missing.
    Yes,
    /// It does not.
    No,
}

fn hint(name: &str, beside: Beside) -> String {
    match beside {
        Beside::Yes => format!("; did you mean ./{name}?"),
        Beside::No => String::new(),
    }
}

/// Splits a text into words as a shell would, without any expansion.
///
/// # Errors
/// [`ProgramError::Unfinished`] and [`ProgramError::Empty`].
pub fn words(text: &str) -> Result<Vec<String>, ProgramError> {
    let words = shlex::split(text).ok_or_else(|| ProgramError::Unfinished(text.to_owned()))?;
    if words.is_empty() { Err(ProgramError::Empty) } else { Ok(words) }
}

/// A configuration that was found good, ready to be started any number of times.
#[derive(Debug)]
pub(crate) struct Prepared {
    file: PathBuf,
    argv: Vec<OsString>,
    env: Env,
    cwd: Cwd,
    user: Option<User>,
    owner: Option<u32>,
}

/// A program to start, and the folder that must outlive it.
#[derive(Debug)]
pub(crate) struct Start {
    pub(crate) program: Program,
    pub(crate) folder: Option<PrivateFolder>,
}

impl Prepared {
    /// Checks all that can be known before a start: file, execute permission, folder, user.
    pub(crate) fn new(config: &ProgramConfig) -> Result<Self, ProgramError> {
        let env = environment::lasting(&Env::of_the_server(), config.inherit, &config.kept_back, &config.env);
        let name = config.words.first().filter(|name| !name.is_empty()).ok_or(ProgramError::Empty)?;
        let file = find(name, &config.base, env.value("PATH"))?;
        let cwd = match &config.cwd {
            Cwd::Folder(folder) => {
                let folder = config.base.join(folder);
                if !folder.is_dir() {
                    return Err(ProgramError::Cwd(folder));
                }
                Cwd::Folder(folder)
            }
            other => other.clone(),
        };
        let owner = match &config.user {
            Some(user) => Some(user.uid().map_err(|source| {
                let user = match user {
                    User::Name(name) => name.clone(),
                    User::Id(id) => id.to_string(),
                };
                ProgramError::User { user, source }
            })?),
            None => None,
        };
        let argv = config.words.iter().map(OsString::from).collect();
        Ok(Self { file, argv, env, cwd, user: config.user.clone(), owner })
    }

    /// A start for one call, whose event is in the environment.
    pub(crate) fn for_call(&self, call: &Call, stdin: Stdin) -> io::Result<Start> {
        self.start(environment::of_call(&self.env, call), stdin)
    }

    /// A start for any number of calls.
    pub(crate) fn for_all_calls(&self) -> io::Result<Start> {
        self.start(self.env.clone(), Stdin::Pipe)
    }

    fn start(&self, env: Env, stdin: Stdin) -> io::Result<Start> {
        let (cwd, folder) = match &self.cwd {
            Cwd::Server => (None, None),
            Cwd::Folder(folder) => (Some(folder.clone()), None),
            Cwd::Private => {
                let folder = PrivateFolder::make(self.owner)?;
                (Some(folder.path().to_owned()), Some(folder))
            }
        };
        let program = Program {
            file: Some(self.file.clone()),
            env,
            cwd,
            user: self.user.clone(),
            stdin,
            ..Program::new(self.argv.iter().cloned())
        };
        Ok(Start { program, folder })
    }
}

/// The file that will be executed.
fn find(name: &str, base: &Path, path: Option<&OsStr>) -> Result<PathBuf, ProgramError> {
    if name.contains('/') {
        let file = base.join(name);
        executable(&file)?;
        return Ok(file);
    }
    let path = path.unwrap_or(OsStr::new(DEFAULT_PATH));
    let mut problem = None;
    for folder in path.as_bytes().split(|&byte| byte == b':') {
        // An empty part of PATH is the working folder, as execvp(3) has it.
        let folder = if folder.is_empty() { base.to_owned() } else { base.join(OsStr::from_bytes(folder)) };
        let file = folder.join(name);
        match executable(&file) {
            Ok(()) => return Ok(file),
            Err(ProgramError::Missing(_) | ProgramError::Folder(_)) => {}
            Err(other) => problem = Some(other),
        }
    }
    let beside = if base.join(name).is_file() { Beside::Yes } else { Beside::No };
    Err(problem.unwrap_or_else(|| ProgramError::NotInPath { name: name.to_owned(), beside }))
}

fn executable(file: &Path) -> Result<(), ProgramError> {
    let path = || file.to_owned();
    let metadata = match std::fs::metadata(file) {
        Ok(metadata) => metadata,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Err(ProgramError::Missing(path()));
        }
        Err(source) => return Err(ProgramError::Unreadable { path: path(), source }),
    };
    if metadata.is_dir() {
        return Err(ProgramError::Folder(path()));
    }
    rustix::fs::access(file, Access::EXEC_OK).map_err(|_errno| ProgramError::NotExecutable(path()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_as_a_shell_would_and_nothing_is_expanded() {
        let check = |text: &str, expect: &[&str]| assert_eq!(words(text).unwrap(), expect);
        check("/bin/a  b", &["/bin/a", "b"]);
        check(
            r#"/bin/a "b c" 'd $HOME' e\ f *.txt ~ $X"#,
            &["/bin/a", "b c", "d $HOME", "e f", "*.txt", "~", "$X"],
        );
        assert!(matches!(words("/bin/a 'b"), Err(ProgramError::Unfinished(_))));
        assert!(matches!(words("  "), Err(ProgramError::Empty)));
    }

    #[test]
    fn what_cannot_be_executed_is_said_before_it_is_started() {
        let folder = PrivateFolder::make(None).unwrap();
        std::fs::write(folder.path().join("notes"), "x").unwrap();
        let check = |name: &str, expect: &str| {
            let config = ProgramConfig::new("h", vec![name.to_owned()], folder.path().to_owned());
            let error = Prepared::new(&config).unwrap_err().to_string();
            assert_eq!(error, expect.replace('@', &folder.path().display().to_string()));
        };
        check("./missing", "@/./missing does not exist");
        check("notes/x", "@/notes/x does not exist");
        check("./notes", "@/./notes has no execute permission (chmod +x)");
        check("/", "/ is a folder");
        check("", "no program is named");
        check("notes", "`notes` is in no folder of PATH; did you mean ./notes?");
        check("no-such-program", "`no-such-program` is in no folder of PATH");

        let config = ProgramConfig::new("h", vec!["sh".to_owned()], folder.path().to_owned());
        let cwd = ProgramConfig { cwd: Cwd::Folder("sub".into()), ..config.clone() };
        assert!(matches!(Prepared::new(&cwd), Err(ProgramError::Cwd(_))));
        let user = ProgramConfig { user: Some(User::Name("no-such-user".to_owned())), ..config.clone() };
        assert!(matches!(Prepared::new(&user), Err(ProgramError::User { .. })));
        Prepared::new(&config).unwrap();
    }
}
