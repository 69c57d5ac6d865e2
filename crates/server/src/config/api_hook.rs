//! A hook as the HTTP API gives it: the keys of a `[[hook]]` as one JSON object, checked as those of the file are.
//!
//! It is given by somebody who is not the operator, so it names nothing of this machine: no file, no variable, and
//! without `[api] allow_programs` no program; and its URL leads to public addresses and to `[api] allow_networks`.

use super::Config;
use super::hook::{self, Handler, Hook, HookOrigin};
use super::problem::{Problem, Severity};
use super::source::{At, Entry, Node, Raw, Source};
use super::table::{Given, Table};
use super::value::Reading;
use jackfield_net::outbound::{Reach, Url};
use serde_json::{Map, Value};
use std::fmt;

/// What is wrong with one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldProblem {
    /// The key; `None` if none is to blame.
    pub field: Option<String>,
    /// What is wrong, in a sentence without the value where that may be a secret.
    pub problem: String,
}

impl fmt::Display for FieldProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.field {
            Some(field) => write!(f, "`{field}`: {}", self.problem),
            None => f.write_str(&self.problem),
        }
    }
}

/// Keys that name files of this machine.
const FILE_KEYS: [&str; 3] = ["ca", "cert", "key"];
/// Keys that run programs, or set how they run.
const PROGRAM_KEYS: [&str; 2] = ["run", "worker"];

/// Whether the hook would run a program, which needs `[api] allow_programs`.
pub(crate) fn runs_program(body: &Map<String, Value>) -> bool {
    PROGRAM_KEYS.iter().any(|key| body.contains_key(*key))
}

impl Config {
    /// Reads and checks a hook that the API makes. Its name is among the keys.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn read_api_hook(&self, body: &Map<String, Value>) -> Result<Hook, Vec<FieldProblem>> {
        let mut cx = Reading::default();
        refuse_what_is_here(body, self.api.allow_programs)?;
        let whole = source("", "", &mut cx);
        let entries = body.iter().map(|(key, value)| {
            let at = source(key, &value.to_string(), &mut cx);
            Entry { key: key.clone(), key_at: at.clone(), value: node(value, &at) }
        });
        let given = Given::new(Some(whole), entries.collect());
        let (name, hook) = hook::read(&given, 1, HookOrigin::Api, self.hooks.plain_http, &mut cx);
        if !body.contains_key("name") {
            cx.problems.push(missing_name());
        } else if self.hook.iter().any(|other| other.name == name) {
            let title = format!("there is a hook `{name}` in the configuration of the server");
            cx.problems.push(Problem { title, ..missing_name() });
        }
        let errors = cx.problems.iter().filter(|problem| problem.severity == Severity::Error);
        let errors: Vec<FieldProblem> = errors.map(|problem| told(problem, &cx)).collect();
        match hook {
            Some(hook) if errors.is_empty() => self.confined(hook),
            _ => Err(errors),
        }
    }

    /// The hook as one that is not the operator's.
    fn confined(&self, mut hook: Hook) -> Result<Hook, Vec<FieldProblem>> {
        match &mut hook.handler {
            Handler::Url(webhook) => {
                let besides = self.api.allow_networks.iter().map(|network| network.network).collect();
                webhook.reach = Reach::Public { besides };
                if Url::parse(&webhook.url.0).is_ok_and(|url| webhook.reach.check(&url).is_err()) {
                    let problem =
                        "the address is not public, and `[api] allow_networks` has no network of it";
                    return Err(vec![FieldProblem {
                        field: Some("url".to_owned()),
                        problem: problem.to_owned(),
                    }]);
                }
            }
            Handler::Run { place, .. } | Handler::Worker { place, .. } => {
                place.kept_back.clone_from(&self.secret_variables);
            }
            Handler::Stdio { .. } => {}
        }
        Ok(hook)
    }
}

impl Hook {
    /// Every key that it has, its secrets masked.
    #[must_use]
    pub fn settings(&self) -> Map<String, Value> {
        let keys = self.keys.show();
        let read =
            keys.iter().filter(|(key, value)| !value.is_empty() && hook::is_read(key.name, &self.keys));
        let value = |(key, toml): &(&super::table::KeySpec, String)| {
            let mut table: Map<String, Value> = toml::from_str(&format!("value = {toml}")).ok()?;
            Some((key.name.to_owned(), table.remove("value")?))
        };
        let mut settings: Map<String, Value> = read.filter_map(value).collect();
        settings.insert("name".to_owned(), self.name.clone().into());
        settings
    }
}

/// Refuses what names something of this machine. It comes before all reading: nothing is looked at.
fn refuse_what_is_here(body: &Map<String, Value>, programs: bool) -> Result<(), Vec<FieldProblem>> {
    let problem = |field: &str, problem: &str| FieldProblem {
        field: Some(field.to_owned()),
        problem: problem.to_owned(),
    };
    let mut problems = Vec::new();
    for key in FILE_KEYS.iter().filter(|key| body.contains_key(**key)) {
        problems.push(problem(key, "this names a file of the server: only its configuration file may"));
    }
    if body.contains_key("stdio") {
        problems.push(problem("stdio", "the server's standard streams are not for hooks made by the API"));
    }
    for key in PROGRAM_KEYS.iter().filter(|key| !programs && body.contains_key(**key)) {
        problems.push(problem(key, "hooks made by the API run no programs without `[api] allow_programs`"));
    }
    for key in ["secret", "headers"].iter().filter(|key| body.get(**key).is_some_and(refers)) {
        problems
            .push(problem(key, "`env:` and `file:` are for the configuration file: write the value itself"));
    }
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

/// Whether some text in it is a reference to a variable or file of the server.
fn refers(value: &Value) -> bool {
    match value {
        Value::String(text) => text.starts_with("env:") || text.starts_with("file:"),
        Value::Array(items) => items.iter().any(refers),
        Value::Object(fields) => fields.values().any(refers),
        _ => false,
    }
}

/// The place of a key: a source of its own, by whose name a problem finds its field.
fn source(key: &str, text: &str, cx: &mut Reading) -> At {
    let span = 0..text.len();
    let source = Source { name: key.to_owned(), text: text.to_owned(), base: "".into() };
    At { source: cx.sources.add(source), span }
}

fn node(value: &Value, at: &At) -> Node {
    let raw = match value {
        Value::String(text) => Raw::Text(text.clone()),
        Value::Bool(value) => Raw::Boolean(*value),
        Value::Number(number) => match number.as_i64() {
            Some(number) => Raw::Integer(number),
            None => Raw::Other("a number that is no integer of 64 bits"),
        },
        Value::Array(items) => Raw::List(items.iter().map(|item| node(item, at)).collect()),
        Value::Object(fields) => {
            let entry = |(key, value): (&String, &Value)| Entry {
                key: key.clone(),
                key_at: at.clone(),
                value: node(value, at),
            };
            Raw::Table(fields.iter().map(entry).collect())
        }
        Value::Null => Raw::Other("null"),
    };
    Node { raw, at: at.clone() }
}

fn missing_name() -> Problem {
    Problem {
        severity: Severity::Error,
        at: None,
        title: "the hook has no name".to_owned(),
        label: "`name` must be one that no other hook has".to_owned(),
        help: None,
    }
}

fn told(problem: &Problem, cx: &Reading) -> FieldProblem {
    let key = problem.at.as_ref().and_then(|at| cx.sources.get(at)).map(|source| source.name.clone());
    let mut text = format!("{}: {}", problem.title, problem.label);
    if let Some(help) = &problem.help {
        text.push_str("; ");
        text.push_str(help);
    }
    FieldProblem { field: key.filter(|key| !key.is_empty()), problem: text }
}

#[cfg(test)]
mod tests;
