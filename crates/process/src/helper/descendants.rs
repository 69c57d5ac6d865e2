//! Who lives below the helper. The kernel is the memory: the helper adopts every orphan below it
//! (`PR_SET_CHILD_SUBREAPER`), so that what a program left behind is found among its children, however it
//! left its parents.

use rustix::process::{Pid, WaitId, WaitIdOptions};

/// A living child of the helper.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Living {
    pub(super) pid: Pid,
    pub(super) group: Pid,
}

/// Whether a child of the helper lives in this group.
///
/// Only the helper reaps its children, so that after a "yes" the group's number stays taken until
/// the helper reaps again: a signal to the group sent before that cannot hit anybody else's. A wait for stopped
/// children reports none of them, and fails only when there is none that may ever stop, zombies not being such.
pub(super) fn any_in_group(group: Pid) -> bool {
    lives(WaitId::Pgid(Some(group)))
}

/// Whether the helper has a living child at all.
pub(super) fn any() -> bool {
    lives(WaitId::All)
}

fn lives(which: WaitId<'_>) -> bool {
    let options = WaitIdOptions::STOPPED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    rustix::process::waitid(which, options).is_ok()
}

/// All living children, by a look through `/proc`: for rare occasions.
pub(super) fn living() -> Vec<Living> {
    let helper = rustix::process::getpid();
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|pid: i32| {
            let stat = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
            let stat = Stat::parse(&stat)?;
            let alive = !matches!(stat.state, b'Z' | b'X');
            let child = Living { pid: Pid::from_raw(pid)?, group: Pid::from_raw(stat.group)? };
            (alive && stat.parent == helper.as_raw_pid()).then_some(child)
        })
        .collect()
}

/// The fields of `/proc/<pid>/stat` that are wanted here (proc_pid_stat(5)).
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    state: u8,
    parent: i32,
    group: i32,
}

impl Stat {
    /// The second field is the program's name in parentheses and may hold anything, parentheses too.
    fn parse(text: &[u8]) -> Option<Self> {
        let after_name = text.iter().rposition(|byte| *byte == b')')?;
        let mut fields = std::str::from_utf8(text.get(after_name + 1..)?).ok()?.split_ascii_whitespace();
        Some(Self {
            state: *fields.next()?.as_bytes().first()?,
            parent: fields.next()?.parse().ok()?,
            group: fields.next()?.parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_and_spaces_does_not_shift_the_fields() {
        let stat = Stat::parse(b"42 (a) R 1 (b)) S 7 40 40 0 -1");
        assert_eq!(stat, Some(Stat { state: b'S', parent: 7, group: 40 }));
        assert_eq!(Stat::parse(b"42 (cut"), None);
        assert_eq!(Stat::parse(b"42 (cut) S 7"), None);
    }
}
