//! What fuzz targets share: how an input is divided into settings and pieces, and messages made of choices,
//! a whole server.

pub mod live;
pub mod memory;
pub mod messages;

/// Divides bytes into pieces whose sizes follow from the first byte: all at once, one by one, or in a
/// pattern. Every parser must see the same whatever the pieces.
pub fn pieces(pattern: u8, bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes;
    let mut step = u32::from(pattern);
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let size = match pattern {
            0 => rest.len(),
            _ => {
                step = step.wrapping_mul(1_664_525).wrapping_add(u32::from(pattern));
                1 + (step >> 16) as usize % usize::from(pattern)
            }
        };
        let (piece, after) = rest.split_at(size.min(rest.len()));
        rest = after;
        Some(piece)
    })
}
