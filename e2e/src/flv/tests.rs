//! Hand-made FLV in, differences out.

use super::*;

fn tag(kind: u8, ts: u32, body: &[u8]) -> Vec<u8> {
    let [high, low @ ..] = ts.to_be_bytes();
    let size = u32::try_from(body.len()).unwrap().to_be_bytes();
    let mut out = vec![kind];
    out.extend_from_slice(&size[1..]);
    out.extend_from_slice(&low);
    out.push(high);
    out.extend_from_slice(&[0, 0, 0]);
    out.extend_from_slice(body);
    out.extend_from_slice(&[0, 0, 0, 0]);
    out
}

/// Ten pictures at 25/s, every fifth a key frame, each with one unit of sound.
fn file(start: u32) -> Vec<u8> {
    let mut out = b"FLV\x01\x05\0\0\0\x09\0\0\0\0".to_vec();
    out.extend(tag(18, 0, b"\x02\0\x0aonMetaData"));
    out.extend(tag(9, start, b"\x17\0\0\0\0avcC"));
    out.extend(tag(8, start, b"\xaf\0\x12\x10"));
    for n in 0..10u8 {
        let ts = start + u32::from(n) * 40;
        out.extend(tag(9, ts, &[if n % 5 == 0 { 0x17 } else { 0x27 }, 1, 0, 0, 0, b'v', n]));
        out.extend(tag(8, ts, &[0xaf, 1, b'a', n]));
    }
    out
}

fn clip() -> Recording {
    Recording::parse(&file(0)).unwrap()
}

#[track_caller]
fn differs(change: impl FnOnce(&mut Recording), expect: &str) {
    let mut got = clip();
    change(&mut got);
    let error = compare(&clip(), &got, 5).unwrap_err().to_string();
    assert!(error.contains(expect), "{error}");
}

#[test]
fn tags_become_access_units() {
    let clip = clip();
    assert_eq!((clip.video.codec, clip.audio.codec), (Some(7), Some(10)));
    assert_eq!(
        (clip.video.config.as_slice(), clip.audio.config.as_slice()),
        (&b"avcC"[..], &b"\x12\x10"[..])
    );
    assert_eq!((clip.video.units.len(), clip.audio.units.len(), clip.data.len()), (10, 10, 1));
    assert_eq!(clip.video.units.iter().filter(|unit| unit.key).count(), 2);
    assert_eq!(clip.video.units[9].dts_ms, 360);
}

#[test]
fn time_stamps_have_four_bytes() {
    let late = Recording::parse(&file(0x0100_0000)).unwrap();
    assert_eq!(late.video.units[0].dts_ms, 0x0100_0000);
    compare(&clip(), &late, 10).unwrap();
}

#[test]
fn a_stream_cut_anywhere_gives_the_same() {
    let bytes = file(0);
    for size in [1, 7, 100] {
        let (mut demuxer, mut got) = (Demuxer::default(), Recording::default());
        for part in bytes.chunks(size) {
            demuxer.push(part, &mut got).unwrap();
        }
        assert_eq!(got, clip());
    }
    let cut = Recording::parse(&bytes[..bytes.len() - 10]).unwrap();
    assert_eq!((cut.video.units.len(), cut.audio.units.len()), (10, 9));
}

#[test]
fn what_is_not_flv_is_refused() {
    assert!(Recording::parse(b"HTTP/1.1 200 OK\r\n").is_err());
    let mut bytes = file(0);
    bytes.extend(tag(5, 0, b"x"));
    assert!(Recording::parse(&bytes).is_err());
}

#[test]
fn a_late_joiner_has_a_run_from_a_key_frame_on() {
    let mut got = clip();
    got.video.units.drain(..5);
    got.audio.units.drain(..4);
    assert_eq!(compare(&clip(), &got, 5).unwrap(), Match { video: 5, audio: 6, more: 0, first: 5 });
    assert!(compare(&clip(), &got, 6).unwrap_err().to_string().contains("at least 6"));
}

#[test]
fn every_difference_is_found() {
    differs(
        |got| got.video.units.retain(|unit| unit.dts_ms != 280),
        "video: after 7 units #7 should come, it is #8",
    );
    differs(|got| got.audio.units.swap(2, 3), "audio: after 2 units #2 should come, it is #3");
    differs(|got| got.video.units.insert(3, got.video.units[2]), "it is #2");
    differs(|got| got.video.units[4].hash ^= 1, "none of the source's");
    differs(|got| got.video.units.retain(|unit| unit.dts_ms != 0), "no key frame");
    differs(|got| got.video.units[5].key = false, "key-frame flag");
    differs(|got| got.video.units[5].dts_ms += 40, "#5 is 40 ms off");
    differs(|got| got.audio.units.iter_mut().for_each(|unit| unit.dts_ms += 80), "audio is 80 ms off");
    differs(|got| got.video.units[5].cts_ms += 40, "composition time of #5 is 40 ms off");
    differs(|got| got.audio.units.clear(), "no audio at all");
    differs(
        |got| drop(got.more.insert(("audio", 1), Stream::default())),
        "further tracks are [(\"audio\", 1)] instead of []",
    );
    differs(
        |got| got.video.config.push(0),
        "codec configuration [61, 76, 63, 43, 00] instead of [61, 76, 63, 43]",
    );
    differs(|got| got.video.codec = Some(12), "codec 12 instead of 7");
    differs(|got| got.video.units[0].hash ^= 1, "the first unit is not");
}
