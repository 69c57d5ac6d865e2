//! What H.265 and H.266 have in common: parameter sets in records, and the bytes of a NAL unit.

/// The longest parameter set that is looked into. Real ones have some hundreds of bytes at most. Bounds the
/// work on hostile ones.
const MAX_SET_BYTES: usize = 4096;
/// Parameter sets of a record that are looked at.
const MAX_SETS: usize = 64;

/// NAL units in the arrays of a record, each with the first byte of its array.
pub(super) struct Sets<'a> {
    rest: &'a [u8],
    arrays: u8,
    header: u8,
    units: u16,
    seen: usize,
    /// Types whose arrays have one unit and no count of them.
    uncounted: &'static [u8],
}

impl<'a> Sets<'a> {
    /// Arrays of which each has a count.
    pub(super) fn new(sets: &'a [u8], arrays: u8) -> Self {
        Self { rest: sets, arrays, header: 0, units: 0, seen: 0, uncounted: &[] }
    }

    /// Arrays of which those of some types (in five bits) have none.
    pub(super) fn with_uncounted(sets: &'a [u8], arrays: u8, uncounted: &'static [u8]) -> Self {
        Self { uncounted, ..Self::new(sets, arrays) }
    }
}

impl<'a> Iterator for Sets<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        while self.units == 0 {
            self.arrays = self.arrays.checked_sub(1)?;
            let (&header, rest) = self.rest.split_first()?;
            (self.header, self.rest, self.units) = (header, rest, 1);
            if !self.uncounted.contains(&(header & 0x1f)) {
                let (units, rest) = self.rest.split_first_chunk::<2>()?;
                (self.units, self.rest) = (u16::from_be_bytes(*units), rest);
            }
        }
        self.seen += 1;
        if self.seen > MAX_SETS {
            return None;
        }
        self.units -= 1;
        let (length, rest) = self.rest.split_first_chunk::<2>()?;
        let (unit, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        self.rest = rest;
        Some((self.header, unit))
    }
}

/// The bytes of a NAL unit without those that prevent a start code in it (ITU-T H.265 §7.4.2); `None` if there are
/// too many.
pub(super) fn rbsp(unit: &[u8]) -> Option<Vec<u8>> {
    if unit.len() > MAX_SET_BYTES {
        return None;
    }
    let mut bytes = Vec::with_capacity(unit.len());
    let mut zeros = 0;
    for &byte in unit {
        if zeros >= 2 && byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        bytes.push(byte);
    }
    Some(bytes)
}
