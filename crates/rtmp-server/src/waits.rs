//! What a connection waits for besides its socket: answers of the gate, ends that the hub decides.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// A future of its own on the heap.
pub(crate) type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// At most one wait for each message stream; stream 0 is the connection's own. Few enough to look at all.
pub(crate) struct Waits<T>(Vec<Wait<T>>);

struct Wait<T> {
    stream: u32,
    /// Whether it was looked at: a future does nothing before.
    begun: bool,
    future: Boxed<T>,
}

impl<T> Waits<T> {
    pub(crate) fn new() -> Self {
        Self(Vec::new())
    }

    /// Waits for this on behalf of the message stream, in the place of what it waited for before.
    pub(crate) fn set(&mut self, stream: u32, future: impl Future<Output = T> + Send + 'static) {
        self.cancel(stream);
        // Nearly always one: room for more would only be held.
        self.0.reserve_exact(1);
        self.0.push(Wait { stream, begun: false, future: Box::pin(future) });
    }

    /// Forgets what the message stream waits for: a question that is asked is taken back.
    pub(crate) fn cancel(&mut self, stream: u32) {
        self.0.retain(|wait| wait.stream != stream);
    }

    /// Forgets what the message stream waits for, and returns it if it has begun.
    pub(crate) fn take(&mut self, stream: u32) -> Option<impl Future<Output = T> + Send + use<T>> {
        let index = self.0.iter().position(|wait| wait.stream == stream)?;
        let wait = self.0.swap_remove(index);
        wait.begun.then_some(wait.future)
    }

    /// Forgets all.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// The next that is done; never, if nothing is waited for. Cancel-safe.
    pub(crate) async fn next(&mut self) -> (u32, T) {
        std::future::poll_fn(|context| self.poll_next(context)).await
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<(u32, T)> {
        for index in 0..self.0.len() {
            let Some(wait) = self.0.get_mut(index) else { break };
            wait.begun = true;
            if let Poll::Ready(done) = wait.future.as_mut().poll(context) {
                let stream = wait.stream;
                drop(self.0.swap_remove(index));
                return Poll::Ready((stream, done));
            }
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_stream_waits_for_one_thing_and_may_give_it_up() {
        let mut waits = Waits::new();
        waits.set(1, std::future::pending());
        waits.set(2, async { "two" });
        waits.set(2, async { "second" });
        assert_eq!(waits.next().await, (2, "second"));
        waits.set(1, async { "one" });
        waits.set(3, async { "three" });
        waits.cancel(1);
        assert_eq!(waits.next().await, (3, "three"));
    }

    #[tokio::test]
    async fn only_what_has_begun_is_given_out() {
        let mut waits = Waits::new();
        waits.set(1, async { "one" });
        assert!(waits.take(1).is_none() && waits.take(2).is_none());
        let (answer, asked) = tokio::sync::oneshot::channel();
        waits.set(1, async { asked.await.unwrap() });
        waits.set(2, async { "two" });
        assert_eq!(waits.next().await, (2, "two"));
        answer.send("one").unwrap();
        assert_eq!(waits.take(1).unwrap().await, "one");
        assert!(waits.take(1).is_none());
    }
}
