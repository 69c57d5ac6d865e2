//! A handler within the process: what a worker would answer.

use jackfield_dispatch::{BoxFuture, Call, Reply, Transport};
use jackfield_events::{Answer, Decision, Event, Reason};
use jackfield_media::Mono;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Semaphore;

type Decide = Box<dyn Fn(&Event) -> Answer + Send + Sync>;

/// Answers by a function; may be held back.
pub(crate) struct Handler {
    decide: Decide,
    permits: Semaphore,
    asked: Mutex<Vec<&'static str>>,
    arrived: tokio::sync::Notify,
}

impl Handler {
    /// Answers at once.
    pub(crate) fn new(decide: impl Fn(&Event) -> Answer + Send + Sync + 'static) -> Arc<Self> {
        Self::holding(decide, Semaphore::MAX_PERMITS)
    }

    /// Answers as often as it is released.
    pub(crate) fn held(decide: impl Fn(&Event) -> Answer + Send + Sync + 'static) -> Arc<Self> {
        Self::holding(decide, 0)
    }

    fn holding(decide: impl Fn(&Event) -> Answer + Send + Sync + 'static, permits: usize) -> Arc<Self> {
        Arc::new(Self {
            decide: Box::new(decide),
            permits: Semaphore::new(permits),
            asked: Mutex::default(),
            arrived: tokio::sync::Notify::new(),
        })
    }

    pub(crate) fn allow(_: &Event) -> Answer {
        Answer::bare(Decision::Allow)
    }

    pub(crate) fn deny(public: &'static str) -> impl Fn(&Event) -> Answer {
        move |_| Answer {
            reason: Reason { public: Some(public.into()), ..Reason::default() },
            ..Answer::bare(Decision::Deny)
        }
    }

    pub(crate) fn replace(key: &'static str) -> impl Fn(&Event) -> Answer {
        move |_| Answer::bare(Decision::Replace(key.into()))
    }

    /// Lets one held answer go.
    pub(crate) fn release(&self) {
        self.permits.add_permits(1);
    }

    /// The questions so far.
    pub(crate) fn asked(&self) -> Vec<&'static str> {
        self.asked.lock().unwrap().clone()
    }

    /// Waits until it was asked.
    pub(crate) async fn is_asked(&self) {
        self.is_asked_times(1).await;
    }

    /// Waits until it was asked so many times.
    pub(crate) async fn is_asked_times(&self, times: usize) {
        super::soon("a question", async {
            loop {
                let mut arrived = std::pin::pin!(self.arrived.notified());
                arrived.as_mut().enable();
                if self.asked().len() >= times {
                    return;
                }
                arrived.await;
            }
        })
        .await;
    }
}

impl Transport for Handler {
    fn call(&self, call: Call) -> BoxFuture<'_, Reply> {
        Box::pin(async move {
            self.asked.lock().unwrap().push(call.event.event_type().name());
            self.arrived.notify_waiters();
            self.permits.acquire().await.unwrap().forget();
            let result = Ok((self.decide)(&call.event));
            Reply { result, connect: Duration::ZERO, handler: Duration::ZERO, pid: None }
        })
    }

    fn drain(&self, _: Mono) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}
