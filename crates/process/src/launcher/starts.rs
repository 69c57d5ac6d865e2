//! The starts that are under way, and how many may be.
//!
//! A start takes less than a millisecond, unless its file or folder lies on a network disk that does not answer: then
//! its process cannot even be killed. Such starts hold up the others for a second and no longer, and after a few of them
//! the same program is not tried again until one of them has come to an end.

use super::child::Handle;
use super::owner::Refusal;
use jackfield_media::Mono;
use std::collections::HashMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::oneshot;

/// The most programs that are being started at a time and do not hang; over it the queue of commands fills.
const MAX_STARTING: usize = 64;

/// A start that takes longer hangs.
const HANGS_AFTER: Duration = Duration::from_secs(1);

/// The most starts of one program that may hang. Those that began before the first of them hung come on top.
const MAX_HANGING_OF_ONE: usize = 8;

/// The most starts that may hang; over it the others have to share their places with them.
const MAX_HANGING: usize = 256;

/// What may hang: the file and the folder of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) file: OsString,
    pub(super) cwd: Option<PathBuf>,
}

pub(super) type Answer = oneshot::Sender<Result<Handle, Refusal>>;

#[derive(Debug)]
struct Pending {
    place: Place,
    since: Mono,
    answer: Answer,
}

/// See the module. Ids grow with time.
#[derive(Debug, Default)]
pub(super) struct Starts(HashMap<u64, Pending>);

impl Starts {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn begin(&mut self, id: u64, place: Place, now: Mono, answer: Answer) {
        self.0.insert(id, Pending { place, since: now, answer });
    }

    /// It has come to an end: who waits for it.
    pub(super) fn end(&mut self, id: u64) -> Option<Answer> {
        self.0.remove(&id).map(|pending| pending.answer)
    }

    /// All of them, which will not come to an end any more.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Answer> {
        self.0.drain().map(|(_, pending)| pending.answer)
    }

    /// Whether another may begin, or from when on perhaps.
    pub(super) fn room(&self, now: Mono) -> Room {
        if self.0.len() < MAX_STARTING {
            return Room::Now;
        }
        let hanging = self.hanging(now).count().min(MAX_HANGING);
        if self.0.len() - hanging < MAX_STARTING {
            return Room::Now;
        }
        let hangs_at = self.0.values().map(|pending| pending.since.after(HANGS_AFTER));
        hangs_at.filter(|at| *at > now).min().map_or(Room::WhenOneEnds, Room::At)
    }

    /// Whether too many starts of this program hang.
    pub(super) fn hangs(&self, place: &Place, now: Mono) -> bool {
        self.hanging(now).filter(|pending| pending.place == *place).count() >= MAX_HANGING_OF_ONE
    }

    fn hanging(&self, now: Mono) -> impl Iterator<Item = &Pending> {
        self.0.values().filter(move |pending| pending.since.after(HANGS_AFTER) <= now)
    }
}

/// When a start may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    Now,
    At(Mono),
    WhenOneEnds,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(file: &str) -> Place {
        Place { file: file.into(), cwd: None }
    }

    /// So many starts that began then.
    fn begun(starts: &mut Starts, count: u64, file: &str, at: Duration) {
        let first = starts.0.len() as u64;
        for id in first..first + count {
            starts.begin(id, place(file), Mono::from_origin(at), oneshot::channel().0);
        }
    }

    #[test]
    fn a_full_house_has_room_again_when_one_ends_or_hangs() {
        let mut starts = Starts::default();
        let at = |millis| Mono::from_origin(Duration::from_millis(millis));
        begun(&mut starts, 63, "a", Duration::ZERO);
        assert_eq!(starts.room(at(0)), Room::Now);
        begun(&mut starts, 1, "b", Duration::from_millis(500));
        assert_eq!(starts.room(at(600)), Room::At(at(1000)));
        assert_eq!(starts.room(at(1000)), Room::Now);
        starts.end(63).unwrap();
        assert_eq!(starts.room(at(600)), Room::Now);
    }

    #[test]
    fn those_that_hang_are_bounded_too() {
        let mut starts = Starts::default();
        let late = Mono::from_origin(Duration::from_secs(60));
        for n in 0..5 {
            assert_eq!(starts.room(late), Room::Now);
            begun(&mut starts, 64, &n.to_string(), Duration::ZERO);
        }
        assert_eq!(starts.room(late), Room::WhenOneEnds);
    }

    #[test]
    fn a_program_that_hangs_is_not_tried_again_and_others_are() {
        let mut starts = Starts::default();
        begun(&mut starts, 8, "a", Duration::ZERO);
        let (soon, late) = (Mono::from_origin(Duration::from_millis(900)), Mono::from_origin(HANGS_AFTER));
        assert!(!starts.hangs(&place("a"), soon));
        assert!(starts.hangs(&place("a"), late));
        assert!(!starts.hangs(&place("b"), late));
        assert!(!starts.hangs(&Place { cwd: Some("/".into()), ..place("a") }, late));
        starts.end(3).unwrap();
        assert!(!starts.hangs(&place("a"), late));
    }
}
