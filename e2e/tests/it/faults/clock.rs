//! The wall clock is set while the server works.

#![expect(clippy::disallowed_methods, reason = "how long it took is what is asked here, within wide limits")]

use super::{allowed, answer};
use anyhow::{Context, Result, ensure};
use jackfield_e2e::rtmp::Client;
use jackfield_e2e::{
    Broadcast, ClockShift, Event, LogLine, Receiver, Reply, SOON, Scratch, Server, check_pairs,
};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Instant;

const CONFIG: &str = r#"
[server]
drain_timeout = "500ms"
[rtmp]
publish_timeout = "3s"
[hooks]
question_timeout = "20s"
question_budget = "20s"
[[hook]]
name = "script"
on = ["authorize_publish"]
streams = ["live/script-*"]
run = ["true"]
[[hook]]
name = "worker"
on = ["authorize_publish"]
streams = ["live/worker-*"]
worker = ["FOLDER/worker.sh"]
[[hook]]
name = "webhook"
on = ["publish_start", "publish_stop"]
url = "URL"
"#;

/// Asked about streams that are held, it answers only when the file `go` is there.
const WORKER: &str = r#"#!/bin/sh
while read -r line; do
    case $line in *-hold*) until [ -e FOLDER/go ]; do sleep 0.02; done;; esac
    echo '{"decision":"allow"}'
done
"#;

/// An hour ahead, two back, and right again, in seconds from the true time.
const STEPS: [i64; 3] = [3600, -3600, 0];
/// What a busy machine may add.
const SLACK_S: i64 = 60;

/// The clock has been set; what goes on goes on, and what begins is told with the new time.
fn step(server: &Server, clock: &ClockShift, broadcast: &Broadcast, seconds: i64, go: &Path) -> Result<()> {
    let mut waiting = Client::connect(server.rtmp(), "live")?;
    let stream = waiting.ask_publish(&format!("worker-hold{seconds}"))?;
    clock.set(seconds)?;
    let name = format!("script-at{seconds}");
    allowed(server, &name)?;
    let start = server
        .events()
        .wait_for("publish_start", SOON, |event| event.stream_key() == Some(&format!("live/{name}")))?;
    let told = start.json().get("timestamp").and_then(Value::as_i64).context("a time stamp")?;
    let off = told - Timestamp::now().as_second() - seconds;
    ensure!(off.abs() < SLACK_S, "{off} s off after a step to {seconds}");
    // Longer than a publisher may be silent, and than one must be to be taken over.
    broadcast.wait(if jackfield_e2e::all_cases() { 100 } else { 10 })?;
    let refused = answer(Client::connect(server.rtmp(), "live")?.publish("show"))?;
    ensure!(refused.is_some(), "a publisher was taken over");
    // The question that was asked before the step has still its time.
    std::fs::write(go, "")?;
    let refused = answer(waiting.published(stream).map(|()| stream))?;
    ensure!(refused.is_none(), "a question lost its time: {refused:?}");
    std::fs::remove_file(go)?;
    Ok(())
}

/// No duration that anything tells is negative or longer than the test.
fn check_durations(events: &[Event], log: &[String], most_ms: u64) -> Result<()> {
    for event in events {
        for (field, most) in
            [("duration_seconds", most_ms / 1000), ("duration_ms", most_ms), ("elapsed_ms", most_ms)]
        {
            let told = event.json().get("data").and_then(|data| data.get(field));
            ensure!(
                told.is_none_or(|told| told.as_u64().is_some_and(|told| told <= most)),
                "{}",
                event.json()
            );
        }
    }
    for line in log.iter().filter_map(|line| LogLine::parse(line)) {
        for field in ["queued_us", "connect_us", "elapsed_us"] {
            let told = line.value(field);
            let fine = told.is_none_or(|told| told.as_u64().is_some_and(|told| told <= most_ms * 1000));
            ensure!(fine, "{field} of {line:?}");
        }
    }
    Ok(())
}

#[test]
fn a_clock_that_is_set_an_hour_ahead_and_back_changes_time_stamps_only() -> Result<()> {
    let (began, folder, clock) = (Instant::now(), Scratch::new()?, ClockShift::new()?);
    let path = folder.path().display().to_string();
    folder.script("worker.sh", &WORKER.replace("FOLDER", &path))?;
    // The first delivery of each event fails: it is tried again a second later by any clock.
    let receiver = Receiver::start(|request| match request.header("webhook-id") {
        Some(_) if request.json().get("stream_key") == Some(&json!("live/script-at3600")) => {
            Reply::status(500)
        }
        _ => Reply::status(204),
    })?;
    let config = CONFIG.replace("FOLDER", &path).replace("URL", &receiver.url("/told"));
    let mut builder = Server::builder().config(config);
    for (name, value) in clock.env() {
        builder = builder.env(name, value);
    }
    let server = builder.start()?;
    let broadcast = Broadcast::start(server.rtmp(), "show")?;
    for seconds in STEPS {
        let stepped = step(&server, &clock, &broadcast, seconds, &folder.path().join("go"));
        stepped.with_context(|| format!("the step to {seconds} s"))?;
    }
    // Retries were scheduled by the time that passes, not by the time of day.
    receiver.requests().wait("second delivery", SOON, |requests| {
        let of_failed = requests
            .iter()
            .filter(|request| request.json().get("stream_key") == Some(&json!("live/script-at3600")));
        let ids: Vec<Option<&str>> = of_failed.map(|request| request.header("webhook-id")).collect();
        let unique: BTreeSet<_> = ids.iter().collect();
        (unique.len() < ids.len()).then_some(())
    })?;
    broadcast.finish()?;
    let ended = server.stop()?;
    let (events, most) = (ended.events.all()?, u64::try_from(began.elapsed().as_millis())?);
    check_pairs(&events)?;
    let ids: BTreeSet<&str> = events.iter().filter_map(|event| event.json().get("id")?.as_str()).collect();
    ensure!(ids.len() == events.len(), "two events have one id");
    check_durations(&events, &ended.log, most)
}
