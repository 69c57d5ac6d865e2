//! AMF0: no input panics or takes much memory, and what was read is written in a form that reads the same.
#![no_main]

use jackfield_rtmp::amf::{self, AmfLimits, AmfReader, Value};
use libfuzzer_sys::fuzz_target;

fn encode(values: &[Value]) -> Vec<u8> {
    let mut out = Vec::new();
    values.iter().for_each(|value| amf::write(value, &mut out));
    out
}

fuzz_target!(|data: &[u8]| {
    let limits = AmfLimits::default();
    let Ok(values) = AmfReader::new(data, limits).all() else { return };
    let once = encode(&values);
    let again = AmfReader::new(&once, limits).all().expect("what was written can be read");
    // Bytes are compared and not values: a NaN is not equal to itself.
    assert_eq!(once, encode(&again));
});
