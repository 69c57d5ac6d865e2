//! Who lives below the helper. The kernel is the memory: the helper adopts every orphan below it
//! (`PR_SET_CHILD_SUBREAPER`), so that what a program left behind is found among its children, however it
//! left its parents.

use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions};

/// Somebody who lives below the helper.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Living {
    pub(super) pid: Pid,
    pub(super) group: Pid,
    pub(super) relation: Relation,
}

/// What somebody is to the helper.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Relation {
    /// Its child: the number is taken until the helper reaps it.
    Child,
    /// In this session of a helper that died. The server keeps that one unreaped, so that no
    /// other session has its number.
    Adopted { session: Pid },
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

/// Everybody, by a look through `/proc`: for rare occasions.
pub(super) fn living(adopted: &[Pid]) -> Vec<Living> {
    let helper = rustix::process::getpid();
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|number: i32| {
            let pid = Pid::from_raw(number)?;
            let stat = Stat::read(pid)?;
            let relation = if stat.parent == helper.as_raw_pid() {
                Relation::Child
            } else {
                let session = adopted.iter().find(|session| session.as_raw_pid() == stat.session)?;
                Relation::Adopted { session: *session }
            };
            Some(Living { pid, group: Pid::from_raw(stat.group)?, relation })
        })
        .collect()
}

/// Signals one who was adopted, whose number may mean another by now: the descriptor holds on to whoever
/// has it, and is used only if that one is in the session.
pub(super) fn signal_adopted(pid: Pid, session: Pid, signal: Signal) {
    let Ok(held) = rustix::process::pidfd_open(pid, PidfdFlags::empty()) else { return };
    if Stat::read(pid).is_some_and(|stat| stat.session == session.as_raw_pid()) {
        rustix::process::pidfd_send_signal(held, signal).ok();
    }
}

/// The fields of `/proc/<pid>/stat` that are wanted here (proc_pid_stat(5)).
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    state: u8,
    parent: i32,
    group: i32,
    session: i32,
}

impl Stat {
    /// Of somebody who lives.
    fn read(pid: Pid) -> Option<Self> {
        let text = std::fs::read(format!("/proc/{}/stat", pid.as_raw_pid())).ok()?;
        Self::parse(&text).filter(|stat| !matches!(stat.state, b'Z' | b'X'))
    }

    /// The second field is the program's name in parentheses and may hold anything, parentheses too.
    fn parse(text: &[u8]) -> Option<Self> {
        let after_name = text.iter().rposition(|byte| *byte == b')')?;
        let mut fields = std::str::from_utf8(text.get(after_name + 1..)?).ok()?.split_ascii_whitespace();
        Some(Self {
            state: *fields.next()?.as_bytes().first()?,
            parent: fields.next()?.parse().ok()?,
            group: fields.next()?.parse().ok()?,
            session: fields.next()?.parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_and_spaces_does_not_shift_the_fields() {
        let stat = Stat::parse(b"42 (a) R 1 (b)) S 7 40 39 0 -1");
        assert_eq!(stat, Some(Stat { state: b'S', parent: 7, group: 40, session: 39 }));
        assert_eq!(Stat::parse(b"42 (cut"), None);
        assert_eq!(Stat::parse(b"42 (cut) S 7"), None);
    }
}
