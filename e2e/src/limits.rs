//! What a process may have and what it has used: descriptors and processor time.

use anyhow::{Context, Result};
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit, setrlimit};
use std::time::Duration;

/// proc(5) counts in `USER_HZ`, which is 100 wherever Linux runs.
const TICKS_PER_SECOND: u64 = 100;

/// Raises the test's own limit of descriptors as far as it may, and returns it.
///
/// # Errors
/// When the kernel refuses.
pub fn raise_own_descriptors() -> Result<u64> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).context("raising the limit of descriptors")?;
    Ok(limit.current.unwrap_or(u64::MAX))
}

/// Bounds the descriptors of a running process: those that it has stay, and new ones fail from this number on. Returns the
/// limit that it had.
///
/// # Errors
/// When the process is gone.
pub fn limit_descriptors(pid: u32, limit: u64) -> Result<u64> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).context("no process id")?;
    // The hard limit stays, so that it can be raised again.
    let hard = getrlimit(Resource::Nofile).maximum;
    let new = Rlimit { current: Some(limit), maximum: hard };
    let former = prlimit(Some(pid), Resource::Nofile, new).context("prlimit")?;
    Ok(former.current.unwrap_or(u64::MAX))
}

/// Processor time that a process has used, its threads together.
///
/// # Errors
/// When it is gone.
pub fn cpu_time(pid: u32) -> Result<Duration> {
    let path = format!("/proc/{pid}/stat");
    let text = std::fs::read_to_string(&path).context(path)?;
    // proc_pid_stat(5): utime and stime are the 14th and 15th field; the name, the second, may hold anything.
    let (_, fields) = text.rsplit_once(") ").context("a line of /proc/…/stat")?;
    let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<u64>);
    let ticks = ticks.sum::<Result<u64, _>>().context("a line of /proc/…/stat")?;
    Ok(Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_passes_for_who_works() {
        let me = std::process::id();
        let before = cpu_time(me).unwrap();
        let used = crate::eventually("processor time", crate::SOON, || {
            let now = cpu_time(me)?;
            Ok((now > before).then_some(now))
        });
        assert!(used.is_ok());
    }
}
