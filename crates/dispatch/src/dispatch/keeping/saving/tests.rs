//! What is synced, and in which order.

use super::*;
use crate::cursor::Cursors;
use crate::dead::Death;
use crate::syncs::What;
use jackfield_bus::Fsync;
use jackfield_events::{Event, EventType, Scope, Stamp};
use jackfield_hooks::{Cursor, Outcome};
use jackfield_media::UnixTime;

/// Hooks and a notice that one of them gave up.
struct Hooks {
    folder: tempfile::TempDir,
    syncs: Arc<Syncs>,
    store: Arc<Store>,
}

impl Hooks {
    fn new(fsync: Fsync) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let syncs = Arc::new(Syncs::new(fsync));
        let store = Arc::new(Store::open(folder.path().join("dead"), Arc::clone(&syncs)).unwrap());
        Self { folder, syncs, store }
    }

    fn die(&self) {
        let hook = Text::from("a");
        let stamp = Stamp { id: ulid::Ulid(1), seq: 1, node: "n".into(), time: UnixTime(5) };
        self.store.add(&Death {
            hook: &hook,
            hook_id: &hook,
            event: &Arc::new(Event::new(EventType::StreamCreate, stamp, Scope::default(), Vec::new())),
            attempts: 1,
            outcome: Outcome::Timeout,
            detail: "",
            first_at: UnixTime(1),
            at: UnixTime(1),
            limit: 1,
        });
    }

    /// Two cursors that stand there are saved; returns what failed, and what was synced.
    fn save(&self, done_to: u64) -> (usize, Vec<What>) {
        let mut cursors = Cursors::open(self.folder.path().join("cursors"), u64::MAX).unwrap();
        for id in ["a", "b"] {
            let cursor = Cursor::at(done_to);
            cursors.set(id.into(), Saved { name: id.into(), cursor, disabled: None, at: UnixTime(0) });
        }
        let files = ["a", "b"].iter().filter_map(|id| cursors.file(id)).collect();
        let (store, syncs) = (Arc::clone(&self.store), Arc::clone(&self.syncs));
        let failed = Unsaved { store, syncs, files }.write().0.len();
        (failed, std::mem::take(&mut self.syncs.tried.lock().unwrap().0))
    }

    /// Where the cursors on disk stand.
    fn places(&self) -> [Option<u64>; 2] {
        let cursors = Cursors::open(self.folder.path().join("cursors"), u64::MAX).unwrap();
        ["a", "b"].map(|id| cursors.saved(id).map(|saved| saved.cursor.done_to()))
    }

    fn refuse(&self, what: Option<What>) {
        self.syncs.tried.lock().unwrap().1 = what;
    }
}

#[test]
fn letters_are_synced_before_cursors_and_cursors_before_their_names() {
    for fsync in [Fsync::Always, Fsync::Interval(Duration::from_millis(20))] {
        let hooks = Hooks::new(fsync);
        hooks.die();
        assert_eq!(hooks.save(1), (0, vec![What::Letters, What::Cursor, What::Cursor, What::Names]));
        assert_eq!(hooks.save(2), (0, vec![What::Cursor, What::Cursor, What::Names]), "no letter is new");
        assert_eq!((hooks.places(), hooks.syncs.counted()), ([Some(2); 2], (7, 0)));
    }
}

#[test]
fn nothing_is_synced_where_the_log_is_not() {
    let hooks = Hooks::new(Fsync::Off);
    hooks.die();
    assert_eq!(hooks.save(1), (0, Vec::new()));
    assert!(hooks.places() == [Some(1); 2] && hooks.store.is_written() && hooks.syncs.counted() == (0, 0));
}

#[test]
fn no_cursor_passes_a_letter_that_is_not_synced() {
    let hooks = Hooks::new(Fsync::Always);
    hooks.die();
    hooks.refuse(Some(What::Letters));
    assert_eq!(hooks.save(1), (2, vec![What::Letters]));
    assert!(hooks.places() == [None; 2] && !hooks.store.is_written());
    hooks.refuse(None);
    assert_eq!(hooks.save(1).1.first(), Some(&What::Letters), "it is tried again");
    assert!(hooks.places() == [Some(1); 2] && hooks.store.is_written());
}

#[test]
fn a_cursor_that_is_not_synced_does_not_take_the_place_of_the_former_one() {
    let hooks = Hooks::new(Fsync::Always);
    hooks.save(1);
    hooks.refuse(Some(What::Cursor));
    assert_eq!((hooks.save(2).0, hooks.places()), (2, [Some(1); 2]));
    hooks.refuse(Some(What::Names));
    assert_eq!(hooks.save(2).0, 2, "it is saved once more, until its name is safe");
}
