//! A process that stands still for a while, as one does whose machine is paused or whose memory is on a slow disk.

use crate::{SOON, eventually};
use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};
use std::time::Duration;

/// A process that is stopped (SIGSTOP); it goes on when this value goes.
#[derive(Debug)]
pub struct Paused(Pid);

impl Paused {
    /// Stops a process, and returns when none of its threads runs any more.
    ///
    /// # Errors
    /// When it is gone.
    pub fn new(pid: u32) -> Result<Self> {
        let raw = i32::try_from(pid).ok().and_then(Pid::from_raw).context("no process id")?;
        kill_process(raw, Signal::STOP).context("stopping a process")?;
        let paused = Self(raw);
        eventually("stop of all threads", SOON, || {
            let mut still = true;
            for thread in std::fs::read_dir(format!("/proc/{pid}/task"))? {
                let stat = std::fs::read_to_string(thread?.path().join("stat"))?;
                // proc_pid_stat(5): the state follows the name, which stands in parentheses and may hold anything.
                still &= stat.rsplit_once(") ").is_some_and(|(_, fields)| fields.starts_with('T'));
            }
            Ok(still.then_some(()))
        })?;
        Ok(paused)
    }

    /// Lets it stand still for so long, and then go on.
    pub fn last(self, duration: Duration) {
        std::thread::sleep(duration);
    }
}

impl Drop for Paused {
    fn drop(&mut self) {
        // It may have been killed meanwhile.
        kill_process(self.0, Signal::CONT).unwrap_or_default();
    }
}
