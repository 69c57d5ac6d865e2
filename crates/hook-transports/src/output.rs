//! What programs print goes to the log: line by line, each line and their rate bounded.

use jackfield_events::Masker;
use jackfield_media::{Mono, Text};
use std::borrow::Cow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Longer lines are cut: a program that never ends its line must not fill memory or the log.
const MAX_LINE_BYTES: usize = 8 * 1024;
/// Lines of one hook in a burst, and one more each [`REFILL`]: a chatty program must not bury the log.
const BURST: u32 = 100;
const REFILL: Duration = Duration::from_millis(50);

/// Which output a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    Stdout,
    Stderr,
}

impl Source {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// Whether a program has been told secrets, which it may print.
#[derive(Debug, Clone)]
pub(crate) enum Secrets {
    /// It was told a notice, in which they are masked.
    Untold,
    /// It was told a question.
    Told(Masker),
}

impl Secrets {
    /// The text as the log may show it.
    pub(crate) fn mask<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match self {
            Self::Untold => text.into(),
            Self::Told(masker) => masker.mask_text(text).into(),
        }
    }
}

/// What became of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Written,
    LeftOut,
}

/// The log of one hook's programs, which share its allowance.
#[derive(Debug)]
pub(crate) struct OutputLog {
    hook: Text,
    allowance: Mutex<Allowance>,
}

#[derive(Debug)]
struct Allowance {
    left: u32,
    refilled: Mono,
    left_out: u64,
}

impl OutputLog {
    pub(crate) fn new(hook: Text) -> Arc<Self> {
        let allowance = Allowance { left: BURST, refilled: Mono::ZERO, left_out: 0 };
        Arc::new(Self { hook, allowance: Mutex::new(allowance) })
    }

    /// The lines of one output of one program.
    pub(crate) fn lines(self: &Arc<Self>, pid: u32, source: Source, secrets: Secrets) -> LoggedLines {
        LoggedLines { log: Arc::clone(self), pid, source, secrets, line: Vec::new() }
    }

    fn allowance(&self) -> MutexGuard<'_, Allowance> {
        self.allowance.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn leave_out(&self, lines: usize) {
        self.allowance().left_out += u64::try_from(lines).unwrap_or(u64::MAX);
    }

    fn write(&self, now: Mono, lines: &LoggedLines) -> Fate {
        let mut allowance = self.allowance();
        if !allowance.take(now) {
            allowance.left_out += 1;
            return Fate::LeftOut;
        }
        let left_out = std::mem::take(&mut allowance.left_out);
        drop(allowance);
        let hook = self.hook.as_str();
        if left_out > 0 {
            tracing::warn!(hook, lines = left_out, "Output of a hook was left out, there was too much");
        }
        // Debug form: what a program prints must not move the cursor of who reads the log.
        let line = String::from_utf8_lossy(lines.line.trim_ascii_end());
        let line = lines.secrets.mask(&line);
        tracing::info!(hook, pid = lines.pid, from = lines.source.as_str(), ?line, "Hook printed");
        Fate::Written
    }
}

impl Allowance {
    fn take(&mut self, now: Mono) -> bool {
        let refills = (now - self.refilled).as_millis() / REFILL.as_millis();
        if refills > 0 {
            self.left = self.left.saturating_add(u32::try_from(refills).unwrap_or(BURST)).min(BURST);
            self.refilled = now;
        }
        let had = self.left > 0;
        self.left = self.left.saturating_sub(1);
        had
    }
}

/// Cuts an output into lines and logs them.
#[derive(Debug)]
pub(crate) struct LoggedLines {
    log: Arc<OutputLog>,
    pid: u32,
    source: Source,
    secrets: Secrets,
    /// What came since the last newline, at most [`MAX_LINE_BYTES`]; the rest of the line is gone.
    line: Vec<u8>,
}

impl LoggedLines {
    /// Takes what was read.
    pub(crate) fn feed(&mut self, now: Mono, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some((line, after)) = split_line(rest) {
            rest = after;
            self.append(line);
            if self.finish(now) == Fate::LeftOut {
                // Nor will the others of this moment be written: they are only counted.
                let others = rest.iter().filter(|&&byte| byte == b'\n').count();
                self.log.leave_out(others);
                rest = rest.rsplit(|&byte| byte == b'\n').next().unwrap_or_default();
            }
        }
        self.append(rest);
    }

    /// Logs what stands without a newline.
    pub(crate) fn finish(&mut self, now: Mono) -> Fate {
        let is_empty = self.line.trim_ascii_end().is_empty();
        let fate = if is_empty { Fate::Written } else { self.log.write(now, self) };
        self.line.clear();
        fate
    }

    fn append(&mut self, part: &[u8]) {
        let room = MAX_LINE_BYTES.saturating_sub(self.line.len());
        self.line.extend_from_slice(part.get(..room).unwrap_or(part));
    }
}

/// The first line without its end, and what follows it.
fn split_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|&byte| byte == b'\n')?;
    let (line, rest) = bytes.split_at(end);
    Some((line, rest.get(1..).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_without_end_takes_no_more_memory_than_its_bound() {
        let mut lines = OutputLog::new("h".into()).lines(1, Source::Stdout, Secrets::Untold);
        for _ in 0..100 {
            lines.feed(Mono::ZERO, &[b'x'; 4096]);
        }
        assert_eq!(lines.line.len(), MAX_LINE_BYTES);
        lines.feed(Mono::ZERO, b"\nrest");
        assert_eq!(lines.line, b"rest");
    }

    #[test]
    fn lines_over_the_rate_are_counted_and_come_back_with_time() {
        let log = OutputLog::new("h".into());
        let mut lines = log.lines(1, Source::Stderr, Secrets::Untold);
        for _ in 0..BURST + 5 {
            lines.feed(Mono::ZERO, b"a\n");
        }
        assert_eq!(log.allowance.lock().unwrap().left_out, 5);
        lines.feed(Mono::ZERO.after(REFILL), b"a\n");
        assert_eq!(log.allowance.lock().unwrap().left_out, 0);
    }
}
