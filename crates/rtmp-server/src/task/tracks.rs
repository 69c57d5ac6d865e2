//! What a player is told of the tracks that it does not get, because it told in `connect` what it can take.

use super::{ConnectionTask, Happened};
use crate::format::taste::Taste;
use jackfield_containers::flv;
use jackfield_hub::Subscriber;
use jackfield_media::{Codec, Track, TrackKind};
use jackfield_rtmp::{Status, status};
use jackfield_runtime::clock;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

/// A publisher tells its tracks one after the other: they are judged when the first has been there for so long.
const SETTLED: Duration = Duration::from_millis(200);
/// Tracks that a status names; bounds its length, whatever the publisher sends.
const MAX_NAMES: usize = 8;

/// What a player that does not take everything was told last.
#[derive(Debug)]
pub(super) struct Judged {
    taste: Taste,
    /// Of which tracks; `None` before the first time.
    version: Option<u64>,
    status: Option<Status>,
}

impl Judged {
    pub(super) fn new(taste: Taste) -> Self {
        Self { taste, version: None, status: None }
    }
}

impl ConnectionTask {
    /// Waits for the end of a player, and for other tracks if it may be that it cannot take all.
    pub(super) fn watch(&mut self, stream: u32, subscriber: &Arc<Subscriber>, judged: Option<Judged>) {
        let watched = Arc::clone(subscriber);
        let Some(judged) = judged else {
            return self.waits.set(stream, async move { Happened::Ended(watched.ended().await) });
        };
        self.waits.set(stream, async move {
            let settled = async {
                if let Some(version) = judged.version {
                    watched.tracks_changed(version).await;
                }
                clock::sleep(SETTLED).await;
                let now = watched.tracks();
                let status = judge(judged.taste, &now.tracks);
                let news = status.clone().filter(|status| judged.status.as_ref() != Some(status));
                Happened::Judged(news, Judged { version: Some(now.version), status, ..judged })
            };
            tokio::select! {
                biased;
                reason = watched.ended() => Happened::Ended(reason),
                judged = settled => judged,
            }
        });
    }

    /// The stream has other tracks than before.
    pub(super) fn on_judged(&mut self, stream: u32, news: Option<&Status>, judged: Judged) {
        let Some(crate::role::Role::Playing(subscriber)) = self.roles.get_mut(stream) else { return };
        let subscriber = Arc::clone(subscriber);
        if let Some(status) = news {
            tracing::debug!(detail = %status.description, "Player does not get all tracks");
            if self.session.tell_player(stream, status).is_err() {
                return;
            }
        }
        self.watch(stream, &subscriber, Some(judged));
    }
}

/// What is to be told of these tracks, if one is left out.
fn judge(taste: Taste, tracks: &[Arc<Track>]) -> Option<Status> {
    let media = || tracks.iter().filter(|track| track.kind != TrackKind::Data);
    let left_out = || media().filter(|track| !taste.takes_track(track));
    let count = left_out().count();
    if count == 0 {
        return None;
    }
    let mut names: Vec<String> = left_out().take(MAX_NAMES).map(|track| name(track)).collect();
    if count > MAX_NAMES {
        names.push(format!("{} more", count - MAX_NAMES));
    }
    let names = names.join(", ");
    Some(if count == media().count() {
        let text = format!("None of the tracks is supported by this player: {names}.");
        Status::note(status::PLAY_NO_SUPPORTED_TRACK_FOUND, &text)
    } else {
        let text = format!("Left out, because this player does not support it: {names}.");
        Status::note(status::PLAY_UNSUPPORTED_TRACK, &text)
    })
}

/// A track as people know it: `video hevc`, `audio 1 opus`.
fn name(track: &Track) -> String {
    let mut name = track.kind.to_string();
    let number = flv::track_number(track.kind, track.id).unwrap_or_default();
    let codec = match &track.codec {
        Codec::FourCc(four_cc) if four_cc.iter().all(u8::is_ascii_graphic) => {
            String::from_utf8_lossy(four_cc)
        }
        codec => codec.as_str().into(),
    };
    let written = if number == 0 { write!(name, " {codec}") } else { write!(name, " {number} {codec}") };
    written.expect("invariant: writing to a String does not fail");
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use jackfield_rtmp::Capabilities;
    use jackfield_rtmp::amf::{Object, Value};

    /// Codes and descriptions for a player that lists HEVC and AAC by FourCC.
    fn check(tracks: &[(TrackKind, u8, Codec)], expect: Option<(&str, &str)>) {
        let list = Value::StrictArray(vec!["hvc1".into(), "mp4a".into()]);
        let taste = Taste::of(Capabilities::parse(&Object::new().with("fourCcList", list))).unwrap();
        let track = |&(kind, number, codec)| Arc::new(Track::bare(flv::track_id(kind, number), kind, codec));
        let tracks: Vec<_> = tracks.iter().map(track).collect();
        let got = judge(taste, &tracks);
        assert_eq!(got.as_ref().map(|status| (&*status.code, &*status.description)), expect);
    }

    use TrackKind::{Audio, Data, Video};

    #[test]
    fn a_status_names_the_tracks_that_are_left_out() {
        check(&[], None);
        check(&[(Video, 0, Codec::Hevc), (Audio, 0, Codec::Aac), (Audio, 1, Codec::Aac)], None);
        check(
            &[(Video, 0, Codec::Hevc), (Audio, 0, Codec::Aac), (Audio, 3, Codec::Opus)],
            Some((
                "NetStream.Play.UnsupportedTrack",
                "Left out, because this player does not support it: audio 3 opus.",
            )),
        );
        check(
            &[(Video, 0, Codec::Av1), (Audio, 0, Codec::FourCc(*b"new1")), (Data, 0, Codec::Other("amf0"))],
            Some((
                "NetStream.Play.NoSupportedTrackFound",
                "None of the tracks is supported by this player: video av1, audio new1.",
            )),
        );
    }

    #[test]
    fn a_status_has_a_bounded_length() {
        let tracks: Vec<_> = (0..64).map(|number| (Video, number, Codec::FourCc([7; 4]))).collect();
        check(
            &tracks,
            Some((
                "NetStream.Play.NoSupportedTrackFound",
                "None of the tracks is supported by this player: video unknown, video 1 unknown, video 2 unknown, \
                 video 3 unknown, video 4 unknown, video 5 unknown, video 6 unknown, video 7 unknown, 56 more.",
            )),
        );
    }
}
