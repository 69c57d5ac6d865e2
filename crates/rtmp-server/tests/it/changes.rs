//! Publishers that change their codecs and tracks, and those that have many.

use crate::kit::{AUDIO_CONFIG, Client, Server, VIDEO_CONFIG, audio, inter, keyframe};
use jackfield_media::TrackKind::{self, Audio, Video};

type Sent = (TrackKind, u32, Vec<u8>);

fn message(kind: TrackKind, ms: u32, head: &[u8], number: u8) -> Sent {
    (kind, ms, [head, &[number; 60]].concat())
}

fn bodies(sent: &[Sent]) -> Vec<Vec<u8>> {
    sent.iter().map(|(.., body)| body.clone()).collect()
}

/// Reads as many messages as were sent.
async fn read(player: &mut Client, count: usize) -> Vec<Vec<u8>> {
    player.messages(count).await.into_iter().map(|(.., body)| body.to_vec()).collect()
}

/// Sends each part in turn: one who was there from the beginning gets everything in its order, and one who comes
/// after a part gets that part, which is all that is still true.
async fn check(parts: &[Vec<Sent>]) {
    let server = Server::start();
    let (mut publisher, stream) = Client::publishing(server.addr(), "show").await;
    let (mut early, _) = Client::playing(server.addr(), "show").await;
    while server.hub.streams()[0].viewers == 0 {
        tokio::task::yield_now().await;
    }
    for (index, part) in parts.iter().enumerate() {
        publisher.send(stream, part).await;
        assert_eq!(read(&mut early, part.len()).await, bodies(part), "part {index}");
        let (mut late, _) = Client::playing(server.addr(), "show").await;
        assert_eq!(read(&mut late, part.len()).await, bodies(part), "late after part {index}");
    }
    drop((publisher, early));
    server.quiet().await;
}

fn avc(ms: u32) -> Vec<Sent> {
    vec![
        (Video, ms, VIDEO_CONFIG.to_vec()),
        (Video, ms, keyframe(ms, 500)),
        (Video, ms + 40, inter(ms + 40, 100)),
    ]
}

fn by_four_cc(ms: u32, four_cc: &[u8; 4]) -> Vec<Sent> {
    let head = |first: u8| [&[first][..], four_cc].concat();
    vec![
        message(Video, ms, &head(0x90), 1),
        message(Video, ms, &head(0x93), 2),
        message(Video, ms + 40, &head(0xa3), 3),
    ]
}

#[tokio::test]
async fn a_changed_video_codec_comes_with_its_configuration_first_for_old_and_new_viewers() {
    check(&[avc(0), by_four_cc(80, b"hvc1"), avc(160), by_four_cc(240, b"vvc1"), by_four_cc(320, b"hvc1")])
        .await;
}

#[tokio::test]
async fn the_same_codec_in_classic_and_enhanced_form_is_one_track_with_the_newest_configuration() {
    let enhanced = |ms, config: u8| {
        let record = VIDEO_CONFIG.get(5..).unwrap();
        let mut sent = by_four_cc(ms, b"avc1");
        sent[0].2 = [b"\x90avc1", record, &vec![0; usize::from(config)]].concat();
        sent
    };
    check(&[avc(0), enhanced(80, 0), avc(160), enhanced(240, 1), enhanced(320, 0)]).await;
}

#[tokio::test]
async fn a_changed_audio_codec_comes_with_its_configuration_first() {
    let aac = |ms| vec![(Audio, ms, AUDIO_CONFIG.to_vec()), (Audio, ms + 1, audio(ms))];
    let opus = |ms| vec![message(Audio, ms, b"\x90Opus", 1), message(Audio, ms + 1, b"\x91Opus", 2)];
    let server = Server::start();
    let (mut publisher, stream) = Client::publishing(server.addr(), "show").await;
    let (mut early, _) = Client::playing(server.addr(), "show").await;
    while server.hub.streams()[0].viewers == 0 {
        tokio::task::yield_now().await;
    }
    for part in [aac(0), opus(40), aac(80), opus(120)] {
        publisher.send(stream, &part).await;
        assert_eq!(read(&mut early, 2).await, bodies(&part));
        // Sound alone is kept for nobody, so a late viewer gets the configuration with the next sound.
        let viewers = server.hub.streams()[0].viewers;
        let (mut late, _) = Client::playing(server.addr(), "show").await;
        while server.hub.streams()[0].viewers == viewers {
            tokio::task::yield_now().await;
        }
        let next = [(Audio, part[1].1 + 1, part[1].2.clone())];
        publisher.send(stream, &next).await;
        assert_eq!(read(&mut early, 1).await, bodies(&next));
        assert_eq!(read(&mut late, 2).await, bodies(&part));
    }
}

/// A message of one track of several.
fn of_track(kind: TrackKind, ms: u32, packet: u8, four_cc: &[u8; 4], track: u8) -> Sent {
    let first = if kind == Video { 0x96 } else { 0x95 };
    message(kind, ms, &[&[first, packet][..], four_cc, &[track]].concat(), track)
}

#[tokio::test]
async fn sixty_four_tracks_reach_early_and_late_viewers_and_one_more_does_not() {
    let mut sent = Vec::new();
    for packet in [0, 1] {
        sent.extend((0..32).map(|track| of_track(Video, 0, 3 * packet, b"hvc1", track)));
        sent.extend((0..32).map(|track| of_track(Audio, 0, packet, b"Opus", track)));
    }
    let server = Server::start();
    let (mut publisher, stream) = Client::publishing(server.addr(), "show").await;
    let (mut early, _) = Client::playing(server.addr(), "show").await;
    publisher.send(stream, &sent).await;
    assert_eq!(read(&mut early, sent.len()).await, bodies(&sent));
    // All configurations, before the first media.
    let (mut late, _) = Client::playing(server.addr(), "show").await;
    assert_eq!(read(&mut late, sent.len()).await, bodies(&sent));
    let more = [of_track(Video, 40, 3, b"hvc1", 77), of_track(Video, 40, 3, b"hvc1", 0)];
    publisher.send(stream, &more).await;
    assert_eq!(read(&mut late, 1).await, bodies(&more[1..]));
    assert_eq!(server.hub.streams()[0].counters.refused_frames, 1);
    assert_eq!(server.events.count("codec_detected"), 64);
}

#[tokio::test]
async fn tracks_that_change_their_numbers_and_codecs_with_every_message_harm_nobody() {
    let server = Server::start();
    let (mut publisher, stream) = Client::publishing(server.addr(), "show").await;
    let (mut player, _) = Client::playing(server.addr(), "show").await;
    publisher.send(stream, &avc(0)).await;
    assert_eq!(read(&mut player, 3).await, bodies(&avc(0)));
    let four_ccs = [b"hvc1", b"av01", b"vp09", b"avc1", b"zzzz"];
    for round in 0..40_u32 {
        let sent: Vec<Sent> = (0..=255_u8)
            .flat_map(|track| {
                let four_cc = four_ccs[(round as usize + usize::from(track)) % four_ccs.len()];
                let ms = 80 + round * 40;
                [of_track(Video, ms, 0, four_cc, track), of_track(Video, ms, 3, four_cc, track)]
            })
            .collect();
        publisher.send(stream, &sent).await;
    }
    // The stream goes on, and a new viewer can begin.
    publisher.send(stream, &avc(4000)).await;
    while player.message().await.2 != avc(4000)[2].2 {}
    let (mut late, _) = Client::playing(server.addr(), "show").await;
    while late.message().await.2 != avc(4000)[2].2 {}
    drop((publisher, player, late));
    server.quiet().await;
}
