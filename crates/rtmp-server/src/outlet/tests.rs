//! A player's clock: where it begins, and that it goes on beyond what 24 and 32 bits hold.

use super::*;
use crate::format::RtmpPackager;
use FrameClass::{Config, Inter, Keyframe};
use jackfield_media::{Format, MediaTime, Origin, Part, TrackId, TrackKind};
use jackfield_rtmp::Input;
use jackfield_rtmp::chunk::{ChunkLimits, ChunkReader, MessageHeader};
use jackfield_runtime::clock;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};

const CHUNK: u32 = 4096;

/// A picture that fills several chunks, or its sequence header.
fn frame(class: FrameClass, ms: i64) -> Frame {
    let mut body = vec![0x17, u8::from(class != Config), 0, 0, 0];
    body.extend((0..10_000_u32).map(|at| at.to_be_bytes()[3]));
    let body = Bytes::from(body);
    Frame {
        track: TrackId::VIDEO,
        kind: TrackKind::Video,
        class,
        dts: MediaTime::from_ms(ms),
        pts: MediaTime::from_ms(ms),
        offset_nanos: 0,
        payload: body.slice(5..),
        origin: Some(Origin { format: Format::Flv, body, part: Part::Sole }),
    }
}

fn packets(packager: &dyn Packager, batch: &[(FrameClass, i64)]) -> Vec<Packet> {
    let packet = |&(class, ms): &(FrameClass, i64)| {
        let frame = frame(class, ms);
        let packaged = packager.package(&frame, None).unwrap();
        Packet { frame: Arc::new(frame), packaged }
    };
    batch.iter().map(packet).collect()
}

/// A socket, from both sides.
async fn socket() -> (SocketWriter, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (server, _) = listener.accept().await.unwrap();
    (SocketWriter::new(Arc::new(server), |_| {}), client)
}

/// Delivers each list as a batch; the time stamps that came out of the socket. All bodies are whole.
async fn seen(clock: PlayClock, batches: &[&[(FrameClass, i64)]]) -> Vec<u32> {
    let (writer, client) = socket().await;
    let packager: Arc<dyn Packager> = Arc::new(RtmpPackager::new(CHUNK, None));
    let mut outlet = RtmpOutlet::new(Arc::clone(&packager), writer.clone(), 1, clock);
    for batch in batches {
        outlet.deliver(clock::now(), &packets(&*packager, batch), &mut Workbench::default());
    }
    received(writer, client).await.into_iter().map(|header| header.timestamp).collect()
}

/// The headers of all messages. All bodies are whole.
async fn received(writer: SocketWriter, mut client: TcpStream) -> Vec<MessageHeader> {
    let read = async {
        let mut wire = Vec::new();
        client.read_to_end(&mut wire).await.map(|_| wire)
    };
    let flush = async {
        writer.flush().await.unwrap();
        writer.shut_down();
    };
    let (wire, ()) = tokio::join!(read, flush);
    let (mut reader, mut input) = (ChunkReader::new(ChunkLimits::default()), Input::default());
    reader.set_chunk_size(CHUNK).unwrap();
    input.push(wire.unwrap().into());
    let mut headers = Vec::new();
    while let Some(message) = reader.next_message(&mut input).unwrap() {
        assert_eq!(message.body.get(5..), Some(&frame(Inter, 0).payload[..]));
        headers.push(message.header);
    }
    headers
}

#[tokio::test]
async fn players_who_share_a_batch_each_get_their_own_heads() {
    let packager: Arc<dyn Packager> = Arc::new(RtmpPackager::new(CHUNK, None));
    // Where each began; the last one so long ago that its time stamps are extended.
    let began = [0, 1000, 2000, 1 << 24, -(1 << 24)];
    let mut players = Vec::new();
    for (message_stream, &base) in (1..).zip(&began) {
        let (writer, client) = socket().await;
        let mut outlet =
            RtmpOutlet::new(Arc::clone(&packager), writer.clone(), message_stream, PlayClock::Own);
        outlet.deliver(clock::now(), &packets(&*packager, &[(Keyframe, base)]), &mut Workbench::default());
        players.push((outlet, writer, client));
    }
    let start = (1 << 24) + 40;
    for round in 0..20 {
        let ms = start + 40 * round;
        let (batch, mut bench) =
            (packets(&*packager, &[(Inter, ms), (Inter, ms + 20)]), Workbench::default());
        for (outlet, ..) in &mut players {
            outlet.deliver(clock::now(), &batch, &mut bench);
        }
    }
    for ((message_stream, base), (outlet, writer, client)) in (1..).zip(began).zip(players) {
        drop(outlet);
        let headers = received(writer, client).await;
        assert!(headers.iter().all(|header| header.message_stream == message_stream));
        let stamps: Vec<u32> = headers.iter().map(|header| header.timestamp).collect();
        let expected = (0..40).map(|count| wire_timestamp(start + 20 * count - base));
        assert_eq!(stamps, [0].into_iter().chain(expected).collect::<Vec<_>>(), "{base}");
    }
}

#[tokio::test]
async fn who_gets_less_of_a_shared_batch_gets_only_that() {
    let packager: Arc<dyn Packager> = Arc::new(RtmpPackager::new(CHUNK, None));
    // The third begins after the first picture of the batch, which comes late; the fourth is served after it.
    let began = [0, 0, 3000, 0];
    let mut players = Vec::new();
    for base in began {
        let (writer, client) = socket().await;
        let mut outlet = RtmpOutlet::new(Arc::clone(&packager), writer.clone(), 1, PlayClock::Own);
        outlet.deliver(clock::now(), &packets(&*packager, &[(Keyframe, base)]), &mut Workbench::default());
        players.push((outlet, writer, client));
    }
    let (batch, mut bench) = (packets(&*packager, &[(Inter, 2990), (Inter, 3040)]), Workbench::default());
    for (outlet, ..) in &mut players {
        outlet.deliver(clock::now(), &batch, &mut bench);
    }
    for (base, (_, writer, client)) in began.into_iter().zip(players) {
        let headers = received(writer, client).await;
        let stamps: Vec<u32> = headers.into_iter().map(|header| header.timestamp).collect();
        assert_eq!(stamps, if base == 0 { vec![0, 2990, 3040] } else { vec![0, 40] });
    }
}

#[tokio::test]
async fn a_players_own_clock_begins_at_0_wherever_the_stream_is() {
    for start in [0, -40, 1 << 24, 1 << 31, (1 << 32) - 20, 1 << 40] {
        let batches: [&[_]; 2] =
            [&[(Config, start), (Keyframe, start)], &[(Inter, start + 40), (Inter, start + 80)]];
        assert_eq!(seen(PlayClock::Own, &batches).await, [0, 0, 40, 80], "{start}");
    }
    // Configuration that comes before all media.
    let batches: [&[_]; 2] = [&[(Config, 500)], &[(Keyframe, 700), (Inter, 740)]];
    assert_eq!(seen(PlayClock::Own, &batches).await, [0, 0, 40]);
}

#[tokio::test]
async fn a_players_own_clock_goes_on_where_24_31_and_32_bits_end() {
    let begin = 5_000;
    for bits in [24, 31, 32] {
        let edge = begin + (1_i64 << bits);
        let batches: [&[_]; 3] = [
            &[(Keyframe, begin)],
            &[(Inter, edge - 41), (Inter, edge - 1)],
            &[(Inter, edge), (Inter, edge + 39)],
        ];
        let wire = |ms: i64| u32::try_from(ms & 0xffff_ffff).unwrap();
        let expect = [0, edge - 41 - begin, edge - 1 - begin, edge - begin, edge + 39 - begin].map(wire);
        assert_eq!(seen(PlayClock::Own, &batches).await, expect, "{bits}");
    }
}

#[tokio::test]
async fn the_streams_clock_is_that_of_its_publisher() {
    // A header at 0 and pictures from 0xfffe0000 on are taken for pictures before 0.
    let batches: [&[_]; 2] = [&[(Config, 0), (Keyframe, -131_072)], &[(Inter, -40), (Inter, 0), (Inter, 40)]];
    assert_eq!(seen(PlayClock::Stream, &batches).await, [0, 0xfffe_0000, 0xffff_ffd8, 0, 40]);
    let batches: [&[_]; 1] = [&[(Config, 0), (Keyframe, 1 << 31), (Inter, (1 << 32) + 7)]];
    assert_eq!(seen(PlayClock::Stream, &batches).await, [0, 1 << 31, 7]);
}
