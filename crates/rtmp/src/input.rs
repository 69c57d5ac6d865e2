//! Received bytes that wait to be parsed: pieces of any size, read as one.

use bytes::{Buf, Bytes};
use std::collections::VecDeque;

/// A queue of received pieces. Taking from it copies only what lies across a border of two.
#[derive(Debug, Default)]
pub struct Input {
    /// The front piece; empty only if all is.
    front: Bytes,
    rest: VecDeque<Bytes>,
    /// Bytes in `front` and `rest`.
    len: usize,
}

impl Input {
    /// Appends a received piece.
    pub fn push(&mut self, piece: Bytes) {
        if piece.is_empty() {
            return;
        }
        self.len += piece.len();
        if self.front.is_empty() {
            self.front = piece;
        } else {
            self.rest.push_back(piece);
        }
    }

    /// Bytes that wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Removes at most `max` bytes, and only from the front piece. Empty if nothing waits.
    pub fn take_up_to(&mut self, max: usize) -> Bytes {
        let taken = self.front.split_to(max.min(self.front.len()));
        self.len -= taken.len();
        self.refill();
        taken
    }

    /// Removes bytes that [`Input::peek`] has shown.
    pub(crate) fn skip(&mut self, count: usize) {
        let count = count.min(self.front.len());
        self.front.advance(count);
        self.len -= count;
        self.refill();
    }

    /// The front bytes: at least `want` of them if so many wait. `want` is small.
    pub(crate) fn peek(&mut self, want: usize) -> &[u8] {
        if self.front.len() < want && !self.rest.is_empty() {
            let mut joined = Vec::with_capacity(want);
            while joined.len() < want && !self.front.is_empty() {
                let take = (want - joined.len()).min(self.front.len());
                joined.extend_from_slice(&self.front.split_to(take));
                self.refill();
            }
            if !self.front.is_empty() {
                self.rest.push_front(std::mem::take(&mut self.front));
            }
            self.front = joined.into();
        }
        &self.front
    }

    fn refill(&mut self) {
        if self.front.is_empty() {
            self.front = self.rest.pop_front().unwrap_or_default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_read_as_one() {
        let mut input = Input::default();
        for piece in ["a", "bc", "", "defg", "h"] {
            input.push(Bytes::from(piece));
        }
        assert_eq!((input.len(), input.peek(5)), (8, &b"abcde"[..]));
        input.skip(4);
        assert_eq!(input.take_up_to(9), "e");
        assert_eq!(input.take_up_to(1), "f");
        assert_eq!(input.peek(9), b"gh");
        assert_eq!(input.take_up_to(9), "gh");
        assert!(input.is_empty() && input.take_up_to(1).is_empty());
    }
}
