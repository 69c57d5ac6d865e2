//! The console in a real browser, on a real server: `docs/console.md`.

mod looks;
mod safety;

use anyhow::{Context, Result, ensure};
use jackfield_e2e::{Browser, PublisherKind, Receiver, Reply, SOON, Server, ServerBuilder, all_cases, clip};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether these tests can run; if not, why not is printed.
#[expect(clippy::print_stderr, reason = "a test that is left out says so")]
fn wanted() -> Result<bool> {
    if Browser::is_installed() {
        return Ok(true);
    }
    ensure!(!all_cases(), "Chromium or its driver is missing: scripts/setup browser installs them");
    eprintln!(
        "left out: no Chromium here; `scripts/setup browser` installs it, and `make test-all` wants it"
    );
    Ok(false)
}

/// The server's first token.
fn token(server: &Server) -> Result<String> {
    let path = server.folder().join("data/admin.token");
    Ok(std::fs::read_to_string(&path).with_context(|| path.display().to_string())?.trim().to_owned())
}

/// Opens the console and signs in.
fn signed_in(server: &Server) -> Result<Browser> {
    let browser = Browser::start()?;
    browser.open(&format!("http://{}/", server.http()))?;
    sign_in(&browser, server)?;
    Ok(browser)
}

fn sign_in(browser: &Browser, server: &Server) -> Result<()> {
    browser.fill("Token", &token(server)?)?;
    browser.click("Sign in")?;
    browser.until("document.querySelector('nav') !== null")?;
    // That nobody was signed in is how it begins.
    browser.check(&["401"])
}

#[test]
fn a_live_stream_is_shown_with_its_figures_and_can_be_unpublished() -> Result<()> {
    if !wanted()? {
        return Ok(());
    }
    let server = Server::builder().start()?;
    let browser = signed_in(&server)?;
    browser.see("No stream yet")?;
    let clip = clip::standard()?;
    let _publisher = PublisherKind::Ffmpeg.start(clip.path(), &server.url("live/a"))?;
    for text in ["live/a", "H.264", "320×180", "25 fps", "AAC", "44.1 kHz · stereo", "kbit/s", "1.0 s"] {
        browser.see(text)?;
    }
    browser.picture("streams")?;
    browser.follow("live/a")?;
    browser.see("Tracks")?;
    browser.see("avc1.")?;
    browser.picture("stream")?;
    browser.click("Unpublish…")?;
    browser.fill("Reason, which the encoder is told", "The show is over.")?;
    browser.confirm("Unpublish")?;
    let stop = server.events().wait_for("publish_stop", SOON, |_| true)?;
    ensure!(stop.data("reason") == Some("kicked"), "{}", stop.json());
    browser.see("Nobody publishes this stream")?;
    browser.check(&["404"])?;
    server.stop().map(drop)
}

/// What a hook says of a refusal; some of it is markup.
const PUBLIC: &str = "No <b>stage</b> for \"you\" & <img src=x onerror=alert(1)>";

/// A server whose hook `door` denies the stream `intruder` and lets others in; the hook `other` is for another app.
fn guarded() -> Result<(Receiver, ServerBuilder)> {
    let door = Receiver::start(|request| {
        if request.json()["stream_key"] == "live/intruder" {
            let reason = serde_json::json!({"text": "not on the list", "public": PUBLIC, "code": "unlisted"});
            Reply::json(200, &serde_json::json!({"decision": "deny", "reason": reason}))
        } else {
            Reply::status(200)
        }
    })?;
    let config = format!(
        "[[hook]]\nname = \"other\"\non = [\"authorize_publish\"]\nstreams = [\"vip/*\"]\nurl = \"{url}\"\n\
         [[hook]]\nname = \"door\"\non = [\"authorize_publish\"]\nurl = \"{url}\"\n",
        url = door.url("/door")
    );
    Ok((door, Server::builder().config(config)))
}

/// Such a server that has turned somebody away.
fn after_a_refusal() -> Result<(Receiver, Server)> {
    let (door, server) = guarded()?;
    let server = server.start()?;
    let mut client = jackfield_e2e::rtmp::Client::connect(server.rtmp(), "live")?;
    ensure!(client.publish("intruder").is_err(), "it was let in");
    Ok((door, server))
}

/// Goes to a view and waits until it shows what it has.
fn go_and_wait(browser: &Browser, view: &str) -> Result<()> {
    browser.go(&format!("#/{view}"))?;
    browser.until("!document.querySelector('main .waiting') && document.querySelector('main h1') !== null")
}

#[test]
fn a_denied_publish_is_explained() -> Result<()> {
    if !wanted()? {
        return Ok(());
    }
    let (_door, server) = guarded()?;
    let server = server.start()?;
    let browser = signed_in(&server)?;
    let mut client = jackfield_e2e::rtmp::Client::connect(server.rtmp(), "live")?;
    ensure!(client.publish("intruder").is_err(), "it was let in");
    browser.press(&["g", "x"])?;
    browser.see("Refused of late")?;
    browser.see("live/intruder")?;
    browser.follow("c000001")?;
    for text in
        ["authorize_publish", "deny", "not on the list", PUBLIC, "unlisted", "door", "other", "not asked"]
    {
        browser.see(text)?;
    }
    browser.picture("explain")?;
    browser.check(&[])?;
    server.stop().map(drop)
}

#[test]
fn a_dead_letter_is_replayed_with_its_id() -> Result<()> {
    if !wanted()? {
        return Ok(());
    }
    let well = Arc::new(AtomicBool::new(false));
    let receiver = Receiver::start({
        let well = Arc::clone(&well);
        move |_| Reply::status(if well.load(Ordering::Relaxed) { 200 } else { 500 })
    })?;
    let config = format!(
        "[[hook]]\nname = \"chat\"\non = [\"publish_start\"]\nurl = \"{}\"\nschedule = [\"10ms\"]\n",
        receiver.url("/chat")
    );
    let server = Server::builder().config(config).start()?;
    let browser = signed_in(&server)?;
    browser.press(&["g", "l"])?;
    browser.see("No dead letters")?;
    let mut client = jackfield_e2e::rtmp::Client::connect(server.rtmp(), "live")?;
    client.publish("a")?;
    browser.see("publish_start")?;
    browser.see("live/a")?;
    browser.picture("dead-letters")?;
    let failed = receiver.requests().all();
    let id = failed.first().context("it was never tried")?.json()["id"].clone();
    well.store(true, Ordering::Relaxed);
    let tried = failed.len();
    browser.click("Replay publish_start to chat")?;
    let again = receiver.requests().wait("the replay", SOON, |all| all.get(tried).cloned())?;
    ensure!(again.json()["id"] == id, "{again:?} has not the id {id}");
    browser.see("No dead letters")?;
    browser.check(&[])?;
    server.stop().map(drop)
}

#[test]
fn connections_are_kicked_and_hooks_tested_and_switched() -> Result<()> {
    if !wanted()? {
        return Ok(());
    }
    let (door, server) = guarded()?;
    let server = server.start()?;
    let mut client = jackfield_e2e::rtmp::Client::connect(server.rtmp(), "live")?;
    client.publish("a")?;
    let browser = signed_in(&server)?;

    browser.go("#/connections")?;
    browser.see("127.0.0.1")?;
    browser.picture("connections")?;
    browser.click("Kick c000001")?;
    browser.confirm("Kick")?;
    let close = server.events().wait_for("connection_close", SOON, |_| true)?;
    ensure!(close.data("reason") == Some("kicked"), "{}", close.json());
    browser.see("Nobody is connected")?;

    browser.go("#/hooks")?;
    browser.see("door")?;
    browser.picture("hooks")?;
    browser.follow("door")?;
    browser.fill("Stream", "live/intruder")?;
    let asked = door.requests().len();
    browser.click("Test")?;
    let request = door.requests().wait("the test", SOON, |all| all.get(asked).cloned())?;
    ensure!(request.json()["test"] == true, "{request:?}");
    browser.see("not on the list")?;
    browser.picture("hook")?;
    browser.click("Disable door")?;
    browser.confirm("Disable")?;
    browser.see("disabled")?;
    browser.click("Enable door")?;
    browser.gone("disabled")?;

    browser.go("#/configuration")?;
    browser.see("name = \"door\"")?;
    browser.click("Reload")?;
    browser.picture("configuration")?;
    browser.check(&[])?;
    server.stop().map(drop)
}

#[test]
fn events_are_followed_and_a_delivery_is_shown_and_replayed() -> Result<()> {
    if !wanted()? {
        return Ok(());
    }
    let receiver = Receiver::start(|_| Reply::status(200))?;
    let hook = format!("publish_start={}", receiver.url("/"));
    let server = Server::builder().args(["--hook-webhook", &hook]).start()?;
    let browser = signed_in(&server)?;
    browser.press(&["g", "e"])?;
    browser.see("following")?;
    let mut client = jackfield_e2e::rtmp::Client::connect(server.rtmp(), "live")?;
    let stream = client.publish("a")?;
    for text in ["connection_accept", "publish_start", "webhook-1"] {
        browser.see(text)?;
    }
    browser.press(&["p"])?;
    browser.see("paused")?;
    client.unpublish(stream, "a")?;
    browser.see("new)")?;
    browser.gone("publish_stop")?;
    browser.press(&["p"])?;
    browser.see("publish_stop")?;
    browser.picture("events")?;
    browser.fill("Type", "play_start")?;
    browser.see("Nothing has happened yet")?;

    browser.go("#/deliveries?hook=webhook-1")?;
    browser.see("publish_start")?;
    browser.picture("deliveries")?;
    browser.evaluate("document.querySelector('tbody a').click()")?;
    browser.see("Request")?;
    browser.see("\"stream_key\"")?;
    browser.picture("delivery")?;
    browser.click("Replay")?;
    receiver.requests().wait("the replay", SOON, |all| all.get(1).cloned())?;
    browser.check(&[])?;
    server.stop().map(drop)
}
