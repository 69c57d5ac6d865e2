//! Players that tell in `connect` what they can take.

use crate::kit::{AUDIO_CONFIG, Client, Server, VIDEO_CONFIG, audio, keyframe};
use bytes::Bytes;
use jackfield_media::TrackKind;
use jackfield_media::TrackKind::{Audio, Video};
use jackfield_rtmp::amf::{Object, Value};

fn listing(four_ccs: &[&str]) -> Object {
    let list = four_ccs.iter().map(|four_cc| Value::from(*four_cc)).collect();
    Object::new().with("fourCcList", Value::StrictArray(list))
}

type Sent = (TrackKind, u32, Vec<u8>);

/// An enhanced message: its first bytes, and a number that tells it from others.
fn enhanced(kind: TrackKind, ms: u32, head: &[u8], number: u8) -> Sent {
    (kind, ms, [head, &[number; 40]].concat())
}

fn bodies(sent: &[&Sent]) -> Vec<Vec<u8>> {
    sent.iter().map(|(.., body)| body.clone()).collect()
}

/// Reads up to this body.
async fn until(player: &mut Client, last: &Sent) -> Vec<Vec<u8>> {
    let mut got: Vec<Bytes> = Vec::new();
    while got.last().is_none_or(|body| body != &last.2) {
        got.push(player.message().await.2);
    }
    got.into_iter().map(|body| body.to_vec()).collect()
}

#[tokio::test]
async fn a_player_gets_the_tracks_that_it_announced_and_one_that_announced_nothing_gets_all() {
    let server = Server::start();
    let (mut publisher, stream) = Client::publishing(server.addr(), "show").await;
    let sent = [
        enhanced(Video, 0, b"\x90av01", 1),
        enhanced(Audio, 0, b"\x90Opus", 2),
        enhanced(Audio, 0, b"\x95\x00fLaC\x01", 3),
        enhanced(Video, 0, b"\x91av01", 4),
        enhanced(Audio, 5, b"\x91Opus", 5),
        enhanced(Audio, 5, b"\x95\x01fLaC\x01", 6),
        enhanced(Video, 40, b"\xa1av01", 7),
        enhanced(Audio, 40, b"\x91Opus", 8),
        enhanced(Audio, 40, b"\x95\x01fLaC\x01", 9),
        enhanced(Video, 80, b"\xa1av01", 10),
    ];
    let [video_config, opus_config, flac_config, key, opus, flac, inter, opus_2, flac_2, last] = &sent;
    publisher.send(stream, &sent).await;
    let (mut all, _) = Client::playing(server.addr(), "show").await;
    assert_eq!(until(&mut all, last).await, bodies(&sent.iter().collect::<Vec<_>>()));
    let telling = |four_ccs: &'static [&'static str]| Client::telling(server.addr(), listing(four_ccs));
    let (mut no_flac, _) = telling(&["av01", "Opus"]).await.plays("show").await;
    let expect = bodies(&[video_config, opus_config, key, opus, inter, opus_2, last]);
    assert_eq!(until(&mut no_flac, last).await, expect);
    let status = no_flac.status("NetStream.Play.UnsupportedTrack").await;
    assert_eq!(&*status.description, "Left out, because this player does not support it: audio 1 flac.");
    let (mut sound, _) = telling(&["Opus", "fLaC"]).await.plays("show").await;
    let expect = bodies(&[opus_config, flac_config, opus, flac, opus_2, flac_2]);
    assert_eq!(until(&mut sound, flac_2).await, expect);
    let status = sound.status("NetStream.Play.UnsupportedTrack").await;
    assert_eq!(&*status.description, "Left out, because this player does not support it: video av1.");
}

#[tokio::test]
async fn a_player_of_nothing_is_told_so_and_told_again_when_tracks_change() {
    let server = Server::start();
    let (mut publisher, stream) = Client::publishing(server.addr(), "show").await;
    let first = [enhanced(Video, 0, b"\x90av01", 1), enhanced(Video, 0, b"\x91av01", 2)];
    publisher.send(stream, &first).await;
    let (mut player, _) = Client::telling(server.addr(), listing(&["hvc1"])).await.plays("show").await;
    let status = player.status("NetStream.Play.NoSupportedTrackFound").await;
    assert_eq!(&*status.description, "None of the tracks is supported by this player: video av1.");
    let sound =
        [(Audio, 40, AUDIO_CONFIG.to_vec()), (Audio, 40, audio(1)), enhanced(Video, 40, b"\x91av01", 3)];
    publisher.send(stream, &sound).await;
    let status = player.status("NetStream.Play.UnsupportedTrack").await;
    assert_eq!(&*status.description, "Left out, because this player does not support it: video av1.");
    // The publisher changes to a codec that it takes.
    let classic = [(Video, 80, VIDEO_CONFIG.to_vec()), (Video, 80, keyframe(4, 100)), (Audio, 80, audio(5))];
    publisher.send(stream, &classic).await;
    let mut got = Vec::new();
    while got.last() != Some(&audio(5)) {
        got.push(player.message().await.2.to_vec());
    }
    assert!(got.contains(&VIDEO_CONFIG.to_vec()) && got.contains(&keyframe(4, 100)), "{got:02x?}");
    assert!(!got.iter().any(|body| body.starts_with(b"\x91av01")));
}

#[tokio::test]
async fn a_player_without_the_leading_track_starts_with_a_key_frame_of_its_own() {
    let server = Server::start();
    let (mut publisher, stream) = Client::publishing(server.addr(), "show").await;
    let sent = [
        enhanced(Video, 0, b"\x90av01", 1),
        enhanced(Video, 0, b"\x96\x00hvc1\x01", 2),
        enhanced(Video, 0, b"\x96\x03hvc1\x01", 3),
        enhanced(Video, 0, b"\x91av01", 4),
        // The other track is in the middle of a group where the leading one begins.
        (Video, 40, [&b"\xa6\x03hvc1\x01"[..], &[5; 40]].concat()),
        enhanced(Video, 40, b"\xa1av01", 6),
        enhanced(Video, 80, b"\x96\x03hvc1\x01", 7),
        (Video, 120, [&b"\xa6\x03hvc1\x01"[..], &[8; 40]].concat()),
    ];
    publisher.send(stream, &sent).await;
    let (mut player, _) = Client::telling(server.addr(), listing(&["hvc1"])).await.plays("show").await;
    let [_, config, _, _, _, _, key, last] = &sent;
    assert_eq!(until(&mut player, last).await, bodies(&[config, key, last]));
}
