//! Aggregate messages (RTMP 1.0 §7.1.6): several messages, each framed as an FLV tag.

use super::kind;
use crate::Error;
use crate::chunk::{MessageHeader, RawMessage};
use bytes::{Buf, Bytes};

/// Tag header: type 1, size 3, time stamp 3 + 1, stream id 3.
const TAG_HEADER: usize = 11;
/// Each tag is followed by its size.
const BACK_POINTER: usize = 4;

/// The messages of an aggregate, taken one by one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aggregate {
    header: MessageHeader,
    rest: Bytes,
    /// What is added to the time stamps inside, known from the first.
    offset: Option<u32>,
}

impl Aggregate {
    /// An aggregate with this header and body.
    #[must_use]
    pub fn new(header: MessageHeader, body: Bytes) -> Self {
        Self { header, rest: body, offset: None }
    }

    /// The next message inside. It belongs to the aggregate's message stream; its time stamp is
    /// shifted by what the first one's differs from the aggregate's.
    ///
    /// # Errors
    /// [`Error::Aggregate`] if a message is cut off, or is itself an aggregate.
    pub fn next_message(&mut self) -> Result<Option<RawMessage>, Error> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let Some(&[kind, s0, s1, s2, t0, t1, t2, t3, _, _, _]) = self.rest.first_chunk::<TAG_HEADER>() else {
            return Err(Error::Aggregate);
        };
        let size = usize::try_from(u32::from_be_bytes([0, s0, s1, s2])).unwrap_or(usize::MAX);
        self.rest.advance(TAG_HEADER);
        if size > self.rest.len() || kind == kind::AGGREGATE {
            return Err(Error::Aggregate);
        }
        let body = self.rest.split_to(size);
        // The last back pointer is missing in what some encoders send.
        self.rest.advance(BACK_POINTER.min(self.rest.len()));
        let own = u32::from_be_bytes([t3, t0, t1, t2]);
        let offset = *self.offset.get_or_insert(self.header.timestamp.wrapping_sub(own));
        let header = MessageHeader { kind, timestamp: own.wrapping_add(offset), ..self.header };
        Ok(Some(RawMessage { header, body }))
    }
}
