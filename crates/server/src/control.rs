//! What the API asks of the running server. The loop that owns the parts ([`crate::start`]) takes one request after the other,
//! between two signals, and replies.
//!
//! To add a request: a method of the API's [`Control`], a variant of [`Request`] with its reply, a line in
//! [`Parts::answer`](crate::parts::Parts::answer).

use jackfield_api::{BoxFuture, Configuration, Control, Draining, ReloadError, Reloaded, Stopping};
use jackfield_api::{ConfiguredHook, HookChange, HookRefused};
use jackfield_runtime::queue::{Full, Receiver, Sender, bounded};
use tokio::sync::oneshot;

/// Requests that wait for the loop: each is one of the API's, of which there are few at once.
const MAX_WAITING: usize = 256;

/// Something that the API asks for.
#[derive(Debug)]
pub(crate) enum Request {
    Reload(Reply<Result<Reloaded, ReloadError>>),
    Drain(Reply<Draining>),
    Configuration(Reply<Configuration>),
    Hooks(Reply<Vec<ConfiguredHook>>),
    ChangeHook(HookChange, Reply<Result<(), HookRefused>>),
}

/// Where the answer goes. The one who asked may have gone.
#[derive(Debug)]
pub(crate) struct Reply<T>(oneshot::Sender<T>);

impl<T> Reply<T> {
    pub(crate) fn send(self, answer: T) {
        drop(self.0.send(answer));
    }
}

/// The API's end.
#[derive(Debug)]
pub(crate) struct Remote(Sender<Request>);

/// The loop's end.
pub(crate) type Requests = Receiver<Request>;

pub(crate) fn remote() -> (Remote, Requests) {
    let (sender, receiver) = bounded("control", MAX_WAITING, Full::Block);
    (Remote(sender), receiver)
}

impl Remote {
    /// Asks, and waits for the answer; the caller has a deadline.
    pub(crate) async fn ask<T>(&self, request: impl FnOnce(Reply<T>) -> Request) -> Result<T, Stopping> {
        let (reply, answer) = oneshot::channel();
        self.0.send(request(Reply(reply))).await.map_err(|_request| Stopping)?;
        answer.await.map_err(|_dropped| Stopping)
    }
}

impl Control for Remote {
    fn reload(&self) -> BoxFuture<'_, Result<Reloaded, ReloadError>> {
        Box::pin(async { self.ask(Request::Reload).await? })
    }

    fn drain(&self) -> BoxFuture<'_, Result<Draining, Stopping>> {
        Box::pin(self.ask(Request::Drain))
    }

    fn configuration(&self) -> BoxFuture<'_, Result<Configuration, Stopping>> {
        Box::pin(self.ask(Request::Configuration))
    }

    fn hooks(&self) -> BoxFuture<'_, Result<Vec<ConfiguredHook>, Stopping>> {
        Box::pin(self.ask(Request::Hooks))
    }

    fn change_hook(&self, change: HookChange) -> BoxFuture<'_, Result<(), HookRefused>> {
        Box::pin(async { self.ask(|reply| Request::ChangeHook(change, reply)).await? })
    }
}
