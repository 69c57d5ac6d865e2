//! How often viewers are written to, and what is shared.

use crate::kit::{CountingPackager, Kit, Viewer, config, key, keyframe, picture, send, settle, sound};
use jackfield_events::EndReason;
use jackfield_hub::{HubConfig, Packager};
use jackfield_media::{Frame, TrackKind};
use jackfield_runtime::clock;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[tokio::test(start_paused = true)]
async fn a_frame_is_packaged_once_for_each_format() {
    let kit = Kit::new(HubConfig::default());
    let publisher = kit.publish(&key()).await;
    let other = Arc::new(CountingPackager::default());
    let mut subscribers = Vec::new();
    for n in 0..100 {
        let packager: Arc<dyn Packager> =
            if n % 10 == 0 { Arc::clone(&other) as _ } else { Arc::clone(&kit.packager) as _ };
        subscribers.push(kit.play_as(&key(), &Viewer::default(), packager).await.unwrap());
    }
    send(&publisher, vec![config(TrackKind::Video, 0, b"avc"), keyframe(0), picture(40)]).await;
    for n in 0..50 {
        send(&publisher, vec![picture(80 + n * 40), sound(85 + n * 40)]).await;
    }
    // The configuration goes out only in front of the first key frame.
    let expect = 3 + 100;
    assert_eq!(kit.packager.calls.load(Ordering::Relaxed), expect);
    assert_eq!(other.calls.load(Ordering::Relaxed), expect);
    // A late joiner costs nothing but what was not packaged yet: nothing.
    let late = Viewer::default();
    subscribers.push(kit.play(&key(), &late).await);
    assert_eq!(late.batches().len(), 2);
    assert_eq!(kit.packager.calls.load(Ordering::Relaxed), expect);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_packaged_that_nobody_watches() {
    let kit = Kit::new(HubConfig::default());
    let publisher = kit.publish(&key()).await;
    send(&publisher, vec![keyframe(0), picture(40)]).await;
    assert_eq!(kit.packager.calls.load(Ordering::Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn sound_rides_with_the_next_picture_but_never_later_than_allowed() {
    let kit = Kit::new(HubConfig::default());
    let publisher = kit.publish(&key()).await;
    let viewer = Viewer::default();
    let _subscriber = kit.play(&key(), &viewer).await;
    send(&publisher, vec![keyframe(0)]).await;
    viewer.take();
    send(&publisher, vec![sound(5)]).await;
    clock::sleep(millis(20)).await;
    send(&publisher, vec![sound(28)]).await;
    assert!(viewer.take().is_empty());
    send(&publisher, vec![picture(33)]).await;
    assert_eq!(viewer.take(), ["a5 a28 v33"]);
    // No picture comes: the first of them has waited 40 ms.
    send(&publisher, vec![sound(51)]).await;
    clock::sleep(millis(30)).await;
    send(&publisher, vec![sound(74)]).await;
    assert!(viewer.take().is_empty());
    clock::sleep(millis(9)).await;
    assert_eq!(viewer.take(), ["a51 a74"]);
}

#[tokio::test(start_paused = true)]
async fn sound_alone_goes_out_at_once() {
    let kit = Kit::new(HubConfig::default());
    let publisher = kit.publish(&key()).await;
    let viewer = Viewer::default();
    let _subscriber = kit.play(&key(), &viewer).await;
    send(&publisher, vec![sound(0)]).await;
    send(&publisher, vec![sound(23)]).await;
    assert_eq!(viewer.take(), ["a0", "a23"]);
}

#[tokio::test(start_paused = true)]
async fn pictures_wait_where_the_latency_allows_large_batches() {
    let kit = Kit::new(HubConfig { max_latency: millis(350), ..HubConfig::default() });
    let publisher = kit.publish(&key()).await;
    let viewer = Viewer::default();
    let _subscriber = kit.play(&key(), &viewer).await;
    let began = clock::now();
    for n in 0..10 {
        send(&publisher, vec![if n == 0 { keyframe(0) } else { picture(n * 33) }]).await;
        clock::sleep(millis(32)).await;
    }
    assert!(viewer.take().is_empty());
    while viewer.batches().is_empty() {
        settle().await;
    }
    assert!(clock::now() - began <= millis(352));
    assert_eq!(viewer.take().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_comes_with_one_wake_goes_out_in_one_batch() {
    let kit = Kit::new(HubConfig::default());
    let publisher = kit.publish(&key()).await;
    let viewer = Viewer::default();
    let _subscriber = kit.play(&key(), &viewer).await;
    publisher.send(vec![keyframe(0), picture(33)]).await.unwrap();
    publisher.send(vec![picture(66), sound(70)]).await.unwrap();
    settle().await;
    assert_eq!(viewer.take(), ["V0 v33 v66 a70"]);
}

#[tokio::test(start_paused = true)]
async fn only_the_last_group_of_pictures_is_held() {
    let kit = Kit::new(HubConfig::default());
    let publisher = kit.publish(&key()).await;
    let _subscriber = kit.play(&key(), &Viewer::default()).await;
    let owned = |mut frame: Frame| {
        frame.payload = vec![0; 100].into();
        (frame.payload.clone(), frame)
    };
    let (first_sound, frame) = owned(sound(0));
    send(&publisher, vec![frame]).await;
    assert!(first_sound.is_unique(), "sound without pictures is not kept");
    let (first_group, frame) = owned(keyframe(40));
    send(&publisher, vec![frame]).await;
    assert!(!first_group.is_unique());
    let (second_group, frame) = owned(keyframe(80));
    send(&publisher, vec![frame]).await;
    assert!(first_group.is_unique() && !second_group.is_unique());
    publisher.finish(EndReason::Unpublish).await;
    settle().await;
    assert!(second_group.is_unique());
}
