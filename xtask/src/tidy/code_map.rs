//! The code map of `ARCHITECTURE.md` names exactly the folders of `crates/`, and the page stays short enough to be read.
//!
//! An entry is `` `crates/NAME` `` at the start of a line, of a list item or of a table cell; several may stand side by
//! side, separated by commas or spaces. Names elsewhere in a sentence are prose, and paths below a crate are places.

use super::Finding;
use std::collections::BTreeSet;

const PAGE: &str = "ARCHITECTURE.md";
const MAX_LINES: usize = 300;

/// Compares the page, if there is one, with the folders.
pub(super) fn check(page: Option<&str>, folders: &BTreeSet<String>) -> Vec<Finding> {
    let Some(page) = page else { return vec![Finding::fault(PAGE, "is missing")] };
    let named = entries(page);
    let mut findings = Vec::new();
    for name in folders.difference(&named) {
        findings.push(Finding::fault(PAGE, format!("the code map lacks `crates/{name}`")));
    }
    for name in named.difference(folders) {
        findings
            .push(Finding::fault(PAGE, format!("the code map names `crates/{name}`, which does not exist")));
    }
    let lines = page.lines().count();
    if lines > MAX_LINES {
        findings.push(Finding::fault(
            PAGE,
            format!("{lines} lines; a page of more than {MAX_LINES} is not read"),
        ));
    }
    findings
}

/// The crates that the page's map names.
fn entries(page: &str) -> BTreeSet<String> {
    let cells = page.lines().flat_map(|line| line.split('|'));
    cells
        .flat_map(|cell| leading_names(cell.trim_start_matches([' ', '\t', '-', '*', '+', '#', '>'])))
        .collect()
}

fn leading_names(mut rest: &str) -> Vec<String> {
    let mut names = Vec::new();
    while let Some((name, after)) = rest.strip_prefix("`crates/").and_then(|name| name.split_once('`')) {
        let name = name.trim_end_matches('/');
        if !name.is_empty() && !name.contains(['/', ' ', '*']) {
            names.push(name.to_owned());
        }
        rest = after.trim_start_matches([',', ' ', '·', '*']);
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn entries_are_found_in_lists_tables_and_headings() {
        let page = "- `crates/media`: words\n| 1 | `crates/events`, `crates/runtime` | facts |\n### `crates/hub/`\n**`crates/net`** x\n";
        assert_eq!(entries(page), set(&["media", "events", "runtime", "hub", "net"]));
    }

    #[test]
    fn prose_and_deeper_paths_are_no_entries() {
        let page = "The hub (`crates/hub`) calls it.\n- `crates/hooks/src/core.rs`: the core\n- see `crates/gate`\n`crates/<name>` is\n";
        assert_eq!(entries(page), set(&["<name>"]));
    }

    #[test]
    fn both_directions_of_a_difference_are_faults() {
        let found = check(Some("- `crates/hub`\n- `crates/gone`\n"), &set(&["hub", "new"]));
        let texts: Vec<&str> = found.iter().map(|finding| finding.text.as_str()).collect();
        assert_eq!(
            texts,
            ["the code map lacks `crates/new`", "the code map names `crates/gone`, which does not exist"]
        );
    }

    #[test]
    fn a_missing_or_endless_page_is_a_fault() {
        assert_eq!(check(None, &set(&[])).len(), 1);
        assert_eq!(check(Some(&"line\n".repeat(301)), &set(&[])).len(), 1);
        assert_eq!(check(Some(&"line\n".repeat(300)), &set(&[])), []);
    }
}
