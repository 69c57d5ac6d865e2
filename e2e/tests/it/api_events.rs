//! Events, deliveries, dead letters and explanations through the API, of real clients and real hooks.

mod crowd;
mod stream;

use anyhow::{Context, Result, ensure};
use jackfield_e2e::rtmp::Client;
use jackfield_e2e::{Api, Program, Receiver, Reply, SOON, Server, eventually};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

fn api(server: &Server) -> Result<Api> {
    Api::admin(server)
}

/// A token for some streams only.
fn of_prefix(server: &Server, prefix: &str, scope: &str) -> Result<Api> {
    let made = Program::new(jackfield_e2e::server()?)
        .args(["token", "create", "--name", &prefix.replace('/', "-"), "--scope", scope])
        .args(["--stream-prefix", prefix, "--data-dir"])
        .args([server.folder().join("data")])
        .run(SOON)?;
    ensure!(made.code == Some(0), "{}", made.stderr);
    let token = made.stdout.trim().to_owned();
    Ok(Api::new(server.http(), &token))
}

fn publish(server: &Server, key: &str) -> Result<Client> {
    let (app, name) = key.split_once('/').context("a key")?;
    let mut client = Client::connect(server.rtmp(), app)?;
    client.publish(name)?;
    server.events().wait_for("publish_start", SOON, |event| event.stream_key() == Some(key))?;
    Ok(client)
}

fn items(page: &Value) -> &[Value] {
    page["items"].as_array().map(Vec::as_slice).unwrap_or_default()
}

#[test]
fn the_catalogue_has_every_event_with_a_schema_that_its_example_fits() -> Result<()> {
    let server = Server::builder().start()?;
    let api = api(&server)?;
    let all = api.get("events")?.expect(200)?.body;
    ensure!(items(&all).len() > 15 && all["next"].is_null(), "{all}");
    for event in items(&all) {
        let name = event["name"].as_str().context("a name")?;
        let one = api.get(&format!("events/{name}"))?.expect(200)?.body;
        let schema = &one["schema"];
        ensure!(schema["properties"]["type"]["const"] == name, "{one}");
        for field in schema["required"].as_array().context("required")? {
            ensure!(
                one["example"].get(field.as_str().unwrap_or_default()).is_some(),
                "{name} {field}: {one}"
            );
        }
        for field in schema["properties"]["data"]["required"].as_array().context("data")? {
            ensure!(
                one["example"]["data"].get(field.as_str().unwrap_or_default()).is_some(),
                "{name} {field}"
            );
        }
    }
    let wrong = api.get("events/publish_strat")?;
    ensure!(wrong.status == 404 && wrong.text.contains("did you mean `publish_start`?"), "{}", wrong.text);
    server.stop()?;
    Ok(())
}

#[test]
fn the_log_is_filtered_and_paged_in_both_orders() -> Result<()> {
    let server = Server::builder().start()?;
    let api = api(&server)?;
    for key in ["live/a", "live/b", "vod/c"] {
        drop(publish(&server, key)?);
        server.events().wait_for("publish_stop", SOON, |event| event.stream_key() == Some(key))?;
    }
    eventually("the last event in the log", SOON, || {
        let log = api.get("events/log?type=publish_stop&key=vod/**")?.expect(200)?.body;
        Ok((items(&log).len() == 1).then_some(()))
    })?;
    let keys = |query: &str| -> Result<Vec<String>> {
        let log = api.get(&format!("events/log?{query}"))?.expect(200)?.body;
        Ok(items(&log).iter().filter_map(|event| Some(event["stream_key"].as_str()?.to_owned())).collect())
    };
    ensure!(keys("type=publish_start")? == ["vod/c", "live/b", "live/a"]);
    ensure!(keys("type=publish_start&order=asc")? == ["live/a", "live/b", "vod/c"]);
    ensure!(keys("type=publish_start&key=live/*,!live/b")? == ["live/a"]);
    ensure!(keys("type=publish_start&session=s000002")? == ["live/b"]);
    let of_connection = api.get("events/log?conn=c000001&type=connection_*")?.expect(200)?.body;
    ensure!(items(&of_connection).iter().all(|event| event["conn_id"] == "c000001"), "{of_connection}");

    // Page by page it is the same, in either order.
    for order in ["desc", "asc"] {
        let whole = api.get(&format!("events/log?order={order}&limit=1000"))?.expect(200)?.body;
        let mut paged = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = api.get(&format!("events/log?order={order}&limit=3{cursor}"))?.expect(200)?.body;
            paged.extend(items(&page).iter().cloned());
            match page["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        ensure!(paged == items(&whole), "{order}: {} and {}", paged.len(), items(&whole).len());
    }

    // By place and by time.
    let asc = api.get("events/log?order=asc")?.expect(200)?.body;
    let third = items(&asc).get(2).context("a third")?;
    let (seq, time) = (third["seq"].as_str().context("seq")?, third["time"].as_str().context("time")?);
    let rest = api.get(&format!("events/log?order=asc&since={seq}"))?.expect(200)?.body;
    ensure!(items(&rest) == items(&asc).get(3..).unwrap_or_default(), "{rest}");
    let from = api.get(&format!("events/log?order=asc&since={time}"))?.expect(200)?.body;
    ensure!(items(&from).first() == Some(third), "{from}");
    let until = api.get(&format!("events/log?order=asc&until={time}"))?.expect(200)?.body;
    ensure!(items(&until) == items(&asc).get(..2).unwrap_or_default(), "{until}");

    for (query, says) in [
        ("typ=x", "did you mean `type`?"),
        ("type=publish_strat", "did you mean `publish_start`?"),
        ("limit=0", "1 to 1000"),
        ("since=yesterday", "since"),
        ("until=1", "RFC 3339"),
        ("order=up", "order"),
        ("cursor=!", "cursor"),
        ("key=a%20b", "key"),
        ("session=1", "s000001"),
    ] {
        let wrong = api.get(&format!("events/log?{query}"))?;
        ensure!(wrong.status == 400 && wrong.text.contains(says), "{query}: {} {}", wrong.status, wrong.text);
    }
    server.stop()?;
    Ok(())
}

#[test]
fn what_is_triggered_reaches_every_hook_marked_as_a_test() -> Result<()> {
    let receiver = Receiver::start(|_| Reply::status(204))?;
    let file = format!(
        "[[hook]]\nname = \"h\"\non = [\"publish_start\", \"authorize_publish\"]\nurl = \"{}\"\n",
        receiver.url("/h")
    );
    let server = Server::builder().config(file).start()?;
    let api = api(&server)?;
    let wish = json!({"event": "publish_start", "stream_key": "live/x", "data": {"client_port": 7}});
    let sent = api.post("events/trigger", &wish)?.expect(202)?.body;
    let told =
        receiver.wait("the notice", SOON, |request| request.event().as_deref() == Some("publish_start"))?;
    let told = told.json();
    ensure!(told["test"] == true && told["id"] == sent["id"] && told["seq"] == sent["seq"], "{told} {sent}");
    ensure!(told["stream_key"] == "live/x" && told["data"]["client_port"] == 7, "{told}");
    api.post("events/trigger", &json!({"event": "authorize_publish"}))?.expect(202)?;
    let asked = receiver.wait("the question", SOON, |r| r.event().as_deref() == Some("authorize_publish"))?;
    ensure!(asked.json()["test"] == true, "{asked:?}");
    ensure!(api.post("events/trigger", &json!({"event": "nothing"}))?.status == 422);
    server.stop()?;
    Ok(())
}

#[test]
fn a_delivery_is_found_shown_with_request_and_answer_and_replayed() -> Result<()> {
    let receiver = Receiver::start(|request| match request.event().as_deref() {
        Some("authorize_publish") => Reply::json(200, &json!({"decision": "allow", "tags": {"plan": "pro"}})),
        _ => Reply::status(204),
    })?;
    let file = format!(
        "[[hook]]\nname = \"h\"\non = [\"publish_*\", \"authorize_publish\"]\nurl = \"{}\"\n",
        receiver.url("/h")
    );
    let server = Server::builder().config(file).start()?;
    let api = api(&server)?;
    let _client = publish(&server, "live/show")?;
    let told = eventually("the notice's delivery", SOON, || {
        let found = api
            .get("deliveries?hook=h&event=publish_start&outcome=answered&key=live%2Fshow")?
            .expect(200)?
            .body;
        Ok(items(&found).first().cloned())
    })?;
    ensure!(told["mode"] == "notify" && told["attempt"] == 1 && told["session_id"] == "s000001", "{told}");
    let id = told["id"].as_str().context("an id")?;
    let one = api.get(&format!("deliveries/{id}"))?.expect(200)?.body;
    ensure!(
        one["request"]["type"] == "publish_start" && one["attempts"].as_array().map(Vec::len) == Some(1),
        "{one}"
    );

    let asked = api.get("deliveries?event=authorize_publish")?.expect(200)?.body;
    let asked = items(&asked).first().context("the question's delivery")?.clone();
    ensure!(asked["decision"] == "allow" && asked["mode"] == "decide", "{asked}");
    let question =
        api.get(&format!("deliveries/{}", asked["id"].as_str().unwrap_or_default()))?.expect(200)?.body;
    ensure!(
        question["answer"]["tags"]["plan"] == "pro" && question["request"]["type"] == "authorize_publish",
        "{question}"
    );

    let begun = api.post(&format!("deliveries/{id}/replay"), &Value::Null)?.expect(202)?.body;
    ensure!(begun["id"] != told["id"], "{begun}");
    receiver.requests().wait("the second time", SOON, |requests| {
        let same = requests.iter().filter(|request| request.json()["id"] == told["event_id"]).count();
        (same == 2).then_some(())
    })?;
    let question_id = asked["id"].as_str().unwrap_or_default();
    ensure!(api.post(&format!("deliveries/{question_id}/replay"), &Value::Null)?.status == 409);
    for path in ["deliveries/dlv_00000001", "deliveries/x", "deliveries/..%2f..%2fetc"] {
        ensure!(api.get(path)?.status == 404, "{path}");
    }
    ensure!(
        api.get("deliveries?outcome=fine")?.status == 400 && api.get("deliveries?event_id=x")?.status == 400
    );
    let of_event =
        api.get(&format!("deliveries?event_id={}", told["event_id"].as_str().unwrap_or_default()))?;
    ensure!(items(&of_event.expect(200)?.body).len() == 2);
    server.stop()?;
    Ok(())
}

#[test]
fn dead_letters_are_shown_replayed_and_dropped() -> Result<()> {
    let status = Arc::new(AtomicU16::new(500));
    let says = Arc::clone(&status);
    let receiver = Receiver::start(move |_| Reply::status(says.load(Ordering::SeqCst)))?;
    let file = format!(
        "[[hook]]\nname = \"h\"\non = [\"publish_start\"]\nretries = 1\nschedule = [\"50ms\"]\nurl = \"{}\"\n",
        receiver.url("/h")
    );
    let server = Server::builder().config(file).start()?;
    let api = api(&server)?;
    let _clients = [publish(&server, "live/a")?, publish(&server, "live/b")?, publish(&server, "vod/c")?];
    let dead = eventually("three dead letters", SOON, || {
        let dead = api.get("dead-letters?hook=h")?.expect(200)?.body;
        Ok((items(&dead).len() == 3).then_some(dead))
    })?;
    let of_a = items(&dead).iter().find(|letter| letter["key"] == "live/a").context("that of live/a")?;
    ensure!(
        of_a["outcome"] == "handler_error" && of_a["attempts"] == 2 && of_a["event"] == "publish_start",
        "{of_a}"
    );
    let id = of_a["id"].as_str().context("an id")?;
    let one = api.get(&format!("dead-letters/{id}"))?.expect(200)?.body;
    ensure!(one["request"]["stream_key"] == "live/a", "{one}");

    // Who may see some streams sees and touches only theirs.
    let some = of_prefix(&server, "live/b", "operate")?;
    ensure!(some.post(&format!("dead-letters/{id}/replay"), &Value::Null)?.status == 403);
    ensure!(some.delete(&format!("dead-letters/{id}"))?.status == 403);
    let reader = of_prefix(&server, "vod", "read")?;
    let seen = reader.get("dead-letters")?.expect(200)?.body;
    ensure!(items(&seen).len() == 1 && seen["items"][0]["key"] == "vod/c", "{seen}");
    ensure!(reader.delete("dead-letters?hook=h")?.status == 403);

    status.store(204, Ordering::SeqCst);
    ensure!(some.post("dead-letters/replay", &json!({"hook": "h"}))?.expect(200)?.body["replayed"] == 1);
    api.post(&format!("dead-letters/{id}/replay"), &Value::Null)?.expect(202)?;
    eventually("only one left", SOON, || {
        let dead = api.get("dead-letters")?.expect(200)?.body;
        Ok((items(&dead).len() == 1 && dead["items"][0]["key"] == "vod/c").then_some(()))
    })?;
    ensure!(api.delete("dead-letters")?.status == 400, "nothing is dropped by a query that says nothing");
    ensure!(api.delete("dead-letters?hook=other")?.expect(200)?.body["dropped"] == 0);
    let last =
        api.get("dead-letters")?.expect(200)?.body["items"][0]["id"].as_str().unwrap_or_default().to_owned();
    api.delete(&format!("dead-letters/{last}"))?.expect(204)?;
    ensure!(api.delete(&format!("dead-letters/{last}"))?.status == 404);
    ensure!(api.get("dead-letters/x")?.status == 404);
    server.stop()?;
    Ok(())
}

#[test]
fn a_denied_publish_is_explained_with_the_hooks_that_were_not_asked_too() -> Result<()> {
    let receiver = Receiver::start(|request| match request.path.as_str() {
        "/ok" => Reply::status(204),
        "/no" => {
            Reply::json(200, &json!({"decision": "deny", "reason": {"code": "late", "public": "Too late."}}))
        }
        _ => Reply::status(500),
    })?;
    let hook = |name: &str, on: &str, more: &str, path: &str| {
        format!("[[hook]]\nname = \"{name}\"\non = [\"{on}\"]\n{more}url = \"{}\"\n", receiver.url(path))
    };
    let file = [
        hook("other-stream", "authorize_publish", "streams = [\"vod/**\"]\n", "/x"),
        hook("other-event", "authorize_play", "", "/x"),
        hook("told", "authorize_publish", "mode = \"notify\"\n", "/ok"),
        hook("broken", "authorize_publish", "on_error = \"allow\"\n", "/x"),
        hook("gate", "authorize_publish", "", "/no"),
        hook("after", "authorize_publish", "", "/x"),
    ];
    let server = Server::builder().config(file.join("")).start()?;
    let api = api(&server)?;
    let refused = Client::connect(server.rtmp(), "live")?.publish("show").err().context("published")?;
    ensure!(refused.to_string().contains("Too late."), "{refused:#}");
    let found = eventually("the explanation", SOON, || {
        let answer = api.get("explain/c000001")?;
        Ok((answer.status == 200).then_some(answer.body))
    })?;
    let question = items_of(&found, "questions").iter().find(|q| q["event"] == "authorize_publish");
    let question = question.context("the question")?;
    ensure!(question["verdict"] == "deny" && question["denied_by"] == "gate", "{question}");
    ensure!(question["public"] == "Too late." && question["reason"]["code"] == "late", "{question}");
    let why: Vec<(&str, &str)> = items_of(question, "steps")
        .iter()
        .filter_map(|step| Some((step["hook"].as_str()?, step["why"].as_str()?)))
        .collect();
    let expect = [
        ("other-stream", "other_stream"),
        ("other-event", "other_event"),
        ("told", "only_told"),
        ("broken", "asked"),
        ("gate", "asked"),
        ("after", "not_reached"),
    ];
    ensure!(why == expect, "{why:?}");
    let broken = items_of(question, "steps").get(3).context("the fourth")?;
    ensure!(broken["outcome"] == "handler_error" && broken["policy"] == "allow", "{broken}");
    ensure!(broken["input_sha256"].as_str().is_some_and(|digest| digest.len() == 64), "{broken}");

    let session =
        found["questions"].as_array().and_then(|all| all.iter().find_map(|q| q["session_id"].as_str()));
    if let Some(session) = session {
        let of_session = api.get(&format!("explain/{session}"))?.expect(200)?.body;
        ensure!(of_session["session"] == session && of_session["conn_id"] == "c000001", "{of_session}");
    }
    ensure!(api.get("explain/c999999")?.status == 404 && api.get("explain/live%2Fshow")?.status == 400);
    let reader = of_prefix(&server, "vod", "read")?;
    ensure!(reader.get("explain/c000001")?.status == 404, "of other streams nothing is told");
    server.stop()?;
    Ok(())
}

fn items_of<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value[name].as_array().map(Vec::as_slice).unwrap_or_default()
}
