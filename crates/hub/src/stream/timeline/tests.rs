//! The time line, step by step.

use super::*;
use bytes::Bytes;
use jackfield_media::{MediaTime, TrackKind};

const A: TrackId = TrackId::AUDIO;
const V: TrackId = TrackId::VIDEO;

fn frame(track: TrackId, ms: i64) -> Frame {
    Frame {
        track,
        kind: if track == A { TrackKind::Audio } else { TrackKind::Video },
        class: FrameClass::Inter,
        dts: MediaTime::from_ms(ms),
        pts: MediaTime::from_ms(ms - 10),
        offset_nanos: 0,
        payload: Bytes::new(),
        origin: None,
    }
}

/// Each step: milliseconds of local time that pass, track, what is sent, what viewers see.
fn check(line: &mut Timeline, clock: &mut Mono, steps: &[(u64, TrackId, i64, i64)]) -> usize {
    let mut repairs = 0;
    for (index, &(pass, track, sent, expect)) in steps.iter().enumerate() {
        *clock = clock.after(Duration::from_millis(pass));
        let mut frame = frame(track, sent);
        repairs += usize::from(line.place(*clock, &mut frame) == Placed::Repaired);
        assert_eq!(frame.dts.as_ms(), expect, "step {index} of {steps:?}");
        assert_eq!(frame.pts.as_ms(), expect - 10, "the composition offset stays");
    }
    repairs
}

fn fresh(steps: &[(u64, TrackId, i64, i64)], repairs: usize) {
    let (mut line, mut clock) = (Timeline::default(), Mono::ZERO);
    assert_eq!(check(&mut line, &mut clock, steps), repairs, "{steps:?}");
}

#[test]
fn what_goes_on_is_not_changed() {
    fresh(&[(0, V, 5000, 5000), (33, A, 4990, 4990), (0, V, 5033, 5033), (0, A, 5011, 5011)], 0);
    // A pause that local time explains, and a burst of a file.
    fresh(&[(0, V, 0, 0), (60_000, V, 60_000, 60_000), (0, V, 62_000, 62_000)], 0);
    // Data comes seldom, and the others have gone on.
    let data = TrackId::DATA;
    fresh(&[(0, V, 0, 0), (0, data, 0, 0), (0, V, 2900, 2900), (0, V, 5000, 5000), (0, data, 5000, 5000)], 0);
}

#[test]
fn a_jump_goes_on_from_the_newest_frame_and_keeps_the_tracks_together() {
    let far = 10_000_000;
    let steps = [
        (0, V, 0, 0),
        (0, A, 5, 5),
        (40, V, 40, 40),
        (40, V, far, 80),
        (0, A, 48, 48),
        (10, A, far + 10, 90),
        (30, V, far + 40, 120),
    ];
    fresh(&steps, 2);
}

#[test]
fn a_wrap_goes_on() {
    let wrap = 1 << 32;
    fresh(&[(0, V, wrap - 20, wrap - 20), (40, V, 20, wrap + 20), (40, V, 60, wrap + 60)], 1);
}

#[test]
fn small_steps_back_are_held_and_large_ones_moved() {
    fresh(&[(0, V, 1000, 1000), (10, V, 990, 1000), (10, V, 1010, 1010)], 1);
    fresh(&[(0, V, 5000, 5000), (0, A, 5000, 5000), (40, V, 0, 5040), (0, A, 0, 5040), (40, V, 40, 5080)], 2);
}

#[test]
fn tracks_with_origins_of_their_own_run_side_by_side() {
    let steps = [(0, V, 0, 0), (20, A, 9_000_000, 20), (20, V, 40, 40), (20, A, 9_000_040, 60)];
    fresh(&steps, 1);
}

#[test]
fn another_session_goes_on_and_never_falls_behind_the_former() {
    let (mut line, mut clock) = (Timeline::default(), Mono::ZERO);
    check(&mut line, &mut clock, &[(0, V, 7000, 7000), (0, A, 7010, 7010)]);
    line.new_session();
    let steps = [(500, A, 0, 7510), (0, V, 20, 7530), (40, V, 60, 7570)];
    assert_eq!(check(&mut line, &mut clock, &steps), 0);
    line.new_session();
    // After a long gap the time line goes on at once; a track that begins a little earlier is held.
    let steps = [(90_000, V, 100, 10_570), (0, A, 90, 10_560), (40, V, 140, 10_610)];
    assert_eq!(check(&mut line, &mut clock, &steps), 0);
}

#[test]
fn configuration_stands_beside_the_media_and_does_not_move_it() {
    let (mut line, mut clock) = (Timeline::default(), Mono::ZERO);
    let place = |line: &mut Timeline, ms| {
        let mut config = frame(V, ms);
        config.class = FrameClass::Config;
        line.place(Mono::ZERO, &mut config);
        config.dts.as_ms()
    };
    assert_eq!(place(&mut line, 0), 0);
    check(&mut line, &mut clock, &[(0, V, 90_000, 90_000)]);
    assert_eq!((place(&mut line, 0), place(&mut line, 90_010)), (90_000, 90_010));
    assert_eq!(check(&mut line, &mut clock, &[(40, V, 90_040, 90_040)]), 0);
}

#[test]
fn hostile_time_stamps_do_not_overflow() {
    let (mut line, mut clock) = (Timeline::default(), Mono::ZERO);
    for ms in [i64::MAX, i64::MIN, 0, i64::MAX, -1, i64::MIN] {
        let mut frame = frame(V, ms.saturating_add(10));
        line.place(clock, &mut frame);
        clock = clock.after(Duration::from_millis(40));
    }
}

#[test]
fn whatever_is_sent_no_track_ever_goes_back() {
    let mut dice = 7_u64;
    let mut roll = |sides: i64| {
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        i64::try_from(dice >> 1).unwrap() % sides
    };
    let mut line = Timeline::default();
    let (mut clock, mut sent, mut seen) = (Mono::ZERO, [0_i64; 2], [i64::MIN; 2]);
    for _ in 0..100_000 {
        let at = usize::try_from(roll(2)).unwrap();
        sent[at] += match roll(100) {
            0 => roll(2_000_000) - 1_000_000,
            1 => -roll(300),
            _ => 20 + roll(3),
        };
        if roll(5000) == 0 {
            line.new_session();
        }
        clock = clock.after(Duration::from_millis(u64::try_from(roll(30)).unwrap()));
        let mut frame = frame([A, V][at], sent[at]);
        line.place(clock, &mut frame);
        assert!(frame.dts.as_ms() >= seen[at], "{} after {}", frame.dts.as_ms(), seen[at]);
        seen[at] = frame.dts.as_ms();
    }
    // A jump costs at most its bound of viewers' time, so the line stays near local time.
    let lived = millis(clock.since(Mono::ZERO));
    assert!((lived / 2..lived * 20).contains(&seen[0]), "{} in {lived}", seen[0]);
}
