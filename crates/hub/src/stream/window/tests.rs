//! Which tracks a viewer waits for: as long as there are some, it shares its batches only with those that entered with it.

use super::*;
use crate::outlet::Packager;
use crate::stream::formats::Formats;
use bytes::Bytes;
use jackfield_media::MediaTime;

fn push(window: &mut Window, track: u16, class: FrameClass, ms: i64) {
    let dts = MediaTime::from_ms(ms);
    let frame = Frame {
        track: TrackId(track),
        kind: TrackKind::Video,
        class,
        dts,
        pts: dts,
        offset_nanos: 0,
        payload: Bytes::from_static(b"picture"),
        origin: None,
    };
    window.push(frame, None, &HubConfig::default());
}

fn awaited(window: &Window, entered: u64) -> Vec<u16> {
    window.awaited(entered, window.end()).map(|track| track.0).collect()
}

#[test]
fn a_track_is_awaited_until_its_key_frame_and_not_when_it_has_gone() {
    use FrameClass::{Inter, Keyframe};
    let mut window = Window::default();
    push(&mut window, 1, Keyframe, 0);
    assert!(awaited(&window, 0).is_empty());
    assert!(awaited(&window, 1).is_empty(), "there is no other track");
    push(&mut window, 0x101, Keyframe, 0);
    push(&mut window, 1, Keyframe, 40);
    window.mark_fanned_out();
    assert_eq!((awaited(&window, 0), awaited(&window, 2)), (vec![], vec![0x101]));
    push(&mut window, 1, Keyframe, 3000);
    assert_eq!(awaited(&window, 2), [0x101]);
    push(&mut window, 1, Inter, 3001);
    assert!(awaited(&window, 2).is_empty(), "it has gone");
    push(&mut window, 0x101, Inter, 3010);
    assert_eq!(awaited(&window, 2), [0x101], "it is back");
    push(&mut window, 0x101, Keyframe, 3050);
    assert!(awaited(&window, 2).is_empty());
    // The newest key frame comes with what is to be fanned out; the one before it is known still.
    window.mark_fanned_out();
    let from = window.end();
    push(&mut window, 0x101, Keyframe, 3090);
    assert_eq!(window.awaited(2, from).count(), 0);
    window.reset();
    assert!(awaited(&window, 0).is_empty());
}

#[test]
fn a_track_that_has_no_key_frames_any_more_is_not_awaited_for_ever() {
    use FrameClass::{Inter, Keyframe};
    let mut window = Window::default();
    push(&mut window, 0x101, Keyframe, 0);
    for ms in (0..=20_000).step_by(2000) {
        push(&mut window, 1, Keyframe, ms);
        push(&mut window, 0x101, Inter, ms);
    }
    assert_eq!(awaited(&window, 1), [0x101]);
    push(&mut window, 1, Keyframe, 20_001);
    assert!(awaited(&window, 1).is_empty(), "its pictures are given without one");
}

#[test]
fn a_group_may_be_as_large_and_as_long_as_the_cache_and_no_larger_or_longer() {
    let frame = |class, ms| Frame {
        track: TrackId(1),
        kind: TrackKind::Video,
        class,
        dts: MediaTime::from_ms(ms),
        pts: MediaTime::from_ms(ms),
        offset_nanos: 0,
        payload: Bytes::from_static(b"picture"),
        origin: None,
    };
    let charged = frame(FrameClass::Inter, 0).charged_bytes();
    let kept = |config: &HubConfig, last_ms| {
        let mut window = Window::default();
        window.push(frame(FrameClass::Keyframe, 0), None, config);
        window.push(frame(FrameClass::Inter, last_ms), None, config) == Cache::Kept
    };
    let cache = std::time::Duration::from_millis(1000);
    let config = |cache_bytes| HubConfig { cache, cache_bytes, ..HubConfig::default() };
    assert!(kept(&config(2 * charged), 1000));
    assert!(!kept(&config(2 * charged - 1), 1000));
    assert!(!kept(&config(2 * charged), 1001));
}

/// Puts the same value into everything that it packages.
struct Tagging(Arc<()>);

impl Packager for Tagging {
    fn name(&self) -> &'static str {
        "tagging"
    }

    fn package(&self, _frame: &Frame, _track: Option<&Track>) -> Option<Packaged> {
        Some(Packaged::new(Arc::clone(&self.0), 1))
    }
}

#[test]
fn viewers_that_come_with_ever_other_formats_leave_nothing_behind() {
    let (mut window, mut formats) = (Window::default(), Formats::default());
    push(&mut window, 1, FrameClass::Keyframe, 0);
    let tag = Arc::new(());
    let mut packagers: Vec<Arc<dyn Packager>> = Vec::new();
    for _ in 0..50 {
        packagers.push(Arc::new(Tagging(Arc::clone(&tag))));
        let format = formats.of(packagers.last().unwrap());
        window
            .numbered(0..window.end())
            .for_each(|(_, shipment)| assert!(shipment.packet(&format).is_some()));
    }
    drop(packagers);
    // What is packaged for formats that are remembered, and for the last.
    assert!((2..12).contains(&Arc::strong_count(&tag)), "{}", Arc::strong_count(&tag));
}
