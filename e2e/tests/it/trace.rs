//! What became of deliveries and questions, as the API tells it, also after a restart.

use anyhow::{Context, Result, ensure};
use jackfield_e2e::rtmp::{Client, configurations};
use jackfield_e2e::{Api, Receiver, Reply, SOON, Scratch, Server, clip, eventually};
use serde_json::{Value, json};

/// Hooks that decide and are told; the receiver denies `live/denied`.
fn config(receiver: &Receiver) -> String {
    let (auth, told) = (receiver.url("/auth"), receiver.url("/told"));
    format!(
        r#"
[[hook]]
name = "elsewhere"
on = ["authorize_publish"]
mode = "decide"
streams = ["vod/*"]
url = "{auth}"

[[hook]]
name = "auth"
on = ["authorize_publish"]
mode = "decide"
url = "{auth}"

[[hook]]
name = "told"
on = ["authorize_publish", "publish_start", "publish_stop"]
mode = "notify"
url = "{told}"
"#
    )
}

fn receiver() -> Result<Receiver> {
    Receiver::start(|request| {
        let deny = request.json()["stream_key"] == "live/denied";
        let reason = json!({ "code": "no_ticket", "text": "no ticket", "public": "Buy a ticket." });
        Reply::json(200, &json!({ "decision": if deny { "deny" } else { "allow" }, "reason": reason }))
    })
}

/// The API of a server whose data folder is this one.
fn admin(server: &Server, data: &Scratch) -> Result<Api> {
    let token = std::fs::read_to_string(data.path().join("admin.token"))?;
    Ok(Api::new(server.http(), token.trim_end()))
}

/// The items of a list of deliveries.
fn deliveries(api: &Api, query: &str) -> Result<Vec<Value>> {
    let list = api.get(&format!("deliveries?{query}"))?.expect(200)?;
    list.body["items"].as_array().cloned().context("items")
}

#[test]
fn a_refusal_is_explained_hook_by_hook() -> Result<()> {
    let receiver = receiver()?;
    let server = Server::builder().config(config(&receiver)).start()?;
    let api = Api::admin(&server)?;
    let refused = Client::connect(server.rtmp(), "live")?.publish("denied?token=s3cret");
    ensure!(refused.is_err(), "it was let in");
    let explained = api.get("explain/c000001")?.expect(200)?.body;
    let question = &explained["questions"][0];
    ensure!(question["event"] == "authorize_publish" && question["verdict"] == "deny", "{explained:#}");
    ensure!(question["key"] == "live/denied" && question["default"].is_null(), "{explained:#}");
    let steps = question["steps"].as_array().context("steps")?;
    let why: Vec<_> = steps.iter().map(|step| (step["hook"].as_str(), step["why"].as_str())).collect();
    let expect = [
        (Some("elsewhere"), Some("other_stream")),
        (Some("auth"), Some("asked")),
        (Some("told"), Some("only_told")),
    ];
    ensure!(why == expect, "{explained:#}");
    let auth = steps.get(1).context("auth")?;
    ensure!(auth["decision"] == "deny" && auth["outcome"] == "answered", "{explained:#}");
    ensure!(auth["answer"]["reason"]["code"] == "no_ticket", "{explained:#}");
    ensure!(auth["input_sha256"].as_str().is_some_and(|hex| hex.len() == 64), "{explained:#}");
    ensure!(auth["handler_ms"].as_f64().is_some_and(|ms| ms > 0.0), "{explained:#}");

    let id = auth["delivery"].as_str().context("its delivery")?;
    let one = api.get(&format!("deliveries/{id}"))?.expect(200)?;
    ensure!(one.body["request"]["data"]["query"] == "token=***", "{}", one.text);
    ensure!(!one.text.contains("s3cret"), "{}", one.text);
    ensure!(one.body["attempts"].as_array().is_some_and(|attempts| attempts.len() == 1), "{}", one.text);
    // Who is only told of the question is a delivery like others, once it was told.
    eventually("the hook that is told", SOON, || {
        let told = deliveries(&api, "hook=told&event=authorize_publish&outcome=answered")?;
        Ok((told.len() == 1).then_some(()))
    })?;
    server.stop()?;
    Ok(())
}

#[test]
fn what_was_delivered_is_known_after_a_restart() -> Result<()> {
    let (receiver, data) = (receiver()?, Scratch::new()?);
    let start = || Server::builder().config(config(&receiver)).data_dir(data.path()).start();
    let server = start()?;
    let api = admin(&server, &data)?;
    let mut publisher = Client::connect(server.rtmp(), "live")?;
    let stream = publisher.publish("show")?;
    for media in configurations(&clip::standard()?) {
        publisher.send(stream, &media)?;
    }
    drop(publisher);
    eventually("publish_stop", SOON, || {
        Ok((deliveries(&api, "event=publish_stop")?.len() == 1).then_some(()))
    })?;
    let before = deliveries(&api, "limit=1000")?;
    server.stop()?;
    let server = start()?;
    let api = admin(&server, &data)?;
    let after = deliveries(&api, "limit=1000")?;
    for delivery in &before {
        ensure!(after.contains(delivery), "{delivery:#} in {after:#?}");
    }
    let session = before.iter().find_map(|delivery| delivery["session_id"].as_str()).context("a session")?;
    let explained = api.get(&format!("explain/{session}"))?.expect(200)?.body;
    ensure!(explained["questions"][0]["verdict"] == "allow", "{explained:#}");

    // Numbers go on: what is new is nobody else's.
    let _again = Client::connect(server.rtmp(), "live")?.publish("show")?;
    let newest = eventually("a new delivery", SOON, || {
        let newest = deliveries(&api, "hook=auth&limit=1")?.into_iter().next();
        Ok(newest.filter(|newest| !before.contains(newest)))
    })?;
    ensure!(before.iter().all(|delivery| delivery["id"] != newest["id"]), "{newest:#}");
    server.stop()?;
    Ok(())
}
