//! Which streams a hook is about: the list `streams` of its configuration.

use jackfield_media::StreamKey;
use std::fmt;

/// Bytes of a pattern: a key has at most 255, and a pattern that is longer matches none or repeats itself.
const MAX_PATTERN_BYTES: usize = 255;
/// The app of a pattern without a slash.
const DEFAULT_APP: &str = "live/";

/// Globs over stream keys.
///
/// `*` matches within a part of the key, `**` across parts; a pattern without `/` names streams of the
/// app `live`, unless it begins with `**`, which crosses the slash itself. `!` negates; of all patterns
/// that match, the last one decides. A list of negative patterns only matches all other streams, and an
/// empty list matches everything.
///
/// Events of connections carry no stream key. A hook that names streams is about those streams and does
/// not see them; a hook whose list is empty, or only excludes streams, does.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selector {
    patterns: Vec<Pattern>,
}

/// Why a text is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectorError {
    /// Nothing, or only `!`.
    #[error("the stream pattern is empty")]
    Empty,
    /// Longer than 255 bytes.
    #[error("the stream pattern `{0}` is longer than 255 bytes")]
    TooLong(String),
    /// A character that no key has: such a pattern could never match.
    #[error("the stream pattern `{pattern}` has the character `{character}`, which no stream key has")]
    BadCharacter {
        /// The pattern as it was given.
        pattern: String,
        /// The first character that is wrong.
        character: char,
    },
}

impl Selector {
    /// Reads the list in its order.
    ///
    /// # Errors
    /// [`SelectorError`] for the first pattern that is none.
    pub fn parse<S: AsRef<str>>(patterns: &[S]) -> Result<Self, SelectorError> {
        let patterns = patterns.iter().map(|pattern| Pattern::parse(pattern.as_ref()));
        Ok(Self { patterns: patterns.collect::<Result<_, _>>()? })
    }

    /// Whether an event of this stream, or of no stream, is selected.
    #[must_use]
    pub fn matches(&self, key: Option<&StreamKey>) -> bool {
        let only_negative = self.patterns.iter().all(|pattern| pattern.effect == Effect::Exclude);
        let Some(key) = key else { return only_negative };
        let last = self.patterns.iter().rfind(|pattern| pattern.matches(key.as_str()));
        last.map_or(only_negative, |pattern| pattern.effect == Effect::Include)
    }

    /// Whether every event is selected.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.patterns.is_empty()
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, pattern) in self.patterns.iter().enumerate() {
            let gap = if index > 0 { " " } else { "" };
            write!(f, "{gap}{}", pattern.source)?;
        }
        Ok(())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    Include,
    Exclude,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Byte(u8),
    /// Any bytes but a slash.
    Within,
    /// Any bytes.
    Across,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Pattern {
    source: String,
    effect: Effect,
    tokens: Vec<Token>,
}

impl Pattern {
    fn parse(source: &str) -> Result<Self, SelectorError> {
        let (effect, glob) = match source.strip_prefix('!') {
            Some(glob) => (Effect::Exclude, glob),
            None => (Effect::Include, source),
        };
        if glob.is_empty() {
            return Err(SelectorError::Empty);
        }
        if glob.len() > MAX_PATTERN_BYTES {
            return Err(SelectorError::TooLong(source.to_owned()));
        }
        if let Some(character) =
            glob.chars().find(|&c| !c.is_ascii_alphanumeric() && !"_.+@:=~-*/".contains(c))
        {
            return Err(SelectorError::BadCharacter { pattern: source.to_owned(), character });
        }
        let app = if glob.contains('/') || glob.starts_with("**") { "" } else { DEFAULT_APP };
        let mut tokens: Vec<Token> = app.bytes().map(Token::Byte).collect();
        let mut bytes = glob.bytes().peekable();
        while let Some(byte) = bytes.next() {
            tokens.push(match byte {
                b'*' if bytes.next_if_eq(&b'*').is_some() => Token::Across,
                b'*' => Token::Within,
                byte => Token::Byte(byte),
            });
        }
        Ok(Self { source: source.to_owned(), effect, tokens })
    }

    /// Walks the tokens with the set of all places in the key that can have been reached: the time is
    /// bounded by tokens × bytes, whatever stars the pattern has.
    fn matches(&self, key: &str) -> bool {
        let key = key.as_bytes();
        let mut reached = vec![false; key.len() + 1];
        if let Some(start) = reached.first_mut() {
            *start = true;
        }
        for token in &self.tokens {
            match token {
                Token::Byte(byte) => step(&mut reached, key, |at| at == byte),
                Token::Within => spread(&mut reached, key, |&at| at != b'/'),
                Token::Across => spread(&mut reached, key, |_| true),
            }
        }
        reached.last().copied().unwrap_or_default()
    }
}

/// Every reached place moves over one byte that fits; the others are lost.
fn step(reached: &mut [bool], key: &[u8], fits: impl Fn(&u8) -> bool) {
    let mut before = false;
    let bytes = std::iter::once(None).chain(key.iter().map(Some));
    for (place, byte) in reached.iter_mut().zip(bytes) {
        let here = *place;
        *place = before && byte.is_some_and(&fits);
        before = here;
    }
}

/// Every reached place stays, and so is every place after it over bytes that fit.
fn spread(reached: &mut [bool], key: &[u8], fits: impl Fn(&u8) -> bool) {
    let mut before = false;
    let bytes = std::iter::once(None).chain(key.iter().map(Some));
    for (place, byte) in reached.iter_mut().zip(bytes) {
        *place |= before && byte.is_some_and(&fits);
        before = *place;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(patterns: &[&str], selected: &[&str], others: &[&str]) {
        let selector = Selector::parse(patterns).unwrap();
        for key in selected {
            assert!(selector.matches(Some(&StreamKey::parse(key).unwrap())), "{patterns:?} selects {key}");
        }
        for key in others {
            assert!(!selector.matches(Some(&StreamKey::parse(key).unwrap())), "{patterns:?} leaves {key}");
        }
    }

    #[test]
    fn stars_stay_within_a_part_and_double_stars_cross_it() {
        check(&["live/*"], &["live/a", "live/show.1"], &["live/a/b", "vod/a"]);
        check(&["live/**"], &["live/a", "live/a/b/c"], &["vod/a"]);
        check(&["*/cam-*"], &["live/cam-1", "vod/cam-"], &["live/a", "live/cam-1/b", "vod/x/cam-1"]);
        check(&["**/raw"], &["live/a/raw", "vod/raw"], &["live/raw/x"]);
        check(&["**"], &["live/a", "vod/a/b"], &[]);
        check(&["a*b*c"], &["abc", "axxbxxc"], &["axxb", "abcd"]);
    }

    #[test]
    fn a_pattern_without_slash_means_the_app_live() {
        check(&["show"], &["live/show"], &["vod/show", "live/shows"]);
        check(&["*"], &["live/show"], &["vod/show"]);
    }

    #[test]
    fn the_last_match_wins_and_only_negatives_match_all_others() {
        check(
            &["live/*", "!live/secret*", "live/secret-but-shown"],
            &["a", "secret-but-shown"],
            &["secret1", "vod/a"],
        );
        check(&["!vod/**"], &["live/a"], &["vod/a", "vod/a/b"]);
        check(&[], &["live/a", "vod/a/b"], &[]);
    }

    #[test]
    fn events_without_a_stream_are_seen_by_hooks_that_name_none() {
        for (patterns, seen) in [(&[][..], true), (&["!vod/*"], true), (&["live/*"], false), (&["**"], false)]
        {
            assert_eq!(Selector::parse(patterns).unwrap().matches(None), seen, "{patterns:?}");
        }
    }

    #[test]
    fn a_selector_reads_as_it_was_written_and_all_is_an_empty_list() {
        let written = Selector::parse(&["live/*", "!live/secret"]).unwrap();
        assert_eq!(written.to_string(), "live/* !live/secret");
        assert!(!written.is_all() && Selector::default().is_all());
        assert_eq!(Selector::default().to_string(), "");
    }

    #[test]
    fn a_pattern_has_the_characters_and_the_length_of_a_key() {
        assert!(Selector::parse(&["aZ09_.+@:=~-*/b"]).is_ok());
        assert!(Selector::parse(&["!".to_owned() + &"a".repeat(255)]).is_ok());
        for wrong in ["a b", "a\u{e4}", "a%", "a,b", "a!"] {
            assert!(matches!(Selector::parse(&[wrong]), Err(SelectorError::BadCharacter { .. })), "{wrong}");
        }
    }

    #[test]
    fn what_can_never_match_is_an_error() {
        assert_eq!(Selector::parse(&["!"]), Err(SelectorError::Empty));
        assert!(matches!(Selector::parse(&["a?"]), Err(SelectorError::BadCharacter { character: '?', .. })));
        assert!(matches!(Selector::parse(&["a".repeat(256)]), Err(SelectorError::TooLong(_))));
    }
}
