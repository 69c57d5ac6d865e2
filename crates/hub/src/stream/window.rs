//! The frames that a stream holds: the last group of pictures for late joiners, what was not fanned out
//! yet, and the configurations that every viewer needs first.

use super::formats::{Format, FormatId, FormatMark};
use super::viewer::Plan;
use crate::config::HubConfig;
use crate::outlet::{Packaged, Packet};
use jackfield_media::{Codec, Frame, FrameClass, MediaTime, Part, Track, TrackId, TrackKind};
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

/// Configurations that are kept: metadata, and two for each of 64 tracks. A publisher may declare more tracks; what
/// these say is passed on, and not kept.
const MAX_CONFIGS: usize = 129;
/// When a video track has been silent for this long in media time, nobody waits for it any more: another one may
/// lead.
const TRACK_GONE_MS: i64 = 3000;
/// When a video track has had no key frame for this long in media time, nobody waits for its next one any more: it may
/// refresh its pictures piece by piece and have none. As long as viewers wait, they share no batches with others.
const NO_KEY_FRAMES_MS: i64 = 20_000;

/// A frame, and what each format has made of it so far.
#[derive(Debug)]
pub(super) struct Shipment {
    pub(super) frame: Arc<Frame>,
    track: Option<Arc<Track>>,
    packed: Vec<(FormatId, FormatMark, Option<Packaged>)>,
}

impl Shipment {
    fn new(frame: Frame, track: Option<Arc<Track>>) -> Self {
        Self { frame: Arc::new(frame), track, packed: Vec::new() }
    }

    fn part(&self) -> Part {
        part(&self.frame)
    }

    /// The frame in this format, packaged at the first call.
    pub(super) fn packet(&mut self, format: &Format) -> Option<Packet> {
        let packaged = match self.packed.iter().find(|(id, ..)| *id == format.id) {
            Some((.., packaged)) => packaged.clone(),
            None => {
                let packaged = format.packager.package(&self.frame, self.track.as_deref());
                // Viewers that come with ever other formats leave nothing behind.
                self.packed.retain(|(_, mark, _)| mark.strong_count() > 0);
                self.packed.push((format.id, format.mark(), packaged.clone()));
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
    /// Where the message begins to which the newest frame belongs.
    message: u64,
    lead: Option<Lead>,
    /// Of each video track that has any.
    key_frames: Vec<KeyFrames>,
    /// Newest configurations in the order in which a viewer needs them.
    configs: Vec<Shipment>,
    /// The configurations as they are given to viewers that start at this time.
    preamble: Option<(i64, Vec<Shipment>)>,
}

/// The video track whose key frames are entry points: of those that have some, the one with the lowest number.
#[derive(Debug, Clone, Copy)]
struct Lead {
    track: TrackId,
    seen_ms: i64,
}

/// The newest key frame of a video track, and the newest that has been fanned out.
#[derive(Debug, Clone, Copy)]
struct KeyFrames {
    track: TrackId,
    newest: u64,
    fanned_out: Option<u64>,
    newest_ms: i64,
    seen_ms: i64,
}

impl KeyFrames {
    /// Whether another key frame may be expected.
    fn goes_on(&self, now_ms: i64) -> bool {
        now_ms.saturating_sub(self.seen_ms) <= TRACK_GONE_MS
            && now_ms.saturating_sub(self.newest_ms) <= NO_KEY_FRAMES_MS
    }

    fn begins_with(&self, frame: &Frame) -> bool {
        frame.track == self.track && frame.kind == TrackKind::Video && frame.is_keyframe()
    }

    /// Whether a viewer that entered with frame `entered` had one before `from`. Of two that came since the last
    /// fan-out the first is not known: the track begins a little later then.
    fn began(&self, entered: u64, from: u64) -> bool {
        let had = |key_frame: u64| (entered..from).contains(&key_frame);
        had(self.newest) || self.fanned_out.is_some_and(had)
    }
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
        if matches!(frame.class, FrameClass::Config | FrameClass::TrackMetadata) {
            self.remember(&frame, track.as_ref(), config);
        }
        let (bytes, now_ms) = (frame.charged_bytes(), frame.dts.as_ms());
        if part(&frame) != Part::Rest {
            self.message = self.end();
        }
        if self.follow(&frame) == Entry::Yes {
            // With others in one message it may not be the message's first frame; that one has the body.
            let bytes =
                self.shipments.range(self.index(self.message)..).map(|begun| begun.frame.charged_bytes());
            self.group = Some(Group { start: self.message, start_ms: now_ms, bytes: bytes.sum() });
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
        for track in &mut self.key_frames {
            track.fanned_out = Some(track.newest);
        }
    }

    /// Forgets all frames and configurations: another publisher brings its own.
    pub(super) fn reset(&mut self) {
        self.first = self.end();
        self.fanned_out = self.first;
        self.shipments.clear();
        self.group = None;
        self.lead = None;
        self.key_frames.clear();
        self.configs.clear();
        self.preamble = None;
    }

    /// Whether a viewer may start with this frame.
    fn follow(&mut self, frame: &Frame) -> Entry {
        if frame.kind != TrackKind::Video || !is_media(frame) {
            return Entry::No;
        }
        let (now_ms, number) = (frame.dts.as_ms(), self.end());
        match self.key_frames.iter_mut().find(|known| known.track == frame.track) {
            Some(known) => {
                known.seen_ms = now_ms;
                if frame.is_keyframe() {
                    (known.newest, known.newest_ms) = (number, now_ms);
                }
            }
            None if frame.is_keyframe() => self.key_frames.push(KeyFrames {
                track: frame.track,
                newest: number,
                fanned_out: None,
                newest_ms: now_ms,
                seen_ms: now_ms,
            }),
            None => {}
        }
        let leads = match &self.lead {
            Some(lead) if frame.track == lead.track => true,
            Some(lead) if frame.is_keyframe() => {
                frame.track < lead.track || now_ms.saturating_sub(lead.seen_ms) > TRACK_GONE_MS
            }
            Some(_) => false,
            None => frame.is_keyframe(),
        };
        if leads {
            self.lead = Some(Lead { track: frame.track, seen_ms: now_ms });
        }
        if leads && frame.is_keyframe() { Entry::Yes } else { Entry::No }
    }

    /// The first frame from here on from which a decoder of pictures can start, or the one that has its message.
    pub(super) fn entry_point(&self, from: u64) -> Option<u64> {
        let lead = self.lead?.track;
        let entry =
            |frame: &Frame| frame.kind == TrackKind::Video && frame.is_keyframe() && frame.track == lead;
        self.position(from, entry)
    }

    /// Video tracks of which a viewer that entered with frame `entered` had no key frame before `from`. Tracks that
    /// have none at all, have none any more or have gone are not waited for.
    pub(super) fn awaited(&self, entered: u64, from: u64) -> impl Iterator<Item = TrackId> {
        let now_ms = self.lead.map_or(0, |lead| lead.seen_ms);
        // A stream of one video track is entered with a key frame of it.
        let several = self.key_frames.iter().filter(|_| self.key_frames.len() > 1);
        several
            .filter(move |track| track.goes_on(now_ms))
            .filter(move |track| !track.began(entered, from))
            // What is cached is given in two batches, so a track may have begun with a key frame that is not its newest.
            .filter(move |track| !self.frames(entered..from).any(|frame| track.begins_with(frame)))
            .map(|track| track.track)
    }

    /// The end of the message with which a viewer may start at the earliest.
    pub(super) fn opening(&self, from: u64) -> Option<u64> {
        let entry = self.entry_point(from)?;
        let after = self.index(entry) + 1;
        let rest = self.shipments.iter().skip(after).take_while(|shipment| shipment.part() == Part::Rest);
        Some(entry + 1 + rest.count() as u64)
    }

    /// The first frame of media from here on, or the one that has its message.
    pub(super) fn first_media(&self, from: u64) -> Option<u64> {
        self.position(from, is_media)
    }

    fn position(&self, from: u64, wanted: impl Fn(&Frame) -> bool) -> Option<u64> {
        let skip = self.index(from);
        let found = self.shipments.iter().skip(skip).position(|shipment| wanted(&shipment.frame))?;
        let found = skip + found;
        let begun = self.shipments.range(..=found).rposition(|shipment| shipment.part() != Part::Rest);
        Some(self.first + begun.unwrap_or(found) as u64)
    }

    /// The frames of these numbers.
    pub(super) fn frames(&self, range: Range<u64>) -> impl Iterator<Item = &Frame> {
        let (skip, end) = (self.index(range.start), self.index(range.end));
        self.shipments.iter().take(end).skip(skip).map(|shipment| &*shipment.frame)
    }

    /// The earliest time of all media that a viewer of this plan gets at once.
    pub(super) fn earliest(&self, plan: &Plan) -> Option<MediaTime> {
        let skip = self.index(plan.from);
        let frames = (plan.from..).zip(self.shipments.iter().skip(skip).map(|shipment| &*shipment.frame));
        frames
            .filter(|(number, frame)| is_media(frame) && plan.takes(*number, frame))
            .map(|(_, frame)| frame.dts)
            .min_by_key(|time| time.as_ms())
    }

    /// These frames, with their numbers.
    pub(super) fn numbered(&mut self, range: Range<u64>) -> impl Iterator<Item = (u64, &mut Shipment)> {
        let (skip, end) = (self.index(range.start), self.index(range.end));
        let first = self.first;
        self.shipments
            .iter_mut()
            .take(end)
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

    /// Keeps the newest configuration of a track, or what else is to be known of it. When a configuration changes,
    /// frames before and after it need different ones, so the cached group cannot be given to anybody any more.
    fn remember(&mut self, frame: &Frame, track: Option<&Arc<Track>>, config: &HubConfig) {
        let mut frame = frame.clone();
        if part(&frame) != Part::Sole {
            // What it shares with other tracks is of another time for them: it is packaged anew, alone.
            frame.origin = None;
        }
        let place = config_order(&frame);
        let at = self.configs.iter().position(|config| config_order(&config.frame) == place);
        let held = at.and_then(|at| self.configs.get(at)).map(|held| &*held.frame);
        if held.is_some_and(|held| is_same_config(held, &frame)) {
            return;
        }
        let changes = held.is_some_and(|held| held.payload != frame.payload);
        if changes && frame.class == FrameClass::Config && frame.kind != TrackKind::Data {
            self.group = None;
        }
        self.preamble = None;
        if let Some(at) = at {
            self.configs.remove(at);
        }
        // An empty one takes back what was said before.
        let bytes = frame.held_bytes();
        let kept: usize = self.configs.iter().map(|config| config.frame.held_bytes()).sum();
        let has_room = self.configs.len() < MAX_CONFIGS && kept.saturating_add(bytes) <= config.cache_bytes;
        if bytes > 0 && has_room {
            self.configs.push(Shipment::new(frame, track.map(Arc::clone)));
            self.configs.sort_by_key(|config| config_order(&config.frame));
        }
    }

    /// A track has this codec from now on: what was said of another one is forgotten, and so is the cached group
    /// that needs it.
    pub(super) fn announce(&mut self, track: TrackId, codec: Codec) {
        let is_of_former = |config: &Shipment| {
            let known = config.track.as_deref();
            config.frame.track == track && known.is_some_and(|known| known.codec != codec)
        };
        if self.configs.iter().any(is_of_former) {
            self.configs.retain(|config| !is_of_former(config));
            self.preamble = None;
            self.group = None;
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

/// Which of its message's frames this is.
pub(super) fn part(frame: &Frame) -> Part {
    frame.origin.as_ref().map_or(Part::Sole, |origin| origin.part)
}

/// Whether a viewer may start with a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Entry {
    Yes,
    No,
}

/// Metadata, then pictures, then sound: the order in which publishers send and players expect them. What else is to
/// be known of a track follows its configuration.
fn config_order(frame: &Frame) -> (u8, TrackId, u8) {
    let kind = match frame.kind {
        TrackKind::Data => 0,
        TrackKind::Video => 1,
        TrackKind::Audio => 2,
    };
    (kind, frame.track, u8::from(frame.class == FrameClass::TrackMetadata))
}

fn is_same_config(former: &Frame, next: &Frame) -> bool {
    let body = |frame: &Frame| frame.origin.as_ref().map(|origin| origin.body.clone());
    former.payload == next.payload && body(former) == body(next)
}

#[cfg(test)]
mod tests;
