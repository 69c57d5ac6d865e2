//! Chance from the kernel: ids, handshake bytes, jitter.

use std::time::Duration;

/// Fills the buffer with random bytes.
pub fn fill(buffer: &mut [u8]) {
    let mut rest = buffer;
    while !rest.is_empty() {
        match rustix::rand::getrandom(&mut *rest, rustix::rand::GetRandomFlags::empty()) {
            Ok(got) => rest = rest.get_mut(got..).unwrap_or_default(),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => panic_without_chance(error),
        }
    }
}

/// A kernel without `getrandom` cannot run this server: nothing it makes could be kept secret.
#[expect(clippy::panic, reason = "there is no safe way on, and no input from outside leads here")]
fn panic_without_chance(error: rustix::io::Errno) -> ! {
    panic!("the kernel gives no random bytes: {error}")
}

/// A random number.
#[must_use]
pub fn number() -> u64 {
    let mut bytes = [0; 8];
    fill(&mut bytes);
    u64::from_ne_bytes(bytes)
}

/// The duration, up to a fifth longer or shorter.
#[must_use]
pub fn jittered(duration: Duration) -> Duration {
    let permille = 800 + number() % 401;
    duration.saturating_mul(u32::try_from(permille).unwrap_or(1000)) / 1000
}
