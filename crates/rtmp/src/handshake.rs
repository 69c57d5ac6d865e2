//! The handshake (RTMP 1.0 §5.2) in its simple form and in the digest form that Flash introduced.
//!
//! Three blocks of 1536 bytes go each way. In the digest form C1 and S1 hide an HMAC-SHA256 at an
//! offset that the block itself tells, and C2 and S2 end with one that is keyed by the other side's.
//! The session calls [`ServerHandshake::advance`] until it is [`Progress::Done`].

mod client;
mod digest;
mod server;

pub use client::ClientHandshake;
pub use digest::DigestScheme;
pub use server::ServerHandshake;

/// The one version that is spoken: 3 (RTMP 1.0 §5.2.2). 6 and 8 are encrypted variants.
const VERSION: u8 = 3;
/// Bytes of C1, S1, C2 and S2.
const BLOCK: usize = 1536;

/// One of C1, S1, C2, S2.
type Block = [u8; BLOCK];

/// Which form of the handshake was spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HandshakeKind {
    /// Random bytes, echoed.
    Simple,
    /// Digests, verified.
    Digest(DigestScheme),
}

/// What a step of the handshake came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// All input was taken and more is needed.
    Pending,
    /// The handshake is complete; what is left of the input belongs to the chunk stream.
    Done(HandshakeKind),
}

/// Bytes that look random, made from a seed (SplitMix64). The handshake keeps no secret, so the
/// seed need only differ between connections.
fn fill(seed: &mut u64, block: &mut [u8]) {
    for part in block.chunks_mut(8) {
        *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = *seed;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        for (to, from) in part.iter_mut().zip(z.to_le_bytes()) {
            *to = from;
        }
    }
}

/// Collects bytes up to a fixed length.
#[derive(Debug, Default)]
struct Collect(Vec<u8>);

impl Collect {
    /// Takes what is missing to `want` bytes off the input's front.
    fn top_up(&mut self, input: &mut crate::Input, want: usize) {
        while self.0.len() < want {
            let piece = input.take_up_to(want - self.0.len());
            if piece.is_empty() {
                return;
            }
            self.0.extend_from_slice(&piece);
        }
    }

    /// The block that begins at this offset, once its last byte is there.
    fn block(&self, at: usize) -> Option<&Block> {
        self.0.get(at..)?.first_chunk()
    }
}

#[cfg(test)]
mod tests;
