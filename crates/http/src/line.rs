//! The connection of a request, for answers that have no end: told when the server wants to end, and able to cut a
//! client off that does not read.

use jackfield_runtime::CancellationToken;

/// The connection that a request came over: among the extensions of every request. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Line {
    cut: CancellationToken,
    ending: CancellationToken,
}

impl Line {
    pub(crate) fn new(ending: CancellationToken) -> Self {
        Self { cut: CancellationToken::new(), ending }
    }

    /// Closes the connection at once, whatever is on its way, with all other requests on it. A client that takes nothing is
    /// told nothing any more, and an answer that merely ended would wait for it.
    pub fn cut(&self) {
        self.cut.cancel();
    }

    /// Whether it was cut.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.cut.is_cancelled()
    }

    /// Returns when the server stops: an answer without an end should find one. Cancel-safe.
    pub async fn ending(&self) {
        self.ending.cancelled().await;
    }

    /// Runs this until the line is cut.
    pub(crate) async fn until_cut<T>(&self, serving: impl Future<Output = T>) -> Option<T> {
        self.cut.run_until_cancelled(serving).await
    }
}
