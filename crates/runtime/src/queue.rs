//! Bounded queues. Each has a name, a bound, a policy for the case that it is full, and counters.
//!
//! One receiver, any number of senders. Nothing here waits while it holds the lock.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;

/// What a sender meets when the queue is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// [`Sender::push`] gives the item back; [`Sender::send`] waits.
    Block,
    /// The oldest item goes, counted.
    DropOldest,
    /// The new item goes, counted.
    DropNewest,
}

/// What became of a pushed item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed<T> {
    /// It is queued.
    Queued,
    /// It is queued, and this older one was dropped for it.
    Displaced(T),
    /// The queue is full ([`Full::Block`], [`Full::DropNewest`]): here it is again.
    Refused(T),
    /// The receiver is gone: here it is again.
    Closed(T),
}

#[derive(Debug)]
struct Shared<T> {
    name: &'static str,
    bound: usize,
    full: Full,
    items: Mutex<VecDeque<T>>,
    senders: AtomicUsize,
    receiver_gone: AtomicUsize,
    dropped: AtomicU64,
    filled: Notify,
    drained: Notify,
}

impl<T> Shared<T> {
    fn items(&self) -> std::sync::MutexGuard<'_, VecDeque<T>> {
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes a queue of at most `bound` items (at least 1).
#[must_use]
pub fn bounded<T>(name: &'static str, bound: usize, full: Full) -> (Sender<T>, Receiver<T>) {
    let shared = Arc::new(Shared {
        name,
        bound: bound.max(1),
        full,
        items: Mutex::new(VecDeque::new()),
        senders: AtomicUsize::new(1),
        receiver_gone: AtomicUsize::new(0),
        dropped: AtomicU64::new(0),
        filled: Notify::new(),
        drained: Notify::new(),
    });
    (Sender(Arc::clone(&shared)), Receiver(shared))
}

/// The sending end.
#[derive(Debug)]
pub struct Sender<T>(Arc<Shared<T>>);

impl<T> Sender<T> {
    /// Queues the item without waiting.
    pub fn push(&self, item: T) -> Pushed<T> {
        let shared = &*self.0;
        let mut items = shared.items();
        if shared.receiver_gone.load(Ordering::Acquire) > 0 {
            return Pushed::Closed(item);
        }
        let outcome = if items.len() < shared.bound {
            items.push_back(item);
            Pushed::Queued
        } else {
            match shared.full {
                Full::Block => return Pushed::Refused(item),
                Full::DropNewest => {
                    shared.dropped.fetch_add(1, Ordering::Relaxed);
                    return Pushed::Refused(item);
                }
                Full::DropOldest => {
                    shared.dropped.fetch_add(1, Ordering::Relaxed);
                    let oldest = items.pop_front();
                    items.push_back(item);
                    oldest.map_or(Pushed::Queued, Pushed::Displaced)
                }
            }
        };
        drop(items);
        shared.filled.notify_one();
        outcome
    }

    /// Queues the item, waiting for room under [`Full::Block`].
    ///
    /// # Errors
    /// The item, if the receiver is gone or the policy refused it. Cancel-safe: a cancelled send queued
    /// nothing.
    pub async fn send(&self, item: T) -> Result<(), T> {
        let mut item = item;
        loop {
            let drained = self.0.drained.notified();
            match self.push(item) {
                Pushed::Queued | Pushed::Displaced(_) => {
                    // One permit may stand for several drained items: pass it on while there is room.
                    if self.depth() < self.0.bound {
                        self.0.drained.notify_one();
                    }
                    return Ok(());
                }
                Pushed::Closed(back) => {
                    self.0.drained.notify_one();
                    return Err(back);
                }
                Pushed::Refused(back) if self.0.full == Full::Block => item = back,
                Pushed::Refused(back) => return Err(back),
            }
            drained.await;
        }
    }

    /// How many items wait.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.0.items().len()
    }

    /// How many items were dropped because the queue was full.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }

    /// The queue's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.0.name
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.0.senders.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(&self.0))
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        if self.0.senders.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.filled.notify_one();
        }
    }
}

/// The receiving end.
#[derive(Debug)]
pub struct Receiver<T>(Arc<Shared<T>>);

impl<T> Receiver<T> {
    /// The next item; `None` when the queue is empty and all senders are gone. Cancel-safe.
    pub async fn recv(&mut self) -> Option<T> {
        loop {
            if let Some(item) = self.try_recv() {
                return Some(item);
            }
            if self.0.senders.load(Ordering::Acquire) == 0 {
                return self.try_recv();
            }
            self.0.filled.notified().await;
        }
    }

    /// The next item, if one waits.
    pub fn try_recv(&mut self) -> Option<T> {
        let item = self.0.items().pop_front();
        if item.is_some() {
            self.0.drained.notify_one();
        }
        item
    }

    /// Moves all that waits, at most `most`, to the end of `into`.
    pub fn drain_into(&mut self, into: &mut Vec<T>, most: usize) {
        let mut items = self.0.items();
        let count = items.len().min(most);
        into.extend(items.drain(..count));
        drop(items);
        if count > 0 {
            self.0.drained.notify_one();
        }
    }

    /// How many items wait.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.0.items().len()
    }

    /// How many items were dropped because the queue was full.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let left = {
            let mut items = self.0.items();
            self.0.receiver_gone.store(1, Ordering::Release);
            std::mem::take(&mut *items)
        };
        // Who waits for an answer to one of them sees that there will be none.
        drop(left);
        self.0.drained.notify_waiters();
        self.0.drained.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_goes_with_the_receiver() {
        let (tx, rx) = bounded("t", 2, Full::Block);
        let waits = Arc::new(());
        assert_eq!(tx.push(Arc::clone(&waits)), Pushed::Queued);
        drop(rx);
        assert_eq!(Arc::strong_count(&waits), 1);
        assert!(matches!(tx.push(waits), Pushed::Closed(_)));
    }

    #[tokio::test]
    async fn a_full_queue_does_what_its_policy_says() {
        let (tx, mut rx) = bounded("t", 2, Full::DropOldest);
        assert_eq!(
            [tx.push(1), tx.push(2), tx.push(3)],
            [Pushed::Queued, Pushed::Queued, Pushed::Displaced(1)]
        );
        assert_eq!((rx.recv().await, rx.recv().await, tx.dropped()), (Some(2), Some(3), 1));

        let (tx, _rx) = bounded("t", 1, Full::DropNewest);
        assert_eq!([tx.push(1), tx.push(2)], [Pushed::Queued, Pushed::Refused(2)]);

        let (tx, rx) = bounded("t", 1, Full::Block);
        assert_eq!([tx.push(1), tx.push(2)], [Pushed::Queued, Pushed::Refused(2)]);
        drop(rx);
        assert_eq!(tx.push(3), Pushed::Closed(3));
        assert_eq!(tx.send(4).await, Err(4));
    }

    #[tokio::test]
    async fn senders_wait_for_room_and_all_get_through() {
        let (tx, mut rx) = bounded("t", 1, Full::Block);
        let senders = (0..20).map(|n| {
            let tx = tx.clone();
            async move { tx.send(n).await.unwrap() }
        });
        let all = futures_util::future::join_all(senders);
        drop(tx);
        let receive = async {
            let mut got = Vec::new();
            while let Some(n) = rx.recv().await {
                got.push(n);
            }
            got
        };
        let (_, mut got) = tokio::join!(all, receive);
        got.sort_unstable();
        assert_eq!(got, (0..20).collect::<Vec<_>>());
    }
}
