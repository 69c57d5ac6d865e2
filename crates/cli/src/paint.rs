//! How the tools write: colours where they are wanted, tables, and text of others without its control characters.

use anyhow::Context;
use serde_json::Value;
use std::io::{self, ErrorKind, IsTerminal, Write};

/// Whether and how text is coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Paint {
    coloured: bool,
}

/// What a text is, by which it is coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    Plain,
    Good,
    Bad,
    Doubtful,
    Faint,
    Strong,
}

impl Paint {
    /// For standard output: colours on a terminal, unless `NO_COLOR` is set or the terminal is dumb.
    pub(crate) fn of_stdout() -> Self {
        let wish = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self { coloured: io::stdout().is_terminal() && !wish("NO_COLOR") && !dumb }
    }

    /// Without colours.
    #[cfg(test)]
    pub(crate) const PLAIN: Self = Self { coloured: false };

    /// The text in its colour.
    pub(crate) fn tone(self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Plain => return text.to_owned(),
            Tone::Good => "32",
            Tone::Bad => "31",
            Tone::Doubtful => "33",
            Tone::Faint => "2",
            Tone::Strong => "1",
        };
        if self.coloured && !text.is_empty() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// Rows in columns as wide as their widest cell. The first row is the head.
    pub(crate) fn table(self, rows: &[Vec<(Tone, String)>]) -> String {
        let mut widths: Vec<usize> = Vec::new();
        for row in rows {
            for (index, (_, text)) in row.iter().enumerate() {
                let width = text.chars().count();
                match widths.get_mut(index) {
                    Some(widest) => *widest = width.max(*widest),
                    None => widths.push(width),
                }
            }
        }
        let mut out = String::new();
        for row in rows {
            let mut line = String::new();
            let mut gap = 0;
            for ((tone, text), width) in row.iter().zip(&widths) {
                line.push_str(&" ".repeat(gap));
                line.push_str(&self.tone(*tone, text));
                gap = width.saturating_sub(text.chars().count()) + 2;
            }
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out
    }
}

/// A cell without colour.
pub(crate) fn cell(text: impl Into<String>) -> (Tone, String) {
    (Tone::Plain, text.into())
}

/// The head of a table.
pub(crate) fn head(names: &[&str]) -> Vec<(Tone, String)> {
    names.iter().map(|name| (Tone::Faint, (*name).to_owned())).collect()
}

/// Text of others as it may stand on a terminal: control characters, with which it could move the cursor or
/// rewrite what stands there, are written out.
pub(crate) fn clean(text: &str) -> String {
    let escaped = |c: char| match c {
        c if c.is_control() || is_invisible(c) => c.escape_default().to_string(),
        c => c.to_string(),
    };
    text.chars().map(escaped).collect()
}

/// Characters that turn the direction of writing, or cannot be seen.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// A JSON value as a person reads it: texts without quotes, nothing as `-`.
pub(crate) fn plain(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => clean(text),
        // Serialised JSON escapes control characters, but not those that cannot be seen.
        other => clean(&other.to_string()),
    }
}

/// A field of an object as a person reads it.
pub(crate) fn field(object: &Value, name: &str) -> String {
    object.get(name).map_or_else(|| "-".to_owned(), plain)
}

/// JSON for people, over several lines.
pub(crate) fn pretty(value: &Value) -> String {
    format!("{value:#}").lines().map(|line| clean(line) + "\n").collect()
}

/// Milliseconds of a call: `0.42 ms`, `13 ms`, `2.1 s`.
pub(crate) fn milliseconds(value: Option<f64>) -> String {
    match value {
        None => "-".to_owned(),
        Some(ms) if ms >= 10_000.0 => format!("{:.0} s", ms / 1e3),
        Some(ms) if ms >= 1_000.0 => format!("{:.1} s", ms / 1e3),
        Some(ms) if ms >= 10.0 => format!("{ms:.0} ms"),
        Some(ms) if ms >= 1.0 => format!("{ms:.1} ms"),
        Some(ms) => format!("{ms:.2} ms"),
    }
}

/// Writes to standard output. Returns whether anybody still reads there: `head` goes away, and that is no error.
pub(crate) fn print(text: &str) -> anyhow::Result<Reader> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(Reader::There),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(Reader::Gone),
        Err(error) => Err(error).context("standard output"),
    }
}

/// Whether anybody reads what is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reader {
    There,
    Gone,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn text_of_others_cannot_move_the_cursor() {
        assert_eq!(clean("a\x1b[2Jb\r\n\u{202e}c\u{9b}"), "a\\u{1b}[2Jb\\r\\n\\u{202e}c\\u{9b}");
        assert_eq!(plain(&json!(["a\u{200b}"])), "[\"a\\u{200b}\"]");
        assert_eq!(clean("Grüße, 日本"), "Grüße, 日本");
    }

    #[test]
    fn columns_stand_below_each_other() {
        let rows = [head(&["NAME", "ON"]), vec![cell("a-long-name"), cell("x")], vec![cell("b"), cell("")]];
        assert_eq!(Paint::PLAIN.table(&rows), "NAME         ON\na-long-name  x\nb\n");
        let coloured = Paint { coloured: true };
        assert_eq!(coloured.tone(Tone::Bad, "x"), "\x1b[31mx\x1b[0m");
        assert_eq!(coloured.tone(Tone::Plain, "x"), "x");
    }

    #[test]
    fn times_have_the_digits_that_matter() {
        let told = [0.416, 1.26, 13.4, 2_140.0, 61_000.0].map(|ms| milliseconds(Some(ms)));
        assert_eq!(told, ["0.42 ms", "1.3 ms", "13 ms", "2.1 s", "61 s"]);
        assert_eq!(milliseconds(None), "-");
    }
}
