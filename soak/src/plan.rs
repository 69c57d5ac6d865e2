//! How long, and with how many.

use clap::Args;
use std::str::FromStr;
use std::time::Duration;

/// What was asked for on the command line.
#[derive(Debug, Clone, Args)]
pub(crate) struct Wishes {
    /// For how long, in all: 90s, 10m, 1h. A run that was stopped before is gone on with.
    #[arg(long = "for", default_value = "10m", value_name = "TIME")]
    pub(crate) length: Length,
    /// Few clients that come and go quickly, a new run each time, and no word on memory.
    #[arg(long)]
    pub(crate) short: bool,
    /// Begin anew, even if the last run was stopped before its end.
    #[arg(long)]
    pub(crate) anew: bool,
    /// Where results are written.
    #[arg(long, default_value = "target/soak", value_name = "FOLDER")]
    pub(crate) folder: std::path::PathBuf,
    /// Publishers, one for each stream.
    #[arg(long, value_name = "NUMBER")]
    pub(crate) publishers: Option<u16>,
    /// Players at any time.
    #[arg(long, value_name = "NUMBER")]
    pub(crate) viewers: Option<usize>,
}

/// A length of time as people type it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Length(pub(crate) Duration);

impl FromStr for Length {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let unit = |unit| text.strip_suffix(unit).and_then(|number| number.parse::<u64>().ok());
        let units = [("h", 3600), ("m", 60), ("s", 1)];
        let seconds = units.into_iter().find_map(|(name, seconds)| unit(name)?.checked_mul(seconds));
        let seconds = seconds.filter(|seconds| (1..=7 * 24 * 3600).contains(seconds));
        seconds.map(|n| Self(Duration::from_secs(n))).ok_or(format!("`{text}` is not like 90s, 10m or 1h"))
    }
}

/// The load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Streams, and so publishers.
    pub(crate) publishers: u16,
    /// Players at any time.
    pub(crate) viewers: usize,
    /// How long a player stays.
    pub(crate) stay: Range,
    /// How long a publisher goes on by itself.
    pub(crate) life: Range,
    /// How long one waits between two tries of each misbehaving hook.
    pub(crate) pause: Range,
    /// Between two takeovers, and two kicks.
    pub(crate) beat: Duration,
    /// For a hook's answer to a question; a question's budget is half as long again. On a machine that is busy with other things,
    /// a hook that behaves must not seem slow.
    pub(crate) timeout: Duration,
    /// A stream is left in peace for so long after something was done to it.
    pub(crate) peace: Duration,
    /// Players come one after the other until all are there, over this time.
    pub(crate) arrival: Duration,
    /// What is measured before is not compared. In its middle all players leave and come again at once, so that the
    /// memory for a crowd is there before.
    pub(crate) warm_up: Duration,
    /// Between two lines on the screen.
    pub(crate) line: Duration,
}

/// From how long to how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Range(pub(crate) Duration, pub(crate) Duration);

impl Range {
    fn seconds(from: u64, to: u64) -> Self {
        Self(Duration::from_secs(from), Duration::from_secs(to))
    }

    /// Some length of it, by chance.
    pub(crate) fn draw(self) -> Duration {
        let span = u64::try_from((self.1 - self.0).as_millis()).unwrap_or(u64::MAX);
        self.0 + Duration::from_millis(jackfield_runtime::random::number() % span.max(1))
    }
}

impl Plan {
    /// For a run of this length from here on.
    pub(crate) fn new(wishes: &Wishes, length: Duration) -> Self {
        let plan = if wishes.short {
            Self {
                publishers: 4,
                viewers: 30,
                stay: Range(Duration::from_millis(300), Duration::from_secs(2)),
                life: Range(Duration::from_millis(1500), Duration::from_secs(3)),
                pause: Range(Duration::from_millis(200), Duration::from_millis(400)),
                beat: Duration::from_millis(300),
                timeout: Duration::from_secs(2),
                peace: Duration::from_millis(700),
                arrival: Duration::from_millis(200),
                warm_up: Duration::ZERO,
                line: Duration::from_secs(1),
            }
        } else {
            Self {
                publishers: 24,
                viewers: 500,
                stay: Range::seconds(2, 60),
                life: Range::seconds(40, 160),
                pause: Range::seconds(1, 3),
                beat: Duration::from_secs(1),
                timeout: Duration::from_secs(5),
                peace: Duration::from_secs(5),
                arrival: Duration::from_secs(5),
                warm_up: (length / 4).clamp(Duration::from_secs(20), Duration::from_secs(600)),
                line: Duration::from_secs(10),
            }
        };
        let publishers = wishes.publishers.unwrap_or(plan.publishers).max(1);
        Self { publishers, viewers: wishes.viewers.unwrap_or(plan.viewers).max(1), ..plan }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_read_as_people_type_them() {
        let read = |text: &str| text.parse::<Length>().map(|length| length.0.as_secs());
        assert_eq!(["90s", "10m", "1h"].map(|text| read(text).unwrap()), [90, 600, 3600]);
        for wrong in ["", "h", "10", "-1s", "0s", "1.5h", "99999999999999999h", "1d"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
