//! Tests of values of AMF0.

use super::*;

fn encode(values: &[Value]) -> Vec<u8> {
    let mut out = Vec::new();
    values.iter().for_each(|value| write(value, &mut out));
    out
}

fn decode(bytes: &[u8]) -> Result<Vec<Value>, AmfError> {
    AmfReader::new(bytes, AmfLimits::default()).all()
}

fn every_kind() -> Vec<Value> {
    let object = Object::new().with("a", 1.5).with("ü", "x").with("", Value::Null);
    vec![
        Value::Number(-0.25),
        Value::Boolean(true),
        Value::from("text"),
        Value::Object(object.clone()),
        Value::Null,
        Value::Undefined,
        Value::EcmaArray(object.clone()),
        Value::StrictArray(vec![Value::Unsupported, Value::Object(Object::new())]),
        Value::Reference(1),
        Value::Date { unix_ms: 1.0e12, zone: -60 },
        Value::String("y".repeat(70_000)),
        Value::Xml("<a/>".to_owned()),
        Value::Typed { class: "C".to_owned(), object },
    ]
}

#[test]
fn every_kind_of_value_is_read_as_it_was_written() {
    assert_eq!(decode(&encode(&every_kind())), Ok(every_kind()));
}

/// The forms on the wire, byte by byte (AMF0 §2).
#[test]
fn the_wire_form_is_that_of_the_specification() {
    let check = |bytes: &[u8], value: Value| {
        assert_eq!(decode(bytes), Ok(vec![value.clone()]));
        assert_eq!(encode(&[value]), bytes);
    };
    check(b"\x00\x3f\xf0\0\0\0\0\0\0", Value::Number(1.0));
    check(b"\x01\x01", Value::Boolean(true));
    check(b"\x02\0\x02hi", Value::from("hi"));
    check(b"\x03\0\x01a\x05\0\0\x09", Value::Object(Object::new().with("a", Value::Null)));
    check(b"\x05", Value::Null);
    check(b"\x06", Value::Undefined);
    check(b"\x08\0\0\0\x01\0\x01a\x06\0\0\x09", Value::EcmaArray(Object::new().with("a", Value::Undefined)));
    check(b"\x0a\0\0\0\x02\x05\x06", Value::StrictArray(vec![Value::Null, Value::Undefined]));
    check(b"\x0b\x40\x59\0\0\0\0\0\0\0\x3c", Value::Date { unix_ms: 100.0, zone: 60 });
    check(b"\x0d", Value::Unsupported);
    check(b"\x0f\0\0\0\x01x", Value::Xml("x".to_owned()));
    check(b"\x10\0\x01C\0\0\x09", Value::Typed { class: "C".to_owned(), object: Object::new() });
    assert_eq!(decode(b"\x0c\0\0\0\x02hi"), Ok(vec![Value::from("hi")]));
}

#[test]
fn what_is_cut_off_is_an_error_and_no_panic() {
    let bytes = encode(&every_kind());
    let whole: Vec<usize> = (0..every_kind().len()).map(|n| encode(&every_kind()[..n]).len()).collect();
    for end in (0..bytes.len()).filter(|end| *end < 1000 || *end > bytes.len() - 1000) {
        let got = decode(&bytes[..end]);
        // A missing end of the last object is borne.
        let tolerated =
            matches!(got.as_ref().map(|v| v.last().cloned()), Ok(Some(v)) if v.as_object().is_some());
        assert!(whole.contains(&end) || tolerated || got == Err(AmfError::Truncated), "{end}: {got:?}");
    }
}

#[test]
fn a_string_longer_than_its_message_is_refused() {
    for bytes in
        [&b"\x02\xff\xffabc"[..], b"\x0c\xff\xff\xff\xffabc", b"\x0f\x7f\xff\xff\xff", b"\x03\0\x09ab"]
    {
        assert_eq!(decode(bytes), Err(AmfError::Truncated));
    }
}

#[test]
fn nesting_ends_at_the_limit_whatever_nests() {
    let object: &[u8] = b"\x03\0\x01a";
    let array: &[u8] = b"\x0a\0\0\0\x01";
    let ecma: &[u8] = b"\x08\0\0\0\x01\0\x01a";
    let typed: &[u8] = b"\x10\0\x01C\0\x01a";
    for opener in [object, array, ecma, typed] {
        assert_eq!(decode(&opener.repeat(10_000)), Err(AmfError::TooDeep(32)));
        let mut fits = opener.repeat(32);
        fits.push(marker::NULL);
        fits.extend(b"\0\0\x09".repeat(if opener == array { 0 } else { 32 }));
        assert!(decode(&fits).is_ok());
    }
}

#[test]
fn a_count_takes_no_memory_and_values_are_bounded() {
    assert_eq!(decode(b"\x0a\xff\xff\xff\xff\x05"), Err(AmfError::Truncated));
    assert_eq!(decode(b"\x08\xff\xff\xff\xff\0\0\x09"), Ok(vec![Value::EcmaArray(Object::new())]));
    assert_eq!(decode(&[marker::NULL; 4096]).map(|v| v.len()), Ok(4096));
    assert_eq!(decode(&[marker::NULL; 4097]), Err(AmfError::TooManyValues(4096)));
}

#[test]
fn what_amf0_does_not_have_is_refused_by_name() {
    for marker in [0x04, 0x09, 0x0e, 0x12, 0xff] {
        assert_eq!(decode(&[marker, 0, 0]), Err(AmfError::BadMarker(marker)));
    }
    assert_eq!(decode(b"\x07\0\0"), Err(AmfError::BadReference));
    assert_eq!(decode(b"\x03\0\x01a\x07\0\x01\0\0\x09"), Err(AmfError::BadReference));
}

#[test]
fn bytes_that_are_no_utf8_are_marked() {
    assert_eq!(decode(b"\x02\0\x02a\xff"), Ok(vec![Value::from("a\u{fffd}")]));
}
