//! What of a source is shown when an error points into it: all but what may be a secret.
//!
//! Every byte that is hidden becomes a `*`, so that places stay what they are. The text may be no TOML at all, so this reads
//! it by lines and quotes and knows nothing of its structure.

use super::TABLES;
use super::problem::nearest;
use super::table::Table;
use super::tables::HookTable;

/// Keys of hooks whose values are secrets: `secret = "…"`, `headers = { … }`, `env = ["NAME=…"]`.
const SECRET_KEYS: [&str; 3] = ["secret", "headers", "env"];

/// The text of a configuration file: strings are hidden at keys that hold secrets, also misspelt, and at keys that are like
/// none; and of all others, what is secret in a URL.
pub(super) fn file(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut depth = 0_usize;
    let mut secret = false;
    for line in text.split_inclusive('\n') {
        if depth == 0 {
            secret = is_secret(line);
        }
        let mut rest = line;
        while let Some(first) = rest.chars().next() {
            let length = match first {
                '"' | '\'' => string(rest, first),
                '#' => rest.len(),
                _ => first.len_utf8(),
            };
            let (token, after) = rest.split_at(length);
            match first {
                '[' | '{' => depth += 1,
                ']' | '}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            match first {
                '"' | '\'' if secret && !is_reference(token) => out.push_str(&hidden(token, |c| c == first)),
                '"' | '\'' => out.push_str(&urls(token)),
                '#' => out.push_str(&hidden(token, |c| c == '#' || c.is_whitespace())),
                _ => out.push_str(token),
            }
            rest = after;
        }
    }
    out
}

/// Of a variable or the command line: what is secret in a URL is hidden.
pub(super) fn words(text: &str) -> String {
    urls(text)
}

/// Whether the strings of the value that begins on this line are hidden.
fn is_secret(line: &str) -> bool {
    let Some((key, _)) = line.split_once('=') else { return false };
    let key = key.trim().trim_matches(['"', '\'']);
    let known = TABLES.iter().chain([&HookTable::SPEC]).flat_map(|table| table.keys).map(|key| key.name);
    nearest(key, known).is_none_or(|known| SECRET_KEYS.contains(&known))
}

/// `env:NAME` and `file:PATH` say where a secret is, and `NAME` passes a variable on.
fn is_reference(token: &str) -> bool {
    let text = token.trim_matches(['"', '\'']);
    let is_name = !text.is_empty() && text.chars().all(|c| c.is_ascii_uppercase() || "_*".contains(c));
    text.starts_with("env:") || text.starts_with("file:") || is_name
}

/// Length of the string at the start, up to its end or that of the line.
fn string(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            '\n' => return at,
            _ if escaped => escaped = false,
            '\\' if quote == '"' => escaped = true,
            c if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    text.len()
}

fn hidden(text: &str, keep: impl Fn(char) -> bool) -> String {
    let stars = |c: char| if keep(c) { c.to_string() } else { "*".repeat(c.len_utf8()) };
    text.chars().map(stars).collect()
}

/// Hides passwords before an `@` and the values of queries.
fn urls(text: &str) -> String {
    let ends = |c: char| c.is_whitespace() || "\"'".contains(c);
    text.split_inclusive(ends).map(url).collect()
}

fn url(word: &str) -> String {
    let (front, query) = word.split_at(word.find('?').unwrap_or(word.len()));
    let mut out = match front.rfind('@') {
        Some(at) => {
            let (login, host) = front.split_at(at);
            let begins = login.find("://").map(|at| at + 3).or_else(|| login.rfind('/').map(|at| at + 1));
            let (before, login) = login.split_at(begins.unwrap_or_default());
            let (user, password) = login.split_at(login.find(':').map_or(login.len(), |at| at + 1));
            format!("{before}{user}{}{host}", hidden(password, |_| false))
        }
        None => front.to_owned(),
    };
    for pair in query.split_inclusive('&') {
        let (name, value) = pair.split_at(pair.find('=').map_or(pair.len(), |at| at + 1));
        out.push_str(name);
        out.push_str(&hidden(value, |c| "&\"'".contains(c) || c.is_whitespace()));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_a_secret_is_hidden_and_places_stay() {
        for (text, expect) in [
            ("secret = \"whsec_ä\"", "secret = \"********\""),
            ("secret = [\"env:A\", 'x']", "secret = [\"env:A\", '*']"),
            ("secret = [\n  \"x\",\n]\nname = \"x\"", "secret = [\n  \"*\",\n]\nname = \"x\""),
            ("headers = { A = \"b\", C = \"file:d\" }", "headers = { A = \"*\", C = \"file:d\" }"),
            ("env = [\"LANG\", \"A=b\"]", "env = [\"LANG\", \"***\"]"),
            ("secrets = \"x\"", "secrets = \"*\""),
            ("password = \"x\"", "password = \"*\""),
            ("listn = \":1935\"", "listn = \":1935\""),
            ("name = \"auth\" # was x", "name = \"auth\" # *** *"),
            ("url = \"http://u:pw@h/a?b=c&d=e\"", "url = \"http://u:**@h/a?b=*&d=*\""),
            ("url = \"http//u:pw@h\"", "url = \"http//u:**@h\""),
            ("listen = \":1935\"", "listen = \":1935\""),
        ] {
            assert_eq!(file(text).len(), text.len(), "{text}");
            assert_eq!(file(text), expect);
        }
        assert!(!file("secret = \"a\\\"b").contains(['a', 'b']), "an escaped quote ends no string");
        assert_eq!(words("--hook-webhook a=http://u:p@[ --x"), "--hook-webhook a=http://u:*@[ --x");
    }
}
