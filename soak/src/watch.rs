//! What the server under test takes: looked at from outside, every second.

use crate::board::Board;
use crate::control::{Control, State};
use crate::findings::{Check, Findings};
use anyhow::{Context, Result};
use jackfield_e2e::Processes;
use jackfield_media::Mono;
use jackfield_runtime::clock;
use serde_json::{Value, json};
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What is left when nobody is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Remains {
    pub(crate) descriptors: usize,
    pub(crate) tasks: usize,
    pub(crate) programs: usize,
}

impl Remains {
    pub(crate) async fn count(pid: u32, control: &mut Control) -> Result<Self> {
        let State { tasks, .. } = control.state().await?;
        let programs = Processes::now()?.below(pid).len();
        Ok(Self { descriptors: descriptors(pid)?, tasks, programs })
    }

    /// Whether nothing is there that was not before.
    pub(crate) fn is_within(self, start: Self) -> bool {
        self.descriptors <= start.descriptors && self.tasks <= start.tasks && self.programs <= start.programs
    }

    pub(crate) fn json(self) -> Value {
        json!({ "descriptors": self.descriptors, "tasks": self.tasks, "programs": self.programs })
    }
}

/// Looks at the server, and tells.
pub(crate) struct Watch {
    pub(crate) pid: u32,
    pub(crate) control: Control,
    pub(crate) samples: std::fs::File,
    began: Mono,
    resident: Vec<(Duration, u64)>,
    last: Last,
    /// By how many milliseconds the load was late at most.
    pub(crate) latest_ms: u64,
}

/// Counts at the last line.
#[derive(Debug, Clone, Copy, Default)]
struct Last {
    at: Duration,
    frames: u64,
    events: u64,
    joined: u64,
    ticks: u64,
    own_ticks: u64,
}

impl Watch {
    pub(crate) fn new(pid: u32, control: Control, samples: std::fs::File) -> Self {
        println!(
            "{:>7} {:>8} {:>6} {:>9} {:>8} {:>6} {:>6} {:>9} {:>8} {:>7} {:>6} {:>6} {:>7} {:>7}",
            "time",
            "viewers",
            "pubs",
            "frames/s",
            "RSS KiB",
            "fds",
            "tasks",
            "events/s",
            "joins/s",
            "join ms",
            "CPU %",
            "load %",
            "late ms",
            "faults"
        );
        Self {
            pid,
            control,
            samples,
            began: clock::now(),
            resident: Vec::new(),
            last: Last::default(),
            latest_ms: 0,
        }
    }

    /// Looks at its memory.
    pub(crate) fn sample(&mut self) -> Result<()> {
        self.resident.push((clock::now() - self.began, resident_kib(self.pid)?));
        Ok(())
    }

    /// How long it has been watched.
    pub(crate) fn age(&self) -> Duration {
        clock::now() - self.began
    }

    /// Prints a line, and writes it as JSON.
    pub(crate) async fn tell(&mut self, board: &Board) -> Result<()> {
        let State { tasks, connections, streams, viewers: attached, .. } = self.control.state().await?;
        let at = self.age();
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let counts = &board.counts;
        let now = Last {
            at,
            frames: count(&counts.frames),
            events: count(&counts.events),
            joined: count(&counts.joined),
            ticks: ticks(self.pid)?,
            own_ticks: ticks(std::process::id())?,
        };
        let millis = u64::try_from((at - self.last.at).as_millis()).unwrap_or(1).max(1);
        let rate = |now: u64, before: u64| (now - before) * 1000 / millis;
        let (viewers, publishers) = (count(&counts.viewers), count(&counts.publishers));
        let (frames, events) = (rate(now.frames, self.last.frames), rate(now.events, self.last.events));
        // A tick is a hundredth of a second (sysconf(_SC_CLK_TCK), always so on Linux).
        let (joins, cpu) = (rate(now.joined, self.last.joined), rate(now.ticks, self.last.ticks));
        let load = rate(now.own_ticks, self.last.own_ticks);
        let join = counts.join_ms.swap(0, Ordering::Relaxed);
        let late = counts.late_ms.swap(0, Ordering::Relaxed);
        self.latest_ms = self.latest_ms.max(late);
        let (resident, descriptors) = (resident_kib(self.pid)?, descriptors(self.pid)?);
        let (faults, seconds) = (board.findings.faults(), at.as_secs());
        println!(
            "{seconds:>6}s {viewers:>8} {publishers:>6} {frames:>9} {resident:>8} {descriptors:>6} {tasks:>6} {events:>9} {joins:>8} {join:>7} {cpu:>6} {load:>6} {late:>7} {faults:>7}"
        );
        let line = json!({
            "seconds": seconds, "viewers": viewers, "publishers": publishers, "frames_per_s": frames,
            "resident_kib": resident, "descriptors": descriptors, "tasks": tasks, "events_per_s": events,
            "joins_per_s": joins, "slowest_join_ms": join, "cpu_percent": cpu, "load_cpu_percent": load, "load_late_ms": late, "faults": faults, "connections": connections,
            "streams": streams, "attached": attached,
        });
        writeln!(self.samples, "{line}").context("the samples")?;
        self.last = now;
        Ok(())
    }

    /// Compares its memory after the warm-up with that at the end.
    pub(crate) fn judge_memory(&self, warm_up: Duration, findings: &Findings) -> Value {
        let Some((before, after)) = growth(&self.resident, warm_up) else {
            return json!("too short to tell");
        };
        findings.examined(Check::Memory, 1);
        // In hundredths of a percent.
        let grown = (i128::from(after) - i128::from(before)) * 10_000 / i128::from(before.max(1));
        if grown >= 100 {
            findings.fault(Check::Memory, format!("from {before} KiB to {after} KiB"));
        }
        let sign = if grown < 0 { "-" } else { "" };
        let percent = format!("{sign}{}.{:02} %", grown.abs() / 100, grown.abs() % 100);
        json!({ "after_warm_up_kib": before, "at_the_end_kib": after, "growth": percent })
    }
}

/// What is measured after the warm-up must be so long.
const LEAST: Duration = Duration::from_secs(60);

/// Medians of the first and of the last fifth after the warm-up.
fn growth(resident: &[(Duration, u64)], warm_up: Duration) -> Option<(u64, u64)> {
    let begin = resident.iter().position(|(at, _)| *at >= warm_up)?;
    let measured = resident.get(begin..)?;
    let length = measured.last()?.0.saturating_sub(measured.first()?.0);
    if length < LEAST {
        return None;
    }
    let fifth = measured.len() / 5;
    let median = |part: &[(Duration, u64)]| {
        let mut values: Vec<u64> = part.iter().map(|(_, kib)| *kib).collect();
        values.sort_unstable();
        values.get(values.len() / 2).copied()
    };
    Some((median(measured.get(..fifth)?)?, median(measured.get(measured.len() - fifth..)?)?))
}

fn proc(pid: u32, file: &str) -> Result<String> {
    let path = format!("/proc/{pid}/{file}");
    std::fs::read_to_string(&path).context(path)
}

/// Exact, other than `VmRSS`, which each processor counts for itself for a while (proc_pid_status(5)).
fn resident_kib(pid: u32) -> Result<u64> {
    let text = proc(pid, "smaps_rollup")?;
    let line = text.lines().find_map(|line| line.strip_prefix("Rss:")).context("the server has ended")?;
    line.trim().trim_end_matches(" kB").parse().context("Rss is no number")
}

/// All that are open but the server's logs on disk: their segments and folders come and go with what is written.
fn descriptors(pid: u32) -> Result<usize> {
    let path = format!("/proc/{pid}/fd");
    let of_a_log =
        |target: &Path| target.extension().is_some_and(|ending| ending == "seg") || target.is_dir();
    let open = std::fs::read_dir(&path).context(path)?;
    Ok(open.flatten().filter(|entry| !entry.path().read_link().is_ok_and(|target| of_a_log(&target))).count())
}

/// Time on the processor in user and system mode (proc_pid_stat(5)).
fn ticks(pid: u32) -> Result<u64> {
    let text = proc(pid, "stat")?;
    let (_, fields) = text.rsplit_once(") ").context("the server has ended")?;
    let used = fields.split_whitespace().skip(11).take(2).map(str::parse::<u64>);
    used.sum::<Result<u64, _>>().context("stat")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(kib: impl Fn(u64) -> u64) -> Option<(u64, u64)> {
        let samples: Vec<_> = (0..600).map(|second| (Duration::from_secs(second), kib(second))).collect();
        growth(&samples, Duration::from_secs(100))
    }

    #[test]
    fn growth_is_seen_after_the_warm_up_and_a_spike_is_none() {
        assert_eq!(of(|second| if second < 100 { second } else { 1000 }), Some((1000, 1000)));
        assert_eq!(of(|second| if second % 50 == 0 { 9000 } else { 1000 }), Some((1000, 1000)));
        let (before, after) = of(|second| 1000 + second).unwrap();
        assert!((1140..1160).contains(&before) && (1540..1560).contains(&after), "{before} {after}");
        assert_eq!(growth(&[(Duration::ZERO, 1), (Duration::from_secs(50), 1)], Duration::ZERO), None);
    }

    #[test]
    fn we_can_be_looked_at() {
        let me = std::process::id();
        assert!(resident_kib(me).unwrap() > 100 && descriptors(me).unwrap() >= 3);
        ticks(me).unwrap();
    }
}
