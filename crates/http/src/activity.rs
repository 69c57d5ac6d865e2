//! Whether anything goes on in an HTTP/2 connection: the library's timeout for heads is for HTTP/1.1 only.

use axum::body::{Body, Bytes};
use axum::http::{Request, Response};
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use hyper::service::Service;
use jackfield_runtime::clock;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::Notify;

/// Counts the requests that are being answered. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Activity(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    answering: AtomicUsize,
    changed: Notify,
}

impl Activity {
    /// Returns once nothing has been answered for so long. Cancel-safe.
    pub(crate) async fn idle_for(&self, time: Duration) {
        loop {
            let changed = self.0.changed.notified();
            if self.0.answering.load(Ordering::Relaxed) > 0 {
                changed.await;
            } else if clock::until(clock::now().after(time), changed).await.is_none() {
                return;
            }
        }
    }

    fn begin(&self) -> Answering {
        self.0.answering.fetch_add(1, Ordering::Relaxed);
        self.0.changed.notify_one();
        Answering(self.clone())
    }
}

/// A request that is being answered, to the last byte of its body.
#[derive(Debug)]
struct Answering(Activity);

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.0.answering.fetch_sub(1, Ordering::Relaxed);
        self.0.0.changed.notify_one();
    }
}

/// A service whose requests are counted.
#[derive(Debug, Clone)]
pub(crate) struct Watched<S> {
    service: S,
    activity: Activity,
}

impl<S> Watched<S> {
    pub(crate) fn new(service: S, activity: Activity) -> Self {
        Self { service, activity }
    }
}

impl<S> Service<Request<Incoming>> for Watched<S>
where
    S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<WatchedBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let answering = self.activity.begin();
        let response = self.service.call(request);
        Box::pin(async move { Ok(response.await?.map(|body| WatchedBody { body, _answering: answering })) })
    }
}

/// The body of an answer, which counts until it has been sent.
#[derive(Debug)]
pub(crate) struct WatchedBody {
    body: Body,
    _answering: Answering,
}

impl HttpBody for WatchedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
