//! Tests of what peers announce.

use super::*;

fn list(four_ccs: &[&str]) -> Object {
    let values = four_ccs.iter().map(|name| Value::from(*name)).collect();
    Object::new().with("fourCcList", Value::StrictArray(values))
}

fn map(name: &str, entries: &[(&str, f64)]) -> Object {
    let mut object = Object::new();
    entries.iter().for_each(|(four_cc, mask)| object.push((*four_cc).to_owned(), (*mask).into()));
    Object::new().with(name, object)
}

fn video(object: &Object, codec: Codec) -> bool {
    Capabilities::parse(object).takes(TrackKind::Video, codec)
}

fn audio(object: &Object, codec: Codec) -> bool {
    Capabilities::parse(object).takes(TrackKind::Audio, codec)
}

#[test]
fn who_announced_nothing_takes_everything() {
    let capabilities = Capabilities::parse(&Object::new().with("videoCodecs", 252.0));
    assert_eq!(capabilities, Capabilities::default());
    assert!(!capabilities.has_announced() && !capabilities.is_enhanced());
    for codec in [Codec::Hevc, Codec::H264, Codec::FourCc(*b"????"), Codec::Other("vp6")] {
        assert!(capabilities.takes(TrackKind::Video, codec));
    }
    assert!(
        capabilities.takes_multitrack() && capabilities.takes_mod_ex() && capabilities.takes_nano_offset()
    );
    assert!(!capabilities.takes_reconnect(), "who does not know of it is not asked to reconnect");
}

#[test]
fn a_list_names_what_is_taken_beside_the_codecs_of_old() {
    let object = list(&["hvc1", "Opus", "none", "too long"]);
    assert!(video(&object, Codec::Hevc) && audio(&object, Codec::Opus));
    assert!(!video(&object, Codec::Av1) && !audio(&object, Codec::Flac));
    assert!(!video(&object, Codec::FourCc(*b"none")), "what is unknown here is not kept");
    for codec in [Codec::H264, Codec::Other("h263")] {
        assert!(video(&object, codec));
    }
    for codec in [Codec::Aac, Codec::Mp3, Codec::Other("speex")] {
        assert!(audio(&object, codec));
    }
    assert!(!audio(&object, Codec::Hevc), "a codec has one kind");
    assert!(Capabilities::parse(&object).takes(TrackKind::Data, Codec::Other("amf")));
}

#[test]
fn the_list_may_be_an_array_of_any_kind() {
    let entries = Object::new().with("0", "av01").with("1", "fLaC").with("2", 7.0);
    for value in [Value::EcmaArray(entries.clone()), Value::Object(entries)] {
        let object = Object::new().with("fourCcList", value);
        assert!(video(&object, Codec::Av1) && audio(&object, Codec::Flac));
        assert!(!video(&object, Codec::Hevc));
    }
    for value in [Value::from("hvc1"), Value::Null, Value::StrictArray(vec![1.0.into()])] {
        let object = Object::new().with("fourCcList", value);
        assert!(!Capabilities::parse(&object).has_announced(), "{object:?}");
    }
}

#[test]
fn a_wildcard_takes_all_whatever_the_others_say() {
    let object = list(&["*"]);
    assert!(video(&object, Codec::FourCc(*b"new1")) && audio(&object, Codec::Eac3));
    let object = map("videoFourCcInfoMap", &[("hvc1", 0.0), ("*", 4.0)]);
    assert!(video(&object, Codec::Hevc) && video(&object, Codec::Vvc));
    assert!(!audio(&object, Codec::Opus), "of sound it announced nothing, and knows how to announce");
    let object = map("audioFourCcInfoMap", &[("*", 2.0)]);
    assert!(!audio(&object, Codec::Opus), "it can encode all, but decode none");
}

#[test]
fn a_map_tells_by_its_mask_whether_a_codec_can_be_taken() {
    for (mask, taken) in
        [(0.0, false), (1.0, true), (2.0, false), (3.0, true), (4.0, true), (8.0, false), (f64::NAN, false)]
    {
        assert_eq!(video(&map("videoFourCcInfoMap", &[("vp09", mask)]), Codec::Vp9), taken, "{mask}");
        assert_eq!(audio(&map("audioFourCcInfoMap", &[("ac-3", mask)]), Codec::Ac3), taken, "{mask}");
    }
}

#[test]
fn extended_capabilities_are_bits() {
    let caps = |bits: f64| Capabilities::parse(&Object::new().with("capsEx", bits));
    assert!(!caps(0.0).has_announced() && caps(0.0).is_enhanced());
    assert!(!caps(0.0).takes_multitrack() && !caps(0.0).takes_nano_offset() && !caps(0.0).takes_mod_ex());
    assert!(caps(1.0).takes_reconnect() && !caps(14.0).takes_reconnect());
    assert!(caps(2.0).takes_multitrack() && !caps(13.0).takes_multitrack());
    assert!(caps(4.0).takes_mod_ex() && !caps(4.0).takes_nano_offset());
    assert!(caps(8.0).takes_nano_offset() && caps(8.0).takes_mod_ex());
    assert_eq!(caps(255.0), caps(15.0), "unknown bits make no difference");
    assert_eq!(caps(-1.0), caps(0.0));
    let text = Object::new().with("capsEx", "15");
    assert_eq!(Capabilities::parse(&text), Capabilities::default());
}

#[test]
fn peers_that_mean_the_same_are_equal() {
    let one = Capabilities::parse(&list(&["hvc1", "av01", "hvc1", "zzzz"]));
    let other = Capabilities::parse(&map("videoFourCcInfoMap", &[("av01", 1.0), ("hvc1", 7.0)]));
    assert_eq!(one, other);
}

#[test]
fn a_list_without_end_is_not_read_to_its_end() {
    let mut four_ccs = vec!["xxxx"; MAX_ENTRIES];
    four_ccs.push("hvc1");
    let capabilities = Capabilities::parse(&list(&four_ccs));
    assert!(capabilities.has_announced() && !capabilities.takes(TrackKind::Video, Codec::Hevc));
}

#[test]
fn a_forwarder_takes_everything() {
    let mut properties = Object::new();
    Capabilities::announce_forwarder(&mut properties);
    let capabilities = Capabilities::parse(&properties);
    assert!(capabilities.takes(TrackKind::Video, Codec::FourCc(*b"new1")));
    assert!(capabilities.takes(TrackKind::Audio, Codec::Opus));
    assert!(capabilities.takes_reconnect() && capabilities.takes_multitrack());
    assert!(capabilities.takes_nano_offset() && capabilities.takes_mod_ex());
    assert!(matches!(properties.find("fourCcList"), Some(Value::StrictArray(list)) if list.len() == 12));
}
