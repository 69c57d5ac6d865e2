//! Viewers that do not keep up.

use crate::kit::{Kit, Viewer, config, key, keyframe, picture, send, sound};
use jackfield_events::EndReason;
use jackfield_hub::HubConfig;
use jackfield_media::TrackKind;
use jackfield_runtime::clock;
use std::time::Duration;

#[tokio::test(start_paused = true)]
async fn a_viewer_over_its_queue_drops_to_the_next_key_frame_and_the_drops_are_counted() {
    for (bytes, waiting) in [(5 << 20, Duration::ZERO), (1, Duration::from_millis(5001))] {
        let kit = Kit::new(HubConfig::default());
        let publisher = kit.publish(&key()).await;
        let [slow, quick] = [Viewer::default(), Viewer::default()];
        let subscriber = kit.play(&key(), &slow).await;
        let _quick = kit.play(&key(), &quick).await;
        send(&publisher, vec![config(TrackKind::Video, 0, b"avc"), keyframe(0)]).await;
        slow.set_backlog(bytes, waiting);
        send(&publisher, vec![picture(40)]).await;
        send(&publisher, vec![picture(80), sound(85), picture(120)]).await;
        send(&publisher, vec![keyframe(160)]).await;
        slow.set_backlog(0, Duration::ZERO);
        send(&publisher, vec![picture(200)]).await;
        send(&publisher, vec![picture(240), keyframe(280), picture(320)]).await;
        assert_eq!(slow.take(), ["Vc0 V0", "v40", "Vc280 V280 v320"]);
        assert_eq!(
            quick.take(),
            ["Vc0 V0", "v40", "v80 a85 v120", "V160", "v200", "v240 V280 v320"],
            "the others get all"
        );
        subscriber.finish(EndReason::ClientDisconnect).await;
        assert_eq!(kit.only("play_stop").field("dropped_frames").unwrap().as_u64(), Some(6));
        assert_eq!(kit.hub.streams()[0].counters.dropped_frames, 6);
    }
}

#[tokio::test(start_paused = true)]
async fn a_viewer_that_has_caught_up_before_the_next_frame_misses_nothing() {
    let kit = Kit::new(HubConfig::default());
    let publisher = kit.publish(&key()).await;
    let viewer = Viewer::default();
    let _subscriber = kit.play(&key(), &viewer).await;
    viewer.set_backlog(5 << 20, Duration::ZERO);
    send(&publisher, vec![keyframe(0)]).await;
    viewer.set_backlog(0, Duration::ZERO);
    send(&publisher, vec![picture(40)]).await;
    assert_eq!(viewer.take(), ["V0", "v40"]);
}

#[tokio::test(start_paused = true)]
async fn a_viewer_that_stays_over_its_queue_is_ended_though_no_frame_comes() {
    let kit = Kit::new(HubConfig::default());
    let publisher = kit.publish(&key()).await;
    let [slow, quick] = [Viewer::default(), Viewer::default()];
    let subscriber = kit.play(&key(), &slow).await;
    let _quick = kit.play(&key(), &quick).await;
    slow.set_backlog(100, Duration::from_secs(6));
    let began = clock::now();
    send(&publisher, vec![keyframe(0)]).await;
    assert_eq!(subscriber.ended().await, EndReason::SlowSubscriber);
    assert_eq!(clock::now() - began, Duration::from_secs(15));
    assert_eq!(slow.ended(), [EndReason::SlowSubscriber]);
    assert_eq!(kit.told().last().unwrap(), "play_stop 1 slow_subscriber");
    assert!(quick.ended().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_burst_at_the_start_is_not_held_against_a_viewer() {
    let kit = Kit::new(HubConfig { queue_bytes: 150, ..HubConfig::default() });
    let publisher = kit.publish(&key()).await;
    send(&publisher, (0..10).map(|n| if n == 0 { keyframe(0) } else { picture(n * 40) }).collect()).await;
    let viewer = Viewer::default();
    viewer.set_backlog(190, Duration::from_secs(1));
    let _subscriber = kit.play(&key(), &viewer).await;
    send(&publisher, vec![picture(400)]).await;
    viewer.set_backlog(0, Duration::ZERO);
    send(&publisher, vec![picture(440)]).await;
    // Two for what was cached, and each picture after it.
    assert_eq!(viewer.take().len(), 4);
    // Once it has drained, the queue is what counts.
    viewer.set_backlog(190, Duration::from_secs(1));
    send(&publisher, vec![picture(480)]).await;
    send(&publisher, vec![picture(520)]).await;
    assert_eq!(viewer.take(), ["v480"]);
}
