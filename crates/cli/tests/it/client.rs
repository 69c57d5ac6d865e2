//! `play`, `publish` and `probe` against the running server.

use super::server::Running;
use super::{Folder, jackfield, run};
use bytes::{Bytes, BytesMut};
use jackfield_containers::flv::{Tag, TagReader, write_header, write_tag};
use jackfield_media::TrackKind::{self, Audio, Data, Video};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader, Lines, Read, Write};
use std::net::Shutdown;
use std::process::{Child, ChildStderr, ChildStdin, Command, Stdio};

/// H.264, 320x180.
const AVC: &str = "0142c01effe100186742c01ed90141fb011000000300100000030320f162e48001000568cb83cb20";

fn hex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(text.get(at..at + 2).unwrap(), 16).unwrap())
        .collect()
}

fn tag(kind: TrackKind, timestamp_ms: u32, body: &[&[u8]]) -> Tag {
    Tag { kind, timestamp_ms, body: Bytes::from(body.concat()) }
}

/// Two seconds of pictures and sound, and what stands before them.
fn tags() -> Vec<Tag> {
    let mut tags = vec![
        tag(
            Data,
            0,
            &[b"\x02\x00\x0aonMetaData\x08\x00\x00\x00\x01\x00\x05width\x00\x40\x74\0\0\0\0\0\0\0\0\x09"],
        ),
        tag(Video, 0, &[&[0x17, 0, 0, 0, 0], &hex(AVC)]),
        tag(Audio, 0, &[&[0xaf, 0, 0x12, 0x10]]),
    ];
    for number in 0..50u8 {
        let timestamp = u32::from(number) * 40;
        let first = if number.is_multiple_of(25) { 0x17 } else { 0x27 };
        tags.push(tag(Video, timestamp, &[&[first, 1, 0, 0, 0, 0, 0, 0, 1], &[number]]));
        tags.push(tag(Audio, timestamp, &[&[0xaf, 1, number]]));
    }
    tags
}

fn file(tags: &[Tag]) -> BytesMut {
    let mut file = BytesMut::new();
    write_header(&mut file, &[Audio, Video]);
    tags.iter().for_each(|tag| write_tag(&mut file, tag));
    file
}

fn read(bytes: &[u8]) -> Vec<Tag> {
    let mut reader = TagReader::default();
    reader.push(bytes);
    std::iter::from_fn(|| reader.next_tag().unwrap()).collect()
}

/// A client that runs; killed when dropped.
struct Client {
    child: Child,
    lines: Lines<BufReader<ChildStderr>>,
}

impl Client {
    fn start(command: &mut Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        Self { child, lines }
    }

    /// Reads up to the line that has this.
    fn said(&mut self, what: &str) -> String {
        let mut seen = Vec::new();
        for line in self.lines.by_ref() {
            let line = line.unwrap();
            if line.contains(what) {
                return line;
            }
            seen.push(line);
        }
        panic!("no {what:?} in:\n{}", seen.join("\n"));
    }

    /// Returns once the program catches this signal, which is soon after its start.
    fn wait_until_it_heeds(&mut self, signal: Signal) {
        let path = format!("/proc/{}/status", self.child.id());
        let bit = 1u64 << (signal.as_raw() - 1);
        while self.child.try_wait().unwrap().is_none() {
            let status = std::fs::read_to_string(&path).unwrap();
            let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
            if u64::from_str_radix(caught.trim(), 16).unwrap() & bit != 0 {
                return;
            }
            std::thread::yield_now();
        }
        panic!("it has ended");
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    fn ended(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // It has ended, or it may.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A publisher that sends what is written to its standard input.
fn publisher(url: &str) -> (Client, ChildStdin) {
    let mut command = jackfield();
    command.args(["publish", "-", url, "--speed", "max"]).stdin(Stdio::piped());
    let mut client = Client::start(&mut command);
    let stdin = client.child.stdin.take().unwrap();
    (client, stdin)
}

fn player(url: &str, output: &str, more: &[&str]) -> Client {
    Client::start(jackfield().args(["play", url, "-o", output]).args(more))
}

#[test]
fn what_is_published_is_played_tag_by_tag() {
    let server = Running::start(&[]);
    let folder = Folder::new("play");
    let url = format!("rtmp://{}/live/show", server.rtmp);
    let tags = tags();
    let (before, after) = tags.split_at(4);
    let (mut publisher, mut stdin) = publisher(&url);
    stdin.write_all(&file(before)).unwrap();
    stdin.flush().unwrap();
    publisher.said("publishing to rtmp://");
    let path = folder.path().join("out.flv");
    let mut player = player(&url, path.to_str().unwrap(), &[]);
    player.said("playing rtmp://");
    stdin.write_all(&file(after)[13..]).unwrap();
    drop(stdin);
    assert_eq!(publisher.ended(), Some(0));
    assert_eq!(player.ended(), Some(0));
    let got = read(&std::fs::read(&path).unwrap());
    // The metadata was cleaned by the server; media is untouched.
    let media = |tags: &[Tag]| tags.iter().filter(|tag| tag.kind != Data).cloned().collect::<Vec<_>>();
    assert_eq!(media(&got), media(&tags));
    assert!(got.iter().any(|tag| tag.kind == Data));

    // And the file tells what it has.
    let probe = run(&["probe", path.to_str().unwrap(), "--json"]);
    assert_eq!(probe.code, Some(0), "{}", probe.stderr);
    let report: serde_json::Value = serde_json::from_str(&probe.stdout).unwrap();
    let video = &report["tracks"][0];
    assert_eq!(
        (&video["codec"], &video["frames"], &video["keyframes"]),
        (&"h264".into(), &50.into(), &2.into())
    );
    assert_eq!(video["keyframe_distance"]["average_ms"], 1000.0);
    assert_eq!(report["tracks"][1]["codec_string"], "mp4a.40.2");
    assert_eq!(report["timing"]["audio_offset_ms"], 0);
}

#[test]
fn a_signal_ends_both_in_order() {
    let server = Running::start(&[]);
    let folder = Folder::new("signals");
    let url = format!("rtmp://{}/live/show", server.rtmp);
    let input = folder.path().join("in.flv");
    std::fs::write(&input, file(&tags())).unwrap();
    let mut publisher = Client::start(jackfield().args(["publish", input.to_str().unwrap(), &url, "--loop"]));
    publisher.said("publishing to");
    let path = folder.path().join("out.flv");
    let mut player = player(&url, path.to_str().unwrap(), &[]);
    player.said("playing");
    let probe = run(&["probe", &url, "--seconds", "0.5"]);
    assert!(probe.stdout.contains("h264") && probe.stdout.contains("key frame"), "{}", probe.stdout);
    player.signal(Signal::INT);
    assert_eq!(player.ended(), Some(0));
    assert!(player.said("received").contains("messages"));
    let bytes = std::fs::read(&path).unwrap();
    assert!(!read(&bytes).is_empty());
    // The last tag is whole.
    let last = u32::from_be_bytes(bytes[bytes.len() - 4..].try_into().unwrap()) as usize;
    let size = u32::from_be_bytes([
        0,
        bytes[bytes.len() - last - 3],
        bytes[bytes.len() - last - 2],
        bytes[bytes.len() - last - 1],
    ]);
    assert_eq!(size as usize + 11, last);
    publisher.signal(Signal::TERM);
    assert_eq!(publisher.ended(), Some(0));
    publisher.said("sent");
}

#[test]
fn standard_output_takes_a_stream_for_so_many_seconds() {
    let server = Running::start(&[]);
    let url = format!("rtmp://{}/live/show", server.rtmp);
    let (mut publisher, mut stdin) = publisher(&url);
    stdin.write_all(&file(&tags())).unwrap();
    stdin.flush().unwrap();
    publisher.said("publishing");
    let played =
        jackfield().args(["play", &url, "-o", "-", "--seconds", "0.04", "--quiet"]).output().unwrap();
    assert_eq!((played.status.code(), played.stderr.as_slice()), (Some(0), &b""[..]));
    assert!(played.stdout.starts_with(b"FLV\x01\x05"));
    assert!(!read(&played.stdout).is_empty());
}

#[test]
fn a_signal_ends_those_who_wait_for_a_file_or_pipe() {
    let server = Running::start(&[]);
    let url = format!("rtmp://{}/live/show", server.rtmp);
    // A publisher that has read nothing yet.
    let mut command = jackfield();
    let mut idle = Client::start(command.args(["publish", "-", &url]).stdin(Stdio::piped()));
    let held = idle.child.stdin.take();
    idle.wait_until_it_heeds(Signal::TERM);
    idle.signal(Signal::TERM);
    assert_eq!(idle.ended(), Some(0));
    drop(held);

    // A player whose reader takes nothing: more than a pipe holds has come.
    let (mut publisher, mut stdin) = publisher(&url);
    let mut tags = tags();
    tags.extend(
        (0..8).map(|number| {
            tag(Video, 2000 + number, &[&[0x27, 1, 0, 0, 0, 0, 3, 0xd, 0x40], &vec![0; 200_000]])
        }),
    );
    stdin.write_all(&file(&tags)).unwrap();
    stdin.flush().unwrap();
    publisher.said("publishing");
    let mut command = jackfield();
    let mut player = Client::start(command.args(["play", &url, "-o", "-"]).stdout(Stdio::piped()));
    // What is read here lies in the first large tag: the rest of it fills the pipe.
    let mut begun = [0; 16 << 10];
    player.child.stdout.as_mut().unwrap().read_exact(&mut begun).unwrap();
    player.signal(Signal::INT);
    assert_eq!(player.ended(), Some(1));
    player.said("nobody takes it");
}

#[test]
fn errors_say_what_to_do() {
    let folder = Folder::new("client-errors");
    let config = folder.write("jackfield.toml", "[hub]\nwait_ms = 1\n");
    let server = Running::start(&["--config", &config]);
    let text = folder.write("text.flv", "hello");
    let empty = folder.write("empty.flv", "");
    let url = format!("rtmp://{}/live/show", server.rtmp);
    for (args, code, expect) in [
        (&["play", "http://h/a/b", "-o", "x"][..], 2, "it does not begin with rtmp:// or rtmps://"),
        (&["play", "rtmp://h/live", "-o", "x"], 2, "it names no stream: write rtmp://host/app/name"),
        (&["play", &url], 2, "--output"),
        (&["play", &url, "-o", "x", "--seconds", "0"], 2, "a number above 0"),
        (&["play", &url, "-o", "x", "--insecure", "--tls-ca", "x"], 2, "cannot be used with"),
        (&["publish", &text, &url, "--speed", "fast"], 2, "or max, is expected"),
        (&["publish", &text, &url], 1, "this is no FLV file"),
        (&["publish", &empty, &url], 1, "has no tags"),
        (&["publish", "/no/such/file", &url], 1, "cannot read /no/such/file"),
        (&["publish", "-", &url, "--loop"], 1, "--loop needs a file"),
        (&["play", &url, "-o", "/no/such/folder/x", "--tls-ca", "/no/file"], 1, "cannot read /no/file"),
        (&["play", &url, "-o", "x"], 1, "NetStream.Play.StreamNotFound"),
        (&["probe", &url], 1, "NetStream.Play.StreamNotFound"),
        (&["probe", "/no/such/file"], 1, "cannot read /no/such/file"),
        (&["probe", &empty], 1, "the file has no tags"),
    ] {
        let ran = run(args);
        assert_eq!(ran.code, Some(code), "{args:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(expect), "{args:?}: {}", ran.stderr);
    }
}

#[test]
fn who_is_hung_up_on_in_clear_text_is_told_of_rtmps() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("rtmp://{}/live/show", listener.local_addr().unwrap());
    std::thread::scope(|scope| {
        // Twice: the client tries the simple handshake too.
        scope.spawn(|| (0..2).for_each(|_| drop(listener.accept().unwrap().0.shutdown(Shutdown::Both))));
        let ran = run(&["probe", &url]);
        assert_eq!(ran.code, Some(1));
        let ends = [&format!("cannot play {url}: "), "; does this port want rtmps://?"];
        assert!(ends.iter().all(|end| ran.stderr.contains(*end)), "{}", ran.stderr);
    });
}
