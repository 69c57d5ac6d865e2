//! What everybody may see of a stream without asking its task.

use crate::subscriber::ViewerId;
use jackfield_events::Scope;
use jackfield_media::{ConnId, Epoch, Mono, StreamKey, Track, TrackId};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// Whether a stream can be played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// Nobody publishes it.
    Absent,
    /// It has a publisher.
    Live {
        /// How long its publisher has sent nothing.
        silent_for: Duration,
    },
    /// Its publisher has gone and may return; players may already attach.
    Resumable,
}

/// What a stream has counted since it came to exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StreamCounters {
    /// Frames that were received, of all kinds and publish sessions.
    pub frames: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Time stamps that were changed because the publisher's jumped or went back.
    pub time_repairs: u64,
    /// Frames that were left out because they came from a superseded publisher or were of a track too
    /// many.
    pub refused_frames: u64,
    /// Frames that viewers who have left did not get because they were too slow.
    pub dropped_frames: u64,
    /// Groups of pictures that were too large to be kept for late joiners.
    pub uncached_groups: u64,
}

impl StreamCounters {
    pub(crate) fn add(&mut self, other: &Self) {
        let Self { frames, bytes, time_repairs, refused_frames, dropped_frames, uncached_groups } = other;
        self.frames += frames;
        self.bytes += bytes;
        self.time_repairs += time_repairs;
        self.refused_frames += refused_frames;
        self.dropped_frames += dropped_frames;
        self.uncached_groups += uncached_groups;
    }
}

/// A stream as it is now.
#[derive(Debug, Clone)]
pub struct StreamSnapshot {
    /// Its key.
    pub key: StreamKey,
    /// Whether it can be played.
    pub presence: Presence,
    /// Its publish session, or the last one.
    pub epoch: Epoch,
    /// Connection and session of the publisher, or of the last one.
    pub publisher: Scope,
    /// How long the publish session has lasted; zero without a publisher.
    pub uptime: Duration,
    /// How many viewers it has, waiting and paused ones included.
    pub viewers: usize,
    /// The tracks of the publish session, by their ids.
    pub tracks: Vec<Arc<Track>>,
    /// How fast its tracks come, over about the last second; empty before that, zero for a publisher that is silent.
    pub rates: Vec<TrackRate>,
    /// Time between the last two key frames of the first video track.
    pub key_frames: Option<Duration>,
    /// What it has counted.
    pub counters: StreamCounters,
}

/// How fast a track comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrackRate {
    /// The track.
    pub track: TrackId,
    /// Bits of its payload a second.
    pub bits_per_second: u64,
}

/// What a connection uses a stream for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Use {
    /// It publishes it.
    Publish,
    /// It plays it, or waits for its next key frame.
    Play,
}

/// The shared part of a stream. Its task writes; all others read.
#[derive(Debug, Default)]
pub(crate) struct Status {
    facts: Mutex<Facts>,
    /// The tracks are others than before.
    pub(crate) tracks_changed: Notify,
    last_media_us: AtomicU64,
    viewers: AtomicUsize,
    /// The connections of its viewers.
    seats: Mutex<BTreeMap<ViewerId, ConnId>>,
    /// Since when it has no viewer; none of the past while it has some.
    unwatched_us: AtomicU64,
    pub(crate) counters: Counters,
}

#[derive(Debug, Default)]
pub(crate) struct Facts {
    pub(crate) state: State,
    pub(crate) epoch: Option<Epoch>,
    pub(crate) publisher: Scope,
    pub(crate) since: Mono,
    pub(crate) tracks: Vec<Arc<Track>>,
    /// How often they have changed.
    pub(crate) tracks_version: u64,
    pub(crate) rates: Vec<TrackRate>,
    pub(crate) key_frames: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum State {
    #[default]
    Absent,
    Live,
    Resumable,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) frames: Counter,
    pub(crate) bytes: Counter,
    pub(crate) time_repairs: Counter,
    pub(crate) refused_frames: Counter,
    pub(crate) dropped_frames: Counter,
    pub(crate) uncached_groups: Counter,
}

impl Counters {
    pub(crate) fn read(&self) -> StreamCounters {
        StreamCounters {
            frames: self.frames.read(),
            bytes: self.bytes.read(),
            time_repairs: self.time_repairs.read(),
            refused_frames: self.refused_frames.read(),
            dropped_frames: self.dropped_frames.read(),
            uncached_groups: self.uncached_groups.read(),
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Status {
    pub(crate) fn facts(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The publisher has these tracks from now on.
    pub(crate) fn set_tracks(&self, tracks: Vec<Arc<Track>>) {
        let mut facts = self.facts();
        facts.tracks = tracks;
        facts.tracks_version += 1;
        drop(facts);
        self.tracks_changed.notify_waiters();
    }

    /// The publisher sent something.
    pub(crate) fn heard(&self, now: Mono) {
        self.last_media_us.store(micros(now), Ordering::Relaxed);
    }

    /// How long the publisher has sent nothing.
    pub(crate) fn silent_for(&self, now: Mono) -> Duration {
        let last = Duration::from_micros(self.last_media_us.load(Ordering::Relaxed));
        now.since_origin().saturating_sub(last)
    }

    pub(crate) fn set_viewers(&self, now: Mono, count: usize) {
        let before = self.viewers.swap(count, Ordering::Relaxed);
        if count > 0 {
            self.unwatched_us.store(u64::MAX, Ordering::Relaxed);
        } else if before > 0 {
            self.watch_ends(now);
        }
    }

    /// It begins, or its last viewer has gone.
    pub(crate) fn watch_ends(&self, now: Mono) {
        if self.viewers.load(Ordering::Relaxed) == 0 {
            self.unwatched_us.store(micros(now), Ordering::Relaxed);
        }
    }

    /// How long it has had no viewer; zero while it has some.
    pub(crate) fn unwatched_for(&self, now: Mono) -> Duration {
        Duration::from_micros(micros(now).saturating_sub(self.unwatched_us.load(Ordering::Relaxed)))
    }

    /// A connection begins to play.
    pub(crate) fn sit(&self, viewer: ViewerId, conn: ConnId) {
        self.seats().insert(viewer, conn);
    }

    /// A viewer has gone.
    pub(crate) fn rise(&self, viewer: ViewerId) {
        self.seats().remove(&viewer);
    }

    /// Which connections use the stream, and for what.
    pub(crate) fn uses(&self) -> Vec<(ConnId, Use)> {
        let publisher = {
            let facts = self.facts();
            facts.publisher.conn_id.filter(|_| facts.state == State::Live)
        };
        let players = self.seats();
        let publishes = publisher.into_iter().map(|conn| (conn, Use::Publish));
        publishes.chain(players.values().map(|conn| (*conn, Use::Play))).collect()
    }

    fn seats(&self) -> MutexGuard<'_, BTreeMap<ViewerId, ConnId>> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn presence(&self, now: Mono) -> Presence {
        match self.facts().state {
            State::Absent => Presence::Absent,
            State::Live => Presence::Live { silent_for: self.silent_for(now) },
            State::Resumable => Presence::Resumable,
        }
    }

    /// `None` for a stream that has not begun.
    pub(crate) fn snapshot(&self, key: &StreamKey, now: Mono) -> Option<StreamSnapshot> {
        let presence = self.presence(now);
        let facts = self.facts();
        Some(StreamSnapshot {
            key: key.clone(),
            presence,
            epoch: facts.epoch?,
            publisher: facts.publisher.clone(),
            uptime: if facts.state == State::Live { now - facts.since } else { Duration::ZERO },
            viewers: self.viewers.load(Ordering::Relaxed),
            tracks: facts.tracks.clone(),
            rates: facts.rates.iter().map(|rate| rate.unless_silent(self.silent_for(now))).collect(),
            key_frames: facts.key_frames,
            counters: self.counters.read(),
        })
    }
}

/// After so long without media the rates say so.
const SILENT: Duration = Duration::from_secs(3);

impl TrackRate {
    fn unless_silent(self, silent_for: Duration) -> Self {
        if silent_for < SILENT { self } else { Self { bits_per_second: 0, ..self } }
    }
}

fn micros(now: Mono) -> u64 {
    u64::try_from(now.since_origin().as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_unwatched_since_its_last_viewer_left() {
        let at = |seconds| Mono::from_origin(Duration::from_secs(seconds));
        let status = Status::default();
        status.watch_ends(at(3));
        assert_eq!(status.unwatched_for(at(5)), Duration::from_secs(2));
        status.set_viewers(at(5), 2);
        status.set_viewers(at(6), 1);
        assert_eq!(status.unwatched_for(at(9)), Duration::ZERO);
        status.set_viewers(at(10), 0);
        // To have none still is not to lose one.
        status.set_viewers(at(11), 0);
        assert_eq!(status.unwatched_for(at(13)), Duration::from_secs(3));
    }
}
