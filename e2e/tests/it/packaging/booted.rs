//! The package where systemd runs: the service by its unit, with all of its sandbox, and a hook within it.

use super::bare::{Bare, Init};
use super::installed::publishes_and_plays;
use super::package;
use anyhow::{Context, Result, ensure};
use jackfield_e2e::{SOON, eventually};

/// Tells which stream it was started for, and whether the system is as closed to it as the unit says.
const HOOK: &str = r#"#!/bin/sh
{
    echo "stream $RTMP_STREAM_KEY, user $(id -un)"
    touch /usr/mine 2>/dev/null && echo "/usr is open"
    touch /etc/jackfield/mine 2>/dev/null && echo "/etc is open"
} >> /var/lib/jackfield/told
"#;
const HOOK_CONFIG: &str = r#"
[[hook]]
name = "told"
on = ["publish_start"]
run = "/etc/jackfield/told.sh"
"#;

#[test]
fn the_service_runs_in_its_sandbox_from_installation_to_removal() -> Result<()> {
    let Some(system) = Bare::or_skip(Init::Systemd)? else { return Ok(()) };
    let old = package("0.0.1", system.folder())?.context("no dpkg on this machine")?;
    let new = package("0.0.2", system.folder())?.context("no dpkg on this machine")?;

    system.install(&old)?;
    ensure!(system.ok("systemctl is-enabled jackfield")? == "enabled", "the service is not enabled");
    let first = main_process(&system)?;
    publishes_and_plays(&system)?;

    with_a_hook(&system)?;
    publishes_and_plays(&system)?;
    let told = eventually("what the hook wrote", SOON, || {
        let told = system.read("/var/lib/jackfield/told").unwrap_or_default();
        Ok(told.contains("stream").then_some(told))
    })?;
    ensure!(told == "stream live/show, user jackfield\n", "the hook told\n{told}");
    ensure!(main_process(&system)? == first, "the reload started another server");

    system.install(&new)?;
    let second = main_process(&system)?;
    ensure!(second != first, "the upgrade did not start the new server");
    publishes_and_plays(&system)?;

    system.ok("systemctl disable --now jackfield && dpkg-reconfigure jackfield")?;
    let state = system.ok("systemctl is-active jackfield || true")?;
    ensure!(state == "inactive", "a service that was disabled is {state}");

    system.ok("systemctl enable --now jackfield && dpkg --purge jackfield")?;
    let state = system.ok("systemctl is-active jackfield || true")?;
    ensure!(state == "inactive", "a service that was purged is {state}");
    system
        .ok("test ! -e /var/lib/jackfield && test ! -e /etc/jackfield/jackfield.toml")
        .context("what is left behind")?;
    Ok(())
}

/// The number of the service's main process, once it is up.
fn main_process(system: &Bare) -> Result<String> {
    eventually("running service", SOON, || {
        let state =
            system.ok("systemctl show --property=ActiveState,SubState,MainPID,NRestarts jackfield")?;
        ensure!(
            !state.contains("=failed"),
            "{state}\n{}",
            system.ok("journalctl -n 50 -u jackfield || true")?
        );
        let pid = state.lines().find_map(|line| line.strip_prefix("MainPID="));
        Ok(pid.filter(|pid| *pid != "0" && state.contains("SubState=running")).map(str::to_owned))
    })
}

/// Gives the server a hook, as an administrator does.
fn with_a_hook(system: &Bare) -> Result<()> {
    system.append("/etc/jackfield/told.sh", HOOK)?;
    system.append("/etc/jackfield/jackfield.toml", HOOK_CONFIG)?;
    system.ok("chmod 0755 /etc/jackfield/told.sh")?;
    system.ok("jackfield check --config /etc/jackfield/jackfield.toml && systemctl reload jackfield")?;
    // The reload is over when the log says so.
    eventually("reload", SOON, || {
        let log = system.ok("journalctl --no-pager -u jackfield")?;
        Ok(log.contains("The hooks have been replaced").then_some(()))
    })
}
