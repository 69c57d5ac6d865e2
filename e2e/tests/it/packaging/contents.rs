//! What is in the package for Debian, without installing it.

use super::{PACKING, package, packaging, project};
use anyhow::{Context, Result, ensure};
use jackfield_e2e::{Program, SOON, Scratch, all_cases};
use std::path::Path;

/// Files that others rely on, with the mode they must have. Folders of documents and examples are looked at less closely.
const FILES: [(&str, &str); 11] = [
    ("-rwxr-xr-x", "./usr/bin/jackfield"),
    ("-rw-r--r--", "./etc/jackfield/jackfield.toml"),
    ("-rw-r--r--", "./usr/lib/systemd/system/jackfield.service"),
    ("-rw-r--r--", "./usr/share/bash-completion/completions/jackfield"),
    ("-rw-r--r--", "./usr/share/doc/jackfield/changelog.gz"),
    ("-rw-r--r--", "./usr/share/doc/jackfield/copyright"),
    ("-rw-r--r--", "./usr/share/doc/jackfield/third-party-licences.txt.gz"),
    ("-rw-r--r--", "./usr/share/doc/jackfield/examples/jackfield.toml"),
    ("-rw-r--r--", "./usr/share/fish/vendor_completions.d/jackfield.fish"),
    ("-rw-r--r--", "./usr/share/man/man1/jackfield.1.gz"),
    ("-rw-r--r--", "./usr/share/zsh/vendor-completions/_jackfield"),
];

/// What dpkg-deb says of a package.
fn asked(option: &str, package: &Path) -> Result<String> {
    let said = Program::new("dpkg-deb").args([option.into(), package.as_os_str().to_owned()]).run(SOON)?;
    ensure!(said.code == Some(0), "dpkg-deb {option}: {}", said.stderr);
    Ok(said.stdout)
}

#[test]
fn the_package_has_what_belongs_into_it() -> Result<()> {
    let folder = Scratch::new()?;
    let Some(file) = package("0.0.1", folder.path())? else { return Ok(()) };
    let listed = asked("--contents", &file)?;
    let entries: Vec<(&str, &str, &str)> = listed
        .lines()
        .map(|line| {
            let mut words = line.split_whitespace();
            // Mode, owner, size, date, time, path, and of links "->" and where they lead.
            Some((words.next()?, words.next()?, words.nth(3)?))
        })
        .collect::<Option<_>>()
        .context("a line of dpkg-deb --contents")?;
    for (mode, path) in FILES {
        let entry = entries.iter().find(|(_, _, at)| *at == path).with_context(|| format!("no {path}"))?;
        ensure!(entry.0 == mode, "{path} is {}", entry.0);
    }
    let foreign = entries.iter().find(|(_, owner, _)| *owner != "root/root");
    ensure!(foreign.is_none(), "{foreign:?}");
    let odd = entries.iter().find(|(mode, ..)| {
        mode.contains(['s', 't', 'S', 'T']) || mode.get(8..9) == Some("w") || mode.get(5..6) == Some("w")
    });
    ensure!(odd.is_none(), "more rights than need be: {odd:?}");

    let told = asked("--info", &file)?;
    for line in ["Package: jackfield", "Version: 0.0.1", "Section: video", "Depends: adduser, libc6 (>= 2."] {
        ensure!(told.contains(line), "no `{line}` in\n{told}");
    }
    ensure!(!told.contains('@') || told.matches('@').count() == 1, "a place was not filled in:\n{told}");
    for script in ["conffiles", "md5sums", "postinst", "prerm", "postrm"] {
        ensure!(told.contains(script), "no {script} in\n{told}");
    }
    Ok(())
}

#[test]
fn maintainer_scripts_are_valid_for_a_plain_shell() -> Result<()> {
    for script in ["postinst", "prerm", "postrm"] {
        let file = packaging("deb")?.join(script).into_os_string();
        let read = Program::new("dash").args(["-n".into(), file]).run(SOON)?;
        ensure!(read.code == Some(0), "{script}: {}", read.stderr);
    }
    Ok(())
}

/// What must not be in packages, and what makes two builds differ, are the same things: times, paths, order.
#[test]
fn the_same_source_makes_the_same_package() -> Result<()> {
    if !all_cases() {
        return Ok(());
    }
    let (one, two) = (Scratch::new()?, Scratch::new()?);
    let Some(first) = package("0.0.1", one.path())? else { return Ok(()) };
    let Some(second) = package("0.0.1", two.path())? else { return Ok(()) };
    ensure!(std::fs::read(first)? == std::fs::read(second)?, "the packages differ");
    let sums = |folder: &Scratch| std::fs::read_to_string(folder.path().join("SHA256SUMS"));
    ensure!(sums(&one)? == sums(&two)?, "the checksums differ");
    let checked = Program::new("sha256sum").args(["--check", "SHA256SUMS"]).cwd(one.path()).run(SOON)?;
    ensure!(checked.code == Some(0), "{}", checked.stderr);
    Ok(())
}

/// Debian's linter and that of the Dockerfile have nothing to say. `scripts/setup test-all` brings both.
#[test]
fn the_linters_are_silent() -> Result<()> {
    if !all_cases() {
        return Ok(());
    }
    let folder = Scratch::new()?;
    let Some(file) = package("0.0.1", folder.path())? else { return Ok(()) };
    let linted =
        Program::new(project()?.join("scripts/package-check")).args([file.into_os_string()]).run(PACKING)?;
    ensure!(linted.code == Some(0), "{}\n{}", linted.stdout, linted.stderr);
    Ok(())
}
