//! What a viewer can learn of its stream's tracks.

use crate::kit::{Kit, Viewer, key, keyframe, send, settle, video_track};
use jackfield_events::{EndReason, EventType};
use jackfield_hub::HubConfig;
use jackfield_media::{Codec, Track, TrackId, TrackKind};
use jackfield_runtime::clock;
use std::time::Duration;

#[tokio::test(start_paused = true)]
async fn a_viewer_learns_when_tracks_come_change_and_go() {
    let resume = Duration::from_secs(10);
    let kit = Kit::new(HubConfig { resume, ..HubConfig::default() });
    let publisher = kit.publish(&key()).await;
    let subscriber = kit.play(&key(), &Viewer::default()).await;
    let codecs = || subscriber.tracks().tracks.iter().map(|track| track.codec).collect::<Vec<_>>();
    let mut version = subscriber.tracks().version;
    assert!(codecs().is_empty());
    let mut news = async |expect: &[Codec]| {
        subscriber.tracks_changed(version).await;
        version = subscriber.tracks().version;
        assert_eq!(codecs(), expect);
    };
    publisher.track(video_track()).await.unwrap();
    news(&[Codec::H264]).await;
    publisher.track(Track::bare(TrackId::AUDIO, TrackKind::Audio, Codec::Opus)).await.unwrap();
    news(&[Codec::H264, Codec::Opus]).await;
    publisher.track(Track::bare(TrackId::AUDIO, TrackKind::Audio, Codec::Aac)).await.unwrap();
    news(&[Codec::H264, Codec::Aac]).await;
    // The same once more, and media, are no news.
    publisher.track(video_track()).await.unwrap();
    send(&publisher, vec![keyframe(0)]).await;
    let version = subscriber.tracks().version;
    let until = clock::now().after(Duration::from_secs(1));
    assert!(clock::until(until, subscriber.tracks_changed(version)).await.is_none());
    publisher.finish(EndReason::Unpublish).await;
    settle().await;
    let _other = kit.publish(&key()).await;
    subscriber.tracks_changed(version).await;
    assert!(subscriber.tracks().tracks.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_publisher_that_changes_its_codecs_without_end_is_told_at_a_pace_and_in_the_end() {
    let kit = Kit::new(HubConfig::default());
    let publisher = kit.publish(&key()).await;
    let sound = |codec| Track::bare(TrackId::AUDIO, TrackKind::Audio, codec);
    for _ in 0..1000 {
        publisher.track(sound(Codec::Opus)).await.unwrap();
        publisher.track(sound(Codec::Aac)).await.unwrap();
    }
    settle().await;
    let told = || -> Vec<String> {
        let events = kit.events();
        let codecs = events.iter().filter(|event| event.event_type() == EventType::CodecDetected);
        codecs.map(|event| event.field("codec").unwrap().as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(told().len(), 256);
    clock::sleep(Duration::from_secs(1)).await;
    publisher.track(sound(Codec::Flac)).await.unwrap();
    send(&publisher, vec![keyframe(0)]).await;
    assert_eq!((told().len(), told().last().map(String::as_str)), (257, Some("flac")));
}
