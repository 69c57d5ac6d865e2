//! Tests of packets for players.

use super::*;
use crate::Input;
use crate::chunk::{ChunkLimits, ChunkReader};

fn body(len: usize) -> Bytes {
    (0..len).map(|i| u8::try_from(i % 251).unwrap()).collect::<Vec<u8>>().into()
}

fn wire(packet: &Packet, head: &Head, skip: usize) -> Vec<u8> {
    packet.slices(head, skip).flatten().copied().collect()
}

/// The reader's idea of what a viewer gets.
fn check(len: usize, chunk_size: u32, timestamp: u32) {
    let body = body(len);
    let packet = Packet::new(TrackKind::Video, &body, chunk_size).unwrap();
    let head = packet.head(timestamp, 7);
    let bytes = wire(&packet, &head, 0);
    assert_eq!(bytes.len(), packet.wire_len(&head), "{len} {chunk_size} {timestamp}");

    let mut reader = ChunkReader::new(ChunkLimits::default());
    reader.set_chunk_size(chunk_size).unwrap();
    let mut input = Input::default();
    input.push(bytes.clone().into());
    let message = reader.next_message(&mut input).unwrap().expect("a whole message");
    assert_eq!((message.body, input.len()), (body, 0), "{len} {chunk_size} {timestamp}");
    assert_eq!(
        (message.header.timestamp, message.header.message_stream, message.header.kind),
        (timestamp, 7, 9)
    );

    for skip in [1, 11, 12, 13, 16, 17, bytes.len() - 1, bytes.len()] {
        assert_eq!(wire(&packet, &head, skip), bytes.get(skip..).unwrap_or_default(), "skip {skip}");
    }
    let mut owned = Vec::new();
    packet.push_bytes(&head, &mut owned);
    assert_eq!(owned.concat(), bytes);
    assert!(packet.slices(&head, 0).all(|slice| !slice.is_empty()));
}

#[test]
fn a_viewer_reads_what_the_publisher_sent() {
    for timestamp in [0, 0xff_fffe, 0xff_ffff, 0x100_0000, u32::MAX] {
        for len in [1, 127, 128, 129, 256, 257, 1000] {
            check(len, 128, timestamp);
        }
        check(90_000, 4096, timestamp);
        check(65_536 * 2, 65_536, timestamp);
    }
}

#[test]
fn viewers_share_the_payload() {
    let small = body(4096);
    let packet = Packet::new(TrackKind::Audio, &small, 4096).unwrap();
    assert_eq!(packet.payload().as_ptr(), small.as_ptr());

    let packet = Packet::new(TrackKind::Audio, &body(10_000), 4096).unwrap();
    let (one, two) = (packet.head(5, 1), packet.head(1 << 24, 2));
    assert_eq!(packet.slices(&one, 0).count(), 2);
    assert_eq!(packet.slices(&two, 0).count(), 6);
    let mut owned = Vec::new();
    packet.push_bytes(&two, &mut owned);
    assert_eq!(owned[1].as_ptr(), packet.payload().as_ptr());
}

#[test]
fn a_body_that_no_message_can_carry_is_refused() {
    assert!(Packet::new(TrackKind::Video, &Bytes::from(vec![0; 1 << 24]), 4096).is_none());
}

#[test]
fn an_empty_body_is_a_head_alone() {
    let packet = Packet::new(TrackKind::Data, &Bytes::new(), 128).unwrap();
    let head = packet.head(0, 1);
    assert_eq!((wire(&packet, &head, 0).len(), packet.wire_len(&head)), (12, 12));
}

#[test]
fn time_goes_on_the_wire_modulo_32_bits() {
    for (ms, wire) in [(0, 0), (-1, u32::MAX), (1 << 32, 0), ((1 << 32) + 5, 5), (i64::MIN, 0)] {
        assert_eq!(wire_timestamp(ms), wire, "{ms}");
    }
}
