//! Players that say what they can take, codecs that change, and clients that heed a request to reconnect.

use crate::time::{send, tags};
use anyhow::{Context, Result, ensure};
use jackfield_e2e::rtmp::{Client, Media};
use jackfield_e2e::{
    Codecs, Event, Player, PlayerKind, Program, PublisherKind, Recording, SOON, Server, check_pairs, clip,
    compare, newer_ffmpeg,
};
use jackfield_rtmp::ClientConfig;
use jackfield_rtmp::amf::{Object, Value};
use rustix::process::Signal;

/// A second and more.
const PICTURES: usize = 30;

/// The newer ffmpeg as a player that lists these FourCCs.
fn ffmpeg_listing(four_ccs: &str, url: &str) -> Result<Player> {
    let program = Program::new(newer_ffmpeg()?)
        .args(["-v", "info", "-nostdin", "-nostats", "-hide_banner"])
        .args(["-rtmp_enhanced_codecs", four_ccs, "-i", url])
        .args(["-map", "0", "-c", "copy", "-flush_packets", "1", "-f", "flv", "pipe:1"]);
    Player::start(program)
}

#[test]
fn ffmpeg_gets_the_tracks_that_it_lists() -> Result<()> {
    let server = Server::builder().start()?;
    let clip = Codecs::TwoByTwo.clip()?;
    let _publisher = PublisherKind::NewerFfmpeg.start(clip.path(), &server.url("live/show"))?;
    server.events().wait_for("media_start", SOON, |_| true)?;
    let without = |kind| -> Recording {
        let mut left = clip.recording().clone();
        left.more.retain(|(other, _), _| *other != kind);
        left
    };
    for (four_ccs, expect) in [("hvc1", without("audio")), ("Opus", without("video"))] {
        let player = ffmpeg_listing(four_ccs, &server.url("live/show"))?;
        player.wait_video(PICTURES, SOON).context(four_ccs)?;
        let got = player.finish()?;
        compare(&expect, &got, PICTURES).with_context(|| format!("listing {four_ccs}"))?;
    }
    server.stop()?;
    Ok(())
}

/// A client that has told these properties in `connect`.
fn telling(server: &Server, properties: Object) -> Result<Client> {
    let url = format!("rtmp://{}/live", server.rtmp());
    let mut client =
        Client::open(server.rtmp(), ClientConfig { properties, ..ClientConfig::new("live", &url) })?;
    client.connected()?;
    Ok(client)
}

fn listing(four_ccs: &[&str]) -> Object {
    let list = four_ccs.iter().map(|four_cc| Value::from(*four_cc)).collect();
    Object::new().with("fourCcList", Value::StrictArray(list))
}

#[test]
fn a_player_of_another_codec_is_told_so() -> Result<()> {
    let server = Server::builder().start()?;
    let clip = Codecs::Av1Opus.clip()?;
    let _publisher = PublisherKind::NewerFfmpeg.start(clip.path(), &server.url("live/show"))?;
    server.events().wait_for("media_start", SOON, |_| true)?;
    let mut deaf = telling(&server, listing(&["hvc1"]))?;
    let stream = deaf.play("show")?;
    deaf.expect_status(stream, "NetStream.Play.NoSupportedTrackFound", SOON)?;
    let mut blind = telling(&server, listing(&["Opus"]))?;
    let stream = blind.play("show")?;
    blind.expect_status(stream, "NetStream.Play.UnsupportedTrack", SOON)?;
    ensure!(
        blind
            .came_media()
            .iter()
            .chain([&blind.media(SOON)?])
            .all(|media| !media.body.starts_with(b"\x91av01"))
    );
    server.stop()?;
    Ok(())
}

/// Where the event stands in the order of all.
fn sequence(event: &Event) -> u64 {
    event.json().get("seq").and_then(|seq| seq.as_str()?.parse().ok()).unwrap_or_default()
}

#[test]
fn who_comes_after_a_change_of_codec_can_decode() -> Result<()> {
    let server = Server::builder().start()?;
    let (avc, hevc) = (clip::standard()?, Codecs::HevcAac.clip()?);
    let mut publisher = Client::connect(server.rtmp(), "live")?;
    let stream = publisher.publish("show")?;
    let mut clock = 0;
    // H.264, HEVC, H.264 again: 1.5 seconds each, then the rest when a player has come.
    for (name, clip) in [("first", &avc), ("other", &hevc), ("first again", &avc)] {
        let tags = tags(clip)?;
        let (first, rest) =
            tags.split_at(tags.iter().position(|tag| tag.timestamp > 1500).unwrap_or_default());
        let mut pass = |media: &[Media]| send(&mut publisher, stream, media, |ms| clock + ms);
        pass(first)?;
        let players = server.events().all()?.iter().map(sequence).max().unwrap_or_default();
        let player = PlayerKind::NewerFfmpeg.start(&server.url("live/show"))?;
        server.events().wait_for("play_start", SOON, |event| sequence(event) > players)?;
        pass(rest)?;
        player.wait_video(PICTURES, SOON).context(name)?;
        compare(clip.recording(), &player.finish()?, PICTURES).context(name)?;
        clock += 30_000;
    }
    server.stop()?;
    Ok(())
}

#[test]
fn clients_that_heed_it_are_asked_to_reconnect_when_the_server_is_terminated() -> Result<()> {
    let server = Server::builder().start()?;
    let caps_ex = |bits: f64| Object::new().with("capsEx", bits);
    let clip = clip::standard()?;
    let mut publisher = telling(&server, caps_ex(1.0))?;
    let stream = publisher.publish("show")?;
    send(&mut publisher, stream, tags(&clip)?.get(..50).unwrap_or_default(), |ms| ms)?;
    let mut player = telling(&server, caps_ex(3.0))?;
    player.play("show")?;
    player.media(SOON)?;
    let (mut idle, mut other) = (telling(&server, caps_ex(1.0))?, telling(&server, caps_ex(2.0))?);
    let mut old = Client::connect(server.rtmp(), "live")?;
    server.signal(Signal::TERM)?;
    for (name, client, asked) in [
        ("publisher", &mut publisher, 1),
        ("player", &mut player, 1),
        ("idle", &mut idle, 1),
        ("other", &mut other, 0),
        ("old", &mut old, 0),
    ] {
        client.wait_closed(SOON).context(name)?;
        client.shut_down();
        ensure!(client.reconnect_requests() == asked, "{name}: {} requests", client.reconnect_requests());
        let last = client.statuses().pop();
        ensure!(last.as_deref() == Some("NetConnection.Connect.Closed"), "{name}: {last:?}");
    }
    let ended = server.wait(SOON)?;
    check_pairs(&ended.events.all()?)
}
