//! Points in time as people type them.

use jackfield_runtime::clock;
use jiff::{SignedDuration, Timestamp};
use std::str::FromStr;

/// A point in time, or a place in the order of events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Since(String);

impl Since {
    /// As the API takes it: RFC 3339, or a `seq`.
    pub(crate) fn text(&self) -> String {
        self.0.clone()
    }

    /// Now, for what is followed from here on.
    pub(crate) fn now() -> Self {
        Self(now().to_string())
    }
}

fn now() -> Timestamp {
    Timestamp::from_microsecond(clock::unix_now().0).unwrap_or_default()
}

impl FromStr for Since {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u64>().is_ok() {
            return Ok(Self(text.to_owned()));
        }
        if let Ok(time) = text.parse::<Timestamp>() {
            return Ok(Self(time.to_string()));
        }
        let ago = text.parse::<SignedDuration>().ok().filter(|ago| !ago.is_negative());
        let time = ago.and_then(|ago| now().checked_sub(ago).ok());
        time.map(|time| Self(time.to_string())).ok_or_else(|| {
            "write a time like 2026-03-01T12:00:00Z, how long ago like 10m or 2h, or an event's `seq`"
                .to_owned()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_spans_and_places_are_read() {
        let read = |text: &str| text.parse::<Since>().map(|since| since.text());
        assert_eq!(read("42"), Ok("42".to_owned()));
        assert_eq!(read("2026-03-01T12:00:00+01:00"), Ok("2026-03-01T11:00:00Z".to_owned()));
        for ago in ["10m", "2h", "1h30m", "90 s"] {
            assert!(read(ago).is_ok_and(|time| time < Since::now().text()), "{ago}");
        }
        for wrong in ["", "yesterday", "-10m", "2026-13-01T00:00:00Z", "99999999999999999999"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
