//! What a service brings so that a viewer can be served: a format and a sink.

use jackfield_events::EndReason;
use jackfield_media::{Frame, MediaTime, Mono, Track};
use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A frame in the form that goes on the wire, shared by all outlets of a format. The hub does not look
/// into it.
#[derive(Clone)]
pub struct Packaged {
    body: Arc<dyn Any + Send + Sync>,
    bytes: usize,
}

impl Packaged {
    /// Wraps what the packager made; `bytes` is about what it will be on the wire.
    #[must_use]
    pub fn new<T: Any + Send + Sync>(body: T, bytes: usize) -> Self {
        Self { body: Arc::new(body), bytes }
    }

    /// What the packager made, if it made a `T`.
    #[must_use]
    pub fn body<T: Any>(&self) -> Option<&T> {
        self.body.downcast_ref()
    }

    /// About how many bytes it will be on the wire.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

impl fmt::Debug for Packaged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Packaged").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

/// A frame for a viewer.
#[derive(Debug, Clone)]
pub struct Packet {
    /// The frame; its time stamps are on the viewers' time line.
    pub frame: Arc<Frame>,
    /// What the outlet's packager made of it.
    pub packaged: Packaged,
}

/// A format of the wire. A service makes one object for each format and shares it among its outlets:
/// outlets with the same object share what it packages.
pub trait Packager: Send + Sync {
    /// Its name, for logs.
    fn name(&self) -> &'static str;

    /// Packages a frame, with what is known of its track. Called once per frame; `None` if this format
    /// has no place for it. It must not block.
    fn package(&self, frame: &Frame, track: Option<&Track>) -> Option<Packaged>;
}

/// What waits in an outlet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Backlog {
    /// Bytes that the socket did not take yet.
    pub bytes: usize,
    /// How long the oldest of them has waited; zero if there is none.
    pub waiting: Duration,
    /// Bytes of media that the socket took, since the outlet was made.
    pub sent_bytes: u64,
}

/// What the outlets of a format prepare once for a batch that many of them get. It begins empty with each batch; the hub does
/// not look into it.
#[derive(Default)]
pub struct Workbench(Option<Box<dyn Any + Send>>);

impl Workbench {
    /// Takes what lies there; made anew if nothing of this type does.
    #[must_use]
    pub fn take<T: Any + Send + Default>(&mut self) -> Box<T> {
        self.0.take().and_then(|piece| piece.downcast().ok()).unwrap_or_default()
    }

    /// Lays it there for the next outlet.
    pub fn lay<T: Any + Send>(&mut self, piece: Box<T>) {
        self.0 = Some(piece);
    }
}

impl fmt::Debug for Workbench {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Workbench").finish_non_exhaustive()
    }
}

/// A viewer's sink. The stream's task calls it, so it must never block: it writes what the socket takes
/// and queues the rest, which the viewer's own task writes later. It need not bound its queue: the hub
/// stops delivering when the backlog is over the limits.
pub trait Outlet: Send {
    /// The format that it wants.
    fn packager(&self) -> &Arc<dyn Packager>;

    /// The earliest time of all media that it is about to be given at once; called before a batch that begins with
    /// configurations. The first of these batches may be only the beginning of it.
    fn begin(&mut self, _earliest: MediaTime) {}

    /// Takes packets in the order of the stream. The first batch begins with metadata and codec
    /// configurations, if there are any; so does each batch after a gap. `bench` is shared by all outlets of the format
    /// that get the same packets.
    fn deliver(&mut self, now: Mono, batch: &[Packet], bench: &mut Workbench) -> Backlog;

    /// What waits now.
    fn backlog(&self, now: Mono) -> Backlog;

    /// No more packets come. The last call, made once for each subscription, whoever ended it (only a
    /// panic of the stream's task omits it; [`crate::Subscriber::ended`] tells that too).
    fn end(&mut self, reason: EndReason);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_on_the_bench_is_taken_once_by_who_knows_its_type() {
        let mut bench = Workbench::default();
        bench.lay(Box::new(7_u32));
        assert_eq!([*bench.take::<u32>(), *bench.take::<u32>()], [7, 0]);
        bench.lay(Box::new(7_u32));
        assert_eq!(*bench.take::<u64>(), 0);
    }
}
