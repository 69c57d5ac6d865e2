//! Records that VVenC wrote, and broken ones.

use super::*;
use crate::codec::kit::{bytes, hostile, video};

const RECORDS: [&str; 2] = [
    "ff00655f01022080000001b000f00000028f000100f0007900ab02208000008036203c7266a00737ffac213656304082700131010410420610842c442164842d4217a3d5a92f249a92c9116a22f1126a22452444992224d46588842c9085a842f0849a8424524212648425d49084848884245110849888425d44421228c8424c64212ea3210a0416108203110819220d4804cc104105840082c40202102010150810080d21020101620402022080405904020242010320202210101642020244040d02024810382062010b204088408164204091020d040920838419022d082484388684b91ca8105840082c402021020101508100810cc119c50000030001000003001e1880900001000b008100001b101e22241f41",
    "ff00655f010220800000014000b80000028f000100ef007900ab02208000008028202e7d9a801cdffeb084d958c10209c004c404104108184210b110859210b5085e8f56a4bc926a4b2445a88bc449a88914911264889351962210b24216a10bc2126a10914908499210975242121222109144421262210975110848a32109319084ba8c8428105842080c442064883520133041041610020b100808408540042040203484080405881008088201016410080908040c80808840405908080910103408092040e08188042c81022102059081024408341024820e106408b4209210e21a12e472a041610020b100808408540042040204330467140000030004000003007862900001000b0081000014101722241f41",
];

#[test]
fn real_records_tell_profile_level_and_size_after_cropping() {
    for (hex, size) in RECORDS.iter().zip([(426, 240), (320, 180)]) {
        let config = parse(&bytes(hex)).unwrap();
        assert_eq!(config.size, Some(size));
        let mut track = video();
        config.describe(&mut track);
        assert_eq!(track.codec_string.as_deref(), Some("vvc1.1.L32"));
        assert_eq!((track.profile.as_deref(), track.level.as_deref()), (Some("Main 10"), Some("2.0")));
    }
}

#[test]
fn as_a_box_it_has_a_version_in_front() {
    let boxed = [vec![0; 4], bytes(RECORDS[0])].concat();
    assert_eq!(parse(&boxed), parse(&bytes(RECORDS[0])));
}

#[test]
fn the_record_alone_tells_the_size_before_cropping_and_the_set_alone_the_profile() {
    let record = bytes(RECORDS[0]);
    let mut bare = record[..16].to_vec();
    // 29.97 frames a second, and no parameter sets.
    bare[14..].copy_from_slice(&[0x1d, 0xf8]);
    bare.push(0);
    let config = parse(&bare).unwrap();
    assert_eq!((config.size, config.fps), (Some((432, 240)), Some(30)));
    let sets = [&[0xfe][..], &record[16..]].concat();
    let config = parse(&sets).unwrap();
    assert_eq!((config.size, config.profile.map(|profile| profile.level)), (Some((426, 240)), Some(32)));
}

#[test]
fn what_is_cut_or_no_record_is_refused() {
    let record = bytes(RECORDS[0]);
    for cut in 0..=16 {
        assert_eq!(parse(&record[..cut]), Err(ConfigError::Short(NAME)), "{cut}");
    }
    assert_eq!(parse(&[0x01; 40]), Err(ConfigError::Malformed(NAME, "version")));
}

#[test]
fn no_mutation_panics() {
    hostile(&RECORDS, |bytes| parse(bytes).is_ok());
}
