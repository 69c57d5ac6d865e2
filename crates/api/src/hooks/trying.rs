//! How many tries of hooks are under way: each waits for a handler that may hang, and meanwhile holds a place that other
//! requests need.

use crate::auth::{Digest, Pass};
use crate::problem::Problem;
use crate::shares::{Full, Share, Shares};
use axum::http::StatusCode;
use std::time::Duration;

/// Tries at once, which leave the most of the places of requests to others.
const MAX_TRIES: usize = 32;
/// Those of one token.
const MAX_OF_TOKEN: usize = 8;
/// When it is worth trying again: when a try ends is the hook's affair.
const AGAIN: Duration = Duration::from_secs(1);

/// The tries that are under way, by token.
#[derive(Debug)]
pub(crate) struct Tries(Shares<Digest>);

impl Default for Tries {
    fn default() -> Self {
        Self(Shares::new(MAX_TRIES, MAX_OF_TOKEN))
    }
}

impl Tries {
    /// Begins one for whom this pass lets in; it is under way until the result is dropped.
    ///
    /// # Errors
    /// 429 if that token, or all of them together, have as many under way as there may be.
    pub(crate) fn begin(&self, pass: Pass) -> Result<Share<Digest>, Problem> {
        self.0.take(pass.token()).map_err(|full| {
            let detail = match full {
                Full::One => format!("{MAX_OF_TOKEN} tries of hooks by this token are under way."),
                Full::All => format!("{MAX_TRIES} tries of hooks are under way, and more are not begun."),
            };
            Problem::new(StatusCode::TOO_MANY_REQUESTS, detail).retry_after(AGAIN)
        })
    }
}
