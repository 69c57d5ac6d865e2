//! Peers that are gone without a word, in every state of a connection.

use super::{KEY, Scene};
use anyhow::{Context, Result, ensure};
use jackfield_e2e::link::{Way, Weather};
use jackfield_e2e::rtmp::{Client, configurations, picture};
use jackfield_e2e::{SOON, all_cases, clip};
use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

/// The limits of time; in the long form the defaults.
fn limits() -> &'static str {
    if all_cases() {
        ""
    } else {
        "[rtmp]\nhandshake_timeout = \"1s\"\nidle_timeout = \"1s\"\npublish_timeout = \"1s\"\n"
    }
}

/// Longer than any limit of time.
const FOUND: Duration = Duration::from_secs(100);

#[test]
fn peers_that_vanish_are_found_in_every_state() -> Result<()> {
    let clip = clip::standard()?;
    let Some(scene) = Scene::start(1, limits())? else { return Ok(()) };
    let far = scene.far;
    // Their sockets stay: the far side never says that it has closed them.
    let gone = scene.lab.far(|| {
        let silent = TcpStream::connect(far)?;
        let mut begun = TcpStream::connect(far)?;
        // RTMP 1.0 §5.2: C0, and half of C1.
        begun.write_all(&[3; 700])?;
        let connected = Client::connect(far, "live")?;
        let mut created = Client::connect(far, "live")?;
        created.create_stream()?;
        let mut publishing = Client::connect(far, "live")?;
        let stream = publishing.publish("show")?;
        for media in configurations(&clip).iter().chain([&picture(0, 1000)]) {
            publishing.send(stream, media)?;
        }
        Ok((silent, begun, connected, created, publishing))
    })?;
    scene.server.events().wait_for("media_start", SOON, |_| true)?;
    scene.lab.set(Way::Both, Weather::BLACK_HOLE);
    scene.serves_new_clients()?;
    for kind in ["publish_stop", "connection_close"] {
        let stop = scene.wait_far(kind, FOUND)?;
        ensure!(stop.data("reason") == Some("timeout"), "{}", stop.json());
    }
    scene.server.events().lines().wait("end of all five", FOUND, |lines| {
        let far = |line: &&String| line.contains("\"connection_close\"") && line.contains(super::FAR);
        (lines.iter().filter(far).count() == 5).then_some(())
    })?;
    for event in scene.server.events().all()? {
        let far = event.kind() == "connection_close" && event.data("client_ip") == Some(super::FAR);
        ensure!(!far || event.data("reason") == Some("timeout"), "{}", event.json());
    }
    if all_cases() {
        // What was said at the end is given up after ten seconds.
        scene.wait_no_sockets_to_far()?;
    }
    let mut next = scene.lab.near(|| Client::connect(scene.server.rtmp(), "live"))?;
    next.publish(KEY.trim_start_matches("live/")).context("the key is not free")?;
    drop(gone);
    scene.stop()
}
