//! OBS Studio: publishes, reads why it is refused, and comes back after a restart. `docs/obs.md` tells users the same.

use anyhow::{Result, ensure};
use jackfield_e2e::{Obs, PlayerKind, SOON, Scratch, Server, all_cases, check_pairs, free_port};
use std::time::Duration;

/// OBS itself needs some seconds until it streams, on a busy machine many.
const START: Duration = Duration::from_secs(60);
/// Pictures that a player gets: two seconds.
const PICTURES: usize = 60;

/// Whether these tests are wanted; if not, why not is printed.
#[expect(clippy::print_stderr, reason = "a test that is left out says so")]
fn wanted() -> Result<bool> {
    if !all_cases() {
        eprintln!("left out: OBS is run by `make test-all` only");
        return Ok(false);
    }
    ensure!(Obs::is_installed(), "`obs` or `Xvfb` is missing: scripts/setup test-all installs them");
    Ok(true)
}

/// A hook that denies with a public reason.
fn deny(folder: &Scratch) -> Result<String> {
    let script = "#!/bin/sh\necho 'Your token has expired.' >&2\nexit 77\n";
    Ok(folder.script("deny.sh", script)?.display().to_string())
}

/// How OBS tells it.
const DENIED: &str = "NetStream.Publish.BadName (Your token has expired.)";

/// The address that OBS is given.
fn address(port: u16) -> String {
    format!("rtmp://127.0.0.1:{port}/live")
}

#[test]
fn obs_publishes_and_a_player_gets_its_pictures() -> Result<()> {
    if !wanted()? {
        return Ok(());
    }
    let server = Server::builder().start()?;
    let obs = Obs::start(&address(server.rtmp().port()), "show?token=a%20b")?;
    let start = server.events().wait_for("publish_start", START, |_| true)?;
    ensure!(start.stream_key() == Some("live/show"), "{}", start.json());
    for (kind, codec) in [("video", "h264"), ("audio", "aac")] {
        server.events().wait_for("codec_detected", SOON, |event| {
            event.data("kind") == Some(kind) && event.data("codec") == Some(codec)
        })?;
    }
    let player = PlayerKind::Rtmpdump.start(&server.url("live/show"))?;
    player.wait_video(PICTURES, SOON)?;
    let got = player.finish()?;
    ensure!(got.video.codec == Some(7) && got.audio.codec == Some(10), "H.264 and AAC");
    ensure!(got.video.units.first().is_some_and(|unit| unit.key), "the first picture is no key frame");
    ensure!(!got.audio.units.is_empty(), "no sound");
    obs.end();
    let stop = server.events().wait_for("publish_stop", SOON, |_| true)?;
    ensure!(stop.number("video_packets").is_some_and(|packets| packets >= 60), "{}", stop.json());
    check_pairs(&server.stop()?.events.all()?)
}

#[test]
fn the_log_of_obs_tells_the_public_reason_of_a_refusal_and_it_does_not_try_again() -> Result<()> {
    if !wanted()? {
        return Ok(());
    }
    let folder = Scratch::new()?;
    for question in ["authorize_publish", "resolve_publish"] {
        let hook = format!("{question}={}", deny(&folder)?);
        let server = Server::builder().args(["--hook-script", &hook]).start()?;
        let obs = Obs::start(&address(server.rtmp().port()), "show")?;
        obs.wait_log(DENIED, START)?;
        obs.wait_log("Streaming Stop", SOON)?;
        ensure!(!obs.log()?.contains("Reconnecting"), "it tries again what it was refused");
        let close = server.events().wait_for("connection_close", SOON, |_| true)?;
        ensure!(close.data("reason") == Some("denied"), "{}", close.json());
        let ended = server.stop()?;
        ensure!(ended.events.kinds(|event| event.kind() == "publish_start")?.is_empty(), "it published");
        ensure!(ended.events.kinds(|event| event.kind() == "connection_accept")?.len() == 1, "one try");
    }
    Ok(())
}

#[test]
fn obs_comes_back_when_the_server_was_restarted() -> Result<()> {
    if !wanted()? {
        return Ok(());
    }
    let port = free_port()?;
    let listen = format!("127.0.0.1:{port}");
    let server = Server::builder().args(["--listen", &listen]).start()?;
    let obs = Obs::start(&address(port), "show")?;
    server.events().wait_for("publish_start", START, |_| true)?;
    check_pairs(&server.stop()?.events.all()?)?;
    obs.wait_log("Reconnecting in", SOON)?;

    let server = Server::builder().args(["--listen", &listen]).start()?;
    server.events().wait_for("publish_start", START, |event| event.stream_key() == Some("live/show"))?;
    let player = PlayerKind::Rtmpdump.start(&server.url("live/show"))?;
    player.wait_video(PICTURES, SOON)?;
    player.finish()?;
    obs.end();
    server.events().wait_for("publish_stop", SOON, |_| true)?;
    check_pairs(&server.stop()?.events.all()?)
}

#[test]
fn obs_that_is_refused_when_it_comes_back_tells_why_and_tries_on() -> Result<()> {
    if !wanted()? {
        return Ok(());
    }
    let folder = Scratch::new()?;
    let port = free_port()?;
    let listen = format!("127.0.0.1:{port}");
    let server = Server::builder().args(["--listen", &listen]).start()?;
    let obs = Obs::start(&address(port), "show")?;
    server.events().wait_for("publish_start", START, |_| true)?;
    server.stop()?;

    let hook = format!("authorize_publish={}", deny(&folder)?);
    let server = Server::builder().args(["--listen", &listen, "--hook-script", &hook]).start()?;
    obs.wait_log(DENIED, START)?;
    server.events().lines().wait("second try", SOON, |lines| {
        let tries = lines.iter().filter(|line| line.contains("\"connection_accept\""));
        (tries.count() >= 2).then_some(())
    })?;
    server.stop()?;

    let server = Server::builder().args(["--listen", &listen]).start()?;
    server.events().wait_for("publish_start", START, |_| true)?;
    obs.end();
    check_pairs(&server.stop()?.events.all()?)
}
