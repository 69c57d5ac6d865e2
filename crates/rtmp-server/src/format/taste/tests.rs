//! Which bodies a player gets, set by set.

use super::*;
use jackfield_containers::flv::Unpacker;
use jackfield_media::TrackId;
use jackfield_rtmp::amf::{Object, Value};

/// A player that lists these FourCCs and, unless it is `None`, tells this as `capsEx`.
fn player(four_ccs: &[&str], caps_ex: Option<u32>) -> Taste {
    let list = four_ccs.iter().map(|four_cc| Value::from(*four_cc)).collect();
    let mut connect = Object::new().with("fourCcList", Value::StrictArray(list));
    if let Some(bits) = caps_ex {
        connect.push("capsEx".to_owned(), f64::from(bits).into());
    }
    Taste::of(Capabilities::parse(&connect)).expect("a player that does not take all")
}

const MULTITRACK: u32 = 2;
const MOD_EX: u32 = 4;

/// The bodies that it gets of one message.
fn got(taste: Taste, kind: TrackKind, body: &'static [u8]) -> Vec<Bytes> {
    let mut unpacker = Unpacker::default();
    let frames = unpacker.unpack(kind, 0, Bytes::from_static(body)).unwrap();
    frames.filter_map(|(frame, track)| taste.body(&frame, track.as_ref())).collect()
}

fn check(taste: Taste, kind: TrackKind, body: &'static [u8], expect: &[&[u8]]) {
    assert_eq!(got(taste, kind, body), expect, "{body:02x?}");
}

/// It is taken as it is.
fn untouched(taste: Taste, kind: TrackKind, bodies: &[&'static [u8]]) {
    for body in bodies {
        check(taste, kind, body, &[body]);
    }
}

/// It is not taken.
fn left_out(taste: Taste, kind: TrackKind, bodies: &[&'static [u8]]) {
    for body in bodies {
        check(taste, kind, body, &[]);
    }
}

use TrackKind::{Audio, Data, Video};

#[test]
fn what_needs_no_announcement_and_what_was_announced_is_untouched() {
    let taste = player(&["hvc1", "Opus"], None);
    untouched(
        taste,
        Video,
        &[
            b"\x17\0\0\0\0abcdefgh",
            b"\x27\x01\xff\xff\xd8abc",
            b"\x17\x02\0\0\0",
            b"\x12abc",
            b"\x53\0",
            b"\x90hvc1abc",
            b"\x91hvc1\0\0\x28abc",
            b"\xa3hvc1abc",
            b"\x92hvc1",
            b"\x9fhvc1abc",
            b"\xd4hvc1\x02\0\x09colorInfo",
            b"\xd0\x01",
            b"\x96\x03hvc1\x01abc",
        ],
    );
    untouched(taste, Audio, &[b"\xaf\0\x12\x10", b"\xaf\x01abc", b"\x2fabc", b"\x90Opusabc", b"\x91Opusabc"]);
    untouched(taste, Data, &[b"\x02\0\x05onCue"]);
}

#[test]
fn codecs_that_it_did_not_list_are_left_out_with_all_that_belongs_to_them() {
    let taste = player(&["hvc1", "Opus"], None);
    left_out(
        taste,
        Video,
        &[
            b"\x90av01abc",
            b"\x91av01abc",
            b"\xa1vp09abc",
            b"\x92av01",
            b"\x94av01\x02\0\x09colorInfo",
            b"\x91zzzzabc",
        ],
    );
    left_out(taste, Audio, &[b"\x90fLaCabc", b"\x91ac-3abc", b"\x94fLaC\x01\x02"]);
    // Whoever takes any codec takes those that nobody knows.
    untouched(player(&["*"], Some(0)), Video, &[b"\x91zzzzabc", b"\x91av01abc"]);
}

#[test]
fn old_codecs_under_a_four_cc_that_it_did_not_list_come_in_their_classic_form() {
    let taste = player(&["hvc1"], None);
    check(taste, Video, b"\x90avc1abc", &[b"\x17\0\0\0\0abc"]);
    check(taste, Video, b"\x91avc1\0\0\x28abc", &[b"\x17\x01\0\0\x28abc"]);
    check(taste, Video, b"\xa3avc1abc", &[b"\x27\x01\0\0\0abc"]);
    check(taste, Audio, b"\x90mp4a\x12\x10", &[b"\xaf\0\x12\x10"]);
    check(taste, Audio, b"\x91mp4aabc", &[b"\xaf\x01abc"]);
    left_out(taste, Video, &[b"\xd4avc1\x02\0\x09colorInfo"]);
    untouched(player(&["avc1"], None), Video, &[b"\x91avc1\0\0\x28abc"]);
    // And HEVC under a number comes by FourCC.
    check(taste, Video, b"\x1c\x01\0\0\x28abc", &[b"\x91hvc1\0\0\x28abc"]);
    left_out(player(&["av01"], None), Video, &[b"\x1c\x01\0\0\x28abc"]);
}

#[test]
fn without_multitrack_the_default_track_comes_in_an_ordinary_message() {
    let taste = player(&["hvc1", "mp4a"], Some(MOD_EX));
    check(taste, Video, b"\x96\x03hvc1\x00abc", &[b"\x93hvc1abc"]);
    left_out(taste, Video, &[b"\x96\x03hvc1\x01abc", b"\x96\x00hvc1\x02abc"]);
    let both = b"\x96\x13hvc1\x00\0\0\x02ab\x01\0\0\x01c";
    check(taste, Video, both, &[b"\x93hvc1ab"]);
    check(taste, Audio, b"\x95\x11mp4a\x02\0\0\x01x\x00\0\0\x02yz", &[b"\xaf\x01yz"]);
}

#[test]
fn of_several_tracks_in_a_message_it_gets_those_that_it_takes_each_alone() {
    let taste = player(&["hvc1", "mp4a"], Some(MULTITRACK));
    let body = b"\x96\x23av01\x00\0\0\x02abhvc1\x01\0\0\x01chvc1\x02\0\0\x02de";
    check(taste, Video, body, &[b"\x96\x03hvc1\x01c", b"\x96\x03hvc1\x02de"]);
    // All of one codec that it takes: the message as it is, once.
    untouched(taste, Video, &[b"\x96\x13hvc1\x00\0\0\x02ab\x01\0\0\x01c"]);
    untouched(taste, Audio, &[b"\x95\x11mp4a\x02\0\0\x01x\x00\0\0\x02yz"]);
    left_out(taste, Video, &[b"\x96\x13vp09\x00\0\0\x02ab\x01\0\0\x01c"]);
    // A further track has a FourCC and no other form.
    left_out(player(&["hvc1"], Some(MULTITRACK)), Audio, &[b"\x95\x01mp4a\x01abc"]);
}

#[test]
fn of_a_crowd_of_tracks_each_that_it_takes_comes_alone() {
    let share = |number: u8| [number, 0, 0, 1, b'x'];
    let body: &[u8] = [&b"\x96\x13hvc1"[..], &(0..40).flat_map(share).collect::<Vec<_>>()].concat().leak();
    let bodies = got(player(&["hvc1"], Some(MULTITRACK)), Video, body);
    assert_eq!(bodies.len(), 40);
    assert_eq!((&bodies[0][..], &bodies[39][..]), (&b"\x93hvc1x"[..], &b"\x96\x03hvc1\x27x"[..]));
    assert_eq!(got(player(&["av01"], Some(MULTITRACK)), Video, body), Vec::<Bytes>::new());
}

#[test]
fn without_mod_ex_frames_come_without_modifiers() {
    let nano = b"\x97\x02\0\x01\x00\x01av01abc";
    check(player(&["av01"], Some(MULTITRACK)), Video, nano, &[b"\x91av01abc"]);
    untouched(player(&["av01"], Some(MOD_EX)), Video, &[nano]);
    // Modifiers that nobody knows are no better to read for it.
    check(player(&["av01"], Some(0)), Video, b"\x97\x00\x07\x51av01abc", &[b"\x91av01abc"]);
    // Without `capsEx` nothing is known.
    untouched(player(&["av01"], None), Video, &[nano]);
    // Some of the tracks of a modified message.
    let both = b"\x97\x02\0\x01\x00\x06\x23av01\x00\0\0\x02abhvc1\x01\0\0\x01c";
    check(player(&["hvc1"], Some(MULTITRACK)), Video, both, &[b"\x96\x03hvc1\x01c"]);
    check(
        player(&["hvc1"], Some(MULTITRACK | MOD_EX)),
        Video,
        both,
        &[b"\x97\x02\0\x01\x00\x06\x03hvc1\x01c"],
    );
}

#[test]
fn frames_without_a_body_of_their_own_follow_the_same_rules() {
    let taste = player(&["hvc1"], Some(MULTITRACK));
    let mut unpacker = Unpacker::default();
    let (frame, _) =
        unpacker.unpack(Video, 0, Bytes::from_static(b"\x96\x03hvc1\x01abc")).unwrap().next().unwrap();
    let frame = Frame { origin: None, ..frame };
    let track = |codec| Track::bare(frame.track, Video, codec);
    assert_eq!(taste.body(&frame, Some(&track(Codec::Hevc))).unwrap(), &b"\x96\x03hvc1\x01abc"[..]);
    assert_eq!(taste.body(&frame, Some(&track(Codec::Av1))), None);
    assert_eq!(taste.body(&frame, None), None);
}

#[test]
fn the_tracks_that_it_gets_are_told_alike() {
    let taste = player(&["hvc1", "mp4a"], Some(0));
    let takes = |id, kind, codec| taste.takes_track(&Track::bare(id, kind, codec));
    assert!(takes(TrackId::VIDEO, Video, Codec::H264));
    assert!(takes(TrackId::VIDEO, Video, Codec::Hevc));
    assert!(!takes(TrackId::VIDEO, Video, Codec::Av1));
    assert!(takes(TrackId::DATA, Data, Codec::Other("amf0")));
    let second = flv::track_id(Audio, 1);
    assert!(!takes(second, Audio, Codec::Aac));
    let multitrack = player(&["mp4a"], None);
    assert!(multitrack.takes_track(&Track::bare(second, Audio, Codec::Aac)));
    assert!(!multitrack.takes_track(&Track::bare(second, Audio, Codec::Mp3)));
}
