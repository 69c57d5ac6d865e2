//! The HTTP API of a real server: streams and connections with real clients, tokens, reload, drain, and requests that are not
//! meant well.

mod hostile;
mod schemathesis;
mod tokens;

use anyhow::{Context, Result, ensure};
use jackfield_e2e::rtmp::{Client, configurations, picture};
use jackfield_e2e::{Api, SOON, Server, clip, eventually};
use rustix::process::Signal;
use serde_json::{Value, json};

/// Pictures a second of what is published here.
const FPS: u32 = 25;

/// A publisher of this key that has sent three seconds of media.
fn publish(server: &Server, app: &str, name: &str) -> Result<Client> {
    let mut client = Client::connect(server.rtmp(), app)?;
    let stream = client.publish(name)?;
    let clip = clip::standard()?;
    for media in configurations(&clip) {
        client.send(stream, &media)?;
    }
    for number in 0..3 * FPS {
        client.send(stream, &picture(number, 1000))?;
    }
    Ok(client)
}

fn live(api: &Api, key: &str) -> Result<Value> {
    eventually(&format!("stream {key}"), SOON, || {
        let answer = api.get(&format!("streams/{}", key.replace('/', "%2F")))?;
        let has_tracks = answer.body["tracks"].as_array().is_some_and(|tracks| !tracks.is_empty());
        Ok((answer.status == 200 && has_tracks).then_some(answer.body))
    })
}

#[test]
fn streams_and_connections_are_listed_as_they_are() -> Result<()> {
    let server = Server::builder().start()?;
    let api = Api::admin(&server)?;
    ensure!(api.get("streams")?.expect(200)?.body == json!({ "items": [], "next": null }));
    let _publisher = publish(&server, "live", "show")?;
    let stream = live(&api, "live/show")?;
    ensure!(stream["state"] == "live" && stream["epoch"] == 1 && stream["viewers"] == 0, "{stream}");
    ensure!(stream["tracks"][0]["codec"] == "h264" && stream["tracks"][0]["kind"] == "video", "{stream}");
    ensure!(
        stream["publisher"]["conn_id"] == "c000001" && stream["publisher"]["client_ip"] == "127.0.0.1",
        "{stream}"
    );
    // The short form, and a key with more parts.
    ensure!(api.get("streams/show")?.expect(200)?.body["key"] == "live/show");
    ensure!(api.get("streams/live%2Fa%2Fb")?.status == 404);

    let mut player = Client::connect(server.rtmp(), "live")?;
    player.play("show")?;
    let _idle = Client::connect(server.rtmp(), "live")?;
    let items = eventually("a publisher, a player and one that is idle", SOON, || {
        let list = api.get("connections")?.expect(200)?.body["items"].clone();
        let is = |index: usize, state: &str| list[index]["state"] == state;
        Ok((is(0, "publishing") && is(1, "playing") && is(2, "idle")).then_some(list))
    })?;
    let role = |index: usize| (items[index]["role"].clone(), items[index]["stream_key"].clone());
    ensure!(role(0) == (json!("publisher"), json!("live/show")), "{items}");
    ensure!(role(1) == (json!("player"), json!("live/show")), "{items}");
    ensure!(role(2) == (Value::Null, Value::Null) && items[2]["protocol"] == "rtmp", "{items}");
    ensure!(api.get("streams/show")?.body["viewers"] == 1);
    let sent = items[0]["bytes_received"].as_u64().context("bytes")?;
    ensure!(sent >= u64::from(3 * FPS) * 1000, "{items}");
    ensure!(api.get("connections/c000002")?.expect(200)?.body["id"] == "c000002");
    Ok(())
}

#[test]
fn lists_come_in_pages_that_a_cursor_joins() -> Result<()> {
    let server = Server::builder().start()?;
    let api = Api::admin(&server)?;
    let mut clients = Vec::new();
    for name in ["a", "b", "c", "d", "e"] {
        let mut client = Client::connect(server.rtmp(), "live")?;
        client.publish(name)?;
        clients.push(client);
    }
    for (list, field, expect) in [
        ("streams", "key", ["live/a", "live/b", "live/c", "live/d", "live/e"]),
        ("connections", "id", ["c000001", "c000002", "c000003", "c000004", "c000005"]),
    ] {
        let (mut seen, mut path, mut pages) = (Vec::new(), format!("{list}?limit=2"), 0);
        loop {
            let page = api.get(&path)?.expect(200)?.body;
            let items = page["items"].as_array().context("items")?;
            seen.extend(items.iter().filter_map(|item| item[field].as_str().map(str::to_owned)));
            pages += 1;
            let Some(next) = page["next"].as_str() else { break };
            path = format!("{list}?limit=2&cursor={next}");
        }
        ensure!(pages == 3 && seen == expect, "{list}: {pages} pages, {seen:?}");
    }
    Ok(())
}

#[test]
fn a_publisher_that_is_ended_reads_why_and_its_key_is_free() -> Result<()> {
    let server = Server::builder().start()?;
    let api = Api::admin(&server)?;
    let mut publisher = publish(&server, "live", "show")?;
    live(&api, "live/show")?;
    api.delete("streams/live%2Fshow/publisher?reason=Wrong%20aspect%20ratio")?.expect(204)?;
    let farewell = publisher.farewell(SOON)?;
    ensure!(farewell.iter().any(|text| text == "Wrong aspect ratio"), "{farewell:?}");
    let stop = server.events().wait_for("publish_stop", SOON, |_| true)?;
    ensure!(stop.data("reason") == Some("kicked"), "{stop:?}");
    ensure!(api.delete("streams/live%2Fshow/publisher")?.status == 404);
    let _next = publish(&server, "live", "show")?;
    ensure!(live(&api, "live/show")?["epoch"] == 2);
    Ok(())
}

#[test]
fn a_connection_that_is_kicked_reads_why() -> Result<()> {
    let server = Server::builder().start()?;
    let api = Api::admin(&server)?;
    let _publisher = publish(&server, "live", "show")?;
    live(&api, "live/show")?;
    let mut player = Client::connect(server.rtmp(), "live")?;
    player.play("show")?;
    api.delete("connections/c000002?reason=Too%20late%3A%20good%20night")?.expect(204)?;
    let farewell = player.farewell(SOON)?;
    ensure!(farewell.iter().any(|text| text == "Too late: good night"), "{farewell:?}");
    let close = server.events().wait_for("connection_close", SOON, |_| true)?;
    ensure!(close.data("reason") == Some("kicked") && close.conn_id() == Some("c000002"), "{close:?}");
    eventually("the connection to be gone", SOON, || {
        Ok((api.delete("connections/c000002")?.status == 404).then_some(()))
    })?;
    ensure!(live(&api, "live/show")?["state"] == "live", "the publisher stays");
    Ok(())
}

#[test]
fn health_names_what_is_wrong_to_whoever_may_read_everything() -> Result<()> {
    let hook = |name: &str, handler: &str| {
        format!("[[hook]]\nname = \"{name}\"\non = [\"publish_start\"]\nretries = 0\n{handler}\n")
    };
    let crash = "worker = [\"sh\", \"-c\", \"read -r line; kill -KILL $$\"]\nmax = 1";
    let config =
        [hook("well", "run = \"true\""), hook("off", "run = \"true\""), hook("crash", crash)].concat();
    let server = Server::builder().config(config).start()?;
    let api = Api::admin(&server)?;
    let well = api.get("health")?.expect(200)?.body;
    ensure!(well == json!({ "status": "ok", "hooks": [], "outbox": { "state": "ok", "lost": 0 } }), "{well}");
    api.post("hooks/off/disable", &json!({}))?.expect(204)?;
    let wrong = eventually("a worker that crashes again and again", SOON, || {
        api.post("events/trigger", &json!({ "event": "publish_start" }))?.expect(202)?;
        let health = api.get("health")?.expect(200)?.body;
        Ok(health.to_string().contains("crash_loop").then_some(health))
    })?;
    let expect =
        json!([{ "name": "off", "problem": "disabled" }, { "name": "crash", "problem": "crash_loop" }]);
    ensure!(wrong["hooks"] == expect, "{wrong}");
    ensure!(api.with_token("").get("health")?.body == json!({ "status": "ok" }), "others see none of it");
    Ok(())
}

#[test]
fn a_reload_by_the_api_says_what_it_did() -> Result<()> {
    let good = "[[hook]]\nname = \"a\"\non = [\"publish_start\"]\nrun = \"true\"\n";
    let server = Server::builder().config(good).start()?;
    let api = Api::admin(&server)?;
    let file = server.folder().join("jackfield.toml");
    std::fs::write(
        &file,
        format!("{good}[[hook]]\nname = \"b\"\non = [\"publish_stop\"]\nrun = \"true\"\n"),
    )?;
    let before = api.post("reload", &json!({}))?.expect(200)?.body;
    ensure!(before == json!({ "hooks": 3, "warnings": [] }) || before["hooks"] == 2, "{before}");
    ensure!(api.get("config")?.expect(200)?.body["config"]["hook"][1]["name"] == "b");
    std::fs::write(&file, format!("{good}[hubb]\n[server]\nlog_format = \"json\"\n"))?;
    let refused = api.post("reload", &json!({}))?.expect(422)?;
    let problems = refused.body["problems"].to_string();
    ensure!(
        problems.contains("unknown table `hubb`") && problems.contains("jackfield.toml:5:2"),
        "{problems}"
    );
    ensure!(api.get("config")?.body["config"]["hook"][1]["name"] == "b", "the former hooks stay");
    std::fs::write(&file, format!("{good}[hub]\nwait_ms = 1\n"))?;
    let warned = api.post("reload", &json!({}))?.expect(200)?.body;
    ensure!(warned["warnings"].to_string().contains("[hub]"), "{warned}");
    ensure!(
        api.get("config")?.body["config"]["hub"]["wait_ms"] == 10000,
        "what needs a restart is not in force"
    );
    Ok(())
}

#[test]
fn a_server_that_drains_serves_who_is_there_and_takes_in_nobody() -> Result<()> {
    let server = Server::builder().start()?;
    let api = Api::admin(&server)?;
    ensure!(api.with_token("").get("health")?.body == json!({ "status": "ok" }));
    let _publisher = publish(&server, "live", "show")?;
    live(&api, "live/show")?;
    let drained = api.post("drain", &json!({}))?.expect(202)?.body;
    ensure!(drained == json!({ "status": "draining", "connections": 1 }), "{drained}");
    let health = api.with_token("").get("health")?;
    ensure!(health.status == 503 && health.body == json!({ "status": "draining" }), "{health:?}");
    api.with_token("").get("health?probe=live")?.expect(200)?;
    eventually("a closed listener", SOON, || {
        Ok(std::net::TcpStream::connect(server.rtmp()).is_err().then_some(()))
    })?;
    ensure!(live(&api, "live/show")?["state"] == "live", "the publisher goes on");
    api.post("drain", &json!({}))?.expect(202)?;
    server.signal(Signal::TERM)?;
    let ended = server.wait(SOON)?;
    ensure!(ended.status.success(), "{:?}", ended.status);
    Ok(())
}
