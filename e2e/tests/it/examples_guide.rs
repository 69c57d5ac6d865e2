//! What `docs/hooks.md` promises of answers, exit codes, workers and webhooks, tried on the built server.

use anyhow::{Context, Result, ensure};
use jackfield_e2e::receiver::refusing_url;
use jackfield_e2e::rtmp::{Client, Refused};
use jackfield_e2e::{LogLine, Receiver, Reply, Request, SOON, Scratch, Server};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

/// A hook that is a line of shell, for the stream of its own name.
fn shell_hook(event: &str, name: &str, line: &str, more: &str) -> String {
    // A literal string of TOML: nothing in it is escaped.
    format!(
        "[[hook]]\nname = \"{name}\"\non = [\"{event}\"]\nstreams = [\"live/{name}\"]\nrun = [\"sh\", \"-c\", '''{line}''']\n{more}\n"
    )
}

/// What the client reads: nothing if it may publish.
fn publish(server: &Server, name: &str) -> Result<Option<String>> {
    match Client::connect(server.rtmp(), "live")?.publish(name) {
        Ok(_) => Ok(None),
        Err(error) => Ok(Some(error.downcast::<Refused>()?.description)),
    }
}

fn is_call_of(line: &LogLine, hook: &str) -> bool {
    line.message() == "Hook called" && line.field("hook") == Some(hook)
}

/// All calls of a hook that have ended.
fn calls(lines: &[String], hook: &str) -> Vec<LogLine> {
    lines.iter().filter_map(|line| LogLine::parse(line)).filter(|line| is_call_of(line, hook)).collect()
}

/// Name, line of shell, outcome, and what the client reads.
const QUESTIONS: [(&str, &str, &str, Option<&str>); 17] = [
    ("silent", "exit 0", "answered", None),
    ("empty-object", "echo '{}'", "answered", None),
    ("echo", "cat", "answered", None),
    ("pass", r#"echo '{"decision":"pass"}'"#, "answered", None),
    ("allow", r#"echo '{"decision":"allow","tags":{"plan":"pro"}}'"#, "answered", None),
    ("tags-alone", r#"echo '{"tags":{"plan":"pro"}}'"#, "answered", None),
    ("unknown-field", r#"echo '{"decision":"allow","colour":"red"}'"#, "answered", None),
    (
        "deny",
        r#"echo '{"decision":"deny","reason":{"code":"old","text":"For the log.","public":"For you."}}'"#,
        "answered",
        Some("For you."),
    ),
    ("deny-in-text", r#"echo '{"decision":"deny","reason":"For you."}'"#, "answered", Some("For you.")),
    (
        "deny-in-secret",
        r#"echo '{"decision":"deny","reason":{"text":"Secret."}}'"#,
        "answered",
        Some("Refused."),
    ),
    ("exit-77", "echo 'For the log.' >&2; exit 77", "answered", Some("Refused.")),
    ("exit-75", "exit 75", "handler_error", Some("Refused.")),
    ("exit-1", r#"echo '{"decision":"allow"}'; exit 1"#, "handler_error", Some("Refused.")),
    ("signal", "kill -TERM $$", "crashed", Some("Refused.")),
    ("no-json", "echo hello", "protocol_error", Some("Refused.")),
    ("no-decision", r#"echo '{"colour":"red"}'"#, "protocol_error", Some("Refused.")),
    ("wrong-decision", r#"echo '{"decision":"maybe"}'"#, "protocol_error", Some("Refused.")),
];

#[test]
fn answers_and_exit_codes_of_a_question_mean_what_the_guide_says() -> Result<()> {
    let hooks = QUESTIONS.map(|(name, line, ..)| shell_hook("authorize_publish", name, line, ""));
    let server = Server::builder().config(hooks.concat()).start()?;
    for (name, _, outcome, told) in QUESTIONS {
        let heard = publish(&server, name)?;
        ensure!(heard.as_deref() == told, "{name}: {heard:?}");
        let call = server.wait_log(&format!("call of {name}"), SOON, |line| is_call_of(line, name))?;
        ensure!(call.field("outcome") == Some(outcome), "{name}: {call:?}");
    }
    server.stop()?;
    Ok(())
}

/// Name, line of shell, and the outcome of the first try.
const NOTICES: [(&str, &str, &str); 7] = [
    ("silent", "exit 0", "answered"),
    ("talks", "echo 'Said for the log.'", "answered"),
    ("denies", r#"echo '{"decision":"deny"}'"#, "answered"),
    ("exit-77", "exit 77", "handler_error"),
    ("exit-1", "exit 1", "handler_error"),
    ("signal", "kill -TERM $$", "crashed"),
    ("exit-75", "exit 75", "handler_error"),
];

#[test]
fn exit_codes_of_a_notice_mean_what_the_guide_says() -> Result<()> {
    let hooks = NOTICES.map(|(name, line, _)| shell_hook("publish_start", name, line, ""));
    let retried = shell_hook("publish_start", "retries-1", "exit 1", "retries = 1");
    // What is to be tried again later holds up the end no longer than this.
    let brief = "[server]\ndrain_timeout = \"500ms\"\n";
    let server = Server::builder().config(brief.to_owned() + &hooks.concat() + &retried).start()?;
    for name in NOTICES.map(|(name, ..)| name).into_iter().chain(["retries-1"]) {
        ensure!(publish(&server, name)?.is_none(), "a notice decided about {name}");
    }
    for name in ["exit-75", "retries-1"] {
        server.log().wait("second try", SOON, |lines| (calls(lines, name).len() == 2).then_some(()))?;
    }
    // The others were tried once, and all of them have had the time for more.
    for (name, _, outcome) in NOTICES {
        let calls = server.log().read(|lines| calls(lines, name));
        let as_told = if name == "exit-75" { calls.len() >= 2 } else { calls.len() == 1 };
        ensure!(as_told, "{name} was tried {} times", calls.len());
        ensure!(calls[0].field("outcome") == Some(outcome), "{name}: {:?}", calls[0]);
    }
    server.wait_log("what was said", SOON, |line| {
        line.message() == "Hook printed"
            && line.field("line").is_some_and(|line| line.contains("Said for the log."))
    })?;
    server.stop()?;
    Ok(())
}

/// Name, what stands in the hook beside it, the key under which it is published; none if it is refused.
const RESOLVED: [(&str, &str, &str, Option<&str>); 8] = [
    ("kept", r#"echo '{"decision":"keep"}'"#, "", Some("live/kept")),
    ("in-the-app", r#"echo '{"decision":"replace","value":"new-1"}'"#, "", Some("live/new-1")),
    ("elsewhere", r#"echo '{"decision":"replace","value":"studio/a/b"}'"#, "", Some("studio/a/b")),
    ("denied", r#"echo '{"decision":"deny"}'"#, "", None),
    ("bad-value", r#"echo '{"decision":"replace","value":"../etc/passwd"}'"#, "", None),
    ("fails", "exit 1", "", None),
    ("fails-keep", "exit 1", "on_error = \"keep\"", Some("live/fails-keep")),
    ("fails-value", "exit 1", "on_error = \"value:live/new-2\"", Some("live/new-2")),
];

#[test]
fn a_name_is_resolved_as_the_guide_says() -> Result<()> {
    let hooks = RESOLVED.map(|(name, line, more, _)| shell_hook("resolve_publish", name, line, more));
    let server = Server::builder().config(hooks.concat()).start()?;
    for (name, _, _, key) in RESOLVED {
        let heard = publish(&server, name)?;
        ensure!(heard.is_none() == key.is_some(), "{name}: {heard:?}");
        let Some(key) = key else { continue };
        let start =
            server.events().wait_for("publish_start", SOON, |event| event.stream_key() == Some(key))?;
        let failopen = start.json().pointer("/data/failopen").cloned();
        let expected = name.starts_with("fails-").then(|| json!([name]));
        ensure!(failopen == expected, "{name}: {failopen:?}");
    }
    let ended = server.stop()?;
    let starts = ended.events.kinds(|event| event.kind() == "publish_start")?;
    ensure!(starts.len() == RESOLVED.iter().filter(|(.., key)| key.is_some()).count(), "{starts:?}");
    Ok(())
}

/// Notes every line that it reads; of streams named `wait` it never answers.
const HELLO: &str = r#"#!/usr/bin/env python3
import json, sys

notes = open(sys.argv[1], "a")
print('{"t":"hello","proto":[1],"concurrency":2}', flush=True)
for line in sys.stdin:
    print(line, end="", file=notes, flush=True)
    frame = json.loads(line)
    event = frame.get("event", frame)
    if "type" in event and event.get("stream_key") != "live/wait":
        answer = {"decision": "allow"} if event["type"].startswith("authorize_") else {}
        print(json.dumps({"d": frame["d"], **answer} if "d" in frame else answer), flush=True)
    if frame.get("t") == "cancel":
        print("cancelled", file=sys.stderr, flush=True)
"#;

#[test]
fn a_worker_that_said_hello_reads_the_frames_of_the_guide() -> Result<()> {
    let folder = Scratch::new()?;
    let (worker, notes) = (folder.script("hello.py", HELLO)?, folder.path().join("notes"));
    let config = format!(
        "[[hook]]\nname = \"frames\"\non = [\"authorize_publish\", \"publish_start\"]\nworker = [\"{}\", \"{}\"]\nmax = 1\n",
        worker.display(),
        notes.display()
    );
    let server = Server::builder().config(config).start()?;
    // By the second one the hello has been read.
    for name in ["first", "second"] {
        ensure!(publish(&server, name)?.is_none(), "{name} was refused");
        server.log().wait("told start", SOON, |lines| {
            let of_start = |line: &LogLine| line.field("event") == Some("publish_start");
            let stream = format!("live/{name}");
            calls(lines, "frames")
                .iter()
                .find(|line| of_start(line) && line.field("stream") == Some(&stream))
                .map(drop)
        })?;
    }
    let mut client = Client::connect(server.rtmp(), "live")?;
    client.ask_publish("wait")?;
    server.wait_log("the end of who waited", SOON, |line| {
        line.message() == "Hook printed" && line.field("line").is_some_and(|line| line.contains("cancelled"))
    })?;
    server.stop()?;

    let text = std::fs::read_to_string(&notes)?;
    let frames = text.lines().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>()?;
    let of = |t: &str| frames.iter().filter(|frame| frame["t"] == t).cloned().collect::<Vec<Value>>();
    let question = of("event").into_iter().find(|frame| frame["event"]["stream_key"] == "live/second");
    let question = question.context("no question about the second")?;
    let keys: BTreeSet<&str> =
        question.as_object().context("an object")?.keys().map(String::as_str).collect();
    ensure!(
        keys == BTreeSet::from(["t", "d", "hook", "mode", "attempt", "deadline_ms", "event"]),
        "{keys:?}"
    );
    ensure!(question["d"].as_str().is_some_and(|d| d.starts_with("dlv_")), "{question}");
    ensure!(
        question["hook"] == "frames" && question["mode"] == "decide" && question["attempt"] == 1,
        "{question}"
    );
    ensure!(question["deadline_ms"].as_u64().is_some_and(|ms| (1..=2000).contains(&ms)), "{question}");
    ensure!(of("event").iter().any(|frame| frame["mode"] == "notify"), "no notice");
    let given_up = of("event").into_iter().find(|frame| frame["event"]["stream_key"] == "live/wait");
    ensure!(
        of("cancel") == [json!({ "t": "cancel", "d": given_up.context("no question about wait")?["d"] })]
    );
    ensure!(frames.last() == Some(&json!({ "t": "drain" })), "{:?}", frames.last());
    Ok(())
}

#[test]
fn a_worker_is_replaced_after_max_requests() -> Result<()> {
    let config = "[[hook]]\nname = \"w\"\non = [\"authorize_publish\"]\nworker = [\"sh\", \"-c\", 'while read -r line; do echo \"{}\"; done']\nmax = 1\nmax_requests = 2\n";
    let server = Server::builder().config(config).start()?;
    for name in ["a", "b", "c", "d", "e"] {
        ensure!(publish(&server, name)?.is_none(), "{name} was refused");
    }
    let calls = server.log().wait("outcome of each", SOON, |lines| {
        let calls = calls(lines, "w");
        (calls.len() == 5).then_some(calls)
    })?;
    let pids: Vec<Option<u64>> = calls.iter().map(|call| call.value("pid")?.as_u64()).collect();
    ensure!(pids[0] == pids[1] && pids[2] == pids[3], "{pids:?}");
    ensure!(pids.iter().collect::<BTreeSet<_>>().len() == 3, "{pids:?}");
    server.stop()?;
    Ok(())
}

#[test]
fn a_notice_to_a_webhook_is_posted_until_it_is_taken_with_the_same_id() -> Result<()> {
    let tries = std::sync::atomic::AtomicUsize::new(0);
    let receiver = Receiver::start(move |_| {
        let taken = tries.fetch_add(1, std::sync::atomic::Ordering::Relaxed) > 0;
        Reply::status(if taken { 204 } else { 503 })
    })?;
    let config = format!(
        "[[hook]]\nname = \"w\"\non = [\"publish_start\"]\nurl = \"{}\"\nsecret = \"env:HOOK_SECRET\"\nheaders = {{ x-team = \"a\" }}\n",
        receiver.url("/hook")
    );
    let server = Server::builder()
        .config(config)
        .env("HOOK_SECRET", "whsec_c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0")
        .start()?;
    publish(&server, "show")?;
    let requests =
        receiver.requests().wait("second try", SOON, |all| (all.len() == 2).then(|| all.to_vec()))?;
    let [first, second] = &requests[..] else { anyhow::bail!("{requests:?}") };
    ensure!(first.header("webhook-id") == second.header("webhook-id"), "another id");
    ensure!(first.body == second.body, "another body");
    ensure!(first.header("webhook-id") == first.json()["id"].as_str(), "the id is not the event's");
    for request in &requests {
        ensure!(request.header("content-type") == Some("application/json"), "{request:?}");
        ensure!(
            request.header("webhook-signature").is_some_and(|value| value.starts_with("v1,")),
            "{request:?}"
        );
        ensure!(
            request.header("webhook-timestamp").is_some_and(|value| value.parse::<u64>().is_ok()),
            "{request:?}"
        );
        ensure!(request.header("x-team") == Some("a"), "{request:?}");
    }
    ensure!(requests[0].connection == requests[1].connection, "the connection was not kept");
    server.stop()?;
    Ok(())
}

#[test]
fn statuses_of_a_webhook_decide_as_the_guide_says() -> Result<()> {
    let why = json!({ "reason": { "public": "Pay first." } });
    let receiver = Receiver::start(move |request| match request.path.as_str() {
        "/s204" => Reply::status(204),
        "/s200" => Reply::json(200, &json!({ "decision": "deny", "reason": "No." })),
        "/s201" => Reply::json(201, &json!({ "decision": "allow" })),
        "/s401" => Reply::json(401, &why),
        "/s403" => Reply::status(403),
        "/s302" => Reply::redirect(302, "/s204"),
        _ => Reply::status(404),
    })?;
    let cases = [
        ("s204", "answered", None),
        ("s200", "answered", Some("No.")),
        ("s201", "answered", None),
        ("s401", "answered", Some("Pay first.")),
        ("s403", "answered", Some("Refused.")),
        ("s302", "handler_error", Some("Refused.")),
        ("s404", "handler_error", Some("Refused.")),
    ];
    let hooks = cases.map(|(name, ..)| {
        let url = receiver.url(&format!("/{name}"));
        // Built in: nothing is started.
        let built_in = if name == "s401" { format!("run = \"http-request {url}\"") } else { format!("url = \"{url}\"") };
        format!("[[hook]]\nname = \"{name}\"\non = [\"authorize_publish\"]\nstreams = [\"live/{name}\"]\n{built_in}\n")
    });
    let server = Server::builder().config(hooks.concat()).start()?;
    for (name, outcome, told) in cases {
        let heard = publish(&server, name)?;
        ensure!(heard.as_deref() == told, "{name}: {heard:?}");
        let call = server.wait_log(&format!("call of {name}"), SOON, |line| is_call_of(line, name))?;
        ensure!(call.field("outcome") == Some(outcome), "{name}: {call:?}");
    }
    let delivery =
        |request: &Request| request.json().get("deadline_ms").is_some() && request.json()["attempt"] == 1;
    ensure!(
        receiver.requests().read(|all| all.len() == cases.len() && all.iter().all(delivery)),
        "not one try each"
    );
    server.stop()?;
    Ok(())
}

#[test]
fn a_hook_that_keeps_failing_is_left_alone_and_on_error_acts_at_once() -> Result<()> {
    let (dead, slow) = (refusing_url()?, Receiver::start(|_| Reply::Silence)?);
    let hook = |name: &str, url: &str, on_error: &str| {
        format!(
            "[[hook]]\nname = \"{name}\"\non = [\"authorize_publish\"]\nstreams = [\"live/{name}-*\"]\nurl = \"{url}\"\ntimeout = \"100ms\"\non_error = \"{on_error}\"\n"
        )
    };
    let config = hook("dead", &dead, "deny") + &hook("slow", &slow.url("/"), "allow");
    let server = Server::builder().config(config).start()?;
    let until_open = |name: &'static str, told: Option<&str>| {
        for at in 0..40 {
            let heard = publish(&server, &format!("{name}-{at}"))?;
            ensure!(heard.as_deref() == told, "{heard:?}");
        }
        let calls = server.log().wait("outcome of all calls", SOON, |lines| {
            let calls = calls(lines, name);
            (calls.len() == 40).then_some(calls)
        })?;
        let outcomes: Vec<&str> = calls.iter().filter_map(|call| call.field("outcome")).collect();
        let open = outcomes
            .iter()
            .position(|outcome| *outcome == "breaker_open")
            .context("it was never left alone")?;
        ensure!(open >= 20, "after {open} calls");
        Ok(())
    };
    until_open("dead", Some("Refused."))?;
    until_open("slow", None)?;
    ensure!(slow.requests().len() < 40, "it was asked all the time");
    server.wait_log("a word of it", Duration::from_secs(1), |line| {
        line.message() == "Hook fails too often and is left alone for a while"
    })?;
    server.stop()?;
    Ok(())
}
