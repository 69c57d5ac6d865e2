//! The client's side: C0 C1 out, S0 S1 S2 in, C2 out.

use super::digest::{self, DigestScheme, Side, TAIL};
use super::{BLOCK, Block, Collect, HandshakeKind, Progress, VERSION, fill};
use crate::{Error, Input};

/// The version that a digest C1 tells: Flash Player 9.0.124.2.
const C1_VERSION: [u8; 4] = [9, 0, 124, 2];

/// The client's side of the handshake.
#[derive(Debug)]
pub struct ClientHandshake {
    seed: u64,
    kind: HandshakeKind,
    /// Our digest, in the digest form.
    digest: Option<[u8; digest::DIGEST]>,
    read: Collect,
    answered: Answered,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answered {
    NotYet,
    C2Sent,
}

impl ClientHandshake {
    /// Starts a handshake of this kind: appends C0 and C1 to `out`.
    #[must_use]
    pub fn start(kind: HandshakeKind, mut seed: u64, out: &mut Vec<u8>) -> Self {
        let mut c1 = [0; BLOCK];
        fill(&mut seed, c1.split_at_mut(8).1);
        let digest = match kind {
            HandshakeKind::Simple => None,
            HandshakeKind::Digest(scheme) => {
                for (to, from) in c1.iter_mut().skip(4).zip(C1_VERSION) {
                    *to = from;
                }
                Some(scheme.sign(Side::Client, &mut c1))
            }
        };
        out.push(VERSION);
        out.extend_from_slice(&c1);
        Self { seed, kind, digest, read: Collect::default(), answered: Answered::NotYet }
    }

    /// Takes what it needs off the input and appends C2 to `out` when S1 is there.
    ///
    /// # Errors
    /// [`Error::Version`] for another version than 3, [`Error::Digest`] if we sent a digest and the
    /// server answers with a wrong one. A server that speaks only the simple form is accepted.
    pub fn advance(&mut self, input: &mut Input, out: &mut Vec<u8>) -> Result<Progress, Error> {
        self.read.top_up(input, 1 + 2 * BLOCK);
        if let Some(&version) = self.read.0.first()
            && version != VERSION
        {
            return Err(Error::Version(version));
        }
        let Some(s1) = self.read.block(1) else {
            return Ok(Progress::Pending);
        };
        if self.answered == Answered::NotYet {
            let c2 = match self.digest {
                Some(_) if !is_simple(s1) => {
                    let theirs = server_digest(s1).ok_or(Error::Digest)?;
                    let mut c2 = [0; BLOCK];
                    fill(&mut self.seed, &mut c2);
                    let end = digest::tail(Side::Client, &theirs, &c2);
                    c2.split_at_mut(TAIL).1.copy_from_slice(&end);
                    c2
                }
                _ => {
                    self.kind = HandshakeKind::Simple;
                    *s1
                }
            };
            out.extend_from_slice(&c2);
            self.answered = Answered::C2Sent;
        }
        let Some(s2) = self.read.block(1 + BLOCK) else {
            return Ok(Progress::Pending);
        };
        if let (HandshakeKind::Digest(_), Some(ours)) = (self.kind, &self.digest)
            && s2.split_at(TAIL).1 != digest::tail(Side::Server, ours, s2)
        {
            return Err(Error::Digest);
        }
        Ok(Progress::Done(self.kind))
    }
}

fn is_simple(s1: &Block) -> bool {
    // Servers that know digests tell a version of at least 3.0.0.0 here.
    s1.get(4).is_none_or(|&major| major < 3)
}

fn server_digest(s1: &Block) -> Option<[u8; digest::DIGEST]> {
    DigestScheme::ALL.into_iter().find_map(|scheme| scheme.verify(Side::Server, s1))
}
