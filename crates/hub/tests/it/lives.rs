//! The lives of streams and publish sessions, and what is told of them.

use crate::kit::{Kit, Viewer, key, keyframe, picture, send, settle, sound, video_track};
use jackfield_events::EndReason;
use jackfield_hub::{Busy, HubConfig, NotFound, Presence, Takeover};
use jackfield_media::{Epoch, SessionId, TrackKind};
use jackfield_runtime::clock;
use std::time::Duration;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_told_from_its_creation_to_its_deletion() {
    let kit = Kit::new(HubConfig::default());
    let publisher = kit.publish(&key()).await;
    assert_eq!(kit.told(), ["stream_create", "publish_start 1"]);
    let viewer = Viewer::default();
    let subscriber = kit.play(&key(), &viewer).await;
    publisher.track(video_track()).await.unwrap();
    publisher.track(video_track()).await.unwrap();
    send(&publisher, vec![keyframe(40), sound(45), picture(80)]).await;
    assert_eq!(subscriber.ended_now(), None);
    clock::sleep(Duration::from_millis(1500)).await;
    publisher.finish(EndReason::Unpublish).await;
    assert_eq!(subscriber.ended().await, EndReason::Unpublish);
    assert_eq!(subscriber.ended_now(), Some(EndReason::Unpublish));
    settle().await;
    assert_eq!(
        kit.told(),
        [
            "stream_create",
            "publish_start 1",
            "codec_detected 1 video",
            "media_start 1 video",
            "media_start 1 audio",
            "play_start 1",
            "media_stop 1 video unpublish",
            "media_stop 1 audio unpublish",
            "publish_stop 1 unpublish",
            "play_stop 1 unpublish",
            "stream_delete unpublish",
        ]
    );
    let stop = kit.only("publish_stop");
    for (field, expect) in [
        ("bytes_received", 115),
        ("video_packets", 2),
        ("audio_packets", 1),
        ("duration_seconds", 1),
        ("duration_ms", 1501),
    ] {
        assert_eq!(stop.field(field).unwrap().as_u64(), Some(expect), "{field}");
    }
    let play = kit.only("play_stop");
    assert_eq!(play.field("bytes_sent").unwrap().as_u64(), Some(115));
    assert_eq!(play.scope().session_id, Some(SessionId(2)));
    assert_eq!(play.scope().stream_key, Some(key()));
    assert_eq!(viewer.ended(), [EndReason::Unpublish]);
    assert_eq!(kit.hub.presence(&key()), Presence::Absent);
    assert_eq!(kit.tasks.count(), 0);
    kit.check_pairs();
}

#[tokio::test(start_paused = true)]
async fn second_publisher_is_refused_until_the_first_leaves() {
    for takeover in [Takeover::Refuse, Takeover::Stale] {
        let kit = Kit::new(HubConfig::default());
        let first = kit.publish(&key()).await;
        clock::sleep(Duration::from_millis(2900)).await;
        assert_eq!(kit.try_publish(&key(), takeover).await.unwrap_err(), Busy::Publisher);
        assert_eq!(kit.told(), ["stream_create", "publish_start 1"]);
        first.finish(EndReason::Unpublish).await;
        let second = kit.try_publish(&key(), takeover).await.unwrap();
        assert_eq!(second.epoch(), Epoch(2));
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_publisher_is_replaced_and_fenced() {
    let kit = Kit::new(HubConfig::default());
    let first = kit.publish(&key()).await;
    send(&first, vec![keyframe(0)]).await;
    let viewer = Viewer::default();
    let subscriber = kit.play(&key(), &viewer).await;
    clock::sleep(seconds(2)).await;
    send(&first, vec![picture(2000)]).await;
    clock::sleep(seconds(2)).await;
    assert_eq!(kit.try_publish(&key(), Takeover::Stale).await.unwrap_err(), Busy::Publisher);
    clock::sleep(seconds(1)).await;
    let second = kit.try_publish(&key(), Takeover::Stale).await.unwrap();
    assert_eq!(first.ended().await, EndReason::Superseded);
    assert_eq!(first.send(vec![keyframe(9000)]).await, Err(EndReason::Superseded));
    send(&second, vec![keyframe(0), picture(40)]).await;
    assert_eq!(viewer.batches(), ["V0", "v2000", "V5000 v5040"], "one time line, and nothing of the first");
    assert_eq!(kit.hub.streams()[0].counters.time_repairs, 0, "a new session is no repair");
    drop(first);
    second.finish(EndReason::Timeout).await;
    subscriber.ended().await;
    settle().await;
    assert_eq!(
        kit.told()[3..],
        [
            "play_start 1",
            "media_stop 1 video superseded",
            "publish_stop 1 superseded",
            "publish_start 2",
            "media_start 2 video",
            "media_stop 2 video timeout",
            "publish_stop 2 timeout",
            "play_stop 1 unpublish",
            "stream_delete timeout",
        ]
    );
    kit.check_pairs();
}

#[tokio::test(start_paused = true)]
async fn a_lively_publisher_is_replaced_where_that_is_wanted() {
    let kit = Kit::new(HubConfig::default());
    let first = kit.publish(&key()).await;
    let second = kit.try_publish(&key(), Takeover::Replace).await.unwrap();
    assert_eq!(first.ended().await, EndReason::Superseded);
    first.finish(EndReason::Unpublish).await;
    assert_eq!(kit.told().last().unwrap(), "publish_start 2");
    drop(second);
    settle().await;
    assert_eq!(kit.told()[4..], ["publish_stop 2 client_disconnect", "stream_delete client_disconnect"]);
}

#[tokio::test(start_paused = true)]
async fn frames_that_wait_are_counted_before_the_end() {
    let kit = Kit::new(HubConfig::default());
    let publisher = kit.publish(&key()).await;
    let viewer = Viewer::default();
    let _subscriber = kit.play(&key(), &viewer).await;
    for ms in 0..50 {
        publisher.send(vec![sound(ms)]).await.unwrap();
    }
    publisher.finish(EndReason::Unpublish).await;
    assert_eq!(kit.only("publish_stop").field("audio_packets").unwrap().as_u64(), Some(50));
    assert_eq!(viewer.batches().len(), 1, "one wake, one batch");
}

#[tokio::test(start_paused = true)]
async fn a_publisher_that_is_faster_than_the_stream_waits_and_loses_nothing() {
    let kit = Kit::new(HubConfig::default());
    let publisher = kit.publish(&key()).await;
    for ms in 0..1000 {
        publisher.send(vec![sound(ms)]).await.unwrap();
    }
    // One batch larger than all that may wait.
    let mut large = sound(1000);
    large.payload = vec![0; 9 << 20].into();
    publisher.send(vec![large.clone()]).await.unwrap();
    publisher.send(vec![large]).await.unwrap();
    publisher.finish(EndReason::Unpublish).await;
    assert_eq!(kit.only("publish_stop").field("audio_packets").unwrap().as_u64(), Some(1002));
}

#[tokio::test(start_paused = true)]
async fn what_the_former_publisher_sent_last_still_goes_out() {
    let kit = Kit::new(HubConfig::default());
    let first = kit.publish(&key()).await;
    let viewer = Viewer::default();
    let _subscriber = kit.play(&key(), &viewer).await;
    send(&first, vec![keyframe(0)]).await;
    // It waits for a picture that does not come.
    send(&first, vec![sound(5)]).await;
    let second = kit.try_publish(&key(), Takeover::Replace).await.unwrap();
    assert_eq!(viewer.take(), ["V0", "a5"]);
    // The successor has no pictures, so nobody waits for any.
    send(&second, vec![sound(0)]).await;
    assert_eq!(viewer.take(), ["a6"]);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_publish_sessions_leave_nothing_behind() {
    let kit = Kit::new(HubConfig::default());
    for n in 1..=1000 {
        let publisher = kit.publish(&key()).await;
        assert_eq!(publisher.epoch(), Epoch(n));
        if n % 3 == 0 {
            publisher.send(vec![keyframe(0)]).await.unwrap();
        }
        if n % 2 == 0 {
            publisher.finish(EndReason::Unpublish).await;
        } else {
            drop(publisher);
            while kit.hub.presence(&key()) != Presence::Absent {
                settle().await;
            }
        }
    }
    settle().await;
    assert!(kit.hub.streams().is_empty());
    assert_eq!(kit.tasks.count(), 0);
    kit.check_pairs();
}

#[tokio::test(start_paused = true)]
async fn a_publisher_that_returns_in_time_keeps_its_players() {
    let kit = Kit::new(HubConfig { resume: seconds(5), ..HubConfig::default() });
    let viewer = Viewer::default();
    let first = kit.publish(&key()).await;
    let subscriber = kit.play(&key(), &viewer).await;
    send(&first, vec![keyframe(0)]).await;
    first.finish(EndReason::ClientDisconnect).await;
    assert_eq!(kit.hub.presence(&key()), Presence::Resumable);
    let early = Viewer::default();
    let _waits = kit.play(&key(), &early).await;
    clock::sleep(seconds(4)).await;
    let second = kit.publish(&key()).await;
    send(&second, vec![picture(60_000), keyframe(60_040)]).await;
    assert_eq!(viewer.take(), ["V0", "V3040"], "time goes on, and pictures start with a key frame");
    assert_eq!(early.take(), ["V3040"]);
    drop(second);
    assert_eq!(subscriber.ended().await, EndReason::Unpublish);
    settle().await;
    assert_eq!(
        kit.told()[1..],
        [
            "publish_start 1",
            "media_start 1 video",
            "play_start 1",
            "media_stop 1 video client_disconnect",
            "publish_stop 1 client_disconnect",
            "publish_start 2",
            "media_start 2 video",
            "play_start 2",
            "media_stop 2 video client_disconnect",
            "publish_stop 2 client_disconnect",
            "play_stop 1 unpublish",
            "play_stop 2 unpublish",
            "stream_delete client_disconnect",
        ]
    );
    kit.check_pairs();
}

#[tokio::test(start_paused = true)]
async fn a_player_that_got_no_media_is_not_told() {
    let kit = Kit::new(HubConfig::default());
    let publisher = kit.publish(&key()).await;
    let viewer = Viewer::default();
    kit.play(&key(), &viewer).await.finish(EndReason::ClientDisconnect).await;
    assert_eq!(viewer.ended(), [EndReason::ClientDisconnect]);
    drop(publisher);
    settle().await;
    assert!(!kit.told().iter().any(|line| line.starts_with("play_")));
}

#[tokio::test(start_paused = true)]
async fn players_may_come_before_the_publisher_and_create_nothing() {
    let kit = Kit::new(HubConfig::default());
    assert_eq!(kit.try_play(&key(), &Viewer::default()).await.unwrap_err(), NotFound);
    assert!(!kit.hub.wait_live(&key(), clock::now().after(seconds(10))).await);
    let hub = kit.hub.clone();
    let waiting = kit
        .tasks
        .spawn("player", async move { hub.wait_live(&key(), clock::now().after(seconds(10))).await });
    clock::sleep(seconds(9)).await;
    assert!(kit.told().is_empty());
    let _publisher = kit.publish(&key()).await;
    assert_eq!(waiting.join().await, Some(true));
    assert!(kit.hub.wait_live(&key(), clock::now()).await, "one that is there is not waited for");
}

#[tokio::test(start_paused = true)]
async fn a_kick_ends_a_publisher_or_a_player_and_says_so() {
    let kit = Kit::new(HubConfig::default());
    assert_eq!(kit.hub.kick_publisher(&key(), EndReason::Kicked).await, Err(NotFound));
    let publisher = kit.publish(&key()).await;
    let [one, two] = [Viewer::default(), Viewer::default()];
    let first = kit.play(&key(), &one).await;
    let second = kit.play(&key(), &two).await;
    send(&publisher, vec![sound(0)]).await;
    assert_eq!(kit.hub.kick_player(&key(), SessionId(2), EndReason::Kicked).await, Ok(()));
    assert_eq!(kit.hub.kick_player(&key(), SessionId(2), EndReason::Kicked).await, Err(NotFound));
    assert_eq!(first.ended().await, EndReason::Kicked);
    assert_eq!(second.ended_now(), None);
    assert_eq!(kit.hub.kick_publisher(&key(), EndReason::Kicked).await, Ok(()));
    assert_eq!(publisher.ended().await, EndReason::Kicked);
    assert_eq!(second.ended().await, EndReason::Unpublish);
    settle().await;
    kit.check_pairs();
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_all_and_takes_in_nobody() {
    let kit = Kit::new(HubConfig { resume: seconds(60), ..HubConfig::default() });
    let publisher = kit.publish(&key()).await;
    let viewer = Viewer::default();
    let subscriber = kit.play(&key(), &viewer).await;
    send(&publisher, vec![sound(0)]).await;
    kit.hub.stop(EndReason::ServerShutdown).await;
    assert_eq!(publisher.ended().await, EndReason::ServerShutdown);
    assert_eq!(subscriber.ended().await, EndReason::ServerShutdown);
    assert_eq!(kit.try_publish(&key(), Takeover::Replace).await.unwrap_err(), Busy::Stopping);
    assert!(!kit.hub.wait_live(&key(), clock::never()).await);
    settle().await;
    assert_eq!(kit.told().last().unwrap(), "stream_delete server_shutdown");
    assert_eq!(kit.tasks.count(), 0);
    kit.check_pairs();
}

#[tokio::test(start_paused = true)]
async fn players_whose_publisher_goes_first_when_the_server_stops_end_by_the_stop() {
    let kit = Kit::new(HubConfig::default());
    let publisher = kit.publish(&key()).await;
    let viewer = Viewer::default();
    let subscriber = kit.play(&key(), &viewer).await;
    send(&publisher, vec![sound(0)]).await;
    publisher.finish(EndReason::ServerShutdown).await;
    assert_eq!(subscriber.ended().await, EndReason::ServerShutdown);
    settle().await;
    kit.check_pairs();
}

#[tokio::test(start_paused = true)]
async fn a_publish_that_nobody_waits_for_leaves_again() {
    let kit = Kit::new(HubConfig::default());
    {
        let key = key();
        let mut publish = std::pin::pin!(kit.publish(&key));
        // Polled once, the hub is asked; then the client is gone.
        tokio::select! {
            biased;
            _ = &mut publish => {}
            () = std::future::ready(()) => {}
        }
    }
    settle().await;
    assert_eq!(kit.told().last().unwrap(), "stream_delete client_disconnect");
    kit.check_pairs();
}

#[tokio::test(start_paused = true)]
async fn streams_are_listed_as_they_are() {
    let kit = Kit::new(HubConfig::default());
    let publisher = kit.publish(&key()).await;
    publisher.track(video_track()).await.unwrap();
    let _subscriber = kit.play(&key(), &Viewer::default()).await;
    send(&publisher, vec![keyframe(0), picture(1_000_000)]).await;
    let streams = kit.hub.streams();
    assert_eq!(streams.len(), 1);
    let stream = &streams[0];
    assert_eq!((&stream.key, stream.epoch, stream.viewers), (&key(), Epoch(1), 1));
    assert_eq!(stream.tracks[0].kind, TrackKind::Video);
    assert_eq!(stream.publisher.session_id, Some(SessionId(1)));
    let counters = stream.counters;
    assert_eq!((counters.frames, counters.bytes, counters.time_repairs), (2, 110, 1));
    assert!(matches!(stream.presence, Presence::Live { silent_for } if silent_for < seconds(1)));
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_up_as_long_as_it_has_its_publisher() {
    let kit = Kit::new(HubConfig { resume: seconds(10), wait: seconds(7), ..HubConfig::default() });
    assert_eq!(kit.hub.config().wait, seconds(7));
    let publisher = kit.publish(&key()).await;
    clock::sleep(seconds(3)).await;
    assert_eq!(kit.hub.streams()[0].uptime, seconds(3));
    publisher.finish(EndReason::Unpublish).await;
    clock::sleep(seconds(3)).await;
    let [stream] = kit.hub.streams().try_into().unwrap();
    assert_eq!((stream.presence, stream.uptime), (Presence::Resumable, Duration::ZERO));
}
