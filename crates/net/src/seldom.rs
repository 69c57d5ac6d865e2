//! Log lines that input from outside could repeat without end.

use jackfield_media::Mono;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The shortest time between two lines.
const GAP: Duration = Duration::from_secs(10);

/// Says when a line may be logged: the first time at once, then at most every 10 s, with the number of
/// times that it stands for.
#[derive(Debug)]
pub struct Seldom(Mutex<State>);

#[derive(Debug)]
struct State {
    last: Option<Mono>,
    unsaid: u64,
}

impl Seldom {
    /// One for each kind of line; it may be a `static`.
    #[must_use]
    pub const fn new() -> Self {
        Self(Mutex::new(State { last: None, unsaid: 0 }))
    }

    /// It happened. `Some` if the line is due: how often since the last one, this time included.
    pub fn now(&self, now: Mono) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.unsaid += 1;
        if state.last.is_some_and(|last| now - last < GAP) {
            return None;
        }
        state.last = Some(now);
        Some(std::mem::take(&mut state.unsaid))
    }
}

impl Default for Seldom {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_said_is_counted_in_the_next_line() {
        let seldom = Seldom::new();
        let at = |seconds| Mono::ZERO.after(Duration::from_secs(seconds));
        assert_eq!(seldom.now(at(0)), Some(1));
        assert_eq!([seldom.now(at(1)), seldom.now(at(9))], [None, None]);
        assert_eq!(seldom.now(at(10)), Some(3));
    }
}
