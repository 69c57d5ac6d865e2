//! The tools that talk to a running server.

use super::{run, to};
use anyhow::{Context, Result, ensure};
use jackfield_e2e::rtmp::Client;
use jackfield_e2e::tls::Authority;
use jackfield_e2e::{Finished, Program, Receiver, Reply, SOON, Scratch, Server, free_port};
use serde_json::{Value, json};

const WORKER: &str = "#!/usr/bin/env python3
import json, sys
for line in sys.stdin:
    query = json.loads(line)['data'].get('query', '')
    denied = {'decision': 'deny', 'reason': {'code': 'bad_token', 'public': 'Wrong token.'}}
    print(json.dumps(denied if query == 'token=guess' else {'decision': 'allow'}), flush=True)
";

/// A server with a worker that decides, and a receiver of notices.
struct Stage {
    server: Server,
    scratch: Scratch,
}

impl Stage {
    fn set(receiver: &Receiver) -> Result<Self> {
        let scratch = Scratch::new()?;
        let worker = scratch.script("auth.py", WORKER)?;
        let config = format!(
            "[[hook]]\nname = \"auth\"\non = [\"authorize_publish\"]\nworker = [\"{}\"]\n\
             [[hook]]\nname = \"notes\"\non = [\"publish_start\", \"publish_stop\"]\nurl = \"{}\"\nretries = 0\n",
            worker.display(),
            receiver.url("/notes"),
        );
        Ok(Self { server: Server::builder().config(config).start()?, scratch })
    }

    fn run(&self, args: &[&str]) -> Result<Finished> {
        Program::new(jackfield_e2e::server()?).cwd(self.scratch.path()).args(to(&self.server, args)).run(SOON)
    }

    fn printed(&self, args: &[&str]) -> Result<String> {
        let ran = self.run(args)?;
        ensure!(ran.code == Some(0), "{args:?} ended with {:?}: {}\n{}", ran.code, ran.stderr, ran.stdout);
        Ok(ran.stdout)
    }

    fn json(&self, args: &[&str]) -> Result<Value> {
        let printed = self.printed(&[args, &["--json"]].concat())?;
        serde_json::from_str(&printed).with_context(|| format!("{args:?} printed {printed}"))
    }

    /// What a command must fail with.
    fn fails(&self, args: &[&str], code: i32, said: &str) -> Result<()> {
        let ran = self.run(args)?;
        ensure!(ran.code == Some(code) && ran.stderr.contains(said), "{args:?}: {ran:?}");
        Ok(())
    }

    /// Publishes for a moment.
    fn publish(&self, name: &str) -> Result<()> {
        Client::connect(self.server.rtmp(), "live")?.publish(name).map(drop)
    }
}

/// The ids of the events of this type that came, in their order.
fn ids(receiver: &Receiver, event: &str) -> Vec<String> {
    let of_type = |request: &&jackfield_e2e::Request| request.event().as_deref() == Some(event);
    let requests = receiver.requests().all();
    requests
        .iter()
        .filter(of_type)
        .filter_map(|request| request.header("webhook-id").map(str::to_owned))
        .collect()
}

#[test]
fn hooks_are_listed_tried_triggered_and_switched() -> Result<()> {
    let receiver = Receiver::start(|_| Reply::status(204))?;
    let stage = Stage::set(&receiver)?;
    let call = stage.json(&[
        "hooks",
        "test",
        "auth",
        "--event",
        "authorize_publish",
        "--data",
        "query=token=guess",
    ])?;
    ensure!(call["outcome"] == "answered" && call["request"]["test"] == true, "{call}");
    stage.printed(&[
        "hooks",
        "test",
        "auth",
        "-e",
        "authorize_publish",
        "-d",
        "query=token=guess",
        "--expect",
        "deny",
    ])?;
    stage.printed(&[
        "hooks",
        "test",
        "auth",
        "-e",
        "authorize_publish",
        "-d",
        "query=",
        "--expect",
        "allow",
    ])?;

    let sent = stage.json(&["hooks", "trigger", "publish_start", "--key", "tv/a"])?;
    let came = receiver.wait("the fixture", SOON, |request| request.json()["test"] == true)?;
    ensure!(came.json()["stream_key"] == "tv/a" && came.json()["id"] == sent["id"], "{came:?} {sent}");

    let table = stage.printed(&["hooks", "list"])?;
    ensure!(
        ["auth", "authorize_publish", "worker", "notes", "url"].iter().all(|word| table.contains(word)),
        "{table}"
    );
    stage.printed(&["hooks", "disable", "auth"])?;
    let auth = |list: &Value| list["items"].as_array()?.iter().find(|hook| hook["name"] == "auth").cloned();
    let hook = auth(&stage.json(&["hooks", "list"])?).context("no auth")?;
    ensure!(hook["state"] == "disabled", "{hook}");
    stage.printed(&["hooks", "enable", "auth"])?;
    let hook = auth(&stage.json(&["hooks", "list"])?).context("no auth")?;
    ensure!(hook["state"] == "ok", "{hook}");

    stage.fails(&["hooks", "test", "auht", "--event", "publish_start"], 5, "did you mean `auth`?")?;
    stage.fails(&["hooks", "disable", "auht"], 5, "did you mean `auth`?")?;
    stage.fails(&["replay", "--hook", "auht", "--since", "1h"], 5, "did you mean `auth`?")?;
    stage.fails(&["dlq", "list", "--hook", "auht"], 5, "did you mean `auth`?")?;
    stage.fails(&["dlq", "list", "--event", "publish_strat"], 1, "did you mean `publish_start`?")?;
    stage.fails(&["hooks", "trigger", "publish_strat"], 2, "did you mean `publish_start`?")?;
    stage.server.stop()?;
    Ok(())
}

#[test]
fn a_denial_is_seen_in_the_tail_and_explained() -> Result<()> {
    let receiver = Receiver::start(|_| Reply::status(204))?;
    let stage = Stage::set(&receiver)?;
    ensure!(stage.publish("show?token=guess").is_err(), "it was let in");
    let line =
        stage.json(&["tail", "--since", "10m", "--type", "auth_failed", "-n", "1", "--no-deliveries"])?;
    ensure!(line["conn_id"] == "c000001" && line["data"]["code"] == "bad_token", "{line}");
    let text = stage.printed(&["explain", "c000001"])?;
    ensure!(
        ["authorize_publish", "live/show", "auth: deny", "Wrong token."]
            .iter()
            .all(|word| text.contains(word)),
        "{text}"
    );
    let document = stage.json(&["explain", "c000001"])?;
    let session = document["questions"][0]["steps"].as_array().context("no steps")?;
    ensure!(session.iter().any(|step| step["hook"] == "auth" && step["decision"] == "deny"), "{document:#}");
    stage.fails(&["explain", "c000099"], 5, "knows no questions")?;
    stage.fails(&["explain", "live/show"], 2, "s000001")?;
    stage.server.stop()?;
    Ok(())
}

#[test]
fn deliveries_are_followed_and_sent_once_more() -> Result<()> {
    let receiver = Receiver::start(|_| Reply::status(204))?;
    let stage = Stage::set(&receiver)?;
    stage.publish("show")?;
    receiver.wait("the stop", SOON, |request| request.event().as_deref() == Some("publish_stop"))?;
    let first = ids(&receiver, "publish_start");
    ensure!(first.len() == 1, "{first:?}");

    let all = stage.json(&["replay", "--hook", "notes", "--since", "1h", "--dry-run"])?;
    ensure!(all["matching"] == 2 && all["replayed"] == 0, "{all}");
    let all = stage.json(&["replay", "--hook", "notes", "--since", "1h"])?;
    ensure!(all["replayed"] == 2, "{all}");
    let again = |count: usize| {
        jackfield_e2e::eventually("once more", SOON, || {
            Ok((ids(&receiver, "publish_start").len() == count).then_some(()))
        })
    };
    again(2)?;
    ensure!(ids(&receiver, "publish_start").iter().all(|id| *id == first[0]), "another id");

    let one = stage.json(&[
        "replay",
        "--hook",
        "notes",
        "--since",
        "1h",
        "--event",
        "publish_start",
        "--dry-run",
    ])?;
    ensure!(one["matching"] == 1, "a replay has the id of its delivery: {one}");
    stage.fails(&["replay", "dlv_7fffffffffffffff"], 5, "`jackfield tail` names those")?;
    stage.fails(&["replay"], 2, "--hook")?;
    stage.server.stop()?;
    Ok(())
}

#[test]
fn dead_letters_are_listed_shown_replayed_and_dropped() -> Result<()> {
    let fails = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    let failing = std::sync::Arc::clone(&fails);
    let receiver = Receiver::start(move |_| {
        Reply::status(if failing.load(std::sync::atomic::Ordering::SeqCst) { 500 } else { 204 })
    })?;
    let stage = Stage::set(&receiver)?;
    ensure!(stage.printed(&["dlq", "list"])? == "No dead letters.", "there is one before");
    stage.publish("show")?;
    let letters = || -> Result<Vec<Value>> {
        let list = stage.json(&["dlq", "list", "--hook", "notes"])?;
        Ok(list["items"].as_array().context("no list")?.clone())
    };
    let two = || {
        jackfield_e2e::eventually("dead letters", SOON, || Ok(Some(letters()?).filter(|all| all.len() == 2)))
    };
    let both = two()?;
    let id = both[0]["id"].as_str().context("no id")?;
    let shown = stage.printed(&["dlq", "show", id])?;
    ensure!(shown.contains("handler_error") && shown.contains("\"publish_st"), "{shown}");
    ensure!(stage.printed(&["dlq", "list"])?.contains("publish_start"), "the table lacks it");

    fails.store(false, std::sync::atomic::Ordering::SeqCst);
    stage.printed(&["dlq", "drop", id])?;
    let all = stage.json(&["dlq", "replay", "--hook", "notes"])?;
    ensure!(all["replayed"] == 1, "{all}");
    jackfield_e2e::eventually("an empty list", SOON, || Ok(letters()?.is_empty().then_some(())))?;
    let none = stage.printed(&["dlq", "replay", "--all"])?;
    ensure!(none.starts_with("0 dead letters are sent once more; what is delivered leaves"), "{none}");
    stage.fails(&["dlq", "show", id], 5, "no dead letter")?;
    stage.fails(&["dlq", "drop"], 2, "which dead letters?")?;
    ensure!(stage.json(&["dlq", "drop", "--all"])?["dropped"] == 0, "there was one left");
    stage.server.stop()?;
    Ok(())
}

#[test]
fn a_server_that_is_not_there_and_a_token_that_is_wrong_have_exit_codes_of_their_own() -> Result<()> {
    let receiver = Receiver::start(|_| Reply::status(204))?;
    let stage = Stage::set(&receiver)?;
    stage.fails(&["hooks", "list", "--token", "wrong"], 4, "does not know this token")?;
    let folder = stage.scratch.path();
    let api = format!("http://{}", stage.server.http());
    let ran = run(folder, &["hooks", "list", "--api", &api, "--data-dir", "nowhere"])?;
    ensure!(ran.code == Some(4) && ran.stderr.contains("nowhere/admin.token"), "{ran:?}");
    stage.server.stop()?;
    for args in
        [&["hooks", "list"][..], &["tail"], &["explain", "s000001"], &["dlq", "list"], &["replay", "dlv_1"]]
    {
        let port = free_port()?.to_string();
        let ran = run(folder, &[args, &["--api", &format!("localhost:{port}")]].concat())?;
        ensure!(ran.code == Some(3) && ran.stderr.contains("Is it running there"), "{ran:?}");
    }
    // Something else answers there.
    let ran = run(folder, &["hooks", "list", "--api", &receiver.url("/x")])?;
    ensure!(ran.code == Some(3) && ran.stderr.contains("is not the API"), "{ran:?}");
    Ok(())
}

#[test]
fn what_follows_a_server_goes_on_over_its_restart() -> Result<()> {
    let (folder, port) = (Scratch::new()?, free_port()?);
    let data = folder.path().join("data").display().to_string();
    let start = || {
        let server = Server::builder().line("exec jackfield").env("JACKFIELD_DATA_DIR", &data);
        server.env("JACKFIELD_HTTP_LISTEN", format!("127.0.0.1:{port}")).start()
    };
    let receiver = Receiver::start(|_| Reply::status(204))?;
    let api = format!("http://127.0.0.1:{port}");
    let place = ["--api", &api, "--data-dir", &data, "--type", "publish_start"];
    let cwd = folder.path();
    let binary = jackfield_e2e::server()?;

    let server = start()?;
    let begin = |args: &[&str]| Program::new(&binary).cwd(cwd).args(args).args(place).start();
    let mut tail = begin(&["tail", "--json", "--no-deliveries", "--since", "1h", "-n", "2"])?;
    let url = receiver.url("/local");
    let state = ["listen", "--forward", &url, "--state", "state.json", "--since", "1h"];
    let mut listen = begin(&[&state[..], &["-n", "2"]].concat())?;
    let publish =
        |server: &Server, name: &str| Client::connect(server.rtmp(), "live")?.publish(name).map(drop);
    publish(&server, "first")?;
    receiver.wait("the first", SOON, |request| request.json()["stream_key"] == "live/first")?;
    server.stop()?;
    let server = start()?;
    publish(&server, "second")?;
    receiver.wait("the second", SOON, |request| request.json()["stream_key"] == "live/second")?;
    for program in [&mut tail, &mut listen] {
        ensure!(program.wait(SOON)?.success(), "{:?}", program.stderr().all());
    }
    tail.stdout().wait_closed("what the tail prints", SOON)?;
    let keys: Vec<Value> = tail.stdout().read(|lines| {
        lines
            .iter()
            .filter_map(|line| Some(serde_json::from_str::<Value>(line).ok()?["stream_key"].clone()))
            .collect()
    });
    ensure!(keys == ["live/first", "live/second"], "{keys:?}");
    ensure!(ids(&receiver, "publish_start").len() == 2, "an event came twice, or not at all");

    // The next listener goes on behind the last, without being told where.
    publish(&server, "third")?;
    let third = Program::new(&binary).cwd(cwd).args([
        "listen",
        "--forward",
        &url,
        "--state",
        "state.json",
        "-n",
        "1",
    ]);
    let ran = third.args(place).run(SOON)?;
    ensure!(
        ran.code == Some(0) && ran.stdout.contains("live/third") && ran.stdout.contains("204"),
        "{ran:?}"
    );
    let request = receiver.wait("the third", SOON, |request| request.json()["stream_key"] == "live/third")?;
    ensure!(request.header("webhook-signature").is_some_and(|text| text.starts_with("v1,")), "{request:?}");
    ensure!(ids(&receiver, "publish_start").len() == 3, "one was posted again");
    server.stop()?;
    Ok(())
}

/// An answer of a server of events, which ends there.
fn stream_of(text: &str) -> Reply {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n";
    Reply::Raw([head, text].concat().into_bytes())
}

#[test]
fn a_stream_that_breaks_off_goes_on_behind_the_last_place_that_was_told() -> Result<()> {
    let event = |seq: u32| {
        format!("id: {seq}\nevent: publish_start\ndata: {{\"type\":\"publish_start\",\"seq\":\"{seq}\"}}\n\n")
    };
    let server = Receiver::start(move |request| match request.header("last-event-id") {
        // A sign of life tells a place too; what comes behind it is cut in the middle.
        None => {
            stream_of(&format!(": hello\n\n{}:\nid: 41\n\nid: 42\nevent: publish_start\ndata: {{", event(40)))
        }
        // What is no event of JSON is left out, what is no stream at all is tried again.
        Some("41") => stream_of(&format!("event: x\ndata: no JSON\n\n{}", event(42))),
        Some("42") => stream_of(&format!(
            "event: gap\ndata: {{\"from\":\"43\",\"to\":\"\\u001b[2J\"}}\n\n{}",
            event(50)
        )),
        Some(_) => Reply::status(500),
    })?;
    let folder = Scratch::new()?;
    let ran = run(folder.path(), &["tail", "--json", "-n", "3", "--api", &server.url("/"), "--token", "x"])?;
    ensure!(ran.code == Some(0), "{ran:?}");
    let seqs: Vec<Value> = ran.stdout.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    ensure!(
        seqs.iter().map(|event| event["seq"].as_str()).eq([Some("40"), Some("42"), Some("50")]),
        "{ran:?}"
    );
    ensure!(ran.stderr.contains("the events from 43 to \\u{1b}[2J are not in the server's log"), "{ran:?}");
    ensure!(ran.stderr.matches("the connection was lost").count() == 2, "{ran:?}");
    let asked = server.requests().all();
    ensure!(asked.iter().all(|request| request.header("authorization") == Some("Bearer x")), "{asked:?}");
    ensure!(asked.iter().all(|request| !request.path.contains("since=")), "{asked:?}");
    Ok(())
}

#[test]
fn what_is_no_api_is_told_apart_from_one_that_refuses() -> Result<()> {
    let folder = Scratch::new()?;
    for (reply, code, said) in [
        (Reply::Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>".to_vec()), 3, "is not the API"),
        (Reply::status(404), 3, "is not the API"),
        (Reply::redirect(301, "https://elsewhere.example/"), 3, "it says 301"),
        (Reply::Raw(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()), 3, "cannot reach the server"),
        (Reply::Close, 3, "cannot reach the server"),
        (
            Reply::json(429, &json!({"detail": "Too many.\u{1b}[2J"})),
            1,
            "Too many.\\u{1b}[2J\n  Wait a minute",
        ),
        (
            Reply::json(500, &json!({"title": "Internal", "detail": "Broken."})),
            1,
            "Broken.\n  The server's log",
        ),
        (Reply::json(200, &json!({"things": []})), 3, "its answer is no list"),
    ] {
        let server = Receiver::start(move |_| reply.clone())?;
        let ran = run(folder.path(), &["dlq", "list", "--api", &server.url("/")])?;
        ensure!(ran.code == Some(code) && ran.stderr.contains(said), "{code} {said}: {ran:?}");
    }
    Ok(())
}

#[test]
fn a_listener_waits_for_its_receiver_and_ends_when_that_wants_no_more() -> Result<()> {
    let event = |seq: u32| {
        format!(
            "id: {seq}\nevent: play_stop\ndata: {{\"type\":\"play_stop\",\"id\":\"01J{seq}\",\"seq\":\"{seq}\"}}\n\n"
        )
    };
    let server = Receiver::start(move |_| stream_of(&(40..=42).map(event).collect::<String>()))?;
    let receiver = Receiver::start(|request| match (request.connection, request.json()["seq"].as_str()) {
        (1, _) => Reply::Close,
        (_, Some("41")) => Reply::status(500),
        (_, Some("42")) => Reply::status(410),
        _ => Reply::status(204),
    })?;
    let folder = Scratch::new()?;
    let (api, url) = (server.url("/"), receiver.url("/local"));
    let args = [
        "listen",
        "--forward",
        &url,
        "--api",
        &api,
        "--state",
        "state.json",
        "--secret",
        "whsec_c2VjcmV0",
        "--json",
    ];
    let ran = run(folder.path(), &args)?;
    ensure!(ran.code == Some(1) && ran.stderr.contains("wants no more events"), "{ran:?}");
    let lines: Vec<Value> = ran.stdout.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let told = lines.iter().map(|line| (line["seq"].as_str(), line["status"].as_u64()));
    ensure!(told.eq([(Some("40"), Some(204)), (Some("41"), Some(500))]), "{ran:?}");
    ensure!(lines[0]["tries"].as_u64().is_some_and(|tries| tries > 1), "{ran:?}");
    ensure!(!ran.stderr.contains("c2VjcmV0"), "the secret is told: {ran:?}");

    // What was not taken is where the next one begins.
    let again = run(folder.path(), &args)?;
    ensure!(again.code == Some(1), "{again:?}");
    let asked = server.requests().all();
    ensure!(asked.last().is_some_and(|request| request.path.contains("since=41")), "{asked:?}");
    let other =
        run(folder.path(), &["listen", "--forward", &url, "--api", "localhost:9", "--state", "state.json"])?;
    ensure!(other.code == Some(1) && other.stderr.contains("is the state of"), "{other:?}");
    Ok(())
}

#[test]
fn a_server_behind_tls_is_believed_by_its_authority() -> Result<()> {
    let (folder, authority) = (Scratch::new()?, Authority::new()?);
    let identity = authority.identity(&["localhost", "127.0.0.1"])?;
    let ca = folder.file("ca.pem", &authority.pem())?.display().to_string();
    let cert = folder.file("own.pem", &identity.certificate_pem())?;
    let key = folder.file("own.key", &identity.key_pem())?;
    let config = format!(
        "[rtmps]\ncert = {:?}\nkey = {:?}\n[http]\ntls_listen = \"127.0.0.1:0\"\n",
        cert.display().to_string(),
        key.display().to_string()
    );
    let server = Server::builder().config(config).start()?;
    let api = format!("https://{}", server.address("https")?);
    let data = server.folder().join("data").display().to_string();
    let list = ["hooks", "list", "--api", &api, "--data-dir", &data];
    let ran = run(folder.path(), &[&list[..], &["--tls-ca", &ca]].concat())?;
    ensure!(ran.code == Some(0) && ran.stdout.contains("stdio"), "{ran:?}");
    let ran = run(folder.path(), &list)?;
    ensure!(ran.code == Some(3) && ran.stderr.contains("--tls-ca FILE"), "{ran:?}");
    server.stop()?;
    Ok(())
}
