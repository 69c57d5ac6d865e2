//! Calls under way: who drains waits for them, or ends them.

use jackfield_media::Mono;
use jackfield_runtime::{CancellationToken, clock};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::Notify;

/// The calls of one hook that are under way.
#[derive(Debug, Default)]
pub(crate) struct Flights {
    count: AtomicUsize,
    landed: Notify,
    end: CancellationToken,
}

/// One call under way, until it is dropped.
#[derive(Debug)]
pub(crate) struct Flight(Arc<Flights>);

impl Flights {
    pub(crate) fn take_off(self: &Arc<Self>) -> Flight {
        self.count.fetch_add(1, Ordering::AcqRel);
        Flight(Arc::clone(self))
    }

    /// Waits until none is under way, tells those that are left at the deadline to end, and waits for that.
    pub(crate) async fn drain(&self, deadline: Mono) {
        if clock::until(deadline, self.all_landed()).await.is_none() {
            self.end.cancel();
            self.all_landed().await;
        }
    }

    /// Fires when what is under way has to end.
    pub(crate) fn must_end(&self) -> &CancellationToken {
        &self.end
    }

    /// Waits until none is under way.
    pub(crate) async fn all_landed(&self) {
        loop {
            let landed = self.landed.notified();
            tokio::pin!(landed);
            landed.as_mut().enable();
            if self.count.load(Ordering::Acquire) == 0 {
                return;
            }
            landed.await;
        }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if self.0.count.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.landed.notify_waiters();
        }
    }
}
