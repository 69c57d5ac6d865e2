//! A list that one side appends to and the other waits on.

use anyhow::{Result, bail};
use std::fmt::Debug;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How many of the last entries a failed wait shows.
const SHOWN: usize = 25;

/// An append-only list, shared: a reader thread writes it, the test waits for entries.
///
/// Clones are the same list. It grows with the test and is never trimmed: tests are short.
#[derive(Debug)]
pub struct Journal<T>(Arc<Shared<T>>);

#[derive(Debug)]
struct Shared<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

#[derive(Debug)]
struct State<T> {
    entries: Vec<T>,
    closed: bool,
}

impl<T> Clone for Journal<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Default for Journal<T> {
    fn default() -> Self {
        let state = Mutex::new(State { entries: Vec::new(), closed: false });
        Self(Arc::new(Shared { state, changed: Condvar::new() }))
    }
}

impl<T> Journal<T> {
    /// Appends an entry and wakes who waits.
    pub fn push(&self, entry: T) {
        self.lock().entries.push(entry);
        self.0.changed.notify_all();
    }

    /// Says that nothing more will come: waits that are not satisfied end at once.
    pub fn close(&self) {
        self.lock().closed = true;
        self.0.changed.notify_all();
    }

    /// How many entries there are now.
    pub fn len(&self) -> usize {
        self.lock().entries.len()
    }

    /// Whether there is no entry yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Looks at the entries as they are now.
    pub fn read<R>(&self, look: impl FnOnce(&[T]) -> R) -> R {
        look(&self.lock().entries)
    }

    /// Waits until nothing more will come.
    ///
    /// # Errors
    /// When it is still open after `within`.
    pub fn wait_closed(&self, what: &str, within: Duration) -> Result<()> {
        let guard = self.lock();
        let waited = self.0.changed.wait_timeout_while(guard, within, |state| !state.closed);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if state.closed { Ok(()) } else { bail!("{what} did not end within {within:?}") }
    }

    // A panic of the other side poisons the lock; the list is whole all the same, and the test has failed anyway.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Clone> Journal<T> {
    /// A copy of all entries.
    pub fn all(&self) -> Vec<T> {
        self.lock().entries.clone()
    }
}

impl<T: Debug> Journal<T> {
    /// Waits until `look` finds something in the list, which it is shown whole each time that it has grown.
    ///
    /// # Errors
    /// When `within` has passed, or nothing more will come: the error names `what`, and shows the last entries.
    pub fn wait<R>(
        &self,
        what: &str,
        within: Duration,
        mut look: impl FnMut(&[T]) -> Option<R>,
    ) -> Result<R> {
        let deadline = Instant::now() + within;
        let mut state = self.lock();
        loop {
            if let Some(found) = look(&state.entries) {
                return Ok(found);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if state.closed || left.is_zero() {
                let end =
                    if state.closed { "before it ended".to_owned() } else { format!("within {within:?}") };
                bail!("no {what} {end}; last of {} entries:{}", state.entries.len(), tail(&state.entries));
            }
            let waited = self.0.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

fn tail<T: Debug>(entries: &[T]) -> String {
    entries.iter().skip(entries.len().saturating_sub(SHOWN)).map(|entry| format!("\n  {entry:?}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_ends_when_its_entry_comes() {
        let journal = Journal::default();
        let writer = journal.clone();
        let thread = std::thread::spawn(move || (0..100).for_each(|n| writer.push(n)));
        let found = journal.wait("99", crate::SOON, |entries| entries.iter().copied().find(|n| *n == 99));
        assert_eq!(found.unwrap(), 99);
        thread.join().unwrap();
    }

    #[test]
    fn a_wait_on_a_list_that_ended_fails_at_once_and_shows_it() {
        let journal = Journal::default();
        journal.push("seen");
        journal.close();
        let error = journal.wait("answer", crate::SOON, |_| None::<()>).unwrap_err().to_string();
        assert!(
            error.starts_with("no answer before it ended; last of 1 entries:") && error.contains("seen"),
            "{error}"
        );
    }

    #[test]
    fn a_wait_ends_at_its_deadline() {
        let journal: Journal<u8> = Journal::default();
        assert!(journal.wait("entry", Duration::from_millis(1), |_| None::<()>).is_err());
        assert!(journal.wait_closed("it", Duration::from_millis(1)).is_err());
    }
}
