//! From chunks to messages.
//!
//! Memory: a message's buffer grows with what really came, never with what a header declares, except
//! that it may begin with the size of the last message of its chunk stream, up to 256 KiB.

use super::header::{Basic, Fields, MAX_HEADER};
use super::{ChunkLimits, EXTENDED, INITIAL_CHUNK_SIZE, MessageHeader, RawMessage};
use crate::{Error, Input};
use bytes::Bytes;

/// Messages shorter than this are copied out of the read buffer: a slice keeps the whole buffer alive.
const COPY_BELOW: usize = 1024;
/// A message's buffer begins with this much at least.
const FIRST_CAPACITY: usize = 4096;
/// And with this much at most, however long the last message was.
const MAX_FIRST_CAPACITY: usize = 256 << 10;

/// An extended delta that lies less than this much after the last time stamp is a time stamp itself.
/// Milliseconds.
const ABSOLUTE_WITHIN: u32 = 60_000;

/// Reads messages from chunks. One per direction of a connection.
#[derive(Debug)]
pub struct ChunkReader {
    limits: ChunkLimits,
    chunk_size: usize,
    streams: Vec<ChunkStream>,
    /// The chunk whose payload is being read.
    current: Option<Chunk>,
    /// Capacity of all unfinished messages.
    buffered: usize,
    habit: Habit,
}

/// Whether chunks of type 3 repeat the extended field, as RTMP 1.0 §5.3.1.3 wants, or leave it out, as
/// the version of 2009 allowed. Flash and several encoders do the one, several others the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Habit {
    /// Each chunk is looked at.
    Unknown,
    /// The payload went on where the field would have been: it is never repeated, whatever a later payload
    /// looks like.
    LeavesOut,
}

/// What later headers of a chunk stream refer to, and its unfinished message.
#[derive(Debug)]
struct ChunkStream {
    id: u32,
    timestamp: u32,
    delta: u32,
    /// The extended field of the last header of type 0, 1 or 2.
    extended: Option<u32>,
    length: usize,
    kind: u8,
    message_stream: u32,
    state: MessageState,
    body: Vec<u8>,
    /// The length of the last whole message.
    proven: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MessageState {
    /// The next chunk begins a message.
    Between,
    /// The next chunk goes on with one.
    Inside,
}

#[derive(Debug, Clone, Copy)]
struct Chunk {
    /// Index of its stream.
    stream: usize,
    /// Payload bytes that are still to come.
    left: usize,
}

impl ChunkReader {
    /// A reader for a peer that has sent nothing yet.
    #[must_use]
    pub fn new(limits: ChunkLimits) -> Self {
        let chunk_size = INITIAL_CHUNK_SIZE as usize;
        Self { limits, chunk_size, streams: Vec::new(), current: None, buffered: 0, habit: Habit::Unknown }
    }

    /// The next whole message, or `None` when all input is taken. The caller must obey Set Chunk Size
    /// and Abort (by [`set_chunk_size`](Self::set_chunk_size) and [`abort`](Self::abort)) before the
    /// next call.
    ///
    /// # Errors
    /// Any rule of the chunk stream or of the limits that the peer breaks; the reader is then of no
    /// more use.
    pub fn next_message(&mut self, input: &mut Input) -> Result<Option<RawMessage>, Error> {
        loop {
            let Some(chunk) = self.current else {
                if self.read_header(input)? == Step::Starved {
                    return Ok(None);
                }
                continue;
            };
            if let Some(message) = self.read_payload(chunk, input)? {
                return Ok(Some(message));
            }
            if self.current.is_some() {
                return Ok(None);
            }
        }
    }

    /// Obeys the peer's Set Chunk Size (RTMP 1.0 §5.4.1).
    ///
    /// # Errors
    /// [`Error::ChunkSize`] if it is 0 or over the limit.
    pub fn set_chunk_size(&mut self, size: u32) -> Result<(), Error> {
        let limit = self.limits.chunk_size;
        if size == 0 || size > limit {
            return Err(Error::ChunkSize { size, limit });
        }
        self.chunk_size = usize::try_from(size).unwrap_or(usize::MAX);
        Ok(())
    }

    /// Obeys the peer's Abort (RTMP 1.0 §5.4.2): forgets the unfinished message of a chunk stream.
    pub fn abort(&mut self, chunk_stream: u32) {
        if let Some(stream) = self.streams.iter_mut().find(|s| s.id == chunk_stream) {
            self.buffered -= stream.body.capacity();
            stream.body = Vec::new();
            stream.state = MessageState::Between;
        }
    }

    /// Bytes of memory that unfinished messages hold.
    #[must_use]
    pub fn buffered_bytes(&self) -> usize {
        self.buffered
    }

    fn read_header(&mut self, input: &mut Input) -> Result<Step, Error> {
        let bytes = input.peek(MAX_HEADER);
        let Some(basic) = Basic::parse(bytes) else {
            return Ok(Step::Starved);
        };
        let rest = bytes.get(basic.len..).unwrap_or_default();
        let known = self.streams.iter().position(|s| s.id == basic.chunk_stream);
        let header = if basic.format == 3 {
            match self.repeated_extended(known, rest) {
                Some(len) => Header { fields: None, len: basic.len + len },
                None => return Ok(Step::Starved),
            }
        } else {
            match Fields::parse(basic.format, rest) {
                Some(fields) => Header { fields: Some(fields), len: basic.len + fields.len },
                None => return Ok(Step::Starved),
            }
        };
        let index = match known {
            Some(index) => index,
            None => self.open_stream(basic)?,
        };
        input.skip(header.len);
        self.begin_chunk(index, header.fields)?;
        Ok(Step::Read)
    }

    /// The length of the extended field of a chunk of type 3: it is taken for one only if it is equal to the
    /// last header's. `None` if bytes are missing to tell.
    fn repeated_extended(&mut self, known: Option<usize>, bytes: &[u8]) -> Option<usize> {
        let Some(stream) = known.and_then(|index| self.streams.get(index)) else {
            return Some(0);
        };
        let Some(field) = stream.extended.filter(|_| self.habit == Habit::Unknown) else {
            return Some(0);
        };
        let field = field.to_be_bytes();
        // Bytes that differ already decide: the last chunk of a message may be shorter than the field.
        let is_like = field.iter().zip(bytes).all(|(want, got)| want == got);
        if !is_like && stream.state == MessageState::Inside {
            self.habit = Habit::LeavesOut;
        }
        match (is_like, bytes.len() >= field.len()) {
            (true, true) => Some(field.len()),
            (true, false) => None,
            (false, _) => Some(0),
        }
    }

    fn open_stream(&mut self, basic: Basic) -> Result<usize, Error> {
        // librtmp begins chunk stream 2 with a header of type 1; message stream 0 is what it means.
        if basic.format > 1 {
            return Err(Error::NoEarlierHeader(basic.chunk_stream));
        }
        if self.streams.len() >= self.limits.chunk_streams {
            return Err(Error::TooManyChunkStreams(self.limits.chunk_streams));
        }
        self.streams.push(ChunkStream::new(basic.chunk_stream));
        Ok(self.streams.len() - 1)
    }

    fn begin_chunk(&mut self, index: usize, fields: Option<Fields>) -> Result<(), Error> {
        let Some(stream) = self.streams.get_mut(index) else {
            return Ok(());
        };
        match stream.state {
            MessageState::Inside if fields.is_some() => {
                return Err(Error::HeaderInsideMessage(stream.id));
            }
            MessageState::Inside => {}
            MessageState::Between => {
                stream.begin_message(fields);
                let limit = self.limits.message_bytes;
                if stream.length > limit {
                    return Err(Error::MessageTooLong { size: stream.length, limit });
                }
            }
        }
        let left = (stream.length - stream.body.len()).min(self.chunk_size);
        self.current = Some(Chunk { stream: index, left });
        Ok(())
    }

    /// Reads payload; the message, if that was its end.
    fn read_payload(&mut self, chunk: Chunk, input: &mut Input) -> Result<Option<RawMessage>, Error> {
        let Some(stream) = self.streams.get_mut(chunk.stream) else {
            return Ok(None);
        };
        let mut left = chunk.left;
        let before = stream.body.capacity();
        while left > 0 {
            let piece = input.take_up_to(left);
            if piece.is_empty() {
                break;
            }
            left -= piece.len();
            if piece.len() == stream.length && piece.len() >= COPY_BELOW {
                self.current = None;
                return Ok(Some(stream.finish(piece)));
            }
            stream.append(&piece);
        }
        self.buffered = self.buffered - before + stream.body.capacity();
        if self.buffered > self.limits.buffered_bytes {
            return Err(Error::TooMuchBuffered(self.limits.buffered_bytes));
        }
        if left > 0 {
            self.current = Some(Chunk { left, ..chunk });
            return Ok(None);
        }
        self.current = None;
        if stream.body.len() < stream.length {
            return Ok(None);
        }
        self.buffered -= stream.body.capacity();
        let body = std::mem::take(&mut stream.body);
        Ok(Some(stream.finish(body.into())))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Read,
    Starved,
}

struct Header {
    fields: Option<Fields>,
    len: usize,
}

/// Whether the extended field of a delta holds a time stamp. Some encoders write it so once their time stamps
/// need the field, and the specification does not rule it out in so many words; a true delta of hours that
/// hits the last time stamp does not occur.
fn is_absolute(fields: Fields, last: u32) -> bool {
    fields.extended.is_some() && fields.time >= EXTENDED && fields.time.wrapping_sub(last) < ABSOLUTE_WITHIN
}

impl ChunkStream {
    fn new(id: u32) -> Self {
        Self {
            id,
            timestamp: 0,
            delta: 0,
            extended: None,
            length: 0,
            kind: 0,
            message_stream: 0,
            state: MessageState::Between,
            body: Vec::new(),
            proven: 0,
        }
    }

    fn begin_message(&mut self, fields: Option<Fields>) {
        self.state = MessageState::Inside;
        let Some(fields) = fields else {
            // RTMP 1.0 §5.3.1.2.4: after a type 0 the "delta" is its time stamp.
            self.timestamp = self.timestamp.wrapping_add(self.delta);
            return;
        };
        self.extended = fields.extended;
        self.delta = fields.time;
        if let Some(message_stream) = fields.message_stream {
            self.message_stream = message_stream;
            self.timestamp = fields.time;
        } else {
            if is_absolute(fields, self.timestamp) {
                self.delta = fields.time.wrapping_sub(self.timestamp);
            }
            self.timestamp = self.timestamp.wrapping_add(self.delta);
        }
        if let Some((length, kind)) = fields.message {
            self.length = length;
            self.kind = kind;
        }
    }

    fn append(&mut self, piece: &[u8]) {
        let needed = self.body.len() + piece.len();
        if needed > self.body.capacity() {
            let first = self.proven.clamp(FIRST_CAPACITY, MAX_FIRST_CAPACITY);
            let wanted = needed.max(first).max(self.body.capacity() * 2).min(self.length.max(needed));
            self.body.reserve_exact(wanted - self.body.len());
        }
        self.body.extend_from_slice(piece);
    }

    fn finish(&mut self, body: Bytes) -> RawMessage {
        self.state = MessageState::Between;
        self.proven = body.len();
        let header = MessageHeader {
            chunk_stream: self.id,
            message_stream: self.message_stream,
            kind: self.kind,
            timestamp: self.timestamp,
        };
        RawMessage { header, body }
    }
}
