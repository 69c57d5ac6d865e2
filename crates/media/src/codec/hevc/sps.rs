//! Sequence and video parameter sets of ITU-T H.265 §7.3.2, as far as size and frame rate need it.
//!
//! Every count that a set declares is checked against what the specification allows before anything loops
//! over it, and every step of a loop takes bits, of which there are few.

use super::{Picture, ptl};
use crate::codec::bits::Bits;
use crate::codec::{rate_of, size_of};

/// §7.4.3.2.1: short-term reference picture sets, long-term pictures, and pictures in one set.
const MAX_SHORT_TERM_SETS: u32 = 64;
const MAX_LONG_TERM_PICTURES: u32 = 32;
const MAX_SET_PICTURES: usize = 16;
/// §7.4.3.1: layer sets.
const MAX_LAYER_SETS: u32 = 1024;

/// Reads a sequence parameter set without its NAL unit header.
pub(super) fn parse(set: &[u8]) -> Option<Picture> {
    let bits = &mut Bits::new(set);
    bits.skip(4)?;
    let more_sub_layers = bits.read(3)?;
    bits.skip(1)?;
    ptl::skip(bits, more_sub_layers)?;
    bits.exp_golomb()?;
    let (width, height) = size(bits)?;
    // The size is worth something without the rate.
    let fps = rate(bits, more_sub_layers).flatten();
    Some(Picture { width, height, fps })
}

/// Chroma format, size and conformance window.
fn size(bits: &mut Bits<'_>) -> Option<(u32, u32)> {
    let chroma_format = bits.exp_golomb()?;
    if chroma_format == 3 {
        bits.skip(1)?;
    }
    let (width, height) = (bits.exp_golomb()?, bits.exp_golomb()?);
    let (mut cut_width, mut cut_height) = (0u64, 0u64);
    if bits.flag()? {
        // Table 6-1: in units of the chroma samples.
        let (unit_width, unit_height) = match chroma_format {
            1 => (2, 2),
            2 => (2, 1),
            _ => (1, 1),
        };
        cut_width = unit_width * (u64::from(bits.exp_golomb()?) + u64::from(bits.exp_golomb()?));
        cut_height = unit_height * (u64::from(bits.exp_golomb()?) + u64::from(bits.exp_golomb()?));
    }
    let cropped = |full: u32, cut: u64| u32::try_from(u64::from(full).checked_sub(cut)?).ok();
    size_of(cropped(width, cut_width)?, cropped(height, cut_height)?)
}

/// From the bit depths to the timing in the usability information; `Some(None)` if that is not told.
fn rate(bits: &mut Bits<'_>, more_sub_layers: u32) -> Option<Option<u32>> {
    bits.exp_golomb()?;
    bits.exp_golomb()?;
    let order_count_bits = bits.exp_golomb()?.checked_add(4).filter(|count| *count <= 16)?;
    sub_layer_ordering(bits, more_sub_layers)?;
    for _ in 0..6 {
        bits.exp_golomb()?;
    }
    if bits.flag()? && bits.flag()? {
        skip_scaling_lists(bits)?;
    }
    bits.skip(2)?;
    if bits.flag()? {
        bits.skip(8)?;
        bits.exp_golomb()?;
        bits.exp_golomb()?;
        bits.skip(1)?;
    }
    skip_short_term_sets(bits)?;
    if bits.flag()? {
        let pictures = bits.exp_golomb().filter(|count| *count <= MAX_LONG_TERM_PICTURES)?;
        for _ in 0..pictures {
            bits.skip(order_count_bits as usize + 1)?;
        }
    }
    bits.skip(2)?;
    if bits.flag()? { usability(bits) } else { Some(None) }
}

/// Three numbers for each sub-layer, or for the last one alone.
fn sub_layer_ordering(bits: &mut Bits<'_>, more_sub_layers: u32) -> Option<()> {
    let all = bits.flag()?;
    let rounds = if all { more_sub_layers + 1 } else { 1 };
    for _ in 0..3 * rounds {
        bits.exp_golomb()?;
    }
    Some(())
}

/// §7.3.4.
fn skip_scaling_lists(bits: &mut Bits<'_>) -> Option<()> {
    for size in 0..4u32 {
        for _ in 0..if size == 3 { 2 } else { 6 } {
            if !bits.flag()? {
                bits.exp_golomb()?;
                continue;
            }
            let coefficients = 64.min(1 << (4 + 2 * size));
            let all = coefficients + u32::from(size > 1);
            for _ in 0..all {
                bits.exp_golomb()?;
            }
        }
    }
    Some(())
}

/// §7.3.7. A set may be told as the difference from the one before it, so its pictures must be known.
fn skip_short_term_sets(bits: &mut Bits<'_>) -> Option<()> {
    let sets = bits.exp_golomb().filter(|count| *count <= MAX_SHORT_TERM_SETS)?;
    let mut former: Vec<i64> = Vec::new();
    for index in 0..sets {
        let by_difference = index > 0 && bits.flag()?;
        former = if by_difference { differing_set(bits, &former)? } else { whole_set(bits)? };
        if former.len() > MAX_SET_PICTURES {
            return None;
        }
    }
    Some(())
}

/// Distances of the pictures in the set: those before, the nearest first, then those after.
fn whole_set(bits: &mut Bits<'_>) -> Option<Vec<i64>> {
    let (before, after) = (bits.exp_golomb()?, bits.exp_golomb()?);
    let bound = |count: u32| usize::try_from(count).ok().filter(|count| *count <= MAX_SET_PICTURES);
    let mut distances = Vec::with_capacity(MAX_SET_PICTURES);
    for (count, sign) in [(bound(before)?, -1), (bound(after)?, 1)] {
        let mut distance = 0i64;
        for _ in 0..count {
            distance += sign * (i64::from(bits.exp_golomb()?) + 1);
            bits.skip(1)?;
            distances.push(distance);
        }
    }
    Some(distances)
}

/// §7.4.8, equations 7-61 and 7-62: the former set shifted, without what it leaves out or what falls on the picture
/// itself.
fn differing_set(bits: &mut Bits<'_>, former: &[i64]) -> Option<Vec<i64>> {
    let negative = bits.flag()?;
    let shift = i64::from(bits.exp_golomb()?) + 1;
    let shift = if negative { -shift } else { shift };
    let mut distances = Vec::with_capacity(MAX_SET_PICTURES);
    for distance in former.iter().copied().chain([0]) {
        let used = bits.flag()?;
        let kept = used || bits.flag()?;
        let shifted = distance.checked_add(shift)?;
        if kept && shifted != 0 {
            distances.push(shifted);
        }
    }
    distances.sort_by_key(|distance| (*distance > 0, distance.abs()));
    Some(distances)
}

/// Annex E.2.1 up to its timing.
fn usability(bits: &mut Bits<'_>) -> Option<Option<u32>> {
    const EXTENDED_ASPECT: u32 = 255;
    if bits.flag()? && bits.read(8)? == EXTENDED_ASPECT {
        bits.skip(32)?;
    }
    if bits.flag()? {
        bits.skip(1)?;
    }
    if bits.flag()? {
        bits.skip(4)?;
        if bits.flag()? {
            bits.skip(24)?;
        }
    }
    if bits.flag()? {
        bits.exp_golomb()?;
        bits.exp_golomb()?;
    }
    bits.skip(1)?;
    let fields = bits.flag()?;
    bits.skip(1)?;
    if bits.flag()? {
        for _ in 0..4 {
            bits.exp_golomb()?;
        }
    }
    timing(bits, if fields { 2 } else { 1 })
}

/// A flag, and behind it the units and the scale of the clock.
fn timing(bits: &mut Bits<'_>, pictures_per_frame: u64) -> Option<Option<u32>> {
    if !bits.flag()? {
        return Some(None);
    }
    let (units, scale) = (bits.read(32)?, bits.read(32)?);
    Some(rate_of(u64::from(scale), u64::from(units) * pictures_per_frame))
}

/// The frame rate in a video parameter set without its NAL unit header (§7.3.2.1).
pub(super) fn vps_rate(set: &[u8]) -> Option<u32> {
    let bits = &mut Bits::new(set);
    bits.skip(4 + 2 + 6)?;
    let more_sub_layers = bits.read(3)?;
    bits.skip(1 + 16)?;
    ptl::skip(bits, more_sub_layers)?;
    sub_layer_ordering(bits, more_sub_layers)?;
    let layers = bits.read(6)? as usize + 1;
    let more_sets = bits.exp_golomb().filter(|count| *count < MAX_LAYER_SETS)?;
    for _ in 0..more_sets {
        bits.skip(layers)?;
    }
    timing(bits, 1)?
}
