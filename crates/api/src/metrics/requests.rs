//! Requests to the HTTP API, counted on their way.

use super::Metrics;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// The classes of status codes (RFC 9110 §15).
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// What was answered.
#[derive(Debug, Default)]
pub(super) struct Requests {
    answered: [AtomicU64; CLASSES.len()],
    /// Whose answer has not begun.
    open: AtomicUsize,
}

impl Requests {
    /// How many were answered, by the class of the status.
    pub(super) fn answered(&self) -> Vec<(&'static str, u64)> {
        CLASSES.iter().copied().zip(self.answered.iter().map(|count| count.load(Ordering::Relaxed))).collect()
    }

    pub(super) fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }
}

/// A request that is not answered; it may also be given up.
struct Open<'a>(&'a Requests);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Counts the requests that go through it.
pub(crate) async fn count(State(metrics): State<Metrics>, request: Request, next: Next) -> Response {
    let requests = &metrics.0.requests;
    requests.open.fetch_add(1, Ordering::Relaxed);
    let open = Open(requests);
    let response = next.run(request).await;
    drop(open);
    let class = usize::from(response.status().as_u16() / 100).saturating_sub(1);
    if let Some(count) = requests.answered.get(class) {
        count.fetch_add(1, Ordering::Relaxed);
    }
    response
}
