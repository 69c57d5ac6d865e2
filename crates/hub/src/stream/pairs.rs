//! Guards of start and stop: whoever holds one has told the start, and its drop tells the stop. So each
//! start has exactly one stop, also when the stream's task panics.

use jackfield_bus::Bus;
use jackfield_events::notices::{
    CodecDetected, MediaStart, MediaStop, PlayStart, PlayStop, PublishStart, PublishStop, StreamCreate,
    StreamDelete,
};
use jackfield_events::{EndReason, Scope};
use jackfield_media::{Epoch, Frame, Mono, Part, SessionId, StreamKey, Text, Track, TrackId, TrackKind};
use jackfield_runtime::clock;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::SetOnce;

use super::changes::Changes;
use super::pace::{KeyFrames, Pace};
use super::window::is_media;
use crate::grant::{PlayGrantParts, PublishGrantParts};
use crate::registry::Entry;
use crate::status::TrackRate;
use crate::subscriber::ViewerId;

/// Tracks of one publish session; frames of further ones are refused, or passed on untold if they are in one message
/// with others. Bounds what a publisher can make
/// us hold and tell.
const MAX_TRACKS: usize = 64;
/// The reason of a stop whose start nobody ended: the stream's task panicked or was dropped.
const ABANDONED: EndReason = EndReason::Kicked;

/// A stream that exists: from `stream_create` to `stream_delete`.
#[derive(Debug)]
pub(super) struct Life {
    bus: Bus,
    scope: Scope,
    app: Text,
    stream_name: Text,
    created_at: Mono,
    reason: EndReason,
}

impl Life {
    pub(super) fn begin(bus: &Bus, key: &StreamKey, now: Mono) -> Self {
        let life = Self {
            bus: bus.clone(),
            scope: Scope { stream_key: Some(key.clone()), ..Scope::default() },
            app: key.app().into(),
            stream_name: key.name().into(),
            created_at: now,
            reason: ABANDONED,
        };
        let create = StreamCreate { app: life.app.clone(), stream_name: life.stream_name.clone() };
        life.bus.emit(&life.scope, &create);
        life
    }

    pub(super) fn end(mut self, reason: EndReason) {
        self.reason = reason;
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        let lasted = clock::now() - self.created_at;
        let delete = StreamDelete {
            app: self.app.clone(),
            stream_name: self.stream_name.clone(),
            duration_seconds: lasted.as_secs(),
            duration_ms: millis(lasted),
            reason: self.reason,
        };
        self.bus.emit(&self.scope, &delete);
    }
}

/// A publish session: from `publish_start` to `publish_stop`, with the `media_start` and `media_stop` of
/// its tracks between them.
#[derive(Debug)]
pub(super) struct PublishSession {
    bus: Bus,
    pub(super) scope: Scope,
    pub(super) epoch: Epoch,
    pub(super) ended: Arc<SetOnce<EndReason>>,
    start: PublishStart,
    started_at: Mono,
    bytes: u64,
    video: u64,
    audio: u64,
    media: BTreeMap<TrackId, MediaCount>,
    pace: Pace,
    tracks: BTreeMap<TrackId, Arc<Track>>,
    changes: Changes,
    reason: EndReason,
}

#[derive(Debug)]
struct MediaCount {
    kind: TrackKind,
    first_ms: i64,
    frames: u64,
    bytes: u64,
    key_frames: KeyFrames,
}

/// A publisher has more tracks than are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooManyTracks;

/// Whether a codec configuration was known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Announced {
    New,
    Known,
}

impl PublishSession {
    pub(super) fn begin(bus: &Bus, parts: PublishGrantParts, epoch: Epoch, now: Mono) -> Self {
        let scope = Scope { stream_key: Some(parts.key), epoch: Some(epoch), ..parts.scope };
        bus.emit(&scope, &parts.start);
        Self {
            bus: bus.clone(),
            scope,
            epoch,
            ended: Arc::default(),
            start: parts.start,
            started_at: now,
            bytes: 0,
            video: 0,
            audio: 0,
            media: BTreeMap::new(),
            pace: Pace::new(now),
            tracks: BTreeMap::new(),
            changes: Changes::new(now),
            reason: ABANDONED,
        }
    }

    /// Counts a frame, and tells the first one of a track. Its time stamps are the publisher's.
    pub(super) fn count(&mut self, frame: &Frame) -> Result<(), TooManyTracks> {
        if is_media(frame) {
            let (first_ms, kind, track) = (frame.dts.as_ms(), frame.kind, frame.track);
            let is_new = !self.media.contains_key(&track);
            let is_one_too_many = is_new && self.media.len() >= MAX_TRACKS;
            if is_one_too_many && !shares_message(frame) {
                return Err(TooManyTracks);
            }
            if is_new && !is_one_too_many {
                self.bus.emit(&self.scope, &MediaStart { kind, track: track.0, first_ms });
                self.media.insert(
                    track,
                    MediaCount { kind, first_ms, frames: 0, bytes: 0, key_frames: KeyFrames::default() },
                );
            }
            if let Some(count) = self.media.get_mut(&track) {
                count.frames += 1;
                count.bytes += frame.payload.len() as u64;
                if frame.is_keyframe() {
                    count.key_frames.one(frame.dts.as_ms());
                }
            }
        }
        self.bytes += frame.held_bytes() as u64;
        match frame.kind {
            TrackKind::Video => self.video += 1,
            TrackKind::Audio => self.audio += 1,
            TrackKind::Data => {}
        }
        Ok(())
    }

    /// How fast the tracks come, and the time between key frames of the first video track; `None` until it is time to tell
    /// again.
    pub(super) fn pace(&mut self, now: Mono) -> Option<(Vec<TrackRate>, Option<Duration>)> {
        if !self.pace.is_due(now) {
            return None;
        }
        let mut video = self.media.values().filter(|count| count.kind == TrackKind::Video);
        let key_frames = video.next().and_then(|count| count.key_frames.distance());
        let rates = self.pace.rates(now, self.media.iter().map(|(track, count)| (*track, count.bytes)));
        Some((rates, key_frames))
    }

    /// Keeps what is known of a track, and tells it if it is news.
    pub(super) fn announce(&mut self, now: Mono, track: Track) -> Announced {
        let held = self.tracks.get(&track.id);
        if held.is_some_and(|held| **held == track) || (held.is_none() && self.tracks.len() >= MAX_TRACKS) {
            return Announced::Known;
        }
        if track.kind != TrackKind::Data {
            self.changes.add(track.id);
        }
        self.tracks.insert(track.id, Arc::new(track));
        self.tell_changes(now);
        Announced::New
    }

    /// Tells what has changed in the tracks, as much of it as may be told now.
    pub(super) fn tell_changes(&mut self, now: Mono) {
        while let Some(id) = self.changes.next(now) {
            if let Some(track) = self.tracks.get(&id) {
                self.bus.emit(&self.scope, &codec_detected(track));
            }
        }
    }

    pub(super) fn track(&self, id: TrackId) -> Option<Arc<Track>> {
        self.tracks.get(&id).map(Arc::clone)
    }

    pub(super) fn tracks(&self) -> Vec<Arc<Track>> {
        self.tracks.values().map(Arc::clone).collect()
    }

    pub(super) fn end(mut self, reason: EndReason) {
        self.reason = reason;
    }
}

impl Drop for PublishSession {
    fn drop(&mut self) {
        let reason = self.reason;
        for (track, count) in &self.media {
            let &MediaCount { kind, first_ms, frames, bytes, .. } = count;
            self.bus.emit(&self.scope, &MediaStop { kind, track: track.0, first_ms, reason, frames, bytes });
        }
        let lasted = clock::now() - self.started_at;
        let stop = PublishStop {
            app: self.start.app.clone(),
            stream_name: self.start.stream_name.clone(),
            client_ip: self.start.client_ip,
            protocol: self.start.protocol,
            reason,
            duration_seconds: lasted.as_secs(),
            duration_ms: millis(lasted),
            bytes_received: self.bytes,
            video_packets: self.video,
            audio_packets: self.audio,
        };
        self.bus.emit(&self.scope, &stop);
        // Nobody else sets it; a publisher that waits for it sees the stop told.
        let _first = self.ended.set(reason);
    }
}

/// A play session: from `play_start`, at its first media, to `play_stop`. One that got no media tells
/// neither.
#[derive(Debug)]
pub(super) struct PlaySession {
    bus: Bus,
    scope: Scope,
    start: PlayStart,
    started_at: Option<Mono>,
    pub(super) ended: Arc<SetOnce<EndReason>>,
    pub(super) sent_bytes: u64,
    pub(super) dropped_frames: u64,
    reason: EndReason,
    _seat: Seat,
}

/// A viewer among those of its stream, as long as its session lasts.
#[derive(Debug)]
struct Seat {
    stream: Arc<Entry>,
    viewer: ViewerId,
}

impl Seat {
    fn new(stream: Arc<Entry>, viewer: ViewerId, scope: &Scope) -> Self {
        if let Some(conn) = scope.conn_id {
            stream.status.sit(viewer, conn);
        }
        Self { stream, viewer }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.stream.status.rise(self.viewer);
    }
}

impl PlaySession {
    pub(super) fn new(bus: &Bus, parts: PlayGrantParts, stream: Arc<Entry>, viewer: ViewerId) -> Self {
        Self {
            _seat: Seat::new(stream, viewer, &parts.scope),
            bus: bus.clone(),
            scope: Scope { stream_key: Some(parts.key), ..parts.scope },
            start: parts.start,
            started_at: None,
            ended: Arc::default(),
            sent_bytes: 0,
            dropped_frames: 0,
            reason: ABANDONED,
        }
    }

    pub(super) fn session_id(&self) -> Option<SessionId> {
        self.scope.session_id
    }

    /// It gets media: tells the start if this is the first.
    pub(super) fn media(&mut self, now: Mono, epoch: Epoch) {
        if self.started_at.is_none() {
            self.started_at = Some(now);
            self.scope.epoch = Some(epoch);
            self.bus.emit(&self.scope, &self.start);
        }
    }

    pub(super) fn end(mut self, reason: EndReason) {
        self.reason = reason;
    }
}

impl Drop for PlaySession {
    fn drop(&mut self) {
        if let Some(started_at) = self.started_at {
            let lasted = clock::now() - started_at;
            let stop = PlayStop {
                app: self.start.app.clone(),
                stream_name: self.start.stream_name.clone(),
                client_ip: self.start.client_ip,
                protocol: self.start.protocol,
                reason: self.reason,
                duration_seconds: lasted.as_secs(),
                duration_ms: millis(lasted),
                bytes_sent: self.sent_bytes,
                dropped_frames: self.dropped_frames,
            };
            self.bus.emit(&self.scope, &stop);
        }
        // Nobody else sets it; a subscriber that waits for it sees the stop told.
        let _first = self.ended.set(self.reason);
    }
}

fn shares_message(frame: &Frame) -> bool {
    frame.origin.as_ref().is_some_and(|origin| origin.part != Part::Sole)
}

fn codec_detected(track: &Track) -> CodecDetected {
    CodecDetected {
        track: track.id.0,
        kind: track.kind,
        codec: track.codec.name(),
        codec_string: track.codec_string.clone(),
        width: track.width,
        height: track.height,
        fps: track.fps,
        profile: track.profile.clone(),
        level: track.level.clone(),
        sample_rate: track.sample_rate,
        channels: track.channels,
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
