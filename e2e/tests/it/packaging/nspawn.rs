//! How a bare Debian is booted by `systemd-nspawn`, in control groups of its own.
//!
//! Where no systemd runs outside, `systemd-nspawn` makes its groups `payload` and `supervisor` in the group that it is
//! started in. What one that was killed left there, in one hierarchy and not in the other, no later one can use: so each
//! gets a group that nobody had before.

#![expect(clippy::print_stderr, reason = "the runner keeps it: what was left out, and why")]

use super::bare::{SLOW, UNPACK};
use anyhow::{Context, Result, bail};
use jackfield_e2e::{Processes, Program, Running, SOON, eventually};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Goes into the groups named after the archive and before `--`, and becomes what is named behind that.
const ENTER: &str = r#"shift
    while [ "$1" != -- ]; do echo $$ > "$1/cgroup.procs"; shift; done
    shift
    exec "$@""#;

/// Starts the system of this archive in this folder with systemd as its first process; none where `systemd-nspawn` is not installed.
pub(super) fn boot(root: &Path, archive: &Path, groups: &ControlGroups) -> Option<Result<Running>> {
    if Program::new("systemd-nspawn").args(["--version"]).run(SOON).is_err() {
        eprintln!("systemd-nspawn is not installed: nothing was installed where systemd runs");
        return None;
    }
    let start = Program::new("unshare")
        .args(["--mount", "sh", "-ec"])
        .args([format!("{UNPACK}\n{ENTER}").as_ref(), root.as_os_str(), archive.as_os_str()])
        .args(&groups.folders)
        .args(["--", "systemd-nspawn", "--boot", "--private-network", "--register=no", "--keep-unit"])
        .args(["--console=pipe", "--quiet", "--resolv-conf=off", "--timezone=off", "--link-journal=no"])
        .args([format!("--machine={}", groups.name)])
        .args(["--directory".as_ref(), root.as_os_str()]);
    Some(start.start())
}

/// The first process of a system, a child of who holds it that has this name: others come and go before it.
pub(super) fn first_process(holder: &mut Running, name: &str) -> Result<u32> {
    eventually("first process of a bare system", SLOW, || {
        let now = Processes::now()?;
        let found = now.children(holder.pid()).into_iter().find(|pid| now.name(*pid) == Some(name));
        if found.is_none()
            && let Ok(status) = holder.wait(Duration::ZERO)
        {
            bail!("what holds the bare system ended with {status}");
        }
        Ok(found)
    })
    .with_context(|| {
        // Its last words may still be on their way.
        holder.stderr().wait_closed("words", Duration::from_secs(1)).unwrap_or_default();
        format!("no bare system:{}", holder.last_words())
    })
}

/// A control group in each hierarchy that systemd may use, below that of the test. They go with this value.
#[derive(Debug)]
pub(super) struct ControlGroups {
    name: String,
    folders: Vec<PathBuf>,
}

impl ControlGroups {
    /// Makes them. Where none can be made there are none, and `systemd-nspawn` says what it thinks of that.
    pub(super) fn new(name: String) -> Result<Self> {
        let own = fs::read_to_string("/proc/self/cgroup").context("the control groups of the test")?;
        let path =
            |hierarchy: &str| own.lines().find_map(|line| line.split_once(hierarchy)).map(|(_, path)| path);
        // cgroups(7), and "hybrid" in systemd's CGROUP_DELEGATION: version 2 alone, or beside a named one of version 1.
        let mounted = [
            ("/sys/fs/cgroup", "0::"),
            ("/sys/fs/cgroup/unified", "0::"),
            ("/sys/fs/cgroup/systemd", ":name=systemd:"),
        ];
        let mut groups = Self { name, folders: vec![] };
        for (mount, hierarchy) in mounted {
            if let Some(path) = path(hierarchy)
                && Path::new(mount).join("cgroup.procs").exists()
            {
                let folder = Path::new(mount).join(path.trim_start_matches('/')).join(&groups.name);
                match fs::create_dir(&folder) {
                    Ok(()) => groups.folders.push(folder),
                    Err(error) => eprintln!("no control group {}: {error}", folder.display()),
                }
            }
        }
        Ok(groups)
    }
}

impl Drop for ControlGroups {
    fn drop(&mut self) {
        // A group can go when the last of its processes is gone, which may be a moment after its end was seen.
        for folder in &self.folders {
            let removed = eventually("empty control group", SOON, || Ok(remove(folder).ok()));
            if let Err(error) = removed {
                eprintln!("{} is left: {error:#}", folder.display());
            }
        }
    }
}

/// Removes a control group and those in it. Its files are the kernel's, and go with it.
fn remove(group: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(group)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove(&entry.path())?;
        }
    }
    fs::remove_dir(group)
}
