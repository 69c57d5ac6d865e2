//! What passes through is the same to the byte, for every kind of message of enhanced RTMP: known to the server or not.
//!
//! A client publishes bodies that are made here byte by byte, having announced nothing; a player that announced nothing
//! either gets the same bodies in the same order. `docs/enhanced-rtmp.md` has the clauses and the tests that hold them.

mod bodies;

use anyhow::{Context, Result, ensure};
use bodies::{
    Tag, amf_number, audio, audio_head, audio_tag, join, modifier, object, text, tracks, video, video_head,
    video_tag,
};
use jackfield_e2e::rtmp::{Client, Media, TrackKind};
use jackfield_e2e::{Codecs, PlayerKind, PublisherKind, SOON, Server, compare};

/// By what a stream begins, so that a player does: a late joiner begins with a picture, and sound alone is not kept for it.
fn video_lead() -> Vec<Tag> {
    vec![
        Tag::new("configuration of H.264", TrackKind::Video, join(&[&[0x17, 0, 0, 0, 0], AVC_CONFIG])),
        Tag::new("key frame of H.264", TrackKind::Video, join(&[&[0x17, 1, 0, 0, 0], b"first"])),
    ]
}

/// `AVCDecoderConfigurationRecord`: Main 2.0 with a set of parameters each.
const AVC_CONFIG: &[u8] =
    b"\x01\x4d\x40\x14\xff\xe1\0\x19\x67\x4d\x40\x14\xec\xa0\xa0\xcf\xcf\x80\x88\0\0\x03\0\x08\0\0\
    \x03\x01\x90\x78\xa1\x4c\xb0\x01\0\x04\x68\xce\x3c\x80";

/// Publishes `lead` and, when a player has got it, `tags`; the player must get the same.
fn passes(server: &Server, name: &str, lead: &[Tag], tags: &[Tag]) -> Result<()> {
    let mut publisher = Client::connect(server.rtmp(), "live")?;
    let stream = publisher.publish(name)?;
    let mut clock = 0;
    let mut send = |tags: &[Tag]| -> Result<()> {
        for tag in tags {
            publisher.send(stream, &tag.at(clock)).with_context(|| tag.what.clone())?;
            clock += 20;
        }
        Ok(())
    };
    send(lead)?;
    let mut player = Client::connect(server.rtmp(), "live")?;
    player.play(name)?;
    same(&mut player, lead).context("the beginning")?;
    send(tags)?;
    same(&mut player, tags)?;
    publisher.unpublish(stream, name)?;
    Ok(())
}

/// Reads as many messages as there are tags, and compares them.
fn same(player: &mut Client, tags: &[Tag]) -> Result<()> {
    for tag in tags {
        let got = next(player).with_context(|| format!("instead of {}", tag.what))?;
        ensure!(
            got.kind == tag.kind && got.body == tag.body,
            "{}: {} {:02x?} instead of {:02x?}",
            tag.what,
            got.kind,
            got.body,
            tag.body
        );
    }
    Ok(())
}

/// The next message that is the publisher's: a play begins with data of the server's own.
fn next(player: &mut Client) -> Result<Media> {
    loop {
        let media = player.media(SOON)?;
        if media.kind != TrackKind::Data || !media.body.starts_with(&text("|RtmpSampleAccess")) {
            return Ok(media);
        }
    }
}

/// The configuration of a codec as an encoder makes it, where the clips have it; any bytes for others.
fn configuration(four_cc: &[u8; 4]) -> Result<Vec<u8>> {
    let number = u32::from_be_bytes(*four_cc);
    for codecs in [Codecs::HevcAac, Codecs::Av1Opus, Codecs::Vp9Flac] {
        let clip = codecs.clip()?;
        let recording = clip.recording();
        for stream in [&recording.video, &recording.audio] {
            if stream.codec == Some(number) {
                return Ok(stream.config.clone());
            }
        }
    }
    Ok(match four_cc {
        b"avc1" => AVC_CONFIG.to_vec(),
        b"mp4a" => vec![0x12, 0x10],
        _ => b"any configuration".to_vec(),
    })
}

#[test]
fn every_video_packet_type_of_every_four_cc_passes_unchanged() -> Result<()> {
    let server = Server::builder().start()?;
    for four_cc in video::FOUR_CCS {
        let key = |payload: &[u8]| video_tag(video::KEY_FRAME, video::CODED_FRAMES, four_cc, payload);
        let start = video_tag(video::KEY_FRAME, video::SEQUENCE_START, four_cc, &configuration(four_cc)?);
        let lead = [start, key(b"\0\0\x28first")];
        let mut tags = vec![];
        // Frame types: key, inter, disposable, generated key, and two that nobody knows. The last packet types are to come.
        for packet in (0..16).filter(|packet| ![video::MULTITRACK, video::MOD_EX].contains(packet)) {
            for frame in [1, 2, 3, 4, 6, 7, 0] {
                let payload = format!("\0\0\x28payload {packet} {frame}");
                tags.push(video_tag(frame, packet, four_cc, payload.as_bytes()));
            }
        }
        // Without a payload: the end of a sequence has none, and others may not have one either.
        tags.extend([2, 4, 5, 8, 15].map(|packet| video_tag(video::KEY_FRAME, packet, four_cc, b"")));
        passes(&server, &four_cc.escape_ascii().to_string(), &lead, &tags)?;
    }
    server.stop()?;
    Ok(())
}

#[test]
fn every_audio_packet_type_of_every_four_cc_passes_unchanged() -> Result<()> {
    let server = Server::builder().start()?;
    for (at, four_cc) in audio::FOUR_CCS.into_iter().enumerate() {
        let start = audio_tag(audio::SEQUENCE_START, four_cc, &configuration(four_cc)?);
        let mut tags = vec![start, audio_tag(audio::CODED_FRAMES, four_cc, b"first")];
        for packet in (0..16).filter(|packet| ![audio::MULTITRACK, audio::MOD_EX].contains(packet)) {
            tags.push(audio_tag(packet, four_cc, format!("payload {packet}").as_bytes()));
        }
        // The order of channels: unspecified, native with a mask, custom.
        tags.extend(
            [&b"\0\x02"[..], b"\x01\x06\0\0\0\x3f", b"\x02\x02\0\x01"].map(|it| audio_tag(4, four_cc, it)),
        );
        tags.extend([2, 4, 3, 8, 15].map(|packet| audio_tag(packet, four_cc, b"")));
        passes(&server, &format!("audio-{at}"), &video_lead(), &tags)?;
    }
    server.stop()?;
    Ok(())
}

#[test]
fn modifiers_pass_unchanged_alone_and_in_chains_known_and_unknown() -> Result<()> {
    let server = Server::builder().start()?;
    let long = vec![7; 300];
    // Offsets in nanoseconds: none, the largest, one that is too large; modifiers that nobody knows, of all sizes.
    let chains: Vec<Vec<(u8, &[u8])>> = vec![
        vec![(0, &[0, 0, 0])],
        vec![(0, &[0x0f, 0x42, 0x3f])],
        vec![(0, &[0xff, 0xff, 0xff])],
        vec![(0, &[1])],
        vec![(1, &[1, 2, 3, 4, 5])],
        vec![(15, &long[..256]), (3, &long)],
        vec![(0, &[0, 0, 1]), (2, &[9]), (0, &[0, 0, 2])],
    ];
    let (mut pictures, mut sounds) = (vec![], vec![]);
    for chain in &chains {
        for packet in [0, 1, 2, 3, 4, 5, 8, 15] {
            let modifiers = |mod_ex: u8| {
                let next = |at: usize| if at + 1 == chain.len() { packet } else { mod_ex };
                let all =
                    chain.iter().enumerate().map(|(at, (kind, bytes))| modifier(*kind, next(at), bytes));
                all.collect::<Vec<_>>().concat()
            };
            let what = format!("{chain:?} before packet type {packet}");
            let head = video_head(video::INTER_FRAME, video::MOD_EX);
            let body = join(&[&[head], &modifiers(video::MOD_EX), b"hvc1", b"\0\0\x28picture"]);
            pictures.push(Tag::new(format!("video {what}"), TrackKind::Video, body));
            if packet != audio::MULTITRACK {
                let head = audio_head(audio::MOD_EX);
                let body = join(&[&[head], &modifiers(audio::MOD_EX), b"Opus", b"sound"]);
                sounds.push(Tag::new(format!("audio {what}"), TrackKind::Audio, body));
            }
        }
        // A modifier of a multitrack message.
        let modifiers = modifier(0, video::MULTITRACK, &[0, 0, 9]);
        let head = video_head(video::INTER_FRAME, video::MOD_EX);
        let body = join(&[&[head], &modifiers, &[video::CODED_FRAMES], b"hvc1", &[1], b"\0\0\x28picture"]);
        pictures.push(Tag::new("a modifier of multitrack", TrackKind::Video, body));
    }
    passes(&server, "pictures", &video_lead(), &pictures)?;
    passes(&server, "sounds", &video_lead(), &sounds)?;
    server.stop()?;
    Ok(())
}

/// Multitrack messages of every form with this packet type inside, of tracks beside the first.
fn multitrack(kind: TrackKind, head: u8, packet: u8, four_ccs: [&[u8; 4]; 2]) -> Vec<Tag> {
    let [one, other] = four_ccs;
    let payload = |text: &str| join(&[b"\0\0\x28", text.as_bytes()]);
    let (a, b, c) = (payload("track 1"), payload("track 2, longer"), payload("track 255"));
    let mut tags = vec![];
    let mut add = |form: u8, rest: Vec<u8>| {
        let what = format!("{kind}, multitrack type {form} of packet type {packet}: {rest:02x?}");
        tags.push(Tag::new(what, kind, join(&[&[head, form << 4 | packet], &rest])));
    };
    for number in [0, 1, 63, 255] {
        add(0, join(&[one, &[number], &a]));
    }
    add(1, join(&[one, &tracks(&[(None, 1, &a)])]));
    add(1, join(&[one, &tracks(&[(None, 1, &a), (None, 2, &b), (None, 255, &c)])]));
    add(1, join(&[one, &tracks(&[(None, 0, &a), (None, 2, &b)])]));
    add(2, tracks(&[(Some(one), 1, &a), (Some(other), 2, &b)]));
    add(2, tracks(&[(Some(one), 0, &a), (Some(other), 2, &b), (Some(b"zzzz"), 7, &c)]));
    // Tracks that have nothing now, in between and alone.
    add(1, join(&[one, &tracks(&[(None, 1, b""), (None, 2, &b), (None, 3, b"")])]));
    add(2, tracks(&[(Some(one), 1, b""), (Some(other), 2, b"")]));
    // Forms that are to come.
    for form in [3, 9, 15] {
        add(form, join(&[b"anything at all", &a]));
    }
    tags
}

#[test]
fn multitrack_messages_of_every_form_pass_unchanged() -> Result<()> {
    let server = Server::builder().start()?;
    let (mut pictures, mut sounds) = (vec![], vec![]);
    for packet in 0..16 {
        for frame in [video::KEY_FRAME, video::INTER_FRAME] {
            let head = video_head(frame, video::MULTITRACK);
            pictures.extend(multitrack(TrackKind::Video, head, packet, [b"hvc1", b"av01"]));
        }
        sounds.extend(multitrack(
            TrackKind::Audio,
            audio_head(audio::MULTITRACK),
            packet,
            [b"Opus", b"mp4a"],
        ));
    }
    passes(&server, "pictures", &video_lead(), &pictures)?;
    passes(&server, "sounds", &video_lead(), &sounds)?;
    server.stop()?;
    Ok(())
}

#[test]
fn commands_and_metadata_of_video_pass_unchanged() -> Result<()> {
    let server = Server::builder().start()?;
    let mut tags = vec![];
    // StartSeek and EndSeek, and commands to come; the packet type says nothing then, but for metadata.
    for packet in
        (0..16).filter(|packet| ![video::METADATA, video::MULTITRACK, video::MOD_EX].contains(packet))
    {
        for command in [0, 1, 2, 255] {
            let body = vec![video_head(video::COMMAND, packet), command];
            tags.push(Tag::new(format!("command {command}, packet type {packet}"), TrackKind::Video, body));
        }
    }
    tags.push(Tag::new("classic command", TrackKind::Video, vec![0x57, 0]));
    let colors = object(&[
        ("colorConfig", object(&[("bitDepth", amf_number(10.0)), ("colorPrimaries", amf_number(9.0))])),
        ("hdrCll", object(&[("maxFall", amf_number(400.0)), ("maxCLL", amf_number(1000.0))])),
    ]);
    let info = join(&[&text("colorInfo"), &colors]);
    let unknown = join(&[&text("somethingElse"), &colors]);
    for frame in [video::KEY_FRAME, video::COMMAND] {
        for (four_cc, payload) in [(b"hvc1", &info), (b"avc1", &info), (b"hvc1", &unknown), (b"zzzz", &info)]
        {
            tags.push(video_tag(frame, video::METADATA, four_cc, payload));
        }
    }
    passes(&server, "commands", &video_lead(), &tags)?;
    server.stop()?;
    Ok(())
}

#[test]
fn classic_codecs_pass_unchanged_known_and_unknown() -> Result<()> {
    let server = Server::builder().start()?;
    // Each is a stream of its own: a publisher does not change its codec with every picture.
    for id in 0..16 {
        let tag = |frame: u8, payload: &str| {
            let body = join(&[&[frame << 4 | id, 1, 0, 0, 40], payload.as_bytes()]);
            Tag::new(format!("video of codec {id}, frame type {frame}"), TrackKind::Video, body)
        };
        let tags: Vec<_> =
            [2, 3, 1, 4, 6].into_iter().map(|frame| tag(frame, &format!("picture {frame}"))).collect();
        passes(&server, &format!("video-{id}"), &[tag(1, "first")], &tags)?;
    }
    for format in (0..16).filter(|format| *format != 9) {
        let tag = |flags: u8, payload: &str| {
            let body = join(&[&[format << 4 | flags, 1], payload.as_bytes()]);
            Tag::new(format!("audio of format {format}, flags {flags:x}"), TrackKind::Audio, body)
        };
        let tags: Vec<_> = (0..16).map(|flags| tag(flags, &format!("sound {flags}"))).collect();
        passes(&server, &format!("audio-{format}"), &video_lead(), &tags)?;
    }
    server.stop()?;
    Ok(())
}

#[test]
fn a_late_joiner_gets_the_configuration_of_every_track_before_its_media() -> Result<()> {
    let server = Server::builder().start()?;
    let mut publisher = Client::connect(server.rtmp(), "live")?;
    let stream = publisher.publish("late")?;
    let hevc = configuration(b"hvc1")?;
    let opus = configuration(b"Opus")?;
    let head = video_head(video::KEY_FRAME, video::MULTITRACK);
    let colors = join(&[&text("colorInfo"), &object(&[("colorConfig", object(&[]))])]);
    let configurations = [
        video_lead().swap_remove(0),
        Tag::new("configuration of AAC", TrackKind::Audio, vec![0xaf, 0, 0x12, 0x10]),
        Tag::new("HEVC as track 1", TrackKind::Video, join(&[&[head, 0], b"hvc1", &[1], &hevc])),
        Tag::new("Opus as track 1", TrackKind::Audio, join(&[&[audio_head(5), 0], b"Opus", &[1], &opus])),
        video_tag(video::KEY_FRAME, video::METADATA, b"hvc1", &colors),
        Tag::new(
            "channels of track 1",
            TrackKind::Audio,
            join(&[&[audio_head(5), 4], b"Opus", &[1], b"\0\x02"]),
        ),
    ];
    let picture =
        |number: u8| Tag::new(format!("picture {number}"), TrackKind::Video, vec![0x17, 1, 0, 0, 0, number]);
    for (at, tag) in configurations.iter().chain([picture(1), picture(2)].iter()).enumerate() {
        publisher.send(stream, &tag.at(i64::try_from(at)? * 40))?;
    }
    // The second group has come when an early player has it.
    let mut early = Client::connect(server.rtmp(), "live")?;
    early.play("late")?;
    until(&mut early, &picture(2))?;

    let mut late = Client::connect(server.rtmp(), "live")?;
    late.play("late")?;
    let before: Vec<_> = until(&mut late, &picture(2))?.into_iter().map(|media| media.body).collect();
    for tag in &configurations {
        let count = before.iter().filter(|body| **body == tag.body).count();
        ensure!(count == 1, "{} came {count} times before the first picture: {before:02x?}", tag.what);
    }
    ensure!(before.len() == configurations.len(), "more came than that: {before:02x?}");
    server.stop()?;
    Ok(())
}

/// Reads until this comes, and returns what came before.
fn until(player: &mut Client, tag: &Tag) -> Result<Vec<Media>> {
    let mut before = vec![];
    loop {
        let media = next(player).with_context(|| format!("{} did not come", tag.what))?;
        if media.body == tag.body {
            return Ok(before);
        }
        before.push(media);
    }
}

#[test]
fn metadata_of_the_stream_with_track_maps_passes_unchanged() -> Result<()> {
    let server = Server::builder().start()?;
    let track = object(&[("width", amf_number(320.0)), ("height", amf_number(180.0))]);
    let maps = object(&[
        ("videocodecid", amf_number(f64::from(u32::from_be_bytes(*b"hvc1")))),
        ("audiocodecid", amf_number(f64::from(u32::from_be_bytes(*b"Opus")))),
        ("audioTrackIdInfoMap", object(&[("1", object(&[("channels", amf_number(2.0))]))])),
        ("videoTrackIdInfoMap", object(&[("1", track)])),
    ]);
    // An ECMA array, as encoders write it: a marker and a count before the properties of an object.
    let told = join(&[&text("onMetaData"), &[8, 0, 0, 0, 4], &maps[1..]]);
    let metadata = Tag::new("metadata", TrackKind::Data, told.clone());
    let mut publisher = Client::connect(server.rtmp(), "live")?;
    let stream = publisher.publish("meta")?;
    let set = Tag::new("metadata", TrackKind::Data, join(&[&text("@setDataFrame"), &told]));
    publisher.send(stream, &set.at(0))?;
    for tag in video_lead() {
        publisher.send(stream, &tag.at(0))?;
    }
    let mut player = Client::connect(server.rtmp(), "live")?;
    player.play("meta")?;
    same(&mut player, &[vec![metadata], video_lead()].concat())?;
    server.stop()?;
    Ok(())
}

#[test]
fn newer_ffmpeg_publishes_hevc_with_two_audio_tracks_and_plays_all_of_them() -> Result<()> {
    let server = Server::builder().start()?;
    let clip = Codecs::HevcTwoAac.clip()?;
    let url = server.url("live/tracks");
    let publisher = PublisherKind::NewerFfmpeg.start(clip.path(), &url)?;
    let said = || format!("the publisher said:{}", publisher.program().last_words());
    let mut detected = vec![];
    for (kind, codec) in [("video", "hevc"), ("audio", "aac"), ("audio", "aac")] {
        let event = server
            .events()
            .wait_for("codec_detected", SOON, |event| {
                event.data("kind") == Some(kind)
                    && event.data("codec") == Some(codec)
                    && !detected.contains(&event.number("track"))
            })
            .with_context(said)?;
        detected.push(event.number("track"));
    }
    let player = PlayerKind::NewerFfmpeg.start(&url)?;
    player.wait_video(75, SOON).with_context(said)?;
    let got = player.finish()?;
    ensure!(got.more.len() == 1, "one more track than video and audio: {:?}", got.more.keys());
    compare(clip.recording(), &got, 75)?;
    publisher.end();
    server.stop()?;
    Ok(())
}
