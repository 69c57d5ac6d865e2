//! The frames that a stream holds: the last group of pictures for late joiners, what was not fanned out
//! yet, and the configurations that every viewer needs first.

use super::formats::{Format, FormatId};
use crate::config::HubConfig;
use crate::outlet::{Packaged, Packet};
use jackfield_media::{Frame, FrameClass, Track, TrackId, TrackKind};
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

/// A frame, and what each format has made of it so far.
#[derive(Debug)]
pub(super) struct Shipment {
    pub(super) frame: Arc<Frame>,
    track: Option<Arc<Track>>,
    packed: Vec<(FormatId, Option<Packaged>)>,
}

impl Shipment {
    fn new(frame: Frame, track: Option<Arc<Track>>) -> Self {
        Self { frame: Arc::new(frame), track, packed: Vec::new() }
    }

    /// The frame in this format, packaged at the first call.
    pub(super) fn packet(&mut self, format: &Format) -> Option<Packet> {
        let packaged = match self.packed.iter().find(|(id, _)| *id == format.id) {
            Some((_, packaged)) => packaged.clone(),
            None => {
                let packaged = format.packager.package(&self.frame, self.track.as_deref());
                self.packed.push((format.id, packaged.clone()));
                packaged
            }
        }?;
        Some(Packet { frame: Arc::clone(&self.frame), packaged })
    }
}

/// Frames by their number in the stream; numbers go on over publish sessions.
#[derive(Debug, Default)]
pub(super) struct Window {
    shipments: VecDeque<Shipment>,
    first: u64,
    fanned_out: u64,
    group: Option<Group>,
    /// The video track whose key frames are entry points: the first that had one.
    lead: Option<TrackId>,
    /// Newest configurations in the order in which a viewer needs them.
    configs: Vec<Shipment>,
    /// The configurations as they are given to viewers that start at this time.
    preamble: Option<(i64, Vec<Shipment>)>,
}

/// The group of pictures that is kept.
#[derive(Debug, Clone, Copy)]
struct Group {
    start: u64,
    start_ms: i64,
    bytes: usize,
}

/// What became of the cached group when a frame was added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cache {
    Kept,
    /// It has outgrown its bounds; nothing is kept until the next key frame.
    Overgrown,
}

impl Window {
    /// Adds a frame at the end.
    pub(super) fn push(&mut self, frame: Frame, track: Option<Arc<Track>>, config: &HubConfig) -> Cache {
        if frame.class == FrameClass::Config {
            self.remember(&frame, track.as_ref());
        }
        let (bytes, now_ms) = (frame.held_bytes(), frame.dts.as_ms());
        if frame.kind == TrackKind::Video && frame.is_keyframe() {
            let lead = *self.lead.get_or_insert(frame.track);
            if lead == frame.track {
                self.group = Some(Group { start: self.end(), start_ms: now_ms, bytes: 0 });
            }
        }
        self.shipments.push_back(Shipment::new(frame, track));
        let Some(group) = &mut self.group else { return Cache::Kept };
        group.bytes = group.bytes.saturating_add(bytes);
        let length_ms = u128::try_from(now_ms.saturating_sub(group.start_ms)).unwrap_or(0);
        if group.bytes > config.cache_bytes || length_ms > config.cache.as_millis() {
            self.group = None;
            return Cache::Overgrown;
        }
        Cache::Kept
    }

    /// The number that the next frame will have.
    pub(super) fn end(&self) -> u64 {
        self.first + self.shipments.len() as u64
    }

    /// Where a viewer that joins now begins.
    pub(super) fn join_at(&self) -> u64 {
        self.group.map_or(self.end(), |group| group.start)
    }

    /// Whether frames wait to be fanned out.
    pub(super) fn has_news(&self) -> bool {
        self.fanned_out < self.end()
    }

    /// All viewers have all there is: what is not in the cached group may go.
    pub(super) fn mark_fanned_out(&mut self) {
        self.fanned_out = self.end();
        let keep = self.join_at();
        let spent = usize::try_from(keep.saturating_sub(self.first)).unwrap_or(usize::MAX);
        self.shipments.drain(..spent.min(self.shipments.len()));
        self.first = keep;
    }

    /// Forgets all frames and configurations: another publisher brings its own.
    pub(super) fn reset(&mut self) {
        self.first = self.end();
        self.fanned_out = self.first;
        self.shipments.clear();
        self.group = None;
        self.lead = None;
        self.configs.clear();
        self.preamble = None;
    }

    /// The first frame from here on from which a decoder of pictures can start.
    pub(super) fn entry_point(&self, from: u64) -> Option<u64> {
        let entry = |frame: &Frame| {
            frame.kind == TrackKind::Video && frame.is_keyframe() && self.lead == Some(frame.track)
        };
        self.position(from, entry)
    }

    /// The first frame of media from here on.
    pub(super) fn first_media(&self, from: u64) -> Option<u64> {
        self.position(from, is_media)
    }

    fn position(&self, from: u64, wanted: impl Fn(&Frame) -> bool) -> Option<u64> {
        let skip = self.index(from);
        let found = self.shipments.iter().skip(skip).position(|shipment| wanted(&shipment.frame))?;
        Some(self.first + (skip + found) as u64)
    }

    /// The frames of these numbers.
    pub(super) fn frames(&self, range: Range<u64>) -> impl Iterator<Item = &Frame> {
        let (skip, end) = (self.index(range.start), self.index(range.end));
        self.shipments.iter().take(end).skip(skip).map(|shipment| &*shipment.frame)
    }

    /// Everything from this number on, with the numbers.
    pub(super) fn from(&mut self, from: u64) -> impl Iterator<Item = (u64, &mut Shipment)> {
        let skip = self.index(from);
        let first = self.first;
        self.shipments
            .iter_mut()
            .enumerate()
            .skip(skip)
            .map(move |(n, shipment)| (first + n as u64, shipment))
    }

    /// Metadata and codec configurations for a viewer that starts with this frame, stamped with its time.
    pub(super) fn preamble(&mut self, start: u64) -> impl Iterator<Item = &mut Shipment> {
        let at_ms = self.shipments.get(self.index(start)).map_or(0, |shipment| shipment.frame.dts.as_ms());
        if self.preamble.as_ref().is_none_or(|(held_ms, _)| *held_ms != at_ms) {
            let stamped = |config: &Shipment| {
                let mut frame = (*config.frame).clone();
                let shift = at_ms.saturating_sub(frame.dts.as_ms());
                (frame.dts, frame.pts) = (frame.dts.plus_ms(shift), frame.pts.plus_ms(shift));
                Shipment::new(frame, config.track.clone())
            };
            self.preamble = Some((at_ms, self.configs.iter().map(stamped).collect()));
        }
        self.preamble.iter_mut().flat_map(|(_, shipments)| shipments)
    }

    /// Keeps the newest configuration of a track. When one changes, frames before and after it need
    /// different ones, so the cached group cannot be given to anybody any more.
    fn remember(&mut self, frame: &Frame, track: Option<&Arc<Track>>) {
        let place = config_order(frame);
        let at = self.configs.iter().position(|config| config_order(&config.frame) == place);
        if at.and_then(|at| self.configs.get(at)).is_some_and(|held| is_same_config(&held.frame, frame)) {
            return;
        }
        self.preamble = None;
        if let Some(at) = at {
            self.configs.remove(at);
            if frame.kind != TrackKind::Data {
                self.group = None;
            }
        }
        // An empty one takes back what was said before.
        if frame.held_bytes() > 0 {
            self.configs.push(Shipment::new(frame.clone(), track.map(Arc::clone)));
            self.configs.sort_by_key(|config| config_order(&config.frame));
        }
    }

    fn index(&self, number: u64) -> usize {
        usize::try_from(number.saturating_sub(self.first)).unwrap_or(usize::MAX)
    }
}

/// Whether the frame counts as media: configurations and signals do not.
pub(super) fn is_media(frame: &Frame) -> bool {
    matches!(frame.class, FrameClass::Keyframe | FrameClass::Inter)
}

/// Metadata, then pictures, then sound: the order in which publishers send and players expect them.
fn config_order(frame: &Frame) -> (u8, TrackId) {
    let kind = match frame.kind {
        TrackKind::Data => 0,
        TrackKind::Video => 1,
        TrackKind::Audio => 2,
    };
    (kind, frame.track)
}

fn is_same_config(former: &Frame, next: &Frame) -> bool {
    let body = |frame: &Frame| frame.origin.as_ref().map(|origin| origin.body.clone());
    former.payload == next.payload && body(former) == body(next)
}
