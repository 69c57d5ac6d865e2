//! AMF0, with AMF3 inside: no input panics or takes much memory, and what was read is written in a form that
//! reads the same.
#![no_main]

use jackfield_rtmp::amf::{self, AmfError, AmfLimits, AmfReader, Form, Value};
use libfuzzer_sys::fuzz_target;

fn encode(values: &[Value]) -> Vec<u8> {
    let mut out = Vec::new();
    values.iter().for_each(|value| amf::write(value, &mut out));
    out
}

fuzz_target!(|data: &[u8]| {
    let limits = AmfLimits::default();
    let mut reader = AmfReader::new(data, limits);
    let Ok(values) = reader.all() else { return };
    let form = reader.form();
    let once = encode(&values);
    let again = match AmfReader::new(&once, limits).all() {
        Ok(again) => again,
        // References of AMF3 were replaced by copies.
        Err(AmfError::TooManyValues(_)) if form != Form::Amf0 => return,
        Err(error) => panic!("what was written cannot be read: {error}"),
    };
    // Bytes are compared and not values: a NaN is not equal to itself.
    assert_eq!(once, encode(&again));
});
