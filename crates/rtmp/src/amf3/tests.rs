//! Tests of reading AMF3.

use crate::amf::{AmfError, AmfLimits, AmfReader, Form, Object, Value, write};

fn read(bytes: &[u8]) -> Result<(Vec<Value>, Form), AmfError> {
    let mut reader = AmfReader::amf3(bytes, AmfLimits::default());
    let values = reader.all()?;
    Ok((values, reader.form()))
}

fn check(bytes: &[u8], value: Value) {
    assert_eq!(read(bytes), Ok((vec![value], Form::Converted)), "{bytes:x?}");
}

fn error(bytes: &[u8]) -> AmfError {
    read(bytes).expect_err("a rule is broken")
}

#[test]
fn simple_values_are_read_as_the_specification_writes_them() {
    check(b"\x00", Value::Undefined);
    check(b"\x01", Value::Null);
    check(b"\x02", Value::Boolean(false));
    check(b"\x03", Value::Boolean(true));
    check(b"\x05\x3f\xf8\0\0\0\0\0\0", Value::Number(1.5));
    check(b"\x06\x05hi", Value::from("hi"));
    check(b"\x06\x01", Value::from(""));
    check(b"\x07\x07<a>", Value::Xml("<a>".to_owned()));
    check(b"\x0b\x07<b>", Value::Xml("<b>".to_owned()));
    check(b"\x08\x01\x40\x59\0\0\0\0\0\0", Value::Date { unix_ms: 100.0, zone: 0 });
}

#[test]
fn integers_have_29_bits_and_a_sign() {
    for (wire, number) in [
        (&b"\x00"[..], 0.0),
        (b"\x7f", 127.0),
        (b"\x81\x00", 128.0),
        (b"\xff\x7f", 16_383.0),
        (b"\x81\x80\x00", 16_384.0),
        (b"\xff\xff\x7f", 2_097_151.0),
        (b"\x80\xc0\x80\x00", 2_097_152.0),
        (b"\xbf\xff\xff\xff", 268_435_455.0),
        (b"\xc0\x80\x80\x00", -268_435_456.0),
        (b"\xff\xff\xff\xff", -1.0),
    ] {
        check(&[b"\x04", wire].concat(), Value::Number(number));
    }
}

#[test]
fn strings_are_repeated_by_reference_and_the_empty_one_has_no_number() {
    let (values, _) = read(b"\x06\x03a\x06\x01\x06\x03b\x06\x00\x06\x02").unwrap();
    assert_eq!(values, ["a", "", "b", "a", "b"].map(Value::from));
    assert_eq!(error(b"\x06\x00"), AmfError::BadReference);
    assert_eq!(error(b"\x06\x01\x06\x00"), AmfError::BadReference);
}

#[test]
fn arrays_are_dense_or_associative() {
    check(b"\x09\x01\x01", Value::StrictArray(vec![]));
    check(b"\x09\x05\x01\x04\x01\x06\x03x", Value::StrictArray(vec![1.0.into(), "x".into()]));
    check(
        b"\x09\x03\x03k\x02\x01\x04\x07",
        Value::EcmaArray(Object::new().with("k", Value::Boolean(false)).with("0", 7.0)),
    );
}

#[test]
fn objects_have_properties_of_their_class_and_their_own() {
    // Anonymous and dynamic.
    check(b"\x0a\x0b\x01\x03a\x04\x01\x01", Value::Object(Object::new().with("a", 1.0)));
    // Two sealed properties, nothing more.
    check(
        b"\x0a\x23\x03C\x03a\x03b\x03\x04\x02",
        Value::Typed {
            class: "C".to_owned(),
            object: Object::new().with("a", Value::Boolean(true)).with("b", 2.0),
        },
    );
    // One of each, and a second object with the same traits, whose names are references.
    // The name "z" of the second is string 2, after the class and "a".
    let bytes = b"\x0a\x1b\x03C\x03a\x04\x01\x03z\x01\x01\x0a\x01\x04\x02\x04\x01\x01";
    let typed = |object| Value::Typed { class: "C".to_owned(), object };
    let first = typed(Object::new().with("a", 1.0).with("z", Value::Null));
    let second = typed(Object::new().with("a", 2.0).with("z", Value::Null));
    assert_eq!(read(bytes).unwrap().0, [first, second]);
    assert_eq!(error(b"\x0a\x05"), AmfError::BadReference);
}

#[test]
fn vectors_are_arrays() {
    check(b"\x0d\x05\x00\xff\xff\xff\xff\0\0\0\x02", Value::StrictArray(vec![(-1.0).into(), 2.0.into()]));
    check(b"\x0e\x03\x01\xff\xff\xff\xff", Value::StrictArray(vec![4_294_967_295.0.into()]));
    check(b"\x0f\x03\x00\x3f\xf0\0\0\0\0\0\0", Value::StrictArray(vec![1.0.into()]));
    check(b"\x10\x05\x00\x01\x06\x03a\x01", Value::StrictArray(vec!["a".into(), Value::Null]));
}

#[test]
fn dictionaries_are_told_by_their_keys_text() {
    let entries = Object::new().with("a", 1.0).with("2", "b").with("true", Value::Null);
    check(b"\x11\x07\x00\x06\x03a\x04\x01\x04\x02\x06\x03b\x03\x01", Value::EcmaArray(entries));
    let got = read(b"\x11\x03\x00\x0a\x0b\x01\x01\x04\x01");
    assert_eq!(
        got,
        Ok((vec![Value::EcmaArray(Object::new())], Form::Reduced)),
        "a key that is an object is lost"
    );
}

#[test]
fn bytes_cannot_be_told() {
    assert_eq!(read(b"\x0c\x07abc"), Ok((vec![Value::Unsupported], Form::Reduced)));
}

#[test]
fn a_reference_repeats_the_value() {
    let object = Value::Object(Object::new().with("a", "x"));
    let twice = Value::StrictArray(vec![object.clone(), object.clone()]);
    // The array is 0, the object 1.
    check(b"\x09\x05\x01\x0a\x0b\x01\x03a\x06\x03x\x01\x0a\x02", twice.clone());
    let (values, _) = read(b"\x09\x05\x01\x0a\x0b\x01\x03a\x06\x03x\x01\x0a\x02\x0a\x02\x09\x00").unwrap();
    assert_eq!(values, [twice.clone(), object, twice], "and from one value of the message to the next");
    // Dates and byte arrays have numbers, too.
    check(
        b"\x09\x05\x01\x08\x01\x40\x59\0\0\0\0\0\0\x08\x02",
        Value::StrictArray(vec![Value::Date { unix_ms: 100.0, zone: 0 }; 2]),
    );
    assert_eq!(error(b"\x0a\x02"), AmfError::BadReference);
}

#[test]
fn a_cycle_ends_at_null() {
    let got = read(b"\x0a\x0b\x01\x09self\x0a\x00\x01");
    let object = Object::new().with("self", Value::Null);
    assert_eq!(got, Ok((vec![Value::Object(object)], Form::Reduced)));
}

#[test]
fn an_externalizable_object_is_refused_by_name() {
    let class = b"flex.messaging.io.ArrayCollection";
    let mut bytes = b"\x0a\x07\x43".to_vec();
    bytes.extend_from_slice(class);
    bytes.extend_from_slice(b"\x09\x01\x01");
    let text = error(&bytes).to_string();
    assert_eq!(
        text,
        "an externalizable object of the class \"flex.messaging.io.ArrayCollection\" cannot be read"
    );
    // A class name of any length, cut at a character.
    let mut bytes = b"\x0a\x07\x88\x01".to_vec();
    bytes.extend("é".repeat(256).bytes());
    let AmfError::Externalizable(class) = error(&bytes) else { panic!() };
    assert_eq!(class.len(), 128);
}

#[test]
fn nesting_ends_at_the_limit_whatever_nests() {
    for opener in [
        &b"\x09\x03\x01"[..],
        b"\x0a\x0b\x01\x03a",
        b"\x10\x03\x00\x01",
        b"\x11\x03\x00\x01",
        b"\x0a\x13\x03C\x03a",
    ] {
        assert_eq!(error(&opener.repeat(10_000)), AmfError::TooDeep(32), "{opener:x?}");
    }
    let mixed = [b"\x0a\0\0\0\x01".repeat(16), b"\x11".to_vec(), b"\x09\x03\x01".repeat(17)].concat();
    let got = AmfReader::new(&mixed, AmfLimits::default()).all();
    assert_eq!(got, Err(AmfError::TooDeep(32)), "AMF0 and AMF3 count together");
}

#[test]
fn references_that_refer_to_references_end_at_the_bound() {
    // Object n holds object n - 1 twice: 2^20 values in a few bytes.
    let mut bytes = b"\x09\x29\x01\x09\x01\x01".to_vec();
    for n in 1..20u8 {
        bytes.extend_from_slice(&[0x09, 0x05, 0x01, 0x09, n * 2, 0x09, n * 2]);
    }
    assert_eq!(error(&bytes), AmfError::TooManyValues(4096));
    // Depth by references alone.
    let mut bytes = b"\x09\x81\x01\x01\x09\x01\x01".to_vec();
    for n in 1..64u8 {
        bytes.extend_from_slice(&[0x09, 0x03, 0x01, 0x09, n * 2]);
    }
    assert!(matches!(error(&bytes), AmfError::TooDeep(32) | AmfError::Truncated));
}

#[test]
fn text_that_references_repeat_is_bounded() {
    let mut bytes = b"\x06\x87\xa1\x01".to_vec();
    bytes.extend(vec![b'x'; 59_456]);
    let len = bytes.len();
    bytes.extend_from_slice(&b"\x06\x00".repeat(4000));
    assert!(len < 64 << 10);
    assert_eq!(error(&bytes), AmfError::TooMuchText(256 << 10));
    // Names, by the traits of a class.
    let mut bytes = b"\x0a\x13\x01\x87\xa1\x01".to_vec();
    bytes.extend(vec![b'n'; 59_456]);
    bytes.push(1);
    bytes.extend_from_slice(&b"\x0a\x01\x01".repeat(2000));
    assert_eq!(error(&bytes), AmfError::TooMuchText(256 << 10));
}

#[test]
fn a_count_takes_no_memory_and_values_are_bounded() {
    for bytes in [
        &b"\x09\xff\xff\xff\xff\x01"[..],
        b"\x0d\xff\xff\xff\xff\x00",
        b"\x11\xff\xff\xff\xff\x00",
        b"\x0a\xff\xff\xff\xfb\x01",
        b"\x0c\xff\xff\xff\xff\x00",
        b"\x06\xff\xff\xff\xff\x00",
    ] {
        assert_eq!(error(bytes), AmfError::Truncated, "{bytes:x?}");
    }
    assert_eq!(read(&[1; 4096]).map(|(values, _)| values.len()), Ok(4096));
    assert_eq!(error(&[1; 4097]), AmfError::TooManyValues(4096));
    let vector = [b"\x0d\xff\x7f\x00".to_vec(), vec![0; 4 * 8191]].concat();
    assert_eq!(error(&vector), AmfError::TooManyValues(4096));
    let names = [b"\x0a\xff\xff\xff\x73\x01".to_vec(), vec![1; 10_000]].concat();
    assert_eq!(error(&names), AmfError::TooManyValues(4096), "names of a class count");
}

#[test]
fn what_is_cut_off_is_an_error_and_no_panic() {
    let whole = b"\x09\x05\x03k\x06\x03v\x01\x0a\x1b\x03C\x03a\x04\x01\x03z\x05\0\0\0\0\0\0\0\0\x01\x11\x03\x00\x06\x00\x01";
    assert!(read(whole).is_ok(), "{:?}", read(whole));
    for end in 1..whole.len() {
        assert_eq!(error(&whole[..end]), AmfError::Truncated, "{end}");
    }
    for marker in [0x12, 0x20, 0xff] {
        assert_eq!(error(&[marker, 1, 1, 1]), AmfError::BadMarker(marker));
    }
}

#[test]
fn a_message_of_amf0_switches_value_by_value_and_keeps_its_tables() {
    let bytes = b"\x02\0\x01a\x11\x06\x03s\x03\0\x01p\x11\x06\x00\0\0\x09\x11\x04\x05";
    let mut reader = AmfReader::new(bytes, AmfLimits::default());
    let expect =
        vec!["a".into(), "s".into(), Value::Object(Object::new().with("p", "s")), Value::Number(5.0)];
    assert_eq!(reader.all(), Ok(expect));
    assert_eq!(reader.form(), Form::Converted);
}

#[test]
fn a_reference_of_amf0_beside_amf3_cannot_be_converted() {
    let bytes = b"\x03\0\0\x09\x11\x09\x01\x01\x07\0\0";
    let mut reader = AmfReader::new(bytes, AmfLimits::default());
    reader.all().unwrap();
    assert_eq!(reader.form(), Form::Reduced, "the number of its object may have changed");
}

#[test]
fn a_name_too_long_for_amf0_is_a_loss() {
    let mut bytes = b"\x0a\x0b\x01\x88\x80\x03".to_vec();
    bytes.extend(vec![b'n'; 0x10001]);
    bytes.extend_from_slice(b"\x01\x01");
    assert_eq!(read(&bytes).map(|(_, form)| form), Ok(Form::Reduced));
}

#[test]
fn what_was_converted_reads_the_same_in_amf0() {
    let bytes = b"\x09\x05\x03k\x06\x03v\x01\x0a\x1b\x03C\x03a\x04\x01\x03z\x05\0\0\0\0\0\0\0\0\x01\x0d\x03\x00\0\0\0\x01";
    let (values, form) = read(bytes).unwrap();
    assert_eq!(form, Form::Converted);
    let mut amf0 = Vec::new();
    values.iter().for_each(|value| write(value, &mut amf0));
    assert_eq!(AmfReader::new(&amf0, AmfLimits::default()).all(), Ok(values));
}
