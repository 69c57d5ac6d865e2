//! Dead letters: notices that were given up, kept until somebody replays or drops them.
//!
//! They lie in `<data_dir>/events/dead/`, bounded per hook, by bytes and by age. A letter is there until it was
//! delivered: while it is replayed it is marked so, and when that fails to its end it is a dead letter as before.

mod form;
mod letter;
mod store;

pub use form::letter_again;
pub use letter::{
    BadDeadLetterId, DeadLetter, DeadLetterFilter, DeadLetterId, DeadLetterPage, DeadLettersCounters,
};
pub(crate) use store::{Death, Store};

use crate::dispatch::Inner;
use jackfield_events::Event;
use jackfield_media::Text;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// The dead letters of this server. Clones are the same. Without a log of events there are never any.
#[derive(Clone)]
pub struct DeadLetters {
    pub(crate) inner: Arc<Inner>,
    pub(crate) store: Option<Arc<Store>>,
}

impl DeadLetters {
    /// Those that fit, the newest first: at most `limit`, and only such as are older than `before`, which is `next` of the
    /// page before.
    #[must_use]
    pub fn list(
        &self,
        filter: &DeadLetterFilter,
        before: Option<DeadLetterId>,
        limit: usize,
    ) -> DeadLetterPage {
        self.store.as_ref().map_or_else(DeadLetterPage::default, |store| store.list(filter, before, limit))
    }

    /// One, with the event as it was told; `None` if it is not there any more.
    pub async fn one(&self, id: DeadLetterId) -> Option<(Arc<DeadLetter>, Arc<Event>)> {
        let store = Arc::clone(self.store.as_ref()?);
        let letter = store.letter(id)?;
        let event = self.inner.tasks.blocking("dead letter", move || store.event(id)).join().await??;
        Some((letter, event))
    }

    /// Tells those that fit once more, in the order in which they happened: the same events under the same ids, as new
    /// deliveries. Those of hooks that are not there or disabled, and those that are being replayed already, stay
    /// as they are. Returns how many it is; it goes on in the background.
    #[must_use]
    pub fn replay(&self, filter: &DeadLetterFilter) -> usize {
        let Some(store) = &self.store else { return 0 };
        let mut by_hook: BTreeMap<Text, Vec<DeadLetterId>> = BTreeMap::new();
        let able = |hook_id: &Text| self.inner.is_called(hook_id);
        let letters = store.take_for_replay(filter, able);
        let count = letters.len();
        for letter in letters {
            by_hook.entry(letter.hook_id.clone()).or_default().push(letter.id);
        }
        for (hook_id, letters) in by_hook {
            self.inner.replay(Arc::clone(store), hook_id, letters);
        }
        count
    }

    /// Drops those that fit; returns how many.
    #[must_use]
    pub fn drop_all(&self, filter: &DeadLetterFilter) -> usize {
        let dropped = self.store.as_ref().map_or(0, |store| store.drop_all(filter));
        self.inner.changed.notify_one();
        dropped
    }

    /// What was counted of them.
    #[must_use]
    pub fn counters(&self) -> DeadLettersCounters {
        self.store.as_ref().map_or_else(DeadLettersCounters::default, |store| store.counters())
    }
}

impl fmt::Debug for DeadLetters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeadLetters").field("counters", &self.counters()).finish_non_exhaustive()
    }
}
