//! The server's side: C0 and C1 in, S0 S1 S2 out in one piece, C2 in.

use super::digest::{self, DigestScheme, Side, TAIL};
use super::{BLOCK, Block, Collect, HandshakeKind, Progress, VERSION, fill};
use crate::{Error, Input};

/// The version that a digest S1 tells; clients expect 3 or more in its first byte.
const S1_VERSION: [u8; 4] = [4, 5, 0, 1];

/// The server's side of the handshake.
#[derive(Debug)]
pub struct ServerHandshake {
    seed: u64,
    state: State,
}

#[derive(Debug)]
enum State {
    /// C0 and C1 are being read.
    AwaitC1(Collect),
    /// So many bytes of C2 are missing. Its content is not looked at: encoders that answer with
    /// anything but an echo are common, and it proves nothing.
    AwaitC2 { left: usize, kind: HandshakeKind },
}

impl ServerHandshake {
    /// A handshake whose random bytes come from this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { seed, state: State::AwaitC1(Collect::default()) }
    }

    /// Takes what it needs off the input and appends to `out` what must be sent.
    ///
    /// # Errors
    /// [`Error::Version`] as soon as the first byte is not 3.
    pub fn advance(&mut self, input: &mut Input, out: &mut Vec<u8>) -> Result<Progress, Error> {
        if let State::AwaitC1(read) = &mut self.state {
            read.top_up(input, 1 + BLOCK);
            if let Some(&version) = read.0.first()
                && version != VERSION
            {
                return Err(Error::Version(version));
            }
            let Some(c1) = read.block(1) else {
                return Ok(Progress::Pending);
            };
            let kind = answer(&mut self.seed, c1, out);
            self.state = State::AwaitC2 { left: BLOCK, kind };
        }
        let State::AwaitC2 { left, kind } = &mut self.state else {
            return Ok(Progress::Pending);
        };
        while *left > 0 {
            let piece = input.take_up_to(*left);
            if piece.is_empty() {
                return Ok(Progress::Pending);
            }
            *left -= piece.len();
        }
        Ok(Progress::Done(*kind))
    }
}

/// Appends S0, S1 and S2 for this C1.
fn answer(seed: &mut u64, c1: &Block, out: &mut Vec<u8>) -> HandshakeKind {
    let mut s1 = [0; BLOCK];
    // The first eight bytes are the time, which nobody uses, and the version.
    fill(seed, s1.split_at_mut(8).1);
    let mut s2 = *c1;
    let kind = match client_digest(c1) {
        None => HandshakeKind::Simple,
        Some((scheme, theirs)) => {
            for (to, from) in s1.iter_mut().skip(4).zip(S1_VERSION) {
                *to = from;
            }
            scheme.sign(Side::Server, &mut s1);
            fill(seed, &mut s2);
            let end = digest::tail(Side::Server, &theirs, &s2);
            s2.split_at_mut(TAIL).1.copy_from_slice(&end);
            HandshakeKind::Digest(scheme)
        }
    };
    out.reserve(1 + 2 * BLOCK);
    out.push(VERSION);
    out.extend_from_slice(&s1);
    out.extend_from_slice(&s2);
    kind
}

/// The scheme and digest of a C1 that has one. A client that tells version 0 speaks the simple form.
fn client_digest(c1: &Block) -> Option<(DigestScheme, [u8; digest::DIGEST])> {
    if c1.get(4..8) == Some(&[0; 4]) {
        return None;
    }
    DigestScheme::ALL.into_iter().find_map(|scheme| Some((scheme, scheme.verify(Side::Client, c1)?)))
}
