//! Licences and sources of what is built in: held against the lists of `deny.toml`, so that a wrong one is found where
//! `cargo deny` is not installed.

use super::Finding;
use anyhow::{Context, Result};
use serde_json::Value;
use std::collections::BTreeSet;

/// What cargo calls the only registry that is used.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Holds every package of `cargo metadata` against the text of `deny.toml`.
pub(super) fn check(metadata: &Value, deny: &str) -> Result<Vec<Finding>> {
    let allowed = allowed(deny)?;
    let packages = metadata["packages"].as_array().context("cargo metadata lists no packages")?;
    let mut findings = Vec::new();
    for package in packages {
        let name = package["name"].as_str().unwrap_or_default();
        let licence = package["license"].as_str().unwrap_or_default();
        if !may(licence, &allowed) {
            let text = format!("its licence `{licence}` is not among those that deny.toml allows");
            findings.push(Finding::fault(name, text));
        }
        if let Some(source) = package["source"].as_str().filter(|source| *source != REGISTRY) {
            findings.push(Finding::fault(name, format!("comes from {source}, not from crates.io")));
        }
    }
    Ok(findings)
}

/// The names between the brackets of `allow = [ … ]`.
fn allowed(deny: &str) -> Result<BTreeSet<&str>> {
    let (_, after) = deny.split_once("\nallow = [").context("deny.toml has no `allow`")?;
    let (list, _) = after.split_once(']').context("`allow` does not end")?;
    Ok(list.split('"').skip(1).step_by(2).collect())
}

/// Whether an SPDX expression lets us use what it stands on. `OR` and the old `/` are a choice, `AND` is not.
fn may(expression: &str, allowed: &BTreeSet<&str>) -> bool {
    let expression = expression.trim();
    // What binds less comes first.
    if let Some(parts) = split(expression, &["OR", "/"]) {
        return parts.iter().any(|part| may(part, allowed));
    }
    if let Some(parts) = split(expression, &["AND"]) {
        return parts.iter().all(|part| may(part, allowed));
    }
    match expression.strip_prefix('(').and_then(|inner| inner.strip_suffix(')')) {
        Some(inner) => may(inner, allowed),
        None => allowed.contains(expression),
    }
}

/// The parts between these words outside of parentheses; `None` if there is but one.
fn split<'a>(expression: &'a str, words: &[&str]) -> Option<Vec<&'a str>> {
    let (mut parts, mut depth, mut start, mut at) = (Vec::new(), 0_i32, 0, 0);
    for token in expression.split_inclusive([' ', '/']) {
        let word = token.trim();
        let cut = if word.len() > 1 { word.strip_suffix('/').unwrap_or(word) } else { word };
        let slash = token.ends_with('/') && words.contains(&"/");
        if depth == 0 && (words.contains(&cut) || slash) {
            let end = if slash { at + token.len() - 1 } else { at };
            parts.push(expression.get(start..end)?);
            start = at + token.len();
        }
        depth += i32::try_from(token.matches('(').count()).ok()?;
        depth -= i32::try_from(token.matches(')').count()).ok()?;
        at += token.len();
    }
    if parts.is_empty() {
        return None;
    }
    parts.push(expression.get(start..)?);
    Some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_expression_is_read_as_spdx_has_it() {
        let allowed = BTreeSet::from(["MIT", "Apache-2.0", "BSD-3-Clause"]);
        for (expression, expect) in [
            ("MIT", true),
            ("MIT OR Apache-2.0", true),
            ("GPL-3.0-only OR MIT", true),
            ("MIT/Apache-2.0", true),
            ("GPL-3.0-only / MIT", true),
            ("MIT AND BSD-3-Clause", true),
            ("(MIT OR GPL-3.0-only) AND BSD-3-Clause", true),
            ("GPL-3.0-only", false),
            ("MIT AND GPL-3.0-only", false),
            ("MIT OR Apache-2.0 AND GPL-3.0-only", true),
            ("(GPL-2.0-only OR GPL-3.0-only) AND MIT", false),
            ("Apache-2.0 WITH LLVM-exception", false),
            ("", false),
        ] {
            assert_eq!(may(expression, &allowed), expect, "{expression}");
        }
    }

    #[test]
    fn a_package_is_named_for_its_licence_and_its_source() {
        let package = |name: &str, license: Value, source: Value| json!({ "name": name, "license": license, "source": source });
        let metadata = json!({ "packages": [
            package("good", json!("MIT"), json!(REGISTRY)),
            package("ours", json!("MIT"), Value::Null),
            package("odd", json!("GPL-3.0-only"), json!(REGISTRY)),
            package("none", Value::Null, json!(REGISTRY)),
            package("fork", json!("MIT"), json!("git+https://example.org/fork")),
        ] });
        let found = check(&metadata, "[licenses]\nallow = [\n  \"MIT\",\n]\n").unwrap();
        let names: Vec<&str> = found.iter().map(|finding| finding.place.as_str()).collect();
        assert_eq!(names, ["odd", "none", "fork"]);
    }
}
