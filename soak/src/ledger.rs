//! What was run so far: a line of JSON for each segment of each series, so that a long run can be stopped and gone on
//! with.
//!
//! A series is one long run. Each of its segments starts a server of its own, and is whole in itself: its checks are done
//! at its end, also when it is stopped early. A segment that was killed is not counted.

use crate::findings::Line;
use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::{Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A series that has not reached its goal, or that begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) goal: Duration,
    pub(crate) done: Duration,
    /// Segments before.
    pub(crate) segments: Vec<Value>,
}

/// What a segment came to.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Segment {
    pub(crate) series: String,
    pub(crate) goal_seconds: u64,
    pub(crate) segment: String,
    pub(crate) commit: String,
    pub(crate) build: &'static str,
    pub(crate) publishers: u16,
    pub(crate) viewers: usize,
    /// Of load.
    pub(crate) seconds: u64,
    pub(crate) figures: Value,
    pub(crate) checks: Vec<Line>,
    pub(crate) faults: u64,
    pub(crate) told: Vec<String>,
}

/// The file.
#[derive(Debug)]
pub(crate) struct Ledger(PathBuf);

/// Whether to go on with what was stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begin {
    Anew,
    WhereItStopped,
}

impl Ledger {
    pub(crate) fn new(folder: &Path) -> Self {
        Self(folder.join("ledger.jsonl"))
    }

    /// The series to go on with: the last one, if it had this goal and load, has not reached it, and nothing was wrong.
    pub(crate) fn series(&self, begin: Begin, fresh: Series, load: (u16, usize)) -> Result<Series> {
        let text = match std::fs::read_to_string(&self.0) {
            Ok(text) if begin == Begin::WhereItStopped => text,
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).context("the ledger");
            }
            _ => return Ok(fresh),
        };
        // A line that was not written whole belongs to nothing.
        let lines: Vec<Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let Some(name) = lines.last().and_then(|line| line["series"].as_str()) else { return Ok(fresh) };
        let segments: Vec<Value> = lines.iter().filter(|line| line["series"] == name).cloned().collect();
        let done: u64 = segments.iter().filter_map(|line| line["seconds"].as_u64()).sum();
        let same = |line: &Value| {
            line["goal_seconds"] == fresh.goal.as_secs()
                && line["faults"] == 0
                && line["publishers"] == load.0
                && line["viewers"] == load.1
        };
        if done >= fresh.goal.as_secs() || !segments.iter().all(same) {
            return Ok(fresh);
        }
        Ok(Series { name: name.to_owned(), done: Duration::from_secs(done), segments, ..fresh })
    }

    /// Adds a segment that has ended.
    pub(crate) fn add(&self, segment: &Segment) -> Result<()> {
        let mut file =
            std::fs::File::options().append(true).create(true).open(&self.0).context("the ledger")?;
        writeln!(file, "{}", json!(segment)).context("the ledger")
    }
}

impl Series {
    pub(crate) fn new(name: String, goal: Duration) -> Self {
        Self { name, goal, done: Duration::ZERO, segments: Vec::new() }
    }

    pub(crate) fn left(&self) -> Duration {
        self.goal.saturating_sub(self.done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(series: &str, seconds: u64, faults: u64) -> Segment {
        Segment {
            series: series.to_owned(),
            goal_seconds: 3600,
            segment: String::new(),
            commit: String::new(),
            build: "debug",
            publishers: 24,
            viewers: 500,
            seconds,
            figures: Value::Null,
            checks: Vec::new(),
            faults,
            told: Vec::new(),
        }
    }

    /// After these segments: the series that a run of an hour belongs to, and what it has done.
    fn resumed(segments: &[Segment], begin: Begin) -> (String, u64) {
        let folder = jackfield_e2e::Scratch::new().unwrap();
        let ledger = Ledger::new(folder.path());
        for segment in segments {
            ledger.add(segment).unwrap();
        }
        let fresh = Series::new("fresh".to_owned(), Duration::from_secs(3600));
        let series = ledger.series(begin, fresh, (24, 500)).unwrap();
        (series.name, series.done.as_secs())
    }

    #[test]
    fn a_run_that_was_stopped_is_gone_on_with() {
        use Begin::{Anew, WhereItStopped};
        let (fresh, old) = (|| ("fresh".to_owned(), 0), |done| ("old".to_owned(), done));
        let twice = [segment("older", 50, 0), segment("old", 100, 0), segment("old", 200, 0)];
        assert_eq!(resumed(&twice, WhereItStopped), old(300));
        assert_eq!(resumed(&twice, Anew), fresh());
        assert_eq!(resumed(&[], WhereItStopped), fresh());
        assert_eq!(resumed(&[segment("old", 3600, 0)], WhereItStopped), fresh());
        assert_eq!(resumed(&[segment("old", 100, 1)], WhereItStopped), fresh());
        assert_eq!(
            resumed(&[Segment { goal_seconds: 600, ..segment("old", 100, 0) }], WhereItStopped),
            fresh()
        );
        assert_eq!(resumed(&[Segment { viewers: 50, ..segment("old", 100, 0) }], WhereItStopped), fresh());
    }
}
