//! Links that swallow everything, for a time or for ever.

use super::{KEY, Scene, finish_whole};
use anyhow::{Context, Result, ensure};
use jackfield_e2e::link::{Way, Weather};
use jackfield_e2e::rtmp::{Client, configurations, picture};
use jackfield_e2e::{Player, PlayerKind, PublisherKind, SOON, all_cases, clip, eventually};

/// How long the hole is, told by the pictures that a healthy viewer or its publisher has meanwhile.
fn seconds() -> usize {
    if all_cases() { 3 } else { 1 }
}

/// TCP tries again after ever longer times: it may find that the hole is gone when twice its length has passed.
const PATIENT: &str = "[hub]\nqueue_ms = 20000\n";

#[test]
fn a_viewer_behind_a_hole_that_heals_gets_everything() -> Result<()> {
    let clip = clip::standard()?;
    let Some(scene) = Scene::start(1, PATIENT)? else { return Ok(()) };
    let _publisher = scene.publish_near(&clip)?;
    let healthy = scene.play_near()?;
    let far = scene.play_far(PlayerKind::Ffmpeg)?;
    far.wait_video(25, SOON)?;
    scene.lab.set(Way::Both, Weather::BLACK_HOLE);
    let then = healthy.so_far().video.units.len();
    healthy.wait_video(then + 25 * seconds(), SOON)?;
    let got = far.so_far().video.units.len();
    scene.lab.set(Way::Both, Weather::CLEAR);
    finish_whole(far, &clip, got + 25 * (seconds() + 1))?;
    finish_whole(healthy, &clip, then + 25 * (seconds() + 1))?;
    scene.stop()
}

#[test]
fn a_publisher_behind_a_hole_that_heals_loses_nothing() -> Result<()> {
    let clip = clip::standard()?;
    let Some(scene) = Scene::start(2, PATIENT)? else { return Ok(()) };
    let publisher = scene.publish_far(PublisherKind::Ffmpeg, &clip)?;
    let viewer = scene.play_near()?;
    viewer.wait_video(25, SOON)?;
    // Another stream goes on, and tells how long the hole is.
    let beside = scene.server.url("live/beside");
    let _other = scene.lab.near(|| PublisherKind::Jackfield.start(clip.path(), &beside))?;
    let clock = scene.lab.near(|| PlayerKind::Rtmpdump.start(&beside))?;
    clock.wait_video(1, SOON)?;
    scene.lab.set(Way::Both, Weather::BLACK_HOLE);
    let then = clock.so_far().video.units.len();
    finish_whole(clock, &clip, then + 25 * seconds())?;
    let got = viewer.so_far().video.units.len();
    scene.lab.set(Way::Both, Weather::CLEAR);
    finish_whole(viewer, &clip, got + 25 * (seconds() + 1))?;
    let stops = scene.server.events().kinds(|event| event.kind() == "publish_stop")?;
    ensure!(stops.is_empty(), "the publisher was ended");
    drop(publisher);
    scene.stop()
}

#[test]
fn a_publisher_in_a_hole_for_ever_is_found_in_time_and_its_key_is_free() -> Result<()> {
    let config = if all_cases() { "" } else { "[rtmp]\npublish_timeout = \"1s\"\n" };
    let clip = clip::standard()?;
    let Some(scene) = Scene::start(3, config)? else { return Ok(()) };
    let _gone = scene.publish_far(PublisherKind::Ffmpeg, &clip)?;
    let viewer = scene.play_near()?;
    viewer.wait_video(10, SOON)?;
    scene.lab.set(Way::Both, Weather::BLACK_HOLE);
    for kind in ["media_stop", "publish_stop", "connection_close"] {
        let stop = scene.server.events().wait_for(kind, 3 * SOON, |_| true)?;
        ensure!(stop.data("reason") == Some("timeout"), "{}", stop.json());
    }
    // Its viewers are told that it has ended.
    viewer.wait_end(SOON)?;
    if all_cases() {
        // What was said at the end is given up after ten seconds.
        scene.wait_no_sockets_to_far()?;
    }
    // A key is free as soon as its publisher is gone.
    let publisher = scene.lab.near(|| PublisherKind::Jackfield.start(clip.path(), &scene.server.url(KEY)))?;
    scene
        .server
        .events()
        .wait_for("publish_start", SOON, |event| event.data("client_ip") == Some("127.0.0.1"))?;
    finish_whole(scene.play_near()?, &clip, 10)?;
    drop(publisher);
    scene.stop()
}

#[test]
fn a_publisher_in_a_hole_gives_way_to_the_next_before_it_is_found() -> Result<()> {
    // By default after three seconds of silence, long before the silence ends it.
    let clip = clip::standard()?;
    let Some(scene) = Scene::start(4, "")? else { return Ok(()) };
    let _gone = scene.publish_far(PublisherKind::Jackfield, &clip)?;
    scene.lab.set(Way::Both, Weather::BLACK_HOLE);
    let address = scene.server.rtmp();
    let mut next = eventually("publisher in the place of a silent one", SOON, || {
        scene.lab.near(|| {
            let mut client = Client::connect(address, "live")?;
            Ok(client.publish("show").is_ok().then_some(client))
        })
    })?;
    let stop = scene.wait_far("publish_stop", SOON)?;
    ensure!(stop.data("reason") == Some("superseded"), "{}", stop.json());
    next.command("FCUnpublish", &["show".into()])?;
    scene.stop()
}

#[test]
fn a_viewer_in_a_hole_for_ever_leaves_by_rule_and_no_socket_stays() -> Result<()> {
    let config = if all_cases() { "" } else { "[hub]\nqueue_ms = 200\nslow_ms = 500\n" };
    let clip = super::broad_clip(if all_cases() { 70 } else { 30 })?;
    let Some(scene) = Scene::start(5, config)? else { return Ok(()) };
    let _publisher = scene.publish_near(&clip)?;
    let healthy = scene.play_near()?;
    let gone: Player = scene.play_far(PlayerKind::Ffmpeg)?;
    gone.wait_video(5, SOON)?;
    scene.lab.set(Way::Both, Weather::BLACK_HOLE);
    let stop = scene.wait_far("play_stop", 4 * SOON)?;
    ensure!(stop.data("reason") == Some("slow_subscriber"), "{}", stop.json());
    let close = scene.wait_far("connection_close", SOON)?;
    ensure!(close.data("reason") == Some("slow_subscriber"), "{}", close.json());
    scene.wait_no_sockets_to_far()?;
    let pictures = healthy.so_far().video.units.len() + 10;
    finish_whole(healthy, &clip, pictures)?;
    scene.serves_new_clients()?;
    scene.stop()
}

#[test]
fn a_viewer_that_reads_no_more_leaves_by_rule_and_no_socket_stays() -> Result<()> {
    let config = if all_cases() { "" } else { "[hub]\nqueue_ms = 200\nslow_ms = 500\n" };
    let clip = super::broad_clip(if all_cases() { 70 } else { 30 })?;
    let Some(scene) = Scene::start(6, config)? else { return Ok(()) };
    let _publisher = scene.publish_near(&clip)?;
    let healthy = scene.play_near()?;
    // It lives: its kernel acknowledges, and says that there is no room.
    let deaf = scene.lab.far(|| {
        let mut client = Client::connect(scene.far, "live")?;
        client.play("show")?;
        Ok(client)
    })?;
    let stop = scene.wait_far("play_stop", 4 * SOON)?;
    ensure!(stop.data("reason") == Some("slow_subscriber"), "{}", stop.json());
    scene.wait_far("connection_close", SOON)?;
    scene.wait_no_sockets_to_far().context("it holds what was queued for it")?;
    drop(deaf);
    let pictures = healthy.so_far().video.units.len() + 10;
    finish_whole(healthy, &clip, pictures)?;
    scene.stop()
}

#[test]
fn a_viewer_of_a_stream_without_media_is_found_by_its_silence() -> Result<()> {
    if !all_cases() {
        // Nothing is written to such a viewer but pings.
        println!("left out: it takes a minute, half of it until a ping and half for its answer");
        return Ok(());
    }
    let clip = clip::standard()?;
    let Some(scene) = Scene::start(7, "[rtmp]\npublish_timeout = \"1h\"\n")? else { return Ok(()) };
    let mut publisher = scene.lab.near(|| Client::connect(scene.server.rtmp(), "live"))?;
    let stream = publisher.publish("show")?;
    for media in configurations(&clip).iter().chain([&picture(0, 100)]) {
        publisher.send(stream, media)?;
    }
    let mut gone = scene.lab.far(|| Client::connect(scene.far, "live"))?;
    gone.play("show")?;
    gone.media(SOON)?;
    scene.lab.set(Way::Both, Weather::BLACK_HOLE);
    let stop = scene.wait_far("play_stop", 5 * SOON)?;
    ensure!(stop.data("reason") == Some("timeout"), "{}", stop.json());
    scene.wait_no_sockets_to_far()?;
    scene.stop()
}
