//! What the kernel says of this process.

use jackfield_media::UnixTime;
use std::fs;
use std::path::Path;

/// Figures of the process; what the kernel does not tell is absent.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Process {
    /// Time on a processor in user and kernel mode.
    pub(super) cpu_seconds: Option<f64>,
    pub(super) resident_bytes: Option<u64>,
    pub(super) virtual_bytes: Option<u64>,
    pub(super) open_descriptors: Option<u64>,
    pub(super) max_descriptors: Option<u64>,
    pub(super) threads: Option<u64>,
    pub(super) started: Option<UnixTime>,
}

impl Process {
    /// Asks the kernel.
    pub(super) fn read() -> Self {
        let mut process = Self::default();
        process.add_stat(&text("/proc/self/stat"), &text("/proc/stat"));
        process.add_status(&text("/proc/self/status"));
        process.open_descriptors = fs::read_dir("/proc/self/fd").ok().map(|list| list.count() as u64);
        process.max_descriptors = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        process
    }

    /// `proc_pid_stat(5)`: after the name, which may hold anything, come the fields from the third on.
    fn add_stat(&mut self, stat: &str, of_all: &str) {
        let Some((_, rest)) = stat.rsplit_once(") ") else { return };
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        // Fields are numbered from 1, and the first of `rest` is number 3.
        let field = |number: usize| -> Option<u64> { fields.get(number - 3)?.parse().ok() };
        if let (Some(user), Some(kernel)) = (field(14), field(15)) {
            self.cpu_seconds = Some(seconds(user.saturating_add(kernel)));
        }
        let boot = of_all.lines().find_map(|line| line.strip_prefix("btime "));
        if let (Some(boot), Some(after)) = (boot.and_then(|boot| boot.trim().parse::<i64>().ok()), field(22))
        {
            let after = i64::try_from(after.saturating_mul(1_000_000 / TICKS)).unwrap_or_default();
            self.started = Some(UnixTime(boot.saturating_mul(1_000_000).saturating_add(after)));
        }
    }

    /// `proc_pid_status(5)`: sizes are in kB of 1024 bytes.
    fn add_status(&mut self, status: &str) {
        for line in status.lines() {
            let Some((name, value)) = line.split_once(':') else { continue };
            let number = value.split_ascii_whitespace().next().and_then(|number| number.parse::<u64>().ok());
            match name {
                "VmRSS" => self.resident_bytes = number.map(|number| number.saturating_mul(1024)),
                "VmSize" => self.virtual_bytes = number.map(|number| number.saturating_mul(1024)),
                "Threads" => self.threads = number,
                _ => {}
            }
        }
    }
}

/// Ticks a second in `/proc`: a constant of Linux's interface to programs (`USER_HZ`), on every architecture that we
/// build for.
const TICKS: u64 = 100;

#[expect(
    clippy::cast_precision_loss,
    reason = "exact up to 2^53 ticks, which is longer than any server lives"
)]
fn seconds(ticks: u64) -> f64 {
    ticks as f64 / TICKS as f64
}

fn text(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_tells_of_this_process() {
        let process = Process::read();
        assert!(process.resident_bytes.is_some_and(|bytes| bytes > 100_000), "{process:?}");
        assert!(process.open_descriptors.is_some_and(|open| open >= 3), "{process:?}");
        assert!(process.cpu_seconds.is_some() && process.threads.is_some(), "{process:?}");
        assert!(process.started.is_some_and(|started| started.seconds() > 1_500_000_000), "{process:?}");
    }

    #[test]
    fn a_name_with_parentheses_and_texts_that_are_none_do_no_harm() {
        let mut process = Process::default();
        let fields = "S 1 1 1 0 -1 0 0 0 0 0 150 50 0 0 20 0 3 0 200 1000 10";
        process.add_stat(&format!("12 (a) (b)) {fields}"), "cpu 1\nbtime 1000\n");
        assert_eq!((process.cpu_seconds, process.started), (Some(2.0), Some(UnixTime(1_002_000_000))));
        let mut nothing = Process::default();
        for text in ["", "12 (a", "12 (a) S", "12 (a) S x y"] {
            nothing.add_stat(text, "btime x");
            nothing.add_status(text);
        }
        nothing.add_status("VmRSS: x kB\nThreads\nVmSize:\n");
        assert_eq!(nothing, Process::default());
    }
}
