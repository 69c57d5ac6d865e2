//! Why a tool ends without success, and with which exit code.

use std::fmt;

/// Exit codes of the tools beyond 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It was tried and failed: a hook that failed, a check that was not passed, a server that said no.
    Failed,
    /// The command line is wrong.
    Usage,
    /// The server could not be reached, or is no Jackfield.
    Unreachable,
    /// The server wants a token, or another one.
    Token,
    /// What was named is not there.
    Missing,
}

impl Exit {
    /// The number.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Unreachable => 3,
            Self::Token => 4,
            Self::Missing => 5,
        }
    }
}

/// What went wrong and what to do next, in words for a person.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) exit: Exit,
    text: String,
}

impl Failed {
    /// What went wrong, and what to do about it.
    pub(crate) fn new(exit: Exit, wrong: impl fmt::Display, next: impl fmt::Display) -> Self {
        let next = next.to_string();
        let text = if next.is_empty() { wrong.to_string() } else { format!("{wrong}\n  {next}") };
        Self { exit, text }
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Failed {}

/// `; did you mean …?`, if a word is like this one.
pub(crate) fn meant<'a>(word: &str, words: impl IntoIterator<Item = &'a str>) -> String {
    let near = jackfield_server::config::nearest(word, words);
    near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"))
}
