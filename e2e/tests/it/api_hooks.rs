//! Hooks through the API: how they stand, making them, switching them and trying them.

use anyhow::{Context, Result, ensure};
use jackfield_e2e::receiver::Latch;
use jackfield_e2e::rtmp::Client;
use jackfield_e2e::{Api, Receiver, Reply, SOON, Scratch, Server, ServerBuilder, eventually, hook_fixture};
use rustix::process::Signal;
use serde_json::{Value, json};

/// Lets hooks of the API reach the receivers of these tests.
const LOCAL: &str = "[api]\nallow_networks = [\"127.0.0.0/8\", \"::1\"]\n";

fn local(more: &str) -> ServerBuilder {
    Server::builder().config(format!("{LOCAL}{more}"))
}

fn api(server: &Server) -> Result<Api> {
    Api::admin(server)
}

fn names(api: &Api) -> Result<Vec<String>> {
    let hooks = api.get("hooks")?.expect(200)?.body;
    let items = hooks["items"].as_array().context("items")?;
    Ok(items.iter().filter_map(|hook| Some(hook["name"].as_str()?.to_owned())).collect())
}

fn denying(public: &str) -> Result<Receiver> {
    let answer = json!({"decision": "deny", "reason": {"code": "no", "public": public}});
    Receiver::start(move |_| Reply::json(200, &answer))
}

#[test]
fn a_hook_made_by_the_api_decides_at_once_and_after_a_restart_and_its_secrets_are_not_shown() -> Result<()> {
    let receiver = denying("Not today.")?;
    let server = local("").start()?;
    let api = api(&server)?;
    let body = json!({
        "name": "gate", "on": ["authorize_publish"], "url": receiver.url("/gate?token=hush"),
        "headers": {"Authorization": "Bearer hush"}, "secret": "whsec_aHVzaGh1c2hodXNoaHVzaGh1c2hodXNo",
    });
    let made = api.post("hooks", &body)?;
    ensure!(made.header("location") == "/api/v1/hooks/gate" && !made.text.contains("hush"), "{}", made.text);
    let made = made.expect(201)?.body;
    ensure!(made["origin"] == "api" && made["handler"]["type"] == "url" && made["state"] == "ok", "{made}");
    ensure!(api.post("hooks", &body)?.status == 409, "a name is taken once");
    let refused = Client::connect(server.rtmp(), "live")?.publish("show").err().context("published")?;
    ensure!(refused.to_string().contains("Not today."), "{refused:#}");
    let request = receiver.wait("question", SOON, |_| true)?;
    ensure!(request.header("authorization") == Some("Bearer hush"), "{request:?}");
    ensure!(request.header("webhook-signature").is_some(), "{request:?}");
    for path in ["hooks", "hooks/gate", "config"] {
        let shown = api.get(path)?;
        ensure!(shown.status == 200 && !shown.text.contains("hush"), "{path}: {}", shown.text);
    }

    // It outlives a reload and the server.
    server.signal(Signal::HUP)?;
    server.wait_log("reload", SOON, |line| line.message() == "The hooks have been replaced")?;
    ensure!(names(&api)?.contains(&"gate".to_owned()), "gone by a reload");
    let data = server.folder().join("data");
    let kept = std::fs::read_to_string(data.join("hooks.json"))?;
    ensure!(kept.contains("hush"), "the file has the secret");
    let folder = Scratch::new()?;
    let next = folder.path().join("next");
    std::fs::create_dir(&next)?;
    std::fs::copy(data.join("hooks.json"), next.join("hooks.json"))?;
    server.stop()?;
    let server = local("").data_dir(&next).start()?;
    let token = std::fs::read_to_string(next.join("admin.token"))?;
    let api = Api::new(server.http(), token.trim_end());
    ensure!(names(&api)?.contains(&"gate".to_owned()), "gone by a restart");
    let refused = Client::connect(server.rtmp(), "live")?.publish("show").err().context("published")?;
    ensure!(refused.to_string().contains("Not today."), "{refused:#}");
    api.delete("hooks/gate")?.expect(204)?;
    ensure!(api.get("hooks/gate")?.status == 404 && api.delete("hooks/gate")?.status == 404, "it is gone");
    Client::connect(server.rtmp(), "live")?.publish("show")?;
    server.stop()?;
    Ok(())
}

#[test]
fn hooks_of_the_api_come_after_those_of_the_file_and_only_they_are_changed() -> Result<()> {
    let order = Receiver::start(|_| Reply::status(204))?;
    let file = format!(
        "[[hook]]\nname = \"first\"\non = [\"authorize_publish\"]\nurl = \"{}\"\n",
        order.url("/first")
    );
    let server = local(&file).start()?;
    let api = api(&server)?;
    let second = json!({"name": "second", "on": "authorize_publish", "url": order.url("/second")});
    api.post("hooks", &second)?.expect(201)?;
    ensure!(
        names(&api)?.iter().position(|name| name == "first")
            < names(&api)?.iter().position(|name| name == "second")
    );
    Client::connect(server.rtmp(), "live")?.publish("show")?;
    order.wait("the second", SOON, |request| request.path == "/second")?;
    let paths: Vec<String> = order.requests().all().into_iter().map(|request| request.path).collect();
    ensure!(paths == ["/first", "/second"], "{paths:?}");

    for (answer, status) in [
        (api.put("hooks/first", &second)?, 422),
        (api.put("hooks/first", &json!({"on": "authorize_publish", "url": order.url("/x")}))?, 409),
        (api.delete("hooks/first")?, 409),
        (api.delete("hooks/none")?, 404),
        (api.put("hooks/none", &json!({"on": "authorize_publish", "url": order.url("/x")}))?, 404),
        (api.post("hooks", &json!({"name": "first", "on": "play_start", "url": order.url("/x")}))?, 409),
    ] {
        ensure!(answer.status == status, "{status}: {}", answer.text);
    }
    let third = json!({"on": "authorize_publish", "url": order.url("/third")});
    let replaced = api.put("hooks/second", &third)?.expect(200)?.body;
    ensure!(replaced["handler"]["target"] == order.url("/third"), "{replaced}");
    Client::connect(server.rtmp(), "live")?.publish("other")?;
    order.wait("the third", SOON, |request| request.path == "/third")?;
    server.stop()?;
    Ok(())
}

#[test]
fn a_body_that_is_wrong_says_what_is_wrong_and_makes_nothing() -> Result<()> {
    let server = local("").start()?;
    let api = api(&server)?;
    let url = "https://hooks.example/x";
    for (body, status, says) in [
        (json!({"on": "publish_start", "url": url}), 422, "no name"),
        (json!({"name": "a", "url": url}), 422, "no event"),
        (json!({"name": "a", "on": "publish_start"}), 422, "calls nothing"),
        (json!({"name": "a", "on": "publish_strat", "url": url}), 422, "did you mean `publish_start`?"),
        (json!({"name": "a", "on": "publish_start", "urll": url}), 422, "did you mean `url`?"),
        (
            json!({"name": "a", "on": "publish_start", "url": "http://hooks.example/"}),
            422,
            "beyond this machine",
        ),
        (
            json!({"name": "a", "on": "publish_start", "url": url, "secret": "env:HOME"}),
            422,
            "configuration file",
        ),
        (
            json!({"name": "a", "on": "publish_start", "url": url, "ca": "/etc/passwd"}),
            422,
            "configuration file",
        ),
        (json!({"name": "a", "on": "publish_start", "run": "true"}), 403, "allow_programs"),
        (json!({"name": "a", "on": "publish_start", "worker": "true"}), 403, "allow_programs"),
        (json!({"name": "a", "on": "publish_start", "stdio": "stdout"}), 422, "standard streams"),
        (json!([1]), 422, ""),
        (json!({"name": "x".repeat(20_000), "on": "publish_start", "url": url}), 422, "larger than"),
    ] {
        let answer = api.post("hooks", &body)?;
        ensure!(
            answer.status == status && answer.text.contains(says),
            "{body}: {} {}",
            answer.status,
            answer.text
        );
    }
    ensure!(names(&api)? == ["stdio"], "{:?}", names(&api)?);
    server.stop()?;
    Ok(())
}

#[test]
fn programs_are_made_by_the_api_where_the_file_allows_it() -> Result<()> {
    let server = Server::builder().config("[api]\nallow_programs = true\n").start()?;
    let api = api(&server)?;
    let fixture = hook_fixture()?;
    let body = json!({"name": "run", "on": "publish_start", "run": [fixture, "script"]});
    let made = api.post("hooks", &body)?.expect(201)?.body;
    ensure!(made["handler"]["type"] == "run", "{made}");
    let tried = api.post("hooks/run/test", &json!({"event": "publish_start"}))?.expect(200)?.body;
    ensure!(tried["outcome"].is_string() && tried["request"]["test"] == true, "{tried}");
    server.stop()?;
    Ok(())
}

#[test]
fn a_hook_is_tried_for_real_and_nothing_else_hears_of_it() -> Result<()> {
    let receiver = denying("Expired.")?;
    let file = format!(
        "[[hook]]\nname = \"auth\"\non = [\"authorize_publish\", \"publish_start\"]\nurl = \"{}\"\n",
        receiver.url("/auth")
    );
    let server = local(&file).start()?;
    let api = api(&server)?;
    let wish = json!({"event": "authorize_publish", "stream_key": "live/a", "data": {"query": "token=x"}});
    let tried = api.post("hooks/auth/test", &wish)?.expect(200)?.body;
    ensure!(
        tried["outcome"] == "answered" && tried["decision"] == "deny" && tried["verdict"] == "deny",
        "{tried}"
    );
    ensure!(tried["reason"]["public"] == "Expired." && tried["answer"]["reason"]["code"] == "no", "{tried}");
    ensure!(tried["request"]["test"] == true && tried["request"]["stream_key"] == "live/a", "{tried}");
    ensure!(
        tried["handler_ms"].is_number() && tried["connect_ms"].is_number() && tried["detail"] == "",
        "{tried}"
    );
    let sent = receiver.wait("the question", SOON, |_| true)?.json();
    ensure!(sent["test"] == true && sent["data"]["query"] == "token=x" && sent["hook"] == "auth", "{sent}");
    ensure!(sent["id"] == tried["request"]["id"], "{sent}");

    let tried = api.post("hooks/auth/test", &json!({"event": "publish_start"}))?.expect(200)?.body;
    ensure!(
        tried["outcome"] == "answered" && tried["verdict"].is_null() && tried["answer"].is_null(),
        "{tried}"
    );
    for (body, status, says) in [
        (json!({"event": "publish_stop"}), 422, "not `on`"),
        (json!({"event": "nothing"}), 422, "no event"),
        (json!({"event": "publish_start", "data": {"colour": 1}}), 422, "colour"),
        (json!({"event": "publish_start", "stream_key": "a b"}), 422, "key of a stream"),
        (json!({"event": "publish_start", "conn_id": "x"}), 422, "id of a connection"),
        (json!({"event": "publish_start", "data": {"tc_url": "x".repeat(70_000)}}), 422, "at most 65536"),
        (json!({"evnt": "publish_start"}), 422, "did you mean `event`?"),
    ] {
        let answer = api.post("hooks/auth/test", &body)?;
        ensure!(answer.status == status && answer.text.contains(says), "{body}: {}", answer.text);
    }
    ensure!(api.post("hooks/none/test", &json!({"event": "publish_start"}))?.status == 404);
    ensure!(api.post("hooks/stdio/test", &json!({"event": "publish_start"}))?.status == 409);
    let hook = api.get("hooks/auth")?.expect(200)?.body;
    ensure!(hook["decisions"]["deny"] == 0, "a trial does not count: {hook}");
    server.stop()?;
    Ok(())
}

#[test]
fn a_worker_is_tried_too() -> Result<()> {
    let worker = concat!(
        "import json, sys\n",
        "for line in sys.stdin:\n",
        "    print(json.dumps({'decision': 'deny', 'reason': 'No.'}), flush=True)\n",
    );
    let folder = Scratch::new()?;
    let path = folder.file("worker.py", worker)?;
    let file = format!(
        "[[hook]]\nname = \"w\"\non = [\"authorize_publish\"]\nworker = [\"python3\", \"{}\"]\n",
        path.display()
    );
    let server = local(&file).start()?;
    let tried = api(&server)?.post("hooks/w/test", &json!({"event": "authorize_publish"}))?.expect(200)?.body;
    ensure!(tried["outcome"].is_string() && tried["verdict"] == "deny", "{tried}");
    server.stop()?;
    Ok(())
}

#[test]
fn a_disabled_hook_is_neither_asked_nor_told_until_it_is_enabled_and_then_gets_what_it_missed() -> Result<()>
{
    let receiver = Receiver::start(|request| match request.event().as_deref() {
        Some("authorize_publish") => Reply::status(403),
        _ => Reply::status(204),
    })?;
    let file = format!(
        "[[hook]]\nname = \"h\"\non = [\"authorize_publish\", \"publish_start\"]\nurl = \"{}\"\n",
        receiver.url("/h")
    );
    let server = local(&file).start()?;
    let api = api(&server)?;
    ensure!(Client::connect(server.rtmp(), "live")?.publish("a").is_err(), "it is asked");
    api.post("hooks/h/disable", &Value::Null)?.expect(204)?;
    let hook = api.get("hooks/h")?.expect(200)?.body;
    ensure!(
        hook["state"] == "disabled" && hook["enabled"] == false && hook["disabled_by"] == "operator",
        "{hook}"
    );
    Client::connect(server.rtmp(), "live")?.publish("b")?;
    server.events().wait_for("publish_start", SOON, |event| event.stream_key() == Some("live/b"))?;
    ensure!(
        !receiver.requests().all().iter().any(|request| request.event().as_deref() == Some("publish_start"))
    );
    api.post("hooks/h/enable", &Value::Null)?.expect(204)?;
    receiver.wait("what it missed", SOON, |request| request.event().as_deref() == Some("publish_start"))?;
    ensure!(api.get("hooks/h")?.expect(200)?.body["enabled"] == true);
    ensure!(api.post("hooks/none/enable", &Value::Null)?.status == 404);
    ensure!(api.post("hooks/stdio/disable", &Value::Null)?.status == 409);
    server.stop()?;
    Ok(())
}

#[test]
fn a_hook_that_hangs_shows_what_waits_and_its_last_error() -> Result<()> {
    let latch = Latch::default();
    let open = latch.clone();
    let receiver = Receiver::start(move |_| Reply::When(latch.clone(), Box::new(Reply::status(500))))?;
    let file = format!(
        "[[hook]]\nname = \"slow\"\non = [\"publish_start\"]\nconcurrency = 1\nretries = 0\nurl = \"{}\"\n",
        receiver.url("/slow")
    );
    let server = local(&file).start()?;
    let api = api(&server)?;
    let mut clients = Vec::new();
    for key in ["a", "b", "c"] {
        let mut client = Client::connect(server.rtmp(), "live")?;
        client.publish(key)?;
        clients.push(client);
    }
    receiver.wait("the first", SOON, |_| true)?;
    let busy = eventually("a hook with a queue", SOON, || {
        let hook = api.get("hooks/slow")?.expect(200)?.body;
        Ok((hook["running"] == 1 && hook["waiting"] == 2).then_some(hook))
    })?;
    ensure!(busy["lag"]["events"].as_u64().is_some_and(|events| events >= 3), "{busy}");
    open.open();
    let failed = eventually("a last error", SOON, || {
        let hook = api.get("hooks/slow")?.expect(200)?.body;
        Ok((hook["last_error"]["outcome"] == "handler_error").then_some(hook))
    })?;
    ensure!(failed["last_error"]["detail"].as_str().is_some_and(|detail| detail.contains("500")), "{failed}");
    ensure!(failed["outcomes"]["handler_error"].as_u64() >= Some(1), "{failed}");
    ensure!(failed["latency"]["handler"]["p50_ms"].is_number(), "{failed}");
    server.stop()?;
    Ok(())
}

#[test]
fn tries_of_a_hook_that_hangs_leave_room_for_other_requests() -> Result<()> {
    let latch = Latch::default();
    let open = latch.clone();
    let receiver = Receiver::start(move |_| Reply::When(latch.clone(), Box::new(Reply::status(204))))?;
    let file = format!(
        "[[hook]]\nname = \"slow\"\non = [\"publish_start\"]\nconcurrency = 100\ntimeout = \"1m\"\nurl = \"{}\"\n",
        receiver.url("/slow")
    );
    let server = local(&file).start()?;
    let api = api(&server)?;
    let fixture = json!({"event": "publish_start"});
    let tried = std::thread::scope(|scope| -> Result<Vec<u16>> {
        let tries: Vec<_> = (0..8).map(|_| scope.spawn(|| api.post("hooks/slow/test", &fixture))).collect();
        receiver.requests().wait("eight tries at once", SOON, |all| (all.len() >= 8).then_some(()))?;
        let refused = api.post("hooks/slow/test", &fixture)?.expect(429)?;
        ensure!(refused.header("retry-after") == "1", "{refused:?}");
        ensure!(refused.text.contains("tries of hooks"), "{refused:?}");
        api.get("hooks/slow")?.expect(200)?;
        open.open();
        tries
            .into_iter()
            .map(|one| Ok(one.join().map_err(|_panic| anyhow::anyhow!("a try panicked"))??.status))
            .collect()
    })?;
    ensure!(tried == [200; 8], "{tried:?}");
    // They have made room.
    api.post("hooks/slow/test", &fixture)?.expect(200)?;
    server.stop()?;
    Ok(())
}

#[test]
fn hooks_are_for_tokens_that_may() -> Result<()> {
    let server = local("").start()?;
    let stranger = Api::new(server.http(), "nobody");
    ensure!(stranger.get("hooks")?.status == 401);
    server.stop()?;
    Ok(())
}
