//! What the packages install: the unit for systemd, the configuration to begin with, and the package for Debian itself,
//! what is in it ([`contents`]) and what becomes of it on a machine ([`installed`], [`booted`]).

mod bare;
mod booted;
mod contents;
mod installed;
mod nspawn;

use anyhow::{Context, Result, ensure};
use jackfield_e2e::{Api, Program, SOON, Scratch, Server, server};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The most exposure that the unit may have, in tenths, as `systemd-analyze security` counts.
const EXPOSURE: &str = "25";
/// Packing the documents and a binary with its debug information, on a busy machine.
const PACKING: Duration = Duration::from_secs(60);

fn project() -> Result<PathBuf> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    Ok(root.parent().context("the project")?.to_path_buf())
}

fn packaging(file: &str) -> Result<PathBuf> {
    Ok(project()?.join("packaging").join(file))
}

/// Packs the server under test for Debian, as this version; none where there is nothing to pack with.
#[expect(clippy::print_stderr, reason = "the runner keeps it: what was left out, and why")]
fn package(version: &str, folder: &Path) -> Result<Option<PathBuf>> {
    let Ok(dpkg) = Program::new("dpkg").args(["--print-architecture"]).run(SOON) else {
        eprintln!("dpkg is not installed: no package was made");
        return Ok(None);
    };
    let packed = Program::new(project()?.join("scripts/package"))
        .args(["--quick", "--version", version, "--binary"])
        // Else the time of the last commit, which may come meanwhile.
        .env("SOURCE_DATE_EPOCH", "1800000000")
        .args([server()?.into_os_string(), "--out".into(), folder.into(), "deb".into()])
        .run(PACKING)?;
    ensure!(packed.code == Some(0), "{}", packed.stderr);
    Ok(Some(folder.join(format!("jackfield_{version}_{}.deb", dpkg.stdout))))
}

#[test]
fn the_configurations_to_begin_with_are_valid() -> Result<()> {
    for file in ["jackfield.toml", "container.toml"] {
        let checked = Program::new(server()?)
            .args(["check".into(), "--config".into(), packaging(file)?.into_os_string()])
            .run(SOON)?;
        ensure!(checked.code == Some(0), "{file}: {}\n{}", checked.stdout, checked.stderr);
        ensure!(!checked.stderr.contains("warning"), "{file}: {}", checked.stderr);
    }
    Ok(())
}

/// What the image of the container asks.
#[test]
fn the_health_check_tells_a_server_that_takes_clients_from_one_that_does_not() -> Result<()> {
    let ask = |at: &str| Program::new(server()?).args(["health", "--api", at]).run(SOON);
    let running = Server::builder().start()?;
    let at = running.http().to_string();
    let well = ask(&at)?;
    ensure!((well.code, well.stdout.as_str()) == (Some(0), "ok"), "{well:?}");
    Api::admin(&running)?.post("drain", &serde_json::Value::Null)?.expect(202)?;
    let draining = ask(&at)?;
    ensure!(draining.code == Some(1) && draining.stderr.contains("503"), "{draining:?}");
    running.stop()?;
    let gone = ask(&at)?;
    ensure!(gone.code == Some(3) && gone.stderr.contains("cannot reach the server"), "{gone:?}");
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
