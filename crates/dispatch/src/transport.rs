//! What a handler's transport is to the engine: a way to make one call.

use jackfield_events::{Answer, Event};
use jackfield_hooks::{DeliveryId, Failure, Mode};
use jackfield_media::{Mono, Text};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// A boxed future, for the object-safe [`Transport`].
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One attempt to deliver one event to one hook.
#[derive(Debug, Clone)]
pub struct Call {
    /// The delivery.
    pub delivery: DeliveryId,
    /// The hook's name.
    pub hook: Text,
    /// Whether an answer is expected.
    pub mode: Mode,
    /// The event, as the former hook of the chain left it.
    pub event: Arc<Event>,
    /// Number of the try, from 1.
    pub attempt: u32,
    /// Events that this hook lost just before this one because its queue was full.
    pub num_dropped: u64,
    /// The call must be over by then; what it started is ended then.
    pub deadline: Mono,
}

/// How a call ended.
#[derive(Debug)]
pub struct Reply {
    /// The parsed answer (for a notice: [`jackfield_events::Decision::Pass`]), or why there is none.
    pub result: Result<Answer, Failure>,
    /// Time to reach the handler: connection, pool slot, program start.
    pub connect: Duration,
    /// Time from then to the end.
    pub handler: Duration,
    /// Process of a `run` or `worker`, for the trace.
    pub pid: Option<u32>,
}

/// What a transport counts beyond its calls, since it was made. (Its calls are counted by the engine.)
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TransportCounters {
    /// Workers that were started in the place of one that failed. The ends that were planned, and those of a worker whose
    /// client left, are not among them.
    pub restarts: u64,
}

/// A way to call a handler. One object serves one hook and all its calls at once.
pub trait Transport: Send + Sync + 'static {
    /// Makes one attempt. It ends by the call's deadline, whatever the handler does. Dropping the
    /// future cancels the attempt: its program is ended with its group, its worker is told.
    fn call(&self, call: Call) -> BoxFuture<'_, Reply>;

    /// No more calls come: finishes or ends what runs by then (workers are told to drain).
    fn drain(&self, deadline: Mono) -> BoxFuture<'_, ()>;

    /// What it has counted so far.
    fn counters(&self) -> TransportCounters {
        TransportCounters::default()
    }
}
