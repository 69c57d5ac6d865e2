//! Panics of what others bring.

use crate::kit::{Kit, Viewer, key, keyframe, picture, send, settle};
use jackfield_events::EndReason;
use jackfield_hub::{HubConfig, Stage, Stages};
use jackfield_media::{Frame, StreamKey};
use std::sync::Arc;

/// Drops every picture with an odd time stamp, and panics at 1000 ms.
struct Picky;

impl Stage for Picky {
    fn frame(&mut self, frame: Frame, out: &mut Vec<Frame>) {
        let ms = frame.dts.as_ms();
        assert_ne!(ms, 1000, "a stage that panics");
        if ms % 2 == 0 {
            out.push(frame);
        }
    }
}

struct Pickies;

impl Stages for Pickies {
    fn of(&self, _key: &StreamKey) -> Vec<Box<dyn Stage>> {
        vec![Box::new(Picky)]
    }
}

#[tokio::test(start_paused = true)]
async fn stages_see_frames_first_and_their_panic_leaves_no_pair_open() {
    let kit = Kit::new(HubConfig::default());
    kit.hub.set_stages(Arc::new(Pickies));
    let publisher = kit.publish(&key()).await;
    let viewer = Viewer::default();
    let subscriber = kit.play(&key(), &viewer).await;
    send(&publisher, vec![keyframe(0), picture(33), picture(66)]).await;
    assert_eq!(viewer.take(), ["V0 v66"]);
    send(&publisher, vec![picture(1000)]).await;
    assert_eq!(publisher.ended().await, EndReason::Kicked);
    assert_eq!(subscriber.ended().await, EndReason::Kicked);
    assert_eq!(kit.tasks.count(), 0);
    kit.check_pairs();
    let again = kit.publish(&key()).await;
    assert_eq!(again.epoch().0, 2);
    publisher.finish(EndReason::Unpublish).await;
    again.finish(EndReason::Unpublish).await;
    kit.check_pairs();
}

#[tokio::test(start_paused = true)]
async fn an_outlet_that_panics_loses_only_its_viewer() {
    let kit = Kit::new(HubConfig::default());
    let publisher = kit.publish(&key()).await;
    let [broken, sound] = [Viewer::default(), Viewer::default()];
    let first = kit.play(&key(), &broken).await;
    let second = kit.play(&key(), &sound).await;
    send(&publisher, vec![keyframe(0)]).await;
    broken.panic_from_now_on();
    send(&publisher, vec![picture(40)]).await;
    assert_eq!(first.ended().await, EndReason::Kicked);
    assert_eq!(sound.take(), ["V0", "v40"]);
    drop(second);
    publisher.finish(EndReason::Unpublish).await;
    settle().await;
    kit.check_pairs();
}
