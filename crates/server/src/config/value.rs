//! The types of settings: how each is read from a source, and how it is written.

use super::problem::{Problem, Severity, nearest};
use super::source::{At, Node, Raw, Sources};
use bytesize::ByteSize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

/// What reading has come to: the sources, and the problems so far.
#[derive(Debug, Default)]
pub(super) struct Reading {
    pub(super) sources: Sources,
    /// For `env:NAME`.
    pub(super) environment: BTreeMap<String, String>,
    /// The names of such.
    pub(super) secret_variables: BTreeSet<String>,
    pub(super) problems: Vec<Problem>,
}

impl Reading {
    /// Notes an error there. Returns `None`, for the end of a reader.
    pub(super) fn refuse<T>(
        &mut self,
        at: &At,
        title: impl Into<String>,
        label: impl Into<String>,
    ) -> Option<T> {
        self.note(Severity::Error, at, title, label, None);
        None
    }

    /// As [`Reading::refuse`], with the nearest of these words as help.
    pub(super) fn refuse_word<'a, T>(
        &mut self,
        at: &At,
        title: impl Into<String>,
        label: impl Into<String>,
        word: &str,
        words: impl IntoIterator<Item = &'a str>,
    ) -> Option<T> {
        let help = nearest(word, words).map(|known| format!("did you mean `{known}`?"));
        self.note(Severity::Error, at, title, label, help);
        None
    }

    /// Notes a problem.
    pub(super) fn note(
        &mut self,
        severity: Severity,
        at: &At,
        title: impl Into<String>,
        label: impl Into<String>,
        help: Option<String>,
    ) {
        let (title, label) = (title.into(), label.into());
        self.problems.push(Problem { severity, at: Some(at.clone()), title, label, help });
    }

    fn wrong_type<T>(&mut self, node: &Node, expected: &str, example: &str) -> Option<T> {
        let title = format!("expected {expected}, found {}", node.raw.kind());
        self.refuse(&node.at, title, format!("write it like {example}"))
    }
}

/// A type of setting.
pub(super) trait Value: Sized {
    /// Its name in the reference.
    const TYPE: &'static str;

    /// All that it can be, if that is a few words.
    const WORDS: &'static [&'static str] = &[];

    /// Reads it; what is wrong is noted, and then there is none.
    fn read(node: &Node, cx: &mut Reading) -> Option<Self>;

    /// As TOML; empty when there is nothing to write.
    fn show(&self) -> String;

    /// Where it stands on the scale of its kind, for ranges.
    fn scale(&self) -> Option<u128> {
        None
    }

    /// What the absence of key and default means, where it means something.
    fn absent() -> Option<Self> {
        None
    }
}

impl<T: Value> Value for Option<T> {
    const TYPE: &'static str = T::TYPE;
    const WORDS: &'static [&'static str] = T::WORDS;

    fn read(node: &Node, cx: &mut Reading) -> Option<Self> {
        T::read(node, cx).map(Some)
    }

    fn show(&self) -> String {
        self.as_ref().map(T::show).unwrap_or_default()
    }

    fn scale(&self) -> Option<u128> {
        self.as_ref().and_then(T::scale)
    }

    fn absent() -> Option<Self> {
        Some(None)
    }
}

impl Value for bool {
    const TYPE: &'static str = "boolean";

    fn read(node: &Node, cx: &mut Reading) -> Option<Self> {
        match &node.raw {
            Raw::Boolean(value) => Some(*value),
            Raw::Loose(text) if text == "true" || text == "false" => Some(text == "true"),
            _ => cx.wrong_type(node, "a boolean", "true or false"),
        }
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

macro_rules! numbers {
    ($($number:ty)*) => { $(
        impl Value for $number {
            const TYPE: &'static str = "integer";

            fn read(node: &Node, cx: &mut Reading) -> Option<Self> {
                let number = match &node.raw {
                    Raw::Integer(number) => Some(*number),
                    Raw::Loose(text) => text.parse().ok(),
                    _ => None,
                };
                let Some(number) = number else { return cx.wrong_type(node, "an integer", "10") };
                match Self::try_from(number) {
                    Ok(number) => Some(number),
                    Err(_) if number < 0 => cx.refuse(&node.at, "the number is negative", "must be 0 or more"),
                    Err(_) => cx.refuse(&node.at, "the number is too large", format!("at most {}", Self::MAX)),
                }
            }

            fn show(&self) -> String {
                self.to_string()
            }

            fn scale(&self) -> Option<u128> {
                u128::try_from(*self).ok()
            }
        }
    )* };
}
numbers! { u32 u64 usize }

impl Value for String {
    const TYPE: &'static str = "string";

    fn read(node: &Node, cx: &mut Reading) -> Option<Self> {
        match &node.raw {
            Raw::Text(text) | Raw::Loose(text) => Some(text.clone()),
            _ => cx.wrong_type(node, "a string", "\"text\""),
        }
    }

    fn show(&self) -> String {
        quoted(self)
    }
}

impl Value for PathBuf {
    const TYPE: &'static str = "path";

    fn read(node: &Node, cx: &mut Reading) -> Option<Self> {
        let text = String::read(node, cx)?;
        if text.is_empty() || text.contains('\0') {
            return cx.refuse(&node.at, "this is no path", "must not be empty or have a NUL");
        }
        Some(cx.sources.resolve(&node.at, text.as_ref()))
    }

    fn show(&self) -> String {
        quoted(&self.display().to_string())
    }
}

impl<T: Value> Value for Vec<T> {
    const TYPE: &'static str = "list";

    fn read(node: &Node, cx: &mut Reading) -> Option<Self> {
        match &node.raw {
            Raw::List(nodes) => {
                let read: Vec<Option<T>> = nodes.iter().map(|node| T::read(node, cx)).collect();
                read.into_iter().collect()
            }
            Raw::Text(_) => T::read(node, cx).map(|one| vec![one]),
            Raw::Loose(_) => {
                let read: Vec<Option<T>> = split_commas(node).iter().map(|node| T::read(node, cx)).collect();
                read.into_iter().collect()
            }
            _ => cx.wrong_type(node, "a list", "[\"one\", \"two\"]"),
        }
    }

    fn show(&self) -> String {
        format!("[{}]", self.iter().map(T::show).collect::<Vec<_>>().join(", "))
    }
}

/// The parts of a variable or flag between commas, each with its place.
pub(super) fn split_commas(node: &Node) -> Vec<Node> {
    let Raw::Loose(text) = &node.raw else { return vec![node.clone()] };
    let mut start = node.at.span.start;
    let mut parts = Vec::new();
    for part in text.split(',') {
        let lead = part.len() - part.trim_start().len();
        let word = part.trim();
        let from = start + lead;
        let at = At { source: node.at.source, span: from..from + word.len() };
        parts.push(Node { raw: Raw::Loose(word.to_owned()), at });
        start += part.len() + 1;
    }
    parts
}

impl Value for ByteSize {
    const TYPE: &'static str = "size";

    fn read(node: &Node, cx: &mut Reading) -> Option<Self> {
        let size = match &node.raw {
            Raw::Integer(bytes) => u64::try_from(*bytes).ok().map(ByteSize),
            Raw::Text(text) | Raw::Loose(text) => text.parse().ok(),
            _ => return cx.wrong_type(node, "a size", "\"64KiB\" or 65536"),
        };
        size.or_else(|| cx.refuse(&node.at, "this is no size", "write it like \"64KiB\", \"4MiB\" or 65536"))
    }

    fn show(&self) -> String {
        const UNITS: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
        let unit = UNITS.iter().find(|(unit, _)| self.0 > 0 && self.0.is_multiple_of(*unit));
        unit.map_or_else(|| self.0.to_string(), |(unit, name)| format!("\"{}{name}\"", self.0 / unit))
    }

    fn scale(&self) -> Option<u128> {
        Some(u128::from(self.0))
    }
}

impl Value for Duration {
    const TYPE: &'static str = "duration";

    fn read(node: &Node, cx: &mut Reading) -> Option<Self> {
        let (Raw::Text(text) | Raw::Loose(text)) = &node.raw else {
            return cx.wrong_type(node, "a duration", "\"2s\", \"500ms\" or \"1h30m\"");
        };
        let read = parse_duration(text);
        read.or_else(|| {
            cx.refuse(&node.at, "this is no duration", "write it like \"2s\", \"500ms\" or \"1h30m\"")
        })
    }

    fn show(&self) -> String {
        quoted(&show_duration(*self))
    }

    fn scale(&self) -> Option<u128> {
        Some(self.as_millis())
    }
}

/// Units of a duration in milliseconds, from the longest.
const UNITS: [(&str, u64); 5] =
    [("d", 24 * 3_600_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// `1h30m`, `2s`, `500ms`: numbers with units, from the longest unit to the shortest, each at most once.
pub(super) fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut units = UNITS.iter();
    let mut millis = 0_u64;
    while !rest.is_empty() {
        let (number, tail) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?);
        let (unit, tail) = tail.split_at(tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len()));
        let (_, scale) = units.find(|(name, _)| *name == unit)?;
        millis = millis.checked_add(number.parse::<u64>().ok()?.checked_mul(*scale)?)?;
        rest = tail;
    }
    (!text.is_empty()).then(|| Duration::from_millis(millis))
}

/// The shortest text of that length.
pub(super) fn show_duration(duration: Duration) -> String {
    let mut millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if millis == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (unit, scale) in UNITS {
        if millis >= scale {
            text.push_str(&format!("{}{unit}", millis / scale));
            millis %= scale;
        }
    }
    text
}

/// A TOML string.
pub(super) fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// A table of words that a setting can be.
macro_rules! words {
    ($( $(#[doc = $about:literal])+ $vis:vis enum $name:ident { $( $(#[doc = $doc:literal])+ $variant:ident = $word:literal, )* } )*) => { $(
        $(#[doc = $about])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        $vis enum $name { $( $(#[doc = $doc])+ $variant, )* }

        impl $name {
            /// Every word of it.
            pub const WORDS: &[&'static str] = &[$($word),*];

            /// Its word.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }
        }

        impl $crate::config::value::Value for $name {
            const TYPE: &'static str = "word";
            const WORDS: &'static [&'static str] = Self::WORDS;

            fn read(
                node: &$crate::config::source::Node,
                cx: &mut $crate::config::value::Reading,
            ) -> Option<Self> {
                let text = String::read(node, cx)?;
                match text.as_str() {
                    $($word => Some(Self::$variant),)*
                    other => $crate::config::value::unknown_word(cx, &node.at, other, Self::WORDS),
                }
            }

            fn show(&self) -> String {
                $crate::config::value::quoted(self.as_str())
            }
        }
    )* };
}
pub(super) use words;

/// Refuses a word that is none of these.
pub(super) fn unknown_word<T>(cx: &mut Reading, at: &At, word: &str, words: &[&'static str]) -> Option<T> {
    let label = format!("must be {}", either(words));
    cx.refuse_word(at, format!("unknown word `{word}`"), label, word, words.iter().copied())
}

/// `a`, `a or b`, `a, b or c`.
pub(super) fn either(words: &[&str]) -> String {
    match words.split_last() {
        None => String::new(),
        Some((last, [])) => format!("`{last}`"),
        Some((last, rest)) => {
            let rest: Vec<String> = rest.iter().map(|word| format!("`{word}`")).collect();
            format!("{} or `{last}`", rest.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written_in_their_shortest_form() {
        for (text, millis, shown) in [
            ("2s", 2000, "2s"),
            ("500ms", 500, "500ms"),
            ("1h30m", 5_400_000, "1h30m"),
            ("90s", 90_000, "1m30s"),
            ("0s", 0, "0s"),
            ("1d", 86_400_000, "1d"),
            ("1s500ms", 1500, "1s500ms"),
        ] {
            let duration = parse_duration(text).unwrap();
            assert_eq!(duration, Duration::from_millis(millis), "{text}");
            assert_eq!(show_duration(duration), shown);
        }
        for bad in ["", "2", "s", "2 s", "2x", "-1s", "30m1h", "1s1s", "99999999999999999999s", "1.5s", "٣s"]
        {
            assert_eq!(parse_duration(bad), None, "{bad}");
        }
    }

    #[test]
    fn sizes_are_written_as_they_were_meant() {
        for (bytes, shown) in [(0, "0"), (1000, "1000"), (4096, "\"4KiB\""), (3 << 20, "\"3MiB\"")] {
            assert_eq!(ByteSize(bytes).show(), shown);
        }
    }
}
