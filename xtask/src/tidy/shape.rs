//! The shape of a source file: a head that says what it owns, a length that can be read, nothing left unfinished.

use super::{Finding, source};

/// From here on a file is told, and from there on it must be split. Tests are not counted.
const LONG_FILE: usize = 300;
const MAX_FILE: usize = 600;
/// Told only: clippy stops at 80.
const LONG_FUNCTION: usize = 40;
/// Left behind by who meant to come back.
const UNFINISHED: [&str; 3] = ["todo!", "unimplemented!", "dbg!"];

/// Checks one file; `place` is its path from the root of the project.
pub(super) fn check(place: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !text.starts_with("//!") {
        findings.push(Finding::fault(
            place,
            "has no head: the first line of a module is `//!` and says what it owns",
        ));
    }
    if place.ends_with("/mod.rs") {
        findings.push(Finding::fault(place, "a module is foo.rs + foo/, never foo/mod.rs"));
    }
    let code = source::blank(text);
    for (at, line) in code.lines().enumerate() {
        for word in UNFINISHED.iter().filter(|word| has_macro(line, word)) {
            findings
                .push(Finding::fault(format!("{place}:{}", at + 1), format!("{word} is left in the code")));
        }
    }
    if is_test(place) {
        return findings;
    }
    let lines: Vec<&str> = code.lines().collect();
    let lines = lines.get(..tests_start(&lines)).unwrap_or_default();
    match lines.len() {
        count if count > MAX_FILE => {
            findings.push(Finding::fault(place, format!("{count} lines; split it before {MAX_FILE}")))
        }
        count if count > LONG_FILE => findings.push(Finding::note(place, format!("{count} lines"))),
        _ => {}
    }
    for (at, length) in functions(lines).into_iter().filter(|(_, length)| *length > LONG_FUNCTION) {
        findings.push(Finding::note(format!("{place}:{}", at + 1), format!("a function of {length} lines")));
    }
    findings
}

fn has_macro(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line.get(..at).and_then(|before| before.chars().next_back());
        before.is_none_or(|c| !c.is_alphanumeric() && c != '_')
    })
}

/// Whether the whole file is test code, by its path.
fn is_test(place: &str) -> bool {
    place.split('/').any(|part| part == "tests" || part == "benches") || place.ends_with("/tests.rs")
}

/// The line where the module of unit tests begins, or the file's end.
fn tests_start(lines: &[&str]) -> usize {
    let start = lines.windows(2).position(|pair| {
        let [attribute, module] = pair else { return false };
        attribute.starts_with("#[cfg(test)]") && module.starts_with("mod ")
    });
    start.unwrap_or(lines.len())
}

/// Every function with a body of its own lines: where it starts, and how many lines lie between its braces.
///
/// The code is formatted, so a body ends at the first line that is a closing brace in the column where `fn` stood.
fn functions(lines: &[&str]) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate().filter(|(_, line)| starts_function(line)) {
        let indent = line.len() - line.trim_start().len();
        let close = format!("{:indent$}}}", "");
        let body = lines
            .iter()
            .skip(at)
            .position(|line| line.ends_with('{') || line.ends_with(';') || line.ends_with('}'));
        let opens = body.and_then(|offset| lines.get(at + offset)).is_some_and(|line| line.ends_with('{'));
        let (Some(body), true) = (body, opens) else { continue };
        if let Some(length) = lines.iter().skip(at + body + 1).position(|line| *line == close) {
            found.push((at, length));
        }
    }
    found
}

fn starts_function(line: &str) -> bool {
    const BEFORE: [&str; 7] = ["const", "async", "unsafe", "extern", "\"", "default", "pub"];
    let mut words = line.split_whitespace().skip_while(|word| {
        BEFORE.iter().any(|before| word == before)
            || word.starts_with("pub(")
            || word.ends_with(')')
            || word.starts_with('"')
    });
    words.next() == Some("fn")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(place: &str, text: &str) -> Vec<String> {
        check(place, text).into_iter().map(|finding| finding.text).collect()
    }

    #[test]
    fn a_module_without_head_is_a_fault() {
        assert_eq!(texts("crates/hub/src/a.rs", "//! Owns a.\nfn a() {}\n"), Vec::<String>::new());
        assert_eq!(texts("crates/hub/src/a.rs", "use b;\n").len(), 1);
        assert_eq!(
            texts("crates/hub/src/a/mod.rs", "//! Owns a.\n"),
            ["a module is foo.rs + foo/, never foo/mod.rs"]
        );
    }

    #[test]
    fn unfinished_code_is_a_fault_and_a_word_in_a_comment_is_not() {
        assert_eq!(texts("a.rs", "//! A.\nfn a() { todo!() }\n"), ["todo! is left in the code"]);
        assert_eq!(texts("a.rs", "//! A, todo!\nfn a() { f(\"dbg!\"); my_dbg!() }\n"), Vec::<String>::new());
    }

    #[test]
    fn tests_do_not_count_for_the_length_of_a_file() {
        let head = "//! A.\n";
        let long = format!("{head}{}", "const A: u8 = 1;\n".repeat(600));
        let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "    const A: u8 = 1;\n".repeat(600));
        assert_eq!(texts("src/a.rs", &long), ["601 lines; split it before 600"]);
        assert_eq!(texts("src/a.rs", &format!("{head}{tests}")), Vec::<String>::new());
        assert_eq!(texts("src/a/tests.rs", &long), Vec::<String>::new());
        assert_eq!(
            check("src/a.rs", &format!("{head}{}", "const A: u8 = 1;\n".repeat(300))),
            [Finding::note("src/a.rs", "301 lines")]
        );
    }

    #[test]
    fn functions_are_measured_between_their_braces() {
        let text = "impl A {\n    pub(crate) async fn a(\n        b: u8,\n    ) -> u8 {\n        if b {\n        }\n    }\n\n    fn c();\n    const fn d() {}\n}\nunsafe extern \"C\" fn e() {\n}\n";
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(functions(&lines), [(1, 2), (11, 0)]);
    }

    #[test]
    fn a_long_function_is_told() {
        let text = format!("//! A.\nfn a() {{\n{}}}\n", "    b();\n".repeat(41));
        assert_eq!(check("src/a.rs", &text), [Finding::note("src/a.rs:2", "a function of 41 lines")]);
    }
}
