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
    of: usize,
    due: Mono,
    terminal: bool,
    shown: bool,
}

impl Steps {
    /// `word` says what was done: `replayed`.
    pub(crate) fn new(word: &'static str, of: usize) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let mut steps = Self { word, done: 0, of, due: clock::now(), terminal, shown: false };
        steps.due = steps.due.after(steps.every());
        steps
    }

    fn every(&self) -> Duration {
        if self.terminal { Duration::from_millis(200) } else { Duration::from_secs(5) }
    }

    /// One more is done.
    pub(crate) fn step(&mut self) {
        self.done += 1;
        let now = clock::now();
        if now < self.due {
            return;
        }
        self.due = now.after(self.every());
        let line = format!("{} {} of {}", self.word, self.done, self.of);
        if self.terminal {
            self.shown = true;
            let mut out = std::io::stderr().lock();
            // A terminal that has gone away sees nothing.
            drop(write!(out, "\r\x1b[K{line}").and_then(|()| out.flush()));
        } else {
            eprintln!("jackfield: {line}");
        }
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
