//! What is wrong with a configuration: all of it at once, each with its place in the text.

use super::source::{At, Sources};
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use std::fmt;

/// How many problems are printed; the rest is counted.
const MAX_SHOWN: usize = 100;
/// How alike two words must be to be suggested for each other (Jaro-Winkler, 0 to 1).
const ALIKE: f64 = 0.8;

/// Whether a problem keeps the server from starting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Severity {
    Error,
    Warning,
}

/// One thing that is wrong.
#[derive(Debug, Clone)]
pub(super) struct Problem {
    pub(super) severity: Severity,
    /// `None` when no text is to blame.
    pub(super) at: Option<At>,
    /// What is wrong.
    pub(super) title: String,
    /// What should stand there.
    pub(super) label: String,
    /// What else might help, such as the nearest word.
    pub(super) help: Option<String>,
}

/// Everything that is wrong with a configuration. `Display` renders it without colours.
#[derive(Debug, Clone, Default)]
pub struct Problems {
    pub(super) sources: Sources,
    pub(super) list: Vec<Problem>,
}

/// One problem in its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told<'a> {
    /// `error`, or `warning`, which keeps nothing from starting.
    pub severity: &'static str,
    /// `None` when no text is to blame.
    pub place: Option<Place<'a>>,
    /// What is wrong.
    pub title: &'a str,
    /// What should stand there.
    pub label: &'a str,
    /// What else might help, such as the nearest word.
    pub help: Option<&'a str>,
}

/// Where a problem is: `file:line:column`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<'a> {
    /// A file's path, `environment` or `command line`.
    pub source: &'a str,
    /// From 1.
    pub line: usize,
    /// Characters, from 1.
    pub column: usize,
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.source, self.line, self.column)
    }
}

/// Whether rendered text has colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// For a terminal.
    Yes,
    /// For a file.
    No,
}

impl Problems {
    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.list.len()
    }

    /// Each problem as text with its place, the words there, and a mark below them.
    #[must_use]
    pub fn render(&self, colour: Colour) -> String {
        let renderer = match colour {
            Colour::Yes => Renderer::styled(),
            Colour::No => Renderer::plain(),
        };
        let mut shown: Vec<String> = Vec::new();
        for problem in self.list.iter().take(MAX_SHOWN) {
            let mut group = self.group(problem);
            if let Some(help) = &problem.help {
                group = group.element(Level::HELP.message(help));
            }
            shown.push(renderer.render(&[group]));
        }
        if self.list.len() > MAX_SHOWN {
            shown.push(format!("and {} more", self.list.len() - MAX_SHOWN));
        }
        shown.join("\n\n")
    }

    fn group<'a>(&'a self, problem: &'a Problem) -> Group<'a> {
        let level = match problem.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let title = level.primary_title(problem.title.as_str());
        let place = |at| Some((at, self.sources.get(at)?, self.sources.shown(at)?));
        let found = problem.at.as_ref().and_then(place);
        let Some((at, source, shown)) = found else {
            return title.element(Level::NOTE.message(&problem.label));
        };
        let end = at.span.end.min(shown.len());
        let mark = AnnotationKind::Primary.span(at.span.start.min(end)..end).label(problem.label.as_str());
        title.element(Snippet::source(shown).path(source.name.as_str()).annotation(mark))
    }

    /// One line for each: `place: title (label)`, for the log.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        self.list.iter().map(|problem| {
            let place = problem.at.as_ref().and_then(|at| self.place(at));
            let place = place.map_or_else(String::new, |place| format!("{place}: "));
            format!("{place}{} ({})", problem.title, problem.label)
        })
    }

    /// Each in its parts, for programs. As in the log, the text itself, which may hold a secret, is not among them.
    pub fn told(&self) -> impl Iterator<Item = Told<'_>> {
        self.list.iter().map(|problem| Told {
            severity: match problem.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
            },
            place: problem.at.as_ref().and_then(|at| self.place(at)),
            title: &problem.title,
            label: &problem.label,
            help: problem.help.as_deref(),
        })
    }

    /// As [`Problems::lines`] with what might help, and without the text itself, which may hold a secret:
    /// for the log.
    #[must_use]
    pub fn without_text(&self) -> String {
        let helps = self.list.iter().map(|problem| problem.help.as_deref());
        let line = |(line, help): (String, Option<&str>)| match help {
            Some(help) => format!("\n{line}; {help}"),
            None => format!("\n{line}"),
        };
        self.lines().zip(helps).take(MAX_SHOWN).map(line).collect()
    }

    fn place(&self, at: &At) -> Option<Place<'_>> {
        let source = self.sources.get(at)?;
        let before = source.text.get(..at.span.start).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Some(Place { source: &source.name, line, column })
    }

    /// Those of one severity.
    pub(super) fn of(&self, severity: Severity) -> Self {
        let list = self.list.iter().filter(|problem| problem.severity == severity).cloned().collect();
        Self { sources: self.sources.clone(), list }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(Colour::No))
    }
}

impl std::error::Error for Problems {}

/// The word that was probably meant.
#[must_use]
pub fn nearest<'a>(word: &str, words: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    words
        .into_iter()
        .map(|known| (strsim::jaro_winkler(word, known), known))
        .filter(|(likeness, _)| *likeness > ALIKE)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, known)| known)
}
