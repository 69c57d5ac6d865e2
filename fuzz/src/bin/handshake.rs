//! Both sides of the handshake: no input panics, and the pieces make no difference.
#![no_main]

use bytes::Bytes;
use jackfield_fuzz::pieces;
use jackfield_rtmp::handshake::{ClientHandshake, DigestScheme, HandshakeKind, Progress, ServerHandshake};
use jackfield_rtmp::{Error, Input};
use libfuzzer_sys::fuzz_target;

type Outcome = (Result<Progress, Error>, Vec<u8>);

fn run(
    pattern: u8,
    bytes: &[u8],
    mut advance: impl FnMut(&mut Input, &mut Vec<u8>) -> Result<Progress, Error>,
) -> Outcome {
    let (mut input, mut out) = (Input::default(), Vec::new());
    let mut last = Ok(Progress::Pending);
    for piece in pieces(pattern, bytes) {
        input.push(Bytes::copy_from_slice(piece));
        last = advance(&mut input, &mut out);
        if last != Ok(Progress::Pending) {
            break;
        }
    }
    (last, out)
}

fuzz_target!(|data: &[u8]| {
    let Some((&pattern, bytes)) = data.split_first() else { return };
    let server = |pattern| {
        let mut server = ServerHandshake::new(1);
        run(pattern, bytes, |input, out| server.advance(input, out))
    };
    let whole = server(0);
    assert!(whole.1.len() <= 1 + 2 * 1536);
    assert_eq!(whole, server(pattern));
    for kind in [HandshakeKind::Simple, HandshakeKind::Digest(DigestScheme::Scheme0)] {
        let client = |pattern| {
            let mut client = ClientHandshake::start(kind, 1, &mut Vec::new());
            run(pattern, bytes, |input, out| client.advance(input, out))
        };
        let whole = client(0);
        assert_eq!(whole, client(pattern));
    }
});
