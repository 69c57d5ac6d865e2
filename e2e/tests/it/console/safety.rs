//! Who gets in, and what strangers can do by what they write.

use super::{after_a_refusal, go_and_wait, sign_in, signed_in, token, wanted};
use anyhow::{Result, ensure};
use jackfield_e2e::tls::Authority;
use jackfield_e2e::{Browser, Program, SOON, Scratch, Server};
use serde_json::{Value, json};

#[test]
fn a_wrong_token_is_told_and_a_session_ends_where_it_is_ended() -> Result<()> {
    if !wanted()? {
        return Ok(());
    }
    let server = Server::builder().start()?;
    let browser = Browser::start()?;
    browser.open(&format!("http://{}/#/hooks", server.http()))?;
    browser.fill("Token", "no such token")?;
    browser.click("Sign in")?;
    browser.see("The server does not know this token.")?;
    sign_in(&browser, &server)?;
    // It comes to where it was asked to go, and a reload needs no token.
    browser.see("stdio")?;
    browser.tell(&json!({"do": "reload"}))?;
    browser.see("stdio")?;

    let cookies = browser.tell(&json!({"do": "cookies"}))?;
    let cookies = cookies.as_array().cloned().unwrap_or_default();
    ensure!(cookies.len() == 1, "{cookies:?}");
    for cookie in &cookies {
        ensure!(cookie["httpOnly"] == true && cookie["sameSite"] == "Strict", "{cookie}");
        ensure!(cookie["value"] != token(&server)?, "the cookie is the token");
    }
    let stored = browser.evaluate("JSON.stringify({...localStorage, ...sessionStorage})")?;
    ensure!(!stored.to_string().contains(&token(&server)?), "{stored}");

    let status = browser.evaluate("fetch('api/v1/docs').then((answer) => answer.status)")?;
    ensure!(status == 200, "the page of the API: {status}");
    // The cookie alone changes nothing.
    let status =
        browser.evaluate("fetch('api/v1/reload', {method: 'POST'}).then((answer) => answer.status)")?;
    ensure!(status == 403, "without the header: {status}");
    browser.click("Sign out")?;
    browser.see("Sign in")?;
    let status = browser.evaluate("fetch('api/v1/hooks').then((answer) => answer.status)")?;
    ensure!(status == 401, "after signing out: {status}");
    browser.check(&["401", "403"])?;
    server.stop().map(drop)
}

/// Runs `jackfield token …` beside the server.
fn token_command(server: &Server, args: &[&str]) -> Result<String> {
    let data = server.folder().join("data").display().to_string();
    let program = Program::new(jackfield_e2e::server()?).args(["token"]).args(args.to_vec());
    let done = program.args(["--data-dir", &data]).run(SOON)?;
    ensure!(done.code == Some(0), "{args:?}: {done:?}");
    Ok(done.stdout.trim().to_owned())
}

#[test]
fn a_token_is_shown_and_offered_what_it_may_until_it_is_revoked() -> Result<()> {
    if !wanted()? {
        return Ok(());
    }
    let server = Server::builder().start()?;
    let mut clients = vec![];
    for name in ["mine", "theirs"] {
        let mut client = jackfield_e2e::rtmp::Client::connect(server.rtmp(), "live")?;
        client.publish(name)?;
        clients.push(client);
    }
    let scope = ["create", "--name", "guest", "--scope", "read", "--stream-prefix", "live/mine"];
    let token = token_command(&server, &scope)?;
    let browser = Browser::start()?;
    browser.open(&format!("http://{}/", server.http()))?;
    browser.fill("Token", &token)?;
    browser.click("Sign in")?;
    browser.see("live/mine")?;
    ensure!(!browser.text()?.contains("live/theirs"), "{}", browser.text()?);
    browser.follow("live/mine")?;
    browser.see("Publisher")?;
    let text = browser.text()?;
    ensure!(!text.contains("Unpublish") && !text.contains("Kick"), "{text}");
    browser.go("#/streams/live%2Ftheirs")?;
    browser.see("Your token does not cover this.")?;
    browser.check(&["401", "403"])?;

    token_command(&server, &["revoke", "guest"])?;
    browser.see("Your session has ended: sign in again.")?;
    browser.check(&["401", "403"])?;
    server.stop().map(drop)
}

/// Put after every text that the API answers.
const MARKUP: &str = "<img src=x onerror=\"globalThis.hit=1\"><script>globalThis.hit=1</script>\u{202e}&amp;";

/// What the console looks up by its value, so that it stays.
const KEEP: [&str; 13] = [
    "id",
    "csrf",
    "scopes",
    "kind",
    "state",
    "conn_id",
    "next",
    "at",
    "time",
    "started_at",
    "name",
    "key",
    "decision",
];

#[test]
fn what_strangers_write_is_text_in_every_view() -> Result<()> {
    if !wanted()? {
        return Ok(());
    }
    let (_door, server) = after_a_refusal()?;
    let mut client = jackfield_e2e::rtmp::Client::connect(server.rtmp(), "live")?;
    client.publish("a")?;
    server.events().wait_for("publish_start", SOON, |_| true)?;
    let browser = signed_in(&server)?;
    browser.tell(&json!({"do": "taint", "suffix": MARKUP, "keep": KEEP}))?;
    let views = [
        "streams",
        "streams/live%2Fa",
        "connections",
        "hooks",
        "hooks/door",
        "events",
        "deliveries",
        "explain",
        "explain/c000001",
        "configuration",
        "dead-letters",
        "nowhere",
    ];
    for view in views {
        go_and_wait(&browser, view)?;
        let seen = browser.text()?;
        ensure!(
            seen.contains("<img src=x") || ["events", "explain", "dead-letters", "nowhere"].contains(&view),
            "{view}: {seen}"
        );
        let made = browser.evaluate("document.querySelectorAll('img, iframe, #app script').length")?;
        ensure!(made == 0, "{view}: {made} elements were made of text");
    }
    ensure!(browser.evaluate("globalThis.hit ?? null")? == Value::Null, "markup has run");
    // A stream whose name is not the one that was asked for.
    browser.go("#/streams/%3Cimg%20src%3Dx%20onerror%3D%22globalThis.hit%3D1%22%3E")?;
    browser.see("<img src=x onerror=")?;
    ensure!(browser.evaluate("globalThis.hit ?? null")? == Value::Null, "markup has run");
    browser.check(&["400", "404", "422"])?;
    server.stop().map(drop)
}

#[test]
fn over_tls_the_cookie_is_for_tls_alone_and_events_are_followed_by_http2() -> Result<()> {
    if !wanted()? {
        return Ok(());
    }
    let (authority, folder) = (Authority::new()?, Scratch::new()?);
    let identity = authority.identity(&["localhost", "127.0.0.1"])?;
    let certificate = folder.file("cert.pem", &identity.certificate_pem())?;
    let key = folder.file("key.pem", &identity.key_pem())?;
    let config = format!("[http]\ntls_listen = [\"0.0.0.0:0\"]\ncert = [{certificate:?}]\nkey = [{key:?}]\n");
    let server = Server::builder().config(config).start()?;
    let browser = Browser::start()?;
    browser.open(&format!("https://127.0.0.1:{}/", server.address("https")?.port()))?;
    sign_in(&browser, &server)?;
    let shown = browser.evaluate("getComputedStyle(document.getElementById('exposure')).display")?;
    ensure!(shown == "none", "it warns: {shown}");
    let cookies = browser.tell(&json!({"do": "cookies"}))?;
    ensure!(cookies[0]["secure"] == true, "{cookies}");
    browser.go("#/events")?;
    browser.see("following")?;
    let mut client = jackfield_e2e::rtmp::Client::connect(server.rtmp(), "live")?;
    client.publish("a")?;
    browser.see("publish_start")?;
    let versions =
        "[...new Set(performance.getEntriesByType('resource').map((entry) => entry.nextHopProtocol))].join()";
    ensure!(browser.evaluate(versions)? == "h2", "{}", browser.evaluate(versions)?);
    browser.check(&[])?;
    server.stop().map(drop)
}

#[test]
fn a_server_that_drains_or_is_gone_is_told_on_every_page() -> Result<()> {
    if !wanted()? {
        return Ok(());
    }
    let server = Server::builder().start()?;
    let browser = signed_in(&server)?;
    browser.go("#/configuration")?;
    browser.click("Drain…")?;
    browser.confirm("Drain")?;
    browser.until("document.getElementById('words').innerText.includes('The server drains.')")?;
    browser.go("#/hooks")?;
    browser.see("This server is draining: it takes no new clients.")?;
    browser.see("stdio")?;
    server.stop()?;
    browser.go("#/events")?;
    browser.see("The server does not answer.")?;
    // It asks again and again, and needs nobody to reload it.
    browser.check(&["503", "ERR_"])
}

#[test]
fn clear_text_for_other_machines_is_told_before_a_token_is_typed() -> Result<()> {
    if !wanted()? {
        return Ok(());
    }
    let browser = Browser::start()?;
    for (listen, told) in [("127.0.0.1:0", false), ("0.0.0.0:0", true)] {
        let server = Server::builder().args(["--http-listen", listen]).start()?;
        browser.open(&format!("http://{}/", server.http()))?;
        let shown =
            browser.evaluate("getComputedStyle(document.getElementById('exposure')).display !== 'none'")?;
        ensure!(shown == told, "{listen}: {shown}");
        let logged = server.log().read(|lines| lines.iter().any(|line| line.contains("clear text")));
        ensure!(logged == told, "{listen}: the log says it: {logged}");
        server.stop()?;
    }
    Ok(())
}
