//! Rust source with its comments and literals blanked out, so that a search finds code and nothing else.

/// Replaces every comment and the inside of every string and character literal by spaces; lines stay where they are.
pub(super) fn blank(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut before = ' ';
    while let Some(first) = rest.chars().next() {
        let (len, keep) = match first {
            '/' if rest.starts_with("//") => (rest.find('\n').unwrap_or(rest.len()), Keep::Nothing),
            '/' if rest.starts_with("/*") => (block_comment(rest), Keep::Nothing),
            '"' => (string(rest), Keep::Ends),
            'r' | 'b' | 'c' if !is_word(before) => match raw_string(rest) {
                Some(len) => (len, Keep::Ends),
                None => (first.len_utf8(), Keep::All),
            },
            '\'' => (character(rest), Keep::Ends),
            _ => (first.len_utf8(), Keep::All),
        };
        let (token, after) = rest.split_at(len);
        push(&mut out, token, keep);
        before = first;
        rest = after;
    }
    out
}

enum Keep {
    All,
    /// The first and last character: a literal stays visible as one.
    Ends,
    Nothing,
}

fn push(out: &mut String, token: &str, keep: Keep) {
    let last = token.chars().count().saturating_sub(1);
    for (at, c) in token.chars().enumerate() {
        let kept = match keep {
            Keep::All => true,
            Keep::Ends => at == 0 || at == last,
            Keep::Nothing => false,
        };
        out.push(if kept || c == '\n' { c } else { ' ' });
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Length of the nested block comment at the start.
fn block_comment(text: &str) -> usize {
    let mut depth = 0usize;
    let mut previous = ' ';
    for (at, c) in text.char_indices() {
        match (previous, c) {
            ('/', '*') => (depth, previous) = (depth + 1, ' '),
            ('*', '/') => (depth, previous) = (depth.saturating_sub(1), ' '),
            _ => {
                previous = c;
                continue;
            }
        }
        if depth == 0 {
            return at + 1;
        }
    }
    text.len()
}

/// Length of the quoted string at the start.
fn string(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Length of a raw string such as `r#"…"#` or `br"…"` at the start, if there is one.
fn raw_string(text: &str) -> Option<usize> {
    let body = text.strip_prefix(['b', 'c']).unwrap_or(text).strip_prefix('r')?;
    let hashes = body.len() - body.trim_start_matches('#').len();
    body.get(hashes..)?.strip_prefix('"')?;
    let opening = text.len() - body.len() + hashes + 1;
    let end = format!("\"{}", "#".repeat(hashes));
    let close = text.get(opening..)?.find(&end)?;
    Some(opening + close + end.len())
}

/// Length of the character literal at the start; 1 if the quote begins a lifetime.
fn character(text: &str) -> usize {
    let mut chars = text.char_indices().skip(1);
    match chars.next() {
        Some((_, '\\')) => {
            text.char_indices().skip(3).find(|(_, c)| *c == '\'').map_or(text.len(), |(at, _)| at + 1)
        }
        Some(_) => match chars.next() {
            Some((at, '\'')) => at + 1,
            _ => 1,
        },
        None => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(input: &str, expect: &str) {
        assert_eq!(blank(input), expect);
        assert_eq!(blank(input).lines().count(), input.lines().count());
    }

    #[test]
    fn comments_vanish_and_lines_stay() {
        check("a // todo!()\nb", "a           \nb");
        check("a /* x /* y */ \n z */ b", "a              \n      b");
        check("a / b", "a / b");
    }

    #[test]
    fn the_inside_of_literals_vanishes() {
        check(r#"f("a \" // b") + 1"#, r#"f("         ") + 1"#);
        check("r#\"a \" {\"# + x", "r        # + x");
        check("br\"x\" b\"x\"", "b   \" b\" \"");
        check(r"('{', '\'', '\u{7d}', 'a')", r"(' ', '  ', '      ', ' ')");
    }

    #[test]
    fn lifetimes_and_names_are_no_literals() {
        check("fn f<'a>(bar: &'a str) -> &'static str {", "fn f<'a>(bar: &'a str) -> &'static str {");
    }

    #[test]
    fn an_unfinished_literal_ends_with_the_file() {
        for input in ["\"abc", "/* abc", "r#\"abc", "'", "'\\"] {
            assert_eq!(blank(input).chars().count(), input.chars().count());
        }
    }
}
