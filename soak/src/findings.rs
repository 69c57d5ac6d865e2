//! What is checked, how often it was looked at, and what was found.

use serde::Serialize;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};

/// What must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Check {
    /// A player gets each picture and each sound of its publisher once, in order and intact, from a key frame to the
    /// end of its stay or of the publisher; if another publisher takes over, from that one's first on.
    Frames,
    /// No player or publisher is sent away, left without media or refused, unless we kicked it, or its publisher ended.
    Stays,
    /// Who is kicked goes.
    Kicks,
    /// Who takes a stream over gets it, and the former publisher goes.
    Takeovers,
    /// Each question has its verdict in time, and the one that its hook's behaviour and policy demand.
    Verdicts,
    /// Each start has its stop, in order; no event is lost on the way to the recorder.
    Events,
    /// The hooks that behave miss nothing: each call of theirs is answered.
    Hooks,
    /// Resident memory after the warm-up and at the end differ by less than 1 %.
    Memory,
    /// Descriptors, tasks and programs are as many at the end as before the first client.
    Remains,
    /// The server neither panics nor logs an error, and ends when told to.
    Server,
}

impl Check {
    /// All of them, in the order of the report.
    pub(crate) const ALL: [Self; 10] = [
        Self::Frames,
        Self::Stays,
        Self::Kicks,
        Self::Takeovers,
        Self::Verdicts,
        Self::Events,
        Self::Hooks,
        Self::Memory,
        Self::Remains,
        Self::Server,
    ];

    /// What was looked at, for the report.
    pub(crate) fn unit(self) -> &'static str {
        match self {
            Self::Frames => "pictures and sounds received, in order and none missing",
            Self::Stays => "stays of players and publishers, none cut short",
            Self::Kicks => "kicks, each obeyed",
            Self::Takeovers => "takeovers, each complete",
            Self::Verdicts => "questions, each with the right verdict in time",
            Self::Events => "events, each start with its stop",
            Self::Hooks => "calls of hooks that behave, all answered",
            Self::Memory => "comparison of resident memory, growth under 1 %",
            Self::Remains => "counts (descriptors, tasks, programs) back to the start's",
            Self::Server => "starts and stops, no panic and no error logged",
        }
    }
}

/// Messages that are kept: the first tell most.
const MOST_TOLD: usize = 100;

/// Shared by all that check.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    examined: [AtomicU64; Check::ALL.len()],
    faults: [AtomicU64; Check::ALL.len()],
    told: Mutex<Vec<String>>,
}

/// A line of the report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Line {
    pub(crate) check: Check,
    pub(crate) examined: u64,
    pub(crate) faults: u64,
}

impl Findings {
    /// So many were looked at.
    pub(crate) fn examined(&self, check: Check, number: u64) {
        if let Some(count) = self.examined.get(check as usize) {
            count.fetch_add(number, Ordering::Relaxed);
        }
    }

    /// Something is not as it must be.
    pub(crate) fn fault(&self, check: Check, text: impl Into<String>) {
        if let Some(count) = self.faults.get(check as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        let text = format!("{check:?}: {}", text.into());
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() < MOST_TOLD {
            println!("  ! {text}");
            told.push(text);
        }
    }

    /// All that was found so far.
    pub(crate) fn faults(&self) -> u64 {
        self.faults.iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }

    /// Whether there is something that a load shows and that was not looked at yet.
    pub(crate) fn is_load_unseen(&self) -> bool {
        let shown =
            [Check::Frames, Check::Stays, Check::Kicks, Check::Takeovers, Check::Verdicts, Check::Events];
        self.lines().iter().any(|line| line.examined == 0 && shown.contains(&line.check))
    }

    /// The report.
    pub(crate) fn lines(&self) -> Vec<Line> {
        let count = |counts: &[AtomicU64], check: Check| {
            counts.get(check as usize).map_or(0, |count| count.load(Ordering::Relaxed))
        };
        let line = |check| Line {
            check,
            examined: count(&self.examined, check),
            faults: count(&self.faults, check),
        };
        Check::ALL.into_iter().map(line).collect()
    }

    /// The first messages.
    pub(crate) fn told(&self) -> Vec<String> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_check_has_its_own_line_and_counts() {
        let findings = Findings::default();
        for (number, check) in (1..).zip(Check::ALL) {
            findings.examined(check, number);
        }
        findings.fault(Check::Hooks, "something");
        let lines = findings.lines();
        assert!(lines.iter().zip(Check::ALL).all(|(line, check)| line.check == check));
        assert!(lines.iter().map(|line| line.examined).eq(1..=10));
        assert_eq!((lines[6].faults, findings.faults()), (1, 1));
        assert_eq!(findings.told(), ["Hooks: something"]);
    }
}
