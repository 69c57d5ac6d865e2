//! `cargo xtask tidy`: the house rules that no compiler and no lint knows.
//!
//! Each check is a module with one function from what it reads to a list of [`Finding`]s; this file reads, calls and
//! prints. A finding either fails the run or is only told: what is told is for the eye of who reads the change.

mod code_map;
mod layers;
mod licences;
mod lives;
mod shape;
mod source;
mod unsafety;

use crate::generate::program;
use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// One thing that is not as the house wants it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    weight: Weight,
    /// Where: a path, with a line where that helps, or a crate.
    place: String,
    text: String,
}

/// What a [`Finding`] does to the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Weight {
    /// Told, for a reader to judge.
    Note,
    /// The run fails.
    Fault,
}

impl Finding {
    fn fault(place: impl Into<String>, text: impl Into<String>) -> Self {
        Self { weight: Weight::Fault, place: place.into(), text: text.into() }
    }

    fn note(place: impl Into<String>, text: impl Into<String>) -> Self {
        Self { weight: Weight::Note, place: place.into(), text: text.into() }
    }
}

/// The folder of the workspace.
pub(crate) fn root() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.parent().map(Path::to_path_buf).unwrap_or(here)
}

/// Runs every check. `--notes` also prints what does not fail.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let notes = match args {
        [] => false,
        [flag] if flag == "--notes" => true,
        _ => bail!("the only argument is --notes"),
    };
    let root = root();
    let metadata = metadata(&root)?;
    let mut findings = layers::check(&layers::Workspace::parse(&metadata)?);
    findings.extend(licences::check(&metadata, &std::fs::read_to_string(root.join("deny.toml"))?)?);
    let page = std::fs::read_to_string(root.join("ARCHITECTURE.md")).ok();
    findings.extend(code_map::check(page.as_deref(), &folders(&root.join("crates"))?));
    let mut files = 0;
    let mut crates = Vec::new();
    for top in ["crates", "e2e", "xtask", "bench", "fuzz"] {
        for path in rust_files(&root.join(top))? {
            let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            let place = path.strip_prefix(&root).unwrap_or(&path).display().to_string();
            findings.extend(shape::check(&place, &text));
            findings.extend(unsafety::check(&place, &text));
            files += 1;
            if top == "crates" {
                crates.push(lives::Source::new(&place, &text));
            }
        }
    }
    findings.extend(page.iter().flat_map(|page| lives::check(page, &crates)));
    report(findings, files, notes)
}

fn report(mut findings: Vec<Finding>, files: usize, notes: bool) -> Result<()> {
    findings.sort();
    let faults = findings.iter().filter(|finding| finding.weight == Weight::Fault).count();
    for Finding { weight, place, text } in &findings {
        match weight {
            Weight::Fault => println!("tidy: {place}: {text}"),
            Weight::Note if notes => println!("tidy: note: {place}: {text}"),
            Weight::Note => {}
        }
    }
    println!(
        "tidy: {files} files, {faults} faults, {} notes{}",
        findings.len() - faults,
        if notes || findings.len() == faults { "" } else { " (--notes shows them)" }
    );
    ensure!(faults == 0, "{faults} rules of the house are broken");
    Ok(())
}

fn metadata(root: &Path) -> Result<serde_json::Value> {
    let out = program(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["metadata", "--format-version", "1"])
        .current_dir(root)
        .output()
        .context("starting cargo metadata")?;
    ensure!(out.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&out.stderr));
    serde_json::from_slice(&out.stdout).context("reading cargo metadata")
}

fn folders(parent: &Path) -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for entry in std::fs::read_dir(parent).with_context(|| parent.display().to_string())? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            names.insert(entry.file_name().to_string_lossy().into_owned());
        }
    }
    Ok(names)
}

/// Every `.rs` file below `top`, build output and recorded inputs left out; none if `top` is not there.
fn rust_files(top: &Path) -> Result<Vec<PathBuf>> {
    const NOT_OURS: [&str; 4] = ["target", "corpus", "artifacts", "results"];
    let mut found = Vec::new();
    let mut todo = vec![top.to_path_buf()];
    while let Some(folder) = todo.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for entry in entries {
            let entry = entry?;
            let path = entry.path();
            if entry.file_type()?.is_dir() {
                if !NOT_OURS.iter().any(|name| entry.file_name() == *name) {
                    todo.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}
