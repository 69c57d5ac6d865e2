//! How far something long has come, on standard error: a line that is rewritten on a terminal, else a line every
//! five seconds.

#![expect(clippy::print_stderr, reason = "a command-line tool talks to its terminal")]

use jackfield_media::Mono;
use jackfield_runtime::clock;
use std::io::{IsTerminal, Write};
use std::time::Duration;

/// So many of so many.
#[derive(Debug)]
pub(crate) struct Steps {
    word: &'static str,
    done: usize,
    /// Behind the number.
    of: String,
    due: Mono,
    place: Place,
    shown: bool,
}

/// Where it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Terminal,
    Log,
}

impl Place {
    fn every(self) -> Duration {
        match self {
            Self::Terminal => Duration::from_millis(200),
            Self::Log => Duration::from_secs(5),
        }
    }
}

impl Steps {
    /// `word` says what was done: `replayed`.
    pub(crate) fn new(word: &'static str, of: usize) -> Self {
        Self::begin(word, format!("of {of}"))
    }

    /// Nobody knows how many there are of `what`.
    pub(crate) fn without_end(word: &'static str, what: &str) -> Self {
        Self::begin(word, what.to_owned())
    }

    fn begin(word: &'static str, of: String) -> Self {
        let place = if std::io::stderr().is_terminal() { Place::Terminal } else { Place::Log };
        Self { word, done: 0, of, due: clock::now().after(place.every()), place, shown: false }
    }

    /// One more is done.
    pub(crate) fn step(&mut self) {
        self.steps(1);
    }

    /// So many more are done; none says that time has passed.
    pub(crate) fn steps(&mut self, more: usize) {
        let Some(line) = self.line(clock::now(), more) else { return };
        match self.place {
            Place::Terminal => {
                self.shown = true;
                let mut out = std::io::stderr().lock();
                // A terminal that has gone away sees nothing.
                drop(write!(out, "\r\x1b[K{line}").and_then(|()| out.flush()));
            }
            Place::Log => eprintln!("jackfield: {line}"),
        }
    }

    /// Counts so many more; what is to be shown, if it is time.
    fn line(&mut self, now: Mono, more: usize) -> Option<String> {
        self.done += more;
        if now < self.due {
            return None;
        }
        self.due = now.after(self.place.every());
        Some(format!("{} {} {}", self.word, self.done, self.of))
    }

    /// Leaves an empty line behind on a terminal.
    pub(crate) fn end(&mut self) {
        if std::mem::take(&mut self.shown) {
            eprint!("\r\x1b[K");
        }
    }

    pub(crate) fn done(&self) -> usize {
        self.done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_replay_says_how_far_it_is_now_and_then() {
        for (place, pause) in [(Place::Terminal, 200), (Place::Log, 5000)] {
            let start = clock::now();
            let at = |ms| start.after(Duration::from_millis(ms));
            let begun = |steps| Steps { due: at(pause), place, ..steps };
            let mut steps = begun(Steps::new("replayed", 9));
            let said: Vec<_> = [1, pause, pause + 1, 2 * pause].map(|ms| steps.line(at(ms), 1)).into();
            let line = |done| Some(format!("replayed {done} of 9"));
            assert_eq!(said, [None, line(2), None, line(4)]);
            // A search that finds nothing says so too.
            let mut steps = begun(Steps::without_end("found", "deliveries so far"));
            let said: Vec<_> = [(1, 500), (pause, 0)].map(|(ms, more)| steps.line(at(ms), more)).into();
            assert_eq!(said, [None, Some("found 500 deliveries so far".to_owned())]);
        }
    }
}
