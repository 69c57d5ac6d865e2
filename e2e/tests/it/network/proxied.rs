//! Links by a proxy: a dribble, a delay, a cap, a stall, a reset, an end of one direction.

use super::{KEY, finish_whole};
use anyhow::{Result, ensure};
use jackfield_e2e::link::{Flow, Proxy};
use jackfield_e2e::rtmp::{Client, configurations, picture};
use jackfield_e2e::{PlayerKind, PublisherKind, SOON, Server, check_pairs, clip};
use std::time::Duration;

const SLOW: Flow =
    Flow { delay: Duration::from_millis(100), jitter: Duration::from_millis(50), cap: 0, piece: 0 };

#[test]
fn a_session_that_comes_byte_by_byte_is_like_any_other() -> Result<()> {
    let clip = clip::standard()?;
    let server = Server::builder().start()?;
    let dribble = Flow { piece: 1, ..Flow::default() };
    let proxy = Proxy::start(server.rtmp(), dribble, dribble)?;
    let mut publisher = Client::connect(proxy.address(), "live")?;
    let stream = publisher.publish("show")?;
    let mut player = Client::connect(proxy.address(), "live")?;
    player.play("show")?;
    let sent: Vec<_> = configurations(&clip).into_iter().chain((0..50).map(|at| picture(at, 300))).collect();
    for media in &sent {
        publisher.send(stream, media)?;
    }
    let last = sent.last().map(|media| media.body.clone());
    let mut came = vec![];
    while came.last() != last.as_ref() {
        came.push(player.media(SOON)?.body);
    }
    // Metadata is the server's, configurations may come again; every picture comes once and in order.
    let pictures: Vec<_> = came.iter().filter(|body| body.get(1) == Some(&1)).collect();
    let expect: Vec<_> =
        sent.iter().map(|media| &media.body).filter(|body| body.get(1) == Some(&1)).collect();
    ensure!(pictures == expect, "{} of {} pictures", pictures.len(), expect.len());
    drop((publisher, player));
    check_pairs(&server.stop()?.events.all()?)
}

#[test]
fn publisher_and_player_behind_a_delay_of_100_ms_and_jitter_miss_nothing() -> Result<()> {
    let clip = clip::standard()?;
    let server = Server::builder().start()?;
    let proxy = Proxy::start(server.rtmp(), SLOW, SLOW)?;
    let publisher = PublisherKind::Ffmpeg.start(clip.path(), &proxy.url(KEY))?;
    server.events().wait_for("media_start", SOON, |_| true)?;
    let players = [&server.url(KEY), &proxy.url(KEY)].map(|url| PlayerKind::Ffmpeg.start(url));
    for player in players {
        finish_whole(player?, &clip, 25)?;
    }
    publisher.end();
    check_pairs(&server.stop()?.events.all()?)
}

#[test]
fn a_player_behind_a_stall_gets_everything_when_it_is_over() -> Result<()> {
    let clip = clip::standard()?;
    let server = Server::builder().start()?;
    let _publisher = PublisherKind::Jackfield.start(clip.path(), &server.url(KEY))?;
    server.events().wait_for("media_start", SOON, |_| true)?;
    let proxy = Proxy::start(server.rtmp(), Flow::default(), Flow::default())?;
    let healthy = PlayerKind::Rtmpdump.start(&server.url(KEY))?;
    let stalled = PlayerKind::Rtmpdump.start(&proxy.url(KEY))?;
    stalled.wait_video(10, SOON)?;
    proxy.stall();
    let (then, had) = (healthy.so_far().video.units.len(), stalled.so_far().video.units.len());
    healthy.wait_video(then + 50, SOON)?;
    // What was on its way may still have come.
    let came = stalled.so_far().video.units.len();
    ensure!(came < had + 25, "{} pictures came through a stall", came - had);
    proxy.resume();
    finish_whole(stalled, &clip, came + 50)?;
    finish_whole(healthy, &clip, then + 50)?;
    check_pairs(&server.stop()?.events.all()?)
}

#[test]
fn a_reset_ends_publisher_and_player_at_once() -> Result<()> {
    let clip = clip::standard()?;
    let server = Server::builder().start()?;
    let proxy = Proxy::start(server.rtmp(), Flow::default(), Flow::default())?;
    let publisher = PublisherKind::Ffmpeg.start(clip.path(), &proxy.url(KEY))?;
    server.events().wait_for("media_start", SOON, |_| true)?;
    let player = PlayerKind::Jackfield.start(&proxy.url(KEY))?;
    player.wait_video(5, SOON)?;
    proxy.reset()?;
    let stop = server.events().wait_for("publish_stop", SOON, |_| true)?;
    ensure!(stop.data("reason") == Some("client_disconnect"), "{}", stop.json());
    server.events().wait_for("play_stop", SOON, |_| true)?;
    let mut next = Client::connect(server.rtmp(), "live")?;
    next.publish("show")?;
    drop((publisher, player, next));
    check_pairs(&server.stop()?.events.all()?)
}

#[test]
fn a_publisher_that_closes_its_direction_has_ended_and_all_that_it_sent_counts() -> Result<()> {
    let clip = clip::standard()?;
    let server = Server::builder().start()?;
    let proxy = Proxy::start(server.rtmp(), SLOW, Flow::default())?;
    let mut publisher = Client::connect(proxy.address(), "live")?;
    let stream = publisher.publish("show")?;
    for media in configurations(&clip).into_iter().chain((0..100).map(|at| picture(at, 1000))) {
        publisher.send(stream, &media)?;
    }
    publisher.shut_down();
    let stop = server.events().wait_for("publish_stop", SOON, |_| true)?;
    let fields = (stop.number("video_packets"), stop.data("reason"));
    ensure!(fields.1 == Some("client_disconnect"), "{}", stop.json());
    ensure!(fields.0.is_some_and(|packets| packets >= 100), "{}", stop.json());
    publisher.wait_closed(SOON)?;
    check_pairs(&server.stop()?.events.all()?)
}
