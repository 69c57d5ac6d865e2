//! What the checks found.

use crate::hooks::local::Handler;
use crate::paint::{Paint, Tone, clean};
use serde_json::{Value, json};

/// How one check came out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Finding {
    /// As it should be; with what is worth saying of it.
    Passed(String),
    /// It does not stand what comes, or may come.
    Failed {
        /// What happened.
        what: String,
        /// What to do about it.
        next: &'static str,
    },
    /// It does not stand what no sound server does.
    Advice {
        /// What happened.
        what: String,
        /// What to do about it.
        next: &'static str,
    },
}

/// `1 event`, `5 events`.
pub(super) fn counted(events: usize) -> String {
    if events == 1 { "1 event".to_owned() } else { format!("{events} events") }
}

/// All checks of one handler.
#[derive(Debug)]
pub(super) struct Report {
    what: String,
    kind: &'static str,
    checks: Vec<(&'static str, Finding)>,
}

impl Report {
    pub(super) fn new(what: &str, handler: &Handler) -> Self {
        let kind = match handler {
            Handler::Run(_) => "run",
            Handler::Worker(_) => "worker",
            Handler::Url(_) => "url",
        };
        Self { what: what.to_owned(), kind, checks: Vec::new() }
    }

    /// What was found by the check of this name.
    pub(super) fn add(&mut self, check: &'static str, finding: Finding) {
        self.checks.push((check, finding));
    }

    pub(super) fn failed(&self) -> usize {
        self.checks.iter().filter(|(_, finding)| matches!(finding, Finding::Failed { .. })).count()
    }

    fn advised(&self) -> usize {
        self.checks.iter().filter(|(_, finding)| matches!(finding, Finding::Advice { .. })).count()
    }

    pub(super) fn text(&self, paint: Paint) -> String {
        let mut out = format!("{} ({})\n", paint.tone(Tone::Strong, &clean(&self.what)), self.kind);
        for (check, finding) in &self.checks {
            let (tone, word, what, next) = match finding {
                Finding::Passed(note) => (Tone::Good, "ok  ", note, ""),
                Finding::Failed { what, next } => (Tone::Bad, "FAIL", what, *next),
                Finding::Advice { what, next } => (Tone::Doubtful, "hint", what, *next),
            };
            let line = format!("  {}  {check:<46} {}", paint.tone(tone, word), clean(what));
            out.push_str(line.trim_end());
            out.push('\n');
            if !next.is_empty() {
                out.push_str(&format!("        {next}\n"));
            }
        }
        let (failed, advised) = (self.failed(), self.advised());
        let passed = self.checks.len() - failed - advised;
        out + &format!("{passed} passed, {failed} failed, {advised} hints\n")
    }

    pub(super) fn json(&self) -> Value {
        let check = |(check, finding): &(&str, Finding)| {
            let (result, what, next) = match finding {
                Finding::Passed(note) => ("passed", note, ""),
                Finding::Failed { what, next } => ("failed", what, *next),
                Finding::Advice { what, next } => ("hint", what, *next),
            };
            json!({"check": check, "result": result, "what": what, "next": next})
        };
        let checks: Vec<Value> = self.checks.iter().map(check).collect();
        json!({"handler": self.what, "kind": self.kind, "conforms": self.failed() == 0, "checks": checks})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_counts_and_says_what_to_do() {
        let mut report = Report::new("./a", &Handler::Run(Vec::new()));
        report.add("answers", Finding::Passed("slowest 2 ms".to_owned()));
        report.add("size", Finding::Failed { what: "it\nended".to_owned(), next: "Read on." });
        report.add("noise", Finding::Advice { what: "it ended".to_owned(), next: "Skip it." });
        let text = report.text(Paint::PLAIN);
        assert!(text.contains("FAIL  size") && text.contains("it\\nended\n        Read on.\n"), "{text}");
        assert!(text.ends_with("1 passed, 1 failed, 1 hints\n"));
        assert_eq!(report.json()["conforms"], false);
    }
}
