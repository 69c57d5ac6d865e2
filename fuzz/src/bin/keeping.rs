//! A hook's cursor file and a record of the dead letters, whatever they are: what reads as one is written in a form that
//! reads the same.
#![no_main]

use jackfield_dispatch::parsers::{cursor_again, letter_again};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    for again in [cursor_again, letter_again] {
        if let Some(written) = again(input) {
            assert_eq!(again(&written).as_ref(), Some(&written));
        }
    }
});
