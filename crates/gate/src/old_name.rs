//! Keeps a name that was replaced out of what is told: it is often the key to publish.

use jackfield_events::SecretUrl;
use jackfield_media::{StreamKey, Text};

/// The URL up to its host if its path or query holds a part of the old key that the new one does not
/// have.
pub(crate) fn cut_url(url: &SecretUrl, old: &StreamKey, new: &StreamKey) -> SecretUrl {
    let text = url.0.as_str();
    let host_at = text.find("://").map_or(0, |at| at + 3);
    let Some((front, rest)) = text.split_at_checked(host_at) else { return SecretUrl::default() };
    let path_at = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let Some((host, rest)) = rest.split_at_checked(path_at) else { return SecretUrl::default() };
    if holds(rest, old, new) { SecretUrl(Text::from(format!("{front}{host}"))) } else { url.clone() }
}

/// The query with every value masked that holds a part of the old key that the new one does not have.
pub(crate) fn mask_query(query: &SecretUrl, old: &StreamKey, new: &StreamKey) -> SecretUrl {
    if !holds(&query.0, old, new) {
        return query.clone();
    }
    let masked = |pair: &str| match pair.split_once('=') {
        Some((name, _)) if holds(name, old, new) => "***".to_owned(),
        Some((name, value)) if holds(value, old, new) => format!("{name}=***"),
        None if holds(pair, old, new) => "***".to_owned(),
        _ => pair.to_owned(),
    };
    SecretUrl(query.0.split('&').map(masked).collect::<Vec<_>>().join("&").into())
}

/// Whether a word of the text is a part of `old` and none of `new`.
fn holds(text: &str, old: &StreamKey, new: &StreamKey) -> bool {
    if old == new {
        return false;
    }
    let gone: Vec<&str> =
        old.as_str().split('/').filter(|part| !new.as_str().split('/').any(|kept| kept == *part)).collect();
    let is_gone = |word: &str| gone.iter().any(|part| part.eq_ignore_ascii_case(word));
    // As it stands, and decoded: what is encoded once may be an encoded slash.
    [text.to_owned(), decoded(text)]
        .iter()
        .any(|text| text.split(['/', '?', '&', ';', '=', '#', ' ']).any(is_gone))
}

/// Percent decoding; what is no encoding stays.
fn decoded(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        let hex = |digit: &u8| char::from(*digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        match (byte, tail) {
            (b'%', [high, low, after @ ..]) => match (hex(high), hex(low)) {
                (Some(high), Some(low)) => {
                    out.push(high << 4 | low);
                    rest = after;
                }
                _ => out.push(byte),
            },
            _ => out.push(byte),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> StreamKey {
        StreamKey::parse(text).unwrap()
    }

    #[test]
    fn what_holds_the_old_name_is_cut() {
        let check = |old: &str, new: &str, url: &str, expect: &str| {
            assert_eq!(cut_url(&url.into(), &key(old), &key(new)).0.as_str(), expect, "{old} {new}");
        };
        check("live/s3cret", "live/show", "rtmp://h:1935/live", "rtmp://h:1935/live");
        check("live/s3cret/a", "live/show", "rtmp://h/live/s3cret", "rtmp://h");
        check("live/s3cret/a", "live/show", "rtmp://h/live/s3%63ret?x=1", "rtmp://h");
        check("live/s3cret", "live/show", "rtmp://h/live?key=S3CRET", "rtmp://h");
        check("live/s3cret", "live/s3cret", "rtmp://h/live/s3cret", "rtmp://h/live/s3cret");
        check("live/s3cret", "live/show", "/live/s3cret", "");
        check("s3cret/a", "live/a", "rtmp://s3cret/live", "rtmp://s3cret/live");
        check("live/a", "live/b", "", "");
    }

    #[test]
    fn values_that_hold_the_old_name_are_masked() {
        let check = |query: &str, expect: &str| {
            assert_eq!(mask_query(&query.into(), &key("live/a"), &key("live/b")).0.as_str(), expect);
        };
        check("camera=2", "camera=2");
        check("name=a&camera=2", "name=***&camera=2");
        check("name=a&quiet", "name=***&quiet");
        check("path=live%2Fa&a", "path=***&***");
        check("%61=1", "***");
        check("%&%4", "%&%4");
    }
}
