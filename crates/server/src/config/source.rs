//! Where settings come from: texts with a name, and the tree of values found in them.
//!
//! The file, each environment variable and the command line are all sources, so that an error in any of
//! them is shown in the same way: the text, and a mark below what is wrong with it.

use super::veil;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use toml::de::{DeTable, DeValue};

/// Bytes of a configuration file; what is larger is not one.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// The name of what variables hold.
pub(super) const ENVIRONMENT: &str = "environment";
/// The name of what flags hold.
pub(super) const COMMAND_LINE: &str = "command line";

/// A text that holds settings. `Debug` leaves it out: secrets may stand in it.
#[derive(Clone)]
pub(super) struct Source {
    /// A file's path, [`ENVIRONMENT`] or [`COMMAND_LINE`].
    pub(super) name: String,
    pub(super) text: String,
    /// Where relative paths in it start; empty for the working directory.
    pub(super) base: PathBuf,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("name", &self.name).field("base", &self.base).finish_non_exhaustive()
    }
}

/// All sources of one configuration.
#[derive(Debug, Clone, Default)]
pub(super) struct Sources(Vec<(Source, Shown)>);

/// The text of a source as errors show it: without its secrets, and with everything at its place.
pub(super) type Shown = String;

/// A stretch of bytes in a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct At {
    pub(super) source: usize,
    pub(super) span: Range<usize>,
}

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) raw: Raw,
    pub(super) at: At,
}

/// A value as it was written.
#[derive(Debug, Clone)]
pub(super) enum Raw {
    Text(String),
    /// Of a variable or flag: the key's type decides how it is read.
    Loose(String),
    Integer(i64),
    Boolean(bool),
    List(Vec<Node>),
    Table(Vec<Entry>),
    /// What no key takes: a float, a date, an integer beyond 64 bits. Its name with an article.
    Other(&'static str),
}

/// A key, its place, and its value.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_at: At,
    pub(super) value: Node,
}

impl Sources {
    /// Adds a source and returns its number.
    pub(super) fn add(&mut self, source: Source) -> usize {
        let is_file = !matches!(source.name.as_str(), ENVIRONMENT | COMMAND_LINE);
        let shown = if is_file { veil::file(&source.text) } else { veil::words(&source.text) };
        self.0.push((source, shown));
        self.0.len() - 1
    }

    pub(super) fn get(&self, at: &At) -> Option<&Source> {
        self.0.get(at.source).map(|(source, _)| source)
    }

    /// The text around this place without its secrets.
    pub(super) fn shown(&self, at: &At) -> Option<&str> {
        self.0.get(at.source).map(|(_, shown)| shown.as_str())
    }

    /// A path that stands there, as seen from the working directory.
    pub(super) fn resolve(&self, at: &At, path: &Path) -> PathBuf {
        self.get(at).map_or_else(|| path.to_owned(), |source| source.base.join(path))
    }
}

impl Raw {
    /// What it is, for "expected …, found …".
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) | Self::Loose(_) => "a string",
            Self::Integer(_) => "an integer",
            Self::Boolean(_) => "a boolean",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
            Self::Other(kind) => kind,
        }
    }
}

/// Reads a configuration file.
///
/// # Errors
/// Why it cannot be read, as the end of a sentence.
pub(super) fn read_file(path: &Path) -> Result<Source, String> {
    let size = std::fs::metadata(path).map_err(|error| error.to_string())?;
    if !size.is_file() {
        return Err("it is not a file".to_owned());
    }
    if size.len() > MAX_FILE_BYTES {
        return Err("it is larger than 1 MiB".to_owned());
    }
    let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let line = error.as_bytes().iter().take(good).filter(|byte| **byte == b'\n').count() + 1;
        format!("line {line} is not UTF-8")
    })?;
    let base = path.parent().map(Path::to_owned).unwrap_or_default();
    Ok(Source { name: path.display().to_string(), text, base })
}

/// A syntax error: its message and place.
pub(super) struct SyntaxError {
    pub(super) message: String,
    pub(super) at: At,
}

/// The tables and keys of a TOML text, as far as it can be read, and what is wrong with the rest.
pub(super) fn parse(text: &str, source: usize) -> (Vec<Entry>, Vec<SyntaxError>) {
    let (table, errors) = DeTable::parse_recoverable(text);
    let errors = errors
        .iter()
        .map(|error| SyntaxError {
            message: error.message().to_owned(),
            at: At { source, span: error.span().unwrap_or(0..0) },
        })
        .collect();
    (entries(table.get_ref(), source), errors)
}

/// One TOML value; `None` if it is none.
pub(super) fn parse_value(text: &str, source: usize) -> Option<Node> {
    let value = DeValue::parse(text).ok()?;
    Some(node(value.get_ref(), At { source, span: value.span() }))
}

fn entries(table: &DeTable<'_>, source: usize) -> Vec<Entry> {
    let mut entries: Vec<Entry> = table
        .iter()
        .map(|(key, value)| Entry {
            key: key.get_ref().to_string(),
            key_at: At { source, span: key.span() },
            value: node(value.get_ref(), At { source, span: value.span() }),
        })
        .collect();
    entries.sort_by_key(|entry| entry.key_at.span.start);
    entries
}

fn node(value: &DeValue<'_>, at: At) -> Node {
    let source = at.source;
    let raw = match value {
        DeValue::String(text) => Raw::Text(text.to_string()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or(Raw::Other("an integer beyond 64 bits"), Raw::Integer),
        DeValue::Boolean(value) => Raw::Boolean(*value),
        DeValue::Array(list) => Raw::List(
            list.iter().map(|value| node(value.get_ref(), At { source, span: value.span() })).collect(),
        ),
        DeValue::Table(table) => Raw::Table(entries(table, source)),
        DeValue::Float(_) => Raw::Other("a float"),
        DeValue::Datetime(_) => Raw::Other("a date"),
    };
    Node { raw, at }
}
