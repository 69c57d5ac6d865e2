//! Whether a player got all there was, in order.

use crate::clip::{GROUP, Mark};
use jackfield_media::TrackKind;

/// What a player has got so far.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sequence {
    picture: Option<Mark>,
    sound: Option<Mark>,
}

/// What is wrong with a picture or a sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Defect {
    /// Of another stream.
    Astray,
    /// It does not follow what came before it.
    Gap {
        /// What came before.
        before: Mark,
    },
    /// A sound that does not follow its picture.
    OutOfStep {
        /// What it follows.
        picture: Option<Mark>,
    },
    /// A publisher or a player begins with it, and it is not what one begins with.
    Beginning,
    /// Of a publisher that had been followed by another.
    Past,
    /// A publisher that sent for a while was left out.
    Skipped {
        /// Its term.
        term: u32,
    },
}

/// How many pictures a publisher of the same stream has sent, if it is remembered.
pub(crate) trait Terms {
    fn sent(&self, term: u32) -> Option<u32>;
}

/// Who takes over may be followed by another before anybody sees it; after so many pictures that is an omission.
const SOON: u32 = GROUP / 2;

impl Sequence {
    /// The last picture.
    pub(crate) fn picture(&self) -> Option<Mark> {
        self.picture
    }

    /// The next that came.
    pub(crate) fn take(
        &mut self,
        stream: u16,
        kind: TrackKind,
        mark: Mark,
        terms: &impl Terms,
    ) -> Result<(), Defect> {
        if mark.stream != stream {
            return Err(Defect::Astray);
        }
        let last = if kind == TrackKind::Audio { self.sound } else { self.picture };
        let mut result = match last {
            Some(before) if before.term == mark.term => {
                let follows = before.number.checked_add(1) == Some(mark.number);
                if follows { Ok(()) } else { Err(Defect::Gap { before }) }
            }
            Some(before) if before.term > mark.term => Err(Defect::Past),
            Some(before) => later(before, mark, terms),
            // A player begins with a key frame.
            None if mark.number.is_multiple_of(GROUP) => Ok(()),
            None => Err(Defect::Beginning),
        };
        if kind == TrackKind::Audio && self.picture != Some(mark) {
            // Each sound is sent right after the picture of its number.
            result = result.and(Err(Defect::OutOfStep { picture: self.picture }));
        }
        *(if kind == TrackKind::Audio { &mut self.sound } else { &mut self.picture }) = Some(mark);
        result
    }
}

/// Who was there before another took over gets all of the new one.
fn later(before: Mark, mark: Mark, terms: &impl Terms) -> Result<(), Defect> {
    let skipped = |term: &u32| terms.sent(*term).is_some_and(|sent| sent >= SOON);
    match (before.term + 1..mark.term).find(skipped) {
        Some(term) => Err(Defect::Skipped { term }),
        None if mark.number == 0 => Ok(()),
        None => Err(Defect::Beginning),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use TrackKind::{Audio, Video};

    /// Term 3 has sent for a while.
    struct Third;

    impl Terms for Third {
        fn sent(&self, term: u32) -> Option<u32> {
            (term == 3).then_some(500)
        }
    }

    fn take(marks: &[(TrackKind, u32, u32)]) -> Vec<Result<(), Defect>> {
        let mut sequence = Sequence::default();
        let take = |&(kind, term, number): &(_, _, _)| {
            sequence.take(1, kind, Mark { stream: 1, term, number }, &Third)
        };
        marks.iter().map(take).collect()
    }

    fn last(marks: &[(TrackKind, u32, u32)]) -> Result<(), Defect> {
        let all = take(marks);
        let (last, before) = all.split_last().unwrap();
        assert!(before.iter().all(Result::is_ok), "{all:?}");
        *last
    }

    #[test]
    fn a_stay_over_a_takeover_is_whole() {
        assert_eq!(
            last(&[
                (Video, 1, 40),
                (Audio, 1, 40),
                (Video, 1, 41),
                (Audio, 1, 41),
                (Video, 2, 0),
                (Audio, 2, 0),
                (Video, 2, 1)
            ]),
            Ok(())
        );
    }

    #[test]
    fn what_is_missing_or_twice_or_late_or_astray_is_seen() {
        let before = Mark { stream: 1, term: 1, number: 40 };
        let gap = Err(Defect::Gap { before });
        assert_eq!(last(&[(Video, 1, 40), (Video, 1, 42)]), gap);
        assert_eq!(last(&[(Video, 1, 40), (Video, 1, 40)]), gap);
        assert_eq!(
            last(&[(Video, 1, 40), (Audio, 1, 40), (Video, 1, 41), (Video, 1, 42), (Audio, 1, 42)]),
            gap
        );
        let out_of_step = |picture| Err(Defect::OutOfStep { picture });
        assert_eq!(last(&[(Audio, 1, 40)]), out_of_step(None));
        assert_eq!(
            last(&[(Video, 1, 40), (Video, 1, 41), (Audio, 1, 40)]),
            out_of_step(Some(Mark { number: 41, ..before }))
        );
        assert_eq!(last(&[(Video, 1, 41)]), Err(Defect::Beginning));
        assert_eq!(last(&[(Video, 1, 40), (Audio, 1, 41)]), Err(Defect::Beginning));
        assert_eq!(last(&[(Video, 1, 40), (Video, 2, 1)]), Err(Defect::Beginning));
        assert_eq!(last(&[(Video, 1, 40), (Video, 2, 40)]), Err(Defect::Beginning));
        assert_eq!(last(&[(Video, 2, 40), (Video, 1, 41)]), Err(Defect::Past));
        assert_eq!(last(&[(Video, 2, 40), (Video, 4, 0)]), Err(Defect::Skipped { term: 3 }));
        assert_eq!(last(&[(Video, 3, 40), (Video, 5, 0)]), Ok(()));
        let other = Sequence::default().take(2, Video, before, &Third);
        assert_eq!(other, Err(Defect::Astray));
    }
}
