//! How many tries of hooks are under way: each waits for a handler that may hang, and meanwhile holds a place that other
//! requests need.

use crate::auth::{Digest, Pass};
use crate::problem::Problem;
use axum::http::StatusCode;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Tries at once, which leave the most of the places of requests to others.
const MAX_TRIES: usize = 32;
/// Those of one token.
const MAX_OF_TOKEN: usize = 8;
/// When it is worth trying again: when a try ends is the hook's affair.
const AGAIN: Duration = Duration::from_secs(1);

/// The tries that are under way. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tries(Arc<Mutex<HashMap<Digest, usize>>>);

impl Tries {
    /// Begins one for whom this pass lets in.
    ///
    /// # Errors
    /// 429 if that token, or all of them together, have as many under way as there may be.
    pub(crate) fn begin(&self, pass: Pass) -> Result<Try, Problem> {
        let token = pass.token();
        let mut under_way = self.under_way();
        if under_way.values().sum::<usize>() >= MAX_TRIES {
            return Err(too_many(format!(
                "{MAX_TRIES} tries of hooks are under way, and more are not begun."
            )));
        }
        let own = under_way.entry(token).or_default();
        if *own >= MAX_OF_TOKEN {
            let detail = format!("{MAX_OF_TOKEN} tries of hooks by this token are under way.");
            return Err(too_many(detail));
        }
        *own += 1;
        Ok(Try { tries: self.clone(), token })
    }

    fn under_way(&self) -> MutexGuard<'_, HashMap<Digest, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A try that is under way until this is dropped.
#[derive(Debug)]
pub(crate) struct Try {
    tries: Tries,
    token: Digest,
}

impl Drop for Try {
    fn drop(&mut self) {
        let mut under_way = self.tries.under_way();
        if let Some(own) = under_way.get_mut(&self.token) {
            *own -= 1;
            if *own == 0 {
                under_way.remove(&self.token);
            }
        }
    }
}

fn too_many(detail: String) -> Problem {
    Problem::new(StatusCode::TOO_MANY_REQUESTS, detail).retry_after(AGAIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(token: u8, many: usize, tries: &Tries) -> Vec<Result<Try, Problem>> {
        (0..many).map(|_| tries.begin(Pass::of_token(Digest::of(&[token])))).collect()
    }

    #[test]
    fn a_token_has_its_share_of_tries_and_all_together_have_a_bound_and_what_ends_makes_room() {
        let begun = |tries: &[Result<Try, Problem>]| tries.iter().filter(|one| one.is_ok()).count();
        let tries = Tries::default();
        let first = of(1, MAX_OF_TOKEN + 1, &tries);
        assert_eq!(begun(&first), MAX_OF_TOKEN);
        let others: Vec<_> =
            (2..=MAX_TRIES).flat_map(|token| of(u8::try_from(token).unwrap(), 1, &tries)).collect();
        assert_eq!(begun(&first) + begun(&others), MAX_TRIES);
        drop(first);
        assert_eq!(begun(&of(1, MAX_OF_TOKEN + 1, &tries)), MAX_OF_TOKEN);
        drop(others);
        assert!(tries.under_way().is_empty());
    }
}
