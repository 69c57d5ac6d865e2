//! Tests of the chunk stream.

use super::*;
use crate::{Error, Input};

const LIMITS: ChunkLimits =
    ChunkLimits { chunk_size: 1 << 20, message_bytes: 1 << 20, chunk_streams: 64, buffered_bytes: 2 << 20 };

fn read_all(reader: &mut ChunkReader, wire: &[u8], piece: usize) -> Result<Vec<RawMessage>, Error> {
    let mut messages = Vec::new();
    let mut input = Input::default();
    for part in wire.chunks(piece) {
        input.push(Bytes::copy_from_slice(part));
        while let Some(message) = reader.next_message(&mut input)? {
            messages.push(message);
        }
    }
    assert!(messages.is_empty() || input.len() < 18, "only a header may be left");
    Ok(messages)
}

fn read(wire: &[u8]) -> Result<Vec<RawMessage>, Error> {
    read_all(&mut ChunkReader::new(LIMITS), wire, usize::MAX)
}

fn message(chunk_stream: u32, kind: u8, timestamp: u32, body: &[u8]) -> RawMessage {
    let header = MessageHeader { chunk_stream, message_stream: 1, kind, timestamp };
    RawMessage { header, body: Bytes::copy_from_slice(body) }
}

fn times(wire: &[u8]) -> Vec<u32> {
    read(wire).unwrap().iter().map(|m| m.header.timestamp).collect()
}

#[test]
fn what_a_writer_cuts_a_reader_joins() {
    let messages: Vec<RawMessage> = [
        (4, 8, 0, 0),
        (4, 8, 23, 10),
        (4, 8, 46, 10),
        (4, 8, 69, 10),
        (6, 9, 40, 1000),
        (6, 9, 40 + 0xff_ffff, 1000),
        (6, 9, 40 + 2 * 0xff_ffff, 1000),
        (6, 9, 7, 1000),
        (63, 9, 0x0100_0000, 300),
        (64, 9, u32::MAX, 300),
        (319, 18, 5, 129),
        (320, 18, 5, 128),
        (65_599, 20, 5, 1),
    ]
    .into_iter()
    .map(|(chunk_stream, kind, timestamp, len)| message(chunk_stream, kind, timestamp, &vec![kind; len]))
    .collect();
    for form in [HeaderForm::Full, HeaderForm::Shortest] {
        let mut wire = Vec::new();
        let mut writer = ChunkWriter::new(form);
        messages.iter().for_each(|m| writer.write(m.header, &m.body, &mut wire));
        for piece in 1..300 {
            let got = read_all(&mut ChunkReader::new(LIMITS), &wire, piece);
            assert_eq!(got.as_ref(), Ok(&messages), "{form:?} {piece}");
        }
    }
}

#[test]
fn shorter_headers_repeat_what_they_leave_out() {
    let wire = [
        &b"\x04\0\0\x0a\0\0\x01\x08\x01\0\0\0a"[..], // type 0: time 10, length 1, audio, stream 1
        b"\x44\0\0\x05\0\0\x02\x09bc",               // type 1: +5, length 2, video
        b"\x84\0\0\x07de",                           // type 2: +7
        b"\xc4fg",                                   // type 3: +7 again
    ]
    .concat();
    let expect = [
        message(4, 8, 10, b"a"),
        message(4, 9, 15, b"bc"),
        message(4, 9, 22, b"de"),
        message(4, 9, 29, b"fg"),
    ];
    assert_eq!(read(&wire).unwrap(), expect);
}

#[test]
fn type_3_after_type_0_adds_its_time_stamp() {
    assert_eq!(times(b"\x04\0\0\x0a\0\0\x01\x08\x01\0\0\0a\xc4b"), [10, 20]);
}

#[test]
fn type_1_may_open_a_chunk_stream_but_types_2_and_3_may_not() {
    let got = read(b"\x42\0\0\x00\0\0\x04\x03\0\0\0\x01").unwrap();
    assert_eq!((got[0].header.message_stream, got[0].header.kind), (0, 3));
    assert_eq!(read(b"\x85\0\0\0"), Err(Error::NoEarlierHeader(5)));
    assert_eq!(read(b"\xc5"), Err(Error::NoEarlierHeader(5)));
}

/// 200 bytes of video at 0x01000000 in two chunks, then an empty message by a type 3 header.
fn extended(repeat: &[u8]) -> Vec<u8> {
    let header = b"\x06\xff\xff\xff\0\0\xc8\x09\x01\0\0\0\x01\0\0\0";
    [&header[..], &[7; 128], b"\xc6", repeat, &[7; 72], b"\xc6", repeat, &[8; 128], b"\xc6", repeat, &[8; 72]]
        .concat()
}

#[test]
fn extended_time_stamps_in_type_3_are_seen_whether_repeated_or_not() {
    for repeat in [&b"\x01\0\0\0"[..], b""] {
        for piece in 1..20 {
            let mut reader = ChunkReader::new(LIMITS);
            let got = read_all(&mut reader, &extended(repeat), piece).unwrap();
            let expect = [message(6, 9, 0x0100_0000, &[7; 200]), message(6, 9, 0x0200_0000, &[8; 200])];
            assert_eq!(got, expect, "{repeat:?} {piece}");
        }
    }
}

/// A message in two chunks at an extended time stamp, whose second chunk begins with `tail`.
fn two_chunks(field: u32, repeat: &[u8], tail: &[u8]) -> Vec<u8> {
    let length = u8::try_from(128 + tail.len()).unwrap();
    let mut wire = vec![4, 0xff, 0xff, 0xff, 0, 0, length, 9, 1, 0, 0, 0];
    wire.extend(field.to_be_bytes());
    wire.extend([7; 128]);
    wire.push(0xc4);
    wire.extend(repeat);
    wire.extend(tail);
    wire
}

#[test]
fn an_encoder_that_leaves_the_field_out_is_remembered() {
    let field = 0x0100_0000_u32;
    // The second message's payload goes on with bytes that look like the field.
    let wire = [two_chunks(field, b"", b"payload"), two_chunks(field, b"", b"\x01\0\0\0more")].concat();
    for piece in [usize::MAX, 1] {
        let got = read_all(&mut ChunkReader::new(ChunkLimits::default()), &wire, piece).unwrap();
        let tails: Vec<&[u8]> = got.iter().map(|message| &message.body[128..]).collect();
        assert_eq!(tails, [&b"payload"[..], b"\x01\0\0\0more"]);
    }
    // One that repeats it may send such a payload, too.
    let repeated = field.to_be_bytes();
    let wire =
        [two_chunks(field, &repeated, b"\x01\0\0\0more"), two_chunks(field, &repeated, b"tail")].concat();
    let got = read(&wire).unwrap();
    assert_eq!((&got[0].body[128..], &got[1].body[128..]), (&b"\x01\0\0\0more"[..], &b"tail"[..]));
}

#[test]
fn a_last_chunk_shorter_than_the_field_does_not_wait_for_more() {
    for tail in [&b"x"[..], b"xy", b"xyz"] {
        let got = read(&two_chunks(0x0100_0000, b"", tail)).unwrap();
        assert_eq!(got.len(), 1, "nothing comes after it");
        assert_eq!(&got[0].body[128..], tail);
    }
}

#[test]
fn the_first_time_stamp_that_needs_the_field_is_the_mark_itself() {
    for timestamp in [0xff_fffe_u32, 0xff_ffff, 0x100_0000, u32::MAX] {
        for form in [HeaderForm::Full, HeaderForm::Shortest] {
            let mut writer = ChunkWriter::new(form);
            let mut wire = Vec::new();
            for step in 0..3 {
                let timestamp = timestamp.wrapping_add(step);
                let header = MessageHeader { chunk_stream: 4, message_stream: 1, kind: 9, timestamp };
                writer.write(header, &[7; 300], &mut wire);
            }
            let expect: Vec<u32> = (0..3).map(|step| timestamp.wrapping_add(step)).collect();
            assert_eq!(times(&wire), expect, "{form:?}");
        }
    }
}

#[test]
fn a_time_stamp_in_the_place_of_an_extended_delta_is_recognised() {
    let message = |format: u8, time: [u8; 3], extended: &[u8]| {
        let mut wire = vec![format << 6 | 4];
        wire.extend(time);
        wire.extend([0, 0, 1, 9]);
        wire.extend([1, 0, 0, 0].iter().take(if format == 0 { 4 } else { 0 }));
        wire.extend(extended);
        wire.push(7);
        wire
    };
    let wire = [
        message(0, [0xff, 0xff, 0xf0], b""),
        message(1, [0xff; 3], &0x0100_0010_u32.to_be_bytes()),
        message(1, [0xff; 3], &0x0100_0030_u32.to_be_bytes()),
        vec![0xc4, 1, 0, 0, 0x30, 7],
        message(1, [0, 0, 1], b""),
    ]
    .concat();
    assert_eq!(times(&wire), [0xff_fff0, 0x100_0010, 0x100_0030, 0x100_0050, 0x100_0051]);
    // A true delta of hours.
    let wire = [message(0, [0; 3], b""), message(1, [0xff; 3], &0x0200_0000_u32.to_be_bytes())].concat();
    assert_eq!(times(&wire), [0, 0x200_0000]);
}

#[test]
fn messages_may_be_interleaved() {
    let mut video = Vec::new();
    let mut audio = Vec::new();
    ChunkWriter::new(HeaderForm::Full).write(message(6, 9, 1, b"").header, &[1; 300], &mut video);
    ChunkWriter::new(HeaderForm::Full).write(message(4, 8, 2, b"").header, &[2; 200], &mut audio);
    let (v1, v2) = video.split_at(12 + 128);
    let (a1, a2) = audio.split_at(12 + 128);
    let got = read(&[v1, a1, v2, a2].concat()).unwrap();
    assert_eq!(got, [message(6, 9, 1, &[1; 300]), message(4, 8, 2, &[2; 200])]);
}

#[test]
fn an_aborted_message_is_forgotten_and_its_memory_freed() {
    let mut reader = ChunkReader::new(LIMITS);
    let mut wire = Vec::new();
    ChunkWriter::new(HeaderForm::Full).write(message(6, 9, 1, b"").header, &[1; 300], &mut wire);
    assert_eq!(read_all(&mut reader, &wire[..140], 1000), Ok(vec![]));
    assert!(reader.buffered_bytes() >= 128);
    reader.abort(6);
    reader.abort(7);
    assert_eq!(reader.buffered_bytes(), 0);
    assert_eq!(read_all(&mut reader, &wire, 1000), Ok(vec![message(6, 9, 1, &[1; 300])]));
    assert_eq!(reader.buffered_bytes(), 0);
}

#[test]
fn a_new_header_inside_a_message_is_refused() {
    let mut wire = Vec::new();
    ChunkWriter::new(HeaderForm::Full).write(message(6, 9, 1, b"").header, &[1; 300], &mut wire);
    let twice = [&wire[..140], &wire].concat();
    assert_eq!(read(&twice), Err(Error::HeaderInsideMessage(6)));
}

#[test]
fn the_chunk_size_has_bounds() {
    let mut reader = ChunkReader::new(LIMITS);
    for size in [0, (1 << 20) + 1, 1 << 31, u32::MAX] {
        assert_eq!(reader.set_chunk_size(size), Err(Error::ChunkSize { size, limit: 1 << 20 }));
    }
    for size in [1, 127, 4096, 1 << 20] {
        reader.set_chunk_size(size).unwrap();
        let mut writer = ChunkWriter::new(HeaderForm::Shortest);
        writer.set_chunk_size(size);
        let mut wire = Vec::new();
        writer.write(message(6, 9, 1, b"").header, &[1; 5000], &mut wire);
        let last = read_all(&mut reader, &wire, usize::MAX).unwrap();
        assert_eq!(last, [message(6, 9, 1, &[1; 5000])], "{size}");
    }
}

#[test]
fn chunk_streams_have_a_bound() {
    let open = |id: u32| {
        let mut wire = Vec::new();
        let header = MessageHeader { chunk_stream: id, message_stream: 1, kind: 9, timestamp: 0 };
        ChunkWriter::new(HeaderForm::Full).write(header, b"x", &mut wire);
        wire
    };
    let fits: Vec<u8> = (2..66).flat_map(open).collect();
    assert_eq!(read(&fits).unwrap().len(), 64);
    let wire: Vec<u8> = (2..10_002).flat_map(open).collect();
    assert_eq!(read(&wire), Err(Error::TooManyChunkStreams(64)));
}

#[test]
fn a_declared_length_takes_no_memory() {
    // 64 chunk streams declare 1 MiB each and send one chunk.
    let mut reader = ChunkReader::new(LIMITS);
    let wire: Vec<u8> = (2..66)
        .flat_map(|id: u8| {
            let basic = if id < 64 { vec![id] } else { vec![0, id - 64] };
            [&basic[..], b"\0\0\0\x10\0\0\x09\x01\0\0\0", &[0; 128]].concat()
        })
        .collect();
    assert_eq!(read_all(&mut reader, &wire, 1000), Ok(vec![]));
    assert_eq!(reader.buffered_bytes(), 64 * 4096);
    assert_eq!(
        read(b"\x06\0\0\0\x10\0\x01\x09\x01\0\0\0"),
        Err(Error::MessageTooLong { size: (1 << 20) + 1, limit: 1 << 20 })
    );
}

#[test]
fn unfinished_messages_have_a_bound_together() {
    let mut reader = ChunkReader::new(LIMITS);
    reader.set_chunk_size(1 << 20).unwrap();
    let wire: Vec<u8> = (3..10)
        .flat_map(|id: u8| {
            // Each declares 1 MiB in a chunk of 1 MiB, and the chunk size then shrinks it to three quarters.
            [&[id][..], b"\0\0\0\x10\0\0\x09\x01\0\0\0", &vec![0; 768 << 10]].concat()
        })
        .collect();
    reader.set_chunk_size(768 << 10).unwrap();
    assert_eq!(read_all(&mut reader, &wire, 65_536), Err(Error::TooMuchBuffered(2 << 20)));
    assert!(reader.buffered_bytes() <= 4 << 20);
}

#[test]
fn a_message_in_one_chunk_is_a_slice_of_the_input() {
    let mut reader = ChunkReader::new(LIMITS);
    reader.set_chunk_size(65_536).unwrap();
    let mut writer = ChunkWriter::new(HeaderForm::Full);
    writer.set_chunk_size(65_536);
    let mut wire = Vec::new();
    writer.write(message(6, 9, 1, b"").header, &[1; 5000], &mut wire);
    writer.write(message(6, 9, 1, b"").header, &[1; 500], &mut wire);
    let wire = Bytes::from(wire);
    let mut input = Input::default();
    input.push(wire.clone());
    let large = reader.next_message(&mut input).unwrap().unwrap();
    assert!(wire.as_ptr_range().contains(&large.body.as_ptr()));
    let small = reader.next_message(&mut input).unwrap().unwrap();
    assert!(!wire.as_ptr_range().contains(&small.body.as_ptr()), "a small one must not pin the buffer");
}
