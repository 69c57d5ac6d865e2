//! Clients that break the rules of the protocol or declare more than they may.

use super::a_client_gets_through;
use anyhow::{Context, Result, ensure};
use jackfield_e2e::rtmp::{Client, configurations, picture};
use jackfield_e2e::{SOON, Server, clip, forget_peak, peak_kib, resident_kib};
use jackfield_rtmp::chunk::{ChunkWriter, HeaderForm, MessageHeader};
use jackfield_rtmp::message::kind;
use std::io::Write;

/// What a connection may hold at most is 20 MiB of unfinished messages; the rest is what a read takes, and the allocator.
const LARGE_KIB: u64 = 32 * 1024;
/// What the others may take: nothing to speak of, but the server has other things to do as well.
const SMALL_KIB: u64 = 4 * 1024;

fn message(kind: u8, message_stream: u32, body: &[u8]) -> Vec<u8> {
    let mut writer = ChunkWriter::new(HeaderForm::Full);
    // What the client has told the server.
    writer.set_chunk_size(4096);
    let mut out = Vec::new();
    writer.write(MessageHeader { chunk_stream: 20, message_stream, kind, timestamp: 0 }, body, &mut out);
    out
}

fn chunk_size(size: u32) -> Vec<u8> {
    message(kind::SET_CHUNK_SIZE, 0, &size.to_be_bytes())
}

/// Ten thousand chunk streams with a chunk each of a message of 1 MiB.
fn many_chunk_streams() -> Vec<u8> {
    let chunk = |id: u32| {
        let [low, high, ..] = id.to_le_bytes();
        [&[1, low, high][..], b"\0\0\0\x10\0\0\x09\x01\0\0\0", &[0; 4096]].concat()
    };
    (0..10_000).flat_map(chunk).collect()
}

/// The longest messages that there are (their length has 24 bits), begun on many chunk streams and never ended.
fn long_messages() -> Vec<u8> {
    let mut out = chunk_size(1 << 20);
    for id in 30..60 {
        out.push(id);
        out.extend_from_slice(b"\0\0\0\xff\xff\xff\x09\x01\0\0\0");
        out.resize(out.len() + (1 << 20), 0);
    }
    out
}

/// A command whose values are these bytes.
fn command(values: &[u8]) -> Vec<u8> {
    message(kind::COMMAND_AMF0, 0, &[b"\x02\0\x04call\0\0\0\0\0\0\0\0\0", values].concat())
}

#[test]
fn who_breaks_a_limit_is_closed_and_takes_bounded_memory() -> Result<()> {
    let server = Server::builder().log_level("info").start()?;
    let clip = clip::standard()?;
    let mut bystander = Client::connect(server.rtmp(), "live")?;
    let stream = bystander.publish("bystander")?;
    for media in configurations(&clip) {
        bystander.send(stream, &media)?;
    }

    let attacks = [
        ("chunk size 0", chunk_size(0), SMALL_KIB),
        ("chunk size 2³¹", chunk_size(1 << 31), SMALL_KIB),
        ("chunk size 2³²-1", chunk_size(u32::MAX), SMALL_KIB),
        ("messages as long as can be", long_messages(), LARGE_KIB),
        ("ten thousand chunk streams", many_chunk_streams(), SMALL_KIB),
        ("objects nested ten thousand deep", command(&b"\x03\0\x01a".repeat(10_000)), SMALL_KIB),
        ("arrays nested ten thousand deep", command(&b"\x0a\0\0\0\x01".repeat(10_000)), SMALL_KIB),
        ("a string longer than its message", command(b"\x02\xff\xffabc"), SMALL_KIB),
        ("a string of 2³² bytes", command(b"\x0c\xff\xff\xff\xffabc"), SMALL_KIB),
        ("an array of 2³² values", command(b"\x0a\xff\xff\xff\xff"), SMALL_KIB),
        ("a command of 100 KiB", command(&[5; 100 * 1024]), SMALL_KIB),
    ];
    for (at, (name, bytes, limit_kib)) in attacks.iter().enumerate() {
        let mut client = a_client_gets_through(&server, &format!("attack-{at}"))?;
        forget_peak(server.pid())?;
        let before = resident_kib(server.pid())?;
        // The server may close before it has read all.
        client.socket().write_all(bytes).unwrap_or_default();
        client.wait_closed(SOON).with_context(|| (*name).to_owned())?;
        let grown = peak_kib(server.pid())?.saturating_sub(before);
        ensure!(grown < *limit_kib, "{name}: the server grew by {grown} KiB");
        bystander.send(stream, &picture(u32::try_from(at)?, 500))?;
    }
    server.events().lines().wait("protocol error for each", SOON, |lines| {
        let errors = lines
            .iter()
            .filter(|line| line.contains("\"connection_close\"") && line.contains("\"protocol_error\""));
        (errors.count() == attacks.len()).then_some(())
    })?;
    ensure!(
        server
            .events()
            .kinds(|event| event.stream_key() == Some("live/bystander"))?
            .iter()
            .all(|kind| kind != "publish_stop"),
        "another publisher was hurt"
    );
    server.stop()?;
    Ok(())
}
