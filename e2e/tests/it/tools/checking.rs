//! `hooks test` and `hooks conform` without a server.

use super::{json, run};
use anyhow::{Context, Result, ensure};
use jackfield_e2e::{Program, Receiver, Reply, SOON, Scratch};
use serde_json::Value;

const DENY: &str = r#"{"decision":"deny","reason":{"code":"old","text":"For the log.","public":"For you."}}"#;

/// The names of checks with this result.
fn with(report: &Value, result: &str) -> Vec<String> {
    let checks = report["checks"].as_array().into_iter().flatten();
    checks
        .filter(|check| check["result"] == result)
        .map(|check| check["check"].as_str().unwrap_or_default().to_owned())
        .collect()
}

/// Whether the handler conforms, and what came of each check.
fn conform(scratch: &Scratch, args: &[&str]) -> Result<Value> {
    let args = [&["hooks", "conform", "--json", "--event", "authorize_publish"], args].concat();
    let ran = run(scratch.path(), &args)?;
    let report: Value = serde_json::from_str(&ran.stdout).with_context(|| format!("{ran:?}"))?;
    ensure!((ran.code == Some(0)) == (report["conforms"] == true), "{ran:?}");
    Ok(report)
}

#[test]
fn a_call_shows_what_was_asked_what_was_said_and_what_it_means() -> Result<()> {
    let scratch = Scratch::new()?;
    scratch.script("deny.sh", &format!("#!/bin/sh\ncat >seen.json\necho '{DENY}'\n"))?;
    let test = [
        "hooks",
        "test",
        "./deny.sh",
        "--event",
        "authorize_publish",
        "--key",
        "tv/a",
        "--data",
        "client_port=7",
    ];
    let call = json(scratch.path(), &[&test[..], &["--json"]].concat())?;
    let seen: Value = serde_json::from_str(&std::fs::read_to_string(scratch.path().join("seen.json"))?)?;
    ensure!(
        seen["test"] == true && seen["stream_key"] == "tv/a" && seen["data"]["client_port"] == 7,
        "{seen}"
    );
    ensure!(seen["data"] == call["request"]["data"] && seen["id"] == call["request"]["id"], "{call}");
    ensure!(call["answer"]["reason"]["public"] == "For you.", "{call}");
    let said = ["/outcome", "/decision", "/verdict", "/reason/public"];
    let said = said.map(|name| call.pointer(name)?.as_str());
    ensure!(said == [Some("answered"), Some("deny"), Some("deny"), Some("For you.")], "{call}");

    let text = run(scratch.path(), &test)?;
    ensure!(text.code == Some(0) && text.stdout.contains("verdict   deny\nreads     For you."), "{text:?}");
    for (expected, code) in [("deny", 0), ("answered", 0), ("allow", 1), ("failure", 1)] {
        let ran = run(scratch.path(), &[&test[..], &["--expect", expected]].concat())?;
        ensure!(ran.code == Some(code), "{expected}: {ran:?}");
    }
    Ok(())
}

#[test]
fn a_call_that_fails_says_how_and_what_to_do() -> Result<()> {
    let scratch = Scratch::new()?;
    for (name, lines, outcome) in [
        ("says-nothing.sh", "exit 0", "answered"),
        ("no-json.sh", "echo hello; echo for the log >&2", "protocol_error"),
        ("fails.sh", "exit 3", "handler_error"),
        ("hangs.sh", "sleep 60", "timeout"),
        ("dies.sh", "kill -KILL $$", "crashed"),
    ] {
        scratch.script(name, &format!("#!/bin/sh\n{lines}\n"))?;
        let program = format!("./{name}");
        let args = ["hooks", "test", &program, "--event", "resolve_play", "--timeout", "500ms", "--json"];
        let ran = run(scratch.path(), &args)?;
        let call: Value = serde_json::from_str(&ran.stdout).with_context(|| format!("{ran:?}"))?;
        ensure!(call["outcome"] == outcome, "{name}: {call}");
        ensure!(ran.code == Some(i32::from(outcome != "answered")), "{name}: {ran:?}");
        ensure!(name != "no-json.sh" || ran.stderr.contains("for the log"), "{ran:?}");
    }
    let ran = run(scratch.path(), &["hooks", "test", "./no-json.sh", "--event", "resolve_play"])?;
    ensure!(ran.stdout.contains("next      Print one line of JSON"), "{ran:?}");

    scratch.file("plain.py", "")?;
    for (args, code, said) in [
        (&["./nothing.sh", "--event", "publish_start"][..], 5, "does not exist"),
        (&["./plain.py", "--event", "publish_start"], 5, "chmod +x"),
        (&["plain.py", "--event", "publish_start"], 2, "./plain.py"),
        (&["./dies.sh", "--event", "publish_strat"], 2, "did you mean `publish_start`?"),
        (
            &["./dies.sh", "--event", "publish_start", "--data", "client_prot=1"],
            2,
            "did you mean `client_port`?",
        ),
        (&["./dies.sh", "--event", "connection_close", "--key", "a/b"], 2, "has no stream key"),
    ] {
        let ran = run(scratch.path(), &[&["hooks", "test"], args].concat())?;
        ensure!(ran.code == Some(code) && ran.stderr.contains(said), "{args:?}: {ran:?}");
    }
    Ok(())
}

#[test]
fn colours_are_for_terminals_that_want_them() -> Result<()> {
    let scratch = Scratch::new()?;
    let binary = jackfield_e2e::server()?;
    // script(1) gives it a terminal.
    let line = format!("'{}' hooks test cat --worker --event publish_start", binary.display());
    let shown = |no_colour: &str| -> Result<String> {
        let script = Program::new("script").args(["-qc", &line, "/dev/null"]).cwd(scratch.path());
        Ok(script.env("TERM", "xterm").env("NO_COLOR", no_colour).run(SOON)?.stdout)
    };
    ensure!(shown("")?.contains("\x1b[32manswered"), "no colours on a terminal");
    let plain = shown("1")?;
    ensure!(plain.contains("answered") && !plain.contains('\x1b'), "{plain:?}");
    Ok(())
}

#[test]
fn a_notice_and_a_webhook_are_called_as_the_server_calls_them() -> Result<()> {
    let scratch = Scratch::new()?;
    let receiver = Receiver::start(|request| match request.event().as_deref() {
        Some("authorize_play") => Reply::status(403),
        _ => Reply::status(204),
    })?;
    let url = receiver.url("/hook");
    let call = json(scratch.path(), &["hooks", "test", &url, "--event", "authorize_play", "--json"])?;
    ensure!(call["decision"] == "deny" && call["verdict"] == "deny", "{call}");
    let call = json(
        scratch.path(),
        &["hooks", "test", &url, "--event", "play_stop", "--json", "--expect", "answered"],
    )?;
    ensure!(call["outcome"] == "answered" && call.get("verdict").is_none(), "{call}");
    let request =
        receiver.wait("the notice", SOON, |request| request.event().as_deref() == Some("play_stop"))?;
    ensure!(request.header("webhook-id") == call["request"]["id"].as_str(), "{request:?}");
    Ok(())
}

/// Name, lines of shell, and the checks that it fails.
const FAULTY: [(&str, &str, &[&str]); 6] = [
    ("banner", "echo Ready.\nwhile read -r line; do echo '{}'; done", &["starts"]),
    ("silent", "cat >/dev/null", &["starts"]),
    (
        "first-only",
        r#"echo '{"t":"hello","concurrency":8}'
        while read -r line; do case $line in *'"t":'*) echo '{"d":"dlv_00000001"}' ;; *) echo '{}' ;; esac; done"#,
        &["many at once, answered in any order"],
    ),
    (
        "answers-all",
        r#"echo '{"t":"hello","concurrency":8}'
        while read -r line; do case $line in
            *'"d":"'*) line=${line#*'"d":"'}; echo "{\"d\":\"${line%%'"'*}\"}" ;;
            *'"t":'*) echo '{"d":"none"}' ;;
            *) echo '{}' ;;
        esac; done"#,
        &["cancels", "a kind of line that it does not know"],
    ),
    (
        "strict",
        "while read -r line; do case $line in *some_later_field*) exit 1 ;; *) echo '{}' ;; esac; done",
        &["fields that it does not know"],
    ),
    (
        "pieces",
        r#"while piece=$(dd bs=16384 count=1 2>/dev/null) && [ -n "$piece" ]; do
            printf '%s' "$piece" | jq . >/dev/null || exit 1
            echo '{}'
        done"#,
        &["long and odd texts", "a line that comes in two halves"],
    ),
];

#[test]
fn a_worker_that_breaks_a_rule_is_told_which() -> Result<()> {
    let scratch = Scratch::new()?;
    let check = &|name: &str, lines: &str, fails: &[&str]| -> Result<()> {
        scratch.script(name, &format!("#!/bin/sh\n{lines}\n"))?;
        let report = conform(&scratch, &[&format!("./{name}"), "--worker", "--timeout", "1s"])?;
        let failed = with(&report, "failed");
        ensure!(fails.iter().all(|check| failed.iter().any(|failed| failed == check)), "{name}: {report:#}");
        let mut told =
            report["checks"].as_array().into_iter().flatten().filter(|check| check["result"] == "failed");
        ensure!(told.all(|check| check["next"] != "" && check["what"] != ""), "{name}: {report:#}");
        Ok(())
    };
    // Each waits more than it works.
    std::thread::scope(|scope| {
        let checks = FAULTY.map(|(name, lines, fails)| scope.spawn(move || check(name, lines, fails)));
        checks
            .into_iter()
            .try_for_each(|check| check.join().map_err(|_panic| anyhow::anyhow!("it panicked"))?)
    })
}

#[test]
fn a_program_and_a_webhook_are_checked_too() -> Result<()> {
    let scratch = Scratch::new()?;
    scratch.script("good.sh", "#!/bin/sh\ncat >/dev/null\necho '{\"decision\":\"allow\"}'\n")?;
    let report = conform(&scratch, &["./good.sh"])?;
    ensure!(report["conforms"] == true && with(&report, "hint").is_empty(), "{report:#}");
    // It quotes nothing.
    scratch.script("tags.sh", "#!/bin/sh\nprintf '{\"tags\":{\"query\":\"%s\"}}' \"$RTMP_QUERY\"\n")?;
    let report = conform(&scratch, &["./tags.sh"])?;
    ensure!(with(&report, "failed") == ["odd texts"], "{report:#}");
    scratch.script("stubborn.sh", "#!/bin/sh\ntrap '' TERM\ncat >/dev/null\necho '{}'\n")?;
    let report = conform(&scratch, &["./stubborn.sh"])?;
    ensure!(with(&report, "hint") == ["a call that is given up"], "{report:#}");

    let receiver = Receiver::start(|request| match request.body.len() {
        0..8192 => Reply::status(204),
        _ => Reply::status(413),
    })?;
    let report = conform(&scratch, &[&receiver.url("/hook")])?;
    ensure!(with(&report, "failed") == ["long texts"], "{report:#}");
    Ok(())
}
