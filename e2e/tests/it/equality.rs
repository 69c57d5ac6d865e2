//! Hooks are told and asked, and the stream does not change by a byte.

use anyhow::{Context, Result, ensure};
use jackfield_e2e::flv::Stream;
use jackfield_e2e::rtmp::{Client, Media, TrackKind, configurations, picture, sound};
use jackfield_e2e::{
    PlayerKind, PublisherKind, Receiver, Recording, Reply, SOON, Scratch, Server, all_cases, check_pairs,
    clip, compare, fixture, hook_fixture,
};
use serde_json::json;
use std::fmt::Write as _;

/// What was in the access units.
fn hashes(stream: &Stream) -> Vec<u64> {
    stream.units.iter().map(|unit| unit.hash).collect()
}

/// Publishes a clip to its end for a player that was there first, and returns what that one got.
fn watch(server: &Server, publisher: PublisherKind, player: PlayerKind) -> Result<Recording> {
    let clip = clip::lasting(2)?;
    let key = format!("live/{publisher}-{player}");
    let playing = player.start(&server.url(&key))?;
    let mut publishing = publisher.start(clip.path(), &server.url(&key))?;
    let all = clip.recording().video.units.len();
    playing.wait_video(all, SOON).with_context(|| publishing.program().last_words())?;
    publishing.wait(SOON)?;
    playing.wait_end(SOON)?;
    let got = playing.finish()?;
    let expect = hashes(&clip.recording().video);
    ensure!(hashes(&got.video) == expect, "{key}: other pictures than the clip's");
    Ok(got)
}

/// Hooks of every kind on every event: quick ones, and some that never answer.
fn all_hooks(receiver: &Receiver, folder: &Scratch) -> Result<String> {
    let late = fixture("hooks/late.sh")?.display().to_string();
    let quick = folder.script("quick.sh", "#!/bin/dash\necho '{}'\n")?.display().to_string();
    let worker = hook_fixture()?.display().to_string();
    let mut config = "[hooks]\nstdio_format = \"json\"\n[server]\ndrain_timeout = \"100ms\"\n".to_owned();
    let mut hook = |name: &str, on: &str, mode: &str, handler: &str| {
        let policy = if mode == "decide" { "on_error = \"deny\"\n" } else { "" };
        let policy = policy.to_owned() + "timeout = \"20s\"\n";
        writeln!(config, "[[hook]]\nname = \"{name}\"\non = {on}\nmode = \"{mode}\"\n{handler}\n{policy}")
    };
    let questions = "[\"authorize_*\", \"resolve_*\"]";
    hook("ask-worker", questions, "decide", &format!("worker = [{worker:?}, \"worker\"]"))?;
    hook("ask-url", questions, "decide", &format!("url = \"{}\"", receiver.url("/ask")))?;
    hook("ask-run", questions, "decide", &format!("run = [{quick:?}]"))?;
    hook("tell-worker", "[\"*\"]", "notify", &format!("worker = [{worker:?}, \"worker\"]"))?;
    hook("tell-url", "[\"*\"]", "notify", &format!("url = \"{}\"", receiver.url("/tell")))?;
    hook("tell-run", "[\"*\"]", "notify", &format!("run = [{quick:?}]"))?;
    hook("silent-url", "[\"*\"]", "notify", &format!("url = \"{}\"", receiver.url("/silent")))?;
    hook("late-run", "[\"*\"]", "notify", &format!("run = [{late:?}]"))?;
    Ok(config)
}

#[test]
fn a_stream_with_all_hooks_on_is_equal_to_one_without() -> Result<()> {
    let folder = Scratch::new()?;
    let receiver = Receiver::start(|request| match request.path.as_str() {
        "/silent" => Reply::Silence,
        "/ask" => Reply::json(200, &json!({ "decision": "pass" })),
        _ => Reply::status(204),
    })?;
    let with = Server::builder()
        .config(all_hooks(&receiver, &folder)?)
        .env("NOTES", folder.path().join("notes"))
        .env("LATE", "600")
        .stdio_format(None)
        .start()?;
    let without = Server::builder().stdio_format(None).log_level("info").start()?;
    // Not rtmp2src: it throws away what it has not looked at yet when it hears of the end.
    for (publisher, player) in [
        (PublisherKind::Ffmpeg, PlayerKind::Rtmpdump),
        (PublisherKind::Ffmpeg, PlayerKind::Ffmpeg),
        (PublisherKind::RtmpSink, PlayerKind::Rtmpdump),
    ] {
        let pair = || format!("{publisher} to {player}");
        let (one, other) = std::thread::scope(|scope| {
            let one = scope.spawn(|| watch(&with, publisher, player));
            let other = watch(&without, publisher, player).with_context(|| format!("{}, no hooks", pair()));
            (one.join(), other)
        });
        let one = one.ok().context("a thread panicked")?.with_context(|| format!("{}, hooks", pair()))?;
        let other = other?;
        ensure!(hashes(&one.video) == hashes(&other.video), "{}: the pictures differ", pair());
        // A player gets the sound before the first picture if it is attached by then.
        let [one_sound, other_sound] = [&one, &other].map(|recording| hashes(&recording.audio));
        let same = one_sound.ends_with(&other_sound) || other_sound.ends_with(&one_sound);
        ensure!(same && one_sound.len().min(other_sound.len()) > 60, "{}: the sound differs", pair());
        ensure!(one.video == other.video, "{}: time stamps or flags of pictures differ", pair());
        let (all, some) = if one_sound.len() > other_sound.len() { (&one, &other) } else { (&other, &one) };
        compare(all, some, some.video.units.len()).with_context(pair)?;
    }
    for path in ["/ask", "/tell", "/silent"] {
        receiver.wait(path, SOON, |request| request.path == path)?;
    }
    let events = with.stop()?.events.all()?;
    ensure!(events.len() > 30);
    check_pairs(&events)?;
    ensure!(without.stop()?.events.lines().is_empty());
    Ok(())
}

/// Messages of every length around those of chunks, of codecs that the server knows and does not know.
fn messages() -> Result<Vec<Media>> {
    let mut messages = vec![Media {
        kind: TrackKind::Data,
        timestamp: 0,
        body: b"\x02\x00\x0aonMetaData\x03\x00\x05width\x00\x40\x74\x00\x00\x00\x00\x00\x00\x00\x00\x09"
            .as_slice()
            .into(),
    }];
    messages.extend(configurations(&clip::standard()?));
    let lengths =
        [1, 2, 100, 127, 128, 129, 255, 256, 257, 4091, 4095, 4096, 4097, 65_535, 65_537, 1_000_000];
    for (number, length) in (0..).zip(lengths) {
        messages.extend([picture(number, length), sound(number, length.min(5000))]);
    }
    // Sorenson H.263, VP6 and a codec by its FourCC as key frames; MP3 and Speex; a cue point.
    let at = 40 * 16;
    for first in [0x12, 0x14, 0x91] {
        let body = [&[first][..], b"hvc1", &[7; 3000]].concat().into();
        messages.push(Media { kind: TrackKind::Video, timestamp: at, body });
    }
    for first in [0x2f, 0xb2] {
        messages.push(Media {
            kind: TrackKind::Audio,
            timestamp: at,
            body: [&[first][..], &[9; 300]].concat().into(),
        });
    }
    messages.push(Media {
        kind: TrackKind::Data,
        timestamp: at,
        body: b"\x02\x00\x0aonCuePoint\x02\x00\x02hi".as_slice().into(),
    });
    for number in 0..10 {
        let mut late = picture(25 + number, 700);
        late.timestamp = at + 40 + i64::from(number) * 40;
        messages.push(late);
    }
    Ok(messages)
}

fn is_metadata(media: &Media) -> bool {
    media.kind == TrackKind::Data && media.body.get(3..).is_some_and(|body| body.starts_with(b"onMetaData"))
}

#[test]
fn message_bodies_pass_unchanged_whatever_their_length_and_codec() -> Result<()> {
    for chunk_size in ["128", "4096", "65536"] {
        let server = Server::builder().args(["--chunk-size", chunk_size]).start()?;
        let sent = messages()?;
        let mut publisher = Client::connect(server.rtmp(), "live")?;
        let stream = publisher.publish("show")?;
        let mut player = Client::connect(server.rtmp(), "live")?;
        player.play("show")?;
        // A player that has got the first picture is attached, and gets all that comes from now on.
        let (head, rest) = sent.split_at(4);
        let first = head.last().context("messages")?;
        for media in head {
            publisher.send(stream, media)?;
        }
        let mut got: Vec<Media> = vec![];
        while got.last().is_none_or(|last| last.body != first.body) {
            let media = player.media(SOON)?;
            // Players are told first that they may look into the stream; that is not the publisher's.
            if media.kind != TrackKind::Data || is_metadata(&media) {
                got.push(media);
            }
        }
        for media in rest {
            publisher.send(stream, media)?;
        }
        while got.len() < sent.len() {
            let media = player.media(SOON).with_context(|| {
                let missing = sent.iter().filter(|sent| !got.iter().any(|got| got.body == sent.body));
                let missing: Vec<_> =
                    missing.map(|media| (media.kind, media.timestamp, media.body.len())).collect();
                format!("{} of {} messages; missing: {missing:?}", got.len(), sent.len())
            })?;
            got.push(media);
        }
        for kind in [TrackKind::Video, TrackKind::Audio, TrackKind::Data] {
            // Metadata is put in order for players.
            let of = |all: &[Media]| -> Vec<Media> {
                let all = all.iter().filter(|media| media.kind == kind && !is_metadata(media));
                all.cloned().collect()
            };
            let (got, sent) = (of(&got), of(&sent));
            ensure!(got.len() == sent.len(), "{chunk_size}: {} of {} {kind:?}", got.len(), sent.len());
            for (at, (got, sent)) in got.iter().zip(&sent).enumerate() {
                ensure!(
                    got.body == sent.body,
                    "{chunk_size}: {kind:?} {at} of {} bytes differs",
                    sent.body.len()
                );
                ensure!(
                    got.timestamp == sent.timestamp,
                    "{chunk_size}: {kind:?} {at} at {} instead of {}",
                    got.timestamp,
                    sent.timestamp
                );
            }
        }
        drop((publisher, player));
        check_pairs(&server.stop()?.events.all()?)?;
    }
    Ok(())
}

/// One publisher's end, and what its player got last.
fn last_frames(server: &Server, round: u32) -> Result<()> {
    let name = format!("show-{round}");
    let mut publisher = Client::connect(server.rtmp(), "live")?;
    let stream = publisher.publish(&name)?;
    for media in configurations(&clip::standard()?).iter().chain([&picture(0, 500)]) {
        publisher.send(stream, media)?;
    }
    let mut player = Client::connect(server.rtmp(), "live")?;
    let playing = player.play(&name)?;
    while player.media(SOON)?.body != picture(0, 500).body {}
    // Sound alone would wait for a picture to ride with.
    let last: Vec<Media> = (1..=3).map(|number| sound(number, 200)).collect();
    for media in &last {
        publisher.send(stream, media)?;
    }
    match round % 3 {
        0 => publisher.unpublish(stream, &name)?,
        1 => publisher.shut_down(),
        _ => drop(publisher),
    }
    player.expect_status(playing, "NetStream.Play.UnpublishNotify", SOON)?;
    let got: Vec<Media> = player.came_media();
    let came = || -> Vec<_> { got.iter().map(|got| (got.kind, got.timestamp, got.body.len())).collect() };
    ensure!(got == last, "instead of {} units of sound came {:?}", last.len(), came());
    Ok(())
}

#[test]
fn the_last_frames_reach_players_before_they_hear_of_the_end() -> Result<()> {
    let server = Server::builder().start()?;
    let rounds = if all_cases() { 1000 } else { 30 };
    for round in 0..rounds {
        last_frames(&server, round).with_context(|| format!("round {round}"))?;
    }
    check_pairs(&server.stop()?.events.all()?)
}
