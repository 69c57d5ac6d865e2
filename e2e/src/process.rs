//! What `/proc` tells of the server: its descriptors, its memory, its children.

use anyhow::{Context, Result, bail};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

/// A look at all processes of the machine.
#[derive(Debug)]
pub struct Processes(BTreeMap<u32, Process>);

#[derive(Debug)]
struct Process {
    parent: u32,
    group: u32,
    name: String,
    state: char,
}

impl Processes {
    /// Looks now.
    ///
    /// # Errors
    /// When `/proc` cannot be listed.
    pub fn now() -> Result<Self> {
        let mut found = BTreeMap::new();
        for entry in std::fs::read_dir("/proc").context("/proc")? {
            let pid = entry?.file_name().to_string_lossy().parse();
            // A process that ended since is no error.
            if let Some((pid, process)) = pid.ok().and_then(|pid| Some((pid, stat(pid)?))) {
                found.insert(pid, process);
            }
        }
        Ok(Self(found))
    }

    /// The children of `pid`, their children, and so on.
    pub fn below(&self, pid: u32) -> Vec<u32> {
        let mut found = vec![];
        let mut todo = vec![pid];
        while let Some(parent) = todo.pop() {
            let children = self.children(parent);
            todo.extend(&children);
            found.extend(children);
        }
        found
    }

    /// The processes of a group that have not ended.
    pub fn of_group(&self, group: u32) -> Vec<u32> {
        let members = self.0.iter().filter(|(_, process)| process.group == group && process.state != 'Z');
        members.map(|(pid, _)| *pid).collect()
    }

    /// The children of `pid`.
    pub fn children(&self, pid: u32) -> Vec<u32> {
        self.0.iter().filter(|(_, process)| process.parent == pid).map(|(pid, _)| *pid).collect()
    }

    /// Whether the process is there and has not ended.
    pub fn lives(&self, pid: u32) -> bool {
        self.0.get(&pid).is_some_and(|process| process.state != 'Z')
    }

    /// The program's name (at most 15 characters), if the process is there.
    pub fn name(&self, pid: u32) -> Option<&str> {
        self.0.get(&pid).map(|process| process.name.as_str())
    }
}

/// proc_pid_stat(5): the name stands in parentheses and may hold anything, so the fields are counted from its end.
fn stat(pid: u32) -> Option<Process> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (head, fields) = text.rsplit_once(") ")?;
    let (_, name) = head.split_once('(')?;
    let mut fields = fields.split_whitespace();
    let state = fields.next()?.chars().next()?;
    let parent = fields.next()?.parse().ok()?;
    let group = fields.next()?.parse().ok()?;
    Some(Process { parent, group, name: name.to_owned(), state })
}

/// Waits until a process has ended, anybody's; one that is gone already has.
///
/// # Errors
/// When it still runs after `within`.
pub fn wait_end(pid: u32, within: Duration) -> Result<()> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).context("no process id")?;
    let pidfd = match pidfd_open(pid, PidfdFlags::empty()) {
        Err(rustix::io::Errno::SRCH) => return Ok(()),
        pidfd => pidfd.context("pidfd_open")?,
    };
    let deadline = Instant::now() + within;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec::try_from(left).context("deadline")?;
        // pidfd_open(2): the descriptor becomes readable when the process has ended.
        match poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&timeout)) {
            Ok(0) if left.is_zero() => bail!("process {pid:?} did not end within {within:?}"),
            Ok(0) | Err(rustix::io::Errno::INTR) => {}
            result => return result.map(drop).context("poll"),
        }
    }
}

/// How many descriptors the process has open, but for its logs on disk: segments and their folders come and go with what is
/// written, and are few.
pub(crate) fn descriptors(pid: u32) -> Result<usize> {
    let path = format!("/proc/{pid}/fd");
    let of_a_log =
        |target: &Path| target.extension().is_some_and(|ending| ending == "seg") || target.is_dir();
    let open = std::fs::read_dir(&path).context(path)?;
    Ok(open.flatten().filter(|entry| !entry.path().read_link().is_ok_and(|target| of_a_log(&target))).count())
}

/// How many threads the process has.
pub(crate) fn threads(pid: u32) -> Result<usize> {
    let path = format!("/proc/{pid}/task");
    Ok(std::fs::read_dir(&path).context(path)?.count())
}

/// Resident memory of the process (`VmRSS`), in KiB.
///
/// # Errors
/// When the process is gone.
pub fn resident_kib(pid: u32) -> Result<u64> {
    status_kib(pid, "VmRSS:")
}

/// The most resident memory that the process had since its start or [`forget_peak`] (`VmHWM`), in KiB.
///
/// # Errors
/// When the process is gone.
pub fn peak_kib(pid: u32) -> Result<u64> {
    status_kib(pid, "VmHWM:")
}

/// Lets the peak of a process begin anew at what it has now.
///
/// # Errors
/// When the process is gone.
pub fn forget_peak(pid: u32) -> Result<()> {
    let path = format!("/proc/{pid}/clear_refs");
    // proc(5): "5" resets the peak.
    std::fs::write(&path, "5").context(path)
}

fn status_kib(pid: u32, name: &str) -> Result<u64> {
    let path = format!("/proc/{pid}/status");
    let text = std::fs::read_to_string(&path).context(path)?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name))
        .with_context(|| format!("no {name} the process has ended"))?;
    line.trim().trim_end_matches(" kB").parse().with_context(|| format!("{name} is no number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_finds_ourselves_and_our_child() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let me = std::process::id();
        let now = Processes::now().unwrap();
        assert!(now.lives(me) && now.below(me).contains(&child.id()));
        assert!(wait_end(child.id(), Duration::from_millis(1)).is_err());
        child.kill().unwrap();
        wait_end(child.id(), crate::SOON).unwrap();
        child.wait().unwrap();
        wait_end(child.id(), crate::SOON).unwrap();
        assert!(!Processes::now().unwrap().lives(child.id()));
        forget_peak(me).unwrap();
        assert!(resident_kib(me).unwrap() > 100 && peak_kib(me).unwrap() > 100);
        assert!(descriptors(me).unwrap() >= 3 && threads(me).unwrap() >= 1);
    }
}
