//! What a viewer gets first.

use crate::kit::{Kit, Viewer, config, data, key, keyframe, picture, send, settle, sound, video_track};
use jackfield_events::EndReason;
use jackfield_hub::{HubConfig, Paused, Publisher, Wanted};
use jackfield_media::{FrameClass, TrackKind};
use jackfield_runtime::clock;
use std::time::Duration;

async fn with_configurations(kit: &Kit) -> Publisher {
    let publisher = kit.publish(&key()).await;
    // Not in the order in which viewers get them.
    let configs = vec![
        config(TrackKind::Audio, 0, b"aac"),
        config(TrackKind::Video, 0, b"avc"),
        config(TrackKind::Data, 0, b"meta"),
    ];
    send(&publisher, configs).await;
    publisher
}

#[tokio::test(start_paused = true)]
async fn a_late_joiner_gets_configurations_and_a_picture_at_once_and_then_the_last_group() {
    let kit = Kit::new(HubConfig::default());
    let publisher = with_configurations(&kit).await;
    send(&publisher, vec![keyframe(0), sound(5), picture(40)]).await;
    send(&publisher, vec![keyframe(2000), sound(2005), picture(2040)]).await;
    let viewer = Viewer::default();
    let _subscriber = kit.play(&key(), &viewer).await;
    assert_eq!(viewer.take(), ["Dc2000 Vc2000 Ac2000 V2000", "a2005 v2040"]);
    send(&publisher, vec![picture(2080)]).await;
    assert_eq!(viewer.take(), ["v2080"]);
}

#[tokio::test(start_paused = true)]
async fn a_late_joiner_is_told_of_the_earliest_media_before_it_gets_any() {
    let kit = Kit::new(HubConfig::default());
    let publisher = with_configurations(&kit).await;
    send(&publisher, vec![sound(1900), keyframe(2000), sound(1990), picture(2040)]).await;
    let viewer = Viewer::default();
    let _subscriber = kit.play(&key(), &viewer).await;
    send(&publisher, vec![picture(2080)]).await;
    assert_eq!(viewer.begun(), [1990]);
}

#[tokio::test(start_paused = true)]
async fn changed_metadata_keeps_the_group_and_reaches_the_next_joiner() {
    let kit = Kit::new(HubConfig::default());
    let publisher = with_configurations(&kit).await;
    send(&publisher, vec![keyframe(0)]).await;
    let [first, second, third] = [Viewer::default(), Viewer::default(), Viewer::default()];
    let _first = kit.play(&key(), &first).await;
    send(&publisher, vec![config(TrackKind::Data, 10, b"longer metadata"), picture(40)]).await;
    let _second = kit.play(&key(), &second).await;
    send(&publisher, vec![config(TrackKind::Data, 50, b""), picture(80)]).await;
    let _third = kit.play(&key(), &third).await;
    assert_eq!(second.take(), ["Dc0 Vc0 Ac0 V0", "v40", "Dc50 v80"]);
    assert_eq!(third.take(), ["Vc0 Ac0 V0", "v40 v80"], "an empty one takes it back");
    assert_eq!(kit.told().iter().filter(|line| line.starts_with("play_start")).count(), 3);
    let bytes = |event: &str, nth: usize| {
        let all = kit.events();
        let found = all.iter().filter(|told| told.event_type().name() == event).nth(nth).unwrap();
        found.field("bytes_sent").unwrap().as_u64()
    };
    publisher.finish(EndReason::Unpublish).await;
    settle().await;
    // 4 bytes of metadata for the first, 15 for the second, none for the third.
    let media = 6 + 100 + 20;
    let longer = b"longer metadata".len() as u64;
    assert_eq!(bytes("play_stop", 0), Some(media + 4 + longer));
    assert_eq!(bytes("play_stop", 1), Some(media + longer));
    assert_eq!(bytes("play_stop", 2), Some(media));
}

#[tokio::test(start_paused = true)]
async fn signals_reach_those_who_are_there_and_no_late_joiner() {
    let kit = Kit::new(HubConfig::default());
    let publisher = kit.publish(&key()).await;
    let [early, late] = [Viewer::default(), Viewer::default()];
    let _early = kit.play(&key(), &early).await;
    let mut signal = picture(40);
    signal.class = FrameClass::Signal;
    send(&publisher, vec![keyframe(0)]).await;
    send(&publisher, vec![signal, picture(80)]).await;
    let _late = kit.play(&key(), &late).await;
    assert_eq!(early.take(), ["V0", "v40 v80"]);
    assert_eq!(late.take(), ["V0", "v80"]);
}

#[tokio::test(start_paused = true)]
async fn a_joiner_between_two_fanouts_gets_every_frame_once() {
    let kit = Kit::new(HubConfig::default());
    let publisher = kit.publish(&key()).await;
    let [early, late] = [Viewer::default(), Viewer::default()];
    let _early = kit.play(&key(), &early).await;
    send(&publisher, vec![keyframe(0), sound(5)]).await;
    send(&publisher, vec![sound(28)]).await;
    // The last sound waits for a picture.
    let _late = kit.play(&key(), &late).await;
    send(&publisher, vec![picture(40)]).await;
    assert_eq!(early.batches(), ["V0 a5", "a28 v40"]);
    assert_eq!(late.batches(), ["V0", "a5 a28", "v40"]);
}

#[tokio::test(start_paused = true)]
async fn an_early_joiner_starts_with_the_first_key_frame() {
    let kit = Kit::new(HubConfig::default());
    let publisher = with_configurations(&kit).await;
    publisher.track(video_track()).await.unwrap();
    let viewer = Viewer::default();
    let _subscriber = kit.play(&key(), &viewer).await;
    send(&publisher, vec![sound(0), picture(10), sound(20)]).await;
    clock::sleep(Duration::from_millis(100)).await;
    assert!(viewer.take().is_empty());
    send(&publisher, vec![keyframe(40), sound(45), picture(80)]).await;
    assert_eq!(viewer.take(), ["Dc40 Vc40 Ac40 V40 a45 v80"]);
}

#[tokio::test(start_paused = true)]
async fn streams_without_pictures_start_at_once() {
    let kit = Kit::new(HubConfig::default());
    let publisher = kit.publish(&key()).await;
    send(&publisher, vec![config(TrackKind::Audio, 0, b"aac"), sound(0), sound(23)]).await;
    let viewer = Viewer::default();
    let _subscriber = kit.play(&key(), &viewer).await;
    send(&publisher, vec![sound(46)]).await;
    assert_eq!(viewer.take(), ["Ac46 a46"]);

    let other = jackfield_media::StreamKey::parse("data").unwrap();
    let publisher = kit.publish(&other).await;
    let viewer = Viewer::default();
    let _subscriber = kit.play(&other, &viewer).await;
    send(&publisher, vec![data(0)]).await;
    assert_eq!(viewer.take(), ["d0"]);
}

#[tokio::test(start_paused = true)]
async fn sound_starts_alone_where_pictures_have_stopped() {
    let kit = Kit::new(HubConfig { cache: Duration::ZERO, ..HubConfig::default() });
    let publisher = kit.publish(&key()).await;
    send(&publisher, vec![keyframe(0), picture(40)]).await;
    let viewer = Viewer::default();
    let _subscriber = kit.play(&key(), &viewer).await;
    send(&publisher, vec![sound(1000)]).await;
    assert!(viewer.take().is_empty());
    clock::sleep(Duration::from_secs(3)).await;
    send(&publisher, vec![sound(4000)]).await;
    assert_eq!(viewer.take(), ["a4000"]);
    send(&publisher, vec![picture(4100), sound(4110), keyframe(4140)]).await;
    assert_eq!(viewer.take(), ["a4110 V4140"]);
}

#[tokio::test(start_paused = true)]
async fn a_group_that_outgrew_the_cache_is_not_given() {
    for limits in [
        HubConfig { cache_bytes: 1000, ..HubConfig::default() },
        HubConfig { cache: Duration::from_millis(100), ..HubConfig::default() },
    ] {
        let kit = Kit::new(limits);
        let publisher = kit.publish(&key()).await;
        send(&publisher, vec![keyframe(0), picture(40)]).await;
        let frames: Vec<_> = (2..30).map(|n| picture(n * 40)).collect();
        send(&publisher, frames).await;
        let viewer = Viewer::default();
        let _subscriber = kit.play(&key(), &viewer).await;
        send(&publisher, vec![picture(1200)]).await;
        assert!(viewer.take().is_empty());
        send(&publisher, vec![keyframe(1240)]).await;
        assert_eq!(viewer.take(), ["V1240"]);
        assert_eq!(kit.hub.streams()[0].counters.uncached_groups, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_group_of_very_small_frames_counts_with_what_it_takes_to_hold_them() {
    let kit = Kit::new(HubConfig { cache_bytes: 100_000, ..HubConfig::default() });
    let publisher = kit.publish(&key()).await;
    send(&publisher, vec![keyframe(0)]).await;
    // 10 kB of pictures.
    send(&publisher, (0..1000).map(picture).collect()).await;
    assert_eq!(kit.hub.streams()[0].counters.uncached_groups, 1);
}

#[tokio::test(start_paused = true)]
async fn a_changed_configuration_ends_the_cached_group_and_a_repeated_one_does_not() {
    let kit = Kit::new(HubConfig::default());
    let publisher = with_configurations(&kit).await;
    send(&publisher, vec![keyframe(0), config(TrackKind::Video, 30, b"avc"), picture(40)]).await;
    let viewer = Viewer::default();
    let _subscriber = kit.play(&key(), &viewer).await;
    assert_eq!(viewer.take(), ["Dc0 Vc0 Ac0 V0", "v40"]);
    send(&publisher, vec![config(TrackKind::Video, 80, b"changed")]).await;
    clock::sleep(Duration::from_millis(40)).await;
    let late = Viewer::default();
    let _late = kit.play(&key(), &late).await;
    assert!(late.take().is_empty());
    send(&publisher, vec![keyframe(80)]).await;
    assert_eq!(viewer.take(), ["Vc80", "V80"]);
    assert_eq!(late.take(), ["Dc80 Vc80 Ac80 V80"]);
}

#[tokio::test(start_paused = true)]
async fn a_pause_holds_back_and_goes_on_with_a_key_frame() {
    let kit = Kit::new(HubConfig::default());
    let publisher = with_configurations(&kit).await;
    let viewer = Viewer::default();
    let subscriber = kit.play(&key(), &viewer).await;
    send(&publisher, vec![keyframe(0)]).await;
    viewer.take();
    subscriber.pause(Paused::Yes);
    send(&publisher, vec![picture(40), keyframe(80)]).await;
    subscriber.pause(Paused::No);
    send(&publisher, vec![picture(120), sound(125)]).await;
    clock::sleep(Duration::from_millis(50)).await;
    assert!(viewer.take().is_empty());
    send(&publisher, vec![keyframe(160)]).await;
    assert_eq!(viewer.take(), ["Dc160 Vc160 Ac160 V160"]);
    assert_eq!(kit.told().iter().filter(|line| line.starts_with("play_start")).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_kind_that_is_not_wanted_is_left_out() {
    let kit = Kit::new(HubConfig::default());
    let publisher = kit.publish(&key()).await;
    let viewer = Viewer::default();
    let subscriber = kit.play(&key(), &viewer).await;
    subscriber.receive(TrackKind::Video, Wanted::No);
    send(&publisher, vec![keyframe(0), sound(5), picture(40)]).await;
    assert_eq!(viewer.take(), ["a5"], "sound alone needs no key frame");
    subscriber.receive(TrackKind::Video, Wanted::Yes);
    subscriber.receive(TrackKind::Audio, Wanted::No);
    send(&publisher, vec![picture(80), sound(85)]).await;
    send(&publisher, vec![keyframe(120), sound(125), picture(160)]).await;
    assert_eq!(viewer.take(), ["V120 v160"]);
}

#[tokio::test(start_paused = true)]
async fn a_play_that_nobody_waits_for_leaves_again() {
    let kit = Kit::new(HubConfig::default());
    let _publisher = kit.publish(&key()).await;
    let viewer = Viewer::default();
    {
        let key = key();
        let mut play = std::pin::pin!(kit.try_play(&key, &viewer));
        // Polled once, the hub is asked; then the client is gone.
        tokio::select! {
            biased;
            _ = &mut play => {}
            () = std::future::ready(()) => {}
        }
    }
    settle().await;
    assert_eq!(kit.hub.streams()[0].viewers, 0);
}
