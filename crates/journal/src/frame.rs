//! The form of one record on disk, and finding the next one in bytes that may be damaged.

use jackfield_media::UnixTime;

/// The longest body of a record: what claims to be longer is no record.
pub const MAX_BODY: usize = 8 * 1024 * 1024;
/// Bytes before the body.
pub(crate) const HEAD: usize = 28;
/// Where a record may begin. Neither of its outer bytes occurs in UTF-8, so no text of a body looks like it.
const MARKER: [u8; 4] = [0xF5, 0xFF, 0xC0, 0xFE];

/// Appends one record.
pub(crate) fn put(out: &mut Vec<u8>, position: u64, time: UnixTime, body: &[u8]) {
    let length = u32::try_from(body.len()).expect("invariant: a body is at most MAX_BODY");
    let start = out.len();
    out.extend_from_slice(&MARKER);
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&position.to_le_bytes());
    out.extend_from_slice(&time.0.to_le_bytes());
    out.extend_from_slice(body);
    let crc = crc32c::crc32c(out.get(start + 12..).unwrap_or_default());
    if let Some(place) = out.get_mut(start + 8..start + 12) {
        place.copy_from_slice(&crc.to_le_bytes());
    }
}

/// What was found in bytes of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// A valid record; what lies before its start is none.
    Frame { start: usize, end: usize, position: u64, time: UnixTime },
    /// Before `start` there is no record; whether there is one cannot be said without `needed` bytes from there.
    Short { start: usize, needed: usize },
}

/// Finds the first valid record at or after `from` whose position is between these two.
pub(crate) fn find(bytes: &[u8], from: usize, after: u64, below: u64) -> Found {
    let mut start = from;
    loop {
        let rest = bytes.get(start..).unwrap_or_default();
        let Some(at) = next_marker(rest) else {
            // The last three bytes may be the beginning of a marker.
            let start = bytes.len().saturating_sub(MARKER.len() - 1).max(start);
            return Found::Short { start, needed: HEAD };
        };
        start += at;
        match check(rest.get(at..).unwrap_or_default(), after, below) {
            Checked::Valid { length, position, time } => {
                return Found::Frame { start, end: start + length, position, time };
            }
            Checked::Short { needed } => return Found::Short { start, needed },
            Checked::Invalid => start += 1,
        }
    }
}

fn next_marker(bytes: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let rest = bytes.get(from..)?;
        let at = from + rest.iter().position(|&byte| byte == MARKER[0])?;
        let here = bytes.get(at..)?;
        if here.starts_with(&MARKER) {
            return Some(at);
        }
        if here.len() < MARKER.len() {
            return None;
        }
        from = at + 1;
    }
}

enum Checked {
    Valid { length: usize, position: u64, time: UnixTime },
    Invalid,
    Short { needed: usize },
}

/// Whether the bytes, which begin with a marker, begin with a record.
fn check(bytes: &[u8], after: u64, below: u64) -> Checked {
    let Some(head) = bytes.first_chunk::<HEAD>() else { return Checked::Short { needed: HEAD } };
    let number = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    let long = |at: usize| {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&head[at..at + 8]);
        u64::from_le_bytes(bytes)
    };
    let body = usize::try_from(number(4)).unwrap_or(usize::MAX);
    let position = long(12);
    if body > MAX_BODY || position <= after || position >= below {
        return Checked::Invalid;
    }
    let length = HEAD + body;
    let Some(covered) = bytes.get(12..length) else { return Checked::Short { needed: length } };
    if crc32c::crc32c(covered) != number(8) {
        return Checked::Invalid;
    }
    Checked::Valid { length, position, time: UnixTime(long(20).cast_signed()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_found_behind_garbage_and_behind_a_marker_that_lies() {
        let mut bytes = b"garbage\xF5\xFF\xC0\xFE\x03\0\0\0garbage that is long enough for a head".to_vec();
        let start = bytes.len();
        put(&mut bytes, 5, UnixTime(-3), b"body");
        let end = bytes.len();
        let found = Found::Frame { start, end, position: 5, time: UnixTime(-3) };
        assert_eq!(find(&bytes, 0, 4, 6), found);
        // A position that does not ascend is none, nor is one of the next segment.
        assert!(matches!(find(&bytes, 0, 4, 5), Found::Short { .. }));
        assert!(matches!(find(&bytes, 0, 5, 6), Found::Short { .. }));
        // Each beginning of it is short, each flipped bit makes it invalid.
        for cut in start..end {
            assert!(matches!(find(&bytes[..cut], start, 4, 6), Found::Short { .. }), "{cut}");
        }
        for bit in start * 8..end * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(!matches!(find(&bytes, start, 4, 6), Found::Frame { .. }), "{bit}");
        }
    }
}
