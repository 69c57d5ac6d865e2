//! `profile_tier_level` of ITU-T H.265 §7.3.3.

use crate::codec::bits::Bits;

/// Bits of a profile, and of a level.
const PROFILE_BITS: usize = 88;
const LEVEL_BITS: usize = 8;

/// Goes over profile, tier and levels of a parameter set whose pictures have this many sub-layers after the first.
pub(super) fn skip(bits: &mut Bits<'_>, more_sub_layers: u32) -> Option<()> {
    bits.skip(PROFILE_BITS + LEVEL_BITS)?;
    let mut present = Vec::with_capacity(8);
    for _ in 0..more_sub_layers {
        present.push((bits.flag()?, bits.flag()?));
    }
    if more_sub_layers > 0 {
        for _ in more_sub_layers..8 {
            bits.skip(2)?;
        }
    }
    for (profile, level) in present {
        bits.skip(if profile { PROFILE_BITS } else { 0 })?;
        bits.skip(if level { LEVEL_BITS } else { 0 })?;
    }
    Some(())
}
