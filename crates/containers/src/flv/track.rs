//! Which track of a stream a number of enhanced RTMP stands for.

use jackfield_media::{TrackId, TrackKind};

/// Ids of the video and audio tracks after the first begin here.
const VIDEO_IDS: u16 = 0x0100;
const AUDIO_IDS: u16 = 0x0200;

/// The id of the track of this kind that a multitrack message calls by this number. Number 0 is the track of
/// all messages without numbers; data has one track.
#[must_use]
pub fn track_id(kind: TrackKind, number: u8) -> TrackId {
    match (kind, number) {
        (TrackKind::Video, 0) => TrackId::VIDEO,
        (TrackKind::Video, number) => TrackId(VIDEO_IDS | u16::from(number)),
        (TrackKind::Audio, 0) => TrackId::AUDIO,
        (TrackKind::Audio, number) => TrackId(AUDIO_IDS | u16::from(number)),
        (TrackKind::Data, _) => TrackId::DATA,
    }
}

/// The number by which a multitrack message calls the track; `None` if the id is none that [`track_id`] gives
/// for this kind.
#[must_use]
pub fn track_number(kind: TrackKind, id: TrackId) -> Option<u8> {
    let [_, low] = id.0.to_be_bytes();
    let first = track_id(kind, 0) == id;
    let number = if first { 0 } else { low };
    (track_id(kind, number) == id).then_some(number)
}
