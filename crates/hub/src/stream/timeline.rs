//! The time line that viewers see: it goes on, whatever the publisher's time stamps do.
//!
//! Every track has an offset from the publisher's time to the viewers'. As long as a publisher's time
//! stamps go on as time does, offsets stay, and nothing is changed: tracks whose clocks drift apart keep
//! their own pace and what distance the publisher gave them. When a time stamp jumps, wraps or goes back,
//! its track gets another offset, the first of these that puts it where it was:
//!
//! 1. its own, moved by half or the whole range of a 32-bit time stamp: it has wrapped, and distances stay;
//! 2. its own, moved as far as the track that jumped last: sound and pictures stay together;
//! 3. that of another track, if this puts it where the stream is;
//! 4. one that goes on from the newest frame.
//!
//! A new publish session begins where the former left off. `pts - dts` is never changed, negative or not.

use jackfield_media::{Frame, FrameClass, Mono, TrackId};
use std::time::Duration;

/// A step further than this, beyond what local time explains, is a jump.
const JUMP_MS: i64 = 3000;
/// A step back up to this is rounding or jitter of an encoder: the time stamp is held, not moved.
const JITTER_MS: i64 = 200;
/// Where 32-bit time stamps wrap, after 49.7 days; and after 24.8 days those of publishers that count with a sign.
const WRAPS_MS: [i64; 2] = [1 << 32, 1 << 31];

/// Whether a time stamp had to be repaired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Placed {
    AsSent,
    Repaired,
}

/// The time line of one stream.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    tracks: Vec<(TrackId, Clock)>,
    newest: Option<Newest>,
    /// How far the track that jumped last was moved.
    last_move_ms: Option<i64>,
    /// Nothing comes before this: the end of the former publish session.
    floor_ms: Option<i64>,
}

#[derive(Debug, Clone, Copy)]
struct Clock {
    offset_ms: i64,
    last_in_ms: i64,
    last_out_ms: i64,
    heard: Mono,
}

/// The frame that is furthest on the time line.
#[derive(Debug, Clone, Copy)]
struct Newest {
    out_ms: i64,
    heard: Mono,
}

impl Timeline {
    /// Another publisher, whose time stamps have nothing to do with the former's.
    pub(super) fn new_session(&mut self) {
        self.tracks.clear();
        self.last_move_ms = None;
        self.floor_ms = self.newest.map(|newest| newest.out_ms);
    }

    /// Puts the frame on the time line.
    pub(super) fn place(&mut self, now: Mono, frame: &mut Frame) -> Placed {
        let sent_ms = frame.dts.as_ms();
        let (out_ms, placed) = match frame.class {
            FrameClass::Keyframe | FrameClass::Inter => self.place_media(now, frame.track, sent_ms),
            // Often stamped 0 whatever the time is: stands beside the media, and does not move it.
            FrameClass::Config | FrameClass::TrackMetadata | FrameClass::Signal => {
                (self.beside(frame.track, sent_ms), Placed::AsSent)
            }
        };
        let shift = out_ms.saturating_sub(sent_ms);
        if shift != 0 {
            frame.dts = frame.dts.plus_ms(shift);
            frame.pts = frame.pts.plus_ms(shift);
        }
        placed
    }

    fn place_media(&mut self, now: Mono, track: TrackId, sent_ms: i64) -> (i64, Placed) {
        let known = self.clock(track);
        let offset_ms = match known {
            Some(clock) if clock.goes_on(now, sent_ms) => clock.offset_ms,
            _ => self.new_offset(now, known, sent_ms),
        };
        let moved_ms = known.map_or(0, |clock| offset_ms.saturating_sub(clock.offset_ms));
        if moved_ms != 0 {
            self.last_move_ms = Some(moved_ms);
        }
        let free_ms = sent_ms.saturating_add(offset_ms);
        let floor_ms = known.map(|clock| clock.last_out_ms).max(self.floor_ms);
        let out_ms = floor_ms.map_or(free_ms, |floor| free_ms.max(floor));
        // A track that begins in the middle and does not fit the others is a repair too.
        let misfit = known.is_none() && self.tracks.iter().any(|(_, clock)| clock.offset_ms != offset_ms);
        let clock = Clock { offset_ms, last_in_ms: sent_ms, last_out_ms: out_ms, heard: now };
        match self.tracks.iter_mut().find(|(id, _)| *id == track) {
            Some((_, held)) => *held = clock,
            None => self.tracks.push((track, clock)),
        }
        if self.newest.is_none_or(|newest| out_ms >= newest.out_ms) {
            self.newest = Some(Newest { out_ms, heard: now });
        }
        let repaired = moved_ms != 0 || misfit || out_ms != free_ms;
        (out_ms, if repaired { Placed::Repaired } else { Placed::AsSent })
    }

    /// An offset that continues the time line.
    fn new_offset(&self, now: Mono, known: Option<Clock>, sent_ms: i64) -> i64 {
        let Some(newest) = self.newest else { return 0 };
        let earliest_ms = match known {
            Some(clock) => clock.last_out_ms.saturating_sub(JITTER_MS),
            None => newest.out_ms.saturating_sub(JUMP_MS),
        };
        let is_near = |offset_ms: &i64| {
            let out_ms = sent_ms.saturating_add(*offset_ms);
            out_ms >= earliest_ms && out_ms.saturating_sub(newest.out_ms).abs() <= JUMP_MS
        };
        let goes_on =
            |by_ms: &i64| known.is_some_and(|clock| clock.goes_on(now, sent_ms.saturating_add(*by_ms)));
        let own = known.map(|clock| clock.offset_ms);
        let others = self.tracks.iter().map(|(_, clock)| clock.offset_ms);
        let moves = wraps().chain(self.last_move_ms);
        let moved = known
            .and_then(|clock| moves.clone().find(goes_on).map(|by_ms| clock.offset_ms.saturating_add(by_ms)));
        // A track that begins when others have wrapped.
        let wrapped =
            others.clone().flat_map(|offset_ms| wraps().map(move |by| offset_ms.saturating_add(by)));
        let near = || own.into_iter().chain(others).chain(wrapped).find(is_near);
        moved.or_else(near).unwrap_or_else(|| {
            let pace_ms = millis(now - newest.heard).clamp(1, JUMP_MS);
            newest.out_ms.saturating_add(pace_ms).saturating_sub(sent_ms)
        })
    }

    /// A place for what is no media: by the offset of its own track if that is near its last frame, but not
    /// before it; by that of another track if that is near; else where its track, or the stream, is.
    fn beside(&self, track: TrackId, sent_ms: i64) -> i64 {
        let near = |out_ms: i64, place_ms: i64| out_ms.saturating_sub(place_ms).abs() <= JUMP_MS;
        if let Some(clock) = self.clock(track) {
            let out_ms = sent_ms.saturating_add(clock.offset_ms);
            let last_ms = clock.last_out_ms;
            return if near(out_ms, last_ms) { out_ms.max(last_ms) } else { last_ms };
        }
        let Some(newest) = self.newest else { return sent_ms };
        let others = self.tracks.iter().map(|(_, clock)| sent_ms.saturating_add(clock.offset_ms));
        others.into_iter().find(|out_ms| near(*out_ms, newest.out_ms)).unwrap_or(newest.out_ms)
    }

    fn clock(&self, track: TrackId) -> Option<Clock> {
        self.tracks.iter().find(|(id, _)| *id == track).map(|(_, clock)| *clock)
    }
}

impl Clock {
    /// Whether this time stamp may follow the last one: not far back, and not further ahead than local
    /// time explains.
    fn goes_on(&self, now: Mono, sent_ms: i64) -> bool {
        let step_ms = sent_ms.saturating_sub(self.last_in_ms);
        let elapsed_ms = millis(now - self.heard);
        step_ms >= -JITTER_MS && step_ms <= elapsed_ms.saturating_add(JUMP_MS)
    }
}

/// By how much an offset changes when a time stamp wraps, and when one from before the wrap comes late.
fn wraps() -> impl Iterator<Item = i64> + Clone {
    WRAPS_MS.into_iter().flat_map(|wrap_ms| [wrap_ms, -wrap_ms])
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
