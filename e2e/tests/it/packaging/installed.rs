//! The package on a bare Debian where no systemd runs: the life of an installation, and the server started by hand as the
//! unit says it.

use super::bare::{Bare, Init, signal};
use super::package;
use anyhow::{Context, Result, ensure};
use jackfield_e2e::{Program, Running, SOON, clip, eventually};
use rustix::process::Signal;

const CONFIG: &str = "/etc/jackfield/jackfield.toml";
const DATA: &str = "/var/lib/jackfield";

#[test]
fn the_package_serves_is_upgraded_and_leaves_nothing() -> Result<()> {
    let Some(system) = Bare::or_skip(Init::Idle)? else { return Ok(()) };
    let old = package("0.0.1", system.folder())?.context("no dpkg on this machine")?;
    let new = package("0.0.2", system.folder())?.context("no dpkg on this machine")?;
    let before = inventory(&system)?;

    system.install(&old)?;
    is_set_up(&system)?;
    serves(&system)?;

    system.append(CONFIG, "# Mine.\n")?;
    system.ok(&format!("chmod 0644 {CONFIG} && echo kept > {DATA}/mine"))?;
    system.install(&new)?;
    ensure!(system.ok("dpkg-query --show --showformat '${Version}' jackfield")? == "0.0.2");
    keeps_what_is_mine(&system)?;
    serves(&system)?;

    system.ok("dpkg --remove jackfield")?;
    system.ok("! test -e /usr/bin/jackfield")?;
    keeps_what_is_mine(&system)?;
    system.install(&new)?;
    keeps_what_is_mine(&system)?;

    system.ok("dpkg --purge jackfield")?;
    let after = inventory(&system)?;
    let difference: Vec<_> =
        after.lines().filter(|line| !before.lines().any(|other| other == *line)).collect();
    ensure!(difference.is_empty(), "purging left\n{}", difference.join("\n"));
    let lost: Vec<_> = before.lines().filter(|line| !after.lines().any(|other| other == *line)).collect();
    ensure!(lost.is_empty(), "purging took\n{}", lost.join("\n"));
    Ok(())
}

/// Every file with its owner and rights, and every user: what dpkg notes of itself, logs, `/run` and backups of the list of users
/// are left out.
fn inventory(system: &Bare) -> Result<String> {
    system.ok(
        "find / -xdev \\( -path /proc -o -path /var/lib/dpkg -o -path /var/log -o -path /var/cache -o -path /tmp -o -path /run \\) -prune \
            -o ! -name '*-' ! -type d -printf '%p %M %u %g %s\\n' -o -type d -printf '%p %M %u %g\\n' | sort
         sed 's/^/user /' /etc/passwd /etc/shadow
         sed 's/^/group /' /etc/group /etc/gshadow",
    )
}

fn is_set_up(system: &Bare) -> Result<()> {
    let stat = |path: &str| system.ok(&format!("stat --format '%a %U %G' {path}"));
    for (path, expect) in [
        (CONFIG, "640 root jackfield"),
        ("/etc/jackfield", "750 root jackfield"),
        (DATA, "700 jackfield jackfield"),
    ] {
        let found = stat(path)?;
        ensure!(found == expect, "{path} is {found}, not {expect}");
    }
    let user = system.ok("getent passwd jackfield")?;
    ensure!(user.ends_with(":/var/lib/jackfield:/usr/sbin/nologin"), "{user}");
    // It starts at the next boot, and systemd finds nothing wrong with it.
    system.ok("test -L /etc/systemd/system/multi-user.target.wants/jackfield.service")?;
    let verified =
        system.ok("systemd-analyze verify --man=no /usr/lib/systemd/system/jackfield.service 2>&1")?;
    ensure!(!verified.contains("jackfield"), "{verified}");
    system.ok("dpkg --verify jackfield")?;
    system.ok("jackfield --version && bash -n /usr/share/bash-completion/completions/jackfield")?;
    Ok(())
}

fn keeps_what_is_mine(system: &Bare) -> Result<()> {
    ensure!(system.read(CONFIG)?.ends_with("# Mine.\n"), "the configuration was replaced");
    let rights = system.ok(&format!("stat --format '%a %U %G' {CONFIG}"))?;
    ensure!(rights == "644 root jackfield", "the configuration's rights were changed to {rights}");
    ensure!(system.read(&format!("{DATA}/mine"))? == "kept\n", "the data were touched");
    Ok(())
}

/// Starts what the unit starts, as the user that it names and where it says, without any rights.
fn start(system: &Bare) -> Result<Running> {
    let unit = system.read("/usr/lib/systemd/system/jackfield.service")?;
    let value = |key: &str| {
        let found = unit.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        found.with_context(|| format!("no {key} in the unit"))
    };
    let line = format!(
        "cd {} && umask {} && exec setpriv --reuid={} --regid={} --init-groups --no-new-privs --bounding-set=-all {}",
        value("WorkingDirectory")?,
        value("UMask")?,
        value("User")?,
        value("Group")?,
        value("ExecStart")?,
    );
    system.inside(&line).start()
}

/// A publisher and a player from outside, the health, and the end by SIGTERM.
fn serves(system: &Bare) -> Result<()> {
    let mut server = start(system)?;
    server
        .stderr()
        .wait("two listeners", SOON, |lines| {
            (lines.iter().filter(|line| line.contains("Listening")).count() >= 2).then_some(())
        })
        .with_context(|| server.last_words())?;
    publishes_and_plays(system)?;
    signal(&server, "jackfield", Signal::TERM)?;
    let status = server.wait(SOON)?;
    ensure!(status.success(), "the server ended with {status}:{}", server.last_words());
    Ok(())
}

/// ffmpeg publishes what ffmpeg plays, both outside; the server says that it is well.
pub(super) fn publishes_and_plays(system: &Bare) -> Result<()> {
    // For systemd a service runs as soon as its program does, which is before it listens.
    let mut said = None;
    let healthy =
        || Ok((said.insert(system.inside("jackfield health").run(SOON)?).stdout == "ok").then_some(()));
    let is_healthy = eventually("health", SOON, healthy);
    is_healthy.with_context(|| format!("`jackfield health` said {said:?}"))?;
    let clip = clip::standard()?;
    let url = "rtmp://127.0.0.1:1935/live/show";
    let publisher = system
        .outside("ffmpeg")
        .args(["-v", "warning", "-re", "-stream_loop", "-1", "-i"])
        .args([clip.path()])
        .args(["-c", "copy", "-f", "flv", url])
        .start()?;
    let play = |_: ()| -> Program {
        let player = system.outside("ffmpeg").args(["-v", "error", "-i", url]);
        player.args(["-frames:v", "25", "-c", "copy", "-f", "null", "-"])
    };
    eventually("played stream", SOON, || Ok((play(()).run(SOON)?.code == Some(0)).then_some(())))
        .with_context(|| format!("the publisher said:{}", publisher.last_words()))
}
