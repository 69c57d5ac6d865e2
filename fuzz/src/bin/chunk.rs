//! The chunk reader: memory stays bounded, the pieces make no difference, and what was read can be
//! written and read again.
#![no_main]

use bytes::Bytes;
use jackfield_fuzz::pieces;
use jackfield_rtmp::chunk::{ChunkLimits, ChunkReader, ChunkWriter, HeaderForm, RawMessage};
use jackfield_rtmp::message::kind;
use jackfield_rtmp::{Error, Input};
use libfuzzer_sys::fuzz_target;

/// Small, so that they are met.
const LIMITS: ChunkLimits =
    ChunkLimits { chunk_size: 1 << 16, message_bytes: 1 << 16, chunk_streams: 8, buffered_bytes: 1 << 17 };

fn read(pattern: u8, bytes: &[u8]) -> (Vec<RawMessage>, Option<Error>) {
    let mut reader = ChunkReader::new(LIMITS);
    let mut input = Input::default();
    let mut messages = Vec::new();
    for piece in pieces(pattern, bytes) {
        input.push(Bytes::copy_from_slice(piece));
        loop {
            match reader.next_message(&mut input) {
                Ok(Some(message)) => {
                    if let Err(error) = obey(&mut reader, &message) {
                        return (messages, Some(error));
                    }
                    messages.push(message);
                }
                Ok(None) => break,
                Err(error) => return (messages, Some(error)),
            }
        }
        assert!(reader.buffered_bytes() <= LIMITS.buffered_bytes);
    }
    (messages, None)
}

fn obey(reader: &mut ChunkReader, message: &RawMessage) -> Result<(), Error> {
    let number = message.body.first_chunk().map(|four| u32::from_be_bytes(*four));
    match (message.header.kind, number) {
        (kind::SET_CHUNK_SIZE, Some(size)) => reader.set_chunk_size(size),
        (kind::ABORT, Some(chunk_stream)) => {
            reader.abort(chunk_stream);
            Ok(())
        }
        _ => Ok(()),
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((&pattern, bytes)) = data.split_first() else { return };
    let whole = read(0, bytes);
    assert_eq!(whole, read(pattern, bytes));
    // Chunk sizes would be obeyed by the second reader, but not by the writer.
    let messages: Vec<RawMessage> = whole
        .0
        .into_iter()
        .filter(|m| !matches!(m.header.kind, kind::SET_CHUNK_SIZE | kind::ABORT))
        .collect();
    for form in [HeaderForm::Full, HeaderForm::Shortest] {
        let (mut writer, mut wire) = (ChunkWriter::new(form), Vec::new());
        messages.iter().for_each(|m| writer.write(m.header, &m.body, &mut wire));
        assert_eq!(read(pattern, &wire), (messages.clone(), None));
    }
});
