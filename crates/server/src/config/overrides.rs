//! Settings by flag and by environment variable.
//!
//! A flag `--a-b` is the variable `JACKFIELD_A_B`; the key of a file is `JACKFIELD_<TABLE>__<KEY>`. Flags
//! are stronger than variables, and both than the file; of two variables for one setting that of the flag is stronger.

use super::problem::{Severity, nearest};
use super::source::{At, COMMAND_LINE, ENVIRONMENT, Entry, Node, Raw, Source};
use super::table::Given;
use super::value::Reading;
use super::{HookOrigin, Loading, TABLES};
use std::fmt;
use std::path::PathBuf;

/// What was given on the command line. `Debug` leaves the values out: URLs of webhooks may be among them.
#[derive(Clone, Default)]
pub struct Flags {
    /// `--config`.
    pub config: Option<PathBuf>,
    /// The other flags, without their dashes, and their values in the order given.
    pub given: Vec<(String, String)>,
}

impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let given: Vec<&str> = self.given.iter().map(|(flag, _)| flag.as_str()).collect();
        f.debug_struct("Flags").field("config", &self.config).field("given", &given).finish()
    }
}

/// How often a flag may be given and whether it has a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arity {
    /// Once, with a value.
    One,
    /// Any number of times, each with one or more values between commas.
    Many,
    /// Once, without a value: it is `true`.
    Switch,
}

/// A flag that sets something.
#[derive(Debug, Clone, Copy)]
pub struct FlagSpec {
    /// Its name without the dashes.
    pub name: &'static str,
    /// What it means.
    pub about: &'static str,
    /// The default as TOML.
    pub default: Option<&'static str>,
    /// How often.
    pub arity: Arity,
    /// The name of its value's type.
    pub value_type: &'static str,
    /// All that it can be, if that is a few words.
    pub words: &'static [&'static str],
}

impl FlagSpec {
    /// Checks a value as far as that needs nothing but the value.
    ///
    /// # Errors
    /// What is wrong and what should stand there.
    pub fn check(&self, text: &str) -> Result<(), String> {
        let keys = TABLES.iter().flat_map(|table| table.keys);
        let Some(key) = keys.into_iter().find(|key| key.flag == Some(self.name)) else { return Ok(()) };
        let mut cx = Reading::default();
        let node = Node { raw: Raw::Loose(text.to_owned()), at: At { source: 0, span: 0..text.len() } };
        if (key.reads)(&node, &mut cx, key) {
            return Ok(());
        }
        Err(cx
            .problems
            .first()
            .map(|problem| format!("{}: {}", problem.title, problem.label))
            .unwrap_or_default())
    }
}

/// The flags that make a hook, with the key that their value's second half sets.
const HOOK_FLAGS: [(&str, &str, FlagSpec); 2] = [
    (
        "script",
        "run",
        FlagSpec {
            name: "hook-script",
            about: "Call a program on an event: EVENT=PATH [ARGS]. A question is decided by it.",
            default: None,
            arity: Arity::Many,
            value_type: "EVENT=PATH",
            words: &[],
        },
    ),
    (
        "webhook",
        "url",
        FlagSpec {
            name: "hook-webhook",
            about: "Post an event to a URL: EVENT=URL. A question is decided by it.",
            default: None,
            arity: Arity::Many,
            value_type: "EVENT=URL",
            words: &[],
        },
    ),
];

/// Every flag that sets something, besides `--config`.
pub fn flags() -> impl Iterator<Item = FlagSpec> {
    let keys = TABLES.iter().flat_map(|table| table.keys).filter_map(|key| {
        let arity = match key.value_type {
            "boolean" => Arity::Switch,
            "list" | "list of addresses, or `off`" => Arity::Many,
            _ => Arity::One,
        };
        let (name, about, default) = (key.flag?, key.about(), key.default());
        Some(FlagSpec { name, about, default, arity, value_type: key.value_type, words: key.words })
    });
    keys.chain(HOOK_FLAGS.iter().map(|(.., flag)| *flag))
}

/// Whether all values of the flag count, and not the last.
fn is_list(flag: &str) -> bool {
    flags().any(|spec| spec.name == flag && spec.arity == Arity::Many)
}

/// The key that a flag sets.
fn key_of(flag: &str) -> Option<(&'static str, &'static str)> {
    TABLES.iter().find_map(|table| {
        let key = table.keys.iter().find(|key| key.flag == Some(flag))?;
        Some((table.name, key.name))
    })
}

impl Loading {
    /// Adds what variables and flags give.
    pub(super) fn overrides(&mut self, flags: &Flags) {
        let mut counts = [0; HOOK_FLAGS.len()];
        let mut environment: Vec<(String, String)> =
            self.cx.environment.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        // The last one counts, and the variable of a flag is stronger than that of a key, as the flag is.
        environment.sort_by_key(|(name, _)| !name.contains("__"));
        for (name, value) in environment {
            self.variable(&name, value, &mut counts);
        }
        let text = command_line(flags);
        let source = Source { name: COMMAND_LINE.to_owned(), text: text.text, base: PathBuf::new() };
        let source = self.cx.sources.add(source);
        let mut lists: Vec<(&str, Vec<Node>)> = Vec::new();
        for ((flag, value), span) in flags.given.iter().zip(text.spans) {
            let node = Node { raw: Raw::Loose(value.clone()), at: At { source, span } };
            if self.hook_flag(flag, &node, &mut counts) {
                continue;
            }
            match lists.iter_mut().find(|(name, _)| name == flag) {
                Some((_, nodes)) if is_list(flag) => nodes.push(node),
                Some((_, nodes)) => *nodes = vec![node],
                None => lists.push((flag, vec![node])),
            }
        }
        for (flag, nodes) in lists {
            let Some((table, key)) = key_of(flag) else { continue };
            if let Some(node) = joined(nodes) {
                self.tables.entry(table).or_default().add(key, node);
            }
        }
    }

    fn variable(&mut self, variable: &str, value: String, counts: &mut [usize]) {
        let Some(name) = variable.strip_prefix("JACKFIELD_") else { return };
        if matches!(name, "TOKEN" | "API" | "CONFIG") || name.starts_with("EVENT_") {
            return;
        }
        let flag = name.to_ascii_lowercase().replace('_', "-");
        let key = name.split_once("__").and_then(|(table, key)| {
            let (table, key) = (table.to_ascii_lowercase(), key.to_ascii_lowercase());
            let table = TABLES.iter().find(|known| known.name == table)?;
            Some((table.name, table.keys.iter().find(|known| known.name == key)?.name))
        });
        let known = key.or_else(|| key_of(&flag)).is_some();
        if !known && !HOOK_FLAGS.iter().any(|(.., spec)| spec.name == flag) {
            return self.unknown_variable(variable);
        }
        let text = format!("{variable}={value}");
        let span = variable.len() + 1..text.len();
        let source = self.cx.sources.add(Source { name: ENVIRONMENT.to_owned(), text, base: PathBuf::new() });
        let node = Node { raw: Raw::Loose(value), at: At { source, span } };
        if let Some((table, key)) = key.or_else(|| key_of(&flag)) {
            self.tables.entry(table).or_default().add(key, node);
            return;
        }
        for line in lines(&node) {
            self.hook_flag(&flag, &line, counts);
        }
    }

    /// Only the name is shown: what stands in a misspelt variable may be a secret.
    fn unknown_variable(&mut self, variable: &str) {
        let source = Source { name: ENVIRONMENT.to_owned(), text: variable.to_owned(), base: PathBuf::new() };
        let at = At { source: self.cx.sources.add(source), span: 0..variable.len() };
        let flags = flags().map(|flag| flag.name.to_ascii_uppercase().replace('-', "_"));
        let keys = TABLES.iter().flat_map(|table| {
            table.keys.iter().map(|key| format!("{}__{}", table.name, key.name).to_ascii_uppercase())
        });
        let names: Vec<String> = flags.chain(keys).map(|name| format!("JACKFIELD_{name}")).collect();
        // The prefix that all share says nothing about likeness.
        let word = variable.trim_start_matches("JACKFIELD_");
        let near = nearest(word, names.iter().map(|name| name.trim_start_matches("JACKFIELD_")));
        let help = near.map(|near| format!("did you mean `JACKFIELD_{near}`?"));
        let label = "sets nothing";
        self.cx.note(Severity::Error, &at, format!("unknown variable `{variable}`"), label, help);
    }

    /// Takes `EVENT=PATH` or `EVENT=URL`; returns whether the flag is one of a hook.
    fn hook_flag(&mut self, flag: &str, node: &Node, counts: &mut [usize]) -> bool {
        let Some(which) = HOOK_FLAGS.iter().position(|(.., spec)| spec.name == flag) else { return false };
        let (Some((noun, key, spec)), Some(count)) = (HOOK_FLAGS.get(which), counts.get_mut(which)) else {
            return false;
        };
        *count += 1;
        let name = format!("{noun}-{count}");
        match halves(node, &mut self.cx, spec.value_type) {
            Some((event, handler)) => {
                let at = node.at.clone();
                let name = Node { raw: Raw::Text(name), at: at.clone() };
                let entry =
                    |key: &str, value: Node| Entry { key: key.to_owned(), key_at: value.at.clone(), value };
                let entries = vec![entry("name", name), entry("on", event), entry(key, handler)];
                self.hooks.push((Given::new(Some(at), entries), HookOrigin::Flag));
            }
            None => tracing::trace!(flag, "A hook flag has no `=`"),
        }
        true
    }
}

/// `EVENT` and what stands behind the `=`.
fn halves(node: &Node, cx: &mut Reading, form: &str) -> Option<(Node, Node)> {
    let Raw::Loose(text) = &node.raw else { return None };
    let Some((event, handler)) = text.split_once('=') else {
        return cx.refuse(&node.at, "an event and a handler are needed", format!("write it like {form}"));
    };
    let (start, source) = (node.at.span.start, node.at.source);
    let part = |text: &str, from: usize| Node {
        raw: Raw::Loose(text.to_owned()),
        at: At { source, span: from..from + text.len() },
    };
    Some((part(event, start), part(handler, start + event.len() + 1)))
}

/// The lines of a variable, each with its place.
fn lines(node: &Node) -> Vec<Node> {
    let Raw::Loose(text) = &node.raw else { return Vec::new() };
    let mut start = node.at.span.start;
    let mut nodes = Vec::new();
    for line in text.split('\n') {
        if !line.trim().is_empty() {
            let at = At { source: node.at.source, span: start..start + line.len() };
            nodes.push(Node { raw: Raw::Loose(line.to_owned()), at });
        }
        start += line.len() + 1;
    }
    nodes
}

/// One value as it is, several as a list of their parts.
fn joined(mut nodes: Vec<Node>) -> Option<Node> {
    if nodes.len() < 2 {
        return nodes.pop();
    }
    let at = nodes.first()?.at.clone();
    Some(Node { raw: Raw::List(nodes.iter().flat_map(super::value::split_commas).collect()), at })
}

/// The flags as one text, as they could be typed, with the place of each value.
struct CommandLine {
    text: String,
    spans: Vec<std::ops::Range<usize>>,
}

fn command_line(flags: &Flags) -> CommandLine {
    let mut text = String::new();
    let mut spans = Vec::new();
    for (flag, value) in &flags.given {
        let gap = if text.is_empty() { "" } else { " " };
        text.push_str(&format!("{gap}--{flag} "));
        spans.push(text.len()..text.len() + value.len());
        text.push_str(value);
    }
    CommandLine { text, spans }
}
