//! Progress on standard error: a line that is rewritten each second on a terminal, else a line at most every
//! five seconds.

#![expect(clippy::print_stderr, reason = "a command-line tool talks to its terminal")]

use jackfield_media::Mono;
use jackfield_runtime::clock;
use std::io::{IsTerminal, Write};
use std::time::Duration;

/// What is shown.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Position {
    /// Of the stream's own time.
    pub(crate) media: Duration,
    /// Bytes on the wire.
    pub(crate) bytes: u64,
    /// Messages of the stream.
    pub(crate) messages: u64,
}

#[derive(Debug)]
pub(crate) struct Progress {
    form: Form,
    due: Mono,
    last: (Mono, u64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Quiet,
    Lines,
    /// One line, rewritten.
    Terminal,
}

impl Progress {
    /// `quiet` shows nothing at all.
    pub(crate) fn new(quiet: bool) -> Self {
        let form = match quiet {
            true => Form::Quiet,
            false if std::io::stderr().is_terminal() => Form::Terminal,
            false => Form::Lines,
        };
        let now = clock::now();
        Self { form, due: now.after(form.every()), last: (now, 0) }
    }

    /// A sentence of its own.
    pub(crate) fn say(&self, text: &str) {
        match self.form {
            Form::Quiet => {}
            Form::Lines => eprintln!("jackfield: {text}"),
            Form::Terminal => eprintln!("\r\x1b[Kjackfield: {text}"),
        }
    }

    /// When the next line is due.
    pub(crate) fn due(&self) -> Mono {
        self.due
    }

    /// Shows the position if it is time.
    pub(crate) fn show(&mut self, position: impl FnOnce() -> Position) {
        let now = clock::now();
        if now < self.due || self.form == Form::Quiet {
            return;
        }
        self.due = now.after(self.form.every());
        let position = position();
        let (since, bytes) = self.last;
        let rate = rate(position.bytes.saturating_sub(bytes), now - since);
        self.last = (now, position.bytes);
        let line = format!("{}, {rate}", told(&position));
        match self.form {
            Form::Terminal => {
                let mut out = std::io::stderr().lock();
                // A terminal that has gone away sees nothing.
                drop(write!(out, "\r\x1b[K{line}").and_then(|()| out.flush()));
            }
            _ => eprintln!("jackfield: {line}"),
        }
    }

    /// The last line.
    pub(crate) fn finish(&self, done: &str, position: Position) {
        self.say(&format!("{done} {}", told(&position)));
    }
}

impl Form {
    fn every(self) -> Duration {
        match self {
            Self::Terminal => Duration::from_secs(1),
            Self::Lines | Self::Quiet => Duration::from_secs(5),
        }
    }
}

fn told(position: &Position) -> String {
    format!("{}, {}, {} messages", time(position.media), size(position.bytes), position.messages)
}

/// `1:02:03.4`.
fn time(time: Duration) -> String {
    let (seconds, tenths) = (time.as_secs(), time.subsec_millis() / 100);
    format!("{}:{:02}:{:02}.{tenths}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[expect(clippy::cast_precision_loss, reason = "one digit is shown")]
pub(crate) fn size(bytes: u64) -> String {
    match bytes {
        0..=9_999 => format!("{bytes} bytes"),
        10_000..=9_999_999 => format!("{:.1} kB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

#[expect(clippy::cast_precision_loss, reason = "one digit is shown")]
fn rate(bytes: u64, over: Duration) -> String {
    let kilobits = bytes as f64 * 8.0 / 1e3 / over.as_secs_f64().max(0.001);
    format!("{kilobits:.0} kbit/s")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_for_people() {
        assert_eq!(time(Duration::from_millis(3_723_456)), "1:02:03.4");
        assert_eq!([size(9_999), size(123_456), size(12_345_678)], ["9999 bytes", "123.5 kB", "12.3 MB"]);
        assert_eq!(rate(125_000, Duration::from_secs(1)), "1000 kbit/s");
    }
}
