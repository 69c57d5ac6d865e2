//! What real clients sent to a server, byte by byte: ffmpeg 5.1, gstreamer 1.22 (rtmp2sink and, by librtmp,
//! rtmpsink), rtmpdump 2.4.

use crate::link::accept;
use bytes::Bytes;
use jackfield_media::{Mono, TrackKind};
use jackfield_rtmp::{Event, Output, ServerConfig, ServerSession};

/// The names of what happens, without media; and how many messages of video and audio there are. (The videos
/// have 5 pictures, a header and an end.)
fn replay(recording: &[u8], piece: usize) -> (Vec<String>, [usize; 2]) {
    let mut server = ServerSession::new(ServerConfig::default(), 1, Mono::ZERO);
    let (mut seen, mut media) = (Vec::new(), [0; 2]);
    for part in recording.chunks(piece) {
        server.handle_input(Mono::ZERO, Bytes::copy_from_slice(part));
        while let Some(output) = server.poll_output() {
            match output {
                Output::Write(_) => {}
                Output::Closed(error) => panic!("closed: {error}"),
                Output::Event(Event::Media { kind, .. }) => media[usize::from(kind == TrackKind::Audio)] += 1,
                Output::Event(event) => {
                    accept(&mut server, &event);
                    seen.push(name(&event));
                }
            }
        }
    }
    assert_eq!(server.counters().unknown_commands + server.counters().unknown_messages, 0);
    (seen, media)
}

fn name(event: &Event) -> String {
    match event {
        Event::Connect(connect) => {
            format!("connect {} {}", connect.app, connect.tc_url.starts_with("rtmp://"))
        }
        Event::Publish(publish) => format!("publish {} ?{}", publish.key, publish.query),
        Event::Play(play) => format!("play {} {}", play.key, play.start),
        Event::Metadata { properties, .. } => format!("metadata {}", properties.find("width").is_some()),
        other => format!("{other:?}").split([' ', '(']).next().unwrap_or_default().to_owned(),
    }
}

fn check(recording: &[u8], expect: &[&str], media: [usize; 2]) {
    for piece in [usize::MAX, 1460, 100, 1] {
        assert_eq!(
            replay(recording, piece),
            (expect.iter().map(|&s| s.to_owned()).collect(), media),
            "{piece}"
        );
    }
}

#[test]
fn ffmpeg_publishing() {
    let expect =
        ["HandshakeDone", "connect live true", "publish live/a ?key=k", "metadata true", "Unpublish"];
    check(include_bytes!("../data/ffmpeg_publish.bin"), &expect, [7, 46]);
}

#[test]
fn rtmp2sink_publishing() {
    let expect = ["HandshakeDone", "connect live true", "publish live/b ?", "metadata true", "Unpublish"];
    check(include_bytes!("../data/gst_publish.bin"), &expect, [7, 0]);
}

#[test]
fn librtmp_publishing() {
    let expect = ["HandshakeDone", "connect live true", "publish live/c ?", "metadata true", "Unpublish"];
    check(include_bytes!("../data/librtmp_publish.bin"), &expect, [7, 0]);
}

#[test]
fn rtmpdump_playing() {
    let expect = [
        "HandshakeDone",
        "connect live true",
        "BufferLength",
        "play live/a -1000",
        "BufferLength",
        "StopPlay",
    ];
    check(include_bytes!("../data/rtmpdump_play.bin"), &expect, [0, 0]);
}

#[test]
fn ffmpeg_playing() {
    let expect = ["HandshakeDone", "connect live true", "play live/a -2000", "BufferLength"];
    check(include_bytes!("../data/ffmpeg_play.bin"), &expect, [0, 0]);
}
