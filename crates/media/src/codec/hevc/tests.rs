//! Records of real encoders, and broken ones.

use super::*;
use crate::codec::kit::{bytes, hostile, video};

type Record = (&'static str, &'static str, &'static str, &'static str, (u32, u32, Option<u32>));

/// Records that x265 and kvazaar wrote: codec string, profile, level, size and rate.
const RECORDS: [Record; 5] = [
    (
        "01016000000090000000000078f000fcfdf8f800000f03200001001840010c01ffff016000000300900000030000030078959409210001002b420101016000000300900000030000030078a003c0801107cb965654a4c2f0168080000003008000000c8422000100064401c073c189",
        "hvc1.1.6.L120.90",
        "Main",
        "4",
        (1920, 1080, Some(25)),
    ),
    (
        "01022000000090000000000078f000fcfdfafa00000f03200001001840010c01ffff022000000300900000030000030078959809210001002c420101022000000300900000030000030078a00280802d1365959a49395e02d010000003001000000303c08022000100074401c172b46240",
        "hvc1.2.4.L120.90",
        "Main 10",
        "4",
        (1280, 720, Some(60)),
    ),
    (
        "0124080000009d080000000099f000fcfefafa00000f03200001001740010c01ffff2408000003009d08000003000099959409210001002a4201012408000003009d08000003000099b006c201f1cd1ed965654a4c2f01680800001f480003a9804022000100064401c073c189",
        "hvc1.4.10.H153.9D.8",
        "Format Range Extensions",
        "5.1",
        (854, 482, Some(30)),
    ),
    (
        "010160000000800000000000baf000fcfdf8f800001303200001001b40010c02ffff0160000003008000000300000300ba000004021024210001002b4201020160000003008000000300000300ba0000a0050201696c100864932ac04040000003004000000c8222000100084401c062460a6480",
        "hvc1.1.6.L186.80",
        "Main",
        "6.2",
        (640, 360, Some(50)),
    ),
    (
        "0104080000004e08000000005af000fcfff8f800000f04200001001740010c01ffff0408000003004e0800000300005a959409210001002a4201010408000003004e0800000300005a9000a0403c2cb2b2a5261780b434000003000400000300782022000100084401c0731830189027000100064e0181010f80",
        "hvc1.4.10.L90.4E.8",
        "Format Range Extensions",
        "3",
        (640, 480, Some(15)),
    ),
];

#[test]
fn real_records_tell_profile_level_size_and_rate() {
    for (hex, codec_string, profile, level, (width, height, fps)) in RECORDS {
        let config = parse(&bytes(hex)).unwrap();
        assert_eq!(&*config.codec_string, codec_string);
        assert_eq!((&*config.profile, &*config.level, config.length_bytes), (profile, level, 4));
        assert_eq!(config.picture, Some(Picture { width, height, fps }), "{codec_string}");
        let mut track = video();
        config.describe(&mut track);
        assert_eq!((track.width, track.fps), (Some(width), fps));
    }
}

#[test]
fn a_broken_parameter_set_leaves_what_the_record_itself_tells() {
    let mut record = bytes(RECORDS[0].0);
    record.truncate(60);
    let config = parse(&record).unwrap();
    assert_eq!((&*config.codec_string, config.picture), ("hvc1.1.6.L120.90", None));
    assert_eq!((config.tier, parse(&bytes(RECORDS[2].0)).unwrap().tier), (Tier::Main, Tier::High));
}

#[test]
fn a_cut_record_or_another_version_is_an_error() {
    let record = bytes(RECORDS[0].0);
    for cut in 0..FIXED_BYTES {
        assert_eq!(parse(&record[..cut]), Err(ConfigError::Short(NAME)));
    }
    assert_eq!(parse(&[2; 30]), Err(ConfigError::Malformed(NAME, "version")));
}

/// Bits of a set, from text.
fn set(bits: &[&str]) -> Vec<u8> {
    let bits = bits.concat();
    let byte =
        |byte: &[u8]| u8::from_str_radix(&format!("{:0<8}", str::from_utf8(byte).unwrap()), 2).unwrap();
    bits.as_bytes().chunks(8).map(byte).collect()
}

/// `ue(v)`.
fn ue(value: u32) -> String {
    let code = value + 1;
    let digits = format!("{code:b}");
    format!("{}{digits}", "0".repeat(digits.len() - 1))
}

/// A sequence parameter set of 64 × 64 pixels whose reference picture sets are these, at 50 frames a second.
fn with_reference_sets(sets: &[&str]) -> Vec<u8> {
    let plain_profile = "0".repeat(96);
    let size = [ue(1), ue(64), ue(64), "0".into()].concat();
    let depths = [ue(0), ue(0), ue(4)].concat();
    let ordering = ["1".into(), ue(4), ue(2), ue(0)].concat();
    let blocks = ue(0).repeat(6);
    let units = format!("{:032b}{:032b}", 1, 50);
    let vui = ["1", "0", "0", "0", "0", "0", "0", "0", "0", "1", &units].concat();
    set(&[
        "0000",
        "000",
        "1",
        &plain_profile,
        &ue(0),
        &size,
        &depths,
        &ordering,
        &blocks,
        "0",
        "00",
        "0",
        &sets.concat(),
        "0",
        "00",
        &vui,
    ])
}

#[test]
fn reference_sets_told_as_differences_are_followed() {
    // Two before (-1, -3), one after (+2); then shifted by -2, where +2 falls on the picture itself: three are left.
    let whole = [ue(2), ue(1), ue(0), "1".into(), ue(1), "1".into(), ue(1), "1".into()].concat();
    let shifted = ["1", "1", &ue(1), "1", "1", "1", "1"].concat();
    // The next differs from those three: four flags, each used.
    let again = ["1", "0", &ue(0), "1", "1", "1", "1"].concat();
    let sets = with_reference_sets(&[&ue(3), &whole, &shifted, &again]);
    assert_eq!(sps::parse(&sets), Some(Picture { width: 64, height: 64, fps: Some(50) }));
}

#[test]
fn more_than_the_specification_allows_ends_the_reading_and_leaves_the_size() {
    for hostile in
        [ue(65), ue(u32::MAX - 2), [ue(1), ue(17), ue(0)].concat(), [ue(1), ue(0), ue(1 << 30)].concat()]
    {
        let picture = sps::parse(&with_reference_sets(&[&hostile])).unwrap();
        assert_eq!((picture.width, picture.fps), (64, None));
    }
}

#[test]
fn no_mutation_panics() {
    hostile(&RECORDS.map(|record| record.0), |bytes| parse(bytes).is_ok());
    let set = with_reference_sets(&[&ue(1), &ue(2), &ue(1), "111111111"]);
    let hex: String = set.iter().map(|byte| format!("{byte:02x}")).collect();
    hostile(&[&hex], |bytes| sps::parse(bytes).is_some() || sps::vps_rate(bytes).is_some());
}
