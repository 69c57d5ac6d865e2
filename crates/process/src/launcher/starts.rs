//! The starts that are under way, and how many may be.
//!
//! A start takes less than a millisecond, unless its file or folder lies on a network disk that does not answer: then
//! its process cannot even be killed. The helper tells of such starts after a second. From then on they hold up no
//! others, and after a few of them the same program is not tried again until one of them has come to an end.

use super::child::Handle;
use super::owner::Refusal;
use std::collections::HashMap;
use std::ffi::OsString;
use std::path::PathBuf;
use tokio::sync::oneshot;

/// The most programs that are being started at a time and do not hang; over it the queue of commands fills.
const MAX_STARTING: usize = 64;

/// The most starts of one program that may hang. Those that began before it was told come on top.
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
    state: State,
    answer: Answer,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    New,
    Hangs,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Starts(HashMap<u64, Pending>);

impl Starts {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn begin(&mut self, id: u64, place: Place, answer: Answer) {
        self.0.insert(id, Pending { place, state: State::New, answer });
    }

    /// It takes so long that it may never come to an end.
    pub(super) fn hangs(&mut self, id: u64) {
        if let Some(pending) = self.0.get_mut(&id) {
            pending.state = State::Hangs;
        }
    }

    /// It has come to an end: who waits for it.
    pub(super) fn end(&mut self, id: u64) -> Option<Answer> {
        self.0.remove(&id).map(|pending| pending.answer)
    }

    /// All of them, which will not come to an end any more.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Answer> {
        self.0.drain().map(|(_, pending)| pending.answer)
    }

    /// Whether another may begin.
    pub(super) fn has_room(&self) -> bool {
        self.0.len() < MAX_STARTING || self.0.len() - self.hanging().count().min(MAX_HANGING) < MAX_STARTING
    }

    /// Whether too many starts of this program hang.
    pub(super) fn is_stuck(&self, place: &Place) -> bool {
        self.hanging().filter(|pending| pending.place == *place).count() >= MAX_HANGING_OF_ONE
    }

    fn hanging(&self) -> impl Iterator<Item = &Pending> {
        self.0.values().filter(|pending| pending.state == State::Hangs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(file: &str) -> Place {
        Place { file: file.into(), cwd: None }
    }

    /// So many more starts of this.
    fn begin(starts: &mut Starts, count: u64, file: &str) {
        let first = starts.0.len() as u64;
        for id in first..first + count {
            starts.begin(id, place(file), oneshot::channel().0);
        }
    }

    #[test]
    fn a_full_house_has_room_again_when_one_ends_or_hangs() {
        let mut starts = Starts::default();
        begin(&mut starts, 63, "a");
        assert!(starts.has_room());
        begin(&mut starts, 1, "a");
        assert!(!starts.has_room());
        starts.hangs(7);
        assert!(starts.has_room());
        begin(&mut starts, 1, "b");
        assert!(!starts.has_room());
        starts.end(8).unwrap();
        assert!(starts.has_room());
    }

    #[test]
    fn those_that_hang_are_bounded_too() {
        let mut starts = Starts::default();
        for n in 0..5 {
            assert!(starts.has_room());
            begin(&mut starts, 64, &n.to_string());
            (0..starts.0.len() as u64).for_each(|id| starts.hangs(id));
        }
        assert!(!starts.has_room());
    }

    #[test]
    fn a_program_that_hangs_is_not_tried_again_and_others_are() {
        let mut starts = Starts::default();
        begin(&mut starts, 9, "a");
        assert!(!starts.is_stuck(&place("a")));
        (0..8).for_each(|id| starts.hangs(id));
        assert!(starts.is_stuck(&place("a")));
        assert!(!starts.is_stuck(&place("b")));
        assert!(!starts.is_stuck(&Place { cwd: Some("/".into()), ..place("a") }));
        starts.end(3).unwrap();
        assert!(!starts.is_stuck(&place("a")));
    }
}
