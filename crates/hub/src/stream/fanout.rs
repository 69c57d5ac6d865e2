//! From one publisher to all viewers: what is held back for how long, and who gets what.
//!
//! Fewer writes is what makes viewers cheap, and each viewer costs one write for each fan-out. So sound
//! waits for the next picture and rides with it, within `max_latency`; all frames that came with one
//! wake go out together; and when the fan-out takes long, more frames come with the next wake.

use super::formats::Formats;
use super::pairs::PlaySession;
use super::timeline::{Placed, Timeline};
use super::viewer::{Batch, Head, Kept, Leave, Plan, View, Viewer};
use super::window::{Cache, Window, is_media, part};
use crate::config::HubConfig;
use crate::outlet::{Outlet, Workbench};
use crate::status::Status;
use crate::subscriber::{ViewerId, Wishes};
use jackfield_events::EndReason;
use jackfield_media::{Epoch, Frame, Mono, Part, SessionId, Track, TrackId, TrackKind};
use jackfield_runtime::clock;
use std::sync::Arc;
use std::time::Duration;

/// After this much writing, others get their turn.
const WRITING_TURN: Duration = Duration::from_millis(1);
/// Viewers between two looks at the clock.
const VIEWERS_PER_LOOK: usize = 16;
/// A stream whose pictures stopped this long ago is served as one without.
const PICTURES_GONE: Duration = Duration::from_secs(3);
/// With a `max_latency` above this, pictures wait too.
const BATCHING_LATENCY: Duration = Duration::from_millis(100);

pub(super) struct Fanout {
    config: HubConfig,
    window: Window,
    timeline: Timeline,
    formats: Formats,
    viewers: Vec<Viewer>,
    /// Since when a viewer is over its queue, of those that are the first; it may have caught up or left meanwhile.
    over_since: Option<Mono>,
    /// When the last picture came, or was announced.
    pictures_at: Option<Mono>,
    /// When what waits to be fanned out must go.
    due: Option<Mono>,
}

impl Fanout {
    pub(super) fn new(config: HubConfig) -> Self {
        Self {
            config,
            window: Window::default(),
            timeline: Timeline::default(),
            formats: Formats::default(),
            viewers: Vec::new(),
            over_since: None,
            pictures_at: None,
            due: None,
        }
    }

    /// Takes a frame in; [`Fanout::due`] says when it goes out.
    pub(super) fn push(&mut self, now: Mono, mut frame: Frame, track: Option<Arc<Track>>, status: &Status) {
        if self.timeline.place(now, &mut frame) == Placed::Repaired {
            status.counters.time_repairs.add(1);
        }
        let is_picture = frame.kind == TrackKind::Video && is_media(&frame);
        if is_picture {
            self.pictures_at = Some(now);
        }
        if self.window.push(frame, track, &self.config) == Cache::Overgrown {
            status.counters.uncached_groups.add(1);
        }
        // Nobody saves a write by waiting if nobody watches.
        let latency = if self.viewers.is_empty() { Duration::ZERO } else { self.config.max_latency };
        let wait = match (is_picture, self.has_pictures(now)) {
            (true, _) if latency <= BATCHING_LATENCY => Duration::ZERO,
            (_, Kept::Yes) => latency,
            (_, Kept::No) => Duration::ZERO,
        };
        let due = now.after(wait);
        self.due = Some(self.due.map_or(due, |held| held.min(due)));
    }

    /// A track was announced, or changed. With pictures, viewers start with a key frame.
    pub(super) fn announce(&mut self, now: Mono, track: &Track) {
        self.window.announce(track.id, track.codec);
        if track.kind == TrackKind::Video {
            self.pictures_at = Some(now);
        }
    }

    /// When [`Fanout::flush`] is to be called.
    pub(super) fn due(&self) -> Option<Mono> {
        self.due
    }

    /// When [`Fanout::end_slow`] is to be called.
    pub(super) fn slow_due(&self) -> Option<Mono> {
        self.over_since.map(|since| since.after(self.config.slow))
    }

    pub(super) fn viewers(&self) -> usize {
        self.viewers.len()
    }

    /// The publisher changed or left: viewers stay, and start anew with what comes next.
    pub(super) fn new_session(&mut self) {
        self.window.reset();
        self.timeline.new_session();
        self.pictures_at = None;
        self.due = None;
        for viewer in &mut self.viewers {
            viewer.restart(self.window.end());
        }
    }

    /// Attaches a viewer and gives it at once what is cached. Returns it if it must go already.
    pub(super) fn attach(
        &mut self,
        now: Mono,
        epoch: Option<Epoch>,
        joining: Joining,
    ) -> Vec<(Viewer, Leave)> {
        let Joining { id, session, outlet, wishes } = joining;
        let format = self.formats.of(outlet.packager());
        let mut viewer = Viewer::new(id, format, session, outlet, wishes, self.window.join_at());
        match self.welcome(now, epoch, &mut viewer) {
            Ok(()) => {
                self.over_since = earliest(self.over_since, viewer.over_since());
                self.viewers.push(viewer);
                Vec::new()
            }
            Err(leave) => vec![(viewer, leave)],
        }
    }

    /// Gives a new viewer what is cached: the first picture at once, since it waits for that, and then the others, which take
    /// half a millisecond if nobody had them packaged yet.
    fn welcome(&mut self, now: Mono, epoch: Option<Epoch>, viewer: &mut Viewer) -> Result<(), Leave> {
        let opening = match self.has_pictures(now) {
            Kept::Yes => self.window.opening(self.window.join_at()),
            Kept::No => None,
        };
        for end in opening.into_iter().chain([self.window.end()]) {
            self.serve(now, epoch, viewer, end, &mut Vec::new())?;
        }
        viewer.joined();
        Ok(())
    }

    /// Gives every viewer what it has not got yet. Returns those that must go.
    pub(super) async fn flush(&mut self, epoch: Option<Epoch>) -> Vec<(Viewer, Leave)> {
        self.due = None;
        if !self.window.has_news() {
            return Vec::new();
        }
        let end = self.window.end();
        let mut batches = Vec::new();
        let mut leaving = Vec::new();
        let mut turn_began = clock::now();
        let mut now = turn_began;
        let mut index = 0;
        let mut over_since = None;
        let mut viewers = std::mem::take(&mut self.viewers);
        while let Some(viewer) = viewers.get_mut(index) {
            match self.serve(now, epoch, viewer, end, &mut batches) {
                Ok(()) => {
                    over_since = earliest(over_since, viewer.over_since());
                    index += 1;
                }
                Err(leave) => leaving.push((viewers.swap_remove(index), leave)),
            }
            if index % VIEWERS_PER_LOOK == 0 {
                now = clock::now();
                if now - turn_began >= WRITING_TURN {
                    tokio::task::yield_now().await;
                    turn_began = clock::now();
                    now = turn_began;
                }
            }
        }
        self.viewers = viewers;
        self.over_since = over_since;
        self.window.mark_fanned_out();
        leaving
    }

    fn serve(
        &mut self,
        now: Mono,
        epoch: Option<Epoch>,
        viewer: &mut Viewer,
        end: u64,
        batches: &mut Vec<Batch>,
    ) -> Result<(), Leave> {
        let view = View { window: &self.window, end, pictures: self.has_pictures(now), config: &self.config };
        // Without an epoch there is no publisher, and nothing new.
        let (Some(plan), Some(epoch)) = (viewer.plan(now, &view)?, epoch) else {
            return Ok(());
        };
        let at = match batches.iter().position(|batch| batch.plan == plan) {
            Some(at) => at,
            None => {
                batches.push(self.batch(plan, viewer));
                batches.len() - 1
            }
        };
        match batches.get_mut(at) {
            Some(batch) => viewer.deliver(now, epoch, batch, &self.config),
            None => Ok(()),
        }
    }

    /// Makes the batch of a plan.
    fn batch(&mut self, plan: Plan, viewer: &Viewer) -> Batch {
        let format = &viewer.format;
        let mut packets = Vec::new();
        if plan.head == Head::With {
            packets.extend(self.window.preamble(plan.from).filter_map(|config| config.packet(format)));
        }
        let mut media = Kept::No;
        let earliest = match plan.head {
            Head::With => self.window.earliest(&plan),
            Head::Given | Head::Without => None,
        };
        let entered = plan.entered.into_iter();
        let mut awaited: Vec<TrackId> =
            entered.flat_map(|entered| self.window.awaited(entered, plan.from)).collect();
        for (number, shipment) in self.window.numbered(plan.from..plan.end) {
            if !plan.takes(number, &shipment.frame) || is_early(&mut awaited, &shipment.frame) {
                continue;
            }
            let is_media = is_media(&shipment.frame);
            if let Some(packet) = shipment.packet(format) {
                packets.push(packet);
                if is_media {
                    media = Kept::Yes;
                }
            }
        }
        let bytes = packets.iter().map(|packet| packet.packaged.bytes()).sum();
        Batch { plan, packets, bytes, media, earliest, bench: Workbench::default() }
    }

    /// Takes a viewer out.
    pub(super) fn detach(&mut self, id: ViewerId) -> Option<Viewer> {
        let at = self.viewers.iter().position(|viewer| viewer.id == id)?;
        Some(self.viewers.swap_remove(at))
    }

    /// The viewer of a play session.
    pub(super) fn find(&self, session: SessionId) -> Option<ViewerId> {
        let same = |viewer: &&Viewer| viewer.session.session_id() == Some(session);
        self.viewers.iter().find(same).map(|viewer| viewer.id)
    }

    /// Takes out those that have been over their queue for too long.
    pub(super) fn end_slow(&mut self, now: Mono) -> Vec<(Viewer, Leave)> {
        let mut leaving = Vec::new();
        let mut over_since = None;
        let mut index = 0;
        while let Some(viewer) = self.viewers.get_mut(index) {
            let verdict = match viewer.over_since() {
                Some(_) => viewer.look_at_backlog(now, &self.config),
                None => Ok(()),
            };
            match verdict {
                Ok(()) => {
                    over_since = earliest(over_since, viewer.over_since());
                    index += 1;
                }
                Err(leave) => leaving.push((self.viewers.swap_remove(index), leave)),
            }
        }
        self.over_since = over_since;
        leaving
    }

    /// Ends all viewers.
    pub(super) fn end_all(&mut self, now: Mono, reason: EndReason) -> u64 {
        let ended = std::mem::take(&mut self.viewers);
        ended.into_iter().map(|viewer| end_viewer(viewer, now, reason)).sum()
    }

    /// Forgets all viewers without a call of their outlets: after a panic they may be anything.
    pub(super) fn abandon(&mut self) {
        self.viewers.clear();
    }

    fn has_pictures(&self, now: Mono) -> Kept {
        match self.pictures_at {
            Some(at) if now - at < PICTURES_GONE => Kept::Yes,
            _ => Kept::No,
        }
    }
}

fn earliest(one: Option<Mono>, other: Option<Mono>) -> Option<Mono> {
    one.into_iter().chain(other).min()
}

/// Whether the frame is of a video track that has not begun for the viewer yet. Tracks that share their messages
/// are not parted.
fn is_early(awaited: &mut Vec<TrackId>, frame: &Frame) -> bool {
    if awaited.is_empty() || frame.kind != TrackKind::Video || !is_media(frame) {
        return false;
    }
    if frame.is_keyframe() {
        awaited.retain(|track| *track != frame.track);
    }
    awaited.contains(&frame.track) && part(frame) == Part::Sole
}

/// Ends a viewer; returns how many frames it missed.
pub(super) fn end_viewer(viewer: Viewer, now: Mono, reason: EndReason) -> u64 {
    let missed = viewer.session.dropped_frames;
    viewer.end(now, reason);
    missed
}

/// A viewer that comes.
pub(super) struct Joining {
    pub(super) id: ViewerId,
    pub(super) session: PlaySession,
    pub(super) outlet: Box<dyn Outlet>,
    pub(super) wishes: Arc<Wishes>,
}
