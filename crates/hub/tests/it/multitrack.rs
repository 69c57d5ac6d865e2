//! Several tracks of a kind, alone and in one message; configurations and metadata of each.

use crate::kit::{Kit, Viewer, config, key, keyframe, picture, send, settle, sound};
use bytes::Bytes;
use jackfield_hub::{HubConfig, Packaged, Packager};
use jackfield_media::{Codec, Format, Frame, FrameClass, Origin, Part, Track, TrackId, TrackKind};
use std::sync::{Arc, Mutex};

/// The frame as that of a further video or audio track.
fn of_track(number: u16, mut frame: Frame) -> Frame {
    frame.track = TrackId(if frame.kind == TrackKind::Video { 0x100 } else { 0x200 } | number);
    frame
}

/// Frames that share one message body.
fn in_one_message(mut frames: Vec<Frame>) -> Vec<Frame> {
    let body = Bytes::from_static(&[9; 300]);
    for (at, frame) in frames.iter_mut().enumerate() {
        let part = if at == 0 { Part::First } else { Part::Rest };
        frame.origin = Some(Origin { format: Format::Flv, body: body.clone(), part });
    }
    frames
}

fn metadata(ms: i64, payload: &'static [u8]) -> Frame {
    Frame { class: FrameClass::TrackMetadata, ..config(TrackKind::Video, ms, payload) }
}

fn track(id: TrackId, codec: Codec) -> Track {
    Track::bare(id, TrackKind::Video, codec)
}

/// What a viewer that joins now gets at once.
async fn joined(kit: &Kit) -> Vec<String> {
    let viewer = Viewer::default();
    let subscriber = kit.play(&key(), &viewer).await;
    settle().await;
    drop(subscriber);
    settle().await;
    viewer.take()
}

#[tokio::test(start_paused = true)]
async fn a_joiner_gets_of_each_track_its_configuration_and_then_its_metadata() {
    let kit = Kit::new(HubConfig::default());
    let publisher = kit.publish(&key()).await;
    let frames = vec![
        of_track(1, metadata(0, b"colours of track 1")),
        metadata(0, b"colours"),
        of_track(1, config(TrackKind::Video, 0, b"hevc")),
        config(TrackKind::Audio, 0, b"aac"),
        of_track(1, config(TrackKind::Audio, 0, b"opus")),
        config(TrackKind::Video, 0, b"avc"),
        keyframe(0),
        of_track(1, keyframe(0)),
    ];
    send(&publisher, frames).await;
    assert_eq!(joined(&kit).await, ["Vc0 Vm0 Vc0/1 Vm0/1 Ac0 Ac0/1 V0", "V0/1"]);
}

#[tokio::test(start_paused = true)]
async fn changed_metadata_of_a_track_ends_no_group_and_reaches_all() {
    let kit = Kit::new(HubConfig::default());
    let publisher = kit.publish(&key()).await;
    let early = Viewer::default();
    let _early = kit.play(&key(), &early).await;
    send(&publisher, vec![config(TrackKind::Video, 0, b"hevc"), metadata(0, b"dark"), keyframe(0)]).await;
    send(&publisher, vec![metadata(40, b"bright"), picture(40)]).await;
    assert_eq!(early.take(), ["Vc0 Vm0 V0", "Vm40 v40"]);
    assert_eq!(joined(&kit).await, ["Vc0 Vm0 V0", "v40"]);
}

#[tokio::test(start_paused = true)]
async fn viewers_start_with_the_lowest_numbered_track_that_has_key_frames() {
    let kit = Kit::new(HubConfig::default());
    let publisher = kit.publish(&key()).await;
    send(&publisher, vec![of_track(2, keyframe(0)), of_track(1, keyframe(10)), of_track(2, keyframe(20))])
        .await;
    assert_eq!(joined(&kit).await, ["V10/1", "V20/2"]);
    send(&publisher, vec![picture(30), keyframe(40), of_track(1, keyframe(50))]).await;
    assert_eq!(joined(&kit).await, ["V40", "V50/1"]);
}

#[tokio::test(start_paused = true)]
async fn each_further_track_begins_for_a_viewer_with_a_key_frame_of_its_own() {
    let kit = Kit::new(HubConfig::default());
    let publisher = kit.publish(&key()).await;
    let [early, late] = [Viewer::default(), Viewer::default()];
    let _early = kit.play(&key(), &early).await;
    send(&publisher, vec![keyframe(0), of_track(1, keyframe(0)), of_track(1, picture(10))]).await;
    send(&publisher, vec![keyframe(20), of_track(1, picture(20))]).await;
    let _late = kit.play(&key(), &late).await;
    send(&publisher, vec![picture(30), of_track(1, picture(30)), sound(30)]).await;
    send(&publisher, vec![picture(40), of_track(1, keyframe(40)), of_track(1, picture(50))]).await;
    send(&publisher, vec![of_track(1, picture(60)), of_track(2, picture(60)), of_track(1, keyframe(70))])
        .await;
    assert_eq!(early.take().concat(), "V0 V0/1 v10/1V20 v20/1v30 v30/1 a30v40 V40/1 v50/1v60/1 v60/2 V70/1");
    assert_eq!(late.take(), ["V20", "v30 a30", "v40 V40/1 v50/1", "v60/1 v60/2 V70/1"]);
    // What it has begun goes on, whatever joins or begins anew.
    send(&publisher, vec![keyframe(80), of_track(1, picture(80))]).await;
    assert_eq!((early.take(), late.take()), (vec!["V80 v80/1".to_owned()], vec!["V80 v80/1".to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn when_the_leading_track_has_gone_another_one_leads() {
    let kit = Kit::new(HubConfig::default());
    let publisher = kit.publish(&key()).await;
    send(&publisher, vec![keyframe(0), of_track(1, keyframe(10))]).await;
    send(&publisher, vec![picture(2000), of_track(1, keyframe(4000))]).await;
    assert_eq!(joined(&kit).await, ["V0", "V10/1 v2000 V4000/1"]);
    send(&publisher, vec![of_track(1, keyframe(5001))]).await;
    assert_eq!(joined(&kit).await, ["V5001/1"]);
}

#[tokio::test(start_paused = true)]
async fn a_message_of_several_tracks_is_entered_at_its_first_frame_and_sent_once() {
    let kit = Kit::new(HubConfig::default());
    let publisher = kit.publish(&key()).await;
    let early = Viewer::default();
    let _early = kit.play(&key(), &early).await;
    send(&publisher, vec![sound(0), picture(5)]).await;
    // The track with the lowest number, which leads, is not the first of the message.
    send(
        &publisher,
        in_one_message(vec![of_track(1, keyframe(40)), keyframe(40), of_track(2, keyframe(40))]),
    )
    .await;
    send(&publisher, in_one_message(vec![of_track(1, picture(80)), picture(80)])).await;
    assert_eq!(early.take(), ["V40/1", "v80/1"]);
    assert_eq!(joined(&kit).await, ["V40/1", "v80/1"]);
}

#[tokio::test(start_paused = true)]
async fn a_track_that_begins_with_the_first_picture_goes_on_with_what_follows_it() {
    let kit = Kit::new(HubConfig::default());
    let publisher = kit.publish(&key()).await;
    send(&publisher, in_one_message(vec![keyframe(0), of_track(1, keyframe(0))])).await;
    let alone =
        vec![picture(40), of_track(1, picture(40)), of_track(1, keyframe(80)), of_track(1, picture(90))];
    send(&publisher, alone).await;
    assert_eq!(joined(&kit).await, ["V0", "v40 v40/1 V80/1 v90/1"]);
}

/// Tells what it is given to package.
#[derive(Default)]
struct Asked(Mutex<Vec<String>>);

impl Packager for Asked {
    fn name(&self) -> &'static str {
        "asked"
    }

    fn package(&self, frame: &Frame, track: Option<&Track>) -> Option<Packaged> {
        let shape = if frame.origin.is_some() { "as sent" } else { "alone" };
        let codec = track.map_or("none", |track| track.codec.as_str());
        self.0.lock().unwrap().push(format!("{} {codec} {shape}", frame.track));
        Some(Packaged::new((), frame.payload.len()))
    }
}

#[tokio::test(start_paused = true)]
async fn a_configuration_that_came_with_others_is_kept_alone_with_its_codec() {
    let kit = Kit::new(HubConfig::default());
    let publisher = kit.publish(&key()).await;
    publisher.track(track(TrackId::VIDEO, Codec::H264)).await.unwrap();
    publisher.track(track(TrackId(0x101), Codec::Av1)).await.unwrap();
    let both = || {
        let (first, second) = (config(TrackKind::Video, 0, b"avc"), config(TrackKind::Video, 0, b"av1"));
        in_one_message(vec![first, of_track(1, second)])
    };
    send(&publisher, both()).await;
    send(&publisher, vec![keyframe(0)]).await;
    // Said again it is nothing new: the group stays.
    send(&publisher, both()).await;
    let (asked, viewer) = (Arc::new(Asked::default()), Viewer::default());
    let _viewer = kit.play_as(&key(), &viewer, Arc::clone(&asked) as Arc<dyn Packager>).await.unwrap();
    assert_eq!(*asked.0.lock().unwrap(), ["1 h264 alone", "257 av1 alone", "1 h264 alone"]);
    assert_eq!(viewer.take(), ["Vc0 Vc0/1 V0"]);
}

#[tokio::test(start_paused = true)]
async fn what_was_said_of_a_former_codec_is_forgotten() {
    let kit = Kit::new(HubConfig::default());
    let publisher = kit.publish(&key()).await;
    publisher.track(track(TrackId::VIDEO, Codec::Hevc)).await.unwrap();
    send(&publisher, vec![config(TrackKind::Video, 0, b"hevc"), metadata(0, b"hdr"), keyframe(0)]).await;
    publisher.track(track(TrackId::VIDEO, Codec::Vp8)).await.unwrap();
    send(&publisher, vec![picture(40)]).await;
    assert!(joined(&kit).await.is_empty());
    send(&publisher, vec![keyframe(80)]).await;
    assert_eq!(joined(&kit).await, ["V80"]);
}

#[tokio::test(start_paused = true)]
async fn more_tracks_than_are_served_pass_only_in_messages_of_others() {
    let kit = Kit::new(HubConfig::default());
    let publisher = kit.publish(&key()).await;
    let viewer = Viewer::default();
    let _viewer = kit.play(&key(), &viewer).await;
    send(&publisher, (0..64).map(|number| of_track(number, sound(0))).collect()).await;
    viewer.take();
    send(&publisher, vec![of_track(64, sound(1)), of_track(0, sound(2))]).await;
    send(&publisher, in_one_message(vec![of_track(65, sound(3)), of_track(1, sound(3))])).await;
    assert_eq!(viewer.take().concat(), "a2/0a3/65");
    assert_eq!(kit.told().iter().filter(|line| line.starts_with("media_start")).count(), 64);
    assert_eq!(kit.hub.streams()[0].counters.refused_frames, 1);
}

#[tokio::test(start_paused = true)]
async fn kept_configurations_are_bounded() {
    let kit = Kit::new(HubConfig { cache_bytes: 1000, ..HubConfig::default() });
    let publisher = kit.publish(&key()).await;
    let large = || vec![0; 400].leak();
    let configs = (0..4).map(|number| of_track(number, config(TrackKind::Video, 0, large()))).collect();
    send(&publisher, configs).await;
    send(&publisher, vec![keyframe(0)]).await;
    assert_eq!(joined(&kit).await, ["Vc0/0 Vc0/1 V0"]);
}
