//! What the packages install: the unit for systemd and the configuration to begin with.

use anyhow::{Context, Result, ensure};
use jackfield_e2e::{Program, SOON, Scratch, server};
use std::path::PathBuf;

/// The most exposure that the unit may have, in tenths, as `systemd-analyze security` counts.
const EXPOSURE: &str = "25";

fn packaging(file: &str) -> Result<PathBuf> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    Ok(root.parent().context("the project")?.join("packaging").join(file))
}

#[test]
fn the_configuration_to_begin_with_is_valid() -> Result<()> {
    let checked = Program::new(server()?)
        .args(["check".into(), "--config".into(), packaging("jackfield.toml")?.into_os_string()])
        .run(SOON)?;
    ensure!(checked.code == Some(0), "{}\n{}", checked.stdout, checked.stderr);
    ensure!(!checked.stderr.contains("warning"), "{}", checked.stderr);
    Ok(())
}

/// Needs systemd's own tool; where it is not installed there is nothing to check with.
#[test]
fn the_unit_is_valid_and_lets_out_little() -> Result<()> {
    if Program::new("systemd-analyze").args(["--version"]).run(SOON).is_err() {
        eprintln!("systemd-analyze is not installed: the unit was not checked");
        return Ok(());
    }
    // The unit names where packages put the server and its files.
    let folder = Scratch::new()?;
    let unit = std::fs::read_to_string(packaging("jackfield.service")?)?;
    let here = unit.replace("/usr/bin/jackfield", &server()?.to_string_lossy());
    ensure!(here != unit, "the unit does not start the server");
    let file = folder.file("jackfield.service", &here)?.into_os_string();
    let verified =
        Program::new("systemd-analyze").args(["verify".into(), "--man=no".into(), file.clone()]).run(SOON)?;
    let ours = |line: &&str| line.contains("jackfield.service");
    let said: Vec<&str> = verified.stderr.lines().filter(ours).collect();
    ensure!(said.is_empty(), "{}", said.join("\n"));
    let rated = Program::new("systemd-analyze")
        .args(["security".into(), "--offline=true".into(), format!("--threshold={EXPOSURE}").into(), file])
        .run(SOON)?;
    ensure!(rated.code == Some(0), "{}\n{}", rated.stdout, rated.stderr);
    Ok(())
}
