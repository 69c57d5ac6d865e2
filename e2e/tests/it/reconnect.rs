//! Our client when the server is stopped and started anew on the same port: it is asked to come back, and goes on by itself.

use anyhow::{Context, Result, ensure};
use jackfield_e2e::{
    Clip, Player, Program, Recording, Running, SOON, Server, check_pairs, clip, compare, free_port, server,
};
use rustix::process::Signal;

/// A second and more.
const PICTURES: usize = 40;

fn start(port: u16) -> Result<Server> {
    Server::builder().args(["--listen", &format!("127.0.0.1:{port}")]).start()
}

fn url(port: u16) -> String {
    format!("rtmp://127.0.0.1:{port}/live/show")
}

fn publish(clip: &Clip, port: u16, options: &[&str]) -> Result<Running> {
    let clip = clip.path().display().to_string();
    Program::new(server()?).args(["publish", &clip, &url(port)]).args(options.iter().copied()).start()
}

/// Stops the server, and checks that it has not lost anybody's end.
fn stop(server: Server) -> Result<()> {
    check_pairs(&server.stop()?.events.all()?)
}

fn comes_back(options: &[&str]) -> Result<()> {
    let (port, clip) = (free_port()?, clip::standard()?);
    let server = start(port)?;
    let mut publisher = publish(&clip, port, options)?;
    server.events().wait_for("media_start", SOON, |_| true)?;
    stop(server)?;

    let server = start(port)?;
    server.events().wait_for("publish_start", SOON, |event| event.stream_key() == Some("live/show"))?;
    let player = jackfield_e2e::PlayerKind::Rtmpdump.start(&url(port))?;
    player.wait_video(PICTURES, SOON)?;
    compare(clip.recording(), &player.finish()?, PICTURES)?;
    // It ends as a user ends it.
    let status = publisher.end(SOON).context("it does not end")?;
    ensure!(status.success(), "{status}: {}", publisher.last_words());
    server.events().wait_for("publish_stop", SOON, |_| true)?;
    stop(server)
}

#[test]
fn our_publisher_goes_on_when_the_server_was_restarted() -> Result<()> {
    comes_back(&["--reconnect"])
}

#[test]
fn our_publisher_comes_back_when_the_server_asks_for_it_though_its_user_did_not() -> Result<()> {
    comes_back(&[])
}

#[test]
fn our_publisher_that_nobody_asked_to_come_back_ends_when_the_server_is_killed() -> Result<()> {
    let (port, clip) = (free_port()?, clip::standard()?);
    let server = start(port)?;
    let mut publisher = publish(&clip, port, &[])?;
    server.events().wait_for("media_start", SOON, |_| true)?;
    server.signal(Signal::KILL)?;
    server.wait(SOON)?;
    let status = publisher.wait(SOON)?;
    ensure!(status.code() == Some(1), "{status}: {}", publisher.last_words());
    Ok(())
}

/// What came after the first gap.
fn after_the_gap(clip: &Clip, got: &Recording) -> Result<Recording> {
    let place = |hash: u64| clip.recording().video.units.iter().position(|unit| unit.hash == hash);
    let units = &got.video.units;
    let gap = units.windows(2).position(|pair| match pair {
        [one, next] => place(one.hash).map(|place| place + 1) != place(next.hash),
        _ => false,
    });
    let first = gap.context("no picture was missed")? + 1;
    let mut rest = got.clone();
    rest.video.units.drain(..first);
    let from = rest.video.units.first().map_or(0, |unit| unit.dts_ms);
    rest.audio.units.retain(|unit| unit.dts_ms >= from);
    Ok(rest)
}

#[test]
fn our_player_goes_on_when_the_server_was_restarted() -> Result<()> {
    let (port, clip) = (free_port()?, clip::standard()?);
    let server = start(port)?;
    let _publisher = publish(&clip, port, &["--reconnect"])?;
    server.events().wait_for("media_start", SOON, |_| true)?;
    let player = Player::start(Program::new(jackfield_e2e::server()?).args([
        "play",
        &url(port),
        "-o",
        "-",
        "--reconnect",
    ]))?;
    player.wait_video(PICTURES, SOON)?;
    stop(server)?;
    let before = player.so_far().video.units.len();

    let server = start(port)?;
    player.wait_video(before + PICTURES, SOON)?;
    let got = player.finish()?;
    compare(clip.recording(), &after_the_gap(&clip, &got)?, PICTURES)?;
    stop(server)
}
