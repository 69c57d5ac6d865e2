//! Media on its way to the hub, and what is held of it while the gate is asked.

use crate::config::HoldLimits;
use bytes::Bytes;
use jackfield_containers::flv::{FlvError, Unpacker};
use jackfield_events::EndReason;
use jackfield_hub::Publisher;
use jackfield_media::{Frame, FrameClass, Track, TrackId, TrackKind};
use std::time::Duration;

/// A message of a publisher.
#[derive(Debug)]
pub(crate) enum Media {
    /// Audio, video, or data other than metadata.
    Message(TrackKind, Bytes),
    /// `onMetaData`.
    Metadata(Bytes),
}

/// One publisher's media that was unpacked and not yet handed to the hub.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    unpacker: Unpacker,
    frames: Vec<Frame>,
    /// Tracks, each with the index of the frame before which it is told. Few batches have any.
    tracks: Vec<(usize, Track)>,
    bytes: usize,
    /// Of the first track that had one.
    keyframes: usize,
    lead: Option<TrackId>,
    /// Time stamps of the first and last access unit in milliseconds.
    span: Option<(i64, i64)>,
}

impl Batch {
    /// Takes a message apart and appends it.
    ///
    /// # Errors
    /// When it is malformed: it is left out.
    pub(crate) fn push(&mut self, timestamp: i64, media: Media) -> Result<(), FlvError> {
        let first = self.frames.len();
        match media {
            Media::Message(kind, body) => {
                // A message may have frames of several tracks: all tracks are told before the first of them.
                for (frame, track) in self.unpacker.unpack(kind, timestamp, body)? {
                    self.tracks.extend(track.map(|track| (first, track)));
                    self.frames.push(frame);
                }
            }
            Media::Metadata(body) => {
                self.frames.push(Unpacker::data(timestamp, body, FrameClass::Config));
            }
        }
        for frame in self.frames.iter().skip(first) {
            self.bytes += frame.charged_bytes();
            if frame.is_keyframe() && *self.lead.get_or_insert(frame.track) == frame.track {
                self.keyframes += 1;
            }
            if matches!(frame.class, FrameClass::Keyframe | FrameClass::Inter) {
                let (first, last) = self.span.unwrap_or((timestamp, timestamp));
                self.span = Some((first, last.max(timestamp)));
            }
        }
        Ok(())
    }

    /// Whether what is held has reached its bounds: the first group of pictures is complete, or it is too
    /// long or too large.
    fn is_full(&self, limits: &HoldLimits) -> bool {
        let span = self.span.map_or(0, |(first, last)| last.saturating_sub(first));
        let span = Duration::from_millis(u64::try_from(span).unwrap_or_default());
        self.keyframes > 1 || self.bytes > limits.bytes || span > limits.span
    }

    /// Whether what a connection holds of all its publishers has reached the bounds of one: it may ask on many message streams.
    pub(crate) fn are_full<'a>(batches: impl IntoIterator<Item = &'a Self>, limits: &HoldLimits) -> bool {
        let mut bytes = 0;
        batches.into_iter().any(|batch| {
            bytes += batch.bytes;
            batch.is_full(limits) || bytes > limits.bytes
        })
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Hands all to the hub, in order. Waits while the stream's own task lags; what was not handed in when
    /// this is cancelled is lost.
    pub(crate) async fn deliver(&mut self, publisher: &Publisher) -> Result<(), EndReason> {
        let frames = std::mem::take(&mut self.frames);
        let tracks = std::mem::take(&mut self.tracks);
        (self.bytes, self.keyframes, self.span) = (0, 0, None);
        if tracks.is_empty() {
            return publisher.send(frames).await;
        }
        let (mut frames, mut sent) = (frames.into_iter(), 0);
        for (at, track) in tracks {
            publisher.send(next(&mut frames, at.saturating_sub(sent))).await?;
            sent = at;
            publisher.track(track).await?;
        }
        publisher.send(next(&mut frames, usize::MAX)).await
    }
}

/// The next frames, in a list that has room for no more than these. What is split off a `Vec` leaves it the room of the
/// whole: a publisher that changes its configuration with every message could so take a thousand times what it sends.
fn next(frames: &mut std::vec::IntoIter<Frame>, count: usize) -> Vec<Frame> {
    frames.by_ref().take(count).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn video(batch: &mut Batch, ms: i64, first: u8, payload: usize) {
        let mut body = vec![first, 1, 0, 0, 0];
        body.resize(5 + payload, 0xaa);
        batch.push(ms, Media::Message(TrackKind::Video, body.into())).unwrap();
    }

    const LIMITS: HoldLimits = HoldLimits { bytes: 10_000, span: Duration::from_secs(3) };

    #[test]
    fn one_group_of_pictures_is_held() {
        let mut batch = Batch::default();
        batch.push(0, Media::Metadata(Bytes::from_static(b"\x02"))).unwrap();
        video(&mut batch, 5_000_000, 0x17, 10);
        video(&mut batch, 5_002_000, 0x27, 10);
        assert!(!batch.is_full(&LIMITS));
        video(&mut batch, 5_002_040, 0x17, 10);
        assert!(batch.is_full(&LIMITS));
    }

    #[test]
    fn a_piece_of_a_batch_takes_no_more_room_than_its_frames() {
        let mut batch = Batch::default();
        (0..1000).for_each(|ms| video(&mut batch, ms, 0x27, 1));
        let mut frames = batch.frames.into_iter();
        let pieces: Vec<Vec<Frame>> = (0..500).map(|_| next(&mut frames, 1)).collect();
        assert!(pieces.iter().all(|piece| piece.len() == 1 && piece.capacity() < 10));
        assert_eq!(next(&mut frames, usize::MAX).len(), 500);
        assert!(next(&mut frames, 1).is_empty());
    }

    #[test]
    fn what_is_held_of_several_publishers_counts_together() {
        let mut batches = [Batch::default(), Batch::default(), Batch::default()];
        for batch in &mut batches {
            video(batch, 0, 0x17, 4000);
        }
        assert!(!Batch::are_full(&batches[..2], &LIMITS));
        assert!(Batch::are_full(&batches, &LIMITS));
    }

    #[test]
    fn a_long_or_large_group_is_cut() {
        let mut batch = Batch::default();
        video(&mut batch, 0, 0x17, 10);
        video(&mut batch, 3001, 0x27, 10);
        assert!(batch.is_full(&LIMITS));
        let mut batch = Batch::default();
        video(&mut batch, 0, 0x17, 10_000);
        assert!(batch.is_full(&LIMITS));
        // Many tiny messages are no way around it.
        let mut batch = Batch::default();
        for _ in 0..40 {
            video(&mut batch, 0, 0x27, 1);
        }
        assert!(batch.is_full(&LIMITS));
    }
}
