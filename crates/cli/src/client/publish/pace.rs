//! When each tag is due, and what time stamp it gets.

use crate::client::options::Speed;
use jackfield_containers::flv::Tag;
use jackfield_media::{Mono, TrackKind};
use std::time::Duration;

/// A step ahead that is more than this is a jump of the file's clock, and not waited for.
const LONGEST_GAP_MS: i64 = 10_000;
/// Between the last picture and the first of the next turn, if the file does not tell.
const USUAL_STEP_MS: i64 = 40;

/// The way of a file's time stamps on the stream's time line.
#[derive(Debug)]
pub(crate) struct Pace {
    speed: Speed,
    /// Where the clock and the time line were last known to agree.
    anchor: (Mono, i64),
    first: Option<i64>,
    /// The last time stamp that was sent, on the time line.
    last: i64,
    /// The latest one.
    latest: i64,
    /// What is added to the file's time stamps.
    shift: i64,
    /// Between the last two pictures, or sounds in a file without pictures.
    step: i64,
    stepped: Option<(TrackKind, i64)>,
}

impl Pace {
    pub(crate) fn new(speed: Speed, now: Mono) -> Self {
        Self {
            speed,
            anchor: (now, 0),
            first: None,
            last: 0,
            latest: 0,
            shift: 0,
            step: USUAL_STEP_MS,
            stepped: None,
        }
    }

    /// How much of the stream's own time was sent.
    pub(crate) fn media(&self) -> Duration {
        let span = self.latest.saturating_sub(self.first.unwrap_or(self.latest));
        Duration::from_millis(u64::try_from(span).unwrap_or_default())
    }

    /// The file begins anew: its time stamps go on where they were.
    pub(crate) fn begin_again(&mut self) {
        let first = self.first.unwrap_or_default();
        self.shift = self.latest.saturating_add(self.step).saturating_sub(first);
        self.stepped = None;
    }

    /// The tag's time stamp on the wire, and when it is due; `None` if at once.
    pub(crate) fn place(&mut self, tag: &Tag) -> (u32, Option<Mono>) {
        let at = i64::from(tag.timestamp_ms).saturating_add(self.shift);
        if self.first.is_none() {
            self.first = Some(at);
            self.anchor.1 = at;
            self.last = at;
            self.latest = at;
        }
        self.note_step(tag.kind, at);
        let jump = at.saturating_sub(self.last);
        let due = self.due(at);
        self.last = at;
        self.latest = self.latest.max(at);
        let wire = u32::try_from(at.rem_euclid(1 << 32)).unwrap_or_default();
        match due {
            Some(due) if !(-LONGEST_GAP_MS..=LONGEST_GAP_MS).contains(&jump) => {
                // The file's clock has jumped: it goes on from here without waiting.
                let before = self.due(at.saturating_sub(jump)).unwrap_or(due);
                self.anchor = (before, at);
                (wire, None)
            }
            due => (wire, due),
        }
    }

    fn due(&self, at: i64) -> Option<Mono> {
        let Speed::Times(times) = self.speed else { return None };
        let (moment, anchor) = self.anchor;
        let ahead = u64::try_from(at.saturating_sub(anchor)).unwrap_or_default();
        Some(moment.after(Duration::from_millis(ahead).div_f64(times)))
    }

    fn note_step(&mut self, kind: TrackKind, at: i64) {
        match (kind, self.stepped) {
            (TrackKind::Data, _) | (TrackKind::Audio, Some((TrackKind::Video, _))) => {}
            (_, Some((former, last))) => {
                let step = at.saturating_sub(last);
                if former == kind && (1..1000).contains(&step) {
                    self.step = step;
                }
                self.stepped = Some((kind, at));
            }
            (_, None) => self.stepped = Some((kind, at)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn tag(kind: TrackKind, timestamp_ms: u32) -> Tag {
        Tag { kind, timestamp_ms, body: Bytes::from_static(&[0x17]) }
    }

    fn run(pace: &mut Pace, times: &[u32]) -> Vec<(u32, Option<u128>)> {
        let place = |time: &u32| {
            let (wire, due) = pace.place(&tag(TrackKind::Video, *time));
            (wire, due.map(|due| due.since_origin().as_millis()))
        };
        times.iter().map(place).collect()
    }

    #[test]
    fn tags_are_due_as_their_time_stamps_say() {
        let mut pace = Pace::new(Speed::Times(1.0), Mono::ZERO);
        assert_eq!(run(&mut pace, &[100, 140, 120]), [(100, Some(0)), (140, Some(40)), (120, Some(20))]);
        assert_eq!(pace.media(), Duration::from_millis(40));
        let mut pace = Pace::new(Speed::Times(2.0), Mono::ZERO);
        assert_eq!(run(&mut pace, &[0, 400]), [(0, Some(0)), (400, Some(200))]);
        let mut pace = Pace::new(Speed::Max, Mono::ZERO);
        assert_eq!(run(&mut pace, &[0, 400]), [(0, None), (400, None)]);
    }

    #[test]
    fn a_jump_is_not_waited_for() {
        let mut pace = Pace::new(Speed::Times(1.0), Mono::ZERO);
        let placed = run(&mut pace, &[0, 1000, 90_000_000, 90_000_040, 5, 45]);
        let due: Vec<_> = placed.iter().map(|(_, due)| *due).collect();
        assert_eq!(due, [Some(0), Some(1000), None, Some(1040), None, Some(1080)]);
    }

    #[test]
    fn the_next_turn_goes_on_a_step_later() {
        let mut pace = Pace::new(Speed::Times(1.0), Mono::ZERO);
        run(&mut pace, &[7, 57]);
        pace.begin_again();
        assert_eq!(run(&mut pace, &[7, 57]), [(107, Some(100)), (157, Some(150))]);
        pace.begin_again();
        assert_eq!(run(&mut pace, &[7]), [(207, Some(200))]);
    }
}
