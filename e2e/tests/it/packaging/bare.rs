//! A bare Debian: nothing but what every system has, in namespaces of its own for mounts, processes and network.

#![expect(clippy::print_stderr, reason = "the runner keeps it: what was left out, and why")]

use super::nspawn::{ControlGroups, boot, first_process};
use super::project;
use anyhow::{Context, Result, bail, ensure};
use jackfield_e2e::{Processes, Program, Running, SOON, Scratch, all_cases, eventually};
use rustix::process::{Pid, Signal, kill_process};
use std::path::Path;
use std::time::Duration;

/// Unpacking a system, and packages that are set up in it, on a busy machine.
pub(super) const SLOW: Duration = Duration::from_secs(60);

/// What the first process of such a system is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Init {
    /// One that does nothing: no systemd runs, as in a chroot or a container.
    Idle,
    /// systemd, as on a machine.
    Systemd,
}

/// A system of its own; all of it ends with this value.
#[derive(Debug)]
pub(super) struct Bare {
    // Ends before its groups and its folder go.
    holder: Running,
    init: u32,
    _groups: Option<ControlGroups>,
    folder: Scratch,
}

impl Bare {
    /// Unpacks and starts one; none where the long forms of tests are not asked for, or one cannot be made.
    pub(super) fn or_skip(init: Init) -> Result<Option<Self>> {
        if !all_cases() {
            return Ok(None);
        }
        let archive = project()?.join(".tools/debian.tar");
        if !rustix::process::geteuid().is_root() || !archive.is_file() {
            eprintln!("not root, or no {}: nothing was installed in a bare Debian", archive.display());
            return Ok(None);
        }
        let folder = Scratch::new()?;
        let root = folder.path().join("root");
        std::fs::create_dir(&root)?;
        let (holder, groups) = match init {
            Init::Idle => (idle(&root, &archive)?, None),
            Init::Systemd => {
                let name = folder.path().file_name().context("a name")?.to_string_lossy();
                let groups = ControlGroups::new(format!("jackfield-{name}"))?;
                let Some(holder) = boot(&root, &archive, &groups) else { return Ok(None) };
                (holder?, Some(groups))
            }
        };
        let mut system = Self { holder, init: 0, _groups: groups, folder };
        let name = if init == Init::Idle { "sleep" } else { "systemd" };
        system.init = first_process(&mut system.holder, name)?;
        Ok(if init == Init::Idle || system.is_up()? { Some(system) } else { None })
    }

    /// Waits until systemd has started what starts at boot.
    fn is_up(&self) -> Result<bool> {
        let state = || {
            let state = self.inside("systemctl is-system-running --wait").run(SOON)?.stdout;
            Ok(["running", "degraded"].contains(&state.as_str()).then_some(()))
        };
        let up = eventually("booted system", SLOW, state);
        if let Err(error) = &up {
            let said = self.holder.last_words();
            eprintln!("{error:#}: nothing was installed where systemd runs{said}");
        }
        Ok(up.is_ok())
    }

    /// A folder of this machine, for what goes in and what came out.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A program of this machine that sees the network of that system and nothing else of it.
    pub(super) fn outside(&self, program: &str) -> Program {
        let target = format!("--target={}", self.init);
        Program::new("nsenter").args([target, "--net".to_owned(), "--".to_owned(), program.to_owned()])
    }

    /// A line of shell, run by root inside.
    pub(super) fn inside(&self, line: &str) -> Program {
        Program::new("nsenter")
            .args([format!("--target={}", self.init)])
            .args(["--mount", "--net", "--pid", "--ipc", "--uts", "--root", "--"])
            .args(["env", "--ignore-environment", "HOME=/root", "LC_ALL=C.UTF-8"])
            .args(["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"])
            .args(["DEBIAN_FRONTEND=noninteractive", "/bin/sh", "-ec"])
            .args([format!("cd /; {line}")])
    }

    /// What such a line prints, if it succeeds.
    pub(super) fn ok(&self, line: &str) -> Result<String> {
        let done = self.inside(line).run(SLOW)?;
        ensure!(
            done.code == Some(0),
            "`{line}` ended with {:?}\n{}\n{}",
            done.code,
            done.stdout,
            done.stderr
        );
        Ok(done.stdout)
    }

    /// Puts a package inside and has dpkg set it up.
    pub(super) fn install(&self, package: &Path) -> Result<()> {
        let name = package.file_name().context("a package")?;
        let inside = format!("/proc/{}/root/tmp", self.init);
        std::fs::copy(package, Path::new(&inside).join(name)).context("putting the package inside")?;
        let name = name.to_string_lossy();
        self.ok(&format!("dpkg --install /tmp/{name} && rm /tmp/{name}")).map(drop)
    }

    /// A file inside.
    pub(super) fn read(&self, path: &str) -> Result<String> {
        std::fs::read_to_string(format!("/proc/{}/root{path}", self.init)).with_context(|| path.to_owned())
    }

    /// Adds to a file inside, which is made if need be.
    pub(super) fn append(&self, path: &str, text: &str) -> Result<()> {
        use std::io::Write;
        let mut how = std::fs::OpenOptions::new();
        let file = how.append(true).create(true).open(format!("/proc/{}/root{path}", self.init));
        file.and_then(|mut file| file.write_all(text.as_bytes())).with_context(|| path.to_owned())
    }
}

/// Sends a signal to the process of this name that a program of [`Bare::inside`] became: what stands between takes none.
pub(super) fn signal(program: &Running, name: &str, signal: Signal) -> Result<()> {
    let now = Processes::now()?;
    let below = now.below(program.pid());
    let pid = below.into_iter().find(|pid| now.name(*pid) == Some(name)).context("it does not run")?;
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).context("no process id")?;
    kill_process(pid, signal).context("signalling it")
}

/// A line of shell that unpacks the archive `$1` into the folder `$0`, in memory and in a mount namespace that the shell must
/// have to itself: what a test leaves is gone with its processes, and nobody has to remove ten thousand files.
pub(super) const UNPACK: &str = r#"mount -t tmpfs -o mode=0755,size=1g bare "$0"
        tar --extract --numeric-owner --preserve-permissions --file "$1" --directory "$0""#;

/// A system with a loopback and `/proc`, whose first process sleeps.
fn idle(root: &Path, archive: &Path) -> Result<Running> {
    let script = r#"mount -t proc proc "$0/proc"
        ip link set lo up
        echo ready
        exec chroot "$0" sleep infinity"#;
    let mut holder = Program::new("unshare")
        .args(["--mount", "--net", "--pid", "--ipc", "--uts", "--fork", "--kill-child", "sh", "-ec"])
        .args([format!("{UNPACK}\n{script}").as_ref(), root.as_os_str(), archive.as_os_str()])
        .start()?;
    if holder.stdout().wait("a bare system", SLOW, |lines| lines.first().cloned()).is_err() {
        holder.wait(SOON)?;
        bail!("no namespaces for a bare system:{}", holder.last_words());
    }
    Ok(holder)
}

/// What holds a system may be killed without ending what it holds.
impl Drop for Bare {
    fn drop(&mut self) {
        if let Some(init) = i32::try_from(self.init).ok().and_then(Pid::from_raw) {
            kill_process(init, Signal::KILL).unwrap_or_default();
            // With time to tidy up after itself, it leaves nothing in `/run`.
            self.holder.wait(SOON).map(drop).unwrap_or_default();
        }
    }
}
