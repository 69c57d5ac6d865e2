//! Tests of the handshake.

use super::digest::{DIGEST, Side};
use super::*;
use crate::{Error, Input};
use bytes::Bytes;

const KINDS: [HandshakeKind; 3] = [
    HandshakeKind::Simple,
    HandshakeKind::Digest(DigestScheme::Scheme0),
    HandshakeKind::Digest(DigestScheme::Scheme1),
];

fn input(bytes: &[u8]) -> Input {
    let mut input = Input::default();
    input.push(Bytes::copy_from_slice(bytes));
    input
}

/// C0 C1, and the client that sent them.
fn begin(kind: HandshakeKind) -> (ClientHandshake, Vec<u8>) {
    let mut out = Vec::new();
    (ClientHandshake::start(kind, 11, &mut out), out)
}

/// What the server answers to C0 C1.
fn answer_to(c0c1: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    assert_eq!(ServerHandshake::new(22).advance(&mut input(c0c1), &mut out), Ok(Progress::Pending));
    out
}

#[test]
fn both_sides_agree_on_the_kind_and_leave_what_follows() {
    for kind in KINDS {
        let (mut client, c0c1) = begin(kind);
        let mut server = ServerHandshake::new(22);
        let (mut to_client, mut to_server) = (Vec::new(), Vec::new());
        assert_eq!(server.advance(&mut input(&c0c1), &mut to_client), Ok(Progress::Pending));
        to_client.extend_from_slice(b"next");
        let mut rest = input(&to_client);
        assert_eq!(client.advance(&mut rest, &mut to_server), Ok(Progress::Done(kind)));
        assert_eq!(rest.take_up_to(9), "next");
        to_server.extend_from_slice(b"chunk");
        let mut rest = input(&to_server);
        assert_eq!(server.advance(&mut rest, &mut Vec::new()), Ok(Progress::Done(kind)));
        assert_eq!(rest.take_up_to(9), "chunk");
    }
}

#[test]
fn a_handshake_is_read_whatever_its_pieces() {
    for kind in KINDS {
        let (mut client, c0c1) = begin(kind);
        let mut server = ServerHandshake::new(22);
        let (mut to_client, mut to_server) = (Vec::new(), Vec::new());
        for byte in &c0c1 {
            assert!(to_client.is_empty(), "nothing is sent before C1 is whole");
            assert_eq!(server.advance(&mut input(&[*byte]), &mut to_client), Ok(Progress::Pending));
        }
        let mut last = Ok(Progress::Pending);
        for byte in to_client {
            last = client.advance(&mut input(&[byte]), &mut to_server);
        }
        assert_eq!(last, Ok(Progress::Done(kind)));
        for byte in to_server {
            last = server.advance(&mut input(&[byte]), &mut Vec::new());
        }
        assert_eq!(last, Ok(Progress::Done(kind)));
    }
}

#[test]
fn any_other_version_ends_it_at_the_first_byte() {
    for first in [b"G", &[0x16], &[6], &[0], &[8]] {
        let got = ServerHandshake::new(1).advance(&mut input(first), &mut Vec::new());
        assert_eq!(got, Err(Error::Version(first[0])));
    }
}

/// Where the digest of C1 lies, and the digests of C1, S1 and S2 for fixed seeds, as an independent
/// implementation computes them.
#[test]
fn recorded_digests_are_made_again() {
    for (scheme, at, digests) in [
        (
            DigestScheme::Scheme0,
            1426,
            [
                "25c531d5ed09616ce3e6a2069826e5a96d6dd5cefd411096cc683b72818a8961",
                "c736da49a5fca73d9bc82a8e7735f4d4473253cc60287e4d439c8c54f97a51b8",
                "063ab5aa466e9de803e3c669b6a5a25b1c9f9d5d6f278b82a37be64549b572b7",
            ],
        ),
        (
            DigestScheme::Scheme1,
            380,
            [
                "106baca8cf08279d2a89bbf7fa8193169a4f3624efd0ea8972dd77b0039164e6",
                "0501173665a838dcac9ff910e402ec06cbccc220e3cde7fa0e9c56021f1f4199",
                "0bfb4bc078847b246cc69518daeef58fa864580d42ca05b2fc9529dd3c48fb50",
            ],
        ),
    ] {
        let (_, c0c1) = begin(HandshakeKind::Digest(scheme));
        let c1: Block = c0c1[1..].try_into().unwrap();
        let s0s1s2 = answer_to(&c0c1);
        let s1: Block = s0s1s2[1..=BLOCK].try_into().unwrap();
        let made = [
            hex(&scheme.verify(Side::Client, &c1).unwrap()),
            hex(&scheme.verify(Side::Server, &s1).unwrap()),
            hex(&s0s1s2[s0s1s2.len() - DIGEST..]),
        ];
        assert_eq!((hex(&c1[at..at + DIGEST]), made), (digests[0].to_owned(), digests.map(str::to_owned)));
    }
}

#[test]
fn the_digests_of_real_clients_are_verified() {
    for c0c1 in [
        include_bytes!("../../tests/data/c0c1_ffmpeg_5.1.bin"),
        include_bytes!("../../tests/data/c0c1_rtmpdump_2.4.bin"),
    ] {
        let c1: Block = c0c1[1..].try_into().unwrap();
        assert!(DigestScheme::Scheme1.verify(Side::Client, &c1).is_some());
        assert_eq!(answer_to(c0c1)[5..9], [4, 5, 0, 1], "S1 has a digest");
    }
}

#[test]
fn a_digest_that_is_wrong_is_answered_in_the_simple_form() {
    for kind in [KINDS[1], KINDS[2]] {
        let (_, mut c0c1) = begin(kind);
        c0c1[20] ^= 1;
        let s0s1s2 = answer_to(&c0c1);
        assert_eq!(s0s1s2[5..9], [0; 4], "S1 tells no version");
        assert_eq!(s0s1s2[1 + BLOCK..], c0c1[1..], "S2 echoes C1");
    }
}

#[test]
fn a_client_tells_a_false_server() {
    for (kind, at) in
        [(KINDS[1], 1 + 900), (KINDS[2], 1 + 900), (KINDS[1], 1 + BLOCK + 5), (KINDS[2], 2 * BLOCK)]
    {
        let (mut client, c0c1) = begin(kind);
        let mut s0s1s2 = answer_to(&c0c1);
        s0s1s2[at] ^= 1;
        assert_eq!(client.advance(&mut input(&s0s1s2), &mut Vec::new()), Err(Error::Digest));
    }
}

#[test]
fn a_client_with_digests_bears_a_simple_server() {
    let (mut client, _) = begin(KINDS[1]);
    let s0s1s2 = [&[3][..], &[0; 2 * BLOCK]].concat();
    let got = client.advance(&mut input(&s0s1s2), &mut Vec::new());
    assert_eq!(got, Ok(Progress::Done(HandshakeKind::Simple)));
}

/// FMS 3 was the first to know digests.
#[test]
fn a_server_of_version_3_is_held_to_its_digest_and_an_older_one_is_not() {
    for (major, expect) in [(3, KINDS[1]), (2, HandshakeKind::Simple)] {
        let (mut client, c0c1) = begin(KINDS[1]);
        let mut s0s1s2 = answer_to(&c0c1);
        let mut s1: Block = s0s1s2[1..=BLOCK].try_into().unwrap();
        s1[4] = major;
        DigestScheme::Scheme0.sign(Side::Server, &mut s1);
        s0s1s2[1..=BLOCK].copy_from_slice(&s1);
        let got = client.advance(&mut input(&s0s1s2), &mut Vec::new());
        assert_eq!(got, Ok(Progress::Done(expect)), "{major}");
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
