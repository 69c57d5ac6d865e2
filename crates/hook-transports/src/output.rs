//! What programs print goes to the log: line by line, each line and their rate bounded.

use jackfield_media::{Mono, Text};
use std::sync::{Arc, Mutex, PoisonError};
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
    pub(crate) fn lines(self: &Arc<Self>, pid: u32, source: Source) -> LoggedLines {
        LoggedLines { log: Arc::clone(self), pid, source, line: Vec::new() }
    }

    fn write(&self, now: Mono, pid: u32, source: Source, line: &[u8]) {
        let mut allowance = self.allowance.lock().unwrap_or_else(PoisonError::into_inner);
        if !allowance.take(now) {
            allowance.left_out += 1;
            return;
        }
        let left_out = std::mem::take(&mut allowance.left_out);
        drop(allowance);
        let hook = self.hook.as_str();
        if left_out > 0 {
            tracing::warn!(hook, lines = left_out, "Output of a hook was left out, there was too much");
        }
        // Debug form: what a program prints must not move the cursor of who reads the log.
        let line = String::from_utf8_lossy(line);
        tracing::info!(hook, pid, from = source.as_str(), ?line, "Hook printed");
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
    /// What came since the last newline, at most [`MAX_LINE_BYTES`]; the rest of the line is gone.
    line: Vec<u8>,
}

impl LoggedLines {
    /// Takes what was read.
    pub(crate) fn feed(&mut self, now: Mono, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            let room = MAX_LINE_BYTES.saturating_sub(self.line.len());
            self.line.extend(piece.iter().take(room).filter(|&&byte| byte != b'\n'));
            if piece.ends_with(b"\n") {
                self.finish(now);
            }
        }
    }

    /// Logs what stands without a newline.
    pub(crate) fn finish(&mut self, now: Mono) {
        let line = self.line.trim_ascii_end();
        if !line.is_empty() {
            self.log.write(now, self.pid, self.source, line);
        }
        self.line.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_without_end_takes_no_more_memory_than_its_bound() {
        let mut lines = OutputLog::new("h".into()).lines(1, Source::Stdout);
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
        let mut lines = log.lines(1, Source::Stderr);
        for _ in 0..BURST + 5 {
            lines.feed(Mono::ZERO, b"a\n");
        }
        assert_eq!(log.allowance.lock().unwrap().left_out, 5);
        lines.feed(Mono::ZERO.after(REFILL), b"a\n");
        assert_eq!(log.allowance.lock().unwrap().left_out, 0);
    }
}
