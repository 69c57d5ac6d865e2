//! What the tests of all codecs need.

use crate::{Codec, Track, TrackId, TrackKind};

pub(super) fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(hex.get(at..at + 2).unwrap(), 16).unwrap())
        .collect()
}

pub(super) fn video() -> Track {
    Track::bare(TrackId::VIDEO, TrackKind::Video, Codec::Other("none"))
}

/// Calls `parse` with 20,000 mutations of each seed: bytes changed, runs of zeros and ones, cuts.
pub(super) fn hostile(seeds: &[&str], parse: impl Fn(&[u8]) -> bool) {
    let mut seed = 7u32;
    let mut next = move || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 16) as usize
    };
    for hex in seeds {
        for _ in 0..20_000 {
            let mut input = bytes(hex);
            for _ in 0..=next() % 4 {
                let at = next() % input.len();
                let run = next() % 6;
                let value = [0, 0xff, u8::try_from(next() % 256).unwrap()][next() % 3];
                input.iter_mut().skip(at).take(run).for_each(|byte| *byte = value);
            }
            input.truncate(input.len() - next() % (input.len() / 4 + 1));
            std::hint::black_box(parse(&input));
        }
    }
}
