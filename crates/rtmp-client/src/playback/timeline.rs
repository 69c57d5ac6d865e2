//! One time line over several connections.

use bytes::Bytes;
use jackfield_containers::flv::Unpacker;
use jackfield_media::{FrameClass, Mono, TrackKind};
use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

/// A new connection's first time stamp may be this far after where the stream's clock should be, and is still on
/// the same clock.
const SAME_CLOCK: Duration = Duration::from_secs(20);
/// So many of the last messages are known again: more than a group of pictures, from where servers begin, has.
const KNOWN: usize = 4096;

/// Where a message belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// At this time, in milliseconds.
    At(i64),
    /// It came before, over the former connection.
    Repeated,
}

/// Puts the time stamps of a connection after the one before.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    shift: i64,
    /// The latest time on the line, and when it came.
    latest: Option<(i64, Mono)>,
    /// The latest of each kind before the new connection; what is not later came already.
    before: [Option<i64>; 3],
    last: [Option<i64>; 3],
    /// The last messages, by time and content.
    known: VecDeque<(i64, u64)>,
    joint: Joint,
    unpacker: Unpacker,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Joint {
    #[default]
    None,
    /// The first picture or sound of the new connection is to come.
    Open,
}

impl Timeline {
    /// What comes is of a new connection.
    pub(super) fn begin_again(&mut self) {
        self.joint = Joint::Open;
        self.before = [None; 3];
    }

    pub(super) fn place(&mut self, now: Mono, kind: TrackKind, timestamp: i64, body: &Bytes) -> Place {
        let header = self.is_header(kind, body);
        if self.joint == Joint::Open && !header && kind != TrackKind::Data {
            self.join(now, timestamp, body);
        }
        let at = timestamp.saturating_add(self.shift);
        let slot = match kind {
            TrackKind::Video => 0,
            TrackKind::Audio => 1,
            TrackKind::Data => 2,
        };
        let latest = self.latest.map_or(at, |(latest, _)| latest);
        if header {
            // The headers of a new connection may have any time stamp: they go where the stream is.
            return Place::At(if self.joint == Joint::Open { latest } else { at });
        }
        if self.before.get(slot).copied().flatten().is_some_and(|before| at <= before) {
            return Place::Repeated;
        }
        if let Some(last) = self.last.get_mut(slot) {
            *last = Some(last.map_or(at, |last| last.max(at)));
        }
        self.latest = Some((latest.max(at), now));
        self.known.truncate(KNOWN - 1);
        self.known.push_front((at, content(body)));
        Place::At(at)
    }

    /// Finds out whether the clock is the same, with the first message of the new connection.
    ///
    /// Servers begin with the last key frame, and many count each player's time from 0: that a time stamp lies before
    /// the end says nothing, unless the very message was there at that time.
    fn join(&mut self, now: Mono, timestamp: i64, body: &Bytes) {
        self.joint = Joint::None;
        let Some((latest, since)) = self.latest else { return };
        let millis = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        let expected = latest.saturating_add(millis(now - since).max(1));
        let at = timestamp.saturating_add(self.shift);
        let goes_on = latest < at && at <= expected.saturating_add(millis(SAME_CLOCK));
        if goes_on || self.known.contains(&(at, content(body))) {
            self.before = self.last;
        } else {
            self.shift = expected.saturating_sub(timestamp);
        }
    }

    fn is_header(&mut self, kind: TrackKind, body: &Bytes) -> bool {
        if kind == TrackKind::Data {
            return body.starts_with(b"\x02\x00\x0aonMetaData");
        }
        let Ok(mut frames) = self.unpacker.unpack(kind, 0, body.clone()) else { return false };
        frames.any(|(frame, _)| matches!(frame.class, FrameClass::Config | FrameClass::TrackMetadata))
    }
}

fn content(body: &Bytes) -> u64 {
    let mut hasher = DefaultHasher::new();
    body.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use TrackKind::{Audio, Video};

    struct Line(Timeline, Mono);

    impl Line {
        fn new() -> Self {
            Self(Timeline::default(), Mono::ZERO)
        }

        fn place(&mut self, kind: TrackKind, timestamp: i64) -> Place {
            self.place_other(kind, timestamp, 9)
        }

        fn place_other(&mut self, kind: TrackKind, timestamp: i64, content: u8) -> Place {
            let head: &[u8] = if kind == Video { &[0x17, 1, 0, 0, 0] } else { &[0xaf, 1] };
            self.0.place(self.1, kind, timestamp, &Bytes::from([head, &[content]].concat()))
        }

        fn header(&mut self, timestamp: i64) -> Place {
            self.0.place(self.1, Video, timestamp, &Bytes::from_static(&[0x17, 0, 0, 0, 0, 9]))
        }

        fn wait(&mut self, seconds: u64) {
            self.1 = self.1.after(Duration::from_secs(seconds));
            self.0.begin_again();
        }
    }

    #[test]
    fn a_clock_that_goes_on_repeats_nothing() {
        let mut line = Line::new();
        assert_eq!([line.place(Video, 960), line.place(Video, 1000)], [Place::At(960), Place::At(1000)]);
        assert_eq!(line.place(Audio, 1020), Place::At(1020));
        line.wait(3);
        assert_eq!(line.header(500), Place::At(1020));
        assert_eq!([line.place(Video, 960), line.place(Video, 1000)], [Place::Repeated; 2]);
        assert_eq!([line.place(Video, 1040), line.place(Audio, 1020)], [Place::At(1040), Place::Repeated]);
        assert_eq!(line.place(Audio, 1043), Place::At(1043));
    }

    #[test]
    fn a_clock_that_begins_anew_is_shifted_by_the_gap() {
        let mut line = Line::new();
        assert_eq!(line.place(Video, 100_000), Place::At(100_000));
        line.wait(5);
        assert_eq!(line.header(0), Place::At(100_000));
        assert_eq!([line.place(Video, 0), line.place(Audio, 20)], [Place::At(105_000), Place::At(105_020)]);
        // A second time, on the new clock.
        line.wait(1);
        assert_eq!([line.place(Audio, 20), line.place(Audio, 40)], [Place::Repeated, Place::At(105_040)]);
    }

    #[test]
    fn a_server_that_counts_each_player_from_0_repeats_nothing_early_in_the_stream() {
        let mut line = Line::new();
        for time in (0..4000).step_by(40) {
            assert_eq!(line.place(Video, time), Place::At(time));
        }
        line.wait(1);
        assert_eq!(line.place_other(Video, 0, 1), Place::At(4960));
        assert_eq!(line.place_other(Video, 40, 2), Place::At(5000));
    }

    #[test]
    fn what_is_known_again_is_bounded() {
        let mut line = Line::new();
        for time in 0..10_000 {
            line.place(Video, time);
        }
        assert_eq!(line.0.known.len(), KNOWN);
    }
}
