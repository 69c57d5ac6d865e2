//! How long making a connection took, and whether one was made.

use jackfield_runtime::clock;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tower_layer::Layer;
use tower_service::Service;

tokio::task_local! {
    static CURRENT: Dial;
}

/// Not dialled: the request went over a kept connection.
const NOT_YET: u64 = u64::MAX;

/// The dialling on behalf of one request.
#[derive(Debug, Clone)]
pub(super) struct Dial(Arc<AtomicU64>);

impl Default for Dial {
    fn default() -> Self {
        Self(Arc::new(AtomicU64::new(NOT_YET)))
    }
}

impl Dial {
    /// Runs the request so that what it dials is noted here.
    pub(super) fn time<F: Future>(&self, request: F) -> impl Future<Output = F::Output> + use<F> {
        CURRENT.scope(self.clone(), request)
    }

    /// Whether the request began to make a connection.
    pub(super) fn happened(&self) -> bool {
        self.0.load(Ordering::Relaxed) != NOT_YET
    }

    /// How long that took; zero without it.
    pub(super) fn took(&self) -> Duration {
        match self.0.load(Ordering::Relaxed) {
            NOT_YET => Duration::ZERO,
            micros => Duration::from_micros(micros),
        }
    }

    fn note(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(NOT_YET - 1);
        self.0.store(micros, Ordering::Relaxed);
    }
}

/// Puts a watch around the connector.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timed;

impl<S> Layer<S> for Timed {
    type Service = TimedConnector<S>;

    fn layer(&self, inner: S) -> TimedConnector<S> {
        TimedConnector(inner)
    }
}

#[derive(Debug, Clone)]
pub(super) struct TimedConnector<S>(S);

impl<S, R> Service<R> for TimedConnector<S>
where
    S: Service<R>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, target: R) -> Self::Future {
        // The request's own task calls this; the dialling itself may end in another.
        let dial = CURRENT.try_with(Dial::clone).ok();
        let began = clock::now();
        if let Some(dial) = &dial {
            dial.note(Duration::ZERO);
        }
        let connecting = self.0.call(target);
        Box::pin(async move {
            let connection = connecting.await;
            if let Some(dial) = dial {
                dial.note(clock::now() - began);
            }
            connection
        })
    }
}
