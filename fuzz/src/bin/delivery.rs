//! A record of the journal of deliveries, whatever it is: what reads as one is written in a form that reads the same.
#![no_main]

use jackfield_dispatch::DeliveryEntry;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some(entry) = DeliveryEntry::parse(input) else { return };
    let written = entry.to_bytes();
    assert_eq!(DeliveryEntry::parse(&written), Some(entry));
});
