//! The table of the specification's clauses: whatever it names as a test is one.

use anyhow::{Context, Result, ensure};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The headings of the specification (version 2) that say what a program has to do.
const SECTIONS: [&str; 12] = [
    "RTMP Message Format",
    "FLV File Format Overview",
    "Pre 2023 AudioTagHeader Format",
    "Pre 2023 VideoTagHeader Format",
    "Enhancing onMetaData",
    "Reconnect Request",
    "Enhanced Audio",
    "Enhanced Video",
    "Metadata Frame",
    "Multitrack Streaming via Enhanced RTMP",
    "Enhancing NetConnection connect Command",
    "Action Message Format (AMF): AMF0 and AMF3",
];

fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The rows of the tables of a page: their cells, without the heads.
fn rows(page: &str) -> Vec<Vec<&str>> {
    let lines = page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| section |"));
    lines.map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect()).collect()
}

/// The names of all test functions below a folder.
fn tests_below(folder: &Path, found: &mut BTreeSet<String>) -> Result<()> {
    for entry in std::fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            tests_below(&path, found)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            found.extend(tests_of(&text));
        }
    }
    Ok(())
}

/// The functions of a source file that are marked as tests.
fn tests_of(source: &str) -> impl Iterator<Item = String> {
    let mut is_test = false;
    source.lines().filter_map(move |line| {
        let line = line.trim_start();
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            is_test = true;
            return None;
        }
        let name = line.trim_start_matches("async ").strip_prefix("fn ")?.split(['(', '<']).next()?;
        std::mem::take(&mut is_test).then(|| name.to_owned())
    })
}

#[test]
fn every_clause_has_tests_that_exist() -> Result<()> {
    let page = std::fs::read_to_string(project().join("docs/enhanced-rtmp.md")).context("the page")?;
    let mut tests = BTreeSet::new();
    for folder in ["crates", "e2e"] {
        tests_below(&project().join(folder), &mut tests)?;
    }
    let rows = rows(&page);
    for section in SECTIONS {
        ensure!(rows.iter().any(|row| row.first() == Some(&section)), "no row for {section}");
    }
    let mut faults = vec![];
    for row in &rows {
        ensure!(row.len() == 4, "{} cells in {row:?}", row.len());
        let named: Vec<_> =
            row.last().map(|cell| cell.split('`').skip(1).step_by(2).collect()).unwrap_or_default();
        ensure!(!named.is_empty(), "no test in {row:?}");
        faults.extend(named.into_iter().filter(|name| !tests.contains(*name)));
    }
    ensure!(faults.is_empty(), "no such tests: {faults:?}");
    Ok(())
}

#[test]
fn a_test_is_found_by_its_mark() {
    let source = "#[test]\nfn one() {\n    fn no() {}\n#[tokio::test]\nasync fn two() {}\nfn three() {}\n";
    assert_eq!(tests_of(source).collect::<Vec<_>>(), ["one", "two"]);
}
