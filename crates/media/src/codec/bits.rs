//! Reading single bits, the most significant first.

/// A cursor over bits. Reading past the end gives `None` and stays there.
#[derive(Debug, Clone)]
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Bits<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The next `count` bits (at most 32) as a number.
    pub(super) fn read(&mut self, count: usize) -> Option<u32> {
        if count > self.left() {
            self.at = self.bytes.len() * 8;
            return None;
        }
        let mut value = 0;
        for _ in 0..count {
            let byte = self.bytes.get(self.at / 8)?;
            value = value << 1 | u32::from(byte >> (7 - self.at % 8) & 1);
            self.at += 1;
        }
        Some(value)
    }

    /// The next `count` bits (at most 8) as a small number.
    pub(super) fn small(&mut self, count: usize) -> Option<u8> {
        self.read(count).and_then(|value| u8::try_from(value).ok())
    }

    /// One bit.
    pub(super) fn flag(&mut self) -> Option<bool> {
        self.read(1).map(|bit| bit == 1)
    }

    /// Goes over bits.
    pub(super) fn skip(&mut self, count: usize) -> Option<()> {
        let enough = count <= self.left();
        self.at = if enough { self.at + count } else { self.bytes.len() * 8 };
        enough.then_some(())
    }

    /// Goes over the rest of a byte that was begun.
    pub(super) fn align(&mut self) {
        self.at = self.at.next_multiple_of(8);
    }

    /// `ue(v)` of ITU-T H.264 §9.1, H.265 §9.2, H.266 §9.2, and `uvlc()` of AV1 §4.10.3: an Exp-Golomb code of at most
    /// 63 bits.
    pub(super) fn exp_golomb(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while !self.flag()? {
            zeros += 1;
            if zeros > 31 {
                return None;
            }
        }
        Some((1u32 << zeros) - 1 + self.read(zeros)?)
    }

    /// How many bits are left.
    pub(super) fn left(&self) -> usize {
        self.bytes.len() * 8 - self.at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_golomb_codes_of_the_specification() {
        // 1, 010, 011, 00100, 00111, 0001000
        let bytes = [0b1010_0110, 0b0100_0011, 0b1000_1000];
        let mut bits = Bits::new(&bytes);
        let codes: Vec<_> = std::iter::from_fn(|| bits.exp_golomb()).collect();
        assert_eq!(codes, [0, 1, 2, 3, 6, 7]);
    }

    #[test]
    fn the_longest_code_fits_and_a_longer_one_ends_it() {
        let longest = [0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff];
        assert_eq!(Bits::new(&longest).exp_golomb(), Some(u32::MAX - 1));
        assert_eq!(Bits::new(&[0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff]).exp_golomb(), None);
        assert_eq!(Bits::new(&[0]).exp_golomb(), None);
    }

    #[test]
    fn nothing_is_read_past_the_end() {
        let mut bits = Bits::new(&[0xff]);
        assert_eq!((bits.read(3), bits.read(6), bits.left()), (Some(7), None, 0));
        assert_eq!((bits.skip(1), bits.skip(0)), (None, Some(())));
        let mut bits = Bits::new(&[0xff, 0x80]);
        bits.skip(1).unwrap();
        bits.align();
        assert_eq!((bits.small(1), bits.left()), (Some(1), 7));
    }
}
