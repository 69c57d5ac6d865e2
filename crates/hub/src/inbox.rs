//! What reaches a stream's task.
//!
//! | list | bound | when it is full |
//! |---|---|---|
//! | from publishers | 64 entries and 8 MiB | [`Inbox::media`] waits (`Block`); one last entry of each publisher always fits |
//! | commands | one for each caller, who waits for its answer | – |
//! | leaving viewers | one for each viewer | – |

use crate::grant::{PlayGrantParts, PublishGrantParts};
use crate::hub::{Busy, NotFound};
use crate::outlet::Outlet;
use crate::publisher::Publisher;
use crate::subscriber::{Subscriber, ViewerId};
use jackfield_events::EndReason;
use jackfield_media::{Epoch, Frame, SessionId, Track};
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, oneshot};

const MEDIA_ENTRIES: usize = 64;
const MEDIA_BYTES: usize = 8 << 20;

/// Something a publisher did. The epoch fences: what comes from a superseded publisher is left out.
#[derive(Debug)]
pub(crate) enum FromPublisher {
    Frames(Epoch, Vec<Frame>),
    Track(Epoch, Box<Track>),
    Finish(Epoch, EndReason),
}

impl FromPublisher {
    fn bytes(&self) -> usize {
        match self {
            Self::Frames(_, frames) => frames.iter().map(Frame::charged_bytes).sum(),
            Self::Track(..) | Self::Finish(..) => 0,
        }
    }
}

/// Something that somebody waits for.
pub(crate) enum Command {
    Publish {
        grant: Box<PublishGrantParts>,
        reply: oneshot::Sender<Result<Publisher, Busy>>,
    },
    Play {
        grant: Box<PlayGrantParts>,
        outlet: Box<dyn Outlet>,
        reply: oneshot::Sender<Result<Subscriber, NotFound>>,
    },
    KickPublisher {
        reason: EndReason,
        reply: oneshot::Sender<Result<(), NotFound>>,
    },
    KickPlayer {
        session: SessionId,
        reason: EndReason,
        reply: oneshot::Sender<Result<(), NotFound>>,
    },
}

/// A viewer whose own side ended it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Leaving {
    pub(crate) viewer: ViewerId,
    pub(crate) reason: EndReason,
}

/// All that waits, taken out at once.
#[derive(Default)]
pub(crate) struct Work {
    pub(crate) media: Vec<FromPublisher>,
    pub(crate) leaving: Vec<Leaving>,
    pub(crate) commands: Vec<Command>,
    pub(crate) stop: Option<EndReason>,
}

/// The inbox of one stream.
#[derive(Default)]
pub(crate) struct Inbox {
    lists: Mutex<Lists>,
    filled: Notify,
    drained: Notify,
}

#[derive(Default)]
struct Lists {
    work: Work,
    media_bytes: usize,
    closed: bool,
}

/// The stream's task is gone, or will not look any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Closed;

impl Inbox {
    /// Waits for room. Cancel-safe: a cancelled call left nothing.
    pub(crate) async fn media(&self, item: FromPublisher) -> Result<(), Closed> {
        let bytes = item.bytes();
        loop {
            let mut drained = pin!(self.drained.notified());
            drained.as_mut().enable();
            {
                let mut lists = self.lists();
                if lists.closed {
                    return Err(Closed);
                }
                // A batch larger than the bound goes in when nothing else waits.
                let room = lists.work.media.len() < MEDIA_ENTRIES
                    && (lists.media_bytes == 0 || lists.media_bytes.saturating_add(bytes) <= MEDIA_BYTES);
                if room {
                    lists.media_bytes += bytes;
                    lists.work.media.push(item);
                    break;
                }
            }
            drained.await;
        }
        self.filled.notify_one();
        Ok(())
    }

    /// The last entry of a publisher: takes its place in the order, whatever waits before it.
    pub(crate) fn finish(&self, epoch: Epoch, reason: EndReason) -> Result<(), Closed> {
        self.put(|work| work.media.push(FromPublisher::Finish(epoch, reason)))
    }

    pub(crate) fn leave(&self, leaving: Leaving) -> Result<(), Closed> {
        self.put(|work| work.leaving.push(leaving))
    }

    pub(crate) fn command(&self, command: Command) -> Result<(), Closed> {
        self.put(|work| work.commands.push(command))
    }

    pub(crate) fn stop(&self, reason: EndReason) {
        // A closed inbox belongs to a stream that has stopped.
        let _stopped = self.put(|work| work.stop = Some(work.stop.unwrap_or(reason)));
    }

    fn put(&self, put: impl FnOnce(&mut Work)) -> Result<(), Closed> {
        let mut lists = self.lists();
        if lists.closed {
            return Err(Closed);
        }
        put(&mut lists.work);
        drop(lists);
        self.filled.notify_one();
        Ok(())
    }

    /// Swaps what waits with `work`, which must be empty.
    pub(crate) fn take(&self, work: &mut Work) {
        let mut lists = self.lists();
        std::mem::swap(&mut lists.work, work);
        lists.media_bytes = 0;
        drop(lists);
        self.drained.notify_waiters();
    }

    /// Waits until something may have come. Cancel-safe.
    pub(crate) async fn filled(&self) {
        self.filled.notified().await;
    }

    /// Closes it if no command waits: whoever comes later must look for another stream. Returns what is
    /// left over, so that the caller drops it outside of its own lock.
    pub(crate) fn close_unless_wanted(&self) -> Result<Work, StillWanted> {
        let lists = self.lists();
        if lists.work.commands.is_empty() { Ok(self.shut(lists)) } else { Err(StillWanted) }
    }

    /// Closes it. Whoever waits for an answer sees its channel closed when what is left over is dropped.
    pub(crate) fn close(&self) -> Work {
        self.shut(self.lists())
    }

    fn shut(&self, mut lists: MutexGuard<'_, Lists>) -> Work {
        lists.closed = true;
        let rest = std::mem::take(&mut lists.work);
        drop(lists);
        self.drained.notify_waiters();
        rest
    }

    fn lists(&self) -> MutexGuard<'_, Lists> {
        self.lists.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A command came in the meantime.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StillWanted;

#[cfg(test)]
mod tests {
    use super::*;
    use jackfield_media::{FrameClass, MediaTime, TrackId, TrackKind};
    use std::future::Future;
    use std::task::{Context, Waker};

    fn frame(payload: usize) -> Frame {
        Frame {
            track: TrackId::AUDIO,
            kind: TrackKind::Audio,
            class: FrameClass::Signal,
            dts: MediaTime::from_ms(0),
            pts: MediaTime::from_ms(0),
            offset_nanos: 0,
            payload: vec![0; payload].into(),
            origin: None,
        }
    }

    fn batch(payload: usize) -> FromPublisher {
        FromPublisher::Frames(Epoch(1), vec![frame(payload)])
    }

    #[test]
    fn frames_without_a_byte_are_charged_too() {
        let frames = FromPublisher::Frames(Epoch(1), vec![frame(0); 1000]);
        assert!(frames.bytes() >= 1000 * size_of::<Frame>());
    }

    /// Whether it goes in at once.
    fn fits(inbox: &Inbox, payload: usize) -> bool {
        let mut waiting = pin!(inbox.media(batch(payload)));
        waiting.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[test]
    fn a_batch_larger_than_the_bound_goes_in_when_nothing_else_waits() {
        let inbox = Inbox::default();
        assert!(fits(&inbox, MEDIA_BYTES + 1));
        assert!(!fits(&inbox, 1), "there was room beside it");
        inbox.take(&mut Work::default());
        assert!(fits(&inbox, 1));
        assert!(!fits(&inbox, MEDIA_BYTES), "there was room for more than the bound");
    }

    #[tokio::test(start_paused = true)]
    async fn a_closed_inbox_takes_nothing_gives_back_what_it_had_and_wakes_who_waits() {
        let inbox = Inbox::default();
        assert!(fits(&inbox, MEDIA_BYTES + 1));
        let closing = async { tokio::join!(inbox.media(batch(1)), async { inbox.close().media.len() }) };
        let soon = tokio::time::timeout(std::time::Duration::from_secs(1), closing).await;
        assert_eq!(soon, Ok((Err(Closed), 1)));
        assert_eq!(inbox.finish(Epoch(1), EndReason::Unpublish), Err(Closed));
    }
}
