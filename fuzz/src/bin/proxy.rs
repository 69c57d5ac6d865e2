//! The PROXY header and networks: a beginning of a header says nothing else than the whole, and a network that
//! was read is written in a form that reads the same.
#![no_main]

use jackfield_net::proxy::{self, MAX_HEADER_BYTES, Network, Networks, Start};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let whole = proxy::read(data);
    if let Ok(Start::Header { length, .. }) = whole {
        assert!(length <= data.len() && length <= MAX_HEADER_BYTES);
        assert_eq!(proxy::read(&data[..length]), whole);
    }
    // Whoever reads as bytes arrive comes to the same end, and never waits for more than a header can have.
    for end in 0..data.len() {
        let early = proxy::read(&data[..end]);
        assert!(early == Ok(Start::Partial) || early == whole, "{end}: {early:?}");
        assert!(early != Ok(Start::Partial) || end < MAX_HEADER_BYTES);
    }

    let Some(network) = str::from_utf8(data).ok().and_then(|text| text.parse::<Network>().ok()) else {
        return;
    };
    let text = network.to_string();
    assert_eq!(text.parse(), Ok(network));
    let (ip, _) = text.split_once('/').expect("a network has a prefix");
    let networks: Networks = [network].into_iter().collect();
    assert!(networks.contains(ip.parse().expect("a network has an address")), "{text}");
});
