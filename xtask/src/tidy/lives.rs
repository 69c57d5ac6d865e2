//! The lives that `ARCHITECTURE.md` tells: every name that a step gives stands in the code.
//!
//! A life is a section "The life of …" with a table; the names are what stands in back quotes in its last column: a crate, a
//! source file, a path of modules, or `Type::method`, whose parts must be declared in one file.

use super::{Finding, source};
use std::collections::BTreeSet;

const PAGE: &str = "ARCHITECTURE.md";
/// What stands before a name where it is declared.
const DECLARED_BY: [&str; 7] = ["fn", "struct", "enum", "trait", "mod", "type", "const"];

/// One source file, as far as it matters here.
pub(super) struct Source {
    place: String,
    /// Declared in it, variants of enums too.
    declared: BTreeSet<String>,
    /// Every word in it.
    words: BTreeSet<String>,
}

impl Source {
    pub(super) fn new(place: &str, text: &str) -> Self {
        Self {
            place: place.to_owned(),
            declared: declared(text),
            words: words(text).map(str::to_owned).collect(),
        }
    }
}

/// Looks for each name of the page's lives.
pub(super) fn check(page: &str, sources: &[Source]) -> Vec<Finding> {
    let is_missing = |name: &String| !is_there(name, sources);
    let missing = names(page).into_iter().filter(is_missing);
    missing
        .map(|name| Finding::fault(PAGE, format!("a life names `{name}`, which is not in the code")))
        .collect()
}

/// The names in the last column of the tables of lives.
fn names(page: &str) -> BTreeSet<String> {
    let mut in_life = false;
    let mut names = BTreeSet::new();
    for line in page.lines() {
        if line.starts_with('#') {
            in_life = line.contains("The life of");
        }
        let cells = line.trim().strip_prefix('|').and_then(|row| row.strip_suffix('|'));
        if let (true, Some(last)) = (in_life, cells.and_then(|row| row.rsplit('|').next())) {
            names.extend(last.split('`').skip(1).step_by(2).map(str::to_owned));
        }
    }
    names
}

fn is_there(name: &str, sources: &[Source]) -> bool {
    if name.ends_with(".rs") {
        return sources.iter().any(|source| source.place.ends_with(&format!("/{name}")));
    }
    let parts: Vec<&str> = name.split([':', '/']).filter(|part| !part.is_empty()).collect();
    let Some((last, before)) = parts.split_last() else { return false };
    let is_place = |source: &&Source| {
        source.place.contains(&format!("/{}/", parts.join("/")))
            || source.place.ends_with(&format!("/{}.rs", parts.join("/")))
    };
    let declares = |source: &&Source| {
        let path: Vec<&str> = source.place.split(['/', '.']).collect();
        let knows = |part: &&str| source.words.contains(*part) || path.contains(part);
        source.declared.contains(*last) && before.iter().all(knows)
    };
    sources.iter().any(|source| is_place(&source) || declares(&source))
}

fn declared(text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for line in source::blank(text).lines().map(str::trim) {
        let found: Vec<&str> = words(line).collect();
        for pair in found.windows(2) {
            if let [before, name] = pair
                && DECLARED_BY.contains(before)
            {
                names.insert((*name).to_owned());
            }
        }
        // A variant stands alone at the head of its line.
        if let Some(name) = found.first()
            && name.starts_with(|c: char| c.is_ascii_uppercase())
            && line
                .strip_prefix(name)
                .is_some_and(|rest| rest.trim_start().is_empty() || rest.starts_with([',', '(', ' ']))
        {
            names.insert((*name).to_owned());
        }
    }
    names
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE_TEXT: &str = "\
        # Page\n| `elsewhere` | `Nowhere` |\n## The life of a publish\n| step | where |\n|---|---|\n\
        | `prose` is not looked at | `rtmp-server` `accept::run`, `task/leaving.rs` |\n| x | `Hub::publish`, `Output::Verdict` |\n\
        ## After\n| a | `Other` |\n";

    #[test]
    fn names_are_those_of_the_last_column_of_lives() {
        let expect = ["Hub::publish", "Output::Verdict", "accept::run", "rtmp-server", "task/leaving.rs"];
        assert_eq!(names(PAGE_TEXT), expect.map(str::to_owned).into());
    }

    #[test]
    fn a_name_that_is_not_in_the_code_is_a_fault() {
        let code = |publish: &str| {
            [
                Source::new("crates/rtmp-server/src/accept.rs", "pub(crate) async fn run() {}"),
                Source::new("crates/rtmp-server/src/task/leaving.rs", ""),
                Source::new(
                    "crates/hub/src/hub.rs",
                    &format!("impl Hub {{\n    pub async fn {publish}() {{}}\n}}"),
                ),
                Source::new("crates/hooks/src/core/io.rs", "pub enum Output {\n    Verdict {\n    },\n}"),
            ]
        };
        assert_eq!(check(PAGE_TEXT, &code("publish")), []);
        let found = check(PAGE_TEXT, &code("play"));
        let texts: Vec<&str> = found.iter().map(|finding| finding.text.as_str()).collect();
        assert_eq!(texts, ["a life names `Hub::publish`, which is not in the code"]);
    }

    #[test]
    fn a_method_belongs_to_the_type_of_its_file() {
        let sources = [
            Source::new("crates/a/src/a.rs", "struct One; impl One { fn go() {} }"),
            Source::new("crates/b/src/b.rs", "struct Two; // fn go"),
        ];
        assert!(is_there("One::go", &sources) && is_there("Two", &sources) && is_there("go", &sources));
        assert!(!is_there("Two::go", &sources) && !is_there("One::stop", &sources));
    }
}
