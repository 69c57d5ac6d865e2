//! Named tasks behind a panic boundary, and their orderly end.

use futures_util::FutureExt;
use jackfield_media::Mono;
use std::any::Any;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

/// A group of tasks that stop together. Clones are the same group.
#[derive(Debug, Clone, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    stopping: CancellationToken,
}

impl Tasks {
    /// An empty group.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Spawns a task. A panic in it is logged with its name and ends only this task; dropping the
    /// returned handle lets the task run on.
    pub fn spawn<F>(&self, name: &'static str, future: F) -> Joining<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let span = tracing::Span::current();
        // On the heap before the task is made, which would else have room for it a second time.
        let future = catch(future);
        Joining(
            self.tracker.spawn(
                async move {
                    match future.await {
                        Ok(output) => Some(output),
                        Err(panicked) => {
                            tracing::error!(task = name, error = %panicked, "Task panicked");
                            None
                        }
                    }
                }
                .instrument(span),
            ),
        )
    }

    /// Runs a call that blocks on a thread of its own pool.
    pub fn blocking<T: Send + 'static>(
        &self,
        name: &'static str,
        call: impl FnOnce() -> T + Send + 'static,
    ) -> Joining<T> {
        Joining(self.tracker.spawn_blocking(move || match std::panic::catch_unwind(AssertUnwindSafe(call)) {
            Ok(output) => Some(output),
            Err(panic) => {
                tracing::error!(task = name, error = %Panicked::from(panic), "Task panicked");
                None
            }
        }))
    }

    /// Runs a call on a thread of its own: for what blocks as long as the server lives. The runtime's end does not
    /// wait for it.
    ///
    /// # Errors
    /// That of the system, which gives no thread.
    pub fn thread<T: Send + 'static>(
        &self,
        name: &'static str,
        call: impl FnOnce() -> T + Send + 'static,
    ) -> std::io::Result<Joining<T>> {
        let (done, ended) = tokio::sync::oneshot::channel();
        std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            match std::panic::catch_unwind(AssertUnwindSafe(call)) {
                // Nobody may wait for it any more.
                Ok(output) => drop(done.send(output)),
                Err(panic) => tracing::error!(task = name, error = %Panicked::from(panic), "Task panicked"),
            }
        })?;
        Ok(Joining(self.tracker.spawn(async move { ended.await.ok() })))
    }

    /// Fires when the group is told to stop.
    #[must_use]
    pub fn stopping(&self) -> CancellationToken {
        self.stopping.clone()
    }

    /// A part of the group that can be stopped before the whole; stopping the whole tells it too.
    #[must_use]
    pub fn part(&self) -> Self {
        Self { tracker: TaskTracker::new(), stopping: self.stopping.child_token() }
    }

    /// How many tasks run.
    #[must_use]
    pub fn count(&self) -> usize {
        self.tracker.len()
    }

    /// Tells all to stop and waits until they have or the time is up; returns how many still run.
    pub async fn stop(&self, deadline: Mono) -> usize {
        self.stopping.cancel();
        self.join(deadline).await
    }

    /// Waits until all have ended or the time is up, without telling them; returns how many still run.
    pub async fn join(&self, deadline: Mono) -> usize {
        self.tracker.close();
        if crate::clock::until(deadline, self.tracker.wait()).await.is_none() {
            return self.tracker.len();
        }
        0
    }
}

/// A spawned task that can be waited for. Dropping it lets the task run on.
#[derive(Debug)]
pub struct Joining<T>(tokio::task::JoinHandle<Option<T>>);

impl<T> Joining<T> {
    /// The task's output; `None` if it panicked or was ended. Cancel-safe.
    pub async fn join(self) -> Option<T> {
        self.0.await.ok().flatten()
    }

    /// Ends the task at its next await.
    pub fn abort(&self) {
        self.0.abort();
    }

    /// Whether it has ended.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.0.is_finished()
    }
}

/// What a panic said.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("panic: {0}")]
pub struct Panicked(String);

impl From<Box<dyn Any + Send>> for Panicked {
    fn from(panic: Box<dyn Any + Send>) -> Self {
        let text = panic
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| panic.downcast_ref::<String>().cloned());
        Self(text.unwrap_or_else(|| "no message".to_owned()))
    }
}

/// Runs the future; a panic in it becomes an error.
pub fn catch<F: Future>(future: F) -> Caught<F> {
    Caught(Box::pin(AssertUnwindSafe(future).catch_unwind()))
}

/// The future of [`catch`].
pub struct Caught<F: Future>(Pin<Box<futures_util::future::CatchUnwind<AssertUnwindSafe<F>>>>);

impl<F: Future> Future for Caught<F> {
    type Output = Result<F::Output, Panicked>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(context).map_err(Panicked::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_thread_is_joined_as_a_task_is_and_its_panic_ends_only_itself() {
        let tasks = Tasks::new();
        let name = || std::thread::current().name().map(str::to_owned);
        assert_eq!(tasks.thread("mine", name).unwrap().join().await, Some(Some("mine".to_owned())));
        assert_eq!(tasks.thread("mine", || panic!("on purpose")).unwrap().join().await, None::<()>);
        assert_eq!(tasks.stop(crate::clock::never()).await, 0);
    }
}
