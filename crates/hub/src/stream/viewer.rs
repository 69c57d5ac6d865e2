//! One viewer in the hands of the stream's task: what it gets next, and whether it keeps up.

use super::formats::{Format, FormatId};
use super::pairs::PlaySession;
use super::window::{Window, is_media};
use crate::config::HubConfig;
use crate::outlet::{Backlog, Outlet, Packet, Workbench};
use crate::subscriber::{ViewerId, Wishes};
use jackfield_events::EndReason;
use jackfield_media::{Epoch, Frame, FrameClass, MediaTime, Mono, TrackKind};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// What a viewer is to get. Viewers with equal plans share one batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) format: FormatId,
    /// Number of the first frame.
    pub(super) from: u64,
    /// Number of the first frame after it.
    pub(super) end: u64,
    /// Number of the first picture; all are left out before.
    pub(super) video_from: u64,
    /// The frame with which pictures began, as long as there is a video track that begins after it: each begins with
    /// a key frame of its own.
    pub(super) entered: Option<u64>,
    pub(super) audio: Kept,
    pub(super) data: Kept,
    pub(super) head: Head,
}

/// Whether a kind of media is delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    Yes,
    No,
}

/// Whether a batch begins with metadata and configurations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Head {
    With,
    /// No, they were in the batch before, the newest ones: older ones among the cached frames are left out.
    Given,
    /// No, they are among the frames.
    Without,
}

impl Plan {
    /// Whether the frame of this number belongs into the batch.
    pub(super) fn takes(&self, number: u64, frame: &Frame) -> bool {
        match (frame.class, frame.kind) {
            // The head has the newest configurations, and signals were for those who were there.
            (FrameClass::Config | FrameClass::TrackMetadata | FrameClass::Signal, _) => {
                self.head == Head::Without
            }
            (_, TrackKind::Video) => number >= self.video_from,
            (_, TrackKind::Audio) => self.audio == Kept::Yes,
            (_, TrackKind::Data) => self.data == Kept::Yes,
        }
    }
}

/// A batch that is ready for every viewer of its plan.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) plan: Plan,
    pub(super) packets: Vec<Packet>,
    pub(super) bytes: usize,
    pub(super) media: Kept,
    /// The earliest media from here on, of a batch with a head.
    pub(super) earliest: Option<MediaTime>,
    pub(super) bench: Workbench,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    /// For a frame to start with.
    Waiting(Why),
    Flowing(Pictures),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    /// It is new, was paused, or the publisher changed.
    Start,
    /// It was too slow: what it misses is counted.
    Slow,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pictures {
    /// They begin with the next key frame.
    Awaited,
    Flowing,
}

/// A viewer must go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leave {
    /// It was over its queue for too long.
    Slow,
    /// Its outlet panicked.
    Broken,
}

impl Leave {
    pub(super) fn reason(self) -> EndReason {
        match self {
            Self::Slow => EndReason::SlowSubscriber,
            Self::Broken => EndReason::Kicked,
        }
    }
}

/// What a viewer must know of its stream.
pub(super) struct View<'a> {
    pub(super) window: &'a Window,
    /// Number of the first frame that it is not to be given yet.
    pub(super) end: u64,
    /// Whether the stream has pictures, so that a viewer starts with a key frame.
    pub(super) pictures: Kept,
    pub(super) config: &'a HubConfig,
}

pub(super) struct Viewer {
    pub(super) id: ViewerId,
    pub(super) format: Format,
    pub(super) session: PlaySession,
    outlet: Box<dyn Outlet>,
    wishes: Arc<Wishes>,
    /// Number of the next frame.
    cursor: u64,
    flow: Flow,
    /// As in [`Plan::entered`].
    entered: Option<u64>,
    over_since: Option<Mono>,
    /// What the burst at the start may fill beyond the queue until it has drained.
    allowance: usize,
    /// Whether it is given what is cached.
    is_joining: bool,
}

impl Viewer {
    pub(super) fn new(
        id: ViewerId,
        format: Format,
        session: PlaySession,
        outlet: Box<dyn Outlet>,
        wishes: Arc<Wishes>,
        cursor: u64,
    ) -> Self {
        let flow = Flow::Waiting(Why::Start);
        Self {
            id,
            format,
            session,
            outlet,
            wishes,
            cursor,
            flow,
            entered: None,
            over_since: None,
            allowance: 0,
            is_joining: true,
        }
    }

    /// It has been given what was cached.
    pub(super) fn joined(&mut self) {
        self.is_joining = false;
    }

    /// Starts anew with what another publisher sends.
    pub(super) fn restart(&mut self, cursor: u64) {
        self.cursor = cursor;
        self.flow = Flow::Waiting(Why::Start);
    }

    /// Since when it has been over its queue.
    pub(super) fn over_since(&self) -> Option<Mono> {
        self.over_since
    }

    /// What it gets of the frames up to the end of the view, if anything. They count as handled then.
    pub(super) fn plan(&mut self, now: Mono, view: &View<'_>) -> Result<Option<Plan>, Leave> {
        let fresh = self.cursor..view.end;
        self.cursor = fresh.end;
        if fresh.is_empty() {
            return Ok(None);
        }
        if self.wishes.is_paused() {
            self.flow = Flow::Waiting(Why::Start);
            return Ok(None);
        }
        if self.over_since.is_some() {
            self.look_at_backlog(now, view.config)?;
        }
        if self.over_since.is_some() {
            self.miss(view.window, fresh);
            self.flow = Flow::Waiting(Why::Slow);
            return Ok(None);
        }
        Ok(self.take(view, fresh))
    }

    fn take(&mut self, view: &View<'_>, fresh: Range<u64>) -> Option<Plan> {
        let wants_video = self.wishes.wants(TrackKind::Video);
        let (from, head) = match self.flow {
            Flow::Flowing(_) if self.is_joining => (fresh.start, Head::Given),
            Flow::Flowing(_) => (fresh.start, Head::Without),
            Flow::Waiting(why) => {
                let start = match (view.pictures, wants_video) {
                    (Kept::Yes, true) => view.window.entry_point(fresh.start),
                    _ => view.window.first_media(fresh.start),
                };
                if why == Why::Slow {
                    self.miss(view.window, fresh.start..start.unwrap_or(fresh.end));
                }
                let start = start?;
                self.flow = Flow::Flowing(Pictures::Awaited);
                (start, Head::With)
            }
        };
        let entry = match self.flow {
            Flow::Flowing(Pictures::Flowing) if wants_video => Some(0),
            _ if wants_video => {
                self.entered = view.window.entry_point(from);
                self.entered
            }
            _ => None,
        };
        self.entered = self.entered.filter(|entered| view.window.awaited(*entered, from).next().is_some());
        let pictures = if entry.is_some() { Pictures::Flowing } else { Pictures::Awaited };
        self.flow = Flow::Flowing(pictures);
        Some(Plan {
            format: self.format.id,
            from,
            end: fresh.end,
            video_from: entry.unwrap_or(u64::MAX),
            entered: self.entered,
            audio: self.kept(TrackKind::Audio),
            data: self.kept(TrackKind::Data),
            head,
        })
    }

    /// Hands a batch over.
    pub(super) fn deliver(
        &mut self,
        now: Mono,
        epoch: Epoch,
        batch: &mut Batch,
        config: &HubConfig,
    ) -> Result<(), Leave> {
        if batch.packets.is_empty() {
            return Ok(());
        }
        match batch.plan.head {
            Head::With => self.allowance = batch.bytes,
            Head::Given => self.allowance = self.allowance.saturating_add(batch.bytes),
            Head::Without => {}
        }
        let outlet = &mut self.outlet;
        let backlog = guarded(|| {
            if let Some(earliest) = batch.earliest {
                outlet.begin(earliest);
            }
            outlet.deliver(now, &batch.packets, &mut batch.bench)
        })?;
        // After it: a player need not wait until this is told.
        if batch.media == Kept::Yes {
            self.session.media(now, epoch);
        }
        self.judge(now, backlog, config)
    }

    /// Looks whether it has caught up, or has been over its queue for too long.
    pub(super) fn look_at_backlog(&mut self, now: Mono, config: &HubConfig) -> Result<(), Leave> {
        let outlet = &self.outlet;
        let backlog = guarded(|| outlet.backlog(now))?;
        self.judge(now, backlog, config)
    }

    fn judge(&mut self, now: Mono, backlog: Backlog, config: &HubConfig) -> Result<(), Leave> {
        self.session.sent_bytes = backlog.sent_bytes;
        if backlog.bytes <= config.queue_bytes / 2 {
            self.allowance = 0;
        }
        let bound = config.queue_bytes.saturating_add(self.allowance);
        if backlog.bytes <= bound && backlog.waiting <= config.queue {
            self.over_since = None;
            return Ok(());
        }
        let since = *self.over_since.get_or_insert(now);
        if now - since >= config.slow { Err(Leave::Slow) } else { Ok(()) }
    }

    /// Ends it and tells so.
    pub(super) fn end(mut self, now: Mono, reason: EndReason) {
        let outlet = &mut self.outlet;
        if let Ok(backlog) = guarded(|| outlet.backlog(now)) {
            self.session.sent_bytes = backlog.sent_bytes;
        }
        // A panic was logged and cannot change that it ends.
        let _broken = guarded(|| outlet.end(reason));
        self.session.end(reason);
    }

    /// Counts frames that it would have got.
    fn miss(&mut self, window: &Window, range: Range<u64>) {
        let missed = window.frames(range).filter(|frame| is_media(frame) && self.wishes.wants(frame.kind));
        self.session.dropped_frames += missed.count() as u64;
    }

    fn kept(&self, kind: TrackKind) -> Kept {
        if self.wishes.wants(kind) { Kept::Yes } else { Kept::No }
    }
}

/// Calls an outlet; its panic ends only its viewer.
fn guarded<T>(call: impl FnOnce() -> T) -> Result<T, Leave> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|panic| {
        let error = jackfield_runtime::Panicked::from(panic);
        tracing::error!(%error, "Outlet panicked");
        Leave::Broken
    })
}
