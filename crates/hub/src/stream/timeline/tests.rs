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
fn a_wrap_goes_on_and_keeps_all_distances() {
    // Signed time stamps wrap at half the range. How long local time says it took does not count.
    for wrap in [1 << 32, 1 << 31] {
        fresh(&[(0, V, wrap - 20, wrap - 20), (33, V, 13, wrap + 13), (7, V, 46, wrap + 46)], 1);
    }
}

#[test]
fn tracks_wrap_each_at_its_own_moment() {
    for wrap in [1 << 32, 1 << 31] {
        // Sound ahead of pictures, and a picture from before the wrap that comes late.
        let steps = [
            (0, V, wrap - 50, wrap - 50),
            (0, A, wrap - 6, wrap - 6),
            (9, A, 17, wrap + 17),
            (31, V, wrap - 10, wrap - 10),
            (10, A, 40, wrap + 40),
            (23, V, 30, wrap + 30),
            (2, V, wrap - 3, wrap + 30),
            (30, V, 70, wrap + 70),
        ];
        // Two wraps; the late picture is held, and costs a move there and one back.
        fresh(&steps, 4);
        // Pictures ahead of sound.
        let steps = [
            (0, A, wrap - 60, wrap - 60),
            (0, V, wrap - 10, wrap - 10),
            (40, V, 30, wrap + 30),
            (1, A, wrap - 37, wrap - 37),
            (40, V, 70, wrap + 70),
            (1, A, wrap - 14, wrap - 14),
            (1, A, 9, wrap + 9),
        ];
        fresh(&steps, 2);
    }
}

#[test]
fn a_track_that_begins_after_the_others_have_wrapped_stands_beside_them() {
    let half = 1 << 31;
    // Still on the near side, and already beyond it.
    fresh(&[(0, V, half - 10, half - 10), (5, A, 5, half + 5), (35, V, 30, half + 30)], 2);
    fresh(&[(0, V, half - 10, half - 10), (40, V, 30, half + 30), (5, A, 35, half + 35)], 1);
}

#[test]
fn a_stream_may_begin_anywhere() {
    for start in [1 << 31, (1 << 31) - 1, 1 << 24, (1 << 32) - 1, -40, -(1 << 30)] {
        fresh(&[(0, V, start, start), (0, A, start + 3, start + 3), (40, V, start + 40, start + 40)], 0);
    }
}

#[test]
fn clocks_that_drift_apart_keep_their_own_pace() {
    let (mut line, mut clock) = (Timeline::default(), Mono::ZERO);
    // Ten hours in which the sound card counts 2 % slow: 12 minutes at the end.
    for number in 0..900_000_i64 {
        let (video, audio) = (number * 40, number * 40 * 98 / 100);
        assert_eq!(check(&mut line, &mut clock, &[(40, V, video, video), (0, A, audio, audio)]), 0);
    }
    // What belongs to a track stands beside that track.
    let (video, audio) = (900_000 * 40, 900_000 * 40 * 98 / 100);
    let mut config = frame(A, audio);
    config.class = FrameClass::Config;
    line.place(clock, &mut config);
    assert_eq!(config.dts.as_ms(), audio);
    // A jump moves both alike: what they have drifted apart stays.
    let far = 50_000_000;
    let (seen_video, moved) = (video + 37 - 40, 37 - 40 - far);
    let steps = [
        (37, V, video + far, seen_video),
        (3, A, audio + far, audio + far + moved),
        (37, V, video + far + 40, seen_video + 40),
    ];
    assert_eq!(check(&mut line, &mut clock, &steps), 2);
}

#[test]
fn jumps_back_and_forth_leave_tracks_together_and_cost_a_repair_each() {
    let (mut line, mut clock) = (Timeline::default(), Mono::ZERO);
    let (mut sent, mut repairs) = (0, 0);
    let mut apart = Vec::new();
    for number in 0..1000_i64 {
        if number % 100 == 99 {
            sent += if number % 200 == 99 { 7_200_000 } else { -7_200_000 };
        }
        let (mut video, mut audio) = (frame(V, sent), frame(A, sent - 11));
        clock = clock.after(Duration::from_millis(40));
        for frame in [&mut video, &mut audio] {
            repairs += usize::from(line.place(clock, frame) == Placed::Repaired);
        }
        apart.push(video.dts.as_ms() - audio.dts.as_ms());
        assert_eq!(video.dts.as_ms(), number * 40);
        sent += 40;
    }
    assert!(apart.iter().all(|&apart| apart == 11));
    assert_eq!(repairs, 20);
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
    // And stay so when both jump by as much.
    let jumps = [(20, V, 500_000, 80), (20, A, 9_500_000, 9_500_000 - 8_999_980 - 499_920)];
    fresh(&[&steps[..], &jumps].concat(), 3);
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
