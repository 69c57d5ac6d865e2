//! Time stamps at the edges of what 24, 31 and 32 bits hold, clocks that drift and jump: what players get is the same
//! media at the same distances.

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use jackfield_e2e::rtmp::{Client, Media, TrackKind, configurations, picture, sound};
use jackfield_e2e::{Clip, PlayerKind, SOON, Server, clip, compare};
use std::io::Write;

/// Pictures, a sound for each, and where they really are in time; what the publisher sends as their time stamps is
/// another matter.
fn stream(from: u32, pictures: u32) -> Vec<Media> {
    let mut media = Vec::new();
    for number in from..from + pictures {
        // Sound is ahead of its picture, so that it wraps first.
        media.push(picture(number, 2000));
        media.push(Media { timestamp: i64::from(number) * 40 + 27, ..sound(number, 100) });
    }
    media
}

/// Sends media with other time stamps than it has.
pub(crate) fn send(
    client: &mut Client,
    stream: u32,
    media: &[Media],
    stamp: impl Fn(i64) -> i64,
) -> Result<()> {
    for one in media {
        let stamped = Media { timestamp: stamp(one.timestamp), ..one.clone() };
        client.send(stream, &stamped)?;
    }
    Ok(())
}

/// Media of this kind, of that which was sent or came.
fn of(kind: TrackKind, media: &[Media]) -> impl Iterator<Item = &Media> {
    media.iter().filter(move |one| one.kind == kind)
}

/// Reads as many access units of each kind as were sent; configurations are passed over.
fn receive(player: &mut Client, sent: &[Media]) -> Result<Vec<Media>> {
    let mut got = Vec::new();
    while got.len() < sent.len() {
        let media = player.media(SOON).with_context(|| format!("{} of {} came", got.len(), sent.len()))?;
        if media.kind != TrackKind::Data && media.body.get(1) == Some(&1) {
            got.push(media);
        }
    }
    Ok(got)
}

/// The same bodies, each track in its order, at the same distances from the first picture.
fn same(sent: &[Media], got: &[Media]) -> Result<()> {
    let origin = |media: &[Media]| media.first().map_or(0, |one| one.timestamp);
    for kind in [TrackKind::Video, TrackKind::Audio] {
        let (sent_from, got_from) = (origin(sent), origin(got));
        ensure!(of(kind, sent).count() == of(kind, got).count(), "{kind}: another number of units");
        for (index, (sent, got)) in of(kind, sent).zip(of(kind, got)).enumerate() {
            ensure!(sent.body == got.body, "{kind} {index}: another body");
            let (expect, real) = (sent.timestamp - sent_from, got.timestamp - got_from);
            ensure!(expect == real, "{kind} {index}: {real} ms after the first picture, not {expect}");
        }
    }
    Ok(())
}

struct Published {
    server: Server,
    publisher: Client,
    stream: u32,
    player: Client,
}

/// A publisher that has sent its configurations, at time 0 as many do, and a player that waits for the first picture.
fn published(clip: &Clip) -> Result<Published> {
    let server = Server::builder().start()?;
    let mut publisher = Client::connect(server.rtmp(), "live")?;
    let stream = publisher.publish("show")?;
    for media in configurations(clip) {
        publisher.send(stream, &media)?;
    }
    let mut player = Client::connect(server.rtmp(), "live")?;
    player.play("show")?;
    Ok(Published { server, publisher, stream, player })
}

impl Published {
    /// Publishes, and returns what the player got. The first picture goes alone: whenever the player is attached, it
    /// begins with that one.
    fn pass(&mut self, sent: &[Media], stamp: impl Fn(i64) -> i64) -> Result<Vec<Media>> {
        let (first, rest) = sent.split_at(1.min(sent.len()));
        let Self { publisher, stream, player, .. } = self;
        send(publisher, *stream, first, &stamp)?;
        let mut got = receive(player, first)?;
        send(publisher, *stream, rest, &stamp)?;
        got.extend(receive(player, rest)?);
        Ok(got)
    }
}

/// The last group of what was sent: what a late joiner gets.
fn last_group(sent: &[Media]) -> &[Media] {
    let is_key = |media: &Media| media.body.first() == Some(&0x17);
    sent.get(sent.iter().rposition(is_key).unwrap_or_default()..).unwrap_or_default()
}

/// What a publisher makes of a time stamp.
type Wire = fn(i64) -> i64;

#[test]
fn streams_that_begin_and_wrap_anywhere_keep_bodies_and_distances() -> Result<()> {
    let clip = clip::standard()?;
    // Where the time stamps begin, and from how many bits on the publisher's wrap. The last group holds the wrap.
    let edge = 1720;
    let signed = |ms: i64| ms & 0x7fff_ffff;
    let unsigned = |ms: i64| ms & 0xffff_ffff;
    let cases: [(&str, i64, Wire); 6] = [
        ("24 bits", (1 << 24) - edge, unsigned),
        ("24 bits less one", (1 << 24) - 1 - edge, unsigned),
        ("half the range", (1 << 31) - edge, unsigned),
        ("from half the range on", 1 << 31, unsigned),
        ("a signed wrap", (1 << 31) - edge, signed),
        ("the whole range", (1 << 32) - edge, unsigned),
    ];
    for (name, start, wire) in cases {
        let mut published = published(&clip)?;
        let stamp = |ms| wire(start + ms);
        let sent = stream(0, 50);
        same(&sent, &published.pass(&sent, stamp)?).context(name)?;
        // The wrap lies within the cached group.
        let mut late = Client::connect(published.server.rtmp(), "live")?;
        late.play("show")?;
        let group = last_group(&sent);
        same(group, &receive(&mut late, group)?).with_context(|| format!("{name}, late"))?;
        let more = stream(50, 50);
        same(&more, &published.pass(&more, stamp)?).with_context(|| format!("{name}, later"))?;
        same(&more, &receive(&mut late, &more)?).with_context(|| format!("{name}, late and later"))?;
        published.server.stop()?;
    }
    Ok(())
}

#[test]
fn clocks_that_drift_apart_keep_the_pace_that_each_has() -> Result<()> {
    let clip = clip::standard()?;
    let mut published = published(&clip)?;
    // The sound card counts 5 % slow: 15 seconds after 5 minutes.
    let drift = |kind, ms: i64| if kind == TrackKind::Audio { ms * 95 / 100 } else { ms };
    let mut last = 0;
    for minute in 0..5 {
        let sent: Vec<Media> = stream(minute * 1500, 1500)
            .into_iter()
            .map(|media| Media { timestamp: drift(media.kind, media.timestamp), ..media })
            .collect();
        let got = published.pass(&sent, |ms| ms)?;
        same(&sent, &got).with_context(|| format!("minute {minute}"))?;
        let began = of(TrackKind::Video, &got).next().map_or(0, |media| media.timestamp);
        ensure!(minute == 0 || began == last + 40, "minute {minute} begins at {began}, after {last}");
        last = of(TrackKind::Video, &got).last().map_or(0, |media| media.timestamp);
    }
    published.server.stop()?;
    Ok(())
}

#[test]
fn a_jump_costs_no_more_than_a_moment_and_leaves_sound_and_pictures_together() -> Result<()> {
    let clip = clip::standard()?;
    let mut published = published(&clip)?;
    let mut last = None;
    // Hours ahead, back to 0 as after a restart of the encoder, across half the range.
    for (part, start) in (0..).zip([90_000, 7_200_000, 0, 3_000_000_000, 1_000]) {
        let sent = stream(part * 50, 50);
        let moved = start - sent.first().map_or(0, |media| media.timestamp);
        let got = published.pass(&sent, |ms| ms + moved)?;
        same(&sent, &got).with_context(|| format!("from {start} on"))?;
        let began = got.first().map_or(0, |media| media.timestamp);
        let step = last.map_or(1, |last| began - last);
        ensure!((1..=3000).contains(&step), "from {start} on: {step} ms after the last picture");
        last = of(TrackKind::Video, &got).last().map(|media| media.timestamp);
    }
    published.server.stop()?;
    Ok(())
}

/// A message in chunks as encoders write them: one header of type 0, then type 3 with this before each further piece.
fn chunks(stream: u32, media: &Media, stamp: u32, repeated: &[u8]) -> Vec<u8> {
    let (chunk_stream, kind) = if media.kind == TrackKind::Video { (6, 9) } else { (4, 8) };
    let [_, l2, l1, l0] = u32::try_from(media.body.len()).unwrap_or_default().to_be_bytes();
    let mut wire = vec![chunk_stream, 0xff, 0xff, 0xff, l2, l1, l0, kind];
    wire.extend(stream.to_le_bytes());
    wire.extend(stamp.to_be_bytes());
    for (index, piece) in media.body.chunks(4096).enumerate() {
        if index > 0 {
            wire.push(0xc0 | chunk_stream);
            wire.extend(repeated);
        }
        wire.extend(piece);
    }
    wire
}

#[test]
fn extended_time_stamps_are_read_whether_continued_chunks_repeat_them_or_not() -> Result<()> {
    let clip = clip::standard()?;
    for repeats in [true, false] {
        let Published { server, publisher, stream: id, mut player } = published(&clip)?;
        let sent: Vec<Media> = (0..50).map(|number| picture(number, 20_000)).collect();
        let mut got = Vec::new();
        for media in &sent {
            let stamp = (1 << 24) + u32::try_from(media.timestamp)?;
            let repeated = stamp.to_be_bytes();
            let wire = chunks(id, media, stamp, if repeats { &repeated } else { &[] });
            publisher.socket().write_all(&wire)?;
            got.extend(receive(&mut player, std::slice::from_ref(media))?);
        }
        same(&sent, &got).with_context(|| format!("repeated: {repeats}"))?;
        server.stop()?;
    }
    Ok(())
}

/// The audio and video tags of a clip.
pub(crate) fn tags(clip: &Clip) -> Result<Vec<Media>> {
    let file = std::fs::read(clip.path())?;
    let mut rest = file.get(13..).context("an FLV file")?;
    let mut tags = Vec::new();
    while let Some((&[kind, l2, l1, l0, t2, t1, t0, t3, _, _, _], after)) = rest.split_first_chunk::<11>() {
        let length = usize::try_from(u32::from_be_bytes([0, l2, l1, l0]))?;
        let (body, next) = after.split_at_checked(length).context("a whole tag")?;
        let kind = match kind {
            8 => Some(TrackKind::Audio),
            9 => Some(TrackKind::Video),
            _ => None,
        };
        let timestamp = i64::from(u32::from_be_bytes([t3, t2, t1, t0]));
        tags.extend(kind.map(|kind| Media { kind, timestamp, body: Bytes::copy_from_slice(body) }));
        rest = next.get(4..).unwrap_or_default();
    }
    Ok(tags)
}

#[test]
fn programs_play_a_stream_with_b_frames_across_every_wrap() -> Result<()> {
    let clip = clip::standard()?;
    let (tags, pictures) = (tags(&clip)?, 100);
    for (name, start, bits) in
        [("24", (1 << 24) - 1500, 32), ("31", (1 << 31) - 1500, 31), ("32", (1 << 32) - 1500, 32)]
    {
        for player in [PlayerKind::Ffmpeg, PlayerKind::Rtmpdump] {
            let server = Server::builder().start()?;
            let mut publisher = Client::connect(server.rtmp(), "live")?;
            let stream = publisher.publish("show")?;
            let playing = player.start(&server.url("live/show"))?;
            // Until the player is there, the first second is all there is.
            let (first, rest) =
                tags.split_at(tags.iter().position(|tag| tag.timestamp > 1000).unwrap_or_default());
            let stamp = |ms: i64| (start + ms) & ((1 << bits) - 1);
            send(&mut publisher, stream, first, stamp)?;
            server.events().wait_for("play_start", SOON, |_| true)?;
            send(&mut publisher, stream, rest, stamp)?;
            playing.wait_video(pictures, SOON).with_context(|| format!("{name} bits, {player}"))?;
            compare(clip.recording(), &playing.finish()?, pictures)
                .with_context(|| format!("{name} bits, {player}"))?;
            server.stop()?;
        }
    }
    Ok(())
}
