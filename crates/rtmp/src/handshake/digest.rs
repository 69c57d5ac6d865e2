//! Digests of the handshake: where they lie in a block, and how they are made.
//!
//! There is no official specification; the scheme is what Flash Player 9 and Flash Media Server 3
//! speak, and what every implementation since has agreed on.

use super::{BLOCK, Block};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Bytes of a digest.
pub(super) const DIGEST: usize = 32;
/// Where the digest of C2 and S2 begins: at their end.
pub(super) const TAIL: usize = BLOCK - DIGEST;

/// Offsets are the sum of four bytes modulo this.
const OFFSET_MODULUS: usize = 728;

/// The second half of both keys.
const KEY_TAIL: [u8; 32] = [
    0xf0, 0xee, 0xc2, 0x4a, 0x80, 0x68, 0xbe, 0xe8, 0x2e, 0x00, 0xd0, 0xd1, 0x02, 0x9e, 0x7e, 0x57, 0x6e,
    0xec, 0x5d, 0x2d, 0x29, 0x80, 0x6f, 0xab, 0x93, 0xb8, 0xe6, 0x36, 0xcf, 0xeb, 0x31, 0xae,
];

/// Whose digest it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Client,
    Server,
}

impl Side {
    /// The key of the digest in C1 or S1.
    fn short_key(self) -> &'static [u8] {
        match self {
            Self::Client => b"Genuine Adobe Flash Player 001",
            Self::Server => b"Genuine Adobe Flash Media Server 001",
        }
    }

    /// The key of the key of C2 or S2.
    fn long_key(self) -> Vec<u8> {
        [self.short_key(), &KEY_TAIL].concat()
    }
}

/// Where C1 and S1 hide their digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DigestScheme {
    /// In the second half: the offset is told by bytes 772 to 775.
    Scheme0,
    /// In the first half: the offset is told by bytes 8 to 11.
    Scheme1,
}

impl DigestScheme {
    /// Both, in the order in which they are tried.
    pub(super) const ALL: [Self; 2] = [Self::Scheme0, Self::Scheme1];

    fn offset_at(self) -> usize {
        match self {
            Self::Scheme0 => 772,
            Self::Scheme1 => 8,
        }
    }

    /// Where the digest begins in this block. At most 776 + 727, so the digest always fits.
    fn digest_at(self, block: &Block) -> usize {
        let at = self.offset_at();
        let sum: usize = block.iter().skip(at).take(4).map(|&b| usize::from(b)).sum();
        at + 4 + sum % OFFSET_MODULUS
    }

    /// Writes the digest of the side into its C1 or S1, and returns it.
    pub(super) fn sign(self, side: Side, block: &mut Block) -> [u8; DIGEST] {
        let at = self.digest_at(block);
        let digest = digest_around(side, block, at);
        for (to, from) in block.iter_mut().skip(at).zip(digest) {
            *to = from;
        }
        digest
    }

    /// The digest in the side's C1 or S1, if it is right.
    pub(super) fn verify(self, side: Side, block: &Block) -> Option<[u8; DIGEST]> {
        let at = self.digest_at(block);
        let found: &[u8; DIGEST] = block.get(at..)?.first_chunk()?;
        (*found == digest_around(side, block, at)).then_some(*found)
    }
}

/// The digest of a block without the 32 bytes at `at`.
fn digest_around(side: Side, block: &Block, at: usize) -> [u8; DIGEST] {
    let (before, rest) = block.split_at(at.min(BLOCK));
    let after = rest.get(DIGEST..).unwrap_or_default();
    hmac(side.short_key(), &[before, after])
}

/// The digest that ends the side's C2 or S2: keyed by the other side's digest.
pub(super) fn tail(side: Side, others: &[u8; DIGEST], block: &Block) -> [u8; DIGEST] {
    let key = hmac(&side.long_key(), &[others]);
    let (body, _digest) = block.split_at(TAIL);
    hmac(&key, &[body])
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; DIGEST] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("invariant: HMAC takes keys of any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}
