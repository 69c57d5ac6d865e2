//! What a stream must begin with: kept, and sent again over a new connection.

use bytes::Bytes;
use jackfield_containers::flv::Unpacker;
use jackfield_media::{FrameClass, TrackId, TrackKind};

/// Bodies that are kept. Bounds what a stream of many tracks makes us keep; more than that are not sent again.
const MAX_KEPT: usize = 64;
/// The name of stream metadata as an AMF0 string.
const ON_META_DATA: &[u8] = b"\x02\x00\x0aonMetaData";

/// Watches what is published: metadata and configurations, and where decoding can begin.
#[derive(Debug, Default)]
pub(crate) struct Opening {
    unpacker: Unpacker,
    kept: Vec<Kept>,
    pictures: Pictures,
    gap: Gap,
}

#[derive(Debug)]
struct Kept {
    what: (FrameClass, Vec<TrackId>),
    kind: TrackKind,
    body: Bytes,
}

/// Whether the stream has a video track.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Pictures {
    #[default]
    None,
    Some,
}

/// Where the stream is after a new connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Gap {
    #[default]
    None,
    /// Media is left out until a picture from which decoding can begin.
    UntilKeyframe,
}

/// What is to be done with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    Send,
    /// Nobody could decode it.
    LeaveOut,
}

impl Opening {
    /// Looks at a message that is to be sent.
    pub(crate) fn admit(&mut self, kind: TrackKind, body: &Bytes) -> Admission {
        let (class, tracks) = self.look(kind, body);
        match class {
            FrameClass::Config | FrameClass::TrackMetadata => {
                self.keep(Kept { what: (class, tracks), kind, body: body.clone() });
                return Admission::Send;
            }
            FrameClass::Keyframe => self.gap = Gap::None,
            FrameClass::Inter | FrameClass::Signal => {}
        }
        match self.gap {
            Gap::None => Admission::Send,
            Gap::UntilKeyframe => Admission::LeaveOut,
        }
    }

    /// The stream begins anew: what is to be sent first. Media goes on at the next key frame, or at once in a
    /// stream without pictures.
    pub(crate) fn begin_again(&mut self) -> impl Iterator<Item = (TrackKind, &Bytes)> {
        self.gap = match self.pictures {
            Pictures::Some => Gap::UntilKeyframe,
            Pictures::None => Gap::None,
        };
        // Metadata first, as encoders send it.
        let order = |kept: &&Kept| kept.kind == TrackKind::Data;
        let (data, rest): (Vec<&Kept>, Vec<&Kept>) = self.kept.iter().partition(order);
        data.into_iter().chain(rest).map(|kept| (kept.kind, &kept.body))
    }

    /// What the message is for: that of its frames which counts most, and the tracks that have it.
    fn look(&mut self, kind: TrackKind, body: &Bytes) -> (FrameClass, Vec<TrackId>) {
        if kind == TrackKind::Data {
            let metadata = body.starts_with(ON_META_DATA);
            let class = if metadata { FrameClass::Config } else { FrameClass::Inter };
            return (class, vec![TrackId::DATA]);
        }
        // What cannot be taken apart is passed on like any media.
        let Ok(frames) = self.unpacker.unpack(kind, 0, body.clone()) else {
            return (FrameClass::Inter, Vec::new());
        };
        let frames: Vec<_> = frames.map(|(frame, _)| (frame.class, frame.track)).collect();
        if kind == TrackKind::Video {
            self.pictures = Pictures::Some;
        }
        let order = [FrameClass::Config, FrameClass::TrackMetadata, FrameClass::Keyframe];
        let class = order.into_iter().find(|class| frames.iter().any(|(own, _)| own == class));
        let class = class.unwrap_or(FrameClass::Inter);
        (class, frames.iter().filter(|(own, _)| *own == class).map(|(_, track)| *track).collect())
    }

    /// Keeps the body in place of those that it makes void.
    fn keep(&mut self, new: Kept) {
        let (class, tracks) = &new.what;
        self.kept
            .retain(|old| old.what.0 != *class || old.what.1.iter().any(|track| !tracks.contains(track)));
        if self.kept.len() < MAX_KEPT {
            self.kept.push(new);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Admission::{LeaveOut, Send};
    use TrackKind::{Audio, Data, Video};

    const CONFIG: &[u8] = &[0x17, 0, 0, 0, 0, 1];
    const KEY: &[u8] = &[0x17, 1, 0, 0, 0, 9];
    const INTER: &[u8] = &[0x27, 1, 0, 0, 0, 9];
    const SOUND: &[u8] = &[0xaf, 1, 2];

    fn admit(opening: &mut Opening, kind: TrackKind, body: &'static [u8]) -> Admission {
        opening.admit(kind, &Bytes::from_static(body))
    }

    #[test]
    fn a_new_connection_begins_with_headers_and_goes_on_at_a_key_frame() {
        let mut opening = Opening::default();
        let sent: [(TrackKind, &'static [u8]); 6] = [
            (Video, CONFIG),
            (Audio, &[0xaf, 0, 1]),
            (Data, b"\x02\x00\x0aonMetaData\x05"),
            (Video, INTER),
            (Audio, SOUND),
            (Data, b"\x02\x00\x01x"),
        ];
        for (kind, body) in sent {
            assert_eq!(admit(&mut opening, kind, body), Send);
        }
        admit(&mut opening, Audio, &[0xaf, 0, 2]);
        let first: Vec<_> = opening.begin_again().map(|(kind, body)| (kind, body.to_vec())).collect();
        let expect: [(TrackKind, &[u8]); 3] =
            [(Data, b"\x02\x00\x0aonMetaData\x05"), (Video, CONFIG), (Audio, &[0xaf, 0, 2])];
        assert_eq!(first, expect.map(|(kind, body)| (kind, body.to_vec())));
        let after =
            [(Video, INTER), (Audio, SOUND), (Video, CONFIG), (Audio, SOUND), (Video, KEY), (Audio, SOUND)];
        let got = after.map(|(kind, body)| admit(&mut opening, kind, body));
        assert_eq!(got, [LeaveOut, LeaveOut, Send, LeaveOut, Send, Send]);
    }

    #[test]
    fn a_stream_without_pictures_goes_on_at_once() {
        let mut opening = Opening::default();
        admit(&mut opening, Audio, SOUND);
        assert_eq!(opening.begin_again().count(), 0);
        assert_eq!(admit(&mut opening, Audio, SOUND), Send);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut opening = Opening::default();
        for track in 0..=255 {
            // Enhanced audio, multitrack with one track, sequence start.
            let body = Bytes::from([&[0x95, 0x00], b"fLaC".as_slice(), &[track, 1]].concat());
            opening.admit(Audio, &body);
        }
        assert_eq!(opening.kept.len(), MAX_KEPT);
    }
}
