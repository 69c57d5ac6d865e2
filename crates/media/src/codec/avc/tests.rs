//! Records of real encoders, and broken ones.

use super::*;

/// Records that x264 wrote, and what they tell.
const RECORDS: [(&str, &str, &str, &str, Picture); 4] = [
    (
        "0142c01effe100186742c01ed90141fb011000000300100000030320f162e48001000568cb83cb20",
        "avc1.42c01e",
        "Constrained Baseline",
        "3",
        Picture { width: 320, height: 240, fps: Some(25) },
    ),
    (
        "014d401fffe10019674d401feca02802dd8088000003000800000301e078c18cb001000568ebe3cb20",
        "avc1.4d401f",
        "Main",
        "3.1",
        Picture { width: 1280, height: 720, fps: Some(30) },
    ),
    (
        "0164002affe1001b6764002aacd940780227e5c044000003000400000301e03c60c65801000668ebe3cb22c0fdf8f800",
        "avc1.64002a",
        "High",
        "4.2",
        Picture { width: 1920, height: 1080, fps: Some(60) },
    ),
    (
        "017a001fffe1001a677a001fb6cd940d820f3421808800001f4800075300f8b16cb001000668fba3cb22c0fefafa00",
        "avc1.7a001f",
        "High 4:2:2",
        "3.1",
        Picture { width: 854, height: 482, fps: Some(30) },
    ),
];

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(hex.get(at..at + 2).unwrap(), 16).unwrap())
        .collect()
}

#[test]
fn real_records_tell_profile_level_size_and_rate() {
    for (hex, codec_string, profile, level, picture) in RECORDS {
        let config = parse(&bytes(hex)).unwrap();
        assert_eq!(&*config.codec_string, codec_string);
        assert_eq!((&*config.profile, &*config.level, config.length_bytes), (profile, level, 4));
        assert_eq!(config.picture, Ok(picture));
    }
}

#[test]
fn a_broken_parameter_set_leaves_what_the_record_itself_tells() {
    let mut record = bytes(RECORDS[1].0);
    record[8 + 4..8 + 25].fill(0);
    let config = parse(&record).unwrap();
    assert_eq!(&*config.codec_string, "avc1.4d401f");
    assert!(matches!(config.picture, Err(AvcError::ParameterSet(_))), "{:?}", config.picture);
    let none = parse(&[1, 0x4d, 0x40, 0x1f, 0xff, 0xe0, 0]).unwrap();
    assert_eq!(none.picture, Err(AvcError::NoParameterSet));
}

#[test]
fn a_parameter_set_without_a_byte_is_none() {
    // The number of picture parameter sets looks like the header of what is not there.
    let mut record = vec![1, 0x42, 0xc0, 0x1e, 0xff, 0xe1, 0, 0, 7];
    record.extend([0; 14]);
    let empty = parse(&record).unwrap();
    assert_eq!(empty.picture, Err(AvcError::NoParameterSet));
    assert_eq!(&*empty.codec_string, "avc1.42c01e");
}

#[test]
fn a_cut_record_is_an_error() {
    let record = bytes(RECORDS[2].0);
    for cut in 0..6 {
        assert!(parse(&record[..cut]).is_err());
    }
    assert!(matches!(parse(&[0; 20]), Err(AvcError::Record(_))));
}

#[test]
fn level_1b_has_two_spellings() {
    assert_eq!(&*level_text(&Level::L1_b, 11), "1b");
    assert_eq!(&*level_text(&Level::Unknown(9), 9), "1b");
    assert_eq!(&*level_text(&Level::L1_1, 11), "1.1");
}

#[test]
fn no_mutation_panics() {
    let mut seed = 7u32;
    let mut next = move || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 16) as usize
    };
    for round in 0..40_000 {
        let mut record = bytes(RECORDS[round % RECORDS.len()].0);
        for _ in 0..=next() % 4 {
            let at = next() % record.len();
            record[at] = u8::try_from(next() % 256).unwrap();
        }
        record.truncate(record.len() - next() % 3);
        drop(parse(&record));
    }
}
